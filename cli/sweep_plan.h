/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep_plan.h: SWEEP.yaml as a list of runs (docs/sweep.md).
 *
 * The order of runs is that of the file: the first axis of the grid changes slowest,
 * the entries of `list` fastest. The same file gives the same list everywhere, which is
 * what lets shards on different machines share the work without talking.
 */
#ifndef STACKSIM_CLI_SWEEP_PLAN_H
#define STACKSIM_CLI_SWEEP_PLAN_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct policy_set;
struct stored_sweep;
struct sweep_plan;

enum { SWEEP_RUNS_MAX = 100000 };

/* One run: what of the scenario it changes. Name and keys are in sweep_plan_stored. */
struct sweep_job {
    const char *policy; /* NULL = as the scenario says */
    const char *const *overrides;
    size_t override_count;
    /* Differs from the first run in one place at most: a plan is checked by its
     * probes, whose number is the sum of the axes and not their product. */
    bool is_probe;
};

/* What the command line adds; borrowed for the call. Assignments are applied after the
 * file's own `set` and before the keys of the grid. */
struct sweep_given {
    const struct policy_set *policies; /* NULL = the registry */
    const char *const *overrides;
    size_t override_count;
};

NODISCARD bool sweep_plan_load(struct sweep_plan **out, const char *path,
                               const struct sweep_given *given, struct err *err);
/* name stands for the file, whose folder is "."; for tests. */
NODISCARD bool sweep_plan_parse(struct sweep_plan **out, const char *name,
                                const char *yaml, const struct sweep_given *given,
                                struct err *err);
void sweep_plan_delete(struct sweep_plan *plan); /* NULL is legal */

/* A file, or the name of a scenario. */
const char *sweep_plan_scenario(const struct sweep_plan *plan);
size_t sweep_plan_count(const struct sweep_plan *plan);
const struct sweep_job *sweep_plan_job(const struct sweep_plan *plan, size_t index);
/* As the store keeps it. Its digest covers names, overrides and `scenario_yaml`, the
 * first run's scenario as it would run. */
const struct stored_sweep *sweep_plan_stored(struct sweep_plan *plan,
                                             const char *scenario_yaml);

#endif
