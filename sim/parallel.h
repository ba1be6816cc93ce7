/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.h: how one engine is dealt out over GPUs: which layers each pipeline stage
 * holds. The tensor-parallel size is the engine's own (sim/engine_config.h).
 */
#ifndef STACKSIM_SIM_PARALLEL_H
#define STACKSIM_SIM_PARALLEL_H

#include "sim/facts.h"

enum { PARALLEL_STAGES_MAX = 16 };

/* All zeros is one stage: nothing is parallel. */
struct parallel_plan {
    uint32_t stages; /* of the pipeline; 0 as 1 */
    /* Sum: the model's; read if stages > 1. */
    uint32_t stage_layers[PARALLEL_STAGES_MAX];
};

/* What one stage holds. */
struct stage {
    uint32_t index;
    uint32_t first_layer;
    uint32_t layers;
    bool embeds;  /* the first one */
    bool samples; /* the last one: LM head and sampler */
};

static inline uint32_t plan_stages(const struct parallel_plan *plan)
{
    return plan->stages > 1 ? plan->stages : 1;
}

/* vLLM's split (spec/vllm-engine.md 2.7): what does not divide goes to the stages
 * before the last one, from there to the front. 1 <= stages <= layers. */
void plan_split(struct parallel_plan *plan, uint32_t stages, uint32_t layers);

/* index < plan_stages(plan). */
struct stage plan_stage(const struct parallel_plan *plan,
                        const struct model_spec *model, uint32_t index);

/* The model as if the stage's layers were all it had; embeddings are told by `stage`.
 */
struct model_spec stage_model(const struct stage *stage,
                              const struct model_spec *model);

/* The model as the stage with the most layers has it: the one that others wait for when
 * each of them moves its part of something. */
struct model_spec plan_largest_part(const struct parallel_plan *plan,
                                    const struct model_spec *model);

/* Weights on one GPU of the stage's tensor-parallel group. Tied embeddings are on the
 * first stage and again on the last one. */
uint64_t stage_weight_bytes(const struct stage *stage, const struct model_spec *model,
                            uint32_t tensor_parallel);

#endif
