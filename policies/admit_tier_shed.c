/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_tier_shed.c: while any endpoint is loaded above a threshold, only requests of
 * some urgency come in (spec/policies.md A7).
 *
 * The load of an endpoint is the larger of what this gateway has in flight there and
 * what ran and waited there at the last scrape, which other gateways may have sent.
 * BLIS counts tiers upwards and admits from 3 (standard) on; here lower is more urgent.
 */
#include "policies/registry.h"

enum { PARAM_LOAD_MAX, PARAM_PRIORITY_MAX };

struct tier_shed {
    uint64_t load_max;
    double priority_max;
};

static bool tier_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct tier_shed *self = state;
    self->load_max = (uint64_t)setup->values[PARAM_LOAD_MAX];
    self->priority_max = setup->values[PARAM_PRIORITY_MAX];
    return true;
}

static uint64_t load_of(const struct endpoint_view *endpoint)
{
    const uint32_t needed = METRIC_RUNNING | METRIC_WAITING;
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    const uint64_t scraped =
        (metrics->valid & needed) == needed
            ? (uint64_t)metrics->running_requests + metrics->waiting_requests
            : 0;
    return scraped > endpoint->inflight_requests ? scraped
                                                 : endpoint->inflight_requests;
}

static struct admit_decision tier_arrive(void *state, const struct admit_view *view,
                                         const struct admit_request *request)
{
    const struct tier_shed *self = state;
    for (uint32_t i = 0;
         request->priority > self->priority_max && i < view->cluster->count; i++) {
        if (load_of(view->cluster->endpoints[i]) > self->load_max) {
            return (struct admit_decision){.verdict = ADMIT_REJECT,
                                           .reason = ADMIT_REASON_SATURATED};
        }
    }
    return (struct admit_decision){.verdict = ADMIT_PASS};
}

static const struct policy_param params[] = {
    [PARAM_LOAD_MAX] = {.name = "load_max",
                        .kind = PARAM_U64,
                        .max = 1e9,
                        .help = "requests at an endpoint; above it at any of them the "
                                "less urgent are turned away"},
    [PARAM_PRIORITY_MAX] = {.name = "priority_max",
                            .kind = PARAM_F64,
                            .min = -2147483648.0,
                            .max = 2147483647.0,
                            .help = "requests up to this priority always come in"},
    {.name = NULL},
};

const struct admit_policy admit_tier_shed = {
    .name = "tier_shed",
    .help = "Only urgent requests come in while any endpoint is loaded.",
    .source = "inference-sim/inference-sim:docs/guide/admission.md (tier-shed)",
    .breaks =
        "one hot endpoint sheds for the whole fleet; at the default load_max of 0 "
        "the less urgent come in only to an idle fleet",
    .needs = NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct tier_shed),
    .init = tier_init,
    .arrive = tier_arrive,
};
