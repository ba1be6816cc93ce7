/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_set.h: the registry and the policies of loaded plug-ins, under one roof.
 *
 * Both programs look up names here. NULL stands for the registry alone.
 */
#ifndef STACKSIM_POLICIES_POLICY_SET_H
#define STACKSIM_POLICIES_POLICY_SET_H

#include "policies/policy.h"

struct policy_set;

struct policy_set *policy_set_new(void);
/* Unloads the plug-ins: nothing of theirs may be in use any more. NULL is legal. */
void policy_set_delete(struct policy_set *set);

/* Adds all policies of a plug-in (policies/plugin.h). A foreign interface, an
 * incomplete table and a name that is taken are errors that say which. */
NODISCARD bool policy_set_load(struct policy_set *set, const char *path,
                               struct err *err);

/* By name or alias; NULL when unknown. */
const struct route_policy *policy_set_find(const struct policy_set *set,
                                           const char *name);
/* Registry first, then plug-ins in order of loading; NULL past the end. */
const struct route_policy *policy_set_at(const struct policy_set *set, size_t index);

#endif
