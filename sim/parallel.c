/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.c: layers over stages, as vllm/distributed/utils.py get_pp_indices has it.
 */
#include "sim/parallel.h"

#include "base/check.h"

#include <math.h>

void plan_split(struct parallel_plan *plan, uint32_t stages, uint32_t layers)
{
    CHECK(stages >= 1 && stages <= PARALLEL_STAGES_MAX && stages <= layers,
          "%u stages of %u layers", stages, layers);
    plan->stages = stages;
    for (uint32_t i = 0; i < stages; i++) {
        plan->stage_layers[i] = layers / stages;
    }
    for (uint32_t i = 0; i < layers % stages; i++) {
        plan->stage_layers[stages - 2 - i]++; /* only where stages >= 2 */
    }
}

struct stage plan_stage(const struct parallel_plan *plan,
                        const struct model_spec *model, uint32_t index)
{
    const uint32_t stages = plan_stages(plan);
    CHECK(index < stages, "stage %u of %u", index, stages);
    struct stage stage = {
        .index = index,
        .layers = stages > 1 ? plan->stage_layers[index] : model->layers,
        .embeds = index == 0,
        .samples = index + 1 == stages,
    };
    for (uint32_t i = 0; i < index; i++) {
        stage.first_layer += plan->stage_layers[i];
    }
    return stage;
}

struct model_spec stage_model(const struct stage *stage, const struct model_spec *model)
{
    struct model_spec part = *model;
    const uint32_t dense = model->dense_layers > stage->first_layer
                               ? model->dense_layers - stage->first_layer
                               : 0;
    part.layers = stage->layers;
    part.dense_layers = dense < stage->layers ? dense : stage->layers;
    return part;
}

struct model_spec plan_largest_part(const struct parallel_plan *plan,
                                    const struct model_spec *model)
{
    struct stage largest = plan_stage(plan, model, 0);
    for (uint32_t i = 1; i < plan_stages(plan); i++) {
        const struct stage stage = plan_stage(plan, model, i);
        largest = stage.layers > largest.layers ? stage : largest;
    }
    return stage_model(&largest, model);
}

uint64_t stage_weight_bytes(const struct stage *stage, const struct model_spec *model,
                            uint32_t tensor_parallel)
{
    if (stage->embeds && stage->samples) {
        return model_weight_bytes(model, tensor_parallel);
    }
    /* Embeddings are kept in 16 bits, whatever the layers are. */
    struct model_spec part = stage_model(stage, model);
    const double matrix = 2.0 * (double)model->vocabulary * model->hidden;
    const double positions = 2.0 * (double)model->position_rows * model->hidden;
    part.tied_embeddings = true;
    part.position_rows = 0;
    double bytes = (double)model_weight_bytes(&part, 1) - matrix;
    bytes += stage->embeds ? matrix + positions : 0.0;
    bytes += stage->samples ? matrix : 0.0;
    return (uint64_t)llround(bytes / tensor_parallel);
}
