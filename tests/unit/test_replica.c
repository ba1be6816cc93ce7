/* SPDX-License-Identifier: Apache-2.0
 *
 * test_replica.c: vectors 1 to 4, 6 and 8 of spec/vllm-engine.md 11, and one request
 * worked out by hand. A step lasts 1 ms and 1 us for each token of a chunk in it, so
 * the times tell what was in the steps.
 */
#include "sim/replica.h"
#include "tests/harness.h"

#include <string.h>

enum { REQUESTS_MAX = 32 };
static const int64_t step_ns = 1000000;
static const int64_t token_ns = 1000;

struct bench {
    struct engine_config engine;
    struct cost *cost;
    struct request_table *table;
    struct replica *replica;
    struct segment segment[REQUESTS_MAX];
    struct trace_record record[REQUESTS_MAX];
    struct request_outcome outcome[REQUESTS_MAX]; /* by record id */
    uint32_t ended;
};

static void saw_first_token(void *context, struct request *request, int64_t now_ns)
{
    struct bench *bench = context;
    bench->outcome[request->record_id].first_token_ns = now_ns;
}

static void saw_end(void *context, struct request *request, int64_t now_ns,
                    enum outcome_status status)
{
    struct bench *bench = context;
    struct request_outcome *outcome = &bench->outcome[request->record_id];
    outcome->status = status;
    outcome->end_ns = now_ns;
    outcome->queued_ns = request->queued_ns;
    outcome->scheduled_ns = request->scheduled_ns;
    outcome->cached_tokens = request->cached_tokens;
    outcome->preemptions = request->preemptions;
    outcome->recomputed_tokens = request->recomputed_tokens;
    bench->ended++;
    request_table_remove(bench->table, request);
}

static void bench_open(struct bench *bench, uint32_t kv_blocks)
{
    static const char text[] = "{model: linear, step: 1ms, per_chunk_token: 1us}";
    struct err err = {0};
    struct conf *conf = NULL;
    REQUIRE_OK(conf_parse(&conf, "cost", text, sizeof(text) - 1, &err), &err);
    const struct gpu_spec gpu = {.name = "none"};
    const struct model_spec model = {.name = "none"};
    const struct cost_setup cost = {
        .gpu = &gpu, .model = &model, .engine = &bench->engine, .map = conf_root(conf)};
    REQUIRE_OK(cost_new(&bench->cost, &cost, &err), &err);
    conf_delete(conf);
    bench->table = request_table_new();
    const struct replica_setup setup = {
        .engine = &bench->engine,
        .cost = bench->cost,
        .kv_blocks = kv_blocks,
        .table = bench->table,
        .events = {bench, saw_first_token, saw_end},
    };
    bench->replica = replica_new(&setup);
}

static void bench_close(struct bench *bench)
{
    replica_delete(bench->replica);
    request_table_delete(bench->table);
    cost_delete(bench->cost);
}

static struct engine_config plain_engine(void)
{
    return (struct engine_config){.compat = ENGINE_V085,
                                  .tensor_parallel = 1,
                                  .max_num_seqs = 64,
                                  .max_num_batched_tokens = 2048,
                                  .max_model_len = 100000,
                                  .block_tokens = 16,
                                  .prefix_caching = true,
                                  .chunked_prefill = true};
}

/* text: the stream that the prompt is the start of. */
static struct request *submit(struct bench *bench, uint64_t id, uint64_t text,
                              uint32_t prompt, uint32_t output)
{
    bench->segment[id] = (struct segment){.stream = segment_stream(SEGMENT_TEXT, text),
                                          .tokens = prompt};
    bench->record[id] = (struct trace_record){.id = id,
                                              .prompt_tokens = prompt,
                                              .output_tokens = output,
                                              .segment_count = 1,
                                              .segments = &bench->segment[id]};
    struct request *request = request_table_add(bench->table, &bench->record[id],
                                                output, bench->engine.block_tokens);
    replica_submit(bench->replica, request, 0);
    return request;
}

static void run_out(struct bench *bench)
{
    while (replica_next_ns(bench->replica) != INT64_MAX) {
        replica_step_done(bench->replica);
        replica_check(bench->replica);
    }
}

static uint32_t used_blocks(const struct bench *bench)
{
    struct engine_sample sample;
    replica_peek(bench->replica, replica_next_ns(bench->replica), &sample);
    return sample.kv_used_blocks;
}

static void one_request_takes_one_prefill_and_its_decodes(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 100);
    submit(&bench, 1, 1, 100, 3);
    EXPECT_U64(used_blocks(&bench), 7);
    run_out(&bench);
    const struct request_outcome *outcome = &bench.outcome[1];
    EXPECT_I64(outcome->first_token_ns, step_ns + 100 * token_ns);
    EXPECT_I64(outcome->end_ns, 3 * step_ns + 100 * token_ns);
    EXPECT_U64(replica_stats(bench.replica)->steps, 3);
    EXPECT_U64(outcome->status, OUTCOME_COMPLETED);
    bench_close(&bench);
}

static void a_long_prompt_is_cut_to_the_budget(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 1000);
    submit(&bench, 1, 1, 5000, 1);
    const int64_t ends[] = {step_ns + 2048 * token_ns, 2 * step_ns + 4096 * token_ns,
                            3 * step_ns + 5000 * token_ns};
    for (size_t i = 0; i < 3; i++) {
        EXPECT_I64(replica_next_ns(bench.replica), ends[i]);
        replica_step_done(bench.replica);
    }
    EXPECT_I64(bench.outcome[1].first_token_ns, ends[2]);
    bench_close(&bench);
}

static void decodes_take_their_tokens_from_the_same_budget(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 2000);
    for (uint64_t id = 1; id <= 10; id++) {
        submit(&bench, id, id, 16, 100);
    }
    replica_step_done(bench.replica); /* the first one came alone */
    replica_step_done(bench.replica);
    const int64_t start_ns = 2 * step_ns + 160 * token_ns;
    submit(&bench, 11, 11, 5000, 1);
    replica_step_done(bench.replica);
    const uint32_t chunks[] = {2038, 2038, 924};
    int64_t end_ns = start_ns + step_ns;
    for (size_t i = 0; i < 3; i++) {
        end_ns += step_ns + chunks[i] * token_ns;
        EXPECT_I64(replica_next_ns(bench.replica), end_ns);
        replica_step_done(bench.replica);
    }
    EXPECT_I64(bench.outcome[11].first_token_ns, end_ns);
    run_out(&bench);
    EXPECT_U64(bench.ended, 11);
    bench_close(&bench);
}

static void a_threshold_caps_every_chunk(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench.engine.long_prefill_token_threshold = 512;
    bench_open(&bench, 1000);
    submit(&bench, 1, 1, 5000, 1);
    run_out(&bench);
    EXPECT_U64(replica_stats(bench.replica)->steps, 10);
    EXPECT_I64(bench.outcome[1].first_token_ns, 10 * step_ns + 5000 * token_ns);
    bench_close(&bench);
}

static void twins_in_one_step_share_what_the_first_registers(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 100);
    submit(&bench, 1, 1, 16, 2); /* keeps the engine busy for the first step */
    submit(&bench, 2, 2, 64, 1);
    submit(&bench, 3, 2, 64, 1);
    replica_step_done(bench.replica);
    EXPECT_U64(used_blocks(&bench), 2 + 5); /* 1 with its next block; 4 + 1 */
    run_out(&bench);
    EXPECT_U64(bench.outcome[2].cached_tokens, 0);
    EXPECT_U64(bench.outcome[3].cached_tokens, 48);
    bench_close(&bench);
}

static void a_full_hit_computes_the_last_block_again(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 100);
    submit(&bench, 1, 1, 64, 1);
    run_out(&bench);
    submit(&bench, 2, 1, 64, 1);
    submit(&bench, 3, 1, 65, 1);
    run_out(&bench);
    EXPECT_U64(bench.outcome[2].cached_tokens, 48);
    EXPECT_U64(bench.outcome[3].cached_tokens, 64);
    bench_close(&bench);
}

static void a_prompt_that_does_not_fit_waits_and_preempts_nobody(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench.engine.max_model_len = 160;
    bench_open(&bench, 11);
    submit(&bench, 1, 1, 80, 5);
    submit(&bench, 2, 2, 80, 5);
    replica_step_done(bench.replica); /* A decodes into its sixth block; B needs five */
    EXPECT_U64(used_blocks(&bench), 6);
    run_out(&bench);
    EXPECT_U64(bench.ended, 2);
    EXPECT_U64(bench.outcome[1].preemptions, 0);
    EXPECT_I64(bench.outcome[2].scheduled_ns, bench.outcome[1].end_ns);
    bench_close(&bench);
}

/* Vector 6: both prompts in one step, so that both decode when the pool is full. */
static void blocks_run_out_in_mid_decode(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench.engine.max_model_len = 160;
    bench_open(&bench, 11);
    submit(&bench, 9, 9, 1, 1); /* first step alone, then A and B together */
    submit(&bench, 1, 1, 80, 5);
    submit(&bench, 2, 2, 80, 5);
    replica_step_done(bench.replica);
    EXPECT_U64(used_blocks(&bench), 10);
    replica_step_done(bench.replica); /* A takes a block of B's, which waits */
    EXPECT_U64(replica_stats(bench.replica)->preemptions, 1);
    struct engine_sample sample;
    replica_peek(bench.replica, 0, &sample);
    EXPECT_U64(sample.running, 1);
    EXPECT_U64(sample.waiting, 1);
    EXPECT_U64(sample.kv_used_blocks, 6);
    run_out(&bench);
    EXPECT_U64(bench.outcome[2].preemptions, 1);
    EXPECT_U64(bench.outcome[2].recomputed_tokens, 16); /* 80 but for four blocks */
    EXPECT_I64(bench.outcome[2].scheduled_ns, step_ns + token_ns);
    EXPECT(bench.outcome[2].end_ns > bench.outcome[1].end_ns);
    bench_close(&bench);
}

/* Request 1: 100 tokens until 1.1 ms, a decode until 2.1 ms. Request 2 came meanwhile:
 * its 200 tokens are a step of their own, until 3.3 ms, for which request 1 waits; both
 * end with the step until 4.3 ms. Beside the decode, request 1 would have ended at 3.3.
 */
static void prompts_in_steps_of_their_own_hold_decodes_up(void)
{
    for (int alone = 0; alone < 2; alone++) {
        struct bench bench = {.engine = plain_engine()};
        bench.engine.chunked_prefill = false;
        bench.engine.prompts_first = alone == 1;
        bench_open(&bench, 1000);
        submit(&bench, 1, 1, 100, 3);
        replica_step_done(bench.replica);
        submit(&bench, 2, 2, 200, 2);
        run_out(&bench);
        EXPECT_I64(bench.outcome[1].first_token_ns, 1100000);
        EXPECT_I64(bench.outcome[2].first_token_ns, 3300000);
        EXPECT_I64(bench.outcome[1].end_ns, alone == 1 ? 4300000 : 3300000);
        EXPECT_I64(bench.outcome[2].end_ns, 4300000);
        bench_close(&bench);
    }
}

/* Vector 8. */
static void priority_preempts_the_least_urgent(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench.engine.order = order_policy_find("priority");
    bench.engine.max_model_len = 160;
    bench_open(&bench, 11);
    submit(&bench, 9, 9, 1, 1);
    bench.segment[1] =
        (struct segment){.stream = segment_stream(SEGMENT_TEXT, 1), .tokens = 80};
    for (uint64_t id = 1; id <= 2; id++) {
        bench.segment[id] =
            (struct segment){.stream = segment_stream(SEGMENT_TEXT, id), .tokens = 80};
        bench.record[id] = (struct trace_record){.id = id,
                                                 .prompt_tokens = 80,
                                                 .output_tokens = 5,
                                                 .priority = id == 1 ? 5 : 0,
                                                 .segment_count = 1,
                                                 .segments = &bench.segment[id]};
        struct request *request =
            request_table_add(bench.table, &bench.record[id], 5, 16);
        replica_submit(bench.replica, request, 0);
    }
    run_out(&bench);
    EXPECT_U64(bench.outcome[1].preemptions, 1);
    EXPECT_U64(bench.outcome[2].preemptions, 0);
    bench_close(&bench);
}

static void an_arrival_in_mid_run_waits_for_the_step_boundary(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 1000);
    submit(&bench, 1, 1, 16, 1000);
    replica_step_done(bench.replica);
    const int64_t begun_ns = step_ns + 16 * token_ns;
    EXPECT_I64(replica_next_ns(bench.replica), begun_ns + 999 * step_ns);
    bench.segment[2] =
        (struct segment){.stream = segment_stream(SEGMENT_TEXT, 2), .tokens = 32};
    bench.record[2] = (struct trace_record){.id = 2,
                                            .prompt_tokens = 32,
                                            .output_tokens = 1,
                                            .segment_count = 1,
                                            .segments = &bench.segment[2]};
    struct request *late = request_table_add(bench.table, &bench.record[2], 1, 16);
    const int64_t arrival_ns = begun_ns + 10 * step_ns + 1;
    replica_submit(bench.replica, late, arrival_ns);
    EXPECT_I64(replica_next_ns(bench.replica), begun_ns + 11 * step_ns);
    run_out(&bench);
    EXPECT_I64(bench.outcome[2].queued_ns, begun_ns + 11 * step_ns);
    EXPECT_I64(bench.outcome[2].first_token_ns,
               begun_ns + 12 * step_ns + 32 * token_ns);
    EXPECT_I64(bench.outcome[1].end_ns, begun_ns + 999 * step_ns + 32 * token_ns);
    bench_close(&bench);
}

static void asynchronous_scheduling_admits_two_steps_later(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench.engine.async_scheduling = true;
    bench_open(&bench, 1000);
    submit(&bench, 1, 1, 16, 10);
    submit(&bench, 2, 2, 16, 1); /* the next step is formed already */
    run_out(&bench);
    const int64_t first_ns = step_ns + 16 * token_ns;
    EXPECT_I64(bench.outcome[1].first_token_ns, first_ns);
    EXPECT_I64(bench.outcome[2].queued_ns, first_ns);
    EXPECT_I64(bench.outcome[2].first_token_ns, first_ns + 2 * step_ns + 16 * token_ns);
    bench_close(&bench);
}

static void a_hang_up_ends_the_request_at_the_next_boundary(void)
{
    struct bench bench = {.engine = plain_engine()};
    bench_open(&bench, 1000);
    struct request *request = submit(&bench, 1, 1, 16, 1000);
    submit(&bench, 2, 2, 16, 4);
    replica_step_done(bench.replica);
    replica_cancel(bench.replica, request, step_ns + 16 * token_ns);
    run_out(&bench);
    EXPECT_U64(bench.outcome[1].status, OUTCOME_CANCELLED);
    EXPECT_U64(bench.outcome[2].status, OUTCOME_COMPLETED);
    EXPECT(bench.outcome[1].end_ns < bench.outcome[2].end_ns);
    EXPECT_U64(bench.ended, 2);
    bench_close(&bench);
}

HARNESS_MAIN("replica", TEST(one_request_takes_one_prefill_and_its_decodes),
             TEST(a_long_prompt_is_cut_to_the_budget),
             TEST(decodes_take_their_tokens_from_the_same_budget),
             TEST(a_threshold_caps_every_chunk),
             TEST(twins_in_one_step_share_what_the_first_registers),
             TEST(a_full_hit_computes_the_last_block_again),
             TEST(a_prompt_that_does_not_fit_waits_and_preempts_nobody),
             TEST(blocks_run_out_in_mid_decode),
             TEST(prompts_in_steps_of_their_own_hold_decodes_up),
             TEST(priority_preempts_the_least_urgent),
             TEST(an_arrival_in_mid_run_waits_for_the_step_boundary),
             TEST(asynchronous_scheduling_admits_two_steps_later),
             TEST(a_hang_up_ends_the_request_at_the_next_boundary))
