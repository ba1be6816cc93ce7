/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.c: flags in force. vLLM's own defaults are left to the scenario's `compat`;
 * what is written here is what the deployment says otherwise.
 */
#include "cli/helm/flags.h"

#include "cli/helm/pools.h"

#include <inttypes.h>
#include <string.h>

enum { VLLM_0_9 = 9000, VLLM_0_13 = 13000, VLLM_1 = 20000, V0_SEQUENCES = 256 };
enum { V0_BUDGET_TOKENS = 2048, V0_CHUNKS_FROM_TOKENS = 32768 };

/* Whose behaviour: by the image, else by the release of the stack. */
static const char *compat_of(const struct stack *stack,
                             const struct stack_engine *engine)
{
    if (engine->vllm == 0) {
        return stack->release == STACK_TAG ? "v085" : "v019";
    }
    if (engine->lmcache.pd && engine->vllm < VLLM_0_9) {
        return "v010"; /* the simulator's v085 cannot fetch KV */
    }
    return engine->vllm < VLLM_0_9    ? "v085"
           : engine->vllm < VLLM_0_13 ? "v010"
           : engine->vllm < VLLM_1    ? "v019"
                                      : "head";
}

static void omit(struct stack *stack, const struct stack_engine *engine,
                 const char *what)
{
    findings_add(&stack->findings, FINDING_WARNING, "not_simulated", engine->where,
                 "%s: a simulation leaves out: %s", engine->name, what);
}

uint32_t helm_stages(const struct stack_engine *engine)
{
    return engine->flags.pipeline_parallel > 1 ? engine->flags.pipeline_parallel : 1;
}

static void put_u32(struct text *out, const char *key, uint32_t value)
{
    if (value > 0) {
        text_printf(out, ", %s: %" PRIu32, key, value);
    }
}

static void put_switch(struct text *out, const char *key, enum switch_state state)
{
    if (state != SWITCH_UNSET) {
        text_printf(out, ", %s: %s", key, state == SWITCH_ON ? "true" : "false");
    }
}

/* ---- V0 ----------------------------------------------------------------------------
 */

/* The simulator knows V1. V0 of 0.8.5 is taken for a V1 with V0's defaults: no chunked
 * prefill below 32k of context, 256 sequences, and more memory beside weights and KV.
 */
static void v0_put(struct stack *stack, struct helm_engine *engine, struct text *out)
{
    const struct engine_flags *flags = &engine->from->flags;
    const uint32_t length =
        flags->max_model_len > 0 ? flags->max_model_len : engine->model.max_position;
    const bool chunked =
        flags->chunked_prefill == SWITCH_ON ||
        (flags->chunked_prefill == SWITCH_UNSET && length > V0_CHUNKS_FROM_TOKENS);
    uint32_t budget = flags->max_num_batched_tokens;
    if (budget == 0) {
        budget = chunked || length < V0_BUDGET_TOKENS ? V0_BUDGET_TOKENS : length;
    }
    text_printf(out, ", chunked_prefill: %s", chunked ? "true" : "false");
    put_u32(out, "max_num_batched_tokens", budget);
    put_u32(out, "max_num_seqs",
            flags->max_num_seqs > 0 ? flags->max_num_seqs : V0_SEQUENCES);
    text_printf(out, ", prefix_caching: %s",
                flags->prefix_caching == SWITCH_ON ? "true" : "false");
    text_add(out, ", memory_reserve: 2.4GiB");
    findings_add(
        &stack->findings, FINDING_NOTE, "v0_approximated", engine->from->where,
        "%s: the simulator knows the engine V1 only; V0 is taken for a V1 with "
        "V0's defaults",
        engine->from->name);
}

/* ---- V1 ----------------------------------------------------------------------------
 */

/* Without chunked prefill the budget reaches the context's length. */
static void chunked_put(struct stack *stack, struct helm_engine *engine,
                        struct text *out)
{
    const struct engine_flags *flags = &engine->from->flags;
    const uint32_t length =
        flags->max_model_len > 0 ? flags->max_model_len : engine->model.max_position;
    uint32_t budget = flags->max_num_batched_tokens;
    if (flags->chunked_prefill == SWITCH_OFF && engine->from->vllm != 0 &&
        engine->from->vllm < VLLM_0_9) {
        findings_add(&stack->findings, FINDING_WARNING, "chunked_prefill_stays",
                     engine->from->where,
                     "%s: V1 of vLLM 0.8 always prefills in chunks, whatever "
                     "--no-enable-chunked-prefill says; drop it",
                     engine->from->name);
    } else if (flags->chunked_prefill == SWITCH_OFF) {
        text_add(out, ", chunked_prefill: false");
        budget = budget == 0 && length > 8192 ? length : budget;
    }
    put_u32(out, "max_num_batched_tokens", budget);
    put_u32(out, "max_num_seqs", flags->max_num_seqs);
    put_switch(out, "prefix_caching", flags->prefix_caching);
    put_switch(out, "async_scheduling", flags->async_scheduling);
}

/* ---- adapters and drafts -----------------------------------------------------------
 */

static void lora_put(struct stack *stack, struct helm_engine *engine, struct text *out)
{
    const struct engine_flags *flags = &engine->from->flags;
    if (flags->lora != SWITCH_ON) {
        return;
    }
    if (helm_stages(engine->from) > 1) {
        omit(stack, engine->from, "LoRA over pipeline stages");
        return;
    }
    if (engine->model.experts > 0 || engine->model.kv_lora_rank > 0) {
        omit(stack, engine->from, "LoRA of a model with experts or latent attention");
        return;
    }
    text_add(out, ", enable_lora: true");
    put_u32(out, "max_loras", flags->max_loras);
    put_u32(out, "max_lora_rank", flags->max_lora_rank);
    put_u32(out, "max_cpu_loras", flags->max_cpu_loras);
}

/* Methods of vLLM that the simulator has under the same name. How many drafts are right
 * stands in no flag. */
static void speculative_put(struct stack *stack, struct helm_engine *engine,
                            struct text *out)
{
    static const char *const known[] = {"ngram",  "eagle",  "eagle3", "mtp",
                                        "medusa", "suffix", NULL};
    const struct engine_flags *flags = &engine->from->flags;
    const char *method = flags->draft_method;
    size_t at = 0;
    while (method != NULL && known[at] != NULL && strcmp(known[at], method) != 0) {
        at++;
    }
    if (flags->speculative == NULL) {
        return;
    }
    if (method == NULL || known[at] == NULL || flags->draft_tokens == 0 ||
        helm_stages(engine->from) > 1) {
        omit(stack, engine->from,
             "speculative decoding with a draft model, over pipeline stages, or of a "
             "method or number of tokens that is not told");
        return;
    }
    text_printf(out, ", speculative: {method: %s, tokens: %" PRIu32 ", rate: 0.7}",
                method, flags->draft_tokens);
    findings_add(&stack->findings, FINDING_NOTE, "acceptance_assumed",
                 engine->from->where,
                 "%s: 70 %% of drafts are taken for right; measure yours and set "
                 "engine.speculative.rate",
                 engine->from->name);
}

/* ---- formats -----------------------------------------------------------------------
 */

static void weights_put(struct stack *stack, struct helm_engine *engine,
                        struct text *out)
{
    const struct stack_engine *from = engine->from;
    const char *format = helm_format_find(from->flags.quantization, from->model_url);
    const bool whole = engine->known && engine->model.weight_bits == 16 &&
                       (engine->model.experts == 0 || engine->model.expert_bits == 16);
    if (format == NULL) {
        omit(stack, from,
             "--quantization of this method (weights are as the model file "
             "has them)");
    } else if (format[0] != '\0' && whole) {
        text_printf(out, ", quantization: %s", format);
    }
    if (from->flags.dtype != NULL && strstr(from->flags.dtype, "float32") != NULL) {
        omit(stack, from, "--dtype float32 (weights are as the model file has them)");
    }
}

/* vLLM 0.8 had 8-bit caches on Hopper alone, and fell back to V0 elsewhere. */
static void kv_dtype_put(struct stack *stack, struct helm_engine *engine,
                         const char *compat, struct text *out)
{
    static const char *const known[] = {"fp8",      "fp8_e4m3", "fp8_e5m2",
                                        "bfloat16", "float16",  NULL};
    const char *dtype = engine->from->flags.kv_cache_dtype;
    size_t at = 0;
    if (dtype == NULL || strcmp(dtype, "auto") == 0) {
        return;
    }
    while (known[at] != NULL && strcmp(known[at], dtype) != 0) {
        at++;
    }
    const bool hopper = strstr(engine->gpu_name, "h100") != NULL ||
                        strstr(engine->gpu_name, "h200") != NULL;
    if (known[at] == NULL || (strcmp(compat, "v085") == 0 && !hopper &&
                              dtype[0] == 'f' && dtype[1] == 'p')) {
        omit(
            stack, engine->from,
            "--kv-cache-dtype of this kind or GPU (KV is counted as the model file has "
            "it)");
        return;
    }
    text_printf(out, ", kv_cache_dtype: %s", dtype);
}

/* ---- what has no key ---------------------------------------------------------------
 */

static void left_out(struct stack *stack, const struct stack_engine *engine)
{
    const struct engine_flags *flags = &engine->flags;
    const struct {
        bool given;
        const char *what;
    } missing[] = {
        {engine->gpus == 0, "that its pods have no GPU (they are taken to have those "
                            "that the flags need)"},
        {flags->data_parallel > 1, "--data-parallel-size"},
        {flags->enforce_eager == SWITCH_ON, "--enforce-eager"},
        {flags->kv_offloading_gib > 0 && !helm_offloads(engine),
         "--kv-offloading-size"},
    };
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (missing[i].given) {
            omit(stack, engine, missing[i].what);
        }
    }
}

void helm_flags(struct stack *stack, struct helm_engine *engine)
{
    const struct engine_flags *flags = &engine->from->flags;
    const char *compat = compat_of(stack, engine->from);
    struct text *out = &engine->flags;
    text_printf(out, "{compat: %s", compat);
    put_u32(out, "tensor_parallel", flags->tensor_parallel);
    put_u32(out, "max_model_len", flags->max_model_len);
    if (engine->from->uses_v0) {
        v0_put(stack, engine, out);
    } else {
        chunked_put(stack, engine, out);
    }
    weights_put(stack, engine, out);
    kv_dtype_put(stack, engine, compat, out);
    lora_put(stack, engine, out);
    speculative_put(stack, engine, out);
    put_u32(out, "block_tokens", flags->block_size);
    put_u32(out, "long_prefill_token_threshold", flags->long_prefill_token_threshold);
    put_u32(out, "num_gpu_blocks_override", flags->num_gpu_blocks_override);
    if (flags->gpu_memory_utilization > 0) {
        text_printf(out, ", gpu_memory_utilization: %.6g",
                    flags->gpu_memory_utilization);
    }
    if (flags->scheduling_policy != NULL) {
        text_printf(out, ", scheduling_policy: %s",
                    strcmp(flags->scheduling_policy, "priority") == 0 ? "priority"
                                                                      : "fcfs");
    }
    text_add(out, "}");
    left_out(stack, engine->from);
}
