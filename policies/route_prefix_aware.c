/* SPDX-License-Identifier: Apache-2.0
 *
 * route_prefix_aware.c: the stack's "prefixaware": go where the prompt's start went.
 *
 * The trie finds the endpoints that were sent the longest prefix of the prompt; one of
 * them is drawn at random, and the prompt is recorded for it when the decision is
 * committed, before anybody knows whether the request succeeds. Without a match every
 * endpoint is drawn from. Python's set order cannot be reproduced: the set is ordered
 * by url and the draw comes from the policy's stream (spec/production-stack.md 1.3).
 *
 * Pinning: once the first 128 characters of a common system prompt went to an endpoint,
 * all traffic that starts with them follows, whatever its load. The specification calls
 * it a defect, and head still has it, so the switch is on at tag and head. Off (and at
 * tag-fixed) holders above spill_load_ratio times the mean load are passed over, the
 * bound of consistent hashing with bounded loads (ours: the stack has no repair).
 */
#include "policies/prefix_trie.h"
#include "policies/qps_fallback.h"
#include "policies/registry.h"
#include "policies/text_chunks.h"

#include <string.h>

enum {
    PARAM_MIN_MATCH,
    PARAM_PINNING,
    PARAM_SPILL_RATIO,
    PARAM_MAX_BYTES,
    PARAM_CHAT,
    PARAM_CHAT_FAILS,
};

struct prefix_aware {
    struct policy_memory memory;
    struct prefix_trie *trie;
    struct rng *rng;
    uint64_t min_match_characters;
    uint64_t bytes_max;
    double spill_load_ratio;
    bool pinning;
    bool fails; /* every request */
    /* One bit per url rank: the selection, in the order in which it is drawn from. */
    uint64_t *ranks;
    uint32_t rank_words;
};

static bool prefix_aware_init(void *state, const struct policy_setup *setup,
                              struct err *err)
{
    (void)err;
    struct prefix_aware *self = state;
    self->memory = setup->memory;
    self->trie = prefix_trie_new(&setup->memory);
    self->rng = setup->rng;
    self->min_match_characters = (uint64_t)setup->values[PARAM_MIN_MATCH];
    self->pinning = setup->values[PARAM_PINNING] != 0;
    self->spill_load_ratio = setup->values[PARAM_SPILL_RATIO];
    self->bytes_max = (uint64_t)setup->values[PARAM_MAX_BYTES];
    self->fails =
        setup->values[PARAM_CHAT] != 0 && setup->values[PARAM_CHAT_FAILS] != 0;
    return true;
}

static void prefix_aware_fini(void *state)
{
    struct prefix_aware *self = state;
    prefix_trie_delete(self->trie);
    self->memory.resize(self->memory.context, self->ranks, 0);
}

static void clear_ranks(struct prefix_aware *self, uint32_t count)
{
    const uint32_t words = count / 64 + 1;
    if (words > self->rank_words) {
        self->ranks = self->memory.resize(self->memory.context, self->ranks,
                                          words * sizeof *self->ranks);
        self->rank_words = words;
    }
    memset(self->ranks, 0, words * sizeof *self->ranks);
}

/* Position of the n-th set bit; n is below the number of bits set. */
static uint32_t nth_rank(const struct prefix_aware *self, uint64_t n)
{
    uint32_t word = 0;
    uint64_t bits = self->ranks[0];
    while (n >= (uint64_t)__builtin_popcountll(bits)) {
        n -= (uint64_t)__builtin_popcountll(bits);
        bits = self->ranks[++word];
    }
    for (; n > 0; n--) {
        bits &= bits - 1;
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Largest load that a holder may have. (total + 1) / n as in the bounded-loads bound:
 * at least one endpoint is always below. */
static double load_bound(const struct prefix_aware *self,
                         const struct cluster_view *view)
{
    if (self->pinning) {
        return UINT32_MAX;
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        total += view->inflight[i];
    }
    return self->spill_load_ratio * (double)(total + 1) / (double)view->count;
}

static uint32_t select_index(struct prefix_aware *self, const struct cluster_view *view,
                             uint32_t index, double bound)
{
    if (index == NOT_A_CANDIDATE || view->inflight[index] > bound) {
        return 0;
    }
    const uint32_t rank = view->url_rank[index];
    self->ranks[rank / 64] |= UINT64_C(1) << rank % 64;
    return 1;
}

static struct route_decision draw(struct prefix_aware *self,
                                  const struct cluster_view *view, uint32_t selected)
{
    const uint64_t n = rng_below(self->rng, selected);
    const uint32_t rank = selected == view->count ? (uint32_t)n : nth_rank(self, n);
    return (struct route_decision){
        .endpoint = (int32_t)view->by_url[rank],
        .candidates = selected,
    };
}

static struct route_decision pick_holder(struct prefix_aware *self,
                                         const struct cluster_view *view,
                                         const struct trie_match *match)
{
    clear_ranks(self, view->count);
    const double bound = load_bound(self, view);
    uint32_t selected = 0;
    for (uint32_t i = 0; i < match->id_count; i++) {
        selected += select_index(self, view, view->index_of_id[match->ids[i]], bound);
    }
    const bool spills = selected == 0;
    for (uint32_t i = 0; spills && i < view->count; i++) {
        selected += select_index(self, view, i, bound);
    }
    struct route_decision decision = draw(self, view, selected);
    decision.reason = spills ? REASON_TRIE_SPILL : REASON_TRIE_MATCH;
    return decision;
}

static struct route_decision prefix_aware_pick(void *state,
                                               const struct cluster_view *view,
                                               const struct request_view *request)
{
    struct prefix_aware *self = state;
    if (self->fails) {
        return (struct route_decision){
            .endpoint = -1, .reason = REASON_FAILED, .candidates = view->count};
    }
    const struct trie_match match = prefix_trie_match(
        self->trie, request->chunk_hashes, request->chunk_count, view->index_of_id);
    /* Also for a short last chunk, as the stack counts. */
    const uint64_t characters = (uint64_t)match.chunks * TEXT_CHUNK_CHARACTERS;
    struct route_decision decision;
    if (characters < self->min_match_characters) {
        decision = qps_fallback(view);
    } else if (match.chunks == 0) {
        decision = draw(self, view, view->count);
        decision.reason = REASON_TRIE_RANDOM;
    } else {
        decision = pick_holder(self, view, &match);
    }
    decision.matched_length =
        characters < UINT32_MAX ? (uint32_t)characters : UINT32_MAX;
    return decision;
}

static void prefix_aware_on_route(void *state, const struct cluster_view *view,
                                  const struct request_view *request,
                                  const struct route_decision *decision)
{
    struct prefix_aware *self = state;
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    prefix_trie_insert(self->trie, request->chunk_hashes, request->chunk_count, id);
    if (self->bytes_max > 0 && prefix_trie_bytes(self->trie) > self->bytes_max) {
        prefix_trie_clear(self->trie);
    }
}

static void prefix_aware_on_endpoint_change(void *state, enum endpoint_change change,
                                            const struct endpoint_view *endpoint)
{
    struct prefix_aware *self = state;
    /* As in the stack, an endpoint that left keeps its entries: under the same url it
     * regains them, although its cache is cold. */
    if (change == ENDPOINT_FORGOTTEN) {
        prefix_trie_forget(self->trie, endpoint->id);
    }
}

static size_t prefix_aware_memory_bytes(const void *state)
{
    const struct prefix_aware *self = state;
    return prefix_trie_bytes(self->trie) + self->rank_words * sizeof *self->ranks;
}

static const char *const aliases[] = {"prefixaware", NULL};

static const struct policy_param params[] = {
    [PARAM_MIN_MATCH] =
        {
            .name = "prefix_min_match_length",
            .kind = PARAM_U64,
            .max = UINT32_MAX,
            .help = "characters; a shorter match goes to the endpoint with "
                    "the fewest recent arrivals; 0 = any match counts (only "
                    "head has the flag); in effect rounded up to a multiple "
                    "of 128",
        },
    [PARAM_PINNING] =
        {
            .name = "pinning",
            .kind = PARAM_BOOL,
            .default_value = 1,
            .max = 1,
            .help = "1: a matched prefix decides whatever the load; 0: holders above "
                    "spill_load_ratio times the mean load are passed over",
            .defect = true,
        },
    [PARAM_SPILL_RATIO] =
        {
            .name = "spill_load_ratio",
            .kind = PARAM_F64,
            .default_value = 1.25,
            .min = 1,
            .max = 1000,
            .help = "largest load of a holder over the mean, in requests in flight; "
                    "read only when pinning is 0",
        },
    [PARAM_MAX_BYTES] =
        {
            .name = "max_bytes",
            .kind = PARAM_U64,
            .max = 0x1p53,
            .help = "bytes of the trie; beyond, all of it is forgotten at once; "
                    "0 = no bound, as in the stack",
        },
    [PARAM_CHAT] =
        {
            .name = "chat",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: requests are chats, whose text is in messages",
        },
    [PARAM_CHAT_FAILS] =
        {
            .name = "chat_fails",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: a chat ends with status 500, since the release looks for a "
                    "prompt; 0: its text is that of its messages",
            .defect = true,
        },
    {.name = NULL},
};

const struct route_policy route_prefix_aware = {
    .name = "prefix_aware",
    .aliases = aliases,
    .help = "An endpoint that was sent the longest known prefix of the prompt, at "
            "random among several; any endpoint when no prefix is known.",
    .source = "vllm-project/production-stack:src/vllm_router/routers/routing_logic.py, "
              "src/vllm_router/prefix/hashtrie.py",
    .breaks = "one prefix that is most of the traffic (with pinning); memory that "
              "grows with every new prompt (without max_bytes)",
    .match_unit = "characters",
    .needs = NEED_CHUNK_HASHES | NEED_REQUEST_STATS,
    .params = params,
    .state_bytes = sizeof(struct prefix_aware),
    .init = prefix_aware_init,
    .fini = prefix_aware_fini,
    .pick = prefix_aware_pick,
    .on_route = prefix_aware_on_route,
    .on_endpoint_change = prefix_aware_on_endpoint_change,
    .memory_bytes = prefix_aware_memory_bytes,
};
