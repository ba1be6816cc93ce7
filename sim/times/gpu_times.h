/* SPDX-License-Identifier: Apache-2.0
 *
 * gpu_times.h: what cost models take from a GPU's file where nothing better is known:
 * small kernels, collectives, and which batches run as a captured CUDA graph.
 */
#ifndef STACKSIM_SIM_TIMES_GPU_TIMES_H
#define STACKSIM_SIM_TIMES_GPU_TIMES_H

#include "sim/engine_config.h"
#include "sim/times/layer_shape.h"

/* Of a product's inputs and outputs and of collectives, per element. */
enum { GPU_ACTIVATION_BYTES = 2 };

/* A kernel that only moves so many bytes. */
double gpu_small_s(const struct gpu_spec *gpu, double bytes);
/* All of them in one layer for so many tokens, but those between experts: two norms,
 * rope, KV write, activation. */
double gpu_layer_small_s(const struct gpu_spec *gpu, const struct layer_shape *shape,
                         double hidden, double tokens);

/* Between two measured messages a straight line in bytes; beyond the last one the
 * link's bandwidth decides. */
double gpu_message_s(const struct fact_curve *curve, double bytes);
/* Of one message, after the measured table of the group's size, else a ring. */
double gpu_allreduce_s(const struct gpu_spec *gpu, uint32_t ranks, double bytes);
/* The logits of so many rows, which a tensor-parallel group gathers. */
double gpu_logits_bytes(const struct model_spec *model, double rows);

/* Sizes of captured CUDA graphs: 1, 2, 4, then every 8 (v019 and head: every 16 beyond
 * 256) up to a limit. */
struct graph_sizes {
    uint32_t tokens_max; /* largest captured graph */
    uint32_t wide_from;  /* sizes from here on are 16 apart, not 8 */
};
struct graph_sizes graph_sizes_of(const struct engine_config *engine);
/* Tokens are padded to the next captured size; beyond the last one there is no graph
 * and no padding. */
uint32_t graph_sizes_pad(const struct graph_sizes *sizes, uint32_t tokens);
/* The host's launches set the pace of a layer without a graph: 12 kernels of 4.5 us
 * (vllm-engine.md 10.3, a guess by its own words). */
double graph_sizes_layer_s(const struct graph_sizes *sizes, uint32_t tokens);

#endif
