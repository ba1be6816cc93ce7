/* SPDX-License-Identifier: Apache-2.0
 *
 * test_closed_loop.c: loops small enough to be worked out by hand, on a linear engine.
 */
#include "sim/closed_loop.h"
#include "tests/harness.h"

#include <string.h>

static const struct gpu_spec gpu = {.name = "none"};
static const struct model_spec model = {.name = "none"};
static const struct engine_config synchronous = {.tensor_parallel = 1,
                                                 .max_num_seqs = 16,
                                                 .max_num_batched_tokens = 1000,
                                                 .max_model_len = 4096,
                                                 .block_tokens = 16,
                                                 .chunked_prefill = true};

static struct closed_loop_result result_of(const char *map, struct closed_loop loop)
{
    struct err err = {0};
    struct conf *conf = NULL;
    struct cost *cost = NULL;
    struct closed_loop_result result;
    REQUIRE_OK(conf_parse(&conf, "cost.yaml", map, strlen(map), &err), &err);
    const struct cost_setup setup = {
        .gpu = &gpu, .model = &model, .engine = loop.engine, .map = conf_root(conf)};
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    loop.cost = cost;
    closed_loop_run(&result, &loop);
    cost_delete(cost);
    conf_delete(conf);
    return result;
}

static const struct closed_loop small = {.engine = &synchronous,
                                         .kv_blocks = 10000,
                                         .users = 1,
                                         .requests_per_user = 5,
                                         .prompt_tokens = 100,
                                         .output_tokens = 11,
                                         .seed = 1};

/* Prefill 1 ms + 100 x 10 us = 2 ms; each further token a step of 1 ms. */
static const char plain[] = "{model: linear, step: 1ms, per_chunk_token: 10us}";

static void one_user_waits_for_nobody(void)
{
    const struct closed_loop_result result = result_of(plain, small);
    EXPECT_U64(result.requests, 5);
    EXPECT_NEAR(result.ttft_mean_s, 2e-3, 1e-9);
    EXPECT_NEAR(result.ttft_median_s, 2e-3, 1e-9);
    EXPECT_NEAR(result.tpot_mean_s, 1e-3, 1e-9);
}

/* An idle engine starts at once with the first prompt, alone; the other three wait for
 * its 2 ms and then take 4 ms. From then on the first user is one token ahead: its next
 * prompt comes while the others decode their last token (1 ms), and again goes alone.
 * Its second token waits for the prefill of the others: 4 ms instead of 1. */
static void equal_users_keep_their_places(void)
{
    struct closed_loop loop = small;
    loop.users = 4;
    const struct closed_loop_result result = result_of(plain, loop);
    EXPECT_U64(result.requests, 20);
    const double first_round_s = (2e-3 + 3 * 6e-3) / 4;
    const double next_round_s = (3e-3 + 3 * 6e-3) / 4;
    EXPECT_NEAR(result.ttft_mean_s, (first_round_s + 4 * next_round_s) / 5, 1e-9);
    EXPECT_NEAR(result.tpot_mean_s, (1.3e-3 + 3 * 1e-3) / 4, 1e-9);
}

/* With lengths that differ prompts meet decodes of others: a prompt waits for fewer
 * others, a decode for more. */
static void unequal_lengths_break_the_step(void)
{
    struct closed_loop loop = small;
    loop.users = 4;
    loop.requests_per_user = 200;
    loop.jitter = 0.5;
    const struct closed_loop_result result = result_of(plain, loop);
    EXPECT(result.ttft_mean_s < 4e-3);
    EXPECT(result.tpot_mean_s > 1.1e-3);
    const struct closed_loop_result again = result_of(plain, loop);
    EXPECT(result.ttft_mean_s == again.ttft_mean_s);
    EXPECT(result.ttft_median_s == again.ttft_median_s);
    EXPECT(result.tpot_mean_s == again.tpot_mean_s);
    EXPECT(result.tpot_median_s == again.tpot_median_s);
    EXPECT_U64(result.preemptions, again.preemptions);
    loop.seed = 2;
    const struct closed_loop_result other = result_of(plain, loop);
    EXPECT(result.ttft_mean_s != other.ttft_mean_s);
}

/* Room for one request only: the second user waits for the first one's whole output. */
static void memory_for_one_makes_the_other_wait(void)
{
    struct closed_loop loop = small;
    loop.users = 2;
    loop.kv_blocks = 1 + 8;
    const struct closed_loop_result result = result_of(plain, loop);
    /* In turn: 2 ms of prefill and 10 ms of decoding each. */
    EXPECT(result.ttft_median_s > 10e-3);
    EXPECT_NEAR(result.tpot_mean_s, 1e-3, 1e-6);
}

static void warm_up_does_not_count(void)
{
    struct closed_loop loop = small;
    loop.engine = &synchronous;
    loop.users = 20; /* 16 slots: 4 wait a whole turn at first */
    loop.requests_per_user = 1;
    const struct closed_loop_result cold = result_of(plain, loop);
    loop.warmup_per_user = 5;
    const struct closed_loop_result warm = result_of(plain, loop);
    EXPECT_U64(cold.requests, 20);
    EXPECT_U64(warm.requests, 20);
    EXPECT(warm.ttft_mean_s != cold.ttft_mean_s);
}

HARNESS_MAIN("closed_loop", TEST(one_user_waits_for_nobody),
             TEST(equal_users_keep_their_places), TEST(unequal_lengths_break_the_step),
             TEST(memory_for_one_makes_the_other_wait), TEST(warm_up_does_not_count))
