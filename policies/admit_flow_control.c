/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_flow_control.c: bands of priority, each with a bounded queue, served strictly
 * from the most urgent one while the fleet is not full (spec/policies.md A4).
 *
 * A band that waits holds back all below it: a less urgent request never overtakes.
 * Within a band either all tenants share one order of arrival (llm-d's default) or take
 * turns. llm-d dispatches at a tick of 1 ms; here it happens when something ended or
 * was scraped, which is what makes room.
 */
#include "policies/registry.h"
#include "policies/saturation.h"

enum {
    PARAM_BAND_MAX,
    PARAM_QUEUE_TIMEOUT_S,
    PARAM_TURNS,
    PARAM_CEILING,
    PARAM_SHEDDABLE_FROM,
    PARAM_SHEDDABLE_CEILING,
    PARAM_DETECTOR,
};

struct bands {
    struct saturation saturation;
    uint64_t band_max;
    int64_t timeout_ns;
    double ceiling;
    double sheddable_from;
    double sheddable_ceiling;
    uint32_t last_tenant; /* whose turn it was */
    bool turns;
};

static bool bands_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    const double *values = setup->values;
    struct bands *self = state;
    self->band_max = (uint64_t)values[PARAM_BAND_MAX];
    self->timeout_ns = (int64_t)(values[PARAM_QUEUE_TIMEOUT_S] * 1e9);
    self->turns = values[PARAM_TURNS] != 0;
    self->ceiling = values[PARAM_CEILING];
    self->sheddable_from = values[PARAM_SHEDDABLE_FROM];
    self->sheddable_ceiling = values[PARAM_SHEDDABLE_CEILING];
    saturation_init(&self->saturation, values + PARAM_DETECTOR);
    return true;
}

static bool has_room(const struct bands *self, const struct admit_view *view,
                     int32_t priority)
{
    const double ceiling =
        priority >= self->sheddable_from && self->sheddable_ceiling < self->ceiling
            ? self->sheddable_ceiling
            : self->ceiling;
    return saturation_now(&self->saturation, view) < ceiling;
}

static struct admit_decision bands_arrive(void *state, const struct admit_view *view,
                                          const struct admit_request *request)
{
    const struct bands *self = state;
    uint64_t in_band = 0;
    bool someone_first = false;
    for (uint32_t i = 0; i < view->flow_count; i++) {
        const struct flow_view *flow = &view->flows[i];
        someone_first |= flow->priority <= request->priority;
        in_band += flow->priority == request->priority ? flow->waiting : 0;
    }
    if (!someone_first && has_room(self, view, request->priority)) {
        return (struct admit_decision){.verdict = ADMIT_PASS};
    }
    if (in_band >= self->band_max) {
        return (struct admit_decision){.verdict = ADMIT_REJECT,
                                       .reason = ADMIT_REASON_QUEUE_FULL};
    }
    return (struct admit_decision){.verdict = ADMIT_QUEUE,
                                   .reason = ADMIT_REASON_WAITS,
                                   .timeout_ns = self->timeout_ns};
}

/* Flows of the most urgent band stand first in the view. */
static uint32_t earliest(const struct admit_view *view)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < view->flow_count; i++) {
        const struct admit_request *head = &view->flows[i].head;
        const struct admit_request *best = &view->flows[first].head;
        if (head->priority != best->priority) {
            break;
        }
        const bool earlier = head->arrival_ns != best->arrival_ns
                                 ? head->arrival_ns < best->arrival_ns
                                 : head->request_id < best->request_id;
        first = earlier ? i : first;
    }
    return first;
}

/* The tenant behind the last one served, around the band. */
static uint32_t next_in_turn(const struct bands *self, const struct admit_view *view)
{
    for (uint32_t i = 0; i < view->flow_count; i++) {
        if (view->flows[i].priority != view->flows[0].priority) {
            break;
        }
        if (view->flows[i].tenant > self->last_tenant) {
            return i;
        }
    }
    return 0;
}

static int32_t bands_next(void *state, const struct admit_view *view)
{
    const struct bands *self = state;
    if (!has_room(self, view, view->flows[0].priority)) {
        return -1;
    }
    return (int32_t)(self->turns ? next_in_turn(self, view) : earliest(view));
}

static void bands_on_dispatch(void *state, const struct admit_request *request)
{
    struct bands *self = state;
    self->last_tenant = request->tenant;
}

static const char *const aliases[] = {"priority_bands", NULL};

static const struct policy_param params[] = {
    [PARAM_BAND_MAX] = {.name = "band_max",
                        .kind = PARAM_U64,
                        .default_value = 5000,
                        .max = 1e9,
                        .help =
                            "requests that may wait in one band (one priority); one "
                            "more is turned away with 429"},
    [PARAM_QUEUE_TIMEOUT_S] = {.name = "queue_timeout_s",
                               .kind = PARAM_F64,
                               .max = 1e6,
                               .help = "seconds that a request may wait before it is "
                                       "turned away with 503; 0: without end"},
    [PARAM_TURNS] = {.name = "turns",
                     .kind = PARAM_BOOL,
                     .max = 1,
                     .help = "1: the tenants of a band take turns; 0: one order of "
                             "arrival over all of them"},
    [PARAM_CEILING] = {.name = "ceiling",
                       .kind = PARAM_F64,
                       .default_value = 1,
                       .min = 0.001,
                       .max = 1e6,
                       .help = "saturation from which on nobody is let in"},
    [PARAM_SHEDDABLE_FROM] = {.name = "sheddable_from",
                              .kind = PARAM_F64,
                              .default_value = 1,
                              .min = -2147483648.0,
                              .max = 2147483647.0,
                              .help = "priorities from here on (less urgent) have a "
                                      "ceiling of their own"},
    [PARAM_SHEDDABLE_CEILING] = {.name = "sheddable_ceiling",
                                 .kind = PARAM_F64,
                                 .default_value = 1,
                                 .min = 0.001,
                                 .max = 1e6,
                                 .help = "their ceiling, if lower"},
    SATURATION_PARAM_TABLE(PARAM_DETECTOR, SATURATION_METRICS),
    {.name = NULL},
};

const struct admit_policy admit_flow_control = {
    .name = "flow_control",
    .aliases = aliases,
    .help = "Bands of priority with bounded queues, the most urgent first.",
    .source = "llm-d/llm-d-inference-scheduler:pkg/epp/flowcontrol",
    .breaks =
        "a steady urgent band starves those below; with scraped metrics (detector "
        "0) all that arrives between two scrapes slips in at each dip, so use "
        "detector 1 or 2",
    .needs = NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct bands),
    .init = bands_init,
    .arrive = bands_arrive,
    .next = bands_next,
    .on_dispatch = bands_on_dispatch,
};
