/* SPDX-License-Identifier: Apache-2.0
 *
 * rank_balance.c: as DPLBAsyncMPClient of vLLM 0.19 (v1/engine/core_client.py): the
 * rank with the least 4 x waiting + running of the last publication, the first among
 * equals; what was sent since then counts as waiting.
 */
#include "cli/validate/rank_balance.h"

static const double waiting_weight = 4.0;

struct rank {
    int64_t published_ns; /* that sent counts from */
    uint64_t sent;
};

struct rank_balance {
    struct policy_memory memory;
    struct rank *ranks; /* by endpoint id */
    uint32_t capacity;
};

static bool rank_balance_init(void *state, const struct policy_setup *setup,
                              struct err *err)
{
    (void)err;
    struct rank_balance *self = state;
    self->memory = setup->memory;
    return true;
}

static void rank_balance_fini(void *state)
{
    struct rank_balance *self = state;
    (void)self->memory.resize(self->memory.context, self->ranks, 0);
    self->ranks = NULL;
}

static void rank_balance_changed(void *state, enum endpoint_change change,
                                 const struct endpoint_view *endpoint)
{
    struct rank_balance *self = state;
    if (change != ENDPOINT_JOINED) {
        return;
    }
    if (endpoint->id >= self->capacity) {
        const uint32_t capacity = 2 * endpoint->id + 2;
        self->ranks = self->memory.resize(self->memory.context, self->ranks,
                                          capacity * sizeof(struct rank));
        self->capacity = capacity;
    }
    self->ranks[endpoint->id] = (struct rank){0};
}

static double score_of(const struct rank_balance *self,
                       const struct endpoint_view *endpoint)
{
    const struct rank *rank = &self->ranks[endpoint->id];
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    const bool fresh = metrics->scraped_ns > rank->published_ns;
    const uint64_t sent = fresh ? 0 : rank->sent;
    return waiting_weight * ((double)metrics->waiting_requests + (double)sent) +
           metrics->running_requests;
}

static struct route_decision rank_balance_pick(void *state,
                                               const struct cluster_view *view,
                                               const struct request_view *request)
{
    (void)request;
    const struct rank_balance *self = state;
    uint32_t best = 0;
    double least = score_of(self, view->endpoints[0]);
    for (uint32_t i = 1; i < view->count; i++) {
        const double score = score_of(self, view->endpoints[i]);
        if (score < least) {
            least = score;
            best = i;
        }
    }
    return (struct route_decision){
        .endpoint = (int32_t)best,
        .reason = REASON_LEAST_LOADED,
        .candidates = view->count,
        .score = least,
    };
}

static void rank_balance_routed(void *state, const struct cluster_view *view,
                                const struct request_view *request,
                                const struct route_decision *decision)
{
    (void)request;
    struct rank_balance *self = state;
    const struct endpoint_view *endpoint = view->endpoints[decision->endpoint];
    struct rank *rank = &self->ranks[endpoint->id];
    if (endpoint->metrics.scraped_ns > rank->published_ns) {
        rank->published_ns = endpoint->metrics.scraped_ns;
        rank->sent = 0;
    }
    rank->sent++;
}

const struct route_policy rank_balance = {
    .name = "vllm_ranks",
    .help = "vLLM's own choice of a data-parallel rank.",
    .source = "vllm-project/vllm:v1/engine/core_client.py",
    .needs = NEED_METRICS,
    .state_bytes = sizeof(struct rank_balance),
    .init = rank_balance_init,
    .fini = rank_balance_fini,
    .pick = rank_balance_pick,
    .on_route = rank_balance_routed,
    .on_endpoint_change = rank_balance_changed,
};
