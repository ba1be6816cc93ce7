/* SPDX-License-Identifier: Apache-2.0
 *
 * test_adapters.c: LoRA adapters of one engine worked out by hand (vector 7 of
 * spec/vllm-engine.md 11 among them), their memory, and what is refused.
 */
#include "sim/scenario.h"
#include "tests/engine_bench.h"

#include <stdio.h>

#define MS INT64_C(1000000)

/* Warm 5 ms, cold 50 ms, and the first time from afar 300 ms more (a3 alone). No cost
 * in the step. */
static struct adapter_cost cost_of[] = {
    {.read_ns = 45 * MS, .copy_ns = 5 * MS, .warm_ns = 5 * MS, .rank = 8},
    {.read_ns = 45 * MS, .copy_ns = 5 * MS, .warm_ns = 5 * MS, .rank = 8},
    {.read_ns = 45 * MS, .copy_ns = 5 * MS, .warm_ns = 5 * MS, .rank = 8},
    {.fetch_ns = 300 * MS,
     .read_ns = 45 * MS,
     .copy_ns = 5 * MS,
     .warm_ns = 5 * MS,
     .rank = 8},
};
static const struct adapter_costs costs = {.count = 4, .adapter = cost_of};

static struct bench bench_of(uint32_t max_loras, uint32_t max_cpu_loras)
{
    struct bench bench = {.engine = bench_engine(), .adapters = &costs};
    bench.engine.lora = (struct lora_config){.enabled = true,
                                             .max_loras = max_loras,
                                             .max_cpu_loras = max_cpu_loras,
                                             .max_rank = 16};
    return bench;
}

static const struct adapter_stats *stats_of(const struct bench *bench)
{
    return &replica_stats(bench->replica)->adapters;
}

static void a_load_stalls_the_engine_exactly_its_time(void)
{
    struct bench bench = bench_of(2, 2);
    bench_open(&bench);
    /* 100 tokens behind a cold load: 50 + 1 + 0.1 ms. */
    bench_submit(&bench, 1, "a0", 1, 100, 30, 0);
    EXPECT_I64(replica_next_ns(bench.replica), 50 * MS + MS + 100 * BENCH_TOKEN_NS);
    bench_run_until(&bench, 55 * MS); /* four more tokens: 52.1 .. 55.1, not the last */
    /* Another adapter comes: its load holds up the decode of the first, too. The step
     * that ends at 55.1 ms is under way; the next one takes 50 ms more and 10 us. */
    bench_submit(&bench, 2, "a1", 2, 10, 1, 55 * MS);
    bench_run_out(&bench);
    const int64_t second_ns =
        55 * MS + 100 * BENCH_TOKEN_NS + 50 * MS + MS + 10 * BENCH_TOKEN_NS;
    EXPECT_I64(bench.outcome[2].first_token_ns, second_ns);
    /* The first one has 30 tokens: one with its prompt, 29 decodes of 1 ms. */
    EXPECT_I64(bench.outcome[1].end_ns, 100 * MS + 30 * MS + 110 * BENCH_TOKEN_NS);
    EXPECT_U64(stats_of(&bench)->loads, 2);
    EXPECT_U64(stats_of(&bench)->cold_loads, 2);
    EXPECT_I64(stats_of(&bench)->stall_ns, 100 * MS);
    EXPECT_I64(replica_stats(bench.replica)->busy_ns, bench.outcome[1].end_ns);
    bench_close(&bench);
}

/* One request at a time; returns what its load took. */
static int64_t use(struct bench *bench, const char *adapter)
{
    static uint64_t id;
    const int64_t before_ns = stats_of(bench)->stall_ns;
    id = id % (BENCH_REQUESTS - 1) + 1;
    bench_submit(bench, id, adapter, 100 + id, 10, 1, 0);
    bench_run_out(bench);
    return stats_of(bench)->stall_ns - before_ns;
}

static void slots_go_to_who_was_not_used_for_longest(void)
{
    struct bench bench = bench_of(2, 3);
    bench_open(&bench);
    EXPECT_I64(use(&bench, "a0"), 50 * MS);
    EXPECT_I64(use(&bench, "a1"), 50 * MS);
    EXPECT_I64(use(&bench, "a0"), 0);
    EXPECT_I64(use(&bench, "a2"), 50 * MS); /* in the place of a1, which stays in host
                                               memory: a0, a1, a2 */
    EXPECT_I64(use(&bench, "a0"), 0);
    EXPECT_I64(use(&bench, "a1"), 5 * MS);   /* warm; a2 leaves the GPU */
    EXPECT_I64(use(&bench, "a3"), 350 * MS); /* from afar; a2 leaves the host, a0 the
                                                GPU */
    EXPECT_I64(use(&bench, "a0"), 5 * MS);
    EXPECT_I64(use(&bench, "a2"), 50 * MS); /* a1 leaves the host */
    EXPECT_I64(use(&bench, NULL), 0);       /* the base model needs no slot */
    EXPECT_I64(use(&bench, "a3"), 5 * MS);
    EXPECT_I64(use(&bench, "a1"), 50 * MS); /* a0 leaves */
    EXPECT_I64(use(&bench, "a0"), 50 * MS); /* a2 leaves */
    EXPECT_I64(use(&bench, "a2"), 50 * MS); /* a3 leaves */
    EXPECT_I64(use(&bench, "a3"), 50 * MS); /* but not its copy on disk */
    bench_close(&bench);
}

static void what_is_registered_is_loaded_in_nobodys_time(void)
{
    struct bench bench = bench_of(1, 2);
    bench_open(&bench);
    for (uint32_t i = 0; i < 3; i++) {
        replica_preload(bench.replica, i);
    }
    EXPECT_I64(use(&bench, "a2"), 0);
    EXPECT_I64(use(&bench, "a1"), 5 * MS);
    EXPECT_I64(use(&bench, "a0"), 50 * MS);
    bench_close(&bench);
}

/* Vector 7: x runs; y1, x1 and base wait. x1 and base overtake y1, which keeps its
 * place in front and gets in when no x is scheduled any more. */
static void others_overtake_who_waits_for_a_slot(void)
{
    struct bench bench = bench_of(1, 1);
    bench_open(&bench);
    bench_submit(&bench, 1, "a0", 1, 10, 5, 0); /* x: 50 + 1.01 ms, then 4 decodes */
    bench_submit(&bench, 2, "a1", 2, 10, 2, 0); /* y1 */
    bench_submit(&bench, 3, "a0", 3, 10, 3, 0); /* x1 */
    bench_submit(&bench, 4, NULL, 4, 10, 9, 0); /* base */
    bench_run_out(&bench);
    const int64_t first_ns = 51 * MS + 10 * BENCH_TOKEN_NS;
    EXPECT_I64(bench.outcome[3].scheduled_ns, first_ns);
    EXPECT_I64(bench.outcome[4].scheduled_ns, first_ns);
    /* x has its fifth token three steps after that one of 1.02 ms. */
    const int64_t x_end_ns = first_ns + 4 * MS + 20 * BENCH_TOKEN_NS;
    EXPECT_I64(bench.outcome[1].end_ns, x_end_ns);
    EXPECT_I64(bench.outcome[2].scheduled_ns, x_end_ns);
    EXPECT_I64(bench.outcome[2].aside_ns, x_end_ns - first_ns);
    EXPECT_U64(stats_of(&bench)->asides, 1);
    /* Its load: base waits, too. */
    EXPECT_I64(bench.outcome[2].first_token_ns,
               x_end_ns + 50 * MS + MS + 10 * BENCH_TOKEN_NS);
    bench_close(&bench);
}

/* No ageing: as long as requests of the first adapter overlap, the second one waits. */
static void a_busy_adapter_starves_another(void)
{
    struct bench bench = bench_of(1, 1);
    bench_open(&bench);
    bench_submit(&bench, 1, "a0", 1, 10, 10, 0);
    bench_submit(&bench, 2, "a1", 2, 10, 1, 0);
    for (uint64_t i = 3; i < 40; i++) {
        const int64_t now_ns = (int64_t)(50 + 5 * (i - 2)) * MS;
        bench_run_until(&bench, now_ns);
        bench_submit(&bench, i, "a0", i, 10, 10, now_ns);
    }
    bench_run_until(&bench, 240 * MS);
    EXPECT(bench.ended > 30);
    EXPECT_I64(bench.outcome[2].end_ns, 0);
    bench_run_out(&bench);
    EXPECT(bench.outcome[2].scheduled_ns >= bench.outcome[39].end_ns);
    bench_close(&bench);
}

static void one_slot_serves_adapters_one_after_the_other(void)
{
    struct bench bench = bench_of(1, 3);
    bench_open(&bench);
    static const char *const names[] = {"a0", "a1", "a2"};
    for (uint64_t i = 0; i < 3; i++) {
        bench_submit(&bench, i + 1, names[i], i + 1, 10, 4, 0);
    }
    bench_run_out(&bench);
    for (uint64_t i = 1; i <= 3; i++) {
        EXPECT_I64(bench.outcome[i].end_ns,
                   (int64_t)i * (54 * MS + 10 * BENCH_TOKEN_NS));
    }
    bench_close(&bench);
}

static void adapters_share_no_blocks(void)
{
    struct bench bench = bench_of(4, 4);
    static const char *const names[] = {"a0", "a1", NULL, "a0", NULL};
    static const uint32_t hits[] = {0, 0, 0, 48, 48};
    bench_open(&bench);
    for (uint64_t i = 0; i < 5; i++) {
        bench_submit(&bench, i + 1, names[i], 7, 64, 1, 0);
        bench_run_out(&bench);
        harness_note("request %d", (int)i);
        EXPECT_U64(bench.outcome[i + 1].cached_tokens, hits[i]);
    }
    bench_close(&bench);
}

/* ---- sizes ---- */

static void slots_take_the_memory_of_the_formula(void)
{
    struct err err = {0};
    struct model_spec model;
    struct gpu_spec gpu;
    REQUIRE_OK(model_spec_load(
                   &model, harness_source("configs/models/llama_3_1_8b.yaml"), &err),
               &err);
    REQUIRE_OK(gpu_spec_load(&gpu, harness_source("configs/gpus/h100_sxm.yaml"), &err),
               &err);
    /* (in + out) of q, k, v, o, gate, up, down in 32 layers: 81,920 x 32. */
    EXPECT_NEAR(lora_values_per_rank(&model), 2621440.0, 0.0);
    EXPECT_NEAR(lora_bytes(&model, 16), 83886080.0, 0.0);
    struct lora_config lora = {.enabled = true, .max_loras = 3, .max_rank = 32};
    EXPECT_NEAR(lora_slots_bytes(&lora, &model, 1), 3 * 2 * 83886080.0, 0.0);
    EXPECT_NEAR(lora_slots_bytes(&lora, &model, 4), 3 * 2 * 83886080.0 * 0.625, 0.0);
    lora.fully_sharded = true;
    EXPECT_NEAR(lora_slots_bytes(&lora, &model, 4), 3 * 2 * 83886080.0 / 4, 0.0);
    struct engine_config engine;
    uint32_t without = 0;
    uint32_t with = 0;
    REQUIRE_OK(engine_config_load(&engine, NULL, &gpu, &model, &err), &err);
    REQUIRE_OK(engine_kv_blocks(&engine, &gpu, &model, NULL, &without, &err), &err);
    lora.fully_sharded = false;
    engine.lora = lora;
    REQUIRE_OK(engine_kv_blocks(&engine, &gpu, &model, NULL, &with, &err), &err);
    EXPECT_U64(without - with, 240); /* 480 MiB in blocks of 2 MiB */
}

/* ---- scenarios ---- */

static bool parse(struct scenario **scenario, const char *engine, const char *adapters,
                  struct err *err)
{
    char text[1024];
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const int length = snprintf(
        text, sizeof text,
        "workload: {generate: {arrival: {kind: poisson, rate_per_s: 1}, input: 9, "
        "output: 9, requests: 1}}\ncluster: {pools: [{name: p, replicas: 3, gpu: "
        "h100_sxm, model: llama_3_1_8b, engine: {%s}}]}\n%s",
        engine, adapters);
    return scenario_parse(scenario, "test.yaml", text, (size_t)length, &options, err);
}

static void refuses(const char *engine, const char *adapters, const char *part)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    EXPECT_FAILS(parse(&scenario, engine, adapters, &err), &err, part);
}

static void loading_times_follow_from_size_and_source(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    REQUIRE_OK(parse(&scenario, "enable_lora: true",
                     "adapters: {list: [{name: x}, {name: y, size: 1GB, source: "
                     "remote}], loading: {remote: {bandwidth: 500MB}}}",
                     &err),
               &err);
    /* 83.886 MB: 27.962 ms from disk at 3 GB/s, 41.943 ms to pin at 2 GB/s, 4.194 ms
     * to the GPU at 20 GB/s; 2 ms more cold, 1.5 ms warm. */
    const struct adapter_cost *x = &scenario->pools[0].adapters->adapter[0];
    EXPECT_I64(x->fetch_ns, 0);
    EXPECT_I64(x->read_ns, 2000000 + 27962027 + 41943040);
    EXPECT_I64(x->copy_ns, 4194304);
    EXPECT_I64(x->warm_ns, 4194304 + 1500000);
    const struct adapter_cost *y = &scenario->pools[0].adapters->adapter[1];
    EXPECT_I64(y->fetch_ns, 50 * MS + 2000 * MS);
    EXPECT_I64(y->copy_ns, 50 * MS);
    scenario_delete(scenario);
}

static void mistakes_are_told_with_their_remedy(void)
{
    refuses("max_loras: 2", "", "means nothing without enable_lora");
    refuses("enable_lora: true, max_loras: 4, max_cpu_loras: 3", "",
            "max_cpu_loras: 3 is below max_loras, 4");
    refuses("enable_lora: true, max_lora_rank: 20", "", "max_lora_rank: 20");
    refuses("enable_lora: true", "adapters: {list: [{name: x, rank: 64}]}",
            "raise its max_lora_rank");
    refuses("", "adapters: {list: [{name: x}]}", "enable_lora: true in its engine");
    refuses("enable_lora: true", "adapters: {list: [{name: x, model: Other}]}",
            "serves Other");
    refuses("enable_lora: true", "adapters: {list: [{name: x}, {name: x}]}",
            "there is an adapter x already");
    refuses("enable_lora: true", "adapters: {list: [{name: Llama-3.1-8B}]}",
            "is the name of a model");
    refuses("enable_lora: true", "adapters: {placement: default}",
            "give list: or generate:");
    refuses("enable_lora: true", "adapters: {generate: {count: 3, ranks: [0]}}",
            "ranks: each is from 1");
    refuses("enable_lora: true", "adapters: {generate: {count: 3}, loading: {disk: 0}}",
            "above 0");
}

HARNESS_MAIN("adapters", TEST(a_load_stalls_the_engine_exactly_its_time),
             TEST(slots_go_to_who_was_not_used_for_longest),
             TEST(what_is_registered_is_loaded_in_nobodys_time),
             TEST(others_overtake_who_waits_for_a_slot),
             TEST(a_busy_adapter_starves_another),
             TEST(one_slot_serves_adapters_one_after_the_other),
             TEST(adapters_share_no_blocks), TEST(slots_take_the_memory_of_the_formula),
             TEST(loading_times_follow_from_size_and_source),
             TEST(mistakes_are_told_with_their_remedy))
