/* SPDX-License-Identifier: Apache-2.0
 *
 * scale.c: the registry of autoscalers and the metrics they can ask for, as tables.
 */
#include "policies/scale.h"

#include "policies/registry.h"

static const struct scale_policy *const scale_policies[] = {
#define SCALE(name) &scale_##name,
#include "policies/registry.def"
};
enum { SCALE_POLICIES = sizeof scale_policies / sizeof scale_policies[0] };

static const struct {
    const char *name;
    enum scale_source source;
    const char *help;
    const char *above;
} metrics[] = {
#define X(id, name, source, help) {name, SCALE_##source, help, name " above target"},
    SCALE_METRICS(X)
#undef X
};

const char *scale_metric_name(enum scale_metric metric)
{
    return metrics[metric].name;
}

const char *scale_metric_above(enum scale_metric metric)
{
    return metrics[metric].above;
}

const char *scale_metric_help(enum scale_metric metric)
{
    return metrics[metric].help;
}

enum scale_source scale_metric_source(enum scale_metric metric)
{
    return metrics[metric].source;
}

const struct scale_policy *scale_policy_at(size_t index)
{
    return index < SCALE_POLICIES ? scale_policies[index] : NULL;
}

const struct scale_policy *scale_policy_find(const char *name)
{
    for (size_t i = 0; i < SCALE_POLICIES; i++) {
        const struct scale_policy *policy = scale_policies[i];
        if (policy_answers_to(policy->name, policy->aliases, name)) {
            return policy;
        }
    }
    return NULL;
}
