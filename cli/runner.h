/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.h: one run of one scenario with everything that belongs to it.
 *
 * Loads scenario and workload, runs the simulation in slices and records it. A runner
 * is one thread's property; two runners share nothing, so that arms of a comparison run
 * side by side and meet the very same workload (equal seed, equal streams).
 */
#ifndef STACKSIM_CLI_RUNNER_H
#define STACKSIM_CLI_RUNNER_H

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>

struct observer;
struct policy_set;
struct row_writer;
struct run_record;
struct runner;

/* A scenario that is no file (any more): what it was called, its text, and the folder
 * that its relative paths start at. */
struct runner_text {
    const char *name;
    const char *yaml;
    const char *folder;
};

struct runner_setup {
    const char *scenario_path;      /* or: */
    const struct runner_text *text; /* NULL = scenario_path */
    const char *config_dir;         /* NULL = by the rules of sim/scenario.h */
    const char *const *overrides;   /* "key.path=value" */
    size_t override_count;
    const char *policy;                /* NULL = as the scenario says */
    const struct policy_set *policies; /* NULL = the registry; outlives the runner */
    const char *trace_path; /* replaces the scenario's workload; NULL = as it says */
    const char *name;       /* of the run; NULL = the policy's */
    FILE *decisions;        /* decision log; NULL = none */
    bool decision_scores;   /* with the score of every candidate */
    const struct observer *observer; /* hears of the run; NULL = it is recorded */
    bool step_by_step;
    bool check_invariants;
    struct row_writer *rows; /* into a store, as they come; NULL = none */
    bool intervals;          /* of the metrics, by batches (reports/summary.h) */
};

struct scenario;
/* The scenario alone, as a run of this setup would have it; the caller deletes it. */
NODISCARD bool runner_scenario(struct scenario **out, const struct runner_setup *setup,
                               struct err *err);

/* Everything that can be wrong with the input is found here, before any work. */
NODISCARD bool runner_new(struct runner **out, const struct runner_setup *setup,
                          struct err *err);
void runner_delete(struct runner *runner); /* NULL is legal */

/* Some hundredths of a second of work; *done when nothing is left. */
NODISCARD bool runner_advance(struct runner *runner, bool *done, struct err *err);
/* Part done, in [0, 1]. */
double runner_part(const struct runner *runner);
/* "1,234 requests, 56.7 s simulated" */
void runner_describe(const struct runner *runner, struct text *out);

/* Totals, engines, metrics and provenance. Once, when done; of a recorded run. */
NODISCARD bool runner_finish(struct runner *runner, struct err *err);
/* The caller owns the record from now on. */
struct run_record *runner_take_record(struct runner *runner);

uint64_t runner_seed(const struct runner *runner);
/* Its rule; NULL = none. */
const char *runner_warmup(const struct runner *runner);
const char *runner_policy(const struct runner *runner); /* its name */
/* "demo"; borrowed. */
const char *runner_scenario_name(const struct runner *runner);
/* The effective scenario as YAML. */
void runner_print_config(const struct runner *runner, struct text *out);
/* What would run, in words (cli/describe.h). */
void runner_describe_scenario(const struct runner *runner, struct text *out);

#endif
