/* SPDX-License-Identifier: Apache-2.0
 *
 * test_engine_config.c: vLLM's defaults by release and GPU, KV blocks against the
 * calibration points of spec/vllm-engine.md 2.7, and errors that say what to do.
 */
#include "sim/engine_config.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

struct subject {
    struct gpu_spec gpu;
    struct model_spec model;
    struct engine_config engine;
    uint32_t blocks;
    struct err err;
};

static bool facts_load(struct subject *subject, const char *gpu, const char *model)
{
    char path[128];
    *subject = (struct subject){0};
    snprintf(path, sizeof path, "configs/gpus/%s.yaml", gpu);
    if (!REQUIRE_OK(gpu_spec_load(&subject->gpu, harness_source(path), &subject->err),
                    &subject->err)) {
        return false;
    }
    snprintf(path, sizeof path, "configs/models/%s.yaml", model);
    return REQUIRE_OK(
        model_spec_load(&subject->model, harness_source(path), &subject->err),
        &subject->err);
}

/* Engine keys and KV blocks, as a scenario's pool would. */
static bool engine_make(struct subject *subject, const char *map)
{
    struct conf *conf = NULL;
    if (!REQUIRE_OK(conf_parse(&conf, "pool.yaml", map, strlen(map), &subject->err),
                    &subject->err)) {
        return false;
    }
    const struct conf_node *root = conf_root(conf);
    const bool ok = engine_config_load(&subject->engine, root, &subject->gpu,
                                       &subject->model, &subject->err) &&
                    engine_kv_blocks(&subject->engine, &subject->gpu, &subject->model,
                                     root, &subject->blocks, &subject->err) &&
                    conf_done(root, &subject->err);
    conf_delete(conf);
    return ok;
}

struct defaults_row {
    const char *gpu;
    const char *map;
    uint32_t tokens;
    uint32_t seqs;
    double utilization;
    bool async;
};

static void defaults_follow_release_and_gpu(void)
{
    static const struct defaults_row rows[] = {
        {"h100_sxm", "{compat: v085}", 8192, 1024, 0.9, false},
        {"h100_sxm", "{compat: v010}", 8192, 1024, 0.9, false},
        {"h100_sxm", "{compat: v019}", 8192, 1024, 0.9, true},
        {"h100_sxm", "{compat: head}", 8192, 1024, 0.92, true},
        {"a100_80_sxm", "{compat: v085}", 8192, 1024, 0.9, false},
        {"a100_80_sxm", "{compat: v010}", 2048, 256, 0.9, false},
        {"a100_80_sxm", "{compat: head}", 2048, 256, 0.92, true},
        {"l40s", "{compat: v085}", 2048, 256, 0.9, false},
        {"b200_sxm", "{compat: head}", 16384, 1024, 0.92, true},
        {"b200_sxm", "{compat: v085}", 8192, 1024, 0.9, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct defaults_row *row = &rows[i];
        struct subject subject;
        harness_note("%s %s", row->gpu, row->map);
        if (!facts_load(&subject, row->gpu, "qwen3_8b")) {
            return;
        }
        REQUIRE_OK(engine_make(&subject, row->map), &subject.err);
        EXPECT_U64(subject.engine.max_num_batched_tokens, row->tokens);
        EXPECT_U64(subject.engine.max_num_seqs, row->seqs);
        EXPECT_NEAR(subject.engine.gpu_memory_utilization, row->utilization, 1e-12);
        EXPECT(subject.engine.async_scheduling == row->async);
        EXPECT(subject.engine.reserve_full_isl == row->async);
        EXPECT_U64(subject.engine.block_tokens, 16);
        EXPECT_U64(subject.engine.max_model_len, 40960);
        EXPECT(subject.engine.prefix_caching && subject.engine.chunked_prefill);
    }
}

static void default_batch_is_clamped_and_a_given_one_is_not(void)
{
    struct subject subject;
    if (!facts_load(&subject, "h100_sxm", "qwen3_8b")) {
        return;
    }
    REQUIRE_OK(engine_make(&subject, "{max_num_batched_tokens: 512}"), &subject.err);
    EXPECT_U64(subject.engine.max_num_seqs, 512);
    REQUIRE_OK(engine_make(&subject, "{max_num_seqs: 4, max_model_len: 100}"),
               &subject.err);
    EXPECT_U64(subject.engine.max_num_batched_tokens, 400);
    EXPECT_FAILS(
        engine_make(&subject, "max_num_batched_tokens: 512\nmax_num_seqs: 600\n"),
        &subject.err, "pool.yaml:2: max_num_seqs: 600 is above");
}

/* The points of spec/vllm-engine.md 2.7. The tolerance is what one figure of the
 * reserve can be off, not what the arithmetic can. */
static void kv_blocks_match_measured_engines(void)
{
    static const struct {
        const char *gpu;
        const char *map;
        uint32_t blocks;
        double tolerance;
    } rows[] = {
        {"h100_sxm", "{compat: v085}", 25953, 0.001},
        {"l40s", "{compat: v085, max_num_batched_tokens: 8192}", 158656 / 16, 0.01},
        {"rtx_4090", "{compat: v019, max_model_len: 32768}", 2588, 0.01},
        {"rtx_4090", /* an RTX 3090 under V0 has as much memory */
         "{max_model_len: 20000, memory_reserve: 2.4GiB}", 1952, 0.03},
        {"h100_sxm", "{memory_reserve: 3.05GiB}", 27284, 0.001}, /* 53.29 GiB */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct subject subject;
        harness_note("%s %s", rows[i].gpu, rows[i].map);
        if (!facts_load(&subject, rows[i].gpu, "llama_3_1_8b")) {
            return;
        }
        REQUIRE_OK(engine_make(&subject, rows[i].map), &subject.err);
        EXPECT_CLOSE((double)subject.blocks, (double)rows[i].blocks, rows[i].tolerance);
    }
}

/* By hand: 79.2 GiB x 0.9 = 71.28, weights 14.958 GiB, reserve 5.6: 50.722 GiB. */
static void kv_blocks_by_hand(void)
{
    struct subject subject;
    if (!facts_load(&subject, "h100_sxm", "llama_3_1_8b")) {
        return;
    }
    REQUIRE_OK(engine_make(&subject, "{}"), &subject.err);
    const double weights = (double)model_weight_bytes(&subject.model, 1);
    const double left =
        (79.2 * 0.9 - 5.6) * 1073741824.0 - weights; /* 2 MiB per block */
    EXPECT_U64(subject.blocks, (uint64_t)(left / (2 << 20)));
    REQUIRE_OK(engine_make(&subject, "{block_tokens: 32}"), &subject.err);
    EXPECT_U64(subject.blocks, (uint64_t)(left / (4 << 20)));
    REQUIRE_OK(engine_make(&subject, "{num_gpu_blocks_override: 9000}"), &subject.err);
    EXPECT_U64(subject.blocks, 9000);
    /* Half of the KV heads and of the weights on each of two GPUs. */
    REQUIRE_OK(engine_make(&subject, "{tensor_parallel: 2}"), &subject.err);
    EXPECT_U64(subject.blocks, (uint64_t)((left + weights / 2) / (1 << 20)));
    /* A budget of 5120 tokens is half-way between the measured reserves. */
    REQUIRE_OK(engine_make(&subject, "{max_num_batched_tokens: 5120}"), &subject.err);
    EXPECT_U64(subject.blocks, (uint64_t)((left + 2.2 * 1073741824.0) / (2 << 20)));
}

static void model_too_big_is_told_with_the_arithmetic(void)
{
    struct subject subject;
    if (!facts_load(&subject, "h100_sxm", "llama_3_1_70b")) {
        return;
    }
    EXPECT_FAILS(engine_make(&subject, "{}"), &subject.err, "weights 131.4 GiB");
    EXPECT_HAS(subject.err.text, "pool.yaml:1");
    EXPECT_HAS(subject.err.text, "71.3 GiB (79.2 GiB x 0.90");
    EXPECT_HAS(subject.err.text, "use tensor_parallel: 4 or a bigger GPU");
    if (!facts_load(&subject, "l4", "llama_3_1_405b")) {
        return;
    }
    EXPECT_FAILS(engine_make(&subject, "{}"), &subject.err, "; use a bigger GPU");
}

/* The advice is taken: what the message names works, one more does not. */
static void longest_request_that_fits_is_named(void)
{
    struct subject subject;
    char map[64];
    if (!facts_load(&subject, "rtx_4090", "llama_3_1_8b")) {
        return;
    }
    EXPECT_FAILS(engine_make(&subject, "{}"), &subject.err,
                 "max_model_len: one request of 131072 tokens");
    EXPECT_HAS(subject.err.text, "tensor_parallel: 2");
    const char *at = strstr(subject.err.text, "set max_model_len to ");
    unsigned longest = 0;
    REQUIRE(at != NULL && sscanf(at, "set max_model_len to %u", &longest) == 1);
    snprintf(map, sizeof map, "{max_model_len: %u}", longest);
    EXPECT_OK(engine_make(&subject, map), &subject.err);
    snprintf(map, sizeof map, "{max_model_len: %u}", longest + 1);
    EXPECT_FAILS(engine_make(&subject, map), &subject.err, "max_model_len");
}

static void expect_refused(struct subject *subject, const char *map, const char *part)
{
    harness_note("%s", map);
    EXPECT_FAILS(engine_make(subject, map), &subject->err, part);
    EXPECT_HAS(subject->err.text, "pool.yaml:1");
}

static void what_an_engine_cannot_do_is_refused(void)
{
    struct subject subject;
    if (!facts_load(&subject, "h100_sxm", "qwen3_8b")) {
        return;
    }
    expect_refused(&subject, "{tensor_parallel: 3}", "does not divide");
    expect_refused(&subject, "{tensor_parallel: 0}", "tensor_parallel");
    expect_refused(&subject, "{max_model_len: 40961}", "was trained for 40960");
    expect_refused(&subject, "{chunked_prefill: false}", "chunked_prefill");
    expect_refused(&subject, "{prompts_first: true}", "prompts are computed whole");
    expect_refused(&subject,
                   "{prompts_first: true, chunked_prefill: false, max_model_len: 2048, "
                   "enable_lora: true}",
                   "not modelled with enable_lora");
    expect_refused(&subject, "{gpu_memory_utilization: 1.1}", "outside");
    expect_refused(&subject, "{compat: v1}", "compat");
    expect_refused(&subject, "{max_num_seq: 4}", "max_num_seqs");
    expect_refused(&subject, "{scheduling_policy: lifo}",
                   "no order lifo; there are fcfs, priority, shortest_prefill_first, "
                   "earliest_deadline");
    expect_refused(&subject, "{scheduling_params: {target_s: 1}}",
                   "fcfs has no parameter target_s");
    expect_refused(&subject,
                   "{scheduling_policy: edf, scheduling_params: {target_s: -1}}",
                   "target_s");
    expect_refused(&subject, "{cpu_step: 2h}", "cpu_step: at most");
    expect_refused(&subject, "{cpu_sequence: 1s}", "cpu_sequence: at most");
    expect_refused(&subject, "{num_gpu_blocks_override: 1}", "num_gpu_blocks");
    expect_refused(&subject, "{num_gpu_blocks_override: 100}", "max_model_len");
}

static void waiting_order_has_its_parameters(void)
{
    struct subject subject;
    if (!facts_load(&subject, "h100_sxm", "qwen3_8b")) {
        return;
    }
    REQUIRE_OK(engine_make(&subject, "{max_num_seqs: 8}"), &subject.err);
    EXPECT_STR(subject.engine.order->name, "fcfs");
    REQUIRE_OK(engine_make(&subject, "{scheduling_policy: edf, scheduling_params: "
                                     "{relaxed_s: 30, prompt_token_us: 2}}"),
               &subject.err);
    EXPECT_STR(subject.engine.order->name, "earliest_deadline");
    EXPECT_NEAR(subject.engine.order_values[0], 1, 0);
    EXPECT_NEAR(subject.engine.order_values[1], 5, 0);
    EXPECT_NEAR(subject.engine.order_values[2], 30, 0);
    EXPECT_NEAR(subject.engine.order_values[3], 2, 0);
}

static void kv_heads_may_be_copied_evenly_only(void)
{
    struct subject subject;
    if (!facts_load(&subject, "h100_sxm", "llama_3_1_70b")) {
        return;
    }
    /* 64 query and 8 KV heads. */
    EXPECT_OK(engine_make(&subject, "{tensor_parallel: 16}"), &subject.err);
    expect_refused(&subject, "{tensor_parallel: 12}", "does not divide");
    /* 40 query and 10 KV heads: 4 would split KV heads unevenly. */
    if (!facts_load(&subject, "h100_sxm", "phi_4")) {
        return;
    }
    expect_refused(&subject, "{tensor_parallel: 4}", "does not divide");
    EXPECT_OK(engine_make(&subject, "{tensor_parallel: 5}"), &subject.err);
}

HARNESS_MAIN("engine_config", TEST(defaults_follow_release_and_gpu),
             TEST(default_batch_is_clamped_and_a_given_one_is_not),
             TEST(kv_blocks_match_measured_engines), TEST(kv_blocks_by_hand),
             TEST(model_too_big_is_told_with_the_arithmetic),
             TEST(longest_request_that_fits_is_named),
             TEST(what_an_engine_cannot_do_is_refused),
             TEST(waiting_order_has_its_parameters),
             TEST(kv_heads_may_be_copied_evenly_only))
