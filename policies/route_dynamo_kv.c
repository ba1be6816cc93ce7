/* SPDX-License-Identifier: Apache-2.0
 *
 * route_dynamo_kv.c: least cost of prefill left and blocks in use (the KV router of
 * Dynamo).
 *
 *     prefill(e) = max(prompts in prefill there + prompt - overlap_credit * hit(e), 0)
 *     cost(e)    = prefill_weight * prefill(e) + blocks(e) + fresh(e)
 *                  + active_request_weight * requests(e)
 *     lmetric:     prefill(e) * (blocks(e) + 1)
 *
 * all in KV blocks. A prompt is in prefill, without what was hit, until its first
 * token; its blocks are in use until its end, those that requests share once, and fresh
 * are those that it would add. Both are this gateway's own counts, exact; output tokens
 * are not seen. The hit is what the engine says it has (events), or what was sent
 * there.
 *
 * Temperature 0 takes the least cost, equals at random; above it one is drawn with a
 * probability proportional to exp(-(cost - least) / (most - least) / temperature).
 *
 * Requests that end nowhere cannot be (the gateway's rule), so nothing is swept. With
 * events 0 Dynamo forgets by time, we by the size of the engine's cache.
 */
#include "policies/active_blocks.h"
#include "policies/attempts.h"
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/kv_index.h"
#include "policies/registry.h"

#include <math.h>
#include <string.h>

enum {
    PARAM_OVERLAP_CREDIT,
    PARAM_PREFILL_WEIGHT,
    PARAM_ACTIVE_REQUEST_WEIGHT,
    PARAM_TEMPERATURE,
    PARAM_LMETRIC,
    PARAM_EVENTS,
    PARAM_INDEX_BLOCKS,
};
enum { BLOCKS_UNKNOWN = 1 << 20, BLOCK_TOKENS_UNKNOWN = 16 };

struct dynamo_kv {
    struct policy_memory memory;
    struct rng *rng;
    struct kv_index *known;    /* NULL: by what was sent */
    struct prefix_index *sent; /* NULL: by events */
    struct attempts attempts;
    struct id_table prefills; /* tokens in prefill by endpoint id, uint64_t */
    struct active_blocks active;
    double overlap_credit;
    double prefill_weight;
    double active_request_weight;
    double temperature;
    bool lmetric;
    uint32_t index_blocks; /* 0 = what the engine says */
    double *costs;         /* by index in the view */
    uint32_t *overlaps;    /* blocks cached, by index in the view */
    uint32_t *used;        /* blocks in use */
    uint32_t capacity;
};

static bool dynamo_kv_init(void *state, const struct policy_setup *setup,
                           struct err *err)
{
    (void)err;
    struct dynamo_kv *self = state;
    const double *values = setup->values;
    self->memory = setup->memory;
    self->rng = setup->rng;
    if (values[PARAM_EVENTS] != 0) {
        self->known = kv_index_new(&setup->memory);
    } else {
        self->sent = prefix_index_new(&setup->memory);
    }
    attempts_init(&self->attempts, &setup->memory);
    id_table_init(&self->prefills, &setup->memory, sizeof(uint64_t));
    active_blocks_init(&self->active, &setup->memory);
    self->overlap_credit = values[PARAM_OVERLAP_CREDIT];
    self->prefill_weight = values[PARAM_PREFILL_WEIGHT];
    self->active_request_weight = values[PARAM_ACTIVE_REQUEST_WEIGHT];
    self->temperature = values[PARAM_TEMPERATURE];
    self->lmetric = values[PARAM_LMETRIC] != 0;
    self->index_blocks = (uint32_t)values[PARAM_INDEX_BLOCKS];
    return true;
}

static void dynamo_kv_fini(void *state)
{
    struct dynamo_kv *self = state;
    kv_index_delete(self->known);
    prefix_index_delete(self->sent);
    attempts_fini(&self->attempts);
    id_table_fini(&self->prefills);
    active_blocks_fini(&self->active);
    self->memory.resize(self->memory.context, self->costs, 0);
    self->memory.resize(self->memory.context, self->overlaps, 0);
    self->memory.resize(self->memory.context, self->used, 0);
}

static unsigned dynamo_kv_needs(const double *values)
{
    const unsigned events = values[PARAM_EVENTS] != 0 ? NEED_KV_EVENTS : 0U;
    return NEED_BLOCK_HASHES | NEED_METRICS | events;
}

/* ---- costs ---------------------------------------------------------------------- */

static uint32_t block_tokens_of(const struct request_view *request)
{
    return request->block_tokens > 0 ? request->block_tokens : BLOCK_TOKENS_UNKNOWN;
}

static struct active_prompt prompt_of(const struct request_view *request)
{
    const uint32_t block_tokens = block_tokens_of(request);
    const uint32_t blocks =
        (uint32_t)(((uint64_t)request->prompt_tokens + block_tokens - 1) /
                   block_tokens);
    return (struct active_prompt){
        .hashes = request->block_hashes,
        .count = request->block_count,
        .own = blocks > request->block_count ? blocks - request->block_count : 0};
}

/* Blocks of each hit, by index in the view. */
static void spread(const struct cluster_view *view, const struct index_hit *hits,
                   uint32_t count, uint32_t *blocks)
{
    memset(blocks, 0, view->count * sizeof *blocks);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t id = hits[i].endpoint_id;
        const uint32_t index =
            id < view->id_count ? view->index_of_id[id] : NOT_A_CANDIDATE;
        if (index != NOT_A_CANDIDATE) {
            blocks[index] = hits[i].blocks;
        }
    }
}

/* Leading blocks that each candidate has cached, and in use. */
static void find_overlaps(struct dynamo_kv *self, const struct cluster_view *view,
                          const struct request_view *request,
                          const struct active_prompt *prompt)
{
    const struct index_hit *hits = NULL;
    uint32_t count = self->known != NULL
                         ? kv_index_match(self->known, request->block_hashes,
                                          request->block_count, &hits)
                         : prefix_index_match(self->sent, request->block_hashes,
                                              request->block_count, &hits);
    spread(view, hits, count, self->overlaps);
    count = active_blocks_match(&self->active, prompt, &hits);
    spread(view, hits, count, self->used);
}

struct outset {
    double prompt_blocks; /* to compute without a hit */
    uint32_t full_blocks; /* to hold: a last partial one counts whole */
};

/* Of the candidate of index i, where so many blocks are in prefill. */
static double cost_of(struct dynamo_kv *self, const struct cluster_view *view,
                      const struct outset *outset, double prefill_blocks, uint32_t i)
{
    const struct endpoint_view *endpoint = view->endpoints[i];
    const double left = prefill_blocks + outset->prompt_blocks -
                        self->overlap_credit * self->overlaps[i];
    const double prefill = left > 0 ? left : 0;
    const double blocks = (double)active_blocks_count(&self->active, endpoint->id);
    if (self->lmetric) {
        return prefill * (blocks + 1);
    }
    return self->prefill_weight * prefill + blocks +
           (outset->full_blocks - self->used[i]) +
           self->active_request_weight * view->inflight[i];
}

static void grow(struct dynamo_kv *self, uint32_t count)
{
    const struct policy_memory *memory = &self->memory;
    if (count > self->capacity) {
        self->costs =
            memory->resize(memory->context, self->costs, count * sizeof *self->costs);
        self->overlaps = memory->resize(memory->context, self->overlaps,
                                        count * sizeof *self->overlaps);
        self->used =
            memory->resize(memory->context, self->used, count * sizeof *self->used);
        self->capacity = count;
    }
}

/* ---- decision ------------------------------------------------------------------- */

static uint32_t pick_least(struct dynamo_kv *self, const struct cluster_view *view)
{
    const struct tie_breaker breaker = {.rule = TIE_RANDOM, .rng = self->rng};
    struct choice choice = choice_begin(&breaker, view);
    for (uint32_t i = 0; i < view->count; i++) {
        choice_offer(&choice, self->costs[i], i);
    }
    return choice.index;
}

static uint32_t pick_softmax(struct dynamo_kv *self, const struct cluster_view *view)
{
    double least = self->costs[0];
    double most = self->costs[0];
    for (uint32_t i = 1; i < view->count; i++) {
        least = self->costs[i] < least ? self->costs[i] : least;
        most = self->costs[i] > most ? self->costs[i] : most;
    }
    const double scale = most > least ? 1 / ((most - least) * self->temperature) : 0;
    double total = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        total += exp(-(self->costs[i] - least) * scale);
    }
    double left = rng_unit(self->rng) * total;
    for (uint32_t i = 0; i + 1 < view->count; i++) {
        left -= exp(-(self->costs[i] - least) * scale);
        if (left < 0) {
            return i;
        }
    }
    return view->count - 1;
}

static struct route_decision dynamo_kv_pick(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    struct dynamo_kv *self = state;
    const uint64_t *prefills = id_table_items(&self->prefills, view->id_count);
    grow(self, view->count);
    const struct active_prompt prompt = prompt_of(request);
    const double block_tokens = block_tokens_of(request);
    const struct outset outset = {.prompt_blocks =
                                      request->prompt_tokens / block_tokens,
                                  .full_blocks = prompt.count + prompt.own};
    find_overlaps(self, view, request, &prompt);
    for (uint32_t i = 0; i < view->count; i++) {
        const double prefill_tokens = (double)prefills[view->endpoints[i]->id];
        self->costs[i] = cost_of(self, view, &outset, prefill_tokens / block_tokens, i);
    }
    if (view->scores != NULL) {
        memcpy(view->scores, self->costs, view->count * sizeof *self->costs);
    }
    const uint32_t index =
        self->temperature > 0 ? pick_softmax(self, view) : pick_least(self, view);
    return (struct route_decision){
        .endpoint = (int32_t)index,
        .reason = REASON_SCORED,
        .candidates = view->count,
        .matched_length = self->overlaps[index],
        .score = self->costs[index],
    };
}

/* ---- callbacks ------------------------------------------------------------------ */

static void dynamo_kv_on_route(void *state, const struct cluster_view *view,
                               const struct request_view *request,
                               const struct route_decision *decision)
{
    struct dynamo_kv *self = state;
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    uint64_t *prefills = id_table_items(&self->prefills, view->id_count);
    const uint64_t prompt_tokens = request->prompt_tokens;
    const uint64_t hit_tokens =
        (uint64_t)decision->matched_length * block_tokens_of(request);
    const struct active_prompt prompt = prompt_of(request);
    const struct attempt_note note = {
        .prefill_tokens = prompt_tokens > hit_tokens ? prompt_tokens - hit_tokens : 0,
        .sequence = active_blocks_open(&self->active, id, &prompt),
    };
    prefills[id] += note.prefill_tokens;
    attempts_open(&self->attempts, request->request_id, id, note);
    if (self->sent != NULL) {
        prefix_index_insert(self->sent, id, request->block_hashes,
                            request->block_count);
    }
}

static void dynamo_kv_on_first_token(void *state, int64_t now_ns, uint64_t request_id,
                                     uint32_t endpoint_id)
{
    (void)now_ns;
    struct dynamo_kv *self = state;
    uint64_t *prefills = id_table_items(&self->prefills, endpoint_id + 1);
    struct attempt_note *note = attempts_find(&self->attempts, request_id, endpoint_id);
    if (note != NULL) {
        prefills[endpoint_id] -= note->prefill_tokens;
        note->prefill_tokens = 0;
    }
}

static void dynamo_kv_on_end(void *state, int64_t now_ns, const struct attempt_end *end)
{
    (void)now_ns;
    struct dynamo_kv *self = state;
    uint64_t *prefills = id_table_items(&self->prefills, end->endpoint_id + 1);
    const struct attempt_note note =
        attempts_close(&self->attempts, end->request_id, end->endpoint_id);
    prefills[end->endpoint_id] -= note.prefill_tokens;
    active_blocks_close(&self->active, end->endpoint_id, (uint32_t)note.sequence);
}

static void allow(struct dynamo_kv *self, const struct endpoint_view *endpoint)
{
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    uint32_t blocks = self->index_blocks;
    if (blocks == 0) {
        blocks = (metrics->valid & METRIC_KV_TOTAL) != 0 && metrics->kv_total_blocks > 0
                     ? metrics->kv_total_blocks
                     : BLOCKS_UNKNOWN;
    }
    if (self->known != NULL) {
        kv_index_allow(self->known, endpoint->id, blocks);
    } else {
        prefix_index_allow(self->sent, endpoint->id, blocks);
    }
}

static void dynamo_kv_on_endpoint_change(void *state, enum endpoint_change change,
                                         const struct endpoint_view *endpoint)
{
    struct dynamo_kv *self = state;
    if (change == ENDPOINT_JOINED) {
        allow(self, endpoint);
    } else if (change == ENDPOINT_LEFT && self->known != NULL) {
        kv_index_forget(self->known, endpoint->id);
    } else if (change == ENDPOINT_LEFT) {
        prefix_index_forget(self->sent, endpoint->id);
    }
}

static void dynamo_kv_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    allow(state, endpoint);
}

static void dynamo_kv_on_kv_event(void *state, int64_t now_ns,
                                  const struct endpoint_view *endpoint,
                                  const struct kv_event *event)
{
    (void)now_ns;
    struct dynamo_kv *self = state;
    if (self->known != NULL) {
        kv_index_apply(self->known, endpoint->id, event);
    }
}

static size_t dynamo_kv_memory_bytes(const void *state)
{
    const struct dynamo_kv *self = state;
    const size_t index = self->known != NULL ? kv_index_bytes(self->known)
                                             : prefix_index_bytes(self->sent);
    return index + attempts_bytes(&self->attempts) + id_table_bytes(&self->prefills) +
           active_blocks_bytes(&self->active) +
           self->capacity * (sizeof *self->costs + 2 * sizeof *self->overlaps);
}

/* ---- tables --------------------------------------------------------------------- */

static const struct policy_param params[] = {
    [PARAM_OVERLAP_CREDIT] = {.name = "overlap_credit",
                              .kind = PARAM_F64,
                              .default_value = 1,
                              .max = 1000,
                              .help =
                                  "blocks of prefill that a block of the hit saves"},
    [PARAM_PREFILL_WEIGHT] = {.name = "prefill_weight",
                              .kind = PARAM_F64,
                              .default_value = 1,
                              .max = 1e6,
                              .help = "of a block to prefill, in blocks in use; once "
                                      "called overlap_score_weight"},
    [PARAM_ACTIVE_REQUEST_WEIGHT] = {.name = "active_request_weight",
                                     .kind = PARAM_F64,
                                     .max = 1e6,
                                     .help = "of a request in flight, in blocks"},
    [PARAM_TEMPERATURE] = {.name = "temperature",
                           .kind = PARAM_F64,
                           .max = 1e6,
                           .help = "0: least cost; above: drawn, the more evenly the "
                                   "higher"},
    [PARAM_LMETRIC] = {.name = "lmetric",
                       .kind = PARAM_BOOL,
                       .max = 1,
                       .help = "1: the product of prefill and blocks in use; 0: the "
                               "sum"},
    [PARAM_EVENTS] = {.name = "events",
                      .kind = PARAM_BOOL,
                      .default_value = 1,
                      .max = 1,
                      .help = "1: hits by KV events; 0: by what was sent"},
    [PARAM_INDEX_BLOCKS] = {.name = "index_blocks",
                            .kind = PARAM_U64,
                            .max = 1 << 30,
                            .help = "KV blocks remembered per endpoint; 0 = as many "
                                    "as it reports to have, 1048576 until it does"},
    {.name = NULL},
};

const struct route_policy route_dynamo_kv = {
    .name = "dynamo_kv",
    .help = "Least prefill left, after what is cached, plus KV blocks in use.",
    .source = "ai-dynamo/dynamo:lib/kv-router",
    .breaks = "a hot prefix (its owner wins until what others add exceeds the hit); "
              "lost events; long outputs, which it does not count; several gateways, "
              "each of which sees its own requests only",
    .score_help = "KV blocks to prefill and in use, the least wins",
    .match_unit = "KV blocks",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS | NEED_KV_EVENTS,
    .needs_with = dynamo_kv_needs,
    .params = params,
    .state_bytes = sizeof(struct dynamo_kv),
    .init = dynamo_kv_init,
    .fini = dynamo_kv_fini,
    .pick = dynamo_kv_pick,
    .on_route = dynamo_kv_on_route,
    .on_first_token = dynamo_kv_on_first_token,
    .on_end = dynamo_kv_on_end,
    .on_endpoint_change = dynamo_kv_on_endpoint_change,
    .on_metrics = dynamo_kv_on_metrics,
    .on_kv_event = dynamo_kv_on_kv_event,
    .memory_bytes = dynamo_kv_memory_bytes,
};
