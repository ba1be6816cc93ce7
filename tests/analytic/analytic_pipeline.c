/* SPDX-License-Identifier: Apache-2.0
 *
 * analytic_pipeline.c: engines with pipeline stages, every token and every bubble
 * worked by hand.
 *
 * A step takes 10 ms, shared out over 32 layers; activations take 1 ms from one stage
 * to the next. Prompts have 10 tokens, outputs 3, all arrive at once.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { REQUESTS_MAX = 8 };
static const int64_t ms = 1000000;

struct record {
    struct request_outcome outcomes[REQUESTS_MAX + 1]; /* by id */
    int64_t start_ns; /* when the request before them ended */
    struct sim_engine_summary engine;
};

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct record *record = context;
    if (outcome->request_id > REQUESTS_MAX) {
        record->start_ns = outcome->end_ns;
        return;
    }
    record->outcomes[outcome->request_id] = *outcome;
}

static const char *write_trace(uint32_t requests)
{
    struct text text = {0};
    text_add(&text, "#version=1\n#unit=ms\nid,arrival,in,out\n100,0,10,1\n");
    for (uint32_t id = 1; id <= requests; id++) {
        text_printf(&text, "%u,1,10,3\n", id);
    }
    const char *path = harness_temp_file("trace.csv", text_str(&text), text.length);
    text_fini(&text);
    return path;
}

static const char *write_node(void)
{
    static const char node[] = "name: exact\ngpus: 8\nnic_bytes_per_s: 1PB\n"
                               "nic_latency: 1ms\nlink_bytes_per_s: 1PB\n"
                               "link_latency: 1ms\n";
    return harness_temp_file("exact.yaml", node, sizeof node - 1);
}

static void run(const char *parallel, const char *engine, uint32_t requests,
                struct record *record)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    struct text yaml = {0};
    *record = (struct record){0};
    const char *node = write_node();
    text_printf(&yaml, "workload: {trace: \"%s\", format: native}\n",
                write_trace(requests));
    text_printf(&yaml,
                "cluster:\n  pools:\n    - gpu: h100_sxm\n      model: llama_3_1_8b\n"
                "      parallel: {%s}\n      placement: {node: \"%s\"}\n"
                "      cost: {model: linear, step: 10ms}\n"
                "      engine: {cpu_sequence: 0, max_model_len: 4096, %s}\n",
                parallel, node, engine);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(scenario_parse(&scenario, "pipeline.yaml", text_str(&yaml), yaml.length,
                              &options, &err),
               &err);
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    const struct observer observer = {.context = record, .on_outcome = saw_outcome};
    const struct sim_options how = {0};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    while (sim_run(sim, 1000, &err) == SIM_RUNNING) {
    }
    sim_check_invariants(sim);
    sim_engine_summarise(sim, 0, &record->engine);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    text_fini(&yaml);
}

/* The bytes themselves take less than 2 ns in all. */
static void expect_times(const struct record *record, uint32_t id, double first_ms,
                         double end_ms)
{
    const struct request_outcome *outcome = &record->outcomes[id];
    harness_note("request %u", id);
    EXPECT(outcome->status == OUTCOME_COMPLETED);
    EXPECT_NEAR((double)(outcome->first_token_ns - record->start_ns),
                first_ms * (double)ms, 3);
    EXPECT_NEAR((double)(outcome->end_ns - record->start_ns), end_ms * (double)ms, 3);
}

/* After as much for the request before, whose step was like any other. */
static void expect_stages(const struct record *record, double busy_ms, double first_ms,
                          double second_ms)
{
    const double steps = (double)record->engine.steps - 1;
    const double own[] = {first_ms / steps, second_ms / steps};
    EXPECT_U64(record->engine.stages, 2);
    EXPECT_NEAR((double)(record->engine.busy_ns - record->start_ns),
                busy_ms * (double)ms, 3);
    EXPECT_NEAR((double)record->engine.stage_busy_ns[0],
                (first_ms + own[0]) * (double)ms, 0);
    EXPECT_NEAR((double)record->engine.stage_busy_ns[1],
                (second_ms + own[1]) * (double)ms, 0);
}

/* 5 ms on each stage and 1 ms between: a token every 11 ms, and of 2 x 33 ms the stages
 * work 30: bubbles are 36 / 66. */
static void a_request_alone_is_in_one_batch_at_a_time(void)
{
    struct record record;
    run("pp: 2", "cpu_step: 0, async_scheduling: false", 1, &record);
    expect_times(&record, 1, 11, 33);
    expect_stages(&record, 33, 15, 15);
    EXPECT_U64(record.engine.steps, 1 + 3);
}

/* Vector 9 of spec/vllm-engine.md 11: all that are ready go into one batch, the other
 * one stays empty until they return. Nothing is gained over one request. */
static void four_that_are_ready_share_one_batch(void)
{
    struct record record;
    run("pp: 2", "cpu_step: 0, async_scheduling: false", 4, &record);
    for (uint32_t id = 1; id <= 4; id++) {
        expect_times(&record, id, 11, 33);
    }
    expect_stages(&record, 33, 15, 15);
    EXPECT_U64(record.engine.steps, 1 + 3);
}

/* A budget of one prompt keeps two requests apart for good. A: 0-5, 6-11; B: 5-10,
 * 11-16. A is back at 11: 11-16, 17-22; B at 16: 16-21, 22-27; A 22-27, 28-33; B 27-32,
 * 33-38. Of 2 x 38 ms the stages work 60: bubbles are 16 / 76. */
static void a_small_budget_fills_both_stages(void)
{
    struct record record;
    run("pp: 2",
        "cpu_step: 0, async_scheduling: false, max_num_batched_tokens: 10, "
        "max_num_seqs: 8",
        2, &record);
    expect_times(&record, 1, 11, 33);
    expect_times(&record, 2, 16, 38);
    expect_stages(&record, 38, 30, 30);
    EXPECT_U64(record.engine.steps, 1 + 6);
}

/* 8 and 24 layers: 2.5 and 7.5 ms. A: 0-2.5, 3.5-11; B: 2.5-5, 11-18.5; A, back at 11:
 * 11-13.5, 18.5-26; B 18.5-21, 26-33.5; A 26-28.5, 33.5-41; B 41-48.5. The second stage
 * waits for the first batch alone, 3.5 ms: bubbles are 37 / 97. */
static void the_longer_stage_sets_the_pace(void)
{
    struct record record;
    run("pp: 2, layers: [8, 24]",
        "cpu_step: 0, async_scheduling: false, max_num_batched_tokens: 10, "
        "max_num_seqs: 8",
        2, &record);
    expect_times(&record, 1, 11, 41);
    expect_times(&record, 2, 18.5, 48.5);
    expect_stages(&record, 48.5, 15, 45);
}

/* Chunks of one prompt follow each other into the pipeline: the second one of 5 tokens
 * goes in at 5 ms and is through at 16. The tokens after it come every 11 ms. The
 * request before them is in two chunks, too. */
static void chunks_of_a_prompt_follow_each_other(void)
{
    struct record record;
    run("pp: 2",
        "cpu_step: 0, async_scheduling: false, max_num_batched_tokens: 5, "
        "max_num_seqs: 1",
        1, &record);
    expect_times(&record, 1, 16, 38);
    EXPECT_U64(record.engine.steps, 2 + 4);
}

/* Compat head schedules a token again two places later, before it is back; the batch
 * waits for it all the same. */
static void looking_ahead_makes_no_token_earlier(void)
{
    struct record record;
    run("pp: 2", "cpu_step: 0, compat: head, async_scheduling: true", 4, &record);
    for (uint32_t id = 1; id <= 4; id++) {
        expect_times(&record, id, 11, 33);
    }
    expect_stages(&record, 33, 15, 15);
}

/* Host work is the first stage's: 7, 1, 5 ms. */
static void the_host_works_before_the_first_stage(void)
{
    struct record record;
    run("pp: 2", "async_scheduling: false, cpu_step: 2ms", 1, &record);
    expect_times(&record, 1, 13, 39);
    expect_stages(&record, 39, 21, 15);
}

HARNESS_MAIN("pipeline", TEST(a_request_alone_is_in_one_batch_at_a_time),
             TEST(four_that_are_ready_share_one_batch),
             TEST(a_small_budget_fills_both_stages),
             TEST(the_longer_stage_sets_the_pace),
             TEST(chunks_of_a_prompt_follow_each_other),
             TEST(looking_ahead_makes_no_token_earlier),
             TEST(the_host_works_before_the_first_stage))
