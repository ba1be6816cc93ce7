/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost_linear.c: the linear model by hand, and with it what the host adds to every
 * model: in sequence, or beside the GPU under asynchronous scheduling.
 */
#include "sim/cost.h"
#include "tests/harness.h"

#include <string.h>

static const int64_t fx_per_ns = COST_FX_PER_NS;
static const struct gpu_spec gpu = {.name = "none"};
static const struct model_spec model = {.name = "none"};

static bool cost_of(struct cost **cost, const char *map,
                    const struct engine_config *engine, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_parse(&conf, "cost.yaml", map, strlen(map), err)) {
        return false;
    }
    const struct cost_setup setup = {
        .gpu = &gpu, .model = &model, .engine = engine, .map = conf_root(conf)};
    const bool ok = cost_new(cost, &setup, err) && conf_done(conf_root(conf), err);
    conf_delete(conf);
    return ok;
}

static const struct engine_config idle_host = {.tensor_parallel = 1,
                                               .max_num_seqs = 256,
                                               .max_num_batched_tokens = 2048,
                                               .max_model_len = 4096};

static const char all_terms[] = "{model: linear, step: 1ms, per_decode: 10us, "
                                "per_context_token: 3ns, per_chunk: 2us, "
                                "per_chunk_token: 7ns}";

static void every_term_counts_what_its_name_says(void)
{
    struct cost *cost = NULL;
    struct err err = {0};
    REQUIRE_OK(cost_of(&cost, all_terms, &idle_host, &err), &err);
    const struct batch_shape shape = {.decodes = 4,
                                      .chunks = 2,
                                      .decode_context = 1000,
                                      .chunk_tokens = 300,
                                      .chunk_context = 50};
    const int64_t ns = 1000000 + 4 * 10000 + 3 * (1000 + 50) + 2 * 2000 + 7 * 300;
    EXPECT_I64(cost_step_fx(cost, &shape), ns * fx_per_ns);
    const struct decode_cost decode = cost_decode(cost, 4, 1000, 0);
    EXPECT_I64(decode.first_fx, (1000000 + 40000 + 3000) * fx_per_ns);
    EXPECT_I64(decode.grow_fx, 12 * fx_per_ns);
    EXPECT(decode.valid_steps > 1000);
    EXPECT(!cost_needs_context_max(cost));
    EXPECT_HAS(cost_description(cost), "linear");
    cost_delete(cost);
}

static void synchronous_host_work_is_added(void)
{
    struct cost *cost = NULL;
    struct err err = {0};
    struct engine_config engine = idle_host;
    engine.cpu_step_ns = 500;
    engine.cpu_sequence_ns = 20;
    REQUIRE_OK(cost_of(&cost, "{model: linear, step: 1us}", &engine, &err), &err);
    EXPECT_I64(cost_decode(cost, 3, 10, 0).first_fx, 1560 * fx_per_ns);
    const struct batch_shape shape = {.decodes = 3, .chunks = 2, .chunk_tokens = 9};
    EXPECT_I64(cost_step_fx(cost, &shape), 1600 * fx_per_ns);
    cost_delete(cost);
}

/* GPU 1000 ns + 1 ns per context token, host 2060 ns for 3 sequences: the GPU overtakes
 * it at 1060 tokens. */
static void asynchronous_host_work_hides_behind_the_gpu(void)
{
    struct cost *cost = NULL;
    struct err err = {0};
    struct engine_config engine = idle_host;
    engine.async_scheduling = true;
    engine.cpu_step_ns = 2000;
    engine.cpu_sequence_ns = 20;
    REQUIRE_OK(cost_of(&cost, "{model: linear, step: 1us, per_context_token: 1ns}",
                       &engine, &err),
               &err);
    const struct decode_cost behind = cost_decode(cost, 3, 1000, 0);
    EXPECT_I64(behind.first_fx, 2060 * fx_per_ns);
    EXPECT_I64(behind.grow_fx, 0);
    /* Contexts 1000, 1003, ... 1060: 21 steps at the host's pace. */
    EXPECT_U64(behind.valid_steps, 21);
    const struct decode_cost ahead = cost_decode(cost, 3, 1063, 0);
    EXPECT_I64(ahead.first_fx, 2063 * fx_per_ns);
    EXPECT_I64(ahead.grow_fx, 3 * fx_per_ns);
    const struct batch_shape shape = {
        .decodes = 2, .chunks = 1, .decode_context = 5000};
    EXPECT_I64(cost_step_fx(cost, &shape), 6000 * fx_per_ns);
    cost_delete(cost);
}

static void expect_refused(const char *map, const char *part)
{
    struct cost *cost = NULL;
    struct err err = {0};
    harness_note("%s", map);
    EXPECT_FAILS(cost_of(&cost, map, &idle_host, &err), &err, part);
    EXPECT_HAS(err.text, "cost.yaml:1");
}

static void steps_of_no_or_endless_time_are_refused(void)
{
    expect_refused("{model: linear}", "must take time");
    expect_refused("{model: linear, per_decode: 1us}", "must take time");
    expect_refused("{model: linear, per_chunk: 1us}", "must take time");
    expect_refused("{model: linear, step: 2h}", "at most an hour");
    expect_refused("{model: linear, step: 1s, per_context_token: 1s}", "hour");
    expect_refused("{model: linear, step: 5}", "step");
    expect_refused("{model: quadratic}", "linear");
}

HARNESS_MAIN("cost_linear", TEST(every_term_counts_what_its_name_says),
             TEST(synchronous_host_work_is_added),
             TEST(asynchronous_host_work_hides_behind_the_gpu),
             TEST(steps_of_no_or_endless_time_are_refused))
