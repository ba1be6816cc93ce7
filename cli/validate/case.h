/* SPDX-License-Identifier: Apache-2.0
 *
 * case.h: the folder of a measured run, read and checked as a whole before any work.
 *
 *     workload.jsonl        what the engine was asked to do
 *     vllm_requests.jsonl   what it measured, same order
 *     facts.json            which engine it was
 *     profile/              kernel times, for the models that need them
 *     vllm_timeseries.csv   optional: running and waiting requests over time
 */
#ifndef STACKSIM_CLI_VALIDATE_CASE_H
#define STACKSIM_CLI_VALIDATE_CASE_H

#include "cli/validate/run_facts.h"
#include "traces/measured_run.h"
#include "traces/workload.h"

struct validate_case {
    char *dir;
    struct run_facts facts;
    struct measured_run measured;
    int64_t *arrival_ns;           /* of the workload, by request */
    struct measured_series series; /* count 0: none */
    const char *model;             /* cost model, of sim/cost/registry.def; borrowed */
    bool ring;           /* collectives by formula, though a measured table is known */
    struct conf *fit;    /* affine: made from profile/; ops: shipped; else NULL */
    char *op_system;     /* ops: of the tables in ops/; NULL: the fit */
    struct gpu_spec gpu; /* the name; with roofline and ops everything */
};

struct validate_case_setup {
    const char *dir;
    const char *model;
    const char *config_dir; /* where gpus/ lies; NULL = by the usual rules */
    const char *fit_path;   /* affine: this fit instead of profile/; NULL: profile/ */
    bool ring;              /* affine: collectives by the ring formula */
    bool as_llmservingsim;  /* the engine loop as that simulator has it */
};

NODISCARD bool validate_case_load(struct validate_case **out,
                                  const struct validate_case_setup *setup,
                                  struct err *err);
void validate_case_delete(struct validate_case *run); /* NULL is legal */

/* A fresh reader of workload.jsonl. */
NODISCARD bool validate_case_workload(const struct validate_case *run,
                                      struct workload **out, struct err *err);

#endif
