/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.c: the registry of admission policies as a table.
 */
#include "policies/admit.h"

#include "policies/registry.h"

#include <string.h>

static const struct admit_policy *const admit_policies[] = {
#define ADMIT(name) &admit_##name,
#include "policies/registry.def"
};
enum { ADMIT_POLICIES = sizeof admit_policies / sizeof admit_policies[0] };

const struct admit_policy *admit_policy_at(size_t index)
{
    return index < ADMIT_POLICIES ? admit_policies[index] : NULL;
}

const struct admit_policy *admit_policy_find(const char *name)
{
    for (size_t i = 0; i < ADMIT_POLICIES; i++) {
        const struct admit_policy *policy = admit_policies[i];
        if (policy_answers_to(policy->name, policy->aliases, name)) {
            return policy;
        }
    }
    return NULL;
}

const char *admit_reason_name(enum admit_reason reason)
{
    static const char *const names[] = {
#define X(name, text, http_status, help) text,
        ADMIT_REASONS(X)
#undef X
    };
    return names[reason];
}

uint32_t admit_reason_http(enum admit_reason reason)
{
    static const uint32_t statuses[] = {
#define X(name, text, http_status, help) http_status,
        ADMIT_REASONS(X)
#undef X
    };
    return statuses[reason];
}
