/* SPDX-License-Identifier: Apache-2.0
 *
 * lora.h: how large a LoRA adapter is, and what an engine keeps ready for some
 * (spec/vllm-engine.md 3.1).
 */
#ifndef STACKSIM_SIM_LORA_H
#define STACKSIM_SIM_LORA_H

#include "base/conf.h"
#include "sim/facts.h"

/* vLLM's flags of one engine. */
struct lora_config {
    bool enabled;
    uint32_t max_loras;     /* distinct adapters in a step = slots on the GPU */
    uint32_t max_cpu_loras; /* adapters kept in host memory, >= max_loras */
    uint32_t max_rank;      /* that a slot has room for */
    bool fully_sharded;     /* both matrices over the group, else one of them */
};

/* Reads `enable_lora`, `max_loras`, `max_cpu_loras`, `max_lora_rank` and
 * `fully_sharded_loras` of an engine's map (may be NULL). */
NODISCARD bool lora_config_load(struct lora_config *lora, const struct conf_node *map,
                                const struct model_spec *model, struct err *err);

/* Values of an adapter per unit of rank: (in + out) of every linear module. */
double lora_values_per_rank(const struct model_spec *model);
/* An adapter as it lies on disk: 16 bits a value. */
double lora_bytes(const struct model_spec *model, uint32_t rank);
/* The part of it that one GPU of a group holds. */
double lora_gpu_share(const struct lora_config *lora, uint32_t tensor_parallel);
/* What all slots take on one GPU; 0 when LoRA is off. */
double lora_slots_bytes(const struct lora_config *lora, const struct model_spec *model,
                        uint32_t tensor_parallel);

#endif
