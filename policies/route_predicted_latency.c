/* SPDX-License-Identifier: Apache-2.0
 *
 * route_predicted_latency.c: the best predicted TTFT and TPOT, learnt online (llm-d).
 *
 *     1. holders of affinity_strict of the prompt, if there are any
 *     2. those predicted to keep the targets; else the least bad tier: idle ones, TPOT
 *        missed alone, TTFT missed alone, both missed
 *     3. holders of affinity_loose of the prompt, if there are any left
 *     4. score = ttft_weight * norm(TTFT headroom) + tpot_weight * norm(TPOT headroom)
 *
 * Headroom is target times buffer minus prediction, norm stretches it over the
 * candidates to 0..1, and what does not differ weighs nothing. Holders do not keep a
 * request that others would answer break_ttft_s earlier. With targets an endpoint is
 * drawn with a probability proportional to its score, which is turned round for
 * best-fit packing (the least headroom that is still positive); without any, the best
 * one wins.
 *
 * llm-d trains boosted trees in sidecars. Here two linear models are fitted online
 * (online_fit.h) to what this gateway measured of its own requests, on nearly the same
 * inputs: KV use and waiting requests at the last scrape, prompt, uncached prompt,
 * prompt tokens in flight without a first token, requests in decode. Its models are
 * nearly exact; ours are linear, and a queue is not. Targets are parameters, because a
 * request carries none. Until there are samples_min first tokens the sum of queue, KV
 * and prefix scores decides, as in llm-d without a predictor.
 */
#include "policies/attempts.h"
#include "policies/choose.h"
#include "policies/online_fit.h"
#include "policies/prefix_hits.h"
#include "policies/registry.h"

#include <math.h>

enum {
    PARAM_SLO_TTFT_MS,
    PARAM_SLO_TPOT_MS,
    PARAM_BUFFER,
    PARAM_TTFT_WEIGHT,
    PARAM_TPOT_WEIGHT,
    PARAM_SPREAD,
    PARAM_AFFINITY_STRICT,
    PARAM_AFFINITY_LOOSE,
    PARAM_BREAK_TTFT_S,
    PARAM_EXPLORE_RATIO,
    PARAM_SAMPLES_MIN,
    PARAM_MEMORY_SAMPLES,
    PARAM_INDEX_BLOCKS,
};
enum dimension { TTFT, TPOT, DIMENSIONS };
enum tier { TIER_IDLE, TIER_TPOT, TIER_TTFT, TIER_BOTH }; /* the best first */

/* What was known of an attempt when it was sent. */
struct sample {
    double terms[ONLINE_FIT_TERMS];
    int64_t sent_ns;
    int64_t first_token_ns;
    uint32_t next_unused;
};

struct candidate {
    double predicted_s[DIMENSIONS];
    double headroom_s[DIMENSIONS];
    double affinity; /* part of the prompt's blocks */
    double score;
    bool kept;
};

struct predicted_latency {
    struct policy_memory memory;
    struct tie_breaker breaker;
    struct prefix_hits hits;
    struct attempts attempts; /* prefill_tokens: number of the sample + 1 */
    struct online_fit fits[DIMENSIONS];
    double slo_s[DIMENSIONS]; /* 0 = none */
    double weights[DIMENSIONS];
    double affinity_strict;
    double affinity_loose;
    double break_ttft_s;
    double explore_ratio;
    uint64_t samples_min;
    bool spread;
    struct sample *samples;
    uint32_t sample_count;
    uint32_t sample_capacity;
    uint32_t sample_unused;       /* number + 1 */
    struct candidate *candidates; /* scratch, by index in the view */
    uint32_t candidate_capacity;
};

static bool predicted_latency_init(void *state, const struct policy_setup *setup,
                                   struct err *err)
{
    (void)err;
    struct predicted_latency *self = state;
    const double *values = setup->values;
    self->memory = setup->memory;
    self->breaker = (struct tie_breaker){.rule = TIE_RANDOM, .rng = setup->rng};
    prefix_hits_init(&self->hits, &setup->memory, (uint32_t)values[PARAM_INDEX_BLOCKS]);
    attempts_init(&self->attempts, &setup->memory);
    for (int d = 0; d < DIMENSIONS; d++) {
        online_fit_init(&self->fits[d], 1 - 1 / values[PARAM_MEMORY_SAMPLES]);
    }
    self->slo_s[TTFT] = values[PARAM_SLO_TTFT_MS] * values[PARAM_BUFFER] / 1e3;
    self->slo_s[TPOT] = values[PARAM_SLO_TPOT_MS] * values[PARAM_BUFFER] / 1e3;
    self->weights[TTFT] = values[PARAM_TTFT_WEIGHT];
    self->weights[TPOT] = values[PARAM_TPOT_WEIGHT];
    self->spread = values[PARAM_SPREAD] != 0;
    self->affinity_strict = values[PARAM_AFFINITY_STRICT];
    self->affinity_loose = values[PARAM_AFFINITY_LOOSE];
    self->break_ttft_s = values[PARAM_BREAK_TTFT_S];
    self->explore_ratio = values[PARAM_EXPLORE_RATIO];
    self->samples_min = (uint64_t)values[PARAM_SAMPLES_MIN];
    return true;
}

static void predicted_latency_fini(void *state)
{
    struct predicted_latency *self = state;
    prefix_hits_fini(&self->hits);
    attempts_fini(&self->attempts);
    self->memory.resize(self->memory.context, self->samples, 0);
    self->memory.resize(self->memory.context, self->candidates, 0);
}

/* ---- predictions ---------------------------------------------------------------- */

/* All of the order of 1. */
static void terms_of(const struct endpoint_view *endpoint,
                     const struct request_view *request, uint32_t hit_blocks,
                     double terms[ONLINE_FIT_TERMS])
{
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    const double kv_used =
        (metrics->valid & METRIC_KV_USED) != 0 ? metrics->kv_used_ratio : 0;
    const double waiting =
        (metrics->valid & METRIC_WAITING) != 0 ? metrics->waiting_requests : 0;
    terms[0] = 1;
    terms[1] = kv_used;
    terms[2] = waiting / 10;
    terms[3] = request->prompt_tokens / 1e3;
    terms[4] = prefix_miss_tokens(request, hit_blocks) / 1e3;
    terms[5] = (double)endpoint->inflight_prompt_tokens / 1e3;
    terms[6] = endpoint->inflight_decode / 10.0;
}

static void predict(struct predicted_latency *self, const struct cluster_view *view,
                    const struct request_view *request, const uint32_t *blocks)
{
    for (uint32_t i = 0; i < view->count; i++) {
        struct candidate *candidate = &self->candidates[i];
        double terms[ONLINE_FIT_TERMS];
        terms_of(view->endpoints[i], request, blocks[i], terms);
        for (int d = 0; d < DIMENSIONS; d++) {
            const double guess_s = online_fit_predict(&self->fits[d], terms);
            candidate->predicted_s[d] = guess_s > 0 ? guess_s : 0;
            candidate->headroom_s[d] = self->slo_s[d] - candidate->predicted_s[d];
        }
        candidate->affinity =
            request->block_count > 0 ? blocks[i] / (double)request->block_count : 0;
        candidate->kept = true;
    }
}

/* ---- the chain ------------------------------------------------------------------ */

/* Holders of so much of the prompt, unless the wait for them is too long. */
static void keep_holders(struct predicted_latency *self, uint32_t count,
                         double affinity_min)
{
    double best_s[2] = {(double)INFINITY, (double)INFINITY}; /* of others, of holders */
    for (uint32_t i = 0; i < count; i++) {
        const struct candidate *candidate = &self->candidates[i];
        const bool holder = candidate->affinity >= affinity_min;
        if (candidate->kept && candidate->predicted_s[TTFT] < best_s[holder]) {
            best_s[holder] = candidate->predicted_s[TTFT];
        }
    }
    if (best_s[true] == (double)INFINITY ||
        best_s[true] > best_s[false] + self->break_ttft_s) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct candidate *candidate = &self->candidates[i];
        candidate->kept = candidate->kept && candidate->affinity >= affinity_min;
    }
}

static bool misses(const struct predicted_latency *self,
                   const struct candidate *candidate, enum dimension dimension)
{
    return self->slo_s[dimension] > 0 && candidate->headroom_s[dimension] <= 0;
}

static bool keeps_targets(const struct predicted_latency *self,
                          const struct candidate *candidate)
{
    return !misses(self, candidate, TTFT) && !misses(self, candidate, TPOT);
}

static enum tier tier_of(const struct predicted_latency *self,
                         const struct cluster_view *view, uint32_t index)
{
    const struct candidate *candidate = &self->candidates[index];
    if (view->inflight[index] == 0) {
        return TIER_IDLE;
    }
    if (misses(self, candidate, TTFT)) {
        return misses(self, candidate, TPOT) ? TIER_BOTH : TIER_TTFT;
    }
    return TIER_TPOT;
}

/* Those who keep the targets, or now and then those who do not, so that the models also
 * learn there. Returns whether the kept ones keep them. */
static bool keep_headroom(struct predicted_latency *self,
                          const struct cluster_view *view)
{
    bool some[2] = {false, false};
    enum tier best = TIER_BOTH;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct candidate *candidate = &self->candidates[i];
        if (!candidate->kept) {
            continue;
        }
        const bool good = keeps_targets(self, candidate);
        some[good] = true;
        if (!good && tier_of(self, view, i) < best) {
            best = tier_of(self, view, i);
        }
    }
    const bool explore = rng_unit(self->breaker.rng) < self->explore_ratio;
    const bool wanted = some[true] && !(explore && some[false]);
    for (uint32_t i = 0; i < view->count; i++) {
        struct candidate *candidate = &self->candidates[i];
        candidate->kept = candidate->kept && keeps_targets(self, candidate) == wanted &&
                          (wanted || tier_of(self, view, i) == best);
    }
    return wanted;
}

/* Weighted headroom of those kept, each dimension stretched to 0..1. */
static void score_headroom(struct predicted_latency *self, uint32_t count)
{
    double low_s[DIMENSIONS] = {(double)INFINITY, (double)INFINITY};
    double high_s[DIMENSIONS] = {-(double)INFINITY, -(double)INFINITY};
    for (uint32_t i = 0; i < count; i++) {
        const struct candidate *candidate = &self->candidates[i];
        for (int d = 0; candidate->kept && d < DIMENSIONS; d++) {
            low_s[d] = fmin(low_s[d], candidate->headroom_s[d]);
            high_s[d] = fmax(high_s[d], candidate->headroom_s[d]);
        }
    }
    double weights[DIMENSIONS];
    double total = 0;
    for (int d = 0; d < DIMENSIONS; d++) {
        weights[d] = high_s[d] > low_s[d] ? self->weights[d] : 0;
        total += weights[d];
    }
    for (uint32_t i = 0; i < count; i++) {
        struct candidate *candidate = &self->candidates[i];
        double score = 0;
        for (int d = 0; total > 0 && d < DIMENSIONS; d++) {
            if (weights[d] > 0) {
                score += weights[d] / total * (candidate->headroom_s[d] - low_s[d]) /
                         (high_s[d] - low_s[d]);
            }
        }
        candidate->score = score;
    }
}

/* ---- pickers -------------------------------------------------------------------- */

/* The best score; one of several at random. */
static uint32_t pick_best(struct predicted_latency *self,
                          const struct cluster_view *view)
{
    struct cluster_view quiet = *view;
    quiet.scores = NULL;
    struct choice choice = choice_begin(&self->breaker, &quiet);
    for (uint32_t i = 0; i < view->count; i++) {
        if (self->candidates[i].kept) {
            choice_offer(&choice, -self->candidates[i].score, i);
        }
    }
    return choice.index;
}

/* In whole hundredths from 0.01 on, as llm-d rounds them; drawn in proportion. */
static uint32_t pick_weighted(struct predicted_latency *self, uint32_t count,
                              bool turned)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct candidate *candidate = &self->candidates[i];
        const double part = turned ? 1 - candidate->score : candidate->score;
        candidate->score = candidate->kept ? floor(part * 100) + 1 : 0;
        total += (uint64_t)candidate->score;
    }
    uint64_t left = rng_below(self->breaker.rng, total);
    uint32_t at = 0;
    while (left >= (uint64_t)self->candidates[at].score) {
        left -= (uint64_t)self->candidates[at].score;
        at++;
    }
    return at;
}

/* Without a predictor: queue, KV and prefix scores as in weighted_sum, 1 each. */
static void score_composite(struct predicted_latency *self,
                            const struct cluster_view *view)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        least = view->inflight[i] < least ? view->inflight[i] : least;
        most = view->inflight[i] > most ? view->inflight[i] : most;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_metrics *metrics = &view->endpoints[i]->metrics;
        const double queue =
            most > least ? (most - view->inflight[i]) / (double)(most - least) : 1;
        const double kv =
            (metrics->valid & METRIC_KV_USED) != 0 ? 1 - metrics->kv_used_ratio : 0;
        self->candidates[i].score = queue + kv + self->candidates[i].affinity;
    }
}

static void candidates_reserve(struct predicted_latency *self, uint32_t count)
{
    if (count > self->candidate_capacity) {
        self->candidates = self->memory.resize(self->memory.context, self->candidates,
                                               count * sizeof *self->candidates);
        self->candidate_capacity = count;
    }
}

static uint32_t choose(struct predicted_latency *self, const struct cluster_view *view,
                       enum route_reason *reason)
{
    if (self->fits[TTFT].samples < self->samples_min) {
        *reason = REASON_SCORED;
        score_composite(self, view);
        return pick_best(self, view);
    }
    keep_holders(self, view->count, self->affinity_strict);
    if (self->slo_s[TTFT] <= 0 && self->slo_s[TPOT] <= 0) {
        *reason = REASON_PREDICTED;
        keep_holders(self, view->count, self->affinity_loose);
        score_headroom(self, view->count);
        return pick_best(self, view);
    }
    const bool good = keep_headroom(self, view);
    *reason = good ? REASON_HEADROOM : REASON_NO_HEADROOM;
    keep_holders(self, view->count, self->affinity_loose);
    score_headroom(self, view->count);
    return pick_weighted(self, view->count, good && !self->spread);
}

static struct route_decision predicted_latency_pick(void *state,
                                                    const struct cluster_view *view,
                                                    const struct request_view *request)
{
    struct predicted_latency *self = state;
    const uint32_t *blocks = prefix_hits_of(&self->hits, view, request);
    enum route_reason reason = REASON_NONE;
    candidates_reserve(self, view->count);
    predict(self, view, request, blocks);
    const uint32_t picked = choose(self, view, &reason);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        kept += self->candidates[i].kept;
        if (view->scores != NULL && self->candidates[i].kept) {
            view->scores[i] = self->candidates[i].score;
        }
    }
    return (struct route_decision){
        .endpoint = (int32_t)picked,
        .reason = reason,
        .candidates = kept,
        .matched_length = blocks[picked],
        .score = self->candidates[picked].score,
    };
}

/* ---- learning ------------------------------------------------------------------- */

static uint32_t sample_take(struct predicted_latency *self)
{
    if (self->sample_unused != 0) {
        const uint32_t sample = self->sample_unused - 1;
        self->sample_unused = self->samples[sample].next_unused;
        return sample;
    }
    if (self->sample_count == self->sample_capacity) {
        const uint32_t capacity =
            self->sample_capacity > 0 ? 2 * self->sample_capacity : 64;
        self->samples = self->memory.resize(self->memory.context, self->samples,
                                            capacity * sizeof *self->samples);
        self->sample_capacity = capacity;
    }
    return self->sample_count++;
}

static void predicted_latency_on_route(void *state, const struct cluster_view *view,
                                       const struct request_view *request,
                                       const struct route_decision *decision)
{
    struct predicted_latency *self = state;
    const struct endpoint_view *endpoint = view->endpoints[decision->endpoint];
    const uint32_t number = sample_take(self);
    struct sample *sample = &self->samples[number];
    *sample = (struct sample){.sent_ns = view->now_ns};
    terms_of(endpoint, request, decision->matched_length, sample->terms);
    attempts_open(&self->attempts, request->request_id, endpoint->id,
                  (struct attempt_note){.prefill_tokens = (uint64_t)number + 1});
    prefix_hits_on_route(&self->hits, view, request, decision);
}

static void predicted_latency_on_first_token(void *state, int64_t now_ns,
                                             uint64_t request_id, uint32_t endpoint_id)
{
    struct predicted_latency *self = state;
    const struct attempt_note *note =
        attempts_find(&self->attempts, request_id, endpoint_id);
    if (note == NULL || note->prefill_tokens == 0) {
        return;
    }
    struct sample *sample = &self->samples[note->prefill_tokens - 1];
    sample->first_token_ns = now_ns;
    online_fit_add(&self->fits[TTFT], sample->terms,
                   (double)(now_ns - sample->sent_ns) / 1e9);
}

static void predicted_latency_on_end(void *state, int64_t now_ns,
                                     const struct attempt_end *end)
{
    struct predicted_latency *self = state;
    const struct attempt_note note =
        attempts_close(&self->attempts, end->request_id, end->endpoint_id);
    if (note.prefill_tokens == 0) {
        return;
    }
    const uint32_t number = (uint32_t)note.prefill_tokens - 1;
    struct sample *sample = &self->samples[number];
    if (end->how == ATTEMPT_COMPLETED && end->had_first_token &&
        end->output_tokens > 1) {
        online_fit_add(&self->fits[TPOT], sample->terms,
                       (double)(now_ns - sample->first_token_ns) / 1e9 /
                           (end->output_tokens - 1));
    }
    sample->next_unused = self->sample_unused;
    self->sample_unused = number + 1;
}

static void predicted_latency_on_endpoint_change(void *state,
                                                 enum endpoint_change change,
                                                 const struct endpoint_view *endpoint)
{
    struct predicted_latency *self = state;
    prefix_hits_on_endpoint_change(&self->hits, change, endpoint);
}

static void predicted_latency_on_metrics(void *state,
                                         const struct endpoint_view *endpoint)
{
    struct predicted_latency *self = state;
    prefix_hits_on_metrics(&self->hits, endpoint);
}

static size_t predicted_latency_memory_bytes(const void *state)
{
    const struct predicted_latency *self = state;
    return prefix_hits_bytes(&self->hits) + attempts_bytes(&self->attempts) +
           self->sample_capacity * sizeof *self->samples +
           self->candidate_capacity * sizeof *self->candidates;
}

/* ---- tables --------------------------------------------------------------------- */

static const char *const aliases[] = {"predicted-latency", NULL};

static const struct policy_param params[] = {
    [PARAM_SLO_TTFT_MS] = {.name = "slo_ttft_ms",
                           .kind = PARAM_F64,
                           .max = 1e9,
                           .help = "target of the time to the first token; 0 = none"},
    [PARAM_SLO_TPOT_MS] = {.name = "slo_tpot_ms",
                           .kind = PARAM_F64,
                           .max = 1e9,
                           .help = "target of the time per output token; 0 = none"},
    [PARAM_BUFFER] = {.name = "buffer",
                      .kind = PARAM_F64,
                      .default_value = 1,
                      .min = 0.01,
                      .max = 100,
                      .help = "targets are multiplied by it before they are compared"},
    [PARAM_TTFT_WEIGHT] = {.name = "ttft_weight",
                           .kind = PARAM_F64,
                           .default_value = 0.8,
                           .max = 1e6,
                           .help = "of the TTFT headroom in the score"},
    [PARAM_TPOT_WEIGHT] = {.name = "tpot_weight",
                           .kind = PARAM_F64,
                           .default_value = 0.2,
                           .max = 1e6,
                           .help = "of the TPOT headroom in the score"},
    [PARAM_SPREAD] = {.name = "spread",
                      .kind = PARAM_BOOL,
                      .max = 1,
                      .help = "among those who keep the targets: 1 prefers the most "
                              "headroom, 0 the least (best-fit packing)"},
    [PARAM_AFFINITY_STRICT] = {.name = "affinity_strict",
                               .kind = PARAM_F64,
                               .default_value = 0.99,
                               .max = 1,
                               .help = "part of the prompt's blocks: who was sent it "
                                       "is a holder, before targets are looked at"},
    [PARAM_AFFINITY_LOOSE] = {.name = "affinity_loose",
                              .kind = PARAM_F64,
                              .default_value = 0.8,
                              .max = 1,
                              .help = "the same, after targets were looked at"},
    [PARAM_BREAK_TTFT_S] = {.name = "break_ttft_s",
                            .kind = PARAM_F64,
                            .default_value = 5,
                            .max = 1e6,
                            .help = "seconds: holders are left when others are "
                                    "predicted to be so much earlier"},
    [PARAM_EXPLORE_RATIO] = {.name = "explore_ratio",
                             .kind = PARAM_F64,
                             .default_value = 0.01,
                             .max = 1,
                             .help = "part of the decisions that take who misses the "
                                     "targets although others keep them"},
    [PARAM_SAMPLES_MIN] = {.name = "samples_min",
                           .kind = PARAM_U64,
                           .default_value = 100,
                           .min = 32,
                           .max = 1e9,
                           .help = "first tokens before predictions are believed"},
    [PARAM_MEMORY_SAMPLES] = {.name = "memory_samples",
                              .kind = PARAM_F64,
                              .default_value = 1000,
                              .min = 10,
                              .max = 1e9,
                              .help = "about so many of the latest samples decide"},
    [PARAM_INDEX_BLOCKS] = INDEX_BLOCKS_PARAM,
    {.name = NULL},
};

const struct route_policy route_predicted_latency = {
    .name = "predicted_latency",
    .aliases = aliases,
    .help = "The best TTFT and TPOT by models that are fitted online (extension).",
    .source = "llm-d/llm-d-inference-scheduler: dataproducer/predictedlatency, "
              "scorer/latency; blog of 2026-03-13",
    .breaks = "a shift of the load (the models answer for the load of before); many "
              "engines of unequal speed (one model for all); tight targets with "
              "best-fit packing: one wrong prediction misses many",
    .score_help = "headroom of those left, 0 to 1, the highest wins; with targets "
                  "tickets of a draw, 1 to 101",
    .match_unit = "KV blocks",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct predicted_latency),
    .init = predicted_latency_init,
    .fini = predicted_latency_fini,
    .pick = predicted_latency_pick,
    .on_route = predicted_latency_on_route,
    .on_first_token = predicted_latency_on_first_token,
    .on_end = predicted_latency_on_end,
    .on_endpoint_change = predicted_latency_on_endpoint_change,
    .on_metrics = predicted_latency_on_metrics,
    .memory_bytes = predicted_latency_memory_bytes,
};
