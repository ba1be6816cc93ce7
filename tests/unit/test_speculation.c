/* SPDX-License-Identifier: Apache-2.0
 *
 * test_speculation.c: decoding with drafts worked out by hand (vector 10 of
 * spec/vllm-engine.md 11 among them).
 */
#include "sim/scenario.h"
#include "sim/speculation.h"
#include "tests/engine_bench.h"

#include <math.h>
#include <stdio.h>

#define MS INT64_C(1000000)

static struct bench bench_of(uint32_t tokens, const double *acceptance)
{
    struct bench bench = {.engine = bench_engine()};
    bench.engine.speculation.tokens = tokens;
    for (uint32_t i = 0; i < tokens; i++) {
        bench.engine.speculation.acceptance[i] = acceptance[i];
    }
    return bench;
}

static const struct speculation_stats *stats_of(const struct bench *bench)
{
    return &replica_stats(bench->replica)->speculation;
}

static uint32_t used_blocks(const struct bench *bench)
{
    struct engine_sample sample;
    replica_peek(bench->replica, replica_next_ns(bench->replica), &sample);
    return sample.kv_used_blocks;
}

/* Vector 10: of three drafts one is right: four tokens are scheduled, two come out. */
static void a_right_draft_is_a_token_more(void)
{
    static const double one[] = {1, 0, 0};
    struct bench bench = bench_of(3, one);
    bench_open(&bench);
    bench_submit(&bench, 1, NULL, 1, 100, 5, 0);
    bench_run_out(&bench);
    /* The prompt's step gives token 1, then two steps of 4 tokens give 2 each. */
    EXPECT_I64(bench.outcome[1].first_token_ns, MS + 100 * BENCH_TOKEN_NS);
    EXPECT_I64(bench.outcome[1].end_ns, 3 * MS + 108 * BENCH_TOKEN_NS);
    EXPECT_U64(replica_stats(bench.replica)->steps, 3);
    EXPECT_U64(stats_of(&bench)->drafts, 2);
    EXPECT_U64(stats_of(&bench)->draft_tokens, 6);
    EXPECT_U64(stats_of(&bench)->accepted_tokens, 2);
    bench_close(&bench);
}

static void tokens_behind_the_last_are_dropped(void)
{
    static const double all[] = {1, 1, 1};
    struct bench bench = bench_of(3, all);
    bench_open(&bench);
    bench_submit(&bench, 1, NULL, 1, 100, 3, 0); /* lacks 2, gets 4 */
    bench_run_out(&bench);
    EXPECT_I64(bench.outcome[1].end_ns, 2 * MS + 104 * BENCH_TOKEN_NS);
    EXPECT_U64(stats_of(&bench)->accepted_tokens, 3);
    bench_close(&bench);
}

/* A budget of 6, no draft right. Steps: prompt 1 (3); decode 1 (4), 2 of prompt 2;
 * decode 1 (4), the last of prompt 2; decode 1 (4, its last token), decode 2 with the 2
 * that are left; decode 2 (4). Drafts: 3 + 3 + 3 + 1 + 3. */
static void the_budget_cuts_drafts(void)
{
    static const double none[] = {0, 0, 0};
    struct bench bench = bench_of(3, none);
    bench.engine.max_num_batched_tokens = 6;
    bench_open(&bench);
    bench_submit(&bench, 1, NULL, 1, 3, 4, 0);
    bench_submit(&bench, 2, NULL, 2, 3, 3, 0);
    bench_run_out(&bench);
    EXPECT_U64(stats_of(&bench)->draft_tokens, 13);
    EXPECT_I64(bench.outcome[2].end_ns, 5 * MS + (3 + 6 + 5 + 6 + 4) * BENCH_TOKEN_NS);
    bench_close(&bench);
}

/* computed 28, 4 tokens: 32 fill two blocks; slots for 3 more drafts need a third. */
static void drafters_hold_slots_ahead(void)
{
    static const double none[] = {0, 0, 0};
    for (uint32_t lookahead = 0; lookahead <= 3; lookahead += 3) {
        struct bench bench = bench_of(3, none);
        bench.engine.speculation.lookahead = lookahead;
        bench_open(&bench);
        bench_submit(&bench, 1, NULL, 1, 28, 5, 0);
        EXPECT_U64(used_blocks(&bench), 2);
        replica_step_done(bench.replica);
        EXPECT_U64(used_blocks(&bench), lookahead > 0 ? 3 : 2);
        bench_run_out(&bench);
        EXPECT_U64(used_blocks(&bench), 0);
        bench_close(&bench);
    }
}

/* EAGLE needs the hidden states of the last cached block. */
static void eagle_loses_a_block_of_every_hit(void)
{
    static const double none[] = {0};
    struct bench bench = bench_of(1, none);
    bench.engine.speculation.drops_block = true;
    bench_open(&bench);
    for (uint64_t i = 1; i <= 2; i++) {
        bench_submit(&bench, i, NULL, 7, 65, 1, 0);
        bench_run_out(&bench);
    }
    EXPECT_U64(bench.outcome[2].cached_tokens, 48);
    bench_close(&bench);
}

/* Rejected drafts enter no cache: of 8 + 30 tokens two blocks are known and whole,
 * whatever was drafted beyond. */
static void drafts_are_not_registered(void)
{
    static const double none[] = {0, 0, 0, 0};
    struct bench bench = bench_of(4, none);
    bench_open(&bench);
    bench_submit(&bench, 1, NULL, 1, 8, 30, 0);
    bench_run_out(&bench);
    struct segment segments[] = {
        {.stream = segment_stream(SEGMENT_TEXT, 1), .tokens = 8},
        {.stream = segment_stream(SEGMENT_OUTPUT, 1), .tokens = 40},
    };
    const struct trace_record record = {.id = 2,
                                        .prompt_tokens = 48,
                                        .output_tokens = 1,
                                        .segment_count = 2,
                                        .segments = segments};
    bench.record[2] = record;
    struct request *request =
        request_table_add(bench.table, &record, 1, bench.engine.block_tokens);
    replica_submit(bench.replica, request, bench.outcome[1].end_ns);
    bench_run_out(&bench);
    EXPECT_U64(bench.outcome[2].cached_tokens, 32);
    bench_close(&bench);
}

static void drafts_are_right_as_often_as_said(void)
{
    enum { STEPS = 100000 };
    struct speculation_config config = {.tokens = 3, .acceptance = {0.8, 0.5, 0.25}};
    /* 1 + .8 + .4 + .1 */
    EXPECT_NEAR(speculation_tokens_mean(&config), 2.3, 1e-12);
    const uint64_t key = speculation_key(11);
    double sum = 0;
    double squares = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        const double got = 1 + speculation_draw(&config, key, i / 100, i % 100 * 4, 3);
        sum += got;
        squares += got * got;
    }
    const double mean = sum / STEPS;
    const double deviation = sqrt((squares / STEPS - mean * mean) / STEPS);
    EXPECT(fabs(mean - 2.3) < 5 * deviation);
    EXPECT(speculation_key(12) != key);
}

/* Company changes when a request gets its tokens, not which drafts are right. */
static void company_does_not_change_luck(void)
{
    static const double some[] = {0.7, 0.7, 0.7};
    uint64_t alone = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        struct bench bench = bench_of(3, some);
        bench_open(&bench);
        bench_submit(&bench, i, NULL, i, 20, 200, 0);
        bench_run_out(&bench);
        alone += stats_of(&bench)->drafts;
        bench_close(&bench);
    }
    struct bench bench = bench_of(3, some);
    bench_open(&bench);
    for (uint64_t i = 1; i <= 3; i++) {
        bench_submit(&bench, i, NULL, i, 20, 200, 0);
    }
    bench_run_out(&bench);
    EXPECT_U64(stats_of(&bench)->drafts, alone);
    bench_close(&bench);
}

/* ---- configuration ---- */

static bool parse(struct scenario **scenario, const char *engine, const char *cost,
                  struct err *err)
{
    char text[1024];
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const int length = snprintf(
        text, sizeof text,
        "workload: {generate: {arrival: {kind: poisson, rate_per_s: 1}, input: 9, "
        "output: 9, requests: 1}}\ncluster: {pools: [{name: p, gpu: h100_sxm, model: "
        "llama_3_1_8b, engine: {%s}, cost: {%s}}]}\n",
        engine, cost);
    return scenario_parse(scenario, "test.yaml", text, (size_t)length, &options, err);
}

static void refuses(const char *engine, const char *cost, const char *part)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    EXPECT_FAILS(parse(&scenario, engine, cost, &err), &err, part);
}

static struct scenario *accepts(const char *engine)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    REQUIRE_OK(parse(&scenario, engine, "model: roofline", &err), &err);
    return scenario;
}

static void methods_bring_their_habits(void)
{
    struct scenario *eagle =
        accepts("speculative: {method: eagle, tokens: 3, rate: 0.8}");
    struct scenario *ngram =
        accepts("speculative: {method: ngram, tokens: 3, acceptance: [0.8, 0.5, 0.2]}");
    struct scenario *none = accepts("speculative: {method: eagle, tokens: 0, rate: 1}");
    struct scenario *plain = accepts("");
    const struct engine_config *engine = &eagle->pools[0].engine;
    EXPECT(engine->async_scheduling);
    EXPECT_U64(engine->speculation.lookahead, 3);
    EXPECT(engine->speculation.drops_block);
    EXPECT(engine->speculation.draft_ns > 0);
    EXPECT(eagle->pools[0].kv_blocks < plain->pools[0].kv_blocks);
    /* N-grams are looked up on the host, which the GPU waits for. */
    EXPECT(!ngram->pools[0].engine.async_scheduling);
    EXPECT_U64(ngram->pools[0].engine.speculation.lookahead, 0);
    EXPECT_I64(ngram->pools[0].engine.speculation.draft_ns, 0);
    EXPECT_NEAR(ngram->pools[0].engine.speculation.acceptance[2], 0.2, 0);
    EXPECT_U64(ngram->pools[0].kv_blocks, plain->pools[0].kv_blocks);
    /* Both were zeroed whole before they were read. */
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    EXPECT(memcmp(&none->pools[0].engine, &plain->pools[0].engine,
                  sizeof(struct engine_config)) == 0);
    scenario_delete(eagle);
    scenario_delete(ngram);
    scenario_delete(none);
    scenario_delete(plain);
}

static void mistakes_are_told_with_their_remedy(void)
{
    refuses("speculative: {tokens: 3, rate: 0.8}", "", "method");
    refuses("speculative: {method: eagle, tokens: 3}", "", "give one of rate");
    refuses("speculative: {method: eagle, tokens: 3, rate: 1, acceptance: [1, 1, 1]}",
            "", "give one of rate");
    refuses("speculative: {method: eagle, tokens: 3, acceptance: [1, 1]}", "",
            "2 of them for 3 tokens");
    refuses("speculative: {method: eagle, tokens: 1, acceptance: [2]}", "",
            "each is from 0 to 1");
    refuses("compat: v085, speculative: {method: suffix, tokens: 1, rate: 1}", "",
            "came after compat v085");
    refuses("async_scheduling: true, speculative: {method: ngram, tokens: 1, rate: 1}",
            "", "cannot combine it with ngram");
    refuses("speculative: {method: draft_model, tokens: 1, rate: 1}", "",
            "a draft model's size is needed");
    refuses("speculative: {method: ngram, tokens: 1, rate: 1, draft_weights: 1GB}", "",
            "ngram has none");
}

HARNESS_MAIN("speculation", TEST(a_right_draft_is_a_token_more),
             TEST(tokens_behind_the_last_are_dropped), TEST(the_budget_cuts_drafts),
             TEST(drafters_hold_slots_ahead), TEST(eagle_loses_a_block_of_every_hit),
             TEST(drafts_are_not_registered), TEST(drafts_are_right_as_often_as_said),
             TEST(company_does_not_change_luck), TEST(methods_bring_their_habits),
             TEST(mistakes_are_told_with_their_remedy))
