/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_list.h: "--policies a,b,c" as names.
 */
#ifndef STACKSIM_CLI_POLICY_LIST_H
#define STACKSIM_CLI_POLICY_LIST_H

#include "base/err.h"
#include "cli/arms.h"

#include <stddef.h>

struct policy_list {
    const char *names[ARMS_MAX]; /* of the registry: static */
    size_t count;
};

/* text NULL: every policy of the registry. Aliases become the policy's own name;
 * unknown names fail with the nearest known one, a name given twice fails. */
NODISCARD bool policy_list_parse(struct policy_list *list, const char *text,
                                 struct err *err);

#endif
