/* SPDX-License-Identifier: Apache-2.0
 *
 * test_trace_info.c: figures of a small trace by hand, and the LRU cache against a
 * naive one.
 */
#include "base/rng.h"
#include "tests/trace_fixture.h"
#include "traces/block_lru.h"
#include "traces/trace_info.h"

static const char chained[] =
    "{\"timestamp\":0,\"input_length\":1024,\"output_length\":10,\"hash_ids\":[0,1]}\n"
    "{\"timestamp\":1000,\"input_length\":1500,\"output_length\":20,\"hash_ids\":[0,1,"
    "2]}\n"
    "{\"timestamp\":3000,\"input_length\":1500,\"output_length\":30,\"hash_ids\":[0,1,"
    "2]}\n"
    "{\"timestamp\":3000,\"input_length\":600,\"output_length\":40,\"hash_ids\":[3,4]}"
    "\n";

static void collect(struct trace_info *info, const char *text, uint32_t block_tokens)
{
    static const uint64_t capacities[] = {1, 4};
    const char *const path = harness_temp_file("info.jsonl", text, strlen(text));
    const struct trace_options keep = {.tick_ns = TRACE_TICK_KEEP};
    const struct trace_info_options options = {
        .block_tokens = block_tokens, .capacities = capacities, .capacity_count = 2};
    struct workload *workload = NULL;
    struct err err = {0};
    REQUIRE_OK(workload_open_trace(&workload, path, &keep, &err), &err);
    REQUIRE_OK(trace_info_collect(info, workload, &options, &err), &err);
    workload_close(workload);
}

static void figures_of_four_requests_by_hand(void)
{
    struct trace_info info;
    collect(&info, chained, 0);
    EXPECT_U64(info.rows, 4);
    EXPECT_U64(info.prompt.sum, 4624);
    EXPECT_U64(info.output.max, 40);
    EXPECT_NEAR(info.output.mean, 25, 1e-12);
    EXPECT_NEAR(info.output.p50, 25, 1e-12);
    EXPECT_NEAR(info.output.p10, 13, 1e-12);
    EXPECT_I64(info.last_arrival_ns, INT64_C(3000000000));
    EXPECT_NEAR(info.gap_cv, 1, 1e-12); /* gaps 1, 2, 0 s */
    EXPECT_U64(info.blocks, 10);
    EXPECT_U64(info.distinct_blocks, 5);
    EXPECT_U64(info.hit_blocks, 5);
    EXPECT_U64(info.hit_tokens, 1024 + 1500);
    EXPECT_U64(info.hit_tokens_full, 2048);
    EXPECT_NEAR(trace_info_hit_ratio_blocks(&info), 0.5, 1e-12);
    EXPECT_U64(info.counts.ids_ceil, 4);
    EXPECT_U64(info.block_contents_of_two_prefixes, 0);
    /* one block of room keeps only the root: request 2 and 3 find block 0 */
    EXPECT_U64(info.lru[0].hit_blocks, 2);
    EXPECT_U64(info.lru[1].hit_blocks, 5);
}

static void finer_blocks_find_at_least_as_many_tokens(void)
{
    struct trace_info coarse;
    struct trace_info fine;
    collect(&coarse, chained, 512);
    collect(&fine, chained, 16);
    EXPECT(fine.hit_tokens_full >= coarse.hit_tokens_full);
    EXPECT_U64(fine.hit_tokens, 1024 + 1500);
}

static void ids_that_are_not_chained_are_told(void)
{
    struct trace_info info;
    struct text out = {0};
    collect(&info,
            "{\"input_length\":1024,\"output_length\":1,\"hash_ids\":[0,1]}\n"
            "{\"input_length\":1024,\"output_length\":1,\"hash_ids\":[2,1]}\n",
            0);
    EXPECT_U64(info.block_contents_of_two_prefixes, 1);
    trace_info_text(&info, &out);
    EXPECT_HAS(text_str(&out), "ids are not chained");
    text_fini(&out);
}

static void text_and_json_say_the_same(void)
{
    struct trace_info info;
    struct text out = {0};
    collect(&info, chained, 0);
    trace_info_text(&info, &out);
    EXPECT_HAS(text_str(&out), "10 of 512 tokens, 5 distinct");
    EXPECT_HAS(text_str(&out), "0.5000 of blocks");
    struct json *const object = trace_info_json(&info);
    int64_t value = 0;
    double ratio = 0;
    EXPECT(json_i64(json_get(object, "distinct_blocks"), &value) && value == 5);
    EXPECT(json_i64(json_get(json_get(object, "prompt_tokens"), "sum"), &value));
    EXPECT_I64(value, 4624);
    EXPECT(json_i64(json_get(object, "span_ns"), &value));
    EXPECT_I64(value, INT64_C(3000000000));
    EXPECT(json_f64(json_get(object, "ideal_hit_ratio_blocks"), &ratio));
    EXPECT_NEAR(ratio, 0.5, 1e-12);
    json_delete(object);
    text_fini(&out);
}

/* A list of blocks, the freshest first. */
struct naive {
    uint32_t blocks[64];
    size_t count;
};

static void naive_touch(struct naive *naive, uint32_t block, size_t capacity)
{
    size_t at = 0;
    while (at < naive->count && naive->blocks[at] != block) {
        at++;
    }
    if (at == naive->count) {
        naive->count++;
    }
    memmove(naive->blocks + 1, naive->blocks, at * sizeof(uint32_t));
    naive->blocks[0] = block;
    naive->count = naive->count < capacity ? naive->count : capacity;
}

static size_t naive_ask(struct naive *naive, const uint32_t *blocks, size_t count,
                        size_t capacity)
{
    size_t found = 0;
    bool present = true;
    while (present && found < count) {
        present = false;
        for (size_t i = 0; i < naive->count && !present; i++) {
            present = naive->blocks[i] == blocks[found];
        }
        found += present ? 1 : 0;
    }
    for (size_t i = count; i-- > 0;) {
        naive_touch(naive, blocks[i], capacity);
    }
    return found;
}

static void lru_does_what_a_list_does(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "lru", 0);
        const size_t capacity = 1 + rng_below(&rng, 20);
        struct block_lru *const lru = block_lru_new(capacity);
        struct naive naive = {.count = 0};
        harness_note("seed %llu", (unsigned long long)seed);
        for (size_t ask = 0; ask < 50; ask++) {
            uint32_t blocks[12];
            const size_t count = rng_below(&rng, 12);
            uint32_t block = 0;
            for (size_t i = 0; i < count; i++) {
                block += 1 + (uint32_t)rng_below(&rng, 3);
                blocks[i] = block;
            }
            if (!EXPECT_U64(block_lru_ask(lru, blocks, count),
                            naive_ask(&naive, blocks, count, capacity))) {
                block_lru_delete(lru);
                return;
            }
        }
        block_lru_delete(lru);
    }
}

HARNESS_MAIN("trace_info", TEST(figures_of_four_requests_by_hand),
             TEST(finer_blocks_find_at_least_as_many_tokens),
             TEST(ids_that_are_not_chained_are_told), TEST(text_and_json_say_the_same),
             TEST(lru_does_what_a_list_does))
