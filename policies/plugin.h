/* SPDX-License-Identifier: Apache-2.0
 *
 * plugin.h: what a shared object must define so that --policy-plugin takes it.
 *
 *     static const struct route_policy *const mine[] = {&route_mine, NULL};
 *     STACKSIM_POLICY_PLUGIN(mine);
 *
 * Built against the installed headers: cc -shared -fPIC -I PREFIX/include/stacksim. The
 * program resolves what the headers declare. The plug-in says what it was compiled
 * against, and another interface is refused instead of crashing.
 */
#ifndef STACKSIM_POLICIES_PLUGIN_H
#define STACKSIM_POLICIES_PLUGIN_H

#include "policies/policy.h"

/* Rises when a struct or the meaning of a callback changes. */
#define STACKSIM_POLICY_ABI 1

struct policy_plugin {
    uint32_t abi; /* STACKSIM_POLICY_ABI; the sizes catch what it forgot */
    uint32_t route_policy_bytes;
    uint32_t cluster_view_bytes;
    uint32_t endpoint_view_bytes;
    uint32_t request_view_bytes;
    uint32_t decision_bytes;
    const struct route_policy *const *policies; /* ends with NULL */
};

#define STACKSIM_POLICY_PLUGIN(list)                                                   \
    extern const struct policy_plugin stacksim_policy_plugin;                          \
    const struct policy_plugin stacksim_policy_plugin = {                              \
        .abi = STACKSIM_POLICY_ABI,                                                    \
        .route_policy_bytes = sizeof(struct route_policy),                             \
        .cluster_view_bytes = sizeof(struct cluster_view),                             \
        .endpoint_view_bytes = sizeof(struct endpoint_view),                           \
        .request_view_bytes = sizeof(struct request_view),                             \
        .decision_bytes = sizeof(struct route_decision),                               \
        .policies = (list),                                                            \
    }

#endif
