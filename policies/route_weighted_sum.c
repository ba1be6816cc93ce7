/* SPDX-License-Identifier: Apache-2.0
 *
 * route_weighted_sum.c: a weighted sum of scores from 0 to 1, highest wins (llm-d).
 *
 *     prefix   leading blocks of the prompt that we sent there / full blocks of it
 *     queue    (most - here) / (most - least), 1 for all when equal; "here" is what we
 *              count in flight there, plus what waited there at the last scrape
 *     kv       1 - KV use at the last scrape; 0 where none was scraped
 *
 * The queue score rests on our own counters, as in BLIS: llm-d's own reads the scraped
 * queue alone, and a minimum that is one scrape old draws everybody to one place. The
 * KV score is as scraped, uncorrected: what we sent since then the queue score knows.
 * The prefix is what we sent, not what the engine still has (approximate); it is
 * unbroken, where llm-d counts every block that matches.
 *
 * What the score of an endpoint is made of lies in columns beside one another, in the
 * order of the candidates, and is gathered anew only when the set of candidates or a
 * scrape changes it: a decision reads three numbers per endpoint.
 */
#include "policies/prefix_index.h"
#include "policies/registry.h"

#include <string.h>

enum {
    PARAM_PREFIX_WEIGHT,
    PARAM_QUEUE_WEIGHT,
    PARAM_KV_WEIGHT,
    PARAM_SCRAPED_WAITING,
    PARAM_INDEX_BLOCKS,
    PARAM_PICKER,
};
enum { PICKER_MAX, PICKER_WEIGHTED_RANDOM };
enum { INDEX_BLOCKS_UNKNOWN = 31250, BLOCK = 64 };

struct weighted_sum {
    struct policy_memory memory;
    struct rng *rng;
    struct prefix_index *index;
    double prefix_weight;
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
    double *kv_scores; /* times their weight */
    double *scores;    /* scratch of a pick */
};

static bool weighted_sum_init(void *state, const struct policy_setup *setup,
                              struct err *err)
{
    (void)err;
    struct weighted_sum *self = state;
    self->memory = setup->memory;
    self->rng = setup->rng;
    self->index = prefix_index_new(&setup->memory);
    self->prefix_weight = setup->values[PARAM_PREFIX_WEIGHT];
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
    void *const columns[] = {self->waiting, self->kv_scores, self->scores};
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
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const uint32_t here = view->inflight[i] + self->waiting[i];
        least = here < least ? here : least;
        most = here > most ? here : most;
    }
    const double scale = most > least ? 1 / (double)(most - least) : 0;
    const double equal = most > least ? 0 : self->queue_weight;
    for (uint32_t i = 0; i < view->count; i++) {
        const int32_t less = (int32_t)(most - view->inflight[i] - self->waiting[i]);
        self->scores[i] =
            equal + self->queue_weight * (less * scale) + self->kv_scores[i];
    }
}

struct matches {
    const struct index_hit *hits;
    uint32_t count;
};

static struct matches score_prefix(struct weighted_sum *self,
                                   const struct cluster_view *view,
                                   const struct request_view *request)
{
    struct matches matches = {0};
    matches.count = prefix_index_match(self->index, request->block_hashes,
                                       request->block_count, &matches.hits);
    for (uint32_t i = 0; i < matches.count; i++) {
        const struct index_hit *hit = &matches.hits[i];
        const uint32_t index = view->index_of_id[hit->endpoint_id];
        if (index != NOT_A_CANDIDATE) {
            self->scores[index] +=
                self->prefix_weight * (hit->blocks / (double)request->block_count);
        }
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

/* ---- pickers -------------------------------------------------------------------- */

static uint32_t count_equal(const double *scores, uint32_t count, double score)
{
    uint32_t equal = 0;
    for (uint32_t i = 0; i < count; i++) {
        equal += scores[i] == score;
    }
    return equal;
}

/* The highest; one of several at random. */
static uint32_t pick_max(struct weighted_sum *self)
{
    double best = -1;
    for (uint32_t i = 0; i < self->count; i++) {
        best = self->scores[i] > best ? self->scores[i] : best;
    }
    uint64_t n = rng_below(self->rng, count_equal(self->scores, self->count, best));
    uint32_t at = 0;
    while (at + BLOCK <= self->count) {
        const uint32_t equal = count_equal(self->scores + at, BLOCK, best);
        if (n < equal) {
            break;
        }
        n -= equal;
        at += BLOCK;
    }
    while (self->scores[at] != best || n-- > 0) {
        at++;
    }
    return at;
}

/* Each with a probability proportional to its score: the same as the highest of
 * U^(1/score), which llm-d draws. All scores zero: each equally likely. */
static uint32_t pick_weighted_random(struct weighted_sum *self)
{
    double total = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        total += self->scores[i];
    }
    const double unit = rng_unit(self->rng);
    if (total <= 0) {
        return (uint32_t)(unit * self->count);
    }
    double left = unit * total;
    uint32_t last = 0; /* rounding may leave a rest */
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->scores[i] <= 0) {
            continue;
        }
        last = i;
        if (left < self->scores[i]) {
            break;
        }
        left -= self->scores[i];
    }
    return last;
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
    if (view->scores != NULL) {
        memcpy(view->scores, self->scores, view->count * sizeof *self->scores);
    }
    const uint32_t picked =
        self->picker == PICKER_MAX ? pick_max(self) : pick_weighted_random(self);
    return (struct route_decision){
        .endpoint = (int32_t)picked,
        .reason = REASON_SCORED,
        .candidates = view->count,
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
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    prefix_index_insert(self->index, id, request->block_hashes, request->block_count);
}

static void allow(struct weighted_sum *self, const struct endpoint_view *endpoint)
{
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    const bool known =
        (metrics->valid & METRIC_KV_TOTAL) != 0 && metrics->kv_total_blocks > 0;
    uint32_t blocks = self->index_blocks;
    if (blocks == 0) {
        blocks = known ? metrics->kv_total_blocks : INDEX_BLOCKS_UNKNOWN;
    }
    prefix_index_allow(self->index, endpoint->id, blocks);
}

static void weighted_sum_on_endpoint_change(void *state, enum endpoint_change change,
                                            const struct endpoint_view *endpoint)
{
    struct weighted_sum *self = state;
    self->stale = true;
    if (change == ENDPOINT_JOINED) {
        allow(self, endpoint);
    } else if (change == ENDPOINT_LEFT) {
        /* Whoever comes back has a cold cache. */
        prefix_index_forget(self->index, endpoint->id);
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
    const size_t row_bytes =
        sizeof *self->waiting + sizeof *self->kv_scores + sizeof *self->scores;
    return prefix_index_bytes(self->index) + self->capacity * row_bytes;
}

/* ---- tables --------------------------------------------------------------------- */

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
                      .max = 1,
                      .help = "0: highest score, equals at random; 1: at random with a "
                              "probability proportional to the score"},
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
    .needs = NEED_BLOCK_HASHES | NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct weighted_sum),
    .init = weighted_sum_init,
    .fini = weighted_sum_fini,
    .pick = weighted_sum_pick,
    .on_route = weighted_sum_on_route,
    .on_endpoint_change = weighted_sum_on_endpoint_change,
    .on_metrics = weighted_sum_on_metrics,
    .memory_bytes = weighted_sum_memory_bytes,
};
