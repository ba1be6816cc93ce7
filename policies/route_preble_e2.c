/* SPDX-License-Identifier: Apache-2.0
 *
 * route_preble_e2.c: exploit a prefix or explore the least cost (Preble's E2).
 *
 *     some endpoint was sent more of the prompt than is new:  exploit. Of those that
 *         were sent the longest known prefix, the one with the least load
 *     else:  explore. The least load + what it would have to evict
 *     load(e)  = prefill of what it missed in the last window, each divided by how many
 *                endpoints have it  +  in flight * median output * median TPOT
 *     evict(e) = sum over its oldest blocks that must go of hits per request * prefill
 *
 * After rebalance_from requests per endpoint an exploited endpoint that carries the
 * most load, and more than high_load_ratio times the least, passes the prompt and its
 * prefix on to the one with the least. It keeps the prefix, too (replication), when
 * most of its requests are for it and its TTFT doubled from one half of the window to
 * the next.
 *
 * Differences to global_scheduler_with_time.py: the tree is of KV blocks, so a node is
 * a block and its costs add up to those of an edge; a miss is priced when it is sent,
 * not again whenever the set of its holders changes; load moves with the next prompt
 * that would have been exploited (the paper's form), not in a walk over the heaviest
 * sub-trees; windows move in steps of a thirty-sixth, hits and TTFT in halves. Prefill
 * is a + b * context per token with parameters, fitted per GPU there. Its local
 * scheduler (order by hit ratio) is the engine's business and not here.
 */
#include "policies/attempts.h"
#include "policies/block_tree.h"
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/registry.h"

#include <string.h>

enum {
    PARAM_WINDOW_S,
    PARAM_HIGH_LOAD_RATIO,
    PARAM_REBALANCE_FROM,
    PARAM_PREFILL_US,
    PARAM_CONTEXT_NS,
    PARAM_BUDGET_TOKENS,
};
enum { BUCKETS = 36, HISTORY = 200, BUDGET_TOKENS_UNKNOWN = 198516 };
static const double first_output_tokens = 45;
static const double first_tpot_s = 0.15;

/* The last values, in order of coming and of size. */
struct history {
    uint32_t count;
    uint32_t next;
    double values[HISTORY];
    double sorted[HISTORY];
};

/* Of one endpoint. */
struct burden {
    int64_t bucket; /* the newest; buckets are numbered from time 0 */
    int64_t sum_ns;
    int64_t missed_ns[BUCKETS]; /* prefill, by number modulo BUCKETS */
    uint32_t epoch;             /* half windows */
    uint32_t requests[2];       /* in the epoch before, in this one */
    uint32_t first_tokens[2];
    int64_t ttft_ns[2]; /* their sums */
    uint32_t kv_blocks; /* as reported; 0 = unknown */
};

struct preble_e2 {
    struct block_tree *tree;
    struct attempts attempts; /* prefill_tokens: sent, decode_tokens: first token, ns */
    struct id_table burdens;
    struct tie_breaker breaker;
    struct history outputs;
    struct history tpots;
    int64_t bucket_ns;
    double high_load_ratio;
    double rebalance_from;
    double prefill_s; /* per token */
    double context_s; /* per token and token before it */
    double budget_tokens;
    double block_tokens; /* of the last prompt that had blocks */
    uint64_t routed;
};

/* A prompt as the tree sees it. */
struct known {
    uint32_t blocks;  /* that some endpoint was sent */
    uint32_t node;    /* of the last one that a candidate was sent, or NONE */
    uint32_t holders; /* of that node, candidates or not */
    bool exploit;
};

/* ---- history -------------------------------------------------------------------- */

static void history_add(struct history *history, double value)
{
    uint32_t count = history->count;
    if (count == HISTORY) {
        const double oldest = history->values[history->next];
        uint32_t at = 0;
        while (history->sorted[at] != oldest) {
            at++;
        }
        count--;
        memmove(&history->sorted[at], &history->sorted[at + 1],
                (count - at) * sizeof history->sorted[0]);
    }
    uint32_t at = count;
    while (at > 0 && history->sorted[at - 1] > value) {
        history->sorted[at] = history->sorted[at - 1];
        at--;
    }
    history->sorted[at] = value;
    history->values[history->next] = value;
    history->next = (history->next + 1) % HISTORY;
    history->count = count + 1;
}

/* The upper one of two in the middle. */
static double history_median(const struct history *history)
{
    return history->sorted[history->count / 2];
}

/* ---- set up --------------------------------------------------------------------- */

static bool preble_e2_init(void *state, const struct policy_setup *setup,
                           struct err *err)
{
    (void)err;
    struct preble_e2 *self = state;
    self->tree = block_tree_new(&setup->memory);
    attempts_init(&self->attempts, &setup->memory);
    id_table_init(&self->burdens, &setup->memory, sizeof(struct burden));
    self->breaker = (struct tie_breaker){.rule = TIE_FIRST, .rng = setup->rng};
    history_add(&self->outputs, first_output_tokens);
    history_add(&self->tpots, first_tpot_s);
    self->bucket_ns = (int64_t)(setup->values[PARAM_WINDOW_S] * 1e9 / BUCKETS);
    self->high_load_ratio = setup->values[PARAM_HIGH_LOAD_RATIO];
    self->rebalance_from = setup->values[PARAM_REBALANCE_FROM];
    self->prefill_s = setup->values[PARAM_PREFILL_US] / 1e6;
    self->context_s = setup->values[PARAM_CONTEXT_NS] / 1e9;
    self->budget_tokens = setup->values[PARAM_BUDGET_TOKENS];
    self->block_tokens = 16;
    return true;
}

static void preble_e2_fini(void *state)
{
    struct preble_e2 *self = state;
    block_tree_delete(self->tree);
    attempts_fini(&self->attempts);
    id_table_fini(&self->burdens);
}

/* ---- windows -------------------------------------------------------------------- */

static uint32_t epoch_of(const struct preble_e2 *self, int64_t now_ns)
{
    return (uint32_t)(now_ns / self->bucket_ns / (BUCKETS / 2));
}

/* The endpoint's burden as of now: what is older than the window has left it. */
static struct burden *burden_of(struct preble_e2 *self, uint32_t endpoint_id,
                                int64_t now_ns)
{
    struct burden *burdens = id_table_items(&self->burdens, endpoint_id + 1);
    struct burden *burden = &burdens[endpoint_id];
    const int64_t bucket = now_ns / self->bucket_ns;
    const int64_t passed = bucket - burden->bucket;
    for (int64_t i = 1; i <= passed && i <= BUCKETS; i++) {
        int64_t *missed_ns = &burden->missed_ns[(burden->bucket + i) % BUCKETS];
        burden->sum_ns -= *missed_ns;
        *missed_ns = 0;
    }
    burden->bucket = bucket;
    const uint32_t epoch = epoch_of(self, now_ns);
    if (epoch != burden->epoch) {
        const bool next = burden->epoch + 1 == epoch;
        burden->requests[0] = next ? burden->requests[1] : 0;
        burden->first_tokens[0] = next ? burden->first_tokens[1] : 0;
        burden->ttft_ns[0] = next ? burden->ttft_ns[1] : 0;
        burden->requests[1] = 0;
        burden->first_tokens[1] = 0;
        burden->ttft_ns[1] = 0;
        burden->epoch = epoch;
    }
    return burden;
}

/* ---- costs ---------------------------------------------------------------------- */

/* Seconds to prefill so many tokens behind others. */
static double prefill_s(const struct preble_e2 *self, double before, double tokens)
{
    return tokens * (self->prefill_s + self->context_s * (before + tokens / 2));
}

static double load_s(struct preble_e2 *self, const struct cluster_view *view,
                     uint32_t index)
{
    const struct burden *burden =
        burden_of(self, view->endpoints[index]->id, view->now_ns);
    return (double)burden->sum_ns / 1e9 + view->inflight[index] *
                                              history_median(&self->outputs) *
                                              history_median(&self->tpots);
}

/* Blocks that an endpoint may have. */
static uint32_t budget_of(const struct preble_e2 *self, const struct burden *burden)
{
    if (self->budget_tokens <= 0 && burden->kv_blocks > 0) {
        return burden->kv_blocks;
    }
    const double tokens =
        self->budget_tokens > 0 ? self->budget_tokens : BUDGET_TOKENS_UNKNOWN;
    return tokens > self->block_tokens ? (uint32_t)(tokens / self->block_tokens) : 1;
}

/* What the endpoint's oldest blocks are worth that make room for `fresh` new ones. */
static double evict_s(struct preble_e2 *self, const struct cluster_view *view,
                      uint32_t index, uint32_t fresh)
{
    const uint32_t id = view->endpoints[index]->id;
    const struct burden *burden = burden_of(self, id, view->now_ns);
    const uint64_t wanted = (uint64_t)block_tree_count(self->tree, id) + fresh;
    const uint64_t budget = budget_of(self, burden);
    const double requests = (double)burden->requests[0] + burden->requests[1];
    const uint32_t epoch = epoch_of(self, view->now_ns);
    double worth_s = 0;
    uint32_t entry = block_tree_oldest(self->tree, id);
    for (uint64_t victims = wanted > budget ? wanted - budget : 0;
         victims > 0 && requests > 0 && entry != BLOCK_TREE_NONE; victims--) {
        const struct block_entry victim = block_tree_entry(self->tree, entry, epoch);
        worth_s +=
            victim.uses / requests *
            prefill_s(self, victim.depth * self->block_tokens, self->block_tokens);
        entry = block_tree_newer(self->tree, entry);
    }
    return worth_s;
}

/* ---- decision ------------------------------------------------------------------- */

static uint32_t candidate_of(const struct preble_e2 *self,
                             const struct cluster_view *view, uint32_t entry)
{
    const uint32_t id = block_tree_entry(self->tree, entry, 0).endpoint_id;
    return id < view->id_count ? view->index_of_id[id] : NOT_A_CANDIDATE;
}

static uint32_t count_holders(const struct preble_e2 *self,
                              const struct cluster_view *view, uint32_t node,
                              bool *some_candidate)
{
    uint32_t holders = 0;
    *some_candidate = false;
    for (uint32_t entry = block_tree_first(self->tree, node); entry != BLOCK_TREE_NONE;
         entry = block_tree_next(self->tree, entry)) {
        *some_candidate =
            *some_candidate || candidate_of(self, view, entry) != NOT_A_CANDIDATE;
        holders++;
    }
    return holders;
}

static double tokens_per_block(const struct request_view *request)
{
    const uint32_t whole = request->prompt_tokens / request->block_count;
    return request->block_tokens > 0 ? request->block_tokens : whole;
}

static struct known look_up(struct preble_e2 *self, const struct cluster_view *view,
                            const struct request_view *request)
{
    struct known known = {.node = BLOCK_TREE_NONE};
    if (request->block_count == 0) {
        return known;
    }
    uint32_t node = BLOCK_TREE_NONE;
    known.blocks = block_tree_match(self->tree, request->block_hashes,
                                    request->block_count, &node);
    bool candidate = false;
    for (uint32_t depth = known.blocks; depth > 0 && !candidate; depth--) {
        node = block_tree_find(self->tree, request->block_hashes[depth - 1]);
        known.holders = count_holders(self, view, node, &candidate);
    }
    known.node = candidate ? node : BLOCK_TREE_NONE;
    const double cached_tokens = known.blocks * tokens_per_block(request);
    known.exploit = candidate && request->prompt_tokens - cached_tokens < cached_tokens;
    return known;
}

static struct choice exploit(struct preble_e2 *self, const struct cluster_view *view,
                             uint32_t node)
{
    struct choice choice = choice_begin(&self->breaker, view);
    for (uint32_t entry = block_tree_first(self->tree, node); entry != BLOCK_TREE_NONE;
         entry = block_tree_next(self->tree, entry)) {
        const uint32_t index = candidate_of(self, view, entry);
        if (index != NOT_A_CANDIDATE) {
            choice_offer(&choice, load_s(self, view, index), index);
        }
    }
    return choice;
}

static struct choice explore(struct preble_e2 *self, const struct cluster_view *view,
                             uint32_t fresh)
{
    struct choice choice = choice_begin(&self->breaker, view);
    for (uint32_t i = 0; i < view->count; i++) {
        choice_offer(&choice, load_s(self, view, i) + evict_s(self, view, i, fresh), i);
    }
    return choice;
}

/* The least loaded, when this one is the most loaded by far; else itself. */
static uint32_t relieve(struct preble_e2 *self, const struct cluster_view *view,
                        uint32_t index)
{
    const double here_s = load_s(self, view, index);
    double least_s = here_s;
    uint32_t least = index;
    if ((double)self->routed < self->rebalance_from * view->count) {
        return index;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const double other_s = load_s(self, view, i);
        if (other_s > here_s) {
            return index;
        }
        if (other_s < least_s) {
            least_s = other_s;
            least = i;
        }
    }
    return here_s > self->high_load_ratio * least_s ? least : index;
}

static struct route_decision preble_e2_pick(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    struct preble_e2 *self = state;
    const struct known known = look_up(self, view, request);
    const struct choice choice =
        known.exploit ? exploit(self, view, known.node)
                      : explore(self, view, request->block_count - known.blocks);
    const uint32_t picked =
        known.exploit ? relieve(self, view, choice.index) : choice.index;
    enum route_reason reason = known.exploit ? REASON_PREFIX : REASON_NO_PREFIX;
    if (picked != choice.index) {
        reason = REASON_REBALANCED;
    }
    return (struct route_decision){
        .endpoint = (int32_t)picked,
        .reason = reason,
        .candidates = choice.offered,
        .matched_length = known.blocks,
        .score = picked == choice.index ? choice.cost : load_s(self, view, picked),
    };
}

/* ---- what becomes known --------------------------------------------------------- */

/* Most of its requests are for this prefix, and they wait twice as long as before. */
static bool is_overrun(struct preble_e2 *self, const struct cluster_view *view,
                       uint32_t index, uint32_t node)
{
    const uint32_t id = view->endpoints[index]->id;
    const struct burden *burden = burden_of(self, id, view->now_ns);
    uint32_t entry = block_tree_first(self->tree, node);
    while (candidate_of(self, view, entry) != index) {
        entry = block_tree_next(self->tree, entry);
    }
    const uint32_t epoch = epoch_of(self, view->now_ns);
    const uint32_t uses = block_tree_entry(self->tree, entry, epoch).uses;
    const uint64_t requests = (uint64_t)burden->requests[0] + burden->requests[1];
    if (2 * (uint64_t)uses < requests || burden->first_tokens[0] == 0 ||
        burden->first_tokens[1] == 0) {
        return false;
    }
    const double before_ns = (double)burden->ttft_ns[0] / burden->first_tokens[0];
    const double now_ns = (double)burden->ttft_ns[1] / burden->first_tokens[1];
    return now_ns >= 2 * before_ns;
}

/* Seconds of prefill that the endpoint owes for blocks that it had not. */
static double missed_s(const struct preble_e2 *self, const struct request_view *request,
                       const struct known *known, uint32_t fresh)
{
    const uint32_t unknown = request->block_count - known->blocks;
    const uint32_t shared = fresh > unknown ? fresh - unknown : 0;
    const double cached_tokens = known->blocks * self->block_tokens;
    const double new_tokens = request->prompt_tokens - cached_tokens;
    const double shared_tokens = shared * self->block_tokens;
    return prefill_s(self, cached_tokens, new_tokens > 0 ? new_tokens : 0) +
           prefill_s(self, cached_tokens - shared_tokens, shared_tokens) /
               (known->holders + 1);
}

static void preble_e2_on_route(void *state, const struct cluster_view *view,
                               const struct request_view *request,
                               const struct route_decision *decision)
{
    struct preble_e2 *self = state;
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    const struct known known = look_up(self, view, request);
    if (request->block_count > 0) {
        self->block_tokens = tokens_per_block(request);
    }
    if (decision->reason == REASON_REBALANCED) {
        struct cluster_view quiet = *view;
        quiet.scores = NULL;
        const uint32_t heavy = exploit(self, &quiet, known.node).index;
        if (!is_overrun(self, view, heavy, known.node)) {
            block_tree_remove(self->tree, view->endpoints[heavy]->id,
                              request->block_hashes, known.blocks);
        }
    }
    const uint32_t fresh =
        block_tree_insert(self->tree, id, request->block_hashes, request->block_count,
                          epoch_of(self, view->now_ns));
    struct burden *burden = burden_of(self, id, view->now_ns);
    block_tree_trim(self->tree, id, budget_of(self, burden));
    const int64_t missed_ns =
        (int64_t)(missed_s(self, request, &known, fresh) * 1e9 + 0.5);
    burden->missed_ns[burden->bucket % BUCKETS] += missed_ns;
    burden->sum_ns += missed_ns;
    burden->requests[1]++;
    self->routed++;
    attempts_open(&self->attempts, request->request_id, id,
                  (struct attempt_note){.prefill_tokens = (uint64_t)view->now_ns});
}

static void preble_e2_on_first_token(void *state, int64_t now_ns, uint64_t request_id,
                                     uint32_t endpoint_id)
{
    struct preble_e2 *self = state;
    struct attempt_note *note = attempts_find(&self->attempts, request_id, endpoint_id);
    if (note != NULL) {
        struct burden *burden = burden_of(self, endpoint_id, now_ns);
        note->decode_tokens = (uint64_t)now_ns;
        burden->first_tokens[1]++;
        burden->ttft_ns[1] += now_ns - (int64_t)note->prefill_tokens;
    }
}

static void preble_e2_on_end(void *state, int64_t now_ns, const struct attempt_end *end)
{
    struct preble_e2 *self = state;
    const struct attempt_note note =
        attempts_close(&self->attempts, end->request_id, end->endpoint_id);
    if (end->how != ATTEMPT_COMPLETED || end->output_tokens == 0) {
        return;
    }
    history_add(&self->outputs, end->output_tokens);
    if (end->had_first_token && end->output_tokens > 1) {
        history_add(&self->tpots, (double)(now_ns - (int64_t)note.decode_tokens) / 1e9 /
                                      (end->output_tokens - 1));
    }
}

static void note_cache(struct preble_e2 *self, const struct endpoint_view *endpoint)
{
    struct burden *burdens = id_table_items(&self->burdens, endpoint->id + 1);
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    burdens[endpoint->id].kv_blocks =
        (metrics->valid & METRIC_KV_TOTAL) != 0 ? metrics->kv_total_blocks : 0;
}

static void preble_e2_on_endpoint_change(void *state, enum endpoint_change change,
                                         const struct endpoint_view *endpoint)
{
    struct preble_e2 *self = state;
    if (change == ENDPOINT_LEFT) {
        struct burden *burdens = id_table_items(&self->burdens, endpoint->id + 1);
        burdens[endpoint->id] = (struct burden){0};
        block_tree_trim(self->tree, endpoint->id, 0);
    }
}

static void preble_e2_on_metrics(void *state, const struct endpoint_view *endpoint)
{
    note_cache(state, endpoint);
}

static size_t preble_e2_memory_bytes(const void *state)
{
    const struct preble_e2 *self = state;
    return block_tree_bytes(self->tree) + attempts_bytes(&self->attempts) +
           id_table_bytes(&self->burdens);
}

/* ---- tables --------------------------------------------------------------------- */

static const char *const aliases[] = {"preble", NULL};

static const struct policy_param params[] = {
    [PARAM_WINDOW_S] = {.name = "window_s",
                        .kind = PARAM_F64,
                        .default_value = 180,
                        .min = 1,
                        .max = 1e6,
                        .help = "seconds over which missed prefill counts as load"},
    [PARAM_HIGH_LOAD_RATIO] = {.name = "high_load_ratio",
                               .kind = PARAM_F64,
                               .default_value = 1.5,
                               .min = 1,
                               .max = 1e9,
                               .help = "a holder with the most load, and more than so "
                                       "many times the least, passes its prompts on"},
    [PARAM_REBALANCE_FROM] = {.name = "rebalance_from",
                              .kind = PARAM_F64,
                              .default_value = 50,
                              .max = 1e9,
                              .help = "requests per endpoint before anything is passed "
                                      "on"},
    [PARAM_PREFILL_US] = {.name = "prefill_us",
                          .kind = PARAM_F64,
                          .default_value = 62.8,
                          .max = 1e6,
                          .help = "microseconds to prefill a token; the default is "
                                  "15,928 tokens/s"},
    [PARAM_CONTEXT_NS] = {.name = "context_ns",
                          .kind = PARAM_F64,
                          .default_value = 1.3,
                          .max = 1e6,
                          .help = "nanoseconds that each token before it adds; the "
                                  "default is an 8B model at 400 Tflop/s"},
    [PARAM_BUDGET_TOKENS] = {.name = "budget_tokens",
                             .kind = PARAM_F64,
                             .max = 1e9,
                             .help =
                                 "tokens remembered per endpoint; 0 = as many as "
                                 "its cache is reported to hold, 198516 until then"},
    {.name = NULL},
};

const struct route_policy route_preble_e2 = {
    .name = "preble_e2",
    .aliases = aliases,
    .help = "Exploit a known prefix or explore the least cost (Preble E2; extension).",
    .source = "WukLab/preble:preble/global_scheduler_with_time.py, arXiv 2407.00023",
    .breaks = "outputs of unequal length: one median stands for all; little load: "
              "half again as much as nothing is imbalance, and prefixes move about",
    .score_help = "seconds of load, and of eviction where it explores; the least wins",
    .match_unit = "KV blocks",
    .needs = NEED_BLOCK_HASHES | NEED_METRICS,
    .params = params,
    .state_bytes = sizeof(struct preble_e2),
    .init = preble_e2_init,
    .fini = preble_e2_fini,
    .pick = preble_e2_pick,
    .on_route = preble_e2_on_route,
    .on_first_token = preble_e2_on_first_token,
    .on_end = preble_e2_on_end,
    .on_endpoint_change = preble_e2_on_endpoint_change,
    .on_metrics = preble_e2_on_metrics,
    .memory_bytes = preble_e2_memory_bytes,
};
