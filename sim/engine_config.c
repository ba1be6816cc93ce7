/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_config.c: vLLM's defaults by release and GPU, and how many KV blocks fit.
 */
#include "sim/engine_config.h"

#include "base/unit.h"

#include <inttypes.h>

static const double gib = 1024.0 * 1024.0 * 1024.0;

/* spec/vllm-engine.md 2.7: what a step of that many tokens needs beside weights and KV,
 * between the measured points. */
enum { BIG_BUDGET_TOKENS = 8192 };
static const double reserve_big_gib = 5.6;
static const double reserve_small_gib = 1.2;

static bool is_v1_async(enum engine_compat compat)
{
    return compat == ENGINE_V019 || compat == ENGINE_HEAD;
}

/* spec/vllm-engine.md 1.5, server context. */
static void defaults_set(struct engine_config *engine, const struct gpu_spec *gpu,
                         const struct model_spec *model)
{
    const bool late = is_v1_async(engine->compat);
    const double memory_gib = (double)gpu->memory_bytes / gib;
    const bool big = memory_gib >= 70.0;
    /* The A100 keeps the small budget since #17885. */
    const bool demoted = late && memory_gib < 160.0 && gpu->bf16_flops_per_s < 400e12;
    engine->tensor_parallel = 1;
    engine->max_num_seqs = big && !(late && demoted) ? 1024 : 256;
    engine->max_num_batched_tokens = big && !demoted ? 8192 : 2048;
    if (late && memory_gib >= 160.0) {
        engine->max_num_batched_tokens = 16384;
    }
    engine->max_model_len = model->max_position;
    engine->block_tokens = 16;
    engine->prefix_caching = true;
    engine->chunked_prefill = true;
    engine->reserve_full_isl = late;
    engine->async_scheduling = late;
    engine->gpu_memory_utilization = engine->compat == ENGINE_HEAD ? 0.92 : 0.9;
    engine->cpu_step_ns = 800000; /* vllm-engine.md 10.5, a guess by its own words */
    engine->cpu_sequence_ns = 8000;
}

static bool keys_read(struct engine_config *engine, const struct conf_node *map,
                      struct err *err)
{
    const uint32_t most = 1 << 24;
    return conf_u32(map, "tensor_parallel", &engine->tensor_parallel, 1, 64, err) &&
           conf_u32(map, "max_num_seqs", &engine->max_num_seqs, 1, 65536, err) &&
           conf_u32(map, "max_num_batched_tokens", &engine->max_num_batched_tokens, 1,
                    1 << 20, err) &&
           conf_u32(map, "max_model_len", &engine->max_model_len, 2, most, err) &&
           conf_u32(map, "block_tokens", &engine->block_tokens, 1, 1024, err) &&
           conf_u32(map, "long_prefill_token_threshold",
                    &engine->long_prefill_token_threshold, 0, most, err) &&
           conf_bool(map, "prefix_caching", &engine->prefix_caching, err) &&
           conf_bool(map, "chunked_prefill", &engine->chunked_prefill, err) &&
           conf_bool(map, "reserve_full_isl", &engine->reserve_full_isl, err) &&
           conf_bool(map, "async_scheduling", &engine->async_scheduling, err) &&
           conf_bool(map, "priority_scheduling", &engine->priority_scheduling, err) &&
           conf_f64(map, "gpu_memory_utilization", &engine->gpu_memory_utilization,
                    0.05, 1.0, err) &&
           conf_bytes(map, "memory_reserve", &engine->memory_reserve_bytes, err) &&
           conf_u32(map, "num_gpu_blocks_override", &engine->kv_blocks_override, 2,
                    UINT32_MAX / 2, err) &&
           conf_duration_ns(map, "cpu_step", &engine->cpu_step_ns, err) &&
           conf_duration_ns(map, "cpu_sequence", &engine->cpu_sequence_ns, err);
}

static bool ranges_check(const struct engine_config *engine,
                         const struct conf_node *map, const struct model_spec *model,
                         struct err *err)
{
    const uint32_t tp = engine->tensor_parallel;
    if (model->query_heads % tp != 0 ||
        (model->kv_heads % tp != 0 && tp % model->kv_heads != 0)) {
        return conf_fail(map, err,
                         "tensor_parallel: %u does not divide the %u query and %u KV "
                         "heads of %s; use a divisor of both",
                         tp, model->query_heads, model->kv_heads, model->name);
    }
    if (engine->max_model_len > model->max_position) {
        return conf_fail(map, err,
                         "max_model_len: %s was trained for %u tokens, not %u",
                         model->name, model->max_position, engine->max_model_len);
    }
    if (engine->max_num_seqs > engine->max_num_batched_tokens) {
        return conf_fail(
            map, err,
            "max_num_seqs: %u is above the token budget "
            "max_num_batched_tokens %u, as vLLM refuses it, too; lower one "
            "or raise the other",
            engine->max_num_seqs, engine->max_num_batched_tokens);
    }
    if (!engine->chunked_prefill &&
        engine->max_num_batched_tokens < engine->max_model_len) {
        return conf_fail(map, err,
                         "chunked_prefill: without it max_num_batched_tokens (%u) must "
                         "reach max_model_len (%u)",
                         engine->max_num_batched_tokens, engine->max_model_len);
    }
    return true;
}

bool engine_config_load(struct engine_config *engine, const struct conf_node *map,
                        const struct gpu_spec *gpu, const struct model_spec *model,
                        struct err *err)
{
    static const char *const compats[] = {"v085", "v010", "v019", "head", NULL};
    uint32_t compat = ENGINE_V019;
    if (!conf_enum(map, "compat", compats, &compat, err)) {
        return false;
    }
    *engine = (struct engine_config){.compat = (enum engine_compat)compat};
    defaults_set(engine, gpu, model);
    const uint32_t default_seqs = engine->max_num_seqs;
    if (!keys_read(engine, map, err)) {
        return false;
    }
    /* vLLM clamps a default, and refuses a given value. */
    if (engine->max_num_seqs == default_seqs &&
        engine->max_num_seqs > engine->max_num_batched_tokens &&
        conf_get(map, "max_num_seqs") == NULL) {
        engine->max_num_seqs = engine->max_num_batched_tokens;
    }
    return ranges_check(engine, map, model, err);
}

static double reserve_bytes(const struct engine_config *engine)
{
    if (engine->memory_reserve_bytes > 0) {
        return (double)engine->memory_reserve_bytes;
    }
    return (engine->max_num_batched_tokens >= BIG_BUDGET_TOKENS ? reserve_big_gib
                                                                : reserve_small_gib) *
           gib;
}

bool engine_kv_blocks(const struct engine_config *engine, const struct gpu_spec *gpu,
                      const struct model_spec *model, const struct conf_node *where,
                      uint32_t *blocks, struct err *err)
{
    if (engine->kv_blocks_override > 0) {
        *blocks = engine->kv_blocks_override;
    } else {
        const double usable =
            (double)gpu->memory_bytes * engine->gpu_memory_utilization;
        const double weights =
            (double)model_weight_bytes(model, engine->tensor_parallel);
        const double reserve = reserve_bytes(engine);
        const double page =
            (double)model_kv_bytes_per_token(model, engine->tensor_parallel) *
            engine->block_tokens;
        const double left = usable - weights - reserve;
        if (left < 2.0 * page) {
            return conf_fail(
                where, err,
                "%s does not fit %s: weights %.1f GiB + %.1f GiB for activations "
                "exceed %.1f GiB (%.1f GiB x %.2f); use tensor_parallel: %u or a "
                "bigger GPU",
                model->name, gpu->name, weights / gib, reserve / gib, usable / gib,
                (double)gpu->memory_bytes / gib, engine->gpu_memory_utilization,
                2 * engine->tensor_parallel);
        }
        const double count = left / page;
        *blocks = count < 2e9 ? (uint32_t)count : 2000000000U;
    }
    /* One request of full length must fit beside the null block; its last token has no
     * KV (spec/vllm-engine.md 2.7). */
    const uint64_t longest = (uint64_t)(*blocks - 1) * engine->block_tokens + 1;
    if (longest < engine->max_model_len) {
        return conf_fail(where, err,
                         "max_model_len: one request of %u tokens does not fit the %u "
                         "KV blocks of %u tokens that %s leaves for %s; lower "
                         "max_model_len to %" PRIu64 " or less",
                         engine->max_model_len, *blocks, engine->block_tokens,
                         gpu->name, model->name, longest);
    }
    return true;
}
