/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of KV events against lists that are searched from end to end. Few keys make
 * entries collide, gain and lose holders all the time, and endpoints beyond 16 make the
 * tables grow under way. Where no bound is met both agree on everything; where one is,
 * the index knows a part of the truth, never more, and as much as it may.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "policies/kv_index.h"
#include "tests/harness.h"

#include <stdlib.h>

enum { IDS = 7, KEYS = 40, EVENT_MAX = 12, STEPS = 300, SEEDS = 1000 };

static const uint32_t ids[IDS] = {0, 1, 2, 15, 16, 40, 1000};

/* Who has a key, in the order in which they stored it. */
struct plain_block {
    uint32_t holders[IDS]; /* places in ids */
    uint32_t count;
};

struct plain {
    struct plain_block blocks[KEYS];
    bool replaces;
    bool bounded;
};

static uint32_t plain_place(const struct plain_block *block, uint32_t who)
{
    uint32_t at = 0;
    while (at < block->count && block->holders[at] != who) {
        at++;
    }
    return at;
}

static void plain_take(struct plain_block *block, uint32_t who)
{
    const uint32_t at = plain_place(block, who);
    if (at == block->count) {
        return;
    }
    for (uint32_t i = at; i + 1 < block->count; i++) {
        block->holders[i] = block->holders[i + 1];
    }
    block->count--;
}

static void plain_apply(struct plain *plain, uint32_t who, const struct kv_event *event)
{
    for (uint32_t i = 0; i < event->block_count; i++) {
        struct plain_block *block = &plain->blocks[event->blocks[i]];
        if (event->kind == KV_EVENT_REMOVED) {
            plain_take(block, who);
        } else if (plain_place(block, who) == block->count) {
            block->count = plain->replaces ? 0 : block->count;
            block->holders[block->count++] = who;
        }
    }
    for (uint32_t key = 0; event->kind == KV_EVENT_CLEARED && key < KEYS; key++) {
        plain_take(&plain->blocks[key], who);
    }
}

static uint32_t plain_depth(const struct plain *plain, uint32_t who,
                            const uint64_t *keys, uint32_t count)
{
    uint32_t depth = 0;
    while (depth < count && plain_place(&plain->blocks[keys[depth]], who) <
                                plain->blocks[keys[depth]].count) {
        depth++;
    }
    return depth;
}

static uint32_t plain_count(const struct plain *plain, uint32_t who)
{
    uint32_t count = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        count += plain_place(&plain->blocks[key], who) < plain->blocks[key].count;
    }
    return count;
}

static bool same_answers(struct kv_index *index, const struct plain *plain,
                         struct rng *rng)
{
    uint64_t keys[EVENT_MAX];
    for (uint32_t i = 0; i < EVENT_MAX; i++) {
        keys[i] = rng_below(rng, KEYS);
    }
    const struct plain_block *first = &plain->blocks[keys[0]];
    const struct index_hit *hits = NULL;
    const uint32_t count = kv_index_match(index, keys, EVENT_MAX, &hits);
    const uint32_t owner = kv_index_owner(index, keys[0]);
    if (!EXPECT_U64(count, first->count) ||
        !EXPECT_U64(owner, first->count > 0 ? ids[first->holders[0]] : UINT32_MAX)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t who = first->holders[i];
        if (!EXPECT_U64(hits[i].endpoint_id, ids[who]) ||
            !EXPECT_U64(hits[i].blocks, plain_depth(plain, who, keys, EVENT_MAX))) {
            return false;
        }
    }
    bool same = true;
    for (uint32_t who = 0; same && who < IDS; who++) {
        same = EXPECT_U64(kv_index_blocks(index, ids[who]), plain_count(plain, who));
    }
    return same;
}

/* Bounded: it may know less. */
static bool within_truth(struct kv_index *index, const struct plain *plain,
                         const uint32_t most[IDS])
{
    for (uint64_t key = 0; key < KEYS; key++) {
        const struct index_hit *hits = NULL;
        const uint32_t count = kv_index_match(index, &key, 1, &hits);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t who = 0;
            while (ids[who] != hits[i].endpoint_id) {
                who++;
            }
            if (!EXPECT(plain_depth(plain, who, &key, 1) == 1)) {
                return false;
            }
        }
    }
    bool holds = true;
    for (uint32_t who = 0; holds && who < IDS; who++) {
        holds = EXPECT(kv_index_blocks(index, ids[who]) <= most[who]);
    }
    return holds;
}

static void *resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        mem_free(memory);
        return NULL;
    }
    return mem_resize(memory, bytes, 1);
}

static bool step(struct kv_index *index, struct plain *plain, struct rng *rng,
                 uint32_t most[IDS])
{
    const uint32_t who = (uint32_t)rng_below(rng, IDS);
    uint64_t keys[EVENT_MAX];
    const uint64_t kind = rng_below(rng, 20);
    struct kv_event event = {
        .kind = kind == 0  ? KV_EVENT_CLEARED
                : kind < 9 ? KV_EVENT_REMOVED
                           : KV_EVENT_STORED,
        .blocks = keys,
        .block_count = kind == 0 ? 0 : (uint32_t)rng_below(rng, EVENT_MAX + 1),
    };
    for (uint32_t i = 0; i < event.block_count; i++) {
        keys[i] = rng_below(rng, KEYS);
    }
    if (plain->bounded && rng_below(rng, 10) == 0) {
        most[who] = 1 + (uint32_t)rng_below(rng, KEYS);
        kv_index_allow(index, ids[who], most[who]);
    }
    kv_index_apply(index, ids[who], &event);
    plain_apply(plain, who, &event);
    return plain->bounded ? within_truth(index, plain, most)
                          : same_answers(index, plain, rng);
}

static void live(uint64_t seed)
{
    struct rng rng;
    struct plain plain = {.replaces = seed % 3 == 2, .bounded = seed % 2 == 0};
    uint32_t most[IDS];
    const struct policy_memory memory = {.resize = resize};
    struct kv_index *index = kv_index_new(&memory);
    rng_init(&rng, seed, "prop_kv_index", 0);
    kv_index_replace(index, plain.replaces);
    for (uint32_t who = 0; who < IDS; who++) {
        /* With room for all keys nothing is ever forgotten, but logs fill up. */
        most[who] = plain.bounded ? 1 + (uint32_t)rng_below(&rng, KEYS) : KEYS;
        kv_index_allow(index, ids[who], most[who]);
    }
    bool holds = true;
    for (int i = 0; holds && i < STEPS; i++) {
        holds = step(index, &plain, &rng, most);
    }
    kv_index_delete(index);
}

static void index_agrees_with_plain_lists(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        harness_note("seed %llu", (unsigned long long)seed);
        live(seed);
    }
}

/* Bound 4, five blocks stored: the oldest is forgotten; one that went and came again is
 * not the oldest any more. */
static void what_was_stored_longest_ago_is_forgotten_first(void)
{
    const struct policy_memory memory = {.resize = resize};
    struct kv_index *index = kv_index_new(&memory);
    const uint64_t keys[] = {10, 11, 12, 13, 14, 15};
    const struct kv_event stored = {KV_EVENT_STORED, 0, 0, keys, 5};
    kv_index_allow(index, 3, 4);
    kv_index_apply(index, 3, &stored);
    EXPECT_U64(kv_index_blocks(index, 3), 4);
    EXPECT_U64(kv_index_owner(index, 10), UINT32_MAX);
    EXPECT_U64(kv_index_owner(index, 11), 3);
    const struct kv_event removed = {KV_EVENT_REMOVED, 0, 0, keys + 1, 1};
    const struct kv_event another = {KV_EVENT_STORED, 0, 0, keys + 5, 1};
    kv_index_apply(index, 3, &removed);
    kv_index_apply(index, 3, &another);
    EXPECT_U64(kv_index_blocks(index, 3), 4);
    EXPECT_U64(kv_index_owner(index, 12), 3);
    kv_index_forget(index, 3);
    EXPECT_U64(kv_index_owner(index, 12), UINT32_MAX);
    kv_index_delete(index);
}

/* 100,000 prompts that come once, removals lost: memory stays with the bound. */
static void memory_is_bounded_when_removals_are_lost(void)
{
    const struct policy_memory memory = {.resize = resize};
    struct kv_index *index = kv_index_new(&memory);
    size_t bytes = 0;
    kv_index_allow(index, 0, 1000);
    kv_index_allow(index, 1, 1000);
    for (uint64_t i = 0; i < 100000; i++) {
        const uint64_t keys[] = {4 * i + 1, 4 * i + 2, 4 * i + 3, 4 * i + 4};
        const struct kv_event stored = {KV_EVENT_STORED, i, 0, keys, 4};
        kv_index_apply(index, 0, &stored);
        kv_index_apply(index, 1, &stored);
        bytes = i == 2000 ? kv_index_bytes(index) : bytes;
    }
    EXPECT_U64(kv_index_bytes(index), bytes);
    EXPECT_U64(kv_index_blocks(index, 1), 1000);
    kv_index_delete(index);
}

HARNESS_MAIN("kv_index", TEST(index_agrees_with_plain_lists),
             TEST(what_was_stored_longest_ago_is_forgotten_first),
             TEST(memory_is_bounded_when_removals_are_lost))
