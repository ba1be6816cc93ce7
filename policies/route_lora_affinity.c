/* SPDX-License-Identifier: Apache-2.0
 *
 * route_lora_affinity.c: where the request's LoRA adapter is, or can be loaded soonest.
 *
 *     tier(e) = 1.0  the adapter is active there
 *               0.8  a slot is free: active + waiting < max
 *               0.6  the adapter waits there to be loaded
 *               0    all slots are taken, or the engine said nothing
 *
 * (llm-d's lora-affinity scorer.) The best tier wins, in it the fewest requests in
 * flight. As in the first scheduler of the gateway API extension, a small part of the
 * decisions takes a free slot instead, so that a hot adapter gets to new endpoints.
 *
 * What engines report is one scrape old: until the next one, every adapter would be
 * sent to the same free slot. So what was sent there since is kept for each endpoint,
 * takes a slot while one is free and waits when none is.
 */
#include "policies/adapters.h"
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/registry.h"

enum { PARAM_RESERVE, PARAM_AFFINITY, PARAM_LOAD_RATIO, PARAM_TIE };
enum { SENT_MAX = 16 }; /* more in one scrape's time are not kept */

enum tier { TIER_FULL, TIER_WAITING, TIER_FREE, TIER_ACTIVE, TIERS };
static const double tier_scores[TIERS] = {0, 0.6, 0.8, 1.0};

/* Adapters that an endpoint was sent since its last scrape, in that order. */
struct sent {
    uint64_t adapters[SENT_MAX];
    uint32_t count;
};

struct lora {
    struct tie_breaker breaker;
    bool reserve;
    double affinity_ratio;
    double load_ratio;    /* 0 = no bound */
    struct id_table sent; /* struct sent */
};

static bool lora_init(void *state, const struct policy_setup *setup, struct err *err)
{
    struct lora *self = state;
    const double load_ratio = setup->values[PARAM_LOAD_RATIO];
    if (load_ratio > 0 && load_ratio < 1) {
        return err_set(err, ERR_USAGE,
                       "lora_affinity: load_ratio is 0 or at least 1, not %g",
                       load_ratio);
    }
    self->breaker = (struct tie_breaker){
        .rule = (enum tie_rule)setup->values[PARAM_TIE], .rng = setup->rng};
    self->reserve = setup->values[PARAM_RESERVE] != 0;
    self->affinity_ratio = setup->values[PARAM_AFFINITY];
    self->load_ratio = load_ratio;
    id_table_init(&self->sent, &setup->memory, sizeof(struct sent));
    return true;
}

static void lora_fini(void *state)
{
    struct lora *self = state;
    id_table_fini(&self->sent);
}

/* ---- tiers ---------------------------------------------------------------------- */

static enum tier tier_of(const struct endpoint_view *endpoint, const struct sent *sent,
                         uint64_t adapter)
{
    const struct endpoint_adapters *said = adapters_of(endpoint);
    if (said == NULL) {
        return TIER_FULL;
    }
    if (adapters_hold(said->active, said->active_count, adapter)) {
        return TIER_ACTIVE;
    }
    const uint32_t taken = said->active_count + said->waiting_count;
    const uint32_t free_slots = said->max > taken ? said->max - taken : 0;
    bool waits = adapters_hold(said->waiting, said->waiting_count, adapter);
    for (uint32_t i = 0; i < sent->count; i++) {
        if (sent->adapters[i] == adapter) {
            if (i < free_slots) {
                return TIER_ACTIVE;
            }
            waits = true;
        }
    }
    if (free_slots > sent->count) {
        return TIER_FREE;
    }
    return waits ? TIER_WAITING : TIER_FULL;
}

static double bound_of(const struct lora *self, const struct cluster_view *view)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        total += view->inflight[i];
    }
    return self->load_ratio > 0 ? self->load_ratio * (double)(total + 1) / view->count
                                : (double)UINT32_MAX;
}

/* The least loaded of each tier. */
static void best_of_tiers(const struct lora *self, const struct cluster_view *view,
                          uint64_t adapter, struct choice best[TIERS])
{
    const struct sent *sent = self->sent.items;
    const double bound = bound_of(self, view);
    for (int tier = 0; tier < TIERS; tier++) {
        best[tier] = choice_begin(&self->breaker, view);
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_view *endpoint = view->endpoints[i];
        if (view->inflight[i] <= bound) {
            const enum tier tier = tier_of(endpoint, &sent[endpoint->id], adapter);
            choice_offer(&best[tier], view->inflight[i], i);
            if (view->scores != NULL) {
                view->scores[i] = tier_scores[tier];
            }
        }
    }
}

static struct route_decision lora_pick(void *state, const struct cluster_view *view,
                                       const struct request_view *request)
{
    struct lora *self = state;
    if (request->adapter == 0) {
        return choose_least_loaded(view, &self->breaker, REASON_LEAST_LOADED);
    }
    struct choice best[TIERS];
    (void)id_table_items(&self->sent, view->id_count);
    best_of_tiers(self, view, request->adapter, best);
    int tier = TIER_ACTIVE;
    if (self->affinity_ratio < 1 &&
        rng_unit(self->breaker.rng) >= self->affinity_ratio &&
        best[TIER_FREE].offered > 0) {
        tier = TIER_FREE;
    }
    while (best[tier].offered == 0) {
        tier--; /* the least loaded of all is within the bound, so one tier has some */
    }
    return (struct route_decision){
        .endpoint = (int32_t)best[tier].index,
        .reason = tier == TIER_FULL ? REASON_LEAST_LOADED : REASON_ADAPTER,
        .candidates = best[tier].offered,
        .score = tier_scores[tier],
    };
}

/* ---- callbacks ------------------------------------------------------------------ */

static void lora_on_route(void *state, const struct cluster_view *view,
                          const struct request_view *request,
                          const struct route_decision *decision)
{
    struct lora *self = state;
    const struct endpoint_view *endpoint = view->endpoints[decision->endpoint];
    struct sent *sent = id_table_items(&self->sent, view->id_count);
    sent += endpoint->id;
    if (!self->reserve || request->adapter == 0 || sent->count == SENT_MAX) {
        return;
    }
    const struct endpoint_adapters *said = adapters_of(endpoint);
    bool known = said != NULL &&
                 (adapters_hold(said->active, said->active_count, request->adapter) ||
                  adapters_hold(said->waiting, said->waiting_count, request->adapter));
    for (uint32_t i = 0; i < sent->count; i++) {
        known = known || sent->adapters[i] == request->adapter;
    }
    if (!known) {
        sent->adapters[sent->count++] = request->adapter;
    }
}

static void forget(struct lora *self, uint32_t id)
{
    struct sent *sent = id_table_items(&self->sent, id + 1);
    sent[id].count = 0;
}

static void lora_on_endpoint_change(void *state, enum endpoint_change change,
                                    const struct endpoint_view *endpoint)
{
    if (change == ENDPOINT_LEFT) {
        forget(state, endpoint->id);
    }
}

static void lora_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    forget(state, endpoint->id);
}

static size_t lora_memory_bytes(const void *state)
{
    const struct lora *self = state;
    return id_table_bytes(&self->sent);
}

/* ---- tables --------------------------------------------------------------------- */

static const char *const aliases[] = {"lora_tiers", "lora-affinity-scorer", NULL};

static const struct policy_param params[] = {
    [PARAM_RESERVE] = {.name = "reserve",
                       .kind = PARAM_BOOL,
                       .default_value = 1,
                       .max = 1,
                       .help = "1: adapters sent since the last scrape take slots; 0: "
                               "only what was scraped counts, as in llm-d"},
    [PARAM_AFFINITY] = {.name = "affinity_ratio",
                        .kind = PARAM_F64,
                        .default_value = 0.999,
                        .max = 1,
                        .help = "of the decisions take the best tier; the others a "
                                "free slot if there is one"},
    [PARAM_LOAD_RATIO] = {.name = "load_ratio",
                          .kind = PARAM_F64,
                          .max = 1e6,
                          .help = "endpoints with more requests in flight than this "
                                  "times (total + 1) / endpoints are passed over; at "
                                  "least 1, or 0: no bound"},
    [PARAM_TIE] = TIE_PARAM(TIE_RANDOM),
    {.name = NULL},
};

const struct route_policy route_lora_affinity = {
    .name = "lora_affinity",
    .aliases = aliases,
    .help = "Where the LoRA adapter is active, else where a slot is free (extension).",
    .source = "llm-d/llm-d-inference-scheduler: scorer loraaffinity; "
              "gateway-api-inference-extension 8e112db2 (0.999)",
    .score_help = "tier: 1 active, 0.8 a free slot, 0.6 waiting, 0 full; the highest "
                  "wins, in it the fewest requests in flight",
    .breaks =
        "one adapter most of the traffic (without load_ratio); engines that do not "
        "report adapters; several gateways that pick the same free slot",
    .needs = NEED_METRICS | NEED_ADAPTERS,
    .params = params,
    .state_bytes = sizeof(struct lora),
    .init = lora_init,
    .fini = lora_fini,
    .pick = lora_pick,
    .on_route = lora_on_route,
    .on_endpoint_change = lora_on_endpoint_change,
    .on_metrics = lora_on_metrics,
    .memory_bytes = lora_memory_bytes,
};
