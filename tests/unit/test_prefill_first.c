/* SPDX-License-Identifier: Apache-2.0
 *
 * test_prefill_first.c: small loops worked out by hand on a linear engine that computes
 * prompts before decodes, and long ones against single steps.
 */
#include "sim/closed_loop.h"
#include "tests/harness.h"

#include <string.h>

static const struct gpu_spec gpu = {.name = "none"};
static const struct model_spec model = {.name = "none"};
static const struct engine_config engine = {.tensor_parallel = 1,
                                            .max_num_seqs = 16,
                                            .max_num_batched_tokens = 1000,
                                            .max_model_len = 4096,
                                            .block_tokens = 16};
static const struct closed_loop four = {.engine = &engine,
                                        .prefill_first = true,
                                        .kv_blocks = 10000,
                                        .users = 4,
                                        .requests_per_user = 5,
                                        .prompt_tokens = 100,
                                        .output_tokens = 11,
                                        .seed = 1};

/* Prefill 1 ms + 10 us per token; each further token a step of 1 ms. */
static const char plain[] = "{model: linear, step: 1ms, per_chunk_token: 10us}";

static struct closed_loop_result result_of(const char *map,
                                           const struct closed_loop *given)
{
    struct err err = {0};
    struct conf *conf = NULL;
    struct cost *cost = NULL;
    struct closed_loop_result result;
    struct closed_loop loop = *given;
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

/* The first prompt takes 2 ms alone; the other three wait for it and take 4 ms. Then
 * all decode 10 tokens together and end together, so that every round is like the
 * first. The first one's TPOT has the others' prefill in it. */
static void equal_users_stay_in_step(void)
{
    const struct closed_loop_result result = result_of(plain, &four);
    EXPECT_U64(result.requests, 20);
    EXPECT_NEAR(result.ttft_mean_s, (2e-3 + 3 * 6e-3) / 4, 1e-9);
    EXPECT_NEAR(result.tpot_mean_s, (1.4e-3 + 3 * 1e-3) / 4, 1e-9);
}

/* 150 tokens per step: the prompts behind the first one take 150, then 150. The second
 * ends in the first of these steps (2.5 ms), the others in the next. */
static void token_budget_cuts_the_last_prompt(void)
{
    struct engine_config narrow = engine;
    struct closed_loop loop = four;
    narrow.max_num_batched_tokens = 150;
    loop.engine = &narrow;
    const struct closed_loop_result result = result_of(plain, &loop);
    EXPECT_NEAR(result.ttft_mean_s, (2e-3 + 4.5e-3 + 2 * 7e-3) / 4, 1e-9);
}

/* Room for one: 112 tokens are 7 blocks of 16. Each waits for all before it: 12 ms. */
static void full_memory_makes_prompts_wait(void)
{
    struct closed_loop loop = four;
    loop.kv_blocks = 1 + 7;
    const struct closed_loop_result result = result_of(plain, &loop);
    EXPECT_NEAR(result.tpot_mean_s, 1e-3, 1e-9);
    EXPECT_NEAR(result.ttft_median_s, 3 * 12e-3 + 2e-3, 1e-9);
}

static void slots_are_a_limit_too(void)
{
    struct engine_config single = engine;
    struct closed_loop loop = four;
    single.max_num_seqs = 1;
    loop.engine = &single;
    EXPECT_NEAR(result_of(plain, &loop).ttft_median_s, 3 * 12e-3 + 2e-3, 1e-9);
}

/* A growing step: the k-th decode has 99 + k tokens of context and takes as many us
 * beside its 1 ms, in one run or cut by arrivals of others. */
static void a_run_costs_what_its_steps_cost(void)
{
    struct closed_loop loop = four;
    loop.users = 1;
    const struct closed_loop_result result = result_of(
        "{model: linear, step: 1ms, per_chunk_token: 10us, per_context_token: 1us}",
        &loop);
    double sum_s = 0.0;
    for (int k = 1; k <= 10; k++) {
        sum_s += 1e-3 + (99 + k) * 1e-6;
    }
    EXPECT_NEAR(result.tpot_mean_s, sum_s / 10, 1e-9);
}

/* Users out of step cut each other's runs; a step that is never longer than the next
 * arrival waits cannot lose time: busy time adds up to what tokens cost. */
static void uneven_users_wait_for_prompts_of_others(void)
{
    struct closed_loop loop = four;
    loop.jitter = 0.5;
    loop.requests_per_user = 100;
    const struct closed_loop_result mixed = result_of(plain, &loop);
    EXPECT(mixed.tpot_mean_s > 1.1e-3);
    EXPECT(mixed.ttft_mean_s < 5e-3);
    const struct closed_loop_result again = result_of(plain, &loop);
    EXPECT(mixed.ttft_mean_s == again.ttft_mean_s);
    EXPECT(mixed.tpot_mean_s == again.tpot_mean_s);
}

static void a_single_token_needs_no_decode(void)
{
    struct closed_loop loop = four;
    loop.output_tokens = 1;
    const struct closed_loop_result result = result_of(plain, &loop);
    EXPECT_U64(result.requests, 20);
    EXPECT_NEAR(result.tpot_mean_s, 0.0, 0.0);
}

HARNESS_MAIN("prefill_first", TEST(equal_users_stay_in_step),
             TEST(token_budget_cuts_the_last_prompt),
             TEST(full_memory_makes_prompts_wait), TEST(slots_are_a_limit_too),
             TEST(a_run_costs_what_its_steps_cost),
             TEST(uneven_users_wait_for_prompts_of_others),
             TEST(a_single_token_needs_no_decode))
