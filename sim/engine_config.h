/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_config.h: the flags of one vLLM engine, and what follows from them.
 */
#ifndef STACKSIM_SIM_ENGINE_CONFIG_H
#define STACKSIM_SIM_ENGINE_CONFIG_H

#include "base/conf.h"
#include "policies/order.h"
#include "sim/facts.h"
#include "sim/lora.h"
#include "sim/parallel.h"
#include "sim/speculation_config.h"

/* Whose behaviour (spec/vllm-engine.md, conventions). */
enum engine_compat { ENGINE_V085, ENGINE_V010, ENGINE_V019, ENGINE_HEAD };

struct engine_config {
    enum engine_compat compat;
    uint32_t tensor_parallel;
    struct parallel_plan parallel;         /* pipeline stages, data-parallel ranks */
    uint32_t max_num_seqs;                 /* requests in one step */
    uint32_t max_num_batched_tokens;       /* token budget of one step */
    uint32_t max_model_len;                /* tokens, prompt + output */
    uint32_t block_tokens;                 /* tokens per KV block */
    uint32_t long_prefill_token_threshold; /* 0 = off */
    bool prefix_caching;
    bool chunked_prefill;
    bool prompts_first;               /* in steps of their own, before decodes */
    bool reserve_full_isl;            /* the whole prompt must fit before admission */
    bool async_scheduling;            /* host work overlaps the GPU */
    const struct order_policy *order; /* of the waiting queue; NULL = fcfs */
    double order_values[ORDER_PARAMS_MAX];
    double gpu_memory_utilization; /* 0..1 */
    uint64_t memory_reserve_bytes; /* activations, graphs, non-torch; 0 = by budget */
    uint32_t kv_blocks_override;   /* num_gpu_blocks_override; 0 = compute */
    struct lora_config lora;
    struct speculation_config speculation;
    int64_t cpu_step_ns;     /* host work per step */
    int64_t cpu_sequence_ns; /* and per sequence in it */
};

/* Defaults of the compat level for this GPU and model (spec/vllm-engine.md 1.5), then
 * the keys of `map` (may be NULL), then checks of ranges and of what excludes what. */
NODISCARD bool engine_config_load(struct engine_config *engine,
                                  const struct conf_node *map,
                                  const struct gpu_spec *gpu,
                                  const struct model_spec *model, struct err *err);

/* GPUs of one engine: its pipeline stages' groups together. */
static inline uint32_t engine_gpus(const struct engine_config *engine)
{
    return engine->tensor_parallel * plan_stages(&engine->parallel);
}

/* Whether tensor_parallel deals both kinds of heads out evenly; `where` (may be NULL)
 * is the node to blame. */
NODISCARD bool engine_heads_check(const struct engine_config *engine,
                                  const struct model_spec *model,
                                  const struct conf_node *where, struct err *err);

/* KV blocks of the pool, the null block included (spec/vllm-engine.md 2.7): what the
 * pipeline stage with the least room holds. Fails with
 * the arithmetic spelt out when weights or one full-length request do not fit. `where`
 * (may be NULL) is the node to blame. */
NODISCARD bool engine_kv_blocks(const struct engine_config *engine,
                                const struct gpu_spec *gpu,
                                const struct model_spec *model,
                                const struct conf_node *where, uint32_t *blocks,
                                struct err *err);

#endif
