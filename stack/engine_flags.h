/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_flags.h: the command line of `vllm serve`, as far as it decides how an engine
 * behaves and how much it holds.
 *
 * As vLLM's own parser: "_" is as good as "-" in a name, "--name value" and
 * "--name=value", the last one wins. Flags that change nothing here are known and
 * passed over; others get a warning with the nearest known name.
 */
#ifndef STACKSIM_STACK_ENGINE_FLAGS_H
#define STACKSIM_STACK_ENGINE_FLAGS_H

#include "stack/args.h"
#include "stack/findings.h"

enum switch_state { SWITCH_UNSET, SWITCH_OFF, SWITCH_ON };

/* Numbers: 0 = not given. Texts: NULL = not given; borrowed from the arguments. */
struct engine_flags {
    const char *model;
    const char *served_name; /* the first of --served-model-name */
    const char *dtype;
    const char *quantization;
    const char *kv_cache_dtype;
    const char *download_dir;
    const char *executor; /* --distributed-executor-backend */
    const char *scheduling_policy;
    const char *kv_transfer;  /* JSON */
    const char *kv_connector; /* of it */
    const char *kv_role;      /* of it */
    const char *speculative;  /* JSON, or the draft model's name */
    const char *draft_method; /* of it: "ngram"; NULL = not told */
    uint32_t draft_tokens;    /* of it; 0 = not told */
    uint32_t tensor_parallel;
    uint32_t pipeline_parallel;
    uint32_t data_parallel;
    uint32_t max_model_len;
    uint32_t max_num_seqs;
    uint32_t max_num_batched_tokens;
    uint32_t block_size;
    uint32_t num_gpu_blocks_override;
    uint32_t long_prefill_token_threshold;
    uint32_t max_loras;
    uint32_t max_lora_rank;
    uint32_t max_cpu_loras;
    double gpu_memory_utilization; /* 0 = not given */
    double kv_offloading_gib;      /* 0 = not given */
    enum switch_state prefix_caching;
    enum switch_state chunked_prefill;
    enum switch_state async_scheduling;
    enum switch_state lora;
    enum switch_state enforce_eager;
    enum switch_state sleep_mode;
    enum switch_state expert_parallel;
    uint32_t port; /* 0 = not given */
};

/* args: the words after "vllm serve MODEL" or after the module's name. Fails on a value
 * that vLLM would refuse, with its line. */
NODISCARD bool engine_flags_read(struct engine_flags *flags, const struct args *args,
                                 struct arena *arena, struct findings *findings,
                                 struct err *err);

#endif
