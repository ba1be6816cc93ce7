/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.c: one pass that keeps the best so far.
 *
 * At random among equals is a reservoir of one: the k-th of them replaces the winner
 * with probability 1/k. A second pass would draw once instead of k times, but would
 * need every cost again.
 */
#include "policies/choose.h"

#include "base/hash.h"

#include <string.h>

static uint64_t url_hash(const struct choice *choice, uint32_t index)
{
    const char *url = choice->view->endpoints[index]->url;
    return hash_xxh64(url, strlen(url), 0);
}

static bool lighter(struct choice *choice, uint32_t index)
{
    const uint32_t *inflight = choice->view->inflight;
    if (inflight[index] != inflight[choice->index]) {
        choice->equal = inflight[index] < inflight[choice->index] ? 1 : choice->equal;
        return inflight[index] < inflight[choice->index];
    }
    return rng_below(choice->breaker->rng, ++choice->equal) == 0;
}

bool choice_tie(struct choice *choice, uint32_t index)
{
    switch (choice->breaker->rule) {
    case TIE_FIRST:
        return false;
    case TIE_LAST:
        return true;
    case TIE_RANDOM:
        return rng_below(choice->breaker->rng, ++choice->equal) == 0;
    case TIE_LEAST_LOAD:
        return lighter(choice, index);
    case TIE_URL_HASH:
        return url_hash(choice, index) < url_hash(choice, choice->index);
    }
    return false;
}

struct route_decision choose_random(const struct cluster_view *view, struct rng *rng,
                                    enum route_reason reason)
{
    return (struct route_decision){
        .endpoint = (int32_t)rng_below(rng, view->count),
        .reason = reason,
        .candidates = view->count,
    };
}

struct route_decision choose_least_loaded(const struct cluster_view *view,
                                          const struct tie_breaker *breaker,
                                          enum route_reason reason)
{
    struct choice choice = choice_begin(breaker, view);
    for (uint32_t i = 0; i < view->count; i++) {
        choice_offer(&choice, view->inflight[i], i);
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = reason,
        .candidates = view->count,
        .score = choice.cost,
    };
}
