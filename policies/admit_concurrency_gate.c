/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_concurrency_gate.c: so many requests in flight, the others in one queue.
 *
 * Order is that of arrival over all flows: the gate knows neither tenants nor
 * priorities. SGLang builds it from a token bucket that ends give back to and that also
 * refills with time, so that its cap is exceeded by long requests; here the cap holds.
 */
#include "policies/registry.h"

enum { PARAM_TOTAL_MAX, PARAM_ENDPOINT_MAX, PARAM_QUEUE_MAX, PARAM_QUEUE_TIMEOUT_S };

struct gate {
    uint64_t total_max;
    uint64_t endpoint_max;
    uint64_t queue_max;
    int64_t timeout_ns;
};

static bool gate_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct gate *self = state;
    self->total_max = (uint64_t)setup->values[PARAM_TOTAL_MAX];
    self->endpoint_max = (uint64_t)setup->values[PARAM_ENDPOINT_MAX];
    self->queue_max = (uint64_t)setup->values[PARAM_QUEUE_MAX];
    self->timeout_ns = (int64_t)(setup->values[PARAM_QUEUE_TIMEOUT_S] * 1e9);
    return true;
}

static bool has_room(const struct gate *self, const struct admit_view *view)
{
    const uint64_t inflight = view->inflight_requests;
    return (self->total_max == 0 || inflight < self->total_max) &&
           (self->endpoint_max == 0 ||
            inflight < self->endpoint_max * view->cluster->count);
}

static struct admit_decision gate_arrive(void *state, const struct admit_view *view,
                                         const struct admit_request *request)
{
    (void)request;
    const struct gate *self = state;
    if (view->waiting == 0 && has_room(self, view)) {
        return (struct admit_decision){.verdict = ADMIT_PASS};
    }
    if (view->waiting >= self->queue_max) {
        return (struct admit_decision){.verdict = ADMIT_REJECT,
                                       .reason = ADMIT_REASON_QUEUE_FULL};
    }
    return (struct admit_decision){.verdict = ADMIT_QUEUE,
                                   .reason = ADMIT_REASON_WAITS,
                                   .timeout_ns = self->timeout_ns};
}

static int32_t gate_next(void *state, const struct admit_view *view)
{
    if (!has_room(state, view)) {
        return -1;
    }
    uint32_t first = 0;
    for (uint32_t i = 1; i < view->flow_count; i++) {
        const struct admit_request *head = &view->flows[i].head;
        const struct admit_request *best = &view->flows[first].head;
        const bool earlier = head->arrival_ns != best->arrival_ns
                                 ? head->arrival_ns < best->arrival_ns
                                 : head->request_id < best->request_id;
        first = earlier ? i : first;
    }
    return (int32_t)first;
}

static const char *const aliases[] = {"concurrency", NULL};

static const struct policy_param params[] = {
    [PARAM_TOTAL_MAX] = {.name = "total_max",
                         .kind = PARAM_U64,
                         .max = 1e9,
                         .help =
                             "requests in flight at most, over all endpoints; 0: no "
                             "bound"},
    [PARAM_ENDPOINT_MAX] = {.name = "endpoint_max",
                            .kind = PARAM_U64,
                            .max = 1e6,
                            .help = "requests in flight at most, times endpoints that "
                                    "accept; 0: no bound"},
    [PARAM_QUEUE_MAX] = {.name = "queue_max",
                         .kind = PARAM_U64,
                         .default_value = 100,
                         .max = 1e9,
                         .help = "requests that may wait; one more is turned away with "
                                 "429"},
    [PARAM_QUEUE_TIMEOUT_S] = {.name = "queue_timeout_s",
                               .kind = PARAM_F64,
                               .default_value = 60,
                               .max = 1e6,
                               .help = "seconds that a request may wait before it is "
                                       "turned away with 503; 0: without end"},
    {.name = NULL},
};

const struct admit_policy admit_concurrency_gate = {
    .name = "concurrency_gate",
    .aliases = aliases,
    .help = "So many requests in flight; the others wait in order of arrival.",
    .source =
        "sgl-project/sglang:sgl-model-gateway (max_concurrent_requests, queue_size, "
        "queue_timeout_secs)",
    .breaks =
        "one tenant's flood fills the queue that all share; a cap too low for the "
        "engines' batches idles them, one too high queues in the engines",
    .params = params,
    .state_bytes = sizeof(struct gate),
    .init = gate_init,
    .arrive = gate_arrive,
    .next = gate_next,
};
