/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity_bound.h: how few engines could do, by arithmetic alone (capacity.h).
 */
#ifndef STACKSIM_CLI_CAPACITY_BOUND_H
#define STACKSIM_CLI_CAPACITY_BOUND_H

#include "cli/runner.h"
#include "sim/scenario.h"

/* Lengths and span of a workload, read once. */
struct load_facts {
    uint32_t *prompt_tokens;
    uint32_t *output_tokens;
    size_t count;
    size_t capacity;
    double span_s; /* first to last arrival */
};

NODISCARD bool load_facts_read(struct load_facts *facts,
                               const struct scenario *scenario, const char *trace_path,
                               struct err *err);
void load_facts_fini(struct load_facts *facts);

/* Engines that the load needs at least, as parts of engines. */
struct engines_bound {
    double decode; /* for tokens after the first */
    double prompt; /* 0 with prefix caching, which may spare all of it */
};

/* With the first pool's engines. False, with the reason, when no number of them holds
 * the SLO. */
NODISCARD bool engines_bound(struct engines_bound *bound,
                             const struct scenario *scenario,
                             const struct load_facts *facts, double attain,
                             struct err *why);

#endif
