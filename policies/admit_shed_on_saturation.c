/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_shed_on_saturation.c: sheddable requests are turned away while the fleet is
 * full; nobody waits. llm-d's first admission control (spec/policies.md A1).
 *
 * llm-d calls a negative priority sheddable and higher more important. Here priorities
 * have vLLM's direction: above sheddable_from is shed, and the default of 1 takes
 * whatever is less urgent than the default priority 0.
 */
#include "policies/registry.h"
#include "policies/saturation.h"

enum { PARAM_SHEDDABLE_FROM, PARAM_DETECTOR };

struct shed {
    struct saturation saturation;
    double sheddable_from;
};

static bool shed_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct shed *self = state;
    self->sheddable_from = setup->values[PARAM_SHEDDABLE_FROM];
    saturation_init(&self->saturation, setup->values + PARAM_DETECTOR);
    return true;
}

static struct admit_decision shed_arrive(void *state, const struct admit_view *view,
                                         const struct admit_request *request)
{
    const struct shed *self = state;
    if (request->priority >= self->sheddable_from &&
        saturation_now(&self->saturation, view) >= 1.0) {
        return (struct admit_decision){.verdict = ADMIT_REJECT,
                                       .reason = ADMIT_REASON_SATURATED};
    }
    return (struct admit_decision){.verdict = ADMIT_PASS};
}

static const struct policy_param params[] = {
    [PARAM_SHEDDABLE_FROM] = {.name = "sheddable_from",
                              .kind = PARAM_F64,
                              .default_value = 1,
                              .min = -2147483648.0,
                              .max = 2147483647.0,
                              .help =
                                  "requests of this priority and above (less urgent) "
                                  "may be turned away"},
    SATURATION_PARAM_TABLE(PARAM_DETECTOR, SATURATION_METRICS),
    {.name = NULL},
};

const struct admit_policy admit_shed_on_saturation = {
    .name = "shed_on_saturation",
    .help = "Turns sheddable requests away while the fleet is full.",
    .source = "llm-d/llm-d-inference-scheduler:pkg/epp (legacy admission, utilization "
              "and concurrency detectors)",
    .breaks =
        "with metrics a scrape old a burst of rate times age slips in at each dip, "
        "and a scrape interval above stale_after_s reads as full for ever; urgent "
        "requests are never held back, so alone they can overload the fleet",
    .needs = NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct shed),
    .init = shed_init,
    .arrive = shed_arrive,
};
