/* SPDX-License-Identifier: Apache-2.0
 *
 * The block tree against a list of what was sent to whom, in order, searched from end
 * to end.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "policies/block_tree.h"
#include "tests/harness.h"

#include <string.h>

enum { ENDPOINTS = 5, DEPTH = 7, ROWS_MAX = 4096, STEPS = 600, SEEDS = 20 };

/* Oldest first; of one block the last row was sent last. */
struct row {
    uint64_t key;
    uint32_t endpoint_id;
    uint32_t depth;
    uint32_t uses[2]; /* before this epoch, in it */
    uint64_t sent;    /* order of prompts, for "who was sent it last" */
};

struct naive {
    struct row rows[ROWS_MAX];
    uint32_t count;
    uint64_t prompts;
};

static void *host_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        mem_free(memory);
        return NULL;
    }
    return mem_resize(memory, bytes, 1);
}

static struct row naive_take(struct naive *naive, uint32_t at)
{
    const struct row row = naive->rows[at];
    naive->count--;
    memmove(&naive->rows[at], &naive->rows[at + 1],
            (naive->count - at) * sizeof naive->rows[0]);
    return row;
}

static uint32_t naive_find(const struct naive *naive, uint32_t endpoint_id,
                           uint64_t key)
{
    uint32_t at = 0;
    while (at < naive->count && !(naive->rows[at].endpoint_id == endpoint_id &&
                                  naive->rows[at].key == key)) {
        at++;
    }
    return at;
}

static void naive_insert(struct naive *naive, uint32_t endpoint_id,
                         const uint64_t *keys, uint32_t count)
{
    naive->prompts++;
    for (uint32_t i = count; i-- > 0;) {
        const uint32_t at = naive_find(naive, endpoint_id, keys[i]);
        struct row row = {.key = keys[i], .endpoint_id = endpoint_id, .depth = i};
        if (at < naive->count) {
            row = naive_take(naive, at);
            row.uses[1]++;
        }
        row.sent = naive->prompts;
        REQUIRE(naive->count < ROWS_MAX);
        naive->rows[naive->count++] = row;
    }
}

static void naive_epoch(struct naive *naive)
{
    for (uint32_t i = 0; i < naive->count; i++) {
        naive->rows[i].uses[0] = naive->rows[i].uses[1];
        naive->rows[i].uses[1] = 0;
    }
}

static uint32_t naive_count(const struct naive *naive, uint32_t endpoint_id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < naive->count; i++) {
        count += naive->rows[i].endpoint_id == endpoint_id;
    }
    return count;
}

static void naive_trim(struct naive *naive, uint32_t endpoint_id, uint32_t blocks_max)
{
    uint32_t surplus = naive_count(naive, endpoint_id);
    surplus = surplus > blocks_max ? surplus - blocks_max : 0;
    for (uint32_t i = 0; surplus > 0;) {
        if (naive->rows[i].endpoint_id == endpoint_id) {
            (void)naive_take(naive, i);
            surplus--;
        } else {
            i++;
        }
    }
}

static void naive_remove(struct naive *naive, uint32_t endpoint_id,
                         const uint64_t *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = naive_find(naive, endpoint_id, keys[i]);
        if (at < naive->count) {
            (void)naive_take(naive, at);
        }
    }
}

static uint32_t draw_prompt(struct rng *rng, uint64_t keys[DEPTH])
{
    const uint32_t count = (uint32_t)rng_below(rng, DEPTH + 1);
    uint64_t key = 0;
    for (uint32_t i = 0; i < count; i++) {
        key = hash_pair(key, rng_below(rng, 2));
        keys[i] = key;
    }
    return count;
}

/* Every endpoint's entries from its oldest on. */
static bool same_order(const struct block_tree *tree, const struct naive *naive,
                       uint32_t epoch)
{
    bool same = true;
    for (uint32_t id = 0; same && id < ENDPOINTS; id++) {
        uint32_t entry = block_tree_oldest(tree, id);
        for (uint32_t i = 0; same && i < naive->count; i++) {
            const struct row *row = &naive->rows[i];
            if (row->endpoint_id != id) {
                continue;
            }
            same = EXPECT(entry != BLOCK_TREE_NONE);
            if (same) {
                const struct block_entry got = block_tree_entry(tree, entry, epoch);
                same = EXPECT_U64(got.endpoint_id, id) &&
                       EXPECT_U64(got.depth, row->depth) &&
                       EXPECT_U64(got.uses, row->uses[0] + row->uses[1]);
                entry = block_tree_newer(tree, entry);
            }
        }
        same = same && EXPECT_U64(entry, BLOCK_TREE_NONE) &&
               EXPECT_U64(block_tree_count(tree, id), naive_count(naive, id));
    }
    return same;
}

/* The match, and who was sent its last block last. */
static bool same_match(const struct block_tree *tree, const struct naive *naive,
                       const uint64_t *keys, uint32_t count)
{
    uint32_t matched = 0;
    uint32_t last = 0;
    uint64_t sent = 0;
    for (bool known = true; known && matched < count; matched += known) {
        known = false;
        sent = 0;
        for (uint32_t i = 0; i < naive->count; i++) {
            const struct row *row = &naive->rows[i];
            if (row->key == keys[matched] && row->sent >= sent) {
                known = true;
                sent = row->sent;
            }
        }
    }
    for (uint32_t i = 0; matched > 0 && i < naive->count; i++) {
        const struct row *row = &naive->rows[i];
        if (row->key == keys[matched - 1] && row->sent >= last) {
            last = (uint32_t)row->sent;
            sent = row->endpoint_id;
        }
    }
    uint32_t node = 0;
    const bool same = EXPECT_U64(block_tree_match(tree, keys, count, &node), matched);
    if (!same || matched == 0) {
        return same && EXPECT_U64(node, BLOCK_TREE_NONE);
    }
    const uint32_t entry = block_tree_first(tree, node);
    return EXPECT_U64(block_tree_entry(tree, entry, 0).endpoint_id, sent);
}

/* The same in both. */
static void step(struct block_tree *tree, struct naive *naive, struct rng *rng,
                 uint32_t *epoch)
{
    uint64_t keys[DEPTH];
    const uint32_t count = draw_prompt(rng, keys);
    const uint32_t id = (uint32_t)rng_below(rng, ENDPOINTS);
    const uint32_t keep = (uint32_t)rng_below(rng, 40);
    const uint32_t before = naive_count(naive, id);
    switch (rng_below(rng, 8)) {
    case 0:
        block_tree_trim(tree, id, keep);
        naive_trim(naive, id, keep);
        break;
    case 1:
        block_tree_remove(tree, id, keys, count);
        naive_remove(naive, id, keys, count);
        break;
    case 2:
        ++*epoch;
        naive_epoch(naive);
        break;
    default:
        naive_insert(naive, id, keys, count);
        EXPECT_U64(block_tree_insert(tree, id, keys, count, *epoch),
                   naive_count(naive, id) - before);
    }
}

static void live(uint64_t seed)
{
    const struct policy_memory memory = {.resize = host_resize};
    struct block_tree *tree = block_tree_new(&memory);
    struct naive *naive = mem_alloc(1, sizeof *naive);
    struct rng rng;
    uint32_t epoch = 0;
    rng_init(&rng, seed, "prop_block_tree", 0);
    harness_note("seed %llu", (unsigned long long)seed);
    bool same = true;
    for (int i = 0; same && i < STEPS; i++) {
        uint64_t keys[DEPTH];
        step(tree, naive, &rng, &epoch);
        const uint32_t count = draw_prompt(&rng, keys);
        same = same_order(tree, naive, epoch) && same_match(tree, naive, keys, count);
    }
    mem_free(naive);
    block_tree_delete(tree);
}

static void tree_is_the_list(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        live(seed);
    }
}

/* A hundred thousand prompts seen once, 10 blocks each; 1000 blocks are kept, so some
 * 1000 nodes and entries with their slack: below 200 kB. */
static void one_shot_prompts_leave_no_memory_behind(void)
{
    const struct policy_memory memory = {.resize = host_resize};
    struct block_tree *tree = block_tree_new(&memory);
    uint64_t keys[10];
    for (uint64_t prompt = 0; prompt < 100000; prompt++) {
        for (uint64_t i = 0; i < 10; i++) {
            keys[i] = hash_pair(prompt, i);
        }
        (void)block_tree_insert(tree, 3, keys, 10, 0);
        block_tree_trim(tree, 3, 1000);
    }
    EXPECT_U64(block_tree_count(tree, 3), 1000);
    EXPECT(block_tree_bytes(tree) < 200000);
    block_tree_delete(tree);
}

HARNESS_MAIN("prop.block_tree", TEST(tree_is_the_list),
             TEST(one_shot_prompts_leave_no_memory_behind))
