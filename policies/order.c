/* SPDX-License-Identifier: Apache-2.0
 *
 * order.c: the registry of waiting orders as a table.
 */
#include "policies/order.h"

#include "policies/registry.h"

static const struct order_policy *const order_policies[] = {
#define ORDER(name) &order_##name,
#include "policies/registry.def"
};
enum { ORDER_POLICIES = sizeof order_policies / sizeof order_policies[0] };

const struct order_policy *order_policy_at(size_t index)
{
    return index < ORDER_POLICIES ? order_policies[index] : NULL;
}

const struct order_policy *order_policy_find(const char *name)
{
    for (size_t i = 0; i < ORDER_POLICIES; i++) {
        const struct order_policy *policy = order_policies[i];
        if (policy_answers_to(policy->name, policy->aliases, name)) {
            return policy;
        }
    }
    return NULL;
}
