/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_vtc.c: Virtual Token Counter: the tenant that was served least goes next
 * (Sheng et al., OSDI'24; Ying1123/VTC-artifact vtc_req_queue.py; spec/policies.md F1).
 *
 * Each tenant's counter grows by its prompt tokens when a request goes on and by its
 * output tokens as they come. A tenant that starts to wait is lifted to the least of
 * those that wait, so that idle time earns nothing. Among tenants that keep waiting,
 * counters differ by at most 2 * max(input_weight * longest prompt, output_weight *
 * tokens that can be in flight). A counter orders waiting requests: with a gate that
 * never closes there is nothing to order. Priorities come first: counters decide within
 * the most urgent one that waits.
 *
 * Outputs are charged as they are seen. With `predict` the predicted output is charged
 * at once and set right at the end, as in the paper's variant.
 */
#include "policies/registry.h"
#include "policies/saturation.h"

enum {
    PARAM_INPUT_WEIGHT,
    PARAM_OUTPUT_WEIGHT,
    PARAM_PREDICT,
    PARAM_QUEUE_MAX,
    PARAM_QUEUE_TIMEOUT_S,
    PARAM_DETECTOR,
};

struct vtc {
    struct saturation saturation;
    struct policy_memory memory;
    double *counters; /* by tenant */
    uint32_t capacity;
    uint32_t last_left; /* tenant that was let in last */
    double input_weight;
    double output_weight;
    uint64_t queue_max;
    int64_t timeout_ns;
    bool predict;
};

static bool vtc_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    const double *values = setup->values;
    struct vtc *self = state;
    self->memory = setup->memory;
    self->input_weight = values[PARAM_INPUT_WEIGHT];
    self->output_weight = values[PARAM_OUTPUT_WEIGHT];
    self->predict = values[PARAM_PREDICT] != 0;
    self->queue_max = (uint64_t)values[PARAM_QUEUE_MAX];
    self->timeout_ns = (int64_t)(values[PARAM_QUEUE_TIMEOUT_S] * 1e9);
    saturation_init(&self->saturation, values + PARAM_DETECTOR);
    return true;
}

static void vtc_fini(void *state)
{
    struct vtc *self = state;
    if (self->counters != NULL) {
        self->memory.resize(self->memory.context, self->counters, 0);
    }
}

/* Tenants are dense and bounded by the host, and so are the counters. */
static double *counter_of(struct vtc *self, uint32_t tenant)
{
    if (tenant >= self->capacity) {
        const uint32_t capacity = 2 * tenant + 16;
        self->counters = self->memory.resize(self->memory.context, self->counters,
                                             capacity * sizeof *self->counters);
        for (uint32_t i = self->capacity; i < capacity; i++) {
            self->counters[i] = 0.0;
        }
        self->capacity = capacity;
    }
    return &self->counters[tenant];
}

static void lift(struct vtc *self, const struct admit_view *view, uint32_t tenant)
{
    double least = view->flow_count > 0 ? *counter_of(self, view->flows[0].tenant)
                                        : *counter_of(self, self->last_left);
    for (uint32_t i = 0; i < view->flow_count; i++) {
        if (view->flows[i].tenant == tenant) {
            return; /* waits already */
        }
        const double counter = *counter_of(self, view->flows[i].tenant);
        least = counter < least ? counter : least;
    }
    double *counter = counter_of(self, tenant);
    *counter = *counter < least ? least : *counter;
}

static struct admit_decision vtc_arrive(void *state, const struct admit_view *view,
                                        const struct admit_request *request)
{
    struct vtc *self = state;
    const bool waits =
        view->waiting > 0 || saturation_now(&self->saturation, view) >= 1.0;
    if (waits && view->waiting >= self->queue_max) {
        return (struct admit_decision){.verdict = ADMIT_REJECT,
                                       .reason = ADMIT_REASON_QUEUE_FULL};
    }
    lift(self, view, request->tenant);
    if (!waits) {
        return (struct admit_decision){.verdict = ADMIT_PASS};
    }
    return (struct admit_decision){.verdict = ADMIT_QUEUE,
                                   .reason = ADMIT_REASON_WAITS,
                                   .timeout_ns = self->timeout_ns};
}

static int32_t vtc_next(void *state, const struct admit_view *view)
{
    struct vtc *self = state;
    if (saturation_now(&self->saturation, view) >= 1.0) {
        return -1;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < view->flow_count; i++) {
        if (view->flows[i].priority != view->flows[0].priority) {
            break;
        }
        if (*counter_of(self, view->flows[i].tenant) <
            *counter_of(self, view->flows[best].tenant)) {
            best = i;
        }
    }
    return (int32_t)best;
}

static void vtc_on_dispatch(void *state, const struct admit_request *request)
{
    struct vtc *self = state;
    *counter_of(self, request->tenant) += self->input_weight * request->prompt_tokens;
    if (self->predict) {
        *counter_of(self, request->tenant) +=
            self->output_weight * request->output_tokens_guess;
    }
    self->last_left = request->tenant;
}

static void vtc_on_tokens(void *state, const struct admit_request *request,
                          uint32_t tokens)
{
    struct vtc *self = state;
    if (!self->predict) {
        *counter_of(self, request->tenant) += self->output_weight * tokens;
    }
}

static void vtc_on_end(void *state, const struct admit_request *request,
                       uint32_t output_tokens)
{
    struct vtc *self = state;
    if (self->predict) {
        *counter_of(self, request->tenant) +=
            self->output_weight *
            ((double)output_tokens - request->output_tokens_guess);
    }
}

static size_t vtc_memory_bytes(const void *state)
{
    const struct vtc *self = state;
    return self->capacity * sizeof *self->counters;
}

static const char *const aliases[] = {"virtual_token_counter", NULL};

static const struct policy_param params[] = {
    [PARAM_INPUT_WEIGHT] = {.name = "input_weight",
                            .kind = PARAM_F64,
                            .default_value = 1,
                            .max = 1e6,
                            .help = "what a prompt token counts"},
    [PARAM_OUTPUT_WEIGHT] = {.name = "output_weight",
                             .kind = PARAM_F64,
                             .default_value = 2,
                             .max = 1e6,
                             .help = "what an output token counts"},
    [PARAM_PREDICT] = {.name = "predict",
                       .kind = PARAM_BOOL,
                       .max = 1,
                       .help =
                           "1: the predicted output counts from the start and is set "
                           "right at the end; 0: outputs count as they are seen"},
    [PARAM_QUEUE_MAX] = {.name = "queue_max",
                         .kind = PARAM_U64,
                         .default_value = 5000,
                         .max = 1e9,
                         .help = "requests that may wait, of all tenants; one more is "
                                 "turned away with 429"},
    [PARAM_QUEUE_TIMEOUT_S] = {.name = "queue_timeout_s",
                               .kind = PARAM_F64,
                               .max = 1e6,
                               .help = "seconds that a request may wait before it is "
                                       "turned away with 503; 0: without end"},
    SATURATION_PARAM_TABLE(PARAM_DETECTOR, SATURATION_REQUESTS),
    {.name = NULL},
};

const struct admit_policy admit_vtc = {
    .name = "vtc",
    .aliases = aliases,
    .help = "The tenant that was served the fewest tokens goes next.",
    .source =
        "Ying1123/VTC-artifact:slora/server/router/vtc_req_queue.py; Sheng et al., "
        "OSDI'24",
    .breaks =
        "orders nothing while the gate is open (engines that queue deep hide the "
        "backlog); all tenants share queue_max, so a flood can fill it; charges "
        "whole prompts, whatever a prefix cache saves; many names are many shares",
    .needs = NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct vtc),
    .init = vtc_init,
    .fini = vtc_fini,
    .arrive = vtc_arrive,
    .next = vtc_next,
    .on_dispatch = vtc_on_dispatch,
    .on_tokens = vtc_on_tokens,
    .on_end = vtc_on_end,
    .memory_bytes = vtc_memory_bytes,
};
