/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_bench.h: one engine whose step lasts 1 ms and 1 us for each token of a chunk
 * in it, so that times tell what was in the steps; with adapters or drafts.
 */
#ifndef STACKSIM_TESTS_ENGINE_BENCH_H
#define STACKSIM_TESTS_ENGINE_BENCH_H

#include "sim/replica.h"
#include "tests/harness.h"

#include <string.h>

enum { BENCH_REQUESTS = 64 };
#define BENCH_STEP_NS  INT64_C(1000000)
#define BENCH_TOKEN_NS INT64_C(1000)

struct bench {
    struct engine_config engine;
    const struct adapter_costs *adapters; /* NULL: none */
    struct cost *cost;
    struct request_table *table;
    struct replica *replica;
    struct segment segment[BENCH_REQUESTS];
    struct trace_record record[BENCH_REQUESTS];
    struct request_outcome outcome[BENCH_REQUESTS]; /* by record id */
    uint32_t ended;
};

static inline void bench_first_token(void *context, struct request *request,
                                     int64_t now_ns)
{
    struct bench *bench = context;
    bench->outcome[request->record_id].first_token_ns = now_ns;
}

static inline void bench_end(void *context, struct request *request, int64_t now_ns,
                             enum outcome_status status)
{
    struct bench *bench = context;
    struct request_outcome *outcome = &bench->outcome[request->record_id];
    outcome->status = status;
    outcome->end_ns = now_ns;
    outcome->scheduled_ns = request->scheduled_ns;
    outcome->cached_tokens = request->cached_tokens;
    outcome->aside_ns = request->aside_ns;
    bench->ended++;
    request_table_remove(bench->table, request);
}

static inline struct engine_config bench_engine(void)
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

static inline void bench_open(struct bench *bench)
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
        .kv_blocks = 7000,
        .seed = 1,
        .table = bench->table,
        .events = {bench, bench_first_token, bench_end},
        .adapters = bench->adapters,
    };
    bench->replica = replica_new(&setup);
}

static inline void bench_close(struct bench *bench)
{
    replica_delete(bench->replica);
    request_table_delete(bench->table);
    cost_delete(bench->cost);
}

/* adapter: "a0", "a1", ... or NULL; text: the stream that the prompt begins. */
/* NOLINTNEXTLINE(readability-function-size): a row of a table */
static inline struct request *bench_submit(struct bench *bench, uint64_t id,
                                           const char *adapter, uint64_t text,
                                           uint32_t prompt, uint32_t output,
                                           int64_t now_ns)
{
    bench->segment[id] = (struct segment){.stream = segment_stream(SEGMENT_TEXT, text),
                                          .tokens = prompt};
    bench->record[id] = (struct trace_record){.id = id,
                                              .prompt_tokens = prompt,
                                              .output_tokens = output,
                                              .segment_count = 1,
                                              .segments = &bench->segment[id],
                                              .adapter = adapter};
    struct request *request = request_table_add(bench->table, &bench->record[id],
                                                output, bench->engine.block_tokens);
    request->adapter = adapter == NULL ? ADAPTER_NONE : (uint32_t)(adapter[1] - '0');
    replica_submit(bench->replica, request, now_ns);
    return request;
}

/* Steps that end by time_ns. */
static inline void bench_run_until(struct bench *bench, int64_t time_ns)
{
    while (replica_next_ns(bench->replica) <= time_ns) {
        replica_step_done(bench->replica);
        replica_check(bench->replica);
    }
}

static inline void bench_run_out(struct bench *bench)
{
    bench_run_until(bench, INT64_MAX - 1);
}

#endif
