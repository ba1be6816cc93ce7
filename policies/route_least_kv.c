/* SPDX-License-Identifier: Apache-2.0
 *
 * route_least_kv.c: the endpoint whose KV cache was least in use at its last scrape.
 *
 * As AIBrix least-kv-cache: the last of equals wins, an endpoint without the metric is
 * no candidate, and when none has it the choice is random. AIBrix adds the KV cache in
 * CPU memory; engines of vLLM v1 report one cache, so one is read here.
 *
 * KV use moves slowly and is one scrape old: all arrivals between two scrapes see the
 * same minimum and follow it (spec/policies.md 1.1). `correct` is the local remedy of
 * that section: to the scraped use is added what the requests sent since then will
 * hold, each taken for the fleet's mean request, and ended ones are taken off.
 */
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/registry.h"

enum { PARAM_MISSING, PARAM_CORRECT, PARAM_TIE };
enum missing_rule { MISSING_SKIP, MISSING_ZERO, MISSING_WORST };

struct least_kv {
    struct tie_breaker breaker;
    enum missing_rule missing;
    bool correct;
    struct id_table scraped; /* uint32_t requests in flight at the last scrape */
};

static bool least_kv_init(void *state, const struct policy_setup *setup,
                          struct err *err)
{
    (void)err;
    struct least_kv *self = state;
    self->breaker = (struct tie_breaker){
        .rule = (enum tie_rule)setup->values[PARAM_TIE], .rng = setup->rng};
    self->missing = (enum missing_rule)setup->values[PARAM_MISSING];
    self->correct = setup->values[PARAM_CORRECT] != 0;
    id_table_init(&self->scraped, &setup->memory, sizeof(uint32_t));
    return true;
}

static void least_kv_fini(void *state)
{
    struct least_kv *self = state;
    id_table_fini(&self->scraped);
}

static bool has_kv(const struct endpoint_view *endpoint)
{
    return (endpoint->metrics.valid & METRIC_KV_USED) != 0;
}

/* KV use of one request, as a part of one cache: the mean of what the scrapes found.
 * 0 when they found nobody. */
static double ratio_per_request(const struct least_kv *self,
                                const struct cluster_view *view,
                                const uint32_t *scraped)
{
    double used_ratio = 0;
    double requests = 0;
    for (uint32_t i = 0; self->correct && i < view->count; i++) {
        if (has_kv(view->endpoints[i])) {
            used_ratio += view->endpoints[i]->metrics.kv_used_ratio;
            requests += scraped[view->endpoints[i]->id];
        }
    }
    return requests > 0 ? used_ratio / requests : 0;
}

static struct route_decision least_kv_pick(void *state, const struct cluster_view *view,
                                           const struct request_view *request)
{
    (void)request;
    struct least_kv *self = state;
    const uint32_t *scraped = id_table_items(&self->scraped, view->id_count);
    const double per_request = ratio_per_request(self, view, scraped);
    struct choice choice = choice_begin(&self->breaker, view);
    uint32_t known = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_view *endpoint = view->endpoints[i];
        if (has_kv(endpoint)) {
            const double since =
                (double)view->inflight[i] - (double)scraped[endpoint->id];
            known++;
            choice_offer(&choice, endpoint->metrics.kv_used_ratio + per_request * since,
                         i);
        } else if (self->missing != MISSING_SKIP) {
            choice_offer(&choice, self->missing == MISSING_ZERO ? 0 : 1, i);
        }
    }
    if (known == 0) {
        return choose_random(view, self->breaker.rng, REASON_NO_METRICS);
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_LEAST_KV,
        .candidates = choice.offered,
        .score = choice.cost,
    };
}

static void note_inflight(struct least_kv *self, const struct endpoint_view *endpoint,
                          uint32_t inflight)
{
    uint32_t *scraped = id_table_items(&self->scraped, endpoint->id + 1);
    scraped[endpoint->id] = inflight;
}

static void least_kv_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    note_inflight(state, endpoint, endpoint->inflight_requests);
}

static void least_kv_on_endpoint_change(void *state, enum endpoint_change change,
                                        const struct endpoint_view *endpoint)
{
    if (change == ENDPOINT_JOINED) {
        note_inflight(state, endpoint, 0);
    }
}

static size_t least_kv_memory_bytes(const void *state)
{
    const struct least_kv *self = state;
    return id_table_bytes(&self->scraped);
}

static const char *const aliases[] = {"least-kv-cache", NULL};

static const struct policy_param params[] = {
    [PARAM_MISSING] = {.name = "missing",
                       .kind = PARAM_U64,
                       .default_value = MISSING_SKIP,
                       .max = MISSING_WORST,
                       .help = "an endpoint without the metric: 0 is no candidate, 1 "
                               "counts as empty, 2 as full; all without: at random"},
    [PARAM_CORRECT] = {.name = "correct",
                       .kind = PARAM_BOOL,
                       .max = 1,
                       .help = "1: adds the fleet's mean KV use of a request for each "
                               "request sent since the scrape, and takes it off for "
                               "each that ended; 0: as scraped"},
    [PARAM_TIE] = TIE_PARAM(TIE_LAST),
    {.name = NULL},
};

const struct route_policy route_least_kv = {
    .name = "least_kv",
    .aliases = aliases,
    .help = "The endpoint with the least KV cache in use at its last scrape.",
    .source = "vllm-project/aibrix:pkg/plugins/gateway/algorithms/least_kv_cache.go",
    .breaks = "old scrapes (all arrivals between two follow one minimum); full "
              "queues, which use no more KV; prefix caches, which look like load",
    .score_help = "part of the KV cache in use, the least wins",
    .needs = NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct least_kv),
    .init = least_kv_init,
    .fini = least_kv_fini,
    .pick = least_kv_pick,
    .on_endpoint_change = least_kv_on_endpoint_change,
    .on_metrics = least_kv_on_metrics,
    .memory_bytes = least_kv_memory_bytes,
};
