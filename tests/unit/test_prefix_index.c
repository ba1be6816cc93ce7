/* SPDX-License-Identifier: Apache-2.0
 *
 * What a prefix index remembers, what it forgets first, and how much memory it takes.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "policies/prefix_index.h"
#include "tests/harness.h"

static void *host_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        mem_free(memory);
        return NULL;
    }
    return mem_resize(memory, bytes, 1);
}

static struct prefix_index *new_index(uint32_t endpoints, uint32_t blocks_max)
{
    const struct policy_memory memory = {.resize = host_resize};
    struct prefix_index *index = prefix_index_new(&memory);
    for (uint32_t id = 0; id < endpoints; id++) {
        prefix_index_allow(index, id, blocks_max);
    }
    return index;
}

/* Blocks that the endpoint has of the start of the prompt. */
static uint32_t hit_of(struct prefix_index *index, uint32_t id, const uint64_t *keys,
                       uint32_t count)
{
    const struct index_hit *hits = NULL;
    const uint32_t found = prefix_index_match(index, keys, count, &hits);
    for (uint32_t i = 0; i < found; i++) {
        if (hits[i].endpoint_id == id) {
            return hits[i].blocks;
        }
    }
    return 0;
}

static void one_walk_gives_the_hit_of_every_endpoint(void)
{
    struct prefix_index *index = new_index(3, 10);
    const uint64_t keys[] = {11, 12, 13, 14};
    prefix_index_insert(index, 0, keys, 1);
    prefix_index_insert(index, 1, keys, 4);
    prefix_index_insert(index, 2, keys, 2);
    const struct index_hit *hits = NULL;
    EXPECT_U64(prefix_index_match(index, keys, 4, &hits), 3);
    const struct index_hit expected[] = {{0, 1}, {2, 2}, {1, 4}};
    for (int i = 0; i < 3; i++) {
        EXPECT_U64(hits[i].endpoint_id, expected[i].endpoint_id);
        EXPECT_U64(hits[i].blocks, expected[i].blocks);
    }
    EXPECT_U64(prefix_index_match(index, keys, 0, &hits), 0);
    prefix_index_delete(index);
}

static void a_hit_ends_at_the_first_block_that_is_missing(void)
{
    struct prefix_index *index = new_index(1, 10);
    const uint64_t known[] = {1, 2, 4};
    const uint64_t asked[] = {1, 2, 3, 4};
    prefix_index_insert(index, 0, known, 3);
    EXPECT_U64(hit_of(index, 0, asked, 4), 2);
    prefix_index_delete(index);
}

static void the_last_block_of_a_prompt_is_forgotten_first(void)
{
    struct prefix_index *index = new_index(1, 4);
    const uint64_t first[] = {1, 2, 3, 4};
    const uint64_t second[] = {5};
    prefix_index_insert(index, 0, first, 4);
    prefix_index_insert(index, 0, second, 1);
    EXPECT_U64(hit_of(index, 0, first, 4), 3);
    EXPECT_U64(hit_of(index, 0, second, 1), 1);
    EXPECT_U64(prefix_index_blocks(index, 0), 4);
    prefix_index_delete(index);
}

static void what_is_used_again_outlives_what_is_not(void)
{
    struct prefix_index *index = new_index(1, 4);
    const uint64_t shared[] = {1, 2};
    prefix_index_insert(index, 0, shared, 2);
    for (uint64_t i = 0; i < 100; i++) {
        const uint64_t prompt[] = {1, 2, 1000 + i};
        EXPECT_U64(hit_of(index, 0, prompt, 3), 2);
        prefix_index_insert(index, 0, prompt, 3);
    }
    prefix_index_delete(index);
}

static void a_prompt_beyond_the_bound_keeps_its_first_blocks(void)
{
    struct prefix_index *index = new_index(1, 3);
    const uint64_t keys[] = {1, 2, 3, 4, 5};
    prefix_index_insert(index, 0, keys, 5);
    EXPECT_U64(hit_of(index, 0, keys, 5), 3);
    prefix_index_delete(index);
}

static void forgetting_one_endpoint_leaves_the_others(void)
{
    struct prefix_index *index = new_index(200, 10);
    const uint64_t keys[] = {1, 2, 3};
    for (uint32_t id = 0; id < 200; id += 67) {
        prefix_index_insert(index, id, keys, 3);
    }
    prefix_index_forget(index, 134);
    const struct index_hit *hits = NULL;
    EXPECT_U64(prefix_index_match(index, keys, 3, &hits), 2);
    EXPECT_U64(hits[0].endpoint_id, 0);
    EXPECT_U64(hits[1].endpoint_id, 67);
    prefix_index_forget(index, 0);
    EXPECT_U64(hit_of(index, 67, keys, 3), 3);
    prefix_index_forget(index, 67);
    EXPECT_U64(prefix_index_match(index, keys, 3, &hits), 0);
    prefix_index_delete(index);
}

static void insert_one_shots(struct prefix_index *index, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        uint64_t keys[32];
        for (uint64_t block = 0; block < 32; block++) {
            keys[block] = hash_pair(i, block);
        }
        prefix_index_insert(index, (uint32_t)(i % 8), keys, 32);
    }
}

/* 8 endpoints of 1,000 blocks: 16,384 places of 16 bytes and 8,000 keys of 8. */
static void memory_is_bounded_under_one_shot_prompts(void)
{
    struct prefix_index *index = new_index(8, 1000);
    insert_one_shots(index, 0, 1000);
    const size_t bytes = prefix_index_bytes(index);
    insert_one_shots(index, 1000, 100000);
    EXPECT_U64(prefix_index_bytes(index), bytes);
    EXPECT(bytes < 400000);
    for (uint32_t id = 0; id < 8; id++) {
        EXPECT_U64(prefix_index_blocks(index, id), 1000);
    }
    prefix_index_delete(index);
}

HARNESS_MAIN("prefix_index", TEST(one_walk_gives_the_hit_of_every_endpoint),
             TEST(a_hit_ends_at_the_first_block_that_is_missing),
             TEST(the_last_block_of_a_prompt_is_forgotten_first),
             TEST(what_is_used_again_outlives_what_is_not),
             TEST(a_prompt_beyond_the_bound_keeps_its_first_blocks),
             TEST(forgetting_one_endpoint_leaves_the_others),
             TEST(memory_is_bounded_under_one_shot_prompts))
