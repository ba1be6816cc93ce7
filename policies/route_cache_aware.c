/* SPDX-License-Identifier: Apache-2.0
 *
 * route_cache_aware.c: to who was sent the prefix, unless loads lie too far apart.
 *
 *     most - least in flight > abs and most > rel * least:  the least loaded
 *     matched part of the prompt > cache_threshold:  who was sent the deepest match
 * last else:  the least loaded (older releases: who was sent the least text)
 *
 * and the prompt is recorded under the chosen one. As the gateway of SGLang
 * (cache_aware.rs, tree.rs), with these differences: the tree is of chunks of 128
 * characters, not of single ones, so a match is up to 127 characters shorter; it
 * forgets chunk by chunk, not edge by edge; only what is recorded counts as use (SGLang
 * also counts one match in eight); and a tree that reaches twice its bound between two
 * sweeps is swept at once, because nothing here may grow without a bound.
 *
 * A node names one endpoint, the last: a prefix that several have is not balanced among
 * them. An endpoint that does not accept keeps its text until it leaves; a prompt that
 * leads there goes to the first in discovery order.
 */
#include "base/hash.h"
#include "policies/block_tree.h"
#include "policies/choose.h"
#include "policies/registry.h"

#include <string.h>

enum {
    PARAM_CACHE_THRESHOLD,
    PARAM_BALANCE_ABS,
    PARAM_BALANCE_REL,
    PARAM_EVICT_INTERVAL_S,
    PARAM_TREE_CHARS_MAX,
    PARAM_SMALLEST_TREE,
    PARAM_TIE,
};
enum { CHUNK_CHARS = 128 };

struct cache_aware {
    struct policy_memory memory;
    struct tie_breaker breaker;
    struct block_tree *tree;
    double cache_threshold;
    double balance_abs;
    double balance_rel;
    int64_t evict_interval_ns;
    int64_t next_sweep_ns;
    uint32_t chunks_max; /* of one endpoint */
    bool smallest_tree;
    uint64_t *keys; /* scratch: chained chunk hashes */
    uint32_t key_capacity;
};

static bool cache_aware_init(void *state, const struct policy_setup *setup,
                             struct err *err)
{
    (void)err;
    struct cache_aware *self = state;
    self->memory = setup->memory;
    self->breaker = (struct tie_breaker){
        .rule = (enum tie_rule)setup->values[PARAM_TIE], .rng = setup->rng};
    self->tree = block_tree_new(&setup->memory);
    self->cache_threshold = setup->values[PARAM_CACHE_THRESHOLD];
    self->balance_abs = setup->values[PARAM_BALANCE_ABS];
    self->balance_rel = setup->values[PARAM_BALANCE_REL];
    self->evict_interval_ns = (int64_t)(setup->values[PARAM_EVICT_INTERVAL_S] * 1e9);
    self->next_sweep_ns = INT64_MIN;
    self->chunks_max = (uint32_t)(setup->values[PARAM_TREE_CHARS_MAX] / CHUNK_CHARS);
    self->smallest_tree = setup->values[PARAM_SMALLEST_TREE] != 0;
    return true;
}

static void cache_aware_fini(void *state)
{
    struct cache_aware *self = state;
    block_tree_delete(self->tree);
    self->memory.resize(self->memory.context, self->keys, 0);
}

/* One tree for each model: its name is where the chain begins. */
static const uint64_t *chain(struct cache_aware *self,
                             const struct request_view *request)
{
    const uint32_t count = request->chunk_count;
    if (count > self->key_capacity) {
        self->keys = self->memory.resize(self->memory.context, self->keys,
                                         count * sizeof *self->keys);
        self->key_capacity = count;
    }
    const char *model = request->model != NULL ? request->model : "";
    uint64_t key = hash_xxh64(model, strlen(model), 0);
    for (uint32_t i = 0; i < count; i++) {
        key = hash_pair(key, request->chunk_hashes[i]);
        self->keys[i] = key;
    }
    return self->keys;
}

static bool imbalanced(const struct cache_aware *self, const struct cluster_view *view)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        least = view->inflight[i] < least ? view->inflight[i] : least;
        most = view->inflight[i] > most ? view->inflight[i] : most;
    }
    return most - least > self->balance_abs && most > self->balance_rel * least;
}

static struct route_decision pick_smallest(const struct cache_aware *self,
                                           const struct cluster_view *view)
{
    struct choice choice = choice_begin(&self->breaker, view);
    for (uint32_t i = 0; i < view->count; i++) {
        choice_offer(&choice, block_tree_count(self->tree, view->endpoints[i]->id), i);
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_NO_PREFIX,
        .candidates = view->count,
        .score = choice.cost,
    };
}

/* node: the deepest match. */
static struct route_decision follow(const struct cache_aware *self,
                                    const struct cluster_view *view, uint32_t node)
{
    const uint32_t entry = block_tree_first(self->tree, node);
    const uint32_t id = block_tree_entry(self->tree, entry, 0).endpoint_id;
    const uint32_t index =
        id < view->id_count ? view->index_of_id[id] : NOT_A_CANDIDATE;
    const bool there = index != NOT_A_CANDIDATE;
    const uint32_t picked = there ? index : 0;
    if (view->scores != NULL) {
        view->scores[picked] = view->inflight[picked];
    }
    return (struct route_decision){
        .endpoint = (int32_t)picked,
        .reason = there ? REASON_PREFIX : REASON_NO_PREFIX,
        .candidates = 1,
        .score = view->inflight[picked],
    };
}

static struct route_decision cache_aware_pick(void *state,
                                              const struct cluster_view *view,
                                              const struct request_view *request)
{
    struct cache_aware *self = state;
    if (imbalanced(self, view)) {
        return choose_least_loaded(view, &self->breaker, REASON_IMBALANCED);
    }
    uint32_t node = BLOCK_TREE_NONE;
    const uint32_t matched =
        block_tree_match(self->tree, chain(self, request), request->chunk_count, &node);
    struct route_decision decision;
    if (matched > self->cache_threshold * request->chunk_count) {
        decision = follow(self, view, node);
    } else if (self->smallest_tree) {
        decision = pick_smallest(self, view);
    } else {
        decision = choose_least_loaded(view, &self->breaker, REASON_NO_PREFIX);
    }
    decision.matched_length = matched * CHUNK_CHARS;
    return decision;
}

static void cache_aware_on_route(void *state, const struct cluster_view *view,
                                 const struct request_view *request,
                                 const struct route_decision *decision)
{
    struct cache_aware *self = state;
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    (void)block_tree_insert(self->tree, id, chain(self, request), request->chunk_count,
                            0);
    if (block_tree_count(self->tree, id) / 2 >= self->chunks_max) {
        block_tree_trim(self->tree, id, self->chunks_max);
    }
    if (view->now_ns >= self->next_sweep_ns) {
        for (uint32_t other = 0; other < view->id_count; other++) {
            block_tree_trim(self->tree, other, self->chunks_max);
        }
        self->next_sweep_ns = view->now_ns + self->evict_interval_ns;
    }
}

static void cache_aware_on_endpoint_change(void *state, enum endpoint_change change,
                                           const struct endpoint_view *endpoint)
{
    struct cache_aware *self = state;
    if (change == ENDPOINT_LEFT) {
        block_tree_trim(self->tree, endpoint->id, 0);
    }
}

static size_t cache_aware_memory_bytes(const void *state)
{
    const struct cache_aware *self = state;
    return block_tree_bytes(self->tree) + self->key_capacity * sizeof *self->keys;
}

static const char *const aliases[] = {"cache-aware", NULL};

static const struct policy_param params[] = {
    [PARAM_CACHE_THRESHOLD] = {.name = "cache_threshold",
                               .kind = PARAM_F64,
                               .default_value = 0.3,
                               .max = 1,
                               .help = "the matched part of a prompt must exceed it to "
                                       "be followed"},
    [PARAM_BALANCE_ABS] = {.name = "balance_abs",
                           .kind = PARAM_F64,
                           .default_value = 64,
                           .max = 1e6,
                           .help =
                               "requests: loads are imbalanced when most and fewest "
                               "in flight lie further apart, and also"},
    [PARAM_BALANCE_REL] = {.name = "balance_rel",
                           .kind = PARAM_F64,
                           .default_value = 1.5,
                           .max = 1e6,
                           .help = "most is above so many times fewest"},
    [PARAM_EVICT_INTERVAL_S] = {.name = "evict_interval_s",
                                .kind = PARAM_F64,
                                .default_value = 60,
                                .max = 1e6,
                                .help = "seconds between two sweeps of the tree; 0: at "
                                        "every request"},
    [PARAM_TREE_CHARS_MAX] =
        {.name = "tree_chars_max",
         .kind = PARAM_U64,
         .default_value = 1 << 26,
         .min = CHUNK_CHARS,
         .max = 1e11,
         .help = "characters that a sweep leaves each endpoint; at twice "
                 "as many it is swept at once; about 0.4 bytes each"},
    [PARAM_SMALLEST_TREE] = {.name = "smallest_tree",
                             .kind = PARAM_BOOL,
                             .max = 1,
                             .help =
                                 "who gets a prompt without a match: 1 who was sent "
                                 "the least text, as in older releases; 0 the least "
                                 "loaded"},
    [PARAM_TIE] = TIE_PARAM(TIE_FIRST),
    {.name = NULL},
};

const struct route_policy route_cache_aware = {
    .name = "cache_aware",
    .aliases = aliases,
    .help = "Who was sent the prefix last, until loads lie too far apart (SGLang).",
    .source = "sgl-project/sglang:sgl-model-gateway/src/policies/cache_aware.rs, "
              "tree.rs",
    .breaks = "few hot prefixes: all of one follows one endpoint until the gap "
              "exceeds balance_abs; several gateways each build a tree of their own",
    .score_help = "requests in flight, the fewest win; a followed prefix weighs nobody",
    .match_unit = "characters",
    .needs = NEED_CHUNK_HASHES,
    .params = params,
    .state_bytes = sizeof(struct cache_aware),
    .init = cache_aware_init,
    .fini = cache_aware_fini,
    .pick = cache_aware_pick,
    .on_route = cache_aware_on_route,
    .on_endpoint_change = cache_aware_on_endpoint_change,
    .memory_bytes = cache_aware_memory_bytes,
};
