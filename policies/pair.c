/* SPDX-License-Identifier: Apache-2.0
 *
 * pair.c: the registry of pair policies as a table.
 */
#include "policies/pair.h"

#include "policies/registry.h"

static const struct pair_policy *const pair_policies[] = {
#define PAIR(name) &pair_##name,
#include "policies/registry.def"
};
enum { PAIR_POLICIES = sizeof pair_policies / sizeof pair_policies[0] };

const struct pair_policy *pair_policy_at(size_t index)
{
    return index < PAIR_POLICIES ? pair_policies[index] : NULL;
}

const struct pair_policy *pair_policy_find(const char *name)
{
    for (size_t i = 0; i < PAIR_POLICIES; i++) {
        const struct pair_policy *policy = pair_policies[i];
        if (policy_answers_to(policy->name, policy->aliases, name)) {
            return policy;
        }
    }
    return NULL;
}
