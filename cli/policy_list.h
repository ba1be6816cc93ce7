/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_list.h: "--policies a,b:key=value,c" as arms of a comparison.
 */
#ifndef STACKSIM_CLI_POLICY_LIST_H
#define STACKSIM_CLI_POLICY_LIST_H

#include "base/err.h"

#include <stddef.h>

enum { ARMS_MAX = 64, ARM_NAME_BYTES = 160, ARM_PARAMS_MAX = 8, ARM_PARAM_BYTES = 160 };

struct policy_set;

struct policy_choice {
    const char *policy;        /* of the set: static */
    char name[ARM_NAME_BYTES]; /* "b:key=value"; the policy's own name, not its alias */
    char overrides[ARM_PARAMS_MAX][ARM_PARAM_BYTES]; /* "routing.params.key=value" */
    size_t override_count;
};

struct policy_list {
    struct policy_choice choices[ARMS_MAX];
    size_t count;
};

/* The stack's own that need nothing beside the router, and the usual balancer. */
#define POLICY_LIST_DEFAULT "round_robin,session,prefix_aware,least_request"

/* text NULL: the default; "all": every policy of the set (NULL = the registry). Unknown
 * names fail with the nearest known one; a choice given twice fails. Parameters are
 * checked when a scenario is loaded. */
NODISCARD bool policy_list_parse(struct policy_list *list, const struct policy_set *set,
                                 const char *text, struct err *err);

/* Each choice under each of these admission policies, "none" among them:
 * "chwbl + vtc:key=value". text as above, without "all". */
NODISCARD bool policy_list_cross(struct policy_list *list, const char *text,
                                 struct err *err);

#endif
