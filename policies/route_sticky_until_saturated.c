/* SPDX-License-Identifier: Apache-2.0
 *
 * route_sticky_until_saturated.c: stay with the holders of the prefix until their queue
 * of prefill is a given time longer than that of the others (llm-d's default of 2026).
 *
 *     holders = endpoints that were sent affinity_min of the prompt's blocks
 *     if the shortest queue of a holder exceeds the shortest of the others by more than
 *     prefill_tokens_per_s * release_s tokens, or nobody holds it: everybody competes,
 *     else only the holders
 *     the least queue + tokens that this prompt still needs there wins
 *
 * A queue is the uncached prompt tokens of requests without a first token: what is left
 * to compute, as far as this gateway knows. Nothing scraped enters but the size of the
 * engines' caches, so age of metrics does not matter. A threshold in time, not in a mix
 * of scores: affinity is worth waiting for, up to what computing the prefix would cost.
 */
#include "policies/attempts.h"
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/prefix_hits.h"
#include "policies/registry.h"

enum {
    PARAM_AFFINITY_MIN,
    PARAM_PREFILL_RATE,
    PARAM_RELEASE,
    PARAM_EXPLORE,
    PARAM_DECODE_BOUND,
    PARAM_INDEX_BLOCKS,
    PARAM_TIE,
};

struct sticky {
    struct tie_breaker breaker;
    double affinity_min;
    double release_tokens; /* 0 = never */
    double explore_ratio;
    bool decode_bound;
    struct prefix_hits hits;
    struct id_table queued; /* uint64_t uncached tokens without a first token */
    struct attempts attempts;
};

static bool sticky_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct sticky *self = state;
    const double *values = setup->values;
    self->breaker = (struct tie_breaker){.rule = (enum tie_rule)values[PARAM_TIE],
                                         .rng = setup->rng};
    self->affinity_min = values[PARAM_AFFINITY_MIN];
    self->release_tokens = values[PARAM_PREFILL_RATE] * values[PARAM_RELEASE];
    self->explore_ratio = values[PARAM_EXPLORE];
    self->decode_bound = values[PARAM_DECODE_BOUND] != 0;
    prefix_hits_init(&self->hits, &setup->memory, (uint32_t)values[PARAM_INDEX_BLOCKS]);
    id_table_init(&self->queued, &setup->memory, sizeof(uint64_t));
    attempts_init(&self->attempts, &setup->memory);
    return true;
}

static void sticky_fini(void *state)
{
    struct sticky *self = state;
    prefix_hits_fini(&self->hits);
    id_table_fini(&self->queued);
    attempts_fini(&self->attempts);
}

/* ---- the decision --------------------------------------------------------------- */

/* What one decision looks at. */
struct scene {
    const struct cluster_view *view;
    const struct request_view *request;
    const uint32_t *blocks; /* of the prompt that the candidate holds, by index */
    const uint64_t *queued; /* by id */
    double affinity_min;
};

static bool is_holder(const struct scene *scene, uint32_t index)
{
    const double blocks = scene->blocks[index];
    return blocks > 0 && blocks / scene->request->block_count >= scene->affinity_min;
}

static enum route_reason competition(struct sticky *self, const struct scene *scene)
{
    const struct cluster_view *view = scene->view;
    uint64_t least_holding = UINT64_MAX;
    uint64_t least_other = UINT64_MAX;
    for (uint32_t i = 0; i < view->count; i++) {
        uint64_t *least = is_holder(scene, i) ? &least_holding : &least_other;
        const uint64_t queued = scene->queued[view->endpoints[i]->id];
        *least = queued < *least ? queued : *least;
    }
    if (least_holding == UINT64_MAX) {
        return REASON_NO_PREFIX;
    }
    if (self->explore_ratio > 0 && rng_unit(self->breaker.rng) < self->explore_ratio) {
        return REASON_LEAST_WORK;
    }
    const bool saturated = self->release_tokens > 0 && least_holding > least_other &&
                           (double)(least_holding - least_other) > self->release_tokens;
    return saturated ? REASON_SATURATED : REASON_PREFIX;
}

static double cost_of(const struct sticky *self, const struct scene *scene,
                      uint32_t index)
{
    if (self->decode_bound) {
        return scene->view->inflight[index];
    }
    const uint64_t queued = scene->queued[scene->view->endpoints[index]->id];
    return (double)queued + prefix_miss_tokens(scene->request, scene->blocks[index]);
}

static struct route_decision sticky_pick(void *state, const struct cluster_view *view,
                                         const struct request_view *request)
{
    struct sticky *self = state;
    const struct scene scene = {
        .view = view,
        .request = request,
        .blocks = prefix_hits_of(&self->hits, view, request),
        .queued = id_table_items(&self->queued, view->id_count),
        .affinity_min = self->affinity_min,
    };
    const enum route_reason reason = competition(self, &scene);
    struct choice choice = choice_begin(&self->breaker, view);
    for (uint32_t i = 0; i < view->count; i++) {
        if (reason != REASON_PREFIX || is_holder(&scene, i)) {
            choice_offer(&choice, cost_of(self, &scene, i), i);
        }
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = reason,
        .candidates = choice.offered,
        .matched_length = scene.blocks[choice.index],
        .score = choice.cost,
    };
}

/* ---- callbacks ------------------------------------------------------------------ */

static void sticky_on_route(void *state, const struct cluster_view *view,
                            const struct request_view *request,
                            const struct route_decision *decision)
{
    struct sticky *self = state;
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    const uint64_t uncached =
        (uint64_t)(prefix_miss_tokens(request, decision->matched_length) + 0.5);
    prefix_hits_on_route(&self->hits, view, request, decision);
    if (uncached > 0) {
        uint64_t *queued = id_table_items(&self->queued, view->id_count);
        queued[id] += uncached;
        attempts_open(&self->attempts, request->request_id, id,
                      (struct attempt_note){.prefill_tokens = uncached});
    }
}

/* Prefill is over, or never will be: at the first token, else at the end. */
static void release(struct sticky *self, uint64_t request_id, uint32_t endpoint_id)
{
    uint64_t *queued = id_table_items(&self->queued, endpoint_id + 1);
    queued[endpoint_id] -=
        attempts_close(&self->attempts, request_id, endpoint_id).prefill_tokens;
}

static void sticky_on_first_token(void *state, int64_t now_ns, uint64_t request_id,
                                  uint32_t endpoint_id)
{
    (void)now_ns;
    release(state, request_id, endpoint_id);
}

static void sticky_on_end(void *state, int64_t now_ns, const struct attempt_end *end)
{
    (void)now_ns;
    release(state, end->request_id, end->endpoint_id);
}

static void sticky_on_endpoint_change(void *state, enum endpoint_change change,
                                      const struct endpoint_view *endpoint)
{
    struct sticky *self = state;
    prefix_hits_on_endpoint_change(&self->hits, change, endpoint);
}

static void sticky_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    struct sticky *self = state;
    prefix_hits_on_metrics(&self->hits, endpoint);
}

static size_t sticky_memory_bytes(const void *state)
{
    const struct sticky *self = state;
    return prefix_hits_bytes(&self->hits) + id_table_bytes(&self->queued) +
           attempts_bytes(&self->attempts);
}

/* ---- tables --------------------------------------------------------------------- */

static const struct policy_param params[] = {
    [PARAM_AFFINITY_MIN] = {.name = "affinity_min",
                            .kind = PARAM_F64,
                            .default_value = 0.8,
                            .max = 1,
                            .help = "who was sent this part of the prompt's blocks, "
                                    "and one at least, is a holder"},
    [PARAM_PREFILL_RATE] = {.name = "prefill_tokens_per_s",
                            .kind = PARAM_F64,
                            .default_value = 15928,
                            .min = 1,
                            .max = 1e9,
                            .help = "peak of an engine: max_num_batched_tokens over "
                                    "the time of a step of that many"},
    [PARAM_RELEASE] = {.name = "release_s",
                       .kind = PARAM_F64,
                       .default_value = 18,
                       .max = 1e6,
                       .help = "holders are left when their shortest queue is this "
                               "much longer than that of the others; 0: never"},
    [PARAM_EXPLORE] = {.name = "explore_ratio",
                       .kind = PARAM_F64,
                       .max = 1,
                       .help = "of the decisions, in which everybody competes although "
                               "there are holders (0.01 in older releases)"},
    [PARAM_DECODE_BOUND] = {.name = "decode_bound",
                            .kind = PARAM_BOOL,
                            .max = 1,
                            .help = "1: the fewest requests in flight win; 0: the "
                                    "least prefill"},
    [PARAM_INDEX_BLOCKS] = INDEX_BLOCKS_PARAM,
    [PARAM_TIE] = TIE_PARAM(TIE_RANDOM),
    {.name = NULL},
};

const struct route_policy route_sticky_until_saturated = {
    .name = "sticky_until_saturated",
    .help = "Holders of the prefix until their prefill queue is too long, then anybody "
            "(extension).",
    .source = "llm-d: affinity filter and token-load scorer, blog of 2026-08-17",
    .breaks = "a bound that is small against a prompt: prefixes drive each other out "
              "in turn; decode-bound engines, whose prefill queues say nothing",
    .score_help = "tokens to prefill first, this prompt's included (with decode_bound: "
                  "requests in flight); the fewest win",
    .match_unit = "KV blocks",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct sticky),
    .init = sticky_init,
    .fini = sticky_fini,
    .pick = sticky_pick,
    .on_route = sticky_on_route,
    .on_first_token = sticky_on_first_token,
    .on_end = sticky_on_end,
    .on_endpoint_change = sticky_on_endpoint_change,
    .on_metrics = sticky_on_metrics,
    .memory_bytes = sticky_memory_bytes,
};
