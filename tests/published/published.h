/* SPDX-License-Identifier: Apache-2.0
 *
 * published.h: one scenario under several policies, and what each request saw.
 *
 * For tests that hold the simulator against comparisons that others have published, and
 * against orderings of policies that must come out whatever the calibration.
 */
#ifndef STACKSIM_TESTS_PUBLISHED_PUBLISHED_H
#define STACKSIM_TESTS_PUBLISHED_PUBLISHED_H

#include "base/mem.h"
#include "sim/sim.h"
#include "stats/quantile.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PUBLISHED_SETS_MAX = 12 };

/* A policy, and what of the scenario is changed for it: "routing.params.d=3". */
struct published_arm {
    const char *label;
    const char *policy;
    const char *sets[PUBLISHED_SETS_MAX];
};

struct published_row {
    int64_t arrival_ns;
    int64_t first_token_ns;
    int64_t end_ns;
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    bool completed;
};

struct published_run {
    struct published_row *rows; /* in order of their end */
    size_t count;
    size_t capacity;
    struct sim_summary summary;
};

static inline void published_keep(void *context, const struct request_outcome *outcome)
{
    struct published_run *run = context;
    if (run->count == run->capacity) {
        run->capacity = run->capacity > 0 ? 2 * run->capacity : 4096;
        run->rows = mem_resize(run->rows, run->capacity, sizeof *run->rows);
    }
    run->rows[run->count++] = (struct published_row){
        .arrival_ns = outcome->arrival_ns,
        .first_token_ns = outcome->first_token_ns,
        .end_ns = outcome->end_ns,
        .prompt_tokens = outcome->prompt_tokens,
        .output_tokens = outcome->output_tokens,
        .completed = outcome->status == OUTCOME_COMPLETED,
    };
}

/* file: below configs/scenarios. The caller releases with published_fini. */
static inline void published_simulate(struct published_run *run, const char *file,
                                      const struct published_arm *arm)
{
    char path[256];
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    size_t sets = 0;
    while (sets < PUBLISHED_SETS_MAX && arm->sets[sets] != NULL) {
        sets++;
    }
    snprintf(path, sizeof path, "%s/%s", harness_source("configs/scenarios"), file);
    const struct scenario_options options = {
        .config_dir = harness_source("configs"),
        .overrides = arm->sets,
        .override_count = sets,
        .policy = arm->policy,
    };
    const struct sim_options how = {0};
    const struct observer observer = {.context = run, .on_outcome = published_keep};
    *run = (struct published_run){0};
    harness_note("%s, %s", file, arm->label);
    REQUIRE_OK(scenario_load(&scenario, path, &options, &err), &err);
    REQUIRE_OK(workload_open_conf(&workload, scenario->workload, scenario->seed,
                                  scenario->base_dir, &err),
               &err);
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    enum sim_state state = SIM_RUNNING;
    while (state == SIM_RUNNING) {
        state = sim_run(sim, UINT64_MAX, &err);
    }
    REQUIRE_OK(state == SIM_DONE, &err);
    sim_summarise(sim, &run->summary);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
}

static inline void published_fini(struct published_run *run)
{
    mem_free(run->rows);
    *run = (struct published_run){0};
}

/* ---- figures ----------------------------------------------------------------------
 */

static inline bool published_counts(const struct published_row *row, int64_t from_ns)
{
    return row->completed && row->arrival_ns >= from_ns;
}

/* Of completed requests that arrived at `from_ns` or later; TTFT in seconds. */
static inline double published_ttft_mean_s(const struct published_run *run,
                                           int64_t from_ns)
{
    double sum_s = 0;
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct published_row *row = &run->rows[i];
        if (published_counts(row, from_ns)) {
            sum_s += (double)(row->first_token_ns - row->arrival_ns) / 1e9;
            count++;
        }
    }
    return count > 0 ? sum_s / (double)count : (double)NAN;
}

static inline double published_ttft_part_s(const struct published_run *run, double part,
                                           int64_t from_ns)
{
    int64_t *values = mem_alloc(run->count + 1, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct published_row *row = &run->rows[i];
        if (published_counts(row, from_ns)) {
            values[count++] = row->first_token_ns - row->arrival_ns;
        }
    }
    quantile_sort(values, count);
    const double value_s = quantile_of_sorted(values, count, part) / 1e9;
    mem_free(values);
    return value_s;
}

static inline double published_tpot_mean_ms(const struct published_run *run)
{
    double sum_ms = 0;
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct published_row *row = &run->rows[i];
        if (row->completed && row->output_tokens > 1) {
            sum_ms += (double)(row->end_ns - row->first_token_ns) / 1e6 /
                      (row->output_tokens - 1);
            count++;
        }
    }
    return count > 0 ? sum_ms / (double)count : (double)NAN;
}

static inline double published_hit_ratio(const struct published_run *run)
{
    return (double)run->summary.prefix_hit_tokens /
           (double)run->summary.prefix_query_tokens;
}

/* a / b lies within a factor of `factor` of the published ratio. */
static inline bool published_near(double ratio, double published, double factor)
{
    return ratio >= published / factor && ratio <= published * factor;
}

#endif
