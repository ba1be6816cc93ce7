/* SPDX-License-Identifier: Apache-2.0
 *
 * model.h: what a cost model is. One file sim/cost/<name>.c and one line in
 * registry.def make one (STYLE 7.2). cost.c hosts it: it adds the host's work and keeps
 * the state.
 *
 * All lengths are GPU time in fixed point (2^-16 ns); fx.h is the one way to get there
 * from doubles. Both functions must agree on decode-only batches, and decode must obey
 * the law of cost.h.
 */
#ifndef STACKSIM_SIM_COST_MODEL_H
#define STACKSIM_SIM_COST_MODEL_H

#include "sim/cost.h"

/* What it makes of steps that verify drafts: it cannot tell; it takes a request with
 * drafts for a chunk; or it reads batch_shape.drafts. */
enum cost_drafts { DRAFTS_UNKNOWN, DRAFTS_AS_CHUNKS, DRAFTS_KNOWN };

/* Engines with `quantization` or `kv_cache_dtype`: its times are of what was measured,
 * and nothing else; it has figures of 8-bit floats; or it works them out. */
enum cost_formats { FORMATS_MEASURED, FORMATS_FP8, FORMATS_ALL };

struct cost_model {
    const char *name;
    const char *help;
    size_t state_bytes;
    bool needs_context_max;
    enum cost_drafts drafts;
    enum cost_formats formats;
    bool reads_fit; /* `fit: FILE`, which is found before the model is asked */
    bool by_stage; /* init heeds setup->stage and group: made once per stage. Else whole
                      steps are shared out by layers, and a group is on one node. */
    /* state arrives zeroed. map may be NULL. */
    bool (*init)(void *state, const struct cost_setup *setup, struct err *err);
    void (*fini)(void *state); /* NULL when there is nothing to give back */
    int64_t (*step_fx)(const void *state, const struct batch_shape *shape);
    struct decode_cost (*decode)(const void *state, uint32_t decodes, uint64_t context,
                                 uint32_t context_max);
    /* As cost_group_fx. NULL: the slowest rank by itself. */
    int64_t (*group_fx)(const void *state, const struct batch_shape *shapes,
                        uint32_t ranks);
    /* What the numbers rest on, appended to the host's own description. */
    void (*describe)(const void *state, struct text *out);
};

#define COST(name) extern const struct cost_model cost_model_##name;
#include "sim/cost/registry.def"
#undef COST

#endif
