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

/* Engines of this pool that the load needs at least, >= 1; 0 when no number holds the
 * SLO, then `why` (at least 200 bytes) says why. */
uint32_t engines_bound(const struct scenario *scenario, const struct load_facts *facts,
                       double attain, char *why, size_t why_bytes);

#endif
