/* SPDX-License-Identifier: Apache-2.0
 *
 * saturate.h: the highest rate at which a fleet holds its SLO.
 *
 * A rate is held when at least `attain` of all requests that ended met every target.
 * Arrivals are stretched in time (workload.rate_factor), so that all rates meet the
 * very same requests. The factor is doubled or halved until it brackets the limit, then
 * bisected. What is held at a rate is taken to be held below it.
 */
#ifndef STACKSIM_CLI_SATURATE_H
#define STACKSIM_CLI_SATURATE_H

#include "cli/probe.h"
#include "reports/run.h"

struct saturate_setup {
    const struct runner_setup *base; /* scenario, policy, seed */
    double attain;                   /* (0, 1] */
    double tolerance;                /* of the rate, > 0: 0.02 ends within 2 % */
};

/* FOUND: both sides were seen. FREE: even 2^19 times the rate is held. NEVER: not even
 * at 2^-19 of the rate. */
enum saturate_verdict { SATURATE_FOUND, SATURATE_FREE, SATURATE_NEVER };

struct saturate_result {
    enum saturate_verdict verdict;
    uint32_t probes;
    double factor;        /* the highest that held; 0 for NEVER */
    double rate_per_s;    /* of arrivals, at that factor */
    char warmup[128];     /* what was left out of its metrics, in words */
    struct metrics held;  /* at that factor; NaN for NEVER */
    struct metrics broke; /* at the lowest factor that did not hold; NaN for FREE */
};

/* stop as in probe_run. */
enum probe_end saturate(struct saturate_result *result,
                        const struct saturate_setup *setup, const atomic_bool *stop,
                        struct err *err);

#endif
