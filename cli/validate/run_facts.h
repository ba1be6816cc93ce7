/* SPDX-License-Identifier: Apache-2.0
 *
 * run_facts.h: facts.json of a measured run: which engine it was (docs/validation.md).
 *
 * Required: engine.max_num_seqs, engine.max_num_batched_tokens, engine.num_gpu_blocks
 * (or engine.num_gpu_blocks_assumed), and what sim/calibrate/calibrate.h reads of GPU
 * and model. Everything else has the default of vLLM 0.19; null is the same as absent.
 * Keys that nobody reads are fine: the file is not ours.
 */
#ifndef STACKSIM_CLI_VALIDATE_RUN_FACTS_H
#define STACKSIM_CLI_VALIDATE_RUN_FACTS_H

#include "sim/calibrate/calibrate.h"
#include "sim/engine_config.h"

struct run_facts {
    char name[FACT_NAME_BYTES];         /* `run`, else the model's name */
    char vllm_version[FACT_NAME_BYTES]; /* "" = not said */
    struct model_spec model;
    struct calibrate_gpu gpu;
    struct engine_config engine; /* no host work: the profile is all there is */
    uint32_t kv_blocks;          /* as vLLM reports it, the reserved one included */
    bool kv_blocks_assumed;      /* the run did not record it */
    uint32_t graph_tokens_max;   /* largest captured CUDA graph; 0 = eager */
    uint32_t data_parallel;
    uint32_t experts; /* 0 = dense */
    uint32_t experts_per_token;
};

/* Errors name file, line and key. */
NODISCARD bool run_facts_load(struct run_facts *facts, const char *path,
                              struct err *err);

#endif
