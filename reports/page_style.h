/* SPDX-License-Identifier: Apache-2.0
 *
 * page_style.h: how the report page looks, and what its script does.
 */
#ifndef STACKSIM_REPORTS_PAGE_STYLE_H
#define STACKSIM_REPORTS_PAGE_STYLE_H

#include "base/text.h"

/* CSS and JavaScript, without their elements. */
void page_add_style(struct text *out);
void page_add_script(struct text *out);

#endif
