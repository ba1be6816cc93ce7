/* SPDX-License-Identifier: Apache-2.0
 *
 * route_vtc_basic.c: tenants that used many tokens go to endpoints of a high number
 * (AIBrix, vtc-basic; spec/policies.md F2).
 *
 * Despite the name no queue and no virtual time: the tokens of a tenant in the last
 * five minutes, in buckets, are a place in the list of endpoints, and a request goes
 * near its tenant's place:
 *
 *     bucket = max(1000, (min + max) / 2) over the tenants; max is 8000 while unknown
 *     place  = min(tokens / bucket, n - 1)
 *     cost i = |i - place| + min(in flight / 100, 1) + U(0, 0.1); the least wins
 *
 * Heavy tenants end up among themselves: isolation, not fairness. A tenant is charged
 * prompt + 2 output tokens when its request is sent, of the predicted output or, as the
 * source guesses, of 1.5 times the prompt. Here the prompt is counted, there guessed as
 * a quarter of its characters. In flight is this gateway's own count, there a scrape.
 * A place depends on the order of endpoints: one more or less moves everybody.
 */
#include "base/hash.h"
#include "policies/choose.h"
#include "policies/policy.h"
#include "policies/registry.h"

#include <math.h>
#include <string.h>

enum { PARAM_WINDOW_S, PARAM_TENANTS_MAX };
enum { SLICES = 5, TENANTS_LIMIT = 65536 };

static const double bucket_min = 1000;
static const double max_unknown = 8000;

/* Tokens by slices of the window; a slice is stale when its number is not `slice`'s. */
struct account {
    uint64_t tenant_hash;
    int64_t used_ns;
    int64_t slice_of[SLICES];
    uint64_t tokens[SLICES];
};

struct vtc_basic {
    struct policy_memory memory;
    struct rng *rng;
    int64_t slice_ns;
    uint32_t tenants_max;
    struct account *accounts;
    uint32_t count;
};

static bool vtc_basic_init(void *state, const struct policy_setup *setup,
                           struct err *err)
{
    (void)err;
    struct vtc_basic *self = state;
    self->memory = setup->memory;
    self->rng = setup->rng;
    self->slice_ns = (int64_t)(setup->values[PARAM_WINDOW_S] * 1e9) / SLICES;
    self->tenants_max = (uint32_t)setup->values[PARAM_TENANTS_MAX];
    self->accounts = self->memory.resize(self->memory.context, NULL,
                                         self->tenants_max * sizeof(struct account));
    return true;
}

static void vtc_basic_fini(void *state)
{
    struct vtc_basic *self = state;
    self->memory.resize(self->memory.context, self->accounts, 0);
}

/* ---- accounts -------------------------------------------------------------------- */

static uint64_t hash_of(const char *tenant)
{
    return hash_xxh64(tenant, strlen(tenant), 0);
}

static const struct account *account_find(const struct vtc_basic *self, uint64_t hash)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->accounts[i].tenant_hash == hash) {
            return &self->accounts[i];
        }
    }
    return NULL;
}

static double tokens_of(const struct vtc_basic *self, const struct account *account,
                        int64_t now_ns)
{
    const int64_t slice = now_ns / self->slice_ns;
    double tokens = 0;
    for (int i = 0; account != NULL && i < SLICES; i++) {
        const bool fresh = account->slice_of[i] > slice - SLICES;
        tokens += fresh ? (double)account->tokens[i] : 0;
    }
    return tokens;
}

/* Of the tenant that was used least recently, when all are taken. */
static struct account *account_take(struct vtc_basic *self, uint64_t hash)
{
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->accounts[i].tenant_hash == hash) {
            return &self->accounts[i];
        }
        if (self->accounts[i].used_ns < self->accounts[oldest].used_ns) {
            oldest = i;
        }
    }
    const uint32_t at = self->count < self->tenants_max ? self->count++ : oldest;
    self->accounts[at] = (struct account){.tenant_hash = hash};
    for (int i = 0; i < SLICES; i++) {
        self->accounts[at].slice_of[i] = INT64_MIN;
    }
    return &self->accounts[at];
}

/* ---- the decision -----------------------------------------------------------------
 */

static double place_of(const struct vtc_basic *self, const struct cluster_view *view,
                       const char *tenant)
{
    double least = 0;
    double most = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        const double tokens = tokens_of(self, &self->accounts[i], view->now_ns);
        least = i == 0 || tokens < least ? tokens : least;
        most = tokens > most ? tokens : most;
    }
    most = most > 0 ? most : max_unknown;
    const double bucket = fmax(bucket_min, (least + most) / 2);
    const double own =
        tokens_of(self, account_find(self, hash_of(tenant)), view->now_ns);
    return fmin(own / bucket, (double)view->count - 1);
}

static struct route_decision vtc_basic_pick(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    struct vtc_basic *self = state;
    if (request->tenant == NULL) {
        return choose_random(view, self->rng, REASON_RANDOM);
    }
    const double place = place_of(self, view, request->tenant);
    const struct tie_breaker first = {.rule = TIE_FIRST};
    struct choice choice = choice_begin(&first, view);
    for (uint32_t i = 0; i < view->count; i++) {
        const double load = fmin(view->inflight[i] / 100.0, 1);
        choice_offer(&choice,
                     fabs((double)i - place) + load + 0.1 * rng_unit(self->rng), i);
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_SCORED,
        .candidates = view->count,
        .score = choice.cost,
    };
}

static void vtc_basic_on_route(void *state, const struct cluster_view *view,
                               const struct request_view *request,
                               const struct route_decision *decision)
{
    (void)decision;
    struct vtc_basic *self = state;
    if (request->tenant == NULL) {
        return;
    }
    struct account *account = account_take(self, hash_of(request->tenant));
    const int64_t slice = view->now_ns / self->slice_ns;
    const int at = (int)(slice % SLICES);
    if (account->slice_of[at] != slice) {
        account->slice_of[at] = slice;
        account->tokens[at] = 0;
    }
    const uint64_t prompt = request->prompt_tokens;
    const uint64_t output = request->output_tokens_guess > 0
                                ? request->output_tokens_guess
                                : prompt * 3 / 2;
    account->tokens[at] += prompt + 2 * output;
    account->used_ns = view->now_ns;
}

static size_t vtc_basic_memory_bytes(const void *state)
{
    const struct vtc_basic *self = state;
    return self->tenants_max * sizeof(struct account);
}

static const char *const aliases[] = {"vtc-basic", NULL};

static const struct policy_param params[] = {
    [PARAM_WINDOW_S] = {.name = "window_s",
                        .kind = PARAM_F64,
                        .default_value = 300,
                        .min = 1,
                        .max = 86400,
                        .help = "seconds for which tokens count"},
    [PARAM_TENANTS_MAX] = {.name = "tenants_max",
                           .kind = PARAM_U64,
                           .default_value = 1024,
                           .min = 1,
                           .max = TENANTS_LIMIT,
                           .help = "tenants remembered; beyond, the one not seen for "
                                   "longest is forgotten"},
    {.name = NULL},
};

const struct route_policy route_vtc_basic = {
    .name = "vtc_basic",
    .aliases = aliases,
    .help = "Tenants that used many tokens to endpoints of a high number (extension).",
    .source = "vllm-project/aibrix:pkg/plugins/gateway/algorithms/vtc/vtc_basic.go",
    .breaks = "one tenant with most of the traffic: all of it near one endpoint; a "
              "changed set of endpoints moves everybody",
    .score_help = "distance from the tenant's place plus load, the least wins",
    .params = params,
    .state_bytes = sizeof(struct vtc_basic),
    .init = vtc_basic_init,
    .fini = vtc_basic_fini,
    .pick = vtc_basic_pick,
    .on_route = vtc_basic_on_route,
    .memory_bytes = vtc_basic_memory_bytes,
};
