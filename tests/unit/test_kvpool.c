/* SPDX-License-Identifier: Apache-2.0
 *
 * test_kvpool.c: vectors 3 to 5 of spec/vllm-engine.md 11 at the level of the pool, and
 * the corners of the run representation: splits, shortened leaves, copies.
 */
#include "sim/kvpool.h"
#include "tests/harness.h"

enum { BLOCK = 16 };

static struct kvpool *pool_of(uint32_t blocks)
{
    const struct kvpool_config config = {
        .blocks = blocks, .block_tokens = BLOCK, .prefix_caching = true};
    return kvpool_new(&config);
}

static struct block_run text_run(uint64_t id, uint64_t offset, uint32_t blocks)
{
    return (struct block_run){.key = segment_stream(SEGMENT_TEXT, id),
                              .offset = offset * BLOCK,
                              .blocks = blocks};
}

/* Looks up, admits and registers a sequence of full blocks; returns the hit. */
static uint32_t enter(struct kvpool *pool, struct kv_sequence *sequence,
                      const struct block_run *runs, uint32_t run_count, uint32_t blocks)
{
    *sequence = (struct kv_sequence){.runs = runs, .run_count = run_count};
    const struct kv_hit hit = kvpool_lookup(pool, runs, run_count, blocks);
    kvpool_admit(pool, sequence, &hit, blocks - hit.blocks);
    kvpool_register(pool, sequence, blocks);
    return hit.blocks;
}

static void freed_blocks_are_hit_until_they_are_reused(void)
{
    struct kvpool *pool = pool_of(10);
    const struct block_run runs[] = {text_run(1, 0, 4)};
    struct kv_sequence sequence;
    EXPECT_U64(enter(pool, &sequence, runs, 1, 4), 0);
    EXPECT_U64(kvpool_free_blocks(pool), 6);
    kvpool_release(pool, &sequence, 4);
    EXPECT_U64(kvpool_free_blocks(pool), 10);
    struct kv_hit hit = kvpool_lookup(pool, runs, 1, 3);
    EXPECT_U64(hit.blocks, 3);
    EXPECT_U64(hit.evictable, 3);
    kvpool_take(pool, 6); /* never used before, so they go first */
    EXPECT_U64(kvpool_lookup(pool, runs, 1, 4).blocks, 4);
    kvpool_take(pool, 1); /* now the last block of the sequence */
    EXPECT_U64(kvpool_lookup(pool, runs, 1, 4).blocks, 3);
    kvpool_check(pool, 7);
    kvpool_delete(pool);
}

static void sequences_are_reused_in_order_of_release_tail_first(void)
{
    struct kvpool *pool = pool_of(6);
    const struct block_run a[] = {text_run(1, 0, 3)};
    const struct block_run b[] = {text_run(2, 0, 3)};
    struct kv_sequence first;
    struct kv_sequence second;
    enter(pool, &first, a, 1, 3);
    enter(pool, &second, b, 1, 3);
    kvpool_release(pool, &second, 3);
    kvpool_release(pool, &first, 3);
    kvpool_take(pool, 4);
    EXPECT_U64(kvpool_lookup(pool, b, 1, 3).blocks, 0);
    EXPECT_U64(kvpool_lookup(pool, a, 1, 3).blocks, 2);
    kvpool_check(pool, 4);
    kvpool_delete(pool);
}

static void a_shared_prefix_splits_a_run_and_outlives_its_branches(void)
{
    struct kvpool *pool = pool_of(20);
    const struct block_run a[] = {text_run(1, 0, 5)};
    const struct block_run b[] = {text_run(1, 0, 2), text_run(9, 0, 3)};
    struct kv_sequence first;
    struct kv_sequence second;
    EXPECT_U64(enter(pool, &first, a, 1, 5), 0);
    EXPECT_U64(enter(pool, &second, b, 2, 5), 2);
    EXPECT_U64(kvpool_free_blocks(pool), 12);
    kvpool_check(pool, 0);
    kvpool_release(pool, &first, 5); /* three blocks free, two still held */
    EXPECT_U64(kvpool_free_blocks(pool), 15);
    kvpool_release(pool, &second, 5);
    kvpool_take(pool, 12 + 3); /* never used ones, then the tail of the first */
    EXPECT_U64(kvpool_lookup(pool, a, 1, 5).blocks, 2);
    EXPECT_U64(kvpool_lookup(pool, b, 2, 5).blocks, 5);
    kvpool_check(pool, 15);
    kvpool_delete(pool);
}

static void a_copy_of_a_held_block_stays_surplus(void)
{
    struct kvpool *pool = pool_of(10);
    const struct block_run runs[] = {text_run(1, 0, 4)};
    struct kv_sequence first = {.runs = runs, .run_count = 1};
    struct kv_sequence second = {.runs = runs, .run_count = 1};
    const struct kv_hit none = {0};
    kvpool_admit(pool, &first, &none, 4);
    kvpool_admit(pool, &second, &none, 4); /* both compute the same at once */
    kvpool_register(pool, &first, 4);
    kvpool_register(pool, &second, 3);
    EXPECT_U64(second.surplus, 3);
    EXPECT_U64(kvpool_free_blocks(pool), 2);
    kvpool_check(pool, 3 + 1);
    kvpool_release(pool, &first, 4);
    EXPECT_U64(kvpool_free_blocks(pool), 3); /* the other one holds three of them */
    kvpool_release(pool, &second, 4);
    EXPECT_U64(kvpool_free_blocks(pool), 10);
    EXPECT_U64(kvpool_lookup(pool, runs, 1, 4).blocks, 4);
    kvpool_check(pool, 0);
    kvpool_delete(pool);
}

static void a_copy_of_a_free_block_takes_its_place_in_the_queue(void)
{
    struct kvpool *pool = pool_of(10);
    const struct block_run runs[] = {text_run(1, 0, 4)};
    struct kv_sequence first;
    enter(pool, &first, runs, 1, 4);
    kvpool_release(pool, &first, 4);
    /* A full hit leaves the last block to be computed again. */
    struct kv_sequence second = {.runs = runs, .run_count = 1};
    const struct kv_hit hit = kvpool_lookup(pool, runs, 1, 3);
    kvpool_admit(pool, &second, &hit, 1);
    EXPECT_U64(kvpool_free_blocks(pool), 6);
    kvpool_register(pool, &second, 4);
    EXPECT_U64(second.surplus, 0);
    EXPECT_U64(kvpool_free_blocks(pool), 6);
    kvpool_check(pool, 0);
    kvpool_take(pool, 6);
    kvpool_check(pool, 6);
    kvpool_release(pool, &second, 4);
    EXPECT_U64(kvpool_lookup(pool, runs, 1, 4).blocks, 4);
    kvpool_delete(pool);
}

static void private_blocks_may_be_reused_first(void)
{
    const struct kvpool_config config = {.blocks = 4,
                                         .block_tokens = BLOCK,
                                         .prefix_caching = true,
                                         .reuse_private_first = true};
    struct kvpool *pool = kvpool_new(&config);
    const struct block_run runs[] = {text_run(1, 0, 3)};
    struct kv_sequence cached;
    struct kv_sequence other = {.runs = runs, .run_count = 0};
    const struct kv_hit none = {0};
    enter(pool, &cached, runs, 1, 3);
    kvpool_admit(pool, &other, &none, 1);
    kvpool_release(pool, &cached, 3);
    kvpool_release(pool, &other, 1);
    kvpool_take(pool, 1);
    EXPECT_U64(kvpool_lookup(pool, runs, 1, 3).blocks, 3);
    kvpool_delete(pool);
}

static void take_too_many(void *context)
{
    kvpool_take(context, 5);
}

static void taking_more_than_is_free_is_a_bug(void)
{
    struct kvpool *pool = pool_of(4);
    EXPECT_ABORTS(take_too_many, pool, "5 blocks wanted, 4 free");
    kvpool_delete(pool);
}

static void without_prefix_cache_the_pool_only_counts(void)
{
    const struct kvpool_config config = {.blocks = 8, .block_tokens = BLOCK};
    struct kvpool *pool = kvpool_new(&config);
    const struct block_run runs[] = {text_run(1, 0, 4)};
    struct kv_sequence sequence;
    EXPECT_U64(enter(pool, &sequence, runs, 1, 4), 0);
    kvpool_check(pool, 4);
    kvpool_release(pool, &sequence, 4);
    EXPECT_U64(kvpool_lookup(pool, runs, 1, 4).blocks, 0);
    EXPECT_U64(kvpool_free_blocks(pool), 8);
    kvpool_delete(pool);
}

HARNESS_MAIN("kvpool", TEST(freed_blocks_are_hit_until_they_are_reused),
             TEST(sequences_are_reused_in_order_of_release_tail_first),
             TEST(a_shared_prefix_splits_a_run_and_outlives_its_branches),
             TEST(a_copy_of_a_held_block_stays_surplus),
             TEST(a_copy_of_a_free_block_takes_its_place_in_the_queue),
             TEST(private_blocks_may_be_reused_first),
             TEST(taking_more_than_is_free_is_a_bug),
             TEST(without_prefix_cache_the_pool_only_counts))
