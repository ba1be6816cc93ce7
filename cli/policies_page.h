/* SPDX-License-Identifier: Apache-2.0
 *
 * policies_page.h: the parameter tables of docs/policies.md, made from the policies'.
 *
 * A page is prose with marks. Behind a line `<!-- parameters: KIND NAME -->` stands the
 * table of that policy, up to a line `<!-- end -->`.
 */
#ifndef STACKSIM_CLI_POLICIES_PAGE_H
#define STACKSIM_CLI_POLICIES_PAGE_H

#include "base/err.h"
#include "base/text.h"

/* The page with every table as it is now; all else stays byte for byte. Policies
 * without a mark get a section at the end. Fails on a mark of a policy that does not
 * exist, and on one without an end. */
NODISCARD bool policies_page_renew(const char *path, struct text *out, struct err *err);

#endif
