/* SPDX-License-Identifier: Apache-2.0
 *
 * route_weighted_sum.c: a weighted sum of scores from 0 to 1, highest wins (llm-d).
 *
 *     prefix   leading blocks of the prompt that we sent there / full blocks of it
 *     precise  the same of the blocks that it says it has (KV events)
 *     queue    (most - here) / (most - least), 1 for all when equal; "here" is what we
 *              count in flight there, plus what waited there at the last scrape
 *     kv       1 - KV use at the last scrape; 0 where none was scraped
 *     others   scorers.h
 *
 * Filters come first: an endpoint above a limit is left out, unless all are. A weight
 * or limit of 0 costs nothing, and what only it would read is not asked for.
 *
 * The queue score rests on our own counters, as in BLIS: llm-d's own reads the scraped
 * queue alone, and a minimum that is one scrape old draws everybody to one place. The
 * KV score is as scraped, uncorrected: what we sent since then the queue score knows.
 * The approximate prefix is what we sent, not what the engine still has; it is
 * unbroken, where llm-d counts every block that matches.
 *
 * What the score of an endpoint is made of lies in columns beside one another, in the
 * order of the candidates, and is gathered anew only when the set of candidates or a
 * scrape changes it: a decision reads three numbers per endpoint.
 */
#include "policies/kv_index.h"
#include "policies/pickers.h"
#include "policies/registry.h"
#include "policies/scorers.h"

#include <math.h>
#include <string.h>

enum {
    PARAM_PREFIX_WEIGHT,
    PARAM_QUEUE_WEIGHT,
    PARAM_KV_WEIGHT,
    PARAM_SCRAPED_WAITING,
    PARAM_INDEX_BLOCKS,
    PARAM_PICKER,
    PARAM_PRECISE_WEIGHT,
    PARAM_PREFIX_BLOCKS_MAX,
    PARAM_QUEUE_INFLIGHT,
    PARAM_RUNNING_WEIGHT,
    PARAM_LOAD_WEIGHT,
    PARAM_LOAD_THRESHOLD,
    PARAM_TOKEN_LOAD_WEIGHT,
    PARAM_TOKEN_LOAD_MAX,
    PARAM_ACTIVE_WEIGHT,
    PARAM_SESSION_WEIGHT,
    PARAM_SESSIONS_MAX,
    PARAM_LORA_WEIGHT,
    PARAM_NO_HIT_LRU_WEIGHT,
    PARAM_WAITING_MAX,
    PARAM_KV_MAX,
};
enum { PICKER_MAX, PICKER_WEIGHTED_RANDOM, PICKER_RANDOM };
enum { INDEX_BLOCKS_UNKNOWN = 31250, KNOWN_BLOCKS_UNKNOWN = 1 << 20 };

struct weighted_sum {
    struct policy_memory memory;
    struct rng *rng;
    struct prefix_index *index; /* of what we sent; NULL when nothing reads it */
    struct kv_index *known;     /* of what engines say; NULL when nothing reads it */
    struct scorers scorers;
    double prefix_weight;
    double precise_weight;
    uint32_t prefix_blocks_max; /* UINT32_MAX = no limit */
    bool queue_inflight;
    double waiting_max; /* 0 = no filter */
    double kv_max;
    bool cold; /* the request of the last pick: nobody has a block of it */
    double queue_weight;
    double kv_weight;
    bool scraped_waiting;
    uint32_t index_blocks; /* 0 = what the engine says */
    uint64_t picker;
    /* By index in the view; of the set with this hash, unless stale. */
    uint64_t set_hash;
    uint32_t count;
    bool stale;
    uint32_t capacity;
    uint32_t *waiting;
    uint32_t *zeros;   /* for who counts nothing in flight */
    double *kv_scores; /* times their weight */
    double *scores;    /* scratch of a pick */
};

/* Whether the index of what we sent is asked anything. */
static bool reads_sent(const double *values)
{
    return values[PARAM_PREFIX_WEIGHT] > 0 ||
           (values[PARAM_NO_HIT_LRU_WEIGHT] > 0 && values[PARAM_PRECISE_WEIGHT] == 0);
}

static struct scorer_weights scorer_weights_of(const double *values)
{
    return (struct scorer_weights){
        .running = values[PARAM_RUNNING_WEIGHT],
        .load = values[PARAM_LOAD_WEIGHT],
        .token_load = values[PARAM_TOKEN_LOAD_WEIGHT],
        .active = values[PARAM_ACTIVE_WEIGHT],
        .session = values[PARAM_SESSION_WEIGHT],
        .lora = values[PARAM_LORA_WEIGHT],
        .no_hit_lru = values[PARAM_NO_HIT_LRU_WEIGHT],
        .load_threshold = values[PARAM_LOAD_THRESHOLD],
        .token_load_max = values[PARAM_TOKEN_LOAD_MAX],
        .sessions_max = (uint32_t)values[PARAM_SESSIONS_MAX],
    };
}

static unsigned weighted_sum_needs(const double *values)
{
    const struct scorer_weights weights = scorer_weights_of(values);
    unsigned needs = NEED_METRICS | scorers_needs(&weights);
    needs |= reads_sent(values) ? NEED_BLOCK_HASHES : 0U;
    needs |= values[PARAM_PRECISE_WEIGHT] > 0 ? NEED_BLOCK_HASHES | NEED_KV_EVENTS : 0U;
    return needs;
}

static bool weighted_sum_init(void *state, const struct policy_setup *setup,
                              struct err *err)
{
    (void)err;
    struct weighted_sum *self = state;
    self->memory = setup->memory;
    self->rng = setup->rng;
    self->prefix_weight = setup->values[PARAM_PREFIX_WEIGHT];
    self->precise_weight = setup->values[PARAM_PRECISE_WEIGHT];
    if (reads_sent(setup->values)) {
        self->index = prefix_index_new(&setup->memory);
    }
    if (self->precise_weight > 0) {
        self->known = kv_index_new(&setup->memory);
    }
    const struct scorer_weights weights = scorer_weights_of(setup->values);
    scorers_init(&self->scorers, &setup->memory, &weights);
    const uint32_t blocks_max = (uint32_t)setup->values[PARAM_PREFIX_BLOCKS_MAX];
    self->prefix_blocks_max = blocks_max > 0 ? blocks_max : UINT32_MAX;
    self->queue_inflight = setup->values[PARAM_QUEUE_INFLIGHT] != 0;
    self->waiting_max = setup->values[PARAM_WAITING_MAX];
    self->kv_max = setup->values[PARAM_KV_MAX];
    self->queue_weight = setup->values[PARAM_QUEUE_WEIGHT];
    self->kv_weight = setup->values[PARAM_KV_WEIGHT];
    self->scraped_waiting = setup->values[PARAM_SCRAPED_WAITING] != 0;
    self->index_blocks = (uint32_t)setup->values[PARAM_INDEX_BLOCKS];
    self->picker = (uint64_t)setup->values[PARAM_PICKER];
    self->stale = true;
    return true;
}

static void weighted_sum_fini(void *state)
{
    struct weighted_sum *self = state;
    prefix_index_delete(self->index);
    kv_index_delete(self->known);
    scorers_fini(&self->scorers);
    void *const columns[] = {self->waiting, self->zeros, self->kv_scores, self->scores};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        self->memory.resize(self->memory.context, columns[i], 0);
    }
}

/* ---- columns -------------------------------------------------------------------- */

static void columns_grow(struct weighted_sum *self, uint32_t count)
{
    const struct policy_memory *memory = &self->memory;
    self->waiting =
        memory->resize(memory->context, self->waiting, count * sizeof *self->waiting);
    self->zeros =
        memory->resize(memory->context, self->zeros, count * sizeof *self->zeros);
    memset(self->zeros, 0, count * sizeof *self->zeros);
    self->kv_scores = memory->resize(memory->context, self->kv_scores,
                                     count * sizeof *self->kv_scores);
    self->scores =
        memory->resize(memory->context, self->scores, count * sizeof *self->scores);
    self->capacity = count;
}

static void columns_gather(struct weighted_sum *self, const struct cluster_view *view)
{
    if (view->count > self->capacity) {
        columns_grow(self, view->count);
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_metrics *metrics = &view->endpoints[i]->metrics;
        const bool waits =
            self->scraped_waiting && (metrics->valid & METRIC_WAITING) != 0;
        self->waiting[i] = waits ? metrics->waiting_requests : 0;
        const double kv_free_ratio =
            (metrics->valid & METRIC_KV_USED) != 0 ? 1 - metrics->kv_used_ratio : 0;
        self->kv_scores[i] = self->kv_weight * kv_free_ratio;
    }
    self->set_hash = view->set_hash;
    self->count = view->count;
    self->stale = false;
}

/* ---- scores --------------------------------------------------------------------- */

/* Queue and KV scores of every candidate. */
static void score_load(struct weighted_sum *self, const struct cluster_view *view)
{
    const uint32_t *inflight = self->queue_inflight ? view->inflight : self->zeros;
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const uint32_t here = inflight[i] + self->waiting[i];
        least = here < least ? here : least;
        most = here > most ? here : most;
    }
    const double scale = most > least ? 1 / (double)(most - least) : 0;
    const double equal = most > least ? 0 : self->queue_weight;
    for (uint32_t i = 0; i < view->count; i++) {
        const int32_t less = (int32_t)(most - inflight[i] - self->waiting[i]);
        self->scores[i] =
            equal + self->queue_weight * (less * scale) + self->kv_scores[i];
    }
}

struct matches {
    const struct index_hit *hits;
    uint32_t count;
};

static void add_matches(struct weighted_sum *self, const struct cluster_view *view,
                        const struct matches *matches, double weight, uint32_t blocks)
{
    for (uint32_t i = 0; i < matches->count; i++) {
        const struct index_hit *hit = &matches->hits[i];
        const uint32_t index = view->index_of_id[hit->endpoint_id];
        if (index != NOT_A_CANDIDATE) {
            self->scores[index] += weight * (hit->blocks / (double)blocks);
        }
    }
}

/* The more precise of what is known. */
static struct matches score_prefix(struct weighted_sum *self,
                                   const struct cluster_view *view,
                                   const struct request_view *request)
{
    struct matches matches = {0};
    const uint32_t blocks = request->block_count < self->prefix_blocks_max
                                ? request->block_count
                                : self->prefix_blocks_max;
    if (self->index != NULL) {
        matches.count = prefix_index_match(self->index, request->block_hashes, blocks,
                                           &matches.hits);
        add_matches(self, view, &matches, self->prefix_weight, blocks);
    }
    if (self->known != NULL) {
        matches.count =
            kv_index_match(self->known, request->block_hashes, blocks, &matches.hits);
        add_matches(self, view, &matches, self->precise_weight, blocks);
    }
    return matches;
}

static uint32_t matched_of(const struct matches *matches, uint32_t endpoint_id)
{
    for (uint32_t i = 0; i < matches->count; i++) {
        if (matches->hits[i].endpoint_id == endpoint_id) {
            return matches->hits[i].blocks;
        }
    }
    return 0;
}

/* ---- filters -------------------------------------------------------------------- */

static bool passes(const struct weighted_sum *self,
                   const struct endpoint_metrics *metrics)
{
    const bool queue = self->waiting_max == 0 ||
                       (metrics->valid & METRIC_WAITING) == 0 ||
                       metrics->waiting_requests <= self->waiting_max;
    const bool kv = self->kv_max == 0 || (metrics->valid & METRIC_KV_USED) == 0 ||
                    metrics->kv_used_ratio <= self->kv_max;
    return queue && kv;
}

/* Returns how many are left. */
static uint32_t filter(struct weighted_sum *self, const struct cluster_view *view)
{
    uint32_t passed = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        passed += passes(self, &view->endpoints[i]->metrics) ? 1 : 0;
    }
    if (passed == 0) {
        return view->count;
    }
    for (uint32_t i = 0; passed < view->count && i < view->count; i++) {
        if (!passes(self, &view->endpoints[i]->metrics)) {
            self->scores[i] = PICKER_LEFT_OUT;
        }
    }
    return passed;
}

/* ---- decision ------------------------------------------------------------------- */

static uint32_t pick_one(struct weighted_sum *self)
{
    switch (self->picker) {
    case PICKER_WEIGHTED_RANDOM:
        return pick_weighted_random(self->scores, self->count, self->rng);
    case PICKER_RANDOM:
        return pick_random(self->scores, self->count, self->rng);
    default:
        return pick_max(self->scores, self->count, self->rng);
    }
}

static void scores_log(const struct weighted_sum *self, double *scores)
{
    for (uint32_t i = 0; i < self->count; i++) {
        scores[i] = self->scores[i] == PICKER_LEFT_OUT ? (double)NAN : self->scores[i];
    }
}

static struct route_decision weighted_sum_pick(void *state,
                                               const struct cluster_view *view,
                                               const struct request_view *request)
{
    struct weighted_sum *self = state;
    if (self->stale || self->set_hash != view->set_hash || self->count != view->count) {
        columns_gather(self, view);
    }
    score_load(self, view);
    const struct matches matches = score_prefix(self, view, request);
    self->cold = matches.count == 0;
    if (self->scorers.any) {
        scorers_add(&self->scorers, view, request, self->cold, self->scores);
    }
    const bool filters = self->waiting_max > 0 || self->kv_max > 0;
    const uint32_t candidates = filters ? filter(self, view) : view->count;
    if (view->scores != NULL) {
        scores_log(self, view->scores);
    }
    const uint32_t picked = pick_one(self);
    return (struct route_decision){
        .endpoint = (int32_t)picked,
        .reason = REASON_SCORED,
        .candidates = candidates,
        .matched_length = matched_of(&matches, view->endpoints[picked]->id),
        .score = self->scores[picked],
    };
}

/* ---- callbacks ------------------------------------------------------------------ */

static void weighted_sum_on_route(void *state, const struct cluster_view *view,
                                  const struct request_view *request,
                                  const struct route_decision *decision)
{
    struct weighted_sum *self = state;
    if (self->index != NULL) {
        prefix_index_insert(self->index, view->endpoints[decision->endpoint]->id,
                            request->block_hashes, request->block_count);
    }
    if (self->scorers.any) {
        scorers_on_route(&self->scorers, view, request, (uint32_t)decision->endpoint,
                         self->cold);
    }
}

static void weighted_sum_on_end(void *state, int64_t now_ns,
                                const struct attempt_end *end)
{
    (void)now_ns;
    struct weighted_sum *self = state;
    scorers_on_end(&self->scorers, end);
}

static void allow(struct weighted_sum *self, const struct endpoint_view *endpoint)
{
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    const bool known =
        (metrics->valid & METRIC_KV_TOTAL) != 0 && metrics->kv_total_blocks > 0;
    const uint32_t said = known ? metrics->kv_total_blocks : 0;
    const uint32_t blocks = self->index_blocks > 0 ? self->index_blocks : said;
    if (self->index != NULL) {
        prefix_index_allow(self->index, endpoint->id,
                           blocks > 0 ? blocks : INDEX_BLOCKS_UNKNOWN);
    }
    if (self->known != NULL) {
        kv_index_allow(self->known, endpoint->id,
                       blocks > 0 ? blocks : KNOWN_BLOCKS_UNKNOWN);
    }
}

/* Whoever comes back has a cold cache. */
static void forget(struct weighted_sum *self, uint32_t endpoint_id)
{
    if (self->index != NULL) {
        prefix_index_forget(self->index, endpoint_id);
    }
    if (self->known != NULL) {
        kv_index_forget(self->known, endpoint_id);
    }
}

static void weighted_sum_on_endpoint_change(void *state, enum endpoint_change change,
                                            const struct endpoint_view *endpoint)
{
    struct weighted_sum *self = state;
    self->stale = true;
    if (change == ENDPOINT_JOINED) {
        allow(self, endpoint);
    } else if (change == ENDPOINT_LEFT) {
        forget(self, endpoint->id);
    }
    scorers_on_endpoint_change(&self->scorers, change, endpoint);
}

static void weighted_sum_on_kv_event(void *state, int64_t now_ns,
                                     const struct endpoint_view *endpoint,
                                     const struct kv_event *event)
{
    (void)now_ns;
    struct weighted_sum *self = state;
    if (self->known != NULL) {
        kv_index_apply(self->known, endpoint->id, event);
    }
}

static void weighted_sum_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    struct weighted_sum *self = state;
    self->stale = true;
    allow(self, endpoint);
}

static size_t weighted_sum_memory_bytes(const void *state)
{
    const struct weighted_sum *self = state;
    const size_t row_bytes = sizeof *self->waiting + sizeof *self->zeros +
                             sizeof *self->kv_scores + sizeof *self->scores;
    const size_t sent = self->index != NULL ? prefix_index_bytes(self->index) : 0;
    const size_t known = self->known != NULL ? kv_index_bytes(self->known) : 0;
    return sent + known + scorers_bytes(&self->scorers) + self->capacity * row_bytes;
}

/* ---- tables --------------------------------------------------------------------- */

/* A weight that is off unless given. */
#define WEIGHT(text, help_text)                                                        \
    {                                                                                  \
        .name = (text), .kind = PARAM_F64, .max = 1e6, .help = (help_text)             \
    }

static const struct policy_param params[] = {
    [PARAM_PREFIX_WEIGHT] = {.name = "prefix_weight",
                             .kind = PARAM_F64,
                             .default_value = 3,
                             .max = 1e6,
                             .help = "of the prefix score: matched / full blocks"},
    [PARAM_QUEUE_WEIGHT] = {.name = "queue_weight",
                            .kind = PARAM_F64,
                            .default_value = 2,
                            .max = 1e6,
                            .help = "of the queue score: 1 where fewest requests are, "
                                    "0 where most are"},
    [PARAM_KV_WEIGHT] = {.name = "kv_weight",
                         .kind = PARAM_F64,
                         .default_value = 2,
                         .max = 1e6,
                         .help = "of the KV score: 1 - KV use at the last scrape"},
    [PARAM_SCRAPED_WAITING] = {.name = "scraped_waiting",
                               .kind = PARAM_BOOL,
                               .default_value = 1,
                               .max = 1,
                               .help = "1: the queue score adds the requests that "
                                       "waited at the last scrape; 0: in flight only"},
    [PARAM_INDEX_BLOCKS] = {.name = "index_blocks",
                            .kind = PARAM_U64,
                            .max = 1 << 30,
                            .help = "KV blocks remembered per endpoint; 0 = as many "
                                    "as it reports to have, 31250 until it does"},
    [PARAM_PICKER] = {.name = "picker",
                      .kind = PARAM_U64,
                      .max = PICKER_RANDOM,
                      .help = "0: highest score, equals at random; 1: at random with a "
                              "probability proportional to the score; 2: at random"},
    [PARAM_PRECISE_WEIGHT] =
        WEIGHT("precise_weight", "of the precise prefix score: matched / full "
                                 "blocks, by KV events"),
    [PARAM_PREFIX_BLOCKS_MAX] = {.name = "prefix_blocks_max",
                                 .kind = PARAM_U64,
                                 .max = 1 << 30,
                                 .help = "blocks of a prompt that both prefix scores "
                                         "look at, 0 = all; llm-d 256"},
    [PARAM_QUEUE_INFLIGHT] = {.name = "queue_inflight",
                              .kind = PARAM_BOOL,
                              .default_value = 1,
                              .max = 1,
                              .help = "1: the queue score counts what is in flight "
                                      "there; 0: only what it said, as llm-d"},
    [PARAM_RUNNING_WEIGHT] =
        WEIGHT("running_weight", "of the running score: 1 where fewest ran at the last "
                                 "scrape, 0 where most did"),
    [PARAM_LOAD_WEIGHT] =
        WEIGHT("load_weight", "of the load score: 0.5 where nobody waited at the "
                              "last scrape, falling to 0"),
    [PARAM_LOAD_THRESHOLD] = {.name = "load_threshold",
                              .kind = PARAM_F64,
                              .default_value = 128,
                              .min = 1,
                              .max = 1e6,
                              .help = "requests that wait where the load score is 0"},
    [PARAM_TOKEN_LOAD_WEIGHT] =
        WEIGHT("token_load_weight",
               "of the token load score: 1 - tokens in flight / token_load_max"),
    [PARAM_TOKEN_LOAD_MAX] = {.name = "token_load_max",
                              .kind = PARAM_F64,
                              .default_value = 4194304,
                              .min = 1,
                              .max = 1e12,
                              .help = "tokens in flight where that score is 0"},
    [PARAM_ACTIVE_WEIGHT] =
        WEIGHT("active_weight", "of the active-request score: 1 where nothing is in "
                                "flight, 0 where most is"),
    [PARAM_SESSION_WEIGHT] =
        WEIGHT("session_weight", "of the session score: 1 where its last request went"),
    [PARAM_SESSIONS_MAX] = {.name = "sessions_max",
                            .kind = PARAM_U64,
                            .default_value = 65536,
                            .min = 1,
                            .max = 1 << 26,
                            .help = "sessions remembered, at most"},
    [PARAM_LORA_WEIGHT] =
        WEIGHT("lora_weight", "of the adapter score: active 1, a slot free 0.8, "
                              "waiting 0.6, else 0; 0 for the base model"),
    [PARAM_NO_HIT_LRU_WEIGHT] =
        WEIGHT("no_hit_lru_weight", "of the cold request score: 1 where the last one "
                                    "went longest ago; 0.5 for warm requests"),
    [PARAM_WAITING_MAX] = {.name = "waiting_max",
                           .kind = PARAM_F64,
                           .max = 1e6,
                           .help = "leaves out who had more requests waiting at the "
                                   "last scrape, unless all had; 0 = no filter"},
    [PARAM_KV_MAX] = {.name = "kv_max",
                      .kind = PARAM_F64,
                      .max = 1,
                      .help = "leaves out whose KV use was above at the last scrape, "
                              "unless all were; 0 = no filter"},
    {.name = NULL},
};

const struct route_policy route_weighted_sum = {
    .name = "weighted_sum",
    .help = "The highest weighted sum of prefix, queue and KV scores (extension).",
    .source = "llm-d/llm-d-inference-scheduler: scorers queue, kv-cache-utilization, "
              "prefix; pickers max-score, weighted-random",
    .breaks = "weights that do not fit the load: prefix alone overloads holders, load "
              "alone spreads prefixes; scraped scores herd when they are old",
    .match_unit = "KV blocks",
    .score_help = "weighted sum of prefix, queue and KV scores, the highest wins",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS | NEED_KV_EVENTS | NEED_SESSION_KEY |
             NEED_ADAPTERS,
    .needs_with = weighted_sum_needs,
    .params = params,
    .state_bytes = sizeof(struct weighted_sum),
    .init = weighted_sum_init,
    .fini = weighted_sum_fini,
    .pick = weighted_sum_pick,
    .on_route = weighted_sum_on_route,
    .on_end = weighted_sum_on_end,
    .on_endpoint_change = weighted_sum_on_endpoint_change,
    .on_metrics = weighted_sum_on_metrics,
    .on_kv_event = weighted_sum_on_kv_event,
    .memory_bytes = weighted_sum_memory_bytes,
};
