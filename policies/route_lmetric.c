/* SPDX-License-Identifier: Apache-2.0
 *
 * route_lmetric.c: least product of the tokens to prefill and the batch to join.
 *
 *     cost(e) = miss_tokens(e) * (batch(e) + 1)
 *
 * The product needs no weight between affinity and balance, and so no tuning (LMetric).
 * Equal costs go to the fewest requests in flight, then to the fewest prompt tokens
 * without a first token, then to the first in discovery order. A prompt that several
 * endpoints have whole costs 0 at each of them, and the batch decides by that rule.
 *
 * The batch is what this gateway has in flight there, waiting and running, so it is
 * exact and of now. The hit is approximate: what was sent there (prefix_hits.h). SGLang
 * counts characters, we count tokens; only the scale differs.
 */
#include "policies/prefix_hits.h"
#include "policies/registry.h"

enum { PARAM_INDEX_BLOCKS };

struct lmetric {
    struct prefix_hits hits;
};

static bool lmetric_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct lmetric *self = state;
    prefix_hits_init(&self->hits, &setup->memory,
                     (uint32_t)setup->values[PARAM_INDEX_BLOCKS]);
    return true;
}

static void lmetric_fini(void *state)
{
    struct lmetric *self = state;
    prefix_hits_fini(&self->hits);
}

static bool lighter(const struct cluster_view *view, uint32_t index, uint32_t than)
{
    if (view->inflight[index] != view->inflight[than]) {
        return view->inflight[index] < view->inflight[than];
    }
    return view->endpoints[index]->inflight_prompt_tokens <
           view->endpoints[than]->inflight_prompt_tokens;
}

static struct route_decision lmetric_pick(void *state, const struct cluster_view *view,
                                          const struct request_view *request)
{
    struct lmetric *self = state;
    const uint32_t *blocks = prefix_hits_of(&self->hits, view, request);
    uint32_t best = 0;
    double least = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const double cost =
            prefix_miss_tokens(request, blocks[i]) * ((double)view->inflight[i] + 1);
        if (view->scores != NULL) {
            view->scores[i] = cost;
        }
        if (i == 0 || cost < least || (cost == least && lighter(view, i, best))) {
            best = i;
            least = cost;
        }
    }
    return (struct route_decision){
        .endpoint = (int32_t)best,
        .reason = REASON_SCORED,
        .candidates = view->count,
        .matched_length = blocks[best],
        .score = least,
    };
}

static void lmetric_on_route(void *state, const struct cluster_view *view,
                             const struct request_view *request,
                             const struct route_decision *decision)
{
    struct lmetric *self = state;
    prefix_hits_on_route(&self->hits, view, request, decision);
}

static void lmetric_on_endpoint_change(void *state, enum endpoint_change change,
                                       const struct endpoint_view *endpoint)
{
    struct lmetric *self = state;
    prefix_hits_on_endpoint_change(&self->hits, change, endpoint);
}

static void lmetric_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    struct lmetric *self = state;
    prefix_hits_on_metrics(&self->hits, endpoint);
}

static size_t lmetric_memory_bytes(const void *state)
{
    const struct lmetric *self = state;
    return prefix_hits_bytes(&self->hits);
}

static const struct policy_param params[] = {
    [PARAM_INDEX_BLOCKS] = INDEX_BLOCKS_PARAM,
    {.name = NULL},
};

const struct route_policy route_lmetric = {
    .name = "lmetric",
    .help = "Least product of prompt tokens to compute and requests in flight.",
    .source = "arXiv 2603.15202",
    .breaks = "long outputs (a request in its last decode steps counts as a new one); "
              "an endpoint that fails fast; unknown prompts, where it is "
              "least_request",
    .score_help = "tokens to prefill times (requests in flight + 1), the least wins",
    .match_unit = "KV blocks",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct lmetric),
    .init = lmetric_init,
    .fini = lmetric_fini,
    .pick = lmetric_pick,
    .on_route = lmetric_on_route,
    .on_endpoint_change = lmetric_on_endpoint_change,
    .on_metrics = lmetric_on_metrics,
    .memory_bytes = lmetric_memory_bytes,
};
