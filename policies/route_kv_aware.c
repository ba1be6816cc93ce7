/* SPDX-License-Identifier: Apache-2.0
 *
 * route_kv_aware.c: the stack's "kvaware": ask who has the prompt's KV, else fall back.
 *
 * The stack's router asks a controller of LMCache, which knows chunks of 256 tokens by
 * the word of the engines (spec/production-stack.md 1.4). Here the index is fed by KV
 * events of the engines' own caches: a chunk is there when its last block is, since
 * blocks are evicted from the end. A last chunk that is not full is never found.
 *
 *     head     who is first in the list of the first chunk; if it lacks more than
 *              `threshold` tokens: ring of session keys, else fewest arrivals
 *     release  who is first in the list of the last chunk found, however short the
 *              hit; nobody: round robin in order of url
 *
 * A lookup costs the stack one tokenisation and one hop; neither delays anything here.
 */
#include "policies/hash_ring.h"
#include "policies/kv_index.h"
#include "policies/qps_fallback.h"
#include "policies/registry.h"

#include <string.h>

enum {
    PARAM_THRESHOLD,
    PARAM_CHUNK_TOKENS,
    PARAM_INDEX_BLOCKS,
    PARAM_FIRST_OWNER,
    PARAM_CHAT,
    PARAM_ALWAYS_FAILS,
    PARAM_FIRST_HIT_FAILS,
    PARAM_LAST_ADMITTER,
    PARAM_DEAD_INSTANCES,
};

struct kv_aware {
    struct policy_memory memory;
    struct kv_index *index;
    struct hash_ring ring;
    bool release;
    uint32_t threshold;
    uint32_t chunk_tokens;
    uint32_t index_blocks;
    bool first_owner;
    bool chat;
    bool always_fails;
    bool first_hit_fails;
    bool dead_instances;
    uint64_t turn;    /* of the release's round robin */
    uint64_t *mapped; /* bits by endpoint id: found under its url before */
    uint32_t map_words;
};

static bool kv_aware_init(void *state, const struct policy_setup *setup,
                          struct err *err)
{
    (void)err;
    struct kv_aware *self = state;
    const double *values = setup->values;
    self->memory = setup->memory;
    self->index = kv_index_new(&setup->memory);
    hash_ring_init(&self->ring, &setup->memory);
    self->release = setup->compat != COMPAT_HEAD;
    self->threshold = (uint32_t)values[PARAM_THRESHOLD];
    self->chunk_tokens = (uint32_t)values[PARAM_CHUNK_TOKENS];
    self->index_blocks = (uint32_t)values[PARAM_INDEX_BLOCKS];
    self->first_owner = values[PARAM_FIRST_OWNER] != 0 && !self->release;
    self->chat = values[PARAM_CHAT] != 0;
    self->always_fails = values[PARAM_ALWAYS_FAILS] != 0;
    self->first_hit_fails = values[PARAM_FIRST_HIT_FAILS] != 0;
    self->dead_instances = values[PARAM_DEAD_INSTANCES] != 0;
    kv_index_replace(self->index, values[PARAM_LAST_ADMITTER] != 0);
    return true;
}

static void kv_aware_fini(void *state)
{
    struct kv_aware *self = state;
    kv_index_delete(self->index);
    hash_ring_fini(&self->ring);
    self->memory.resize(self->memory.context, self->mapped, 0);
}

/* ---- lookup --------------------------------------------------------------------- */

struct lookup {
    uint32_t owner_id; /* UINT32_MAX = no hit */
    uint32_t tokens;   /* matched, as the controller tells of this owner */
};

/* The controller walks the chunks until one is missing, and notes for the first in each
 * list how far it got; a later chunk of the same one overwrites what was noted. */
static struct lookup look_up(const struct kv_aware *self,
                             const struct request_view *request)
{
    struct lookup found = {.owner_id = UINT32_MAX};
    if (request->block_count == 0 || self->chat) {
        return found;
    }
    const uint32_t block_tokens = request->block_tokens > 0
                                      ? request->block_tokens
                                      : request->prompt_tokens / request->block_count;
    uint32_t step = block_tokens > 0 ? self->chunk_tokens / block_tokens : 1;
    step = step > 0 ? step : 1;
    for (uint32_t end = step; end <= request->block_count; end += step) {
        const uint32_t owner_id =
            kv_index_owner(self->index, request->block_hashes[end - 1]);
        if (owner_id == UINT32_MAX) {
            break;
        }
        if (found.owner_id == UINT32_MAX || !self->first_owner) {
            found.owner_id = owner_id;
        }
        if (owner_id == found.owner_id) {
            found.tokens = end * block_tokens;
        }
    }
    return found;
}

/* ---- decision ------------------------------------------------------------------- */

static struct route_decision fail(const struct cluster_view *view,
                                  enum route_reason reason)
{
    return (struct route_decision){
        .endpoint = -1, .reason = reason, .candidates = view->count};
}

static struct route_decision fall_back(struct kv_aware *self,
                                       const struct cluster_view *view,
                                       const struct request_view *request,
                                       const struct lookup *found)
{
    struct route_decision decision = {.candidates = view->count};
    if (self->release) {
        decision.endpoint = (int32_t)view->by_url[self->turn++ % view->count];
    } else if (request->session_key != NULL) {
        decision.endpoint =
            (int32_t)hash_ring_pick(&self->ring, view, request->session_key);
    } else {
        decision = qps_fallback(view);
    }
    const bool hit = found->owner_id != UINT32_MAX;
    decision.reason = hit ? REASON_KV_BELOW_THRESHOLD : REASON_KV_NO_HIT;
    decision.matched_length = found->tokens;
    return decision;
}

/* Whether the owner was found under its url before; from now on it was. */
static bool was_mapped(struct kv_aware *self, uint32_t id)
{
    const uint32_t words = id / 64 + 1;
    if (words > self->map_words) {
        self->mapped = self->memory.resize(self->memory.context, self->mapped,
                                           words * sizeof *self->mapped);
        memset(self->mapped + self->map_words, 0,
               (words - self->map_words) * sizeof *self->mapped);
        self->map_words = words;
    }
    const uint64_t bit = UINT64_C(1) << id % 64;
    const bool before = (self->mapped[id / 64] & bit) != 0;
    self->mapped[id / 64] |= bit;
    return before;
}

static struct route_decision kv_aware_pick(void *state, const struct cluster_view *view,
                                           const struct request_view *request)
{
    struct kv_aware *self = state;
    if (self->always_fails) {
        return fail(view, REASON_FAILED);
    }
    const struct lookup found = look_up(self, request);
    const uint32_t may_lack = self->release ? UINT32_MAX : self->threshold;
    if (found.owner_id == UINT32_MAX ||
        (uint64_t)found.tokens + may_lack < request->prompt_tokens) {
        return fall_back(self, view, request, &found);
    }
    if (self->first_hit_fails && !was_mapped(self, found.owner_id)) {
        return fail(view, REASON_FAILED);
    }
    const uint32_t index = found.owner_id < view->id_count
                               ? view->index_of_id[found.owner_id]
                               : NOT_A_CANDIDATE;
    if (index == NOT_A_CANDIDATE) {
        return self->dead_instances
                   ? fail(view, REASON_KV_UNMAPPED)
                   : fall_back(self, view, request,
                               &(struct lookup){.owner_id = UINT32_MAX});
    }
    return (struct route_decision){
        .endpoint = (int32_t)index,
        .reason = REASON_KV_HIT,
        .candidates = view->count,
        .matched_length = found.tokens,
    };
}

/* ---- callbacks ------------------------------------------------------------------ */

static void kv_aware_on_endpoint_change(void *state, enum endpoint_change change,
                                        const struct endpoint_view *endpoint)
{
    struct kv_aware *self = state;
    switch (change) {
    case ENDPOINT_JOINED:
        hash_ring_add(&self->ring, endpoint->url, endpoint->id);
        kv_index_allow(self->index, endpoint->id, self->index_blocks);
        break;
    case ENDPOINT_LEFT:
        hash_ring_remove(&self->ring, endpoint->id);
        if (!self->dead_instances) {
            kv_index_forget(self->index, endpoint->id);
        }
        break;
    case ENDPOINT_FORGOTTEN:
        kv_index_forget(self->index, endpoint->id);
        if (endpoint->id / 64 < self->map_words) {
            self->mapped[endpoint->id / 64] &= ~(UINT64_C(1) << endpoint->id % 64);
        }
        break;
    case ENDPOINT_HEALTH:
        break;
    }
}

static void kv_aware_on_kv_event(void *state, int64_t now_ns,
                                 const struct endpoint_view *endpoint,
                                 const struct kv_event *event)
{
    (void)now_ns;
    struct kv_aware *self = state;
    kv_index_apply(self->index, endpoint->id, event);
}

static size_t kv_aware_memory_bytes(const void *state)
{
    const struct kv_aware *self = state;
    return kv_index_bytes(self->index) + hash_ring_bytes(&self->ring) +
           self->map_words * sizeof *self->mapped;
}

/* ---- tables --------------------------------------------------------------------- */

static const struct policy_param params[] = {
    [PARAM_THRESHOLD] = {.name = "threshold",
                         .kind = PARAM_U64,
                         .default_value = 2000,
                         .max = 1e9,
                         .help = "tokens of the prompt that a hit may lack; only head "
                                 "has it, the release takes any hit"},
    [PARAM_CHUNK_TOKENS] = {.name = "chunk_tokens",
                            .kind = PARAM_U64,
                            .default_value = 256,
                            .min = 1,
                            .max = 1 << 20,
                            .help = "tokens of a chunk, in effect a multiple of the "
                                    "engine's block"},
    [PARAM_INDEX_BLOCKS] =
        {.name = "index_blocks",
         .kind = PARAM_U64,
         .default_value = 1 << 20,
         .min = 1,
         .max = 1 << 30,
         .help = "KV blocks remembered per endpoint; the stack has no "
                 "bound; what was stored longest ago is forgotten first"},
    [PARAM_FIRST_OWNER] = {.name = "first_owner",
                           .kind = PARAM_BOOL,
                           .default_value = 1,
                           .max = 1,
                           .help = "1: the owner of the first chunk, as head; 0: of "
                                   "the last one found, as the release and later "
                                   "heads"},
    [PARAM_CHAT] = {.name = "chat",
                    .kind = PARAM_BOOL,
                    .max = 1,
                    .help = "1: requests are chats, whose text the stack's router does "
                            "not see: never a hit"},
    [PARAM_ALWAYS_FAILS] = {.name = "always_fails",
                            .kind = PARAM_BOOL,
                            .defect = true,
                            .max = 1,
                            .help = "1: every request fails with status 500"},
    [PARAM_FIRST_HIT_FAILS] =
        {.name = "first_hit_fails",
         .kind = PARAM_BOOL,
         .defect = true,
         .max = 1,
         .help = "1: the first hit of each endpoint fails with status "
                 "500, since the answer of the lookup is overwritten"},
    [PARAM_LAST_ADMITTER] =
        {.name = "last_admitter",
         .kind = PARAM_BOOL,
         .defect = true,
         .max = 1,
         .help = "1: who stores a block last is the only one who has it; "
                 "0: the first one stands first"},
    [PARAM_DEAD_INSTANCES] = {.name = "dead_instances",
                              .kind = PARAM_BOOL,
                              .defect = true,
                              .default_value = 1,
                              .max = 1,
                              .help = "1: blocks of an endpoint that has gone are "
                                      "still found, and the request fails; 0: they "
                                      "are forgotten, and it falls back"},
    {.name = NULL},
};

static const char *const aliases[] = {"kvaware", "kv_lookup", NULL};

const struct route_policy route_kv_aware = {
    .name = "kv_aware",
    .aliases = aliases,
    .help = "The endpoint that says it has the prompt's KV; with none or too little of "
            "it, the session's, else the one with the fewest recent arrivals.",
    .source = "vllm-project/production-stack:src/vllm_router/routers/routing_logic.py, "
              "LMCache cache_controller",
    .breaks =
        "a hot prefix (no load term); lost removals (it sends to KV that is gone); "
        "bursts of equal prompts, which arrive before the engine's first word",
    .match_unit = "tokens",
    .needs = NEED_KV_EVENTS | NEED_BLOCK_HASHES | NEED_SESSION_KEY | NEED_REQUEST_STATS,
    .params = params,
    .state_bytes = sizeof(struct kv_aware),
    .init = kv_aware_init,
    .fini = kv_aware_fini,
    .pick = kv_aware_pick,
    .on_endpoint_change = kv_aware_on_endpoint_change,
    .on_kv_event = kv_aware_on_kv_event,
    .memory_bytes = kv_aware_memory_bytes,
};
