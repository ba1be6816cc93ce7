/* SPDX-License-Identifier: Apache-2.0
 *
 * route_prefix_stddev.c: the longest prefix among those that are not overloaded.
 *
 *     if most - least in flight > imbalance_abs:  only those with the least are matched
 *     of the holders of any block of the prompt whose requests in flight are within
 *         mean + stddev_factor * standard deviation (n - 1 form, of all candidates)
 *     the one with the longest prefix, then the fewest in flight, then one at random;
 *     no such holder: one of those with the fewest in flight, at random
 *
 * As AIBrix prefix-cache. Its blocks are 4 bytes of text, ours those of the engine; its
 * store is one LRU of 200,000 blocks for all endpoints with a life of 20 minutes, ours
 * keeps for each endpoint as many blocks as that has and knows no age: an engine
 * forgets by need, not by time. Its shuffle and sort are a single pass here.
 */
#include "policies/choose.h"
#include "policies/prefix_hits.h"
#include "policies/registry.h"

#include <math.h>

enum { PARAM_IMBALANCE_ABS, PARAM_STDDEV_FACTOR, PARAM_INDEX_BLOCKS };

struct prefix_stddev {
    struct tie_breaker breaker;
    struct prefix_hits hits;
    uint32_t imbalance_abs;
    double stddev_factor;
};

/* Of the requests in flight. */
struct spread {
    uint32_t least;
    uint32_t most;
    double bound; /* of a holder */
};

static bool prefix_stddev_init(void *state, const struct policy_setup *setup,
                               struct err *err)
{
    (void)err;
    struct prefix_stddev *self = state;
    self->breaker = (struct tie_breaker){.rule = TIE_RANDOM, .rng = setup->rng};
    self->imbalance_abs = (uint32_t)setup->values[PARAM_IMBALANCE_ABS];
    self->stddev_factor = setup->values[PARAM_STDDEV_FACTOR];
    prefix_hits_init(&self->hits, &setup->memory,
                     (uint32_t)setup->values[PARAM_INDEX_BLOCKS]);
    return true;
}

static void prefix_stddev_fini(void *state)
{
    struct prefix_stddev *self = state;
    prefix_hits_fini(&self->hits);
}

static struct spread spread_of(const struct prefix_stddev *self,
                               const struct cluster_view *view)
{
    struct spread spread = {.least = UINT32_MAX};
    double sum = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const uint32_t here = view->inflight[i];
        spread.least = here < spread.least ? here : spread.least;
        spread.most = here > spread.most ? here : spread.most;
        sum += here;
    }
    const double mean = sum / view->count;
    double squares = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const double off = view->inflight[i] - mean;
        squares += off * off;
    }
    const double deviation = view->count > 1 ? sqrt(squares / (view->count - 1)) : 0;
    spread.bound = mean + self->stddev_factor * deviation;
    return spread;
}

/* One cost that orders by prefix first and load second: both are whole numbers, and
 * requests in flight stay below 2^20. */
static double rank_of(uint32_t blocks, uint32_t inflight)
{
    return -(double)blocks * (1 << 20) + inflight;
}

static struct route_decision prefix_stddev_pick(void *state,
                                                const struct cluster_view *view,
                                                const struct request_view *request)
{
    struct prefix_stddev *self = state;
    const uint32_t *blocks = prefix_hits_of(&self->hits, view, request);
    const struct spread spread = spread_of(self, view);
    const bool imbalanced = spread.most - spread.least > self->imbalance_abs;
    struct cluster_view quiet = *view;
    quiet.scores = NULL; /* the rank says nothing to a reader */
    struct choice choice = choice_begin(&self->breaker, &quiet);
    for (uint32_t i = 0; i < view->count; i++) {
        const bool within = view->inflight[i] <= spread.bound &&
                            (!imbalanced || view->inflight[i] == spread.least);
        if (view->scores != NULL) {
            view->scores[i] = within ? blocks[i] : (double)NAN;
        }
        if (within && blocks[i] > 0) {
            choice_offer(&choice, rank_of(blocks[i], view->inflight[i]), i);
        }
    }
    if (choice.offered == 0) {
        return choose_least_loaded(&quiet, &self->breaker,
                                   imbalanced ? REASON_IMBALANCED : REASON_NO_PREFIX);
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_PREFIX,
        .candidates = choice.offered,
        .matched_length = blocks[choice.index],
        .score = blocks[choice.index],
    };
}

static void prefix_stddev_on_route(void *state, const struct cluster_view *view,
                                   const struct request_view *request,
                                   const struct route_decision *decision)
{
    struct prefix_stddev *self = state;
    prefix_hits_on_route(&self->hits, view, request, decision);
}

static void prefix_stddev_on_endpoint_change(void *state, enum endpoint_change change,
                                             const struct endpoint_view *endpoint)
{
    struct prefix_stddev *self = state;
    prefix_hits_on_endpoint_change(&self->hits, change, endpoint);
}

static void prefix_stddev_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    struct prefix_stddev *self = state;
    prefix_hits_on_metrics(&self->hits, endpoint);
}

static size_t prefix_stddev_memory_bytes(const void *state)
{
    const struct prefix_stddev *self = state;
    return prefix_hits_bytes(&self->hits);
}

static const struct policy_param params[] = {
    [PARAM_IMBALANCE_ABS] = {.name = "imbalance_abs",
                             .kind = PARAM_U64,
                             .default_value = 8,
                             .max = 1e6,
                             .help = "requests: when most and fewest in flight lie "
                                     "further apart, only those with the fewest are "
                                     "matched"},
    [PARAM_STDDEV_FACTOR] = {.name = "stddev_factor",
                             .kind = PARAM_F64,
                             .default_value = 1,
                             .max = 1e6,
                             .help = "a holder may have the mean plus so many standard "
                                     "deviations in flight"},
    [PARAM_INDEX_BLOCKS] = INDEX_BLOCKS_PARAM,
    {.name = NULL},
};

const struct route_policy route_prefix_stddev = {
    .name = "prefix_stddev",
    .help = "The longest prefix among those within a standard deviation of the load.",
    .source = "vllm-project/aibrix:pkg/plugins/gateway/algorithms/prefix_cache.go",
    .breaks = "high concurrency: the absolute gate is always open and affinity is "
              "gone; on an idle fleet the first hot prefix moves with every request",
    .score_help = "leading KV blocks sent there, the most win; none when overloaded",
    .match_unit = "KV blocks",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct prefix_stddev),
    .init = prefix_stddev_init,
    .fini = prefix_stddev_fini,
    .pick = prefix_stddev_pick,
    .on_route = prefix_stddev_on_route,
    .on_endpoint_change = prefix_stddev_on_endpoint_change,
    .on_metrics = prefix_stddev_on_metrics,
    .memory_bytes = prefix_stddev_memory_bytes,
};
