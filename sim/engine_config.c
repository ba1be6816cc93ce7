/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_config.c: vLLM's defaults by release and GPU, and how many KV blocks fit.
 */
#include "sim/engine_config.h"

#include "base/text.h"
#include "sim/policy_params.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TENSOR_PARALLEL_MAX = 64, BLOCKS_MAX = 2000000000 };
static const double gib = 1024.0 * 1024.0 * 1024.0;

/* spec/vllm-engine.md 2.7: what the engine needs beside weights and KV was measured at
 * these two token budgets; between them a line. */
enum { SMALL_BUDGET_TOKENS = 2048, BIG_BUDGET_TOKENS = 8192 };
static const double reserve_small_gib = 1.2;
static const double reserve_big_gib = 5.6;

/* Host work lasts at most this long: a bound against overflow, not a belief. */
static const int64_t cpu_step_ns_max = INT64_C(60000000000);
static const int64_t cpu_sequence_ns_max = INT64_C(10000000);

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
    /* The A100 counts as small since #17885 (v0.9), which goes by its name, too. */
    const bool demoted =
        engine->compat != ENGINE_V085 && strstr(gpu->name, "A100") != NULL;
    const bool big = memory_gib >= 70.0 && !demoted;
    engine->tensor_parallel = 1;
    engine->max_num_seqs = big ? 1024 : 256;
    engine->max_num_batched_tokens = big ? 8192 : 2048;
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
    return conf_u32(map, "tensor_parallel", &engine->tensor_parallel, 1,
                    TENSOR_PARALLEL_MAX, err) &&
           conf_u32(map, "max_num_seqs", &engine->max_num_seqs, 1, 65536, err) &&
           conf_u32(map, "max_num_batched_tokens", &engine->max_num_batched_tokens, 1,
                    1 << 20, err) &&
           conf_u32(map, "max_model_len", &engine->max_model_len, 2, most, err) &&
           conf_u32(map, "block_tokens", &engine->block_tokens, 1, 1024, err) &&
           conf_u32(map, "long_prefill_token_threshold",
                    &engine->long_prefill_token_threshold, 0, most, err) &&
           conf_bool(map, "prefix_caching", &engine->prefix_caching, err) &&
           conf_bool(map, "chunked_prefill", &engine->chunked_prefill, err) &&
           conf_bool(map, "prompts_first", &engine->prompts_first, err) &&
           conf_bool(map, "reserve_full_isl", &engine->reserve_full_isl, err) &&
           conf_bool(map, "async_scheduling", &engine->async_scheduling, err) &&
           conf_f64(map, "gpu_memory_utilization", &engine->gpu_memory_utilization,
                    0.05, 1.0, err) &&
           conf_bytes(map, "memory_reserve", &engine->memory_reserve_bytes, err) &&
           conf_u32(map, "num_gpu_blocks_override", &engine->kv_blocks_override, 2,
                    BLOCKS_MAX, err) &&
           conf_duration_ns(map, "cpu_step", &engine->cpu_step_ns, err) &&
           conf_duration_ns(map, "cpu_sequence", &engine->cpu_sequence_ns, err);
}

/* Where it cannot overlap with host work, asynchronous scheduling is off, as vLLM turns
 * it off. */
static bool speculation_read(struct engine_config *engine, const struct conf_node *map,
                             const struct gpu_spec *gpu, const struct model_spec *model,
                             struct err *err)
{
    const struct speculation_place place = {gpu, model, engine->tensor_parallel,
                                            (uint32_t)engine->compat};
    struct speculation_config *config = &engine->speculation;
    if (!speculation_config_load(config, map, &place, err)) {
        return false;
    }
    if (config->tokens == 0 || config->overlaps || !engine->async_scheduling) {
        return true;
    }
    if (conf_get(map, "async_scheduling") != NULL) {
        return conf_fail(conf_get(map, "async_scheduling"), err,
                         "async_scheduling: vLLM cannot combine it with %s drafts; "
                         "leave it out",
                         speculation_method_name(config->method));
    }
    engine->async_scheduling = false;
    return true;
}

static bool order_read(struct engine_config *engine, const struct conf_node *map,
                       struct err *err)
{
    const char *name = "fcfs";
    const struct conf_node *params = NULL;
    if (!conf_str(map, "scheduling_policy", &name, err) ||
        !conf_map(map, "scheduling_params", &params, err)) {
        return false;
    }
    engine->order = order_policy_find(name);
    if (engine->order == NULL) {
        struct text known = {0};
        for (size_t i = 0; order_policy_at(i) != NULL; i++) {
            text_printf(&known, "%s%s", i == 0 ? "" : ", ", order_policy_at(i)->name);
        }
        conf_fail(conf_get(map, "scheduling_policy"), err,
                  "scheduling_policy: no order %s; there are %s", name,
                  text_str(&known));
        text_fini(&known);
        return false;
    }
    const char *names[POLICY_PARAMS_MAX];
    double given[POLICY_PARAMS_MAX];
    double values[POLICY_PARAMS_MAX] = {0};
    uint32_t count = 0;
    const struct policy_params_target target = {
        .table = {engine->order->name, engine->order->params},
        .compat = COMPAT_HEAD,
        .names = names,
        .values = given,
        .count = &count,
    };
    if (!policy_params_read(&target, params, err)) {
        return false;
    }
    const struct policy_given all = {names, given, count};
    if (!policy_params_resolve(&target.table, COMPAT_HEAD, &all, values, err)) {
        return false;
    }
    memcpy(engine->order_values, values, sizeof engine->order_values);
    return true;
}

/* The line of the key where it is written, else of the engine's map. */
static const struct conf_node *blame(const struct conf_node *map, const char *key)
{
    const struct conf_node *node = conf_get(map, key);
    return node != NULL ? node : map;
}

/* Both kinds of heads can be dealt out evenly, or KV heads are copied evenly, as the
 * latent of MLA always is. */
static bool heads_split(const struct model_spec *model, uint32_t tp)
{
    if (model->kv_lora_rank > 0) {
        return model->query_heads % tp == 0;
    }
    return model->query_heads % tp == 0 &&
           (model->kv_heads % tp == 0 || tp % model->kv_heads == 0);
}

static bool host_check(const struct engine_config *engine, const struct conf_node *map,
                       struct err *err)
{
    if (engine->cpu_step_ns > cpu_step_ns_max) {
        return conf_fail(blame(map, "cpu_step"), err, "cpu_step: at most %" PRId64 " s",
                         cpu_step_ns_max / 1000000000);
    }
    if (engine->cpu_sequence_ns > cpu_sequence_ns_max) {
        return conf_fail(blame(map, "cpu_sequence"), err,
                         "cpu_sequence: at most %" PRId64 " ms",
                         cpu_sequence_ns_max / 1000000);
    }
    return true;
}

/* What it excludes did not exist together with it, or is not modelled so. */
static bool prompts_first_check(const struct engine_config *engine,
                                const struct conf_node *map, struct err *err)
{
    const struct conf_node *where = conf_get(map, "prompts_first");
    if (!engine->prompts_first) {
        return true;
    }
    if (engine->chunked_prefill || engine->long_prefill_token_threshold > 0) {
        return conf_fail(where, err,
                         "prompts_first: prompts are computed whole; say "
                         "chunked_prefill: false and no long_prefill_token_threshold");
    }
    if (engine->lora.enabled || engine->speculation.tokens > 0) {
        return conf_fail(where, err,
                         "prompts_first: not modelled with %s; leave one of them out",
                         engine->lora.enabled ? "enable_lora" : "speculative");
    }
    return true;
}

bool engine_heads_check(const struct engine_config *engine,
                        const struct model_spec *model, const struct conf_node *where,
                        struct err *err)
{
    const uint32_t tp = engine->tensor_parallel;
    return heads_split(model, tp) ||
           conf_fail(where, err,
                     "tensor_parallel: %u does not divide the %u query and %u KV heads "
                     "of %s; use a divisor of both",
                     tp, model->query_heads, model->kv_heads, model->name);
}

static bool ranges_check(const struct engine_config *engine,
                         const struct conf_node *map, const struct model_spec *model,
                         struct err *err)
{
    if (!engine_heads_check(engine, model, blame(map, "tensor_parallel"), err)) {
        return false;
    }
    if (engine->max_model_len > model->max_position) {
        return conf_fail(blame(map, "max_model_len"), err,
                         "max_model_len: %u tokens, but %s was trained for %u",
                         engine->max_model_len, model->name, model->max_position);
    }
    if (engine->max_num_seqs > engine->max_num_batched_tokens) {
        return conf_fail(blame(map, "max_num_seqs"), err,
                         "max_num_seqs: %u is above max_num_batched_tokens, %u, which "
                         "vLLM refuses; lower it or raise the other",
                         engine->max_num_seqs, engine->max_num_batched_tokens);
    }
    if (!engine->chunked_prefill &&
        engine->max_num_batched_tokens < engine->max_model_len) {
        return conf_fail(blame(map, "chunked_prefill"), err,
                         "chunked_prefill: without it max_num_batched_tokens (%u) must "
                         "reach max_model_len (%u); raise one or lower the other",
                         engine->max_num_batched_tokens, engine->max_model_len);
    }
    return host_check(engine, map, err);
}

/* vLLM clamps its own defaults, and takes a given value at its word. */
static void defaults_clamp(struct engine_config *engine, const struct conf_node *map)
{
    if (conf_get(map, "max_num_seqs") == NULL &&
        engine->max_num_seqs > engine->max_num_batched_tokens) {
        engine->max_num_seqs = engine->max_num_batched_tokens;
    }
    const uint64_t most = (uint64_t)engine->max_num_seqs * engine->max_model_len;
    if (conf_get(map, "max_num_batched_tokens") == NULL &&
        engine->max_num_batched_tokens > most) {
        engine->max_num_batched_tokens = (uint32_t)most;
    }
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
    if (!keys_read(engine, map, err) || !order_read(engine, map, err) ||
        !lora_config_load(&engine->lora, map, model, err) ||
        !speculation_read(engine, map, gpu, model, err)) {
        return false;
    }
    defaults_clamp(engine, map);
    return ranges_check(engine, map, model, err) &&
           prompts_first_check(engine, map, err);
}

static double reserve_bytes(const struct engine_config *engine)
{
    if (engine->memory_reserve_bytes > 0) {
        return (double)engine->memory_reserve_bytes;
    }
    const uint32_t tokens = engine->max_num_batched_tokens;
    if (tokens <= SMALL_BUDGET_TOKENS) {
        return reserve_small_gib * gib;
    }
    if (tokens >= BIG_BUDGET_TOKENS) {
        return reserve_big_gib * gib;
    }
    const double part = (double)(tokens - SMALL_BUDGET_TOKENS) /
                        (BIG_BUDGET_TOKENS - SMALL_BUDGET_TOKENS);
    return (reserve_small_gib + part * (reserve_big_gib - reserve_small_gib)) * gib;
}

/* What one GPU of a group has, must hold, and keeps for KV. */
struct memory {
    double usable;
    double weights;
    double reserve;
    double adapters; /* slots for LoRA; drafter: its weights */
    double drafter;
    double page; /* one KV block */
    double left; /* < 0: not even the weights fit */
    struct stage stage;
};

static struct memory memory_of_stage(const struct engine_config *engine,
                                     const struct gpu_spec *gpu,
                                     const struct model_spec *model, uint32_t tp,
                                     uint32_t index)
{
    const struct stage stage = plan_stage(&engine->parallel, model, index);
    const struct model_spec part = stage_model(&stage, model);
    struct memory memory = {
        .usable = (double)gpu->memory_bytes * engine->gpu_memory_utilization,
        .weights = (double)stage_weight_bytes(&stage, model, tp),
        .reserve = reserve_bytes(engine),
        .adapters = lora_slots_bytes(&engine->lora, &part, tp),
        .drafter = (double)engine->speculation.draft_bytes,
        .page = (double)model_kv_bytes_per_token(&part, tp) * engine->block_tokens,
        .stage = stage,
    };
    if (engine->speculation.drops_block) {
        memory.page += memory.page / part.layers; /* EAGLE and MTP have a layer, too */
    }
    memory.left = memory.usable - memory.weights - memory.reserve - memory.adapters -
                  memory.drafter;
    return memory;
}

/* Of the stage that holds the fewest blocks; block ids are common to all. */
static struct memory memory_split(const struct engine_config *engine,
                                  const struct gpu_spec *gpu,
                                  const struct model_spec *model, uint32_t tp)
{
    struct memory least = memory_of_stage(engine, gpu, model, tp, 0);
    for (uint32_t i = 1; i < plan_stages(&engine->parallel); i++) {
        const struct memory memory = memory_of_stage(engine, gpu, model, tp, i);
        if (memory.left / memory.page < least.left / least.page) {
            least = memory;
        }
    }
    return least;
}

/* Blocks for one request of full length beside the null block; its last token has no KV
 * (spec/vllm-engine.md 2.7), but a place where drafts may follow it. */
static uint64_t blocks_needed(const struct engine_config *engine)
{
    const uint64_t tokens = engine->speculation.lookahead > 0
                                ? engine->max_model_len
                                : engine->max_model_len - 1;
    return (tokens + engine->block_tokens - 1) / engine->block_tokens + 1;
}

/* The smallest larger group that would do, or 0. */
static uint32_t group_that_fits(const struct engine_config *engine,
                                const struct gpu_spec *gpu,
                                const struct model_spec *model)
{
    for (uint32_t tp = engine->tensor_parallel + 1; tp <= TENSOR_PARALLEL_MAX; tp++) {
        if (!heads_split(model, tp)) {
            continue;
        }
        const struct memory memory = memory_split(engine, gpu, model, tp);
        if (memory.left >= (double)blocks_needed(engine) * memory.page) {
            return tp;
        }
    }
    return 0;
}

/* "use tensor_parallel: 2, or a bigger GPU" */
static const char *advice(char *out, size_t out_bytes, uint32_t group)
{
    if (group > 0) {
        (void)snprintf(out, out_bytes, "use tensor_parallel: %u or a bigger GPU",
                       group);
    } else {
        (void)snprintf(out, out_bytes, "use a bigger GPU");
    }
    return out;
}

/* Three facts, a place to blame and two results. */
/* NOLINTNEXTLINE(readability-function-size) */
bool engine_kv_blocks(const struct engine_config *engine, const struct gpu_spec *gpu,
                      const struct model_spec *model, const struct conf_node *where,
                      uint32_t *blocks, struct err *err)
{
    const uint32_t tp = engine->tensor_parallel;
    const struct memory memory = memory_split(engine, gpu, model, tp);
    const double fit = memory.left / memory.page;
    const uint32_t stages = plan_stages(&engine->parallel);
    char what[96];
    char beside[96] = "";
    char who[96] = "";
    if (memory.adapters > 0 || memory.drafter > 0) {
        (void)snprintf(beside, sizeof beside,
                       " + %.1f GiB for LoRA slots and the drafter",
                       (memory.adapters + memory.drafter) / gib);
    }
    if (stages > 1) {
        (void)snprintf(who, sizeof who, ", stage %u of %u with %u layers",
                       memory.stage.index + 1, stages, memory.stage.layers);
    }
    if (engine->kv_blocks_override > 0) {
        *blocks = engine->kv_blocks_override;
    } else if (fit < 2.0) {
        (void)advice(what, sizeof what, group_that_fits(engine, gpu, model));
        return conf_fail(
            where, err,
            "%s does not fit %s at tensor_parallel %u%s: weights %.1f GiB + %.1f GiB "
            "for activations and the like%s do not fit %.1f GiB (%.1f GiB x %.2f "
            "gpu_memory_utilization); %s",
            model->name, gpu->name, tp, who, memory.weights / gib, memory.reserve / gib,
            beside, memory.usable / gib, (double)gpu->memory_bytes / gib,
            engine->gpu_memory_utilization, what);
    } else {
        *blocks = fit < BLOCKS_MAX ? (uint32_t)fit : BLOCKS_MAX;
    }
    if (*blocks < blocks_needed(engine)) {
        (void)advice(what, sizeof what, group_that_fits(engine, gpu, model));
        return conf_fail(where, err,
                         "max_model_len: one request of %u tokens needs %" PRIu64
                         " KV blocks of %u "
                         "tokens, but %s leaves %u for %s at tensor_parallel %u%s; set "
                         "max_model_len "
                         "to %" PRIu64 " or less, or %s",
                         engine->max_model_len, blocks_needed(engine),
                         engine->block_tokens, gpu->name, *blocks, model->name, tp, who,
                         (uint64_t)(*blocks - 1) * engine->block_tokens + 1, what);
    }
    return true;
}
