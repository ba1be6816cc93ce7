/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate.h: from measured kernel times to the coefficients of cost model `affine`
 * (docs/calibration.md). All least squares; nothing is chosen by looking at a run.
 */
#ifndef STACKSIM_SIM_CALIBRATE_CALIBRATE_H
#define STACKSIM_SIM_CALIBRATE_CALIBRATE_H

#include "base/text.h"
#include "sim/facts.h"
#include "sim/times/profile.h"

/* What the fit must know of the GPU beyond the times; of one GPU of the group. */
struct calibrate_gpu {
    char name[FACT_NAME_BYTES];
    uint32_t sm_count;             /* streaming multiprocessors */
    double memory_bytes_per_s;     /* peak; 0 = unknown: no semi-physical form */
    uint64_t l2_bytes;             /* 0 = unknown: no cliff rule */
    uint32_t tensor_parallel;      /* that the profile was taken at; 1 = single GPU */
    uint32_t experts;              /* of the model, for moe.csv; 0 = dense */
    uint32_t experts_per_token;    /* of them, for one token */
    struct fact_curve allreduce_s; /* measured at that degree; no points = no table */
};

/* The default domain: decode contexts that are fitted, in tokens. Outside, the fit
 * extrapolates. */
enum { CALIBRATE_CONTEXT_MIN = 128, CALIBRATE_CONTEXT_MAX = 4096 };

/* Of a run's facts.json: gpu.name, gpu.sm_count, gpu.peak_mem_bw_GBps, gpu.l2_MiB,
 * engine.tensor_parallel, model, model_shape with its experts. Other keys are ignored.
 */
NODISCARD bool calibrate_facts_load(const char *path, struct model_spec *model,
                                    struct calibrate_gpu *gpu, struct err *err);

/* Writes the fit as YAML, ready for `cost: {model: affine, fit: FILE}` or, parsed, for
 * cost_setup.fit. The same input gives the same bytes. */
NODISCARD bool calibrate_profile(struct text *yaml,
                                 const struct kernel_profile *profile,
                                 const struct model_spec *model,
                                 const struct calibrate_gpu *gpu, struct err *err);

/* For people: coefficients with their intervals, residuals, and what the data do not
 * determine; from a fit file's text. */
NODISCARD bool calibrate_report(struct text *out, const char *name, const char *yaml,
                                size_t byte_count, struct err *err);

#endif
