/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_params.h: parameters of a policy of any kind, from a map of a scenario.
 */
#ifndef STACKSIM_SIM_POLICY_PARAMS_H
#define STACKSIM_SIM_POLICY_PARAMS_H

#include "base/conf.h"
#include "policies/policy_set.h"

/* Whose parameters, and where they go. */
struct policy_params_target {
    struct policy_table table;
    enum compat compat;
    const char **names; /* room for POLICY_PARAMS_MAX; of the policy's table */
    double *values;
    uint32_t *count;
    /* A comparison runs one file under several policies: parameters that only another
     * one has are passed over when --policy overrides the one in the file. */
    bool overridden;
    const struct policy_set *others;
};

/* params may be NULL: none are given. Unknown names and values out of range are told
 * with file and line. */
NODISCARD bool policy_params_read(const struct policy_params_target *target,
                                  const struct conf_node *params, struct err *err);

#endif
