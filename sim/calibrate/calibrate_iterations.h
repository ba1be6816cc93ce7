/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate_iterations.h: from whole iterations (sim/times/iterations.h) to a fit file
 * for cost model `affine` (docs/calibration.md).
 *
 *     later iterations    L (a0 + a1 n + a2 K) + D(n)
 *     first iteration     L (m0 + m4 W) + D(Q),   D(T) = s max(0, T - T0)
 *
 * for n requests with K tokens of context, Q prompt tokens, W = sum q^2 / 2, L layers.
 * Everything that an iteration contains is in there: host, collectives, sampler.
 */
#ifndef STACKSIM_SIM_CALIBRATE_CALIBRATE_ITERATIONS_H
#define STACKSIM_SIM_CALIBRATE_CALIBRATE_ITERATIONS_H

#include "base/text.h"
#include "sim/calibrate/calibrate.h"
#include "sim/times/iterations.h"

struct iteration_subject {
    const struct model_spec *model;
    const struct calibrate_gpu *gpu; /* name and degree; SMs may be unknown */
    const char *origin;              /* the table's name for people */
};

/* The table is condensed, and loses the configurations that were left out; what was and
 * why is added to notes, a line each. Fails when the rows are too few. */
NODISCARD bool calibrate_iterations(struct text *yaml, struct text *notes,
                                    struct iteration_table *table,
                                    const struct iteration_subject *subject,
                                    struct err *err);

#endif
