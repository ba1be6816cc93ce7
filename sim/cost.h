/* SPDX-License-Identifier: Apache-2.0
 *
 * cost.h: how long one engine step takes.
 *
 * A cost model sees a batch_shape and answers in fixed point, 2^-16 ns, so that sums
 * are exact. For decode-only batches it also says how the time grows from step to step
 * while the batch stays the same; the engine then skips ahead in closed form
 * (ARCHITECTURE 5).
 *
 * The law both must keep: for 0 <= i < valid_steps,
 *     first_fx + i * grow_fx == cost_decode(n, K + i * n, kmax + i).first_fx
 * exactly. It follows when every regime is an integer affine function of K and kmax
 * with coefficients that depend on n alone, and valid_steps ends at the regime's edge.
 */
#ifndef STACKSIM_SIM_COST_H
#define STACKSIM_SIM_COST_H

#include "base/conf.h"
#include "sim/engine_config.h"
#include "sim/topology.h"

#include <stdint.h>

#define COST_FX_PER_NS 65536 /* 2^16 */

/* All that a cost model sees of one step. A decode has exactly one token to compute. */
struct batch_shape {
    uint32_t decodes;
    uint32_t chunks;             /* requests with more than one token, or a first one */
    uint64_t decode_context;     /* K: tokens already computed, summed over decodes */
    uint32_t decode_context_max; /* kmax: the longest of them */
    uint32_t chunk_tokens_max;   /* qmax */
    uint64_t chunk_tokens;       /* Q = sum q: new tokens of chunks */
    uint64_t chunk_context;      /* sum k: tokens computed before, over chunks */
    uint64_t chunk_pairs_twice;  /* sum q (2 k + q): twice the causal token pairs */
    uint64_t chunk_squares;      /* sum q^2 */
    uint32_t drafts; /* to be verified by decodes, one token each beside their own; only
                        for models that know them (cost_knows_drafts) */
    int64_t extra_fx; /* of the GPU, beside what the model knows: adapters' kernels */
};

struct decode_cost {
    int64_t first_fx;     /* this step, 2^-16 ns, > 0 */
    int64_t grow_fx;      /* each next step takes this much more, >= 0 */
    uint32_t valid_steps; /* >= 1 */
};

struct cost; /* one model for one engine; immutable, shared between replicas */

struct cost_setup {
    const struct gpu_spec *gpu;
    const struct model_spec *model;
    const struct engine_config *engine;
    const struct conf_node *map; /* `cost:` of the scenario, or NULL: roofline */
    const struct conf_node *fit; /* root of a fit file, for `affine`; NULL: by path */
    const char *fit_path;        /* where map's `fit` was found; NULL: as written */
    const struct gpu_placement *placement; /* NULL: all GPUs on one node */
    /* Of the call by cost.c to a model, whose `model` has this stage's layers alone. */
    struct stage stage;
    struct rank_group group; /* its tensor-parallel ranks */
};

/* map: `model: roofline|affine|table|linear` and the model's own keys
 * (docs/cost-models.md). Host work is included: added to the GPU's time, or its maximum
 * with it under async scheduling. With pipeline stages a step is their sum and what
 * takes its activations from one to the next: how long one batch takes alone. */
NODISCARD bool cost_new(struct cost **out, const struct cost_setup *setup,
                        struct err *err);
void cost_delete(struct cost *cost);

/* One step of any shape (decode-only shapes agree with cost_decode). Never 0. */
int64_t cost_step_fx(const struct cost *cost, const struct batch_shape *shape);

/* n = decodes >= 1, context = K, context_max = kmax. */
struct decode_cost cost_decode(const struct cost *cost, uint32_t decodes,
                               uint64_t context, uint32_t context_max);

/* The same with so much more to do on the GPU in each step. */
struct decode_cost cost_decode_beside(const struct cost *cost, int64_t extra_fx,
                                      uint32_t decodes, uint64_t context,
                                      uint32_t context_max);

/* The same step stage by stage: how long each of them works on it, and how long its
 * activations then take to the next one (the last one's is 0). Arrays of cost_stages.
 * The host's work is the first stage's. */
uint32_t cost_stages(const struct cost *cost);
void cost_stage_times(const struct cost *cost, const struct batch_shape *shape,
                      int64_t *work_fx, int64_t *send_fx);

/* One step of data-parallel ranks that share every step boundary: as long as that of
 * the slowest. A rank without work has a shape of zeros; not all have. The model may
 * let ranks depend on one another, as experts spread over them do. */
int64_t cost_group_fx(const struct cost *cost, const struct batch_shape *shapes,
                      uint32_t ranks);

/* Otherwise the engine shows the model a request with drafts as a chunk. */
bool cost_knows_drafts(const struct cost *cost);
/* True when cost_decode reads context_max; otherwise the engine passes 0. */
bool cost_needs_context_max(const struct cost *cost);

/* "roofline, H100-SXM x Llama-3.1-8B, TP 1, uncalibrated (data sheet ...)" */
const char *cost_description(const struct cost *cost);

#endif
