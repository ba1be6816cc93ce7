/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine that runs by itself, with a clock that the test moves.
 */
#include "cli/live/live_engine.h"
#include "tests/harness.h"

#include <string.h>

static const char YAML[] = "name: test\n"
                           "seed: 1\n"
                           "workload: {trace: none}\n"
                           "cluster:\n"
                           "  pools:\n"
                           "    - name: p\n"
                           "      replicas: 1\n"
                           "      gpu: h100_sxm\n"
                           "      model: llama_3_1_8b\n"
                           "routing: {policy: round_robin}\n";

enum { OWNERS = 8 };
/* A block of 16 tokens of this model is 2 MiB: a millisecond. */
#define KV_BYTES_PER_S 2097152e3

struct heard {
    uint32_t tokens[OWNERS];
    bool ended[OWNERS];
    uint32_t cached[OWNERS];
    int64_t last_ns;
    uint32_t disorder; /* news that were not behind the earlier ones */
};
struct owner {
    struct heard *heard;
    size_t index;
};

static void on_tokens(void *context, void *owner, const struct live_tokens *tokens)
{
    struct heard *heard = context;
    const size_t index = ((const struct owner *)owner)->index;
    heard->disorder += tokens->before != heard->tokens[index] || heard->ended[index] ||
                               tokens->now_ns < heard->last_ns
                           ? 1
                           : 0;
    heard->tokens[index] += tokens->tokens;
    heard->ended[index] = tokens->ended;
    heard->cached[index] = tokens->request->cached_tokens;
    heard->last_ns = tokens->now_ns;
}

struct bed {
    struct scenario *scenario;
    struct live_engine *engine;
    struct heard heard;
    struct owner owners[OWNERS];
    uint32_t ids[1000];
};

static void bed_init(struct bed *bed)
{
    struct err err = {0};
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    memset(bed, 0, sizeof *bed);
    REQUIRE_OK(
        scenario_parse(&bed->scenario, "test", YAML, strlen(YAML), &options, &err),
        &err);
    bed->engine =
        live_engine_new(&(struct live_setup){.pool = &bed->scenario->pools[0],
                                             .events = {&bed->heard, on_tokens},
                                             .kv_bytes_per_s = KV_BYTES_PER_S});
    for (uint32_t i = 0; i < 1000; i++) {
        bed->ids[i] = 5000 + i;
    }
    for (size_t i = 0; i < OWNERS; i++) {
        bed->owners[i] = (struct owner){&bed->heard, i};
    }
}

static void bed_fini(struct bed *bed)
{
    live_engine_delete(bed->engine);
    scenario_delete(bed->scenario);
}

static uint32_t submit(struct bed *bed, int64_t now_ns, size_t index,
                       uint32_t output_tokens)
{
    uint64_t output_id = 0;
    const struct live_order order = {.owner = &bed->owners[index],
                                     .prompt = {.ids = bed->ids, .count = 320},
                                     .output_tokens = output_tokens};
    return live_engine_submit(bed->engine, now_ns, &order, &output_id);
}

static void tokens_come_one_a_step_and_in_order(void)
{
    struct bed bed;
    bed_init(&bed);
    (void)submit(&bed, 1000, 0, 10);
    EXPECT_U64(bed.heard.tokens[0], 0);
    uint32_t steps = 0;
    while (live_engine_next_ns(bed.engine) != INT64_MAX && steps < 100) {
        const uint32_t before = bed.heard.tokens[0];
        live_engine_advance(bed.engine, live_engine_next_ns(bed.engine));
        EXPECT(bed.heard.tokens[0] - before <= 1);
        steps++;
    }
    EXPECT_U64(bed.heard.tokens[0], 10);
    EXPECT(bed.heard.ended[0]);
    EXPECT_U64(bed.heard.disorder, 0);
    bed_fini(&bed);
}

static uint32_t submit_remote(struct bed *bed, int64_t now_ns, size_t index,
                              uint32_t remote_tokens)
{
    uint64_t output_id = 0;
    const struct live_order order = {
        .owner = &bed->owners[index],
        .prompt = {.ids = bed->ids + 320 * index, .count = 320},
        .output_tokens = 5,
        .remote_tokens = remote_tokens};
    return live_engine_submit(bed->engine, now_ns, &order, &output_id);
}

static const int64_t ms = 1000000;

/* 20 blocks each, on one card: 20 and 40 ms. Then a token is computed from them. */
static void kv_of_another_engine_comes_block_by_block(void)
{
    struct bed bed;
    bed_init(&bed);
    (void)submit_remote(&bed, 0, 0, 320);
    (void)submit_remote(&bed, 0, 1, 320);
    EXPECT_I64(live_engine_next_ns(bed.engine), 20 * ms);
    live_engine_advance(bed.engine, 20 * ms);
    EXPECT_U64(bed.heard.tokens[0], 0);
    live_engine_advance(bed.engine, live_engine_next_ns(bed.engine));
    EXPECT_U64(bed.heard.tokens[0], 1);
    live_engine_advance(bed.engine, 40 * ms);
    EXPECT_U64(bed.heard.tokens[1], 0);
    live_engine_advance(bed.engine, 200 * ms);
    EXPECT_U64(bed.heard.tokens[0], 5);
    EXPECT_U64(bed.heard.tokens[1], 5);
    EXPECT_U64(bed.heard.disorder, 0);
    /* In the cache now: nothing has to come. */
    (void)submit(&bed, 200 * ms, 2, 1);
    live_engine_advance(bed.engine, 220 * ms);
    EXPECT(bed.heard.cached[2] >= 304);
    bed_fini(&bed);
}

/* Who leaves while KV is on its way frees nothing on the card. */
static void a_load_may_be_cancelled(void)
{
    struct bed bed;
    bed_init(&bed);
    const uint32_t first = submit_remote(&bed, 0, 0, 320);
    (void)submit_remote(&bed, 0, 1, 320);
    live_engine_cancel(bed.engine, 5 * ms, first);
    live_engine_advance(bed.engine, 39 * ms);
    EXPECT_I64(live_engine_next_ns(bed.engine), 40 * ms);
    live_engine_advance(bed.engine, 200 * ms);
    EXPECT_U64(bed.heard.tokens[0], 0);
    EXPECT_U64(bed.heard.tokens[1], 5);
    EXPECT_I64(live_engine_next_ns(bed.engine), INT64_MAX);
    bed_fini(&bed);
}

static void one_long_sleep_tells_the_same_as_many_short_ones(void)
{
    int64_t ends[2];
    for (int k = 0; k < 2; k++) {
        struct bed bed;
        bed_init(&bed);
        (void)submit(&bed, 0, 0, 50);
        (void)submit(&bed, 1000000, 1, 20);
        for (int64_t now_ns = 1000000; k == 1 && now_ns < 2000000000;
             now_ns += 777777) {
            live_engine_advance(bed.engine, now_ns);
        }
        live_engine_advance(bed.engine, INT64_C(4000000000));
        EXPECT_U64(bed.heard.tokens[0], 50);
        EXPECT_U64(bed.heard.tokens[1], 20);
        EXPECT_U64(bed.heard.disorder, 0);
        ends[k] = bed.heard.last_ns;
        bed_fini(&bed);
    }
    EXPECT_I64(ends[0], ends[1]);
}

static void a_prompt_seen_before_is_found_in_the_cache(void)
{
    struct bed bed;
    bed_init(&bed);
    (void)submit(&bed, 0, 0, 5);
    live_engine_advance(bed.engine, INT64_C(1000000000));
    (void)submit(&bed, INT64_C(1000000000), 1, 5);
    live_engine_advance(bed.engine, INT64_C(2000000000));
    EXPECT_U64(bed.heard.cached[0], 0);
    EXPECT_U64(bed.heard.cached[1], 304); /* the last block is always computed */
    bed_fini(&bed);
}

static void a_cancelled_request_is_silent_and_leaves_room(void)
{
    struct bed bed;
    struct engine_sample sample;
    bed_init(&bed);
    const uint32_t first = submit(&bed, 0, 0, 100000);
    (void)submit(&bed, 0, 1, 40);
    live_engine_advance(bed.engine, INT64_C(100000000));
    const uint32_t heard = bed.heard.tokens[0];
    EXPECT(heard > 0);
    live_engine_cancel(bed.engine, INT64_C(100000000), first);
    live_engine_cancel(bed.engine, INT64_C(100000000), first); /* twice is once */
    live_engine_advance(bed.engine, INT64_C(5000000000));
    EXPECT_U64(bed.heard.tokens[0], heard);
    EXPECT_U64(bed.heard.tokens[1], 40);
    live_engine_peek(bed.engine, &sample);
    EXPECT_U64(sample.running, 0);
    EXPECT_U64(sample.kv_used_blocks, 0);
    EXPECT_I64(live_engine_next_ns(bed.engine), INT64_MAX);
    bed_fini(&bed);
}

/* The owner is about to be freed: not even an end that was due is told. */
static void a_cancelled_request_is_silent_when_its_end_is_due(void)
{
    struct bed bed;
    bed_init(&bed);
    const uint32_t handle = submit(&bed, 0, 0, 3);
    live_engine_cancel(bed.engine, INT64_C(1000000000), handle);
    EXPECT_U64(bed.heard.tokens[0], 0);
    EXPECT(!bed.heard.ended[0]);
    (void)submit(&bed, INT64_C(1000000000), 1, 3); /* takes the free place */
    live_engine_advance(bed.engine, INT64_C(2000000000));
    EXPECT_U64(bed.heard.tokens[0], 0);
    EXPECT_U64(bed.heard.tokens[1], 3);
    bed_fini(&bed);
}

HARNESS_MAIN("live_engine", TEST(tokens_come_one_a_step_and_in_order),
             TEST(kv_of_another_engine_comes_block_by_block),
             TEST(a_load_may_be_cancelled),
             TEST(one_long_sleep_tells_the_same_as_many_short_ones),
             TEST(a_prompt_seen_before_is_found_in_the_cache),
             TEST(a_cancelled_request_is_silent_and_leaves_room),
             TEST(a_cancelled_request_is_silent_when_its_end_is_due))
