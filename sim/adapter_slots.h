/* SPDX-License-Identifier: Apache-2.0
 *
 * adapter_slots.h: which LoRA adapters one engine has on its GPU and in host memory,
 * and which are in the step that is being formed (spec/vllm-engine.md 3.2, 3.3).
 *
 * Both levels are LRU over activations: the adapters of a step are all used, then those
 * that are missing are loaded, in order of their numbers, each in the place of the one
 * that was used longest ago (ties: the smallest number). Nobody of the step is put out:
 * vLLM's scheduler keeps the set within the slots.
 */
#ifndef STACKSIM_SIM_ADAPTER_SLOTS_H
#define STACKSIM_SIM_ADAPTER_SLOTS_H

#include "sim/adapters.h"

struct adapter_slots;

struct adapter_stats {
    uint64_t loads;      /* into a slot of the GPU */
    uint64_t cold_loads; /* of them from disk or from afar */
    int64_t stall_ns;    /* that the engine stood still for them */
    uint64_t asides;     /* requests that had to wait for a slot */
    int64_t aside_ns;    /* and how long, summed */
};

/* To sum over engines. */
static inline void adapter_stats_add(struct adapter_stats *sum,
                                     const struct adapter_stats *stats)
{
    sum->loads += stats->loads;
    sum->cold_loads += stats->cold_loads;
    sum->stall_ns += stats->stall_ns;
    sum->asides += stats->asides;
    sum->aside_ns += stats->aside_ns;
}

/* costs: borrowed. */
struct adapter_slots *adapter_slots_new(const struct lora_config *lora,
                                        const struct adapter_costs *costs);
void adapter_slots_delete(struct adapter_slots *slots); /* NULL is legal */

/* Registered before the run: loaded at once, as the API does, but in nobody's time. */
void adapter_slots_preload(struct adapter_slots *slots, uint32_t adapter);

/* A request with this adapter joins those that decode, or leaves them. */
void adapter_slots_join(struct adapter_slots *slots, uint32_t adapter);
void adapter_slots_leave(struct adapter_slots *slots, uint32_t adapter);

/* ---- the step that is being formed ---- */

void adapter_step_begin(struct adapter_slots *slots);
/* So many tokens of a request with this adapter are in it. */
void adapter_step_add(struct adapter_slots *slots, uint32_t adapter, uint32_t tokens);
/* One token of everybody who decodes. */
void adapter_step_add_decodes(struct adapter_slots *slots);
/* Whether one more request with this adapter may come in. */
bool adapter_step_admits(const struct adapter_slots *slots, uint32_t adapter);
/* Activates all of them; what the engine waits before its forward pass. */
int64_t adapter_step_load_ns(struct adapter_slots *slots, struct adapter_stats *stats);
/* Their kernels on the GPU, 2^-16 ns; 0 without adapters. */
int64_t adapter_step_extra_fx(const struct adapter_slots *slots);

/* Places of the GPU, for tests: whether the adapter has one. */
bool adapter_slots_on_gpu(const struct adapter_slots *slots, uint32_t adapter);

#endif
