/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_shed_probabilistic.c: sheddable requests are turned away with a probability
 * that rises with saturation, long before the fleet is full (spec/policies.md A2).
 *
 * p = min(gain * saturation^power, 1). With llm-d's 300 and 5 everything sheddable goes
 * from a saturation of 0.32 on: its urgent requests then meet short queues.
 */
#include "policies/registry.h"
#include "policies/saturation.h"

enum { PARAM_SHEDDABLE_FROM, PARAM_GAIN, PARAM_POWER, PARAM_DETECTOR };

struct shed {
    struct saturation saturation;
    struct rng *rng;
    double sheddable_from;
    double gain;
    uint32_t power;
};

static bool shed_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct shed *self = state;
    self->rng = setup->rng;
    self->sheddable_from = setup->values[PARAM_SHEDDABLE_FROM];
    self->gain = setup->values[PARAM_GAIN];
    self->power = (uint32_t)setup->values[PARAM_POWER];
    saturation_init(&self->saturation, setup->values + PARAM_DETECTOR);
    return true;
}

static struct admit_decision shed_arrive(void *state, const struct admit_view *view,
                                         const struct admit_request *request)
{
    const struct shed *self = state;
    if (request->priority < self->sheddable_from) {
        return (struct admit_decision){.verdict = ADMIT_PASS};
    }
    const double saturation = saturation_now(&self->saturation, view);
    double probability = self->gain;
    for (uint32_t i = 0; i < self->power; i++) {
        probability *= saturation;
    }
    /* One draw per sheddable request, needed or not: the stream stays in step. */
    if (rng_unit(self->rng) < probability) {
        return (struct admit_decision){.verdict = ADMIT_REJECT,
                                       .reason = ADMIT_REASON_DRAWN};
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
    [PARAM_GAIN] = {.name = "gain",
                    .kind = PARAM_F64,
                    .default_value = 300,
                    .max = 1e9,
                    .help = "probability of being turned away at a saturation of 1, "
                            "where below 1"},
    [PARAM_POWER] = {.name = "power",
                     .kind = PARAM_U64,
                     .default_value = 5,
                     .max = 32,
                     .help = "power of the saturation in that probability"},
    SATURATION_PARAM_TABLE(PARAM_DETECTOR, SATURATION_METRICS),
    {.name = NULL},
};

const struct admit_policy admit_shed_probabilistic = {
    .name = "shed_probabilistic",
    .help =
        "Turns sheddable requests away at random, the more the fuller the fleet is.",
    .source = "llm-d/llm-d-inference-scheduler:pkg/epp (probabilistic admitter)",
    .breaks =
        "goodput: sheddable work is refused while there is room for it (5 to 20 % "
        "of all, up to 40 %); the constants are for one detector's scale",
    .needs = NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct shed),
    .init = shed_init,
    .arrive = shed_arrive,
};
