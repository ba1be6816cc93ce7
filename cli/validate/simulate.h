/* SPDX-License-Identifier: Apache-2.0
 *
 * simulate.h: the case once through the ordinary simulator: one engine, one pool.
 */
#ifndef STACKSIM_CLI_VALIDATE_SIMULATE_H
#define STACKSIM_CLI_VALIDATE_SIMULATE_H

#include "cli/validate/case.h"
#include "sim/sim.h"

/* Factors on the time of decode-only steps and of steps with prefill. */
struct validate_scales {
    double decode;
    double mixed;
};

struct simulate_options {
    struct validate_scales scales;
    bool step_by_step;
};

struct simulated {
    struct request_outcome *outcomes; /* by request, as case->measured */
    size_t count;
    struct engine_sample *samples; /* every SIMULATED_SAMPLE_NS from 0 on */
    size_t sample_count;
    size_t sample_capacity;
    size_t engines; /* samples of one moment; data-parallel ranks */
    struct sim_summary summary;
    struct text cost; /* what the times rest on */
};

#define SIMULATED_SAMPLE_NS INT64_C(100000000)

NODISCARD bool simulate_case(struct simulated *out, const struct validate_case *run,
                             const struct simulate_options *options, struct err *err);
void simulated_fini(struct simulated *simulated);

#endif
