/* SPDX-License-Identifier: Apache-2.0
 *
 * study.c: pairs of runs as jobs; what they came to as contrasts.
 */
#include "cli/defects/study.h"

#include "base/check.h"
#include "base/mem.h"
#include "cli/interrupt.h"
#include "cli/jobs.h"
#include "cli/probe.h"
#include "cli/progress.h"
#include "reports/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_MAX = 8, OVERRIDES_MAX = 80, SEED_BYTES = 32, DETAIL_BYTES = 64 };
static const double clear_part = 0.01;

static const struct study_metric_info infos[] = {
#define X(id, name, heading, unit) {name, heading, unit},
    STUDY_METRICS(X)
#undef X
};

const struct study_metric_info *study_metric_info(enum study_metric metric)
{
    return &infos[metric];
}

/* One side of a pair under one seed. */
struct side_run {
    struct runner_setup setup;
    const char *overrides[OVERRIDES_MAX];
    char seed[SEED_BYTES];
    double values[STUDY_METRIC_COUNT];
    enum probe_end end;
    struct err err;
};

struct side {
    char *keys; /* the defect's assignments, cut at the blanks */
    const char *assignments[KEYS_MAX];
    size_t count;
};

struct study {
    const struct study_setup *setup;
    struct side *sides;    /* [defect * 2 + without] */
    struct side_run *runs; /* [(defect * 2 + without) * seeds + seed] */
    size_t run_count;
    atomic_bool stop;
    atomic_uint done;
    struct progress *progress;
};

/* ---- what a run came to ------------------------------------------------------------
 */

static double error_ratio(const struct run_totals *totals)
{
    static const enum request_status errors[] = {REQUEST_REFUSED, REQUEST_REJECTED,
                                                 REQUEST_SHED, REQUEST_TIMED_OUT,
                                                 REQUEST_FAILED};
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        count += totals->status_count[errors[i]];
    }
    return (double)count / (double)totals->requests;
}

static void read_values(const struct run_record *run, double *values)
{
    const double *metrics = run->metrics.value;
    const double good =
        metrics[METRIC_GOODPUT_PER_S] * metrics[METRIC_DURATION_S]; /* requests */
    values[STUDY_TTFT] = metrics[METRIC_TTFT_MS_P99];
    values[STUDY_GOODPUT] = metrics[METRIC_GOODPUT_PER_S];
    values[STUDY_ERRORS] = error_ratio(&run->totals);
    values[STUDY_GPU_HOURS] = metrics[METRIC_GPU_HOURS];
    values[STUDY_GPU_HOURS_GOOD] =
        good > 0 ? metrics[METRIC_GPU_HOURS] / good * 1000 : (double)NAN;
}

static struct study_figure figure_of(const double *with, const double *without,
                                     size_t seeds)
{
    return (struct study_figure){
        .with = estimate_mean(with, seeds, 0.95).mean,
        .without = estimate_mean(without, seeds, 0.95).mean,
        .cost = contrast_paired(without, with, seeds, 0.95),
    };
}

static void figures_fill(const struct study *study, size_t defect,
                         struct study_figure *figures)
{
    const size_t seeds = study->setup->seeds;
    const struct side_run *with = &study->runs[defect * 2 * seeds];
    const struct side_run *without = with + seeds;
    for (size_t metric = 0; metric < STUDY_METRIC_COUNT; metric++) {
        double on[STUDY_SEEDS_MAX];
        double off[STUDY_SEEDS_MAX];
        for (size_t seed = 0; seed < seeds; seed++) {
            on[seed] = with[seed].values[metric];
            off[seed] = without[seed].values[metric];
        }
        figures[metric] = figure_of(on, off, seeds);
    }
}

/* ---- running -----------------------------------------------------------------------
 */

static void work(void *context, size_t index)
{
    struct study *study = context;
    struct side_run *run = &study->runs[index];
    struct run_record *record = NULL;
    if (run->err.kind == ERR_NONE && !atomic_load(&study->stop)) {
        run->end = probe_run(&record, &run->setup, &study->stop, &run->err);
        if (run->end == PROBE_DONE) {
            read_values(record, run->values);
            run_record_delete(record);
        } else if (run->end == PROBE_FAILED) {
            atomic_store(&study->stop, true);
        }
    }
    atomic_fetch_add(&study->done, 1);
}

static void watch(void *context)
{
    struct study *study = context;
    if (interrupt_came()) {
        atomic_store(&study->stop, true);
    }
    const unsigned done = atomic_load(&study->done);
    char detail[DETAIL_BYTES];
    (void)snprintf(detail, sizeof detail, "%u of %zu runs done", done,
                   study->run_count);
    progress_show(study->progress, (double)done / (double)study->run_count, detail);
}

/* ---- setting up --------------------------------------------------------------------
 */

static void side_split(struct side *side, const char *keys)
{
    side->keys = mem_strdup(keys);
    char *rest = NULL;
    for (char *at = strtok_r(side->keys, " ", &rest); at != NULL;
         at = strtok_r(NULL, " ", &rest)) {
        CHECK(side->count < KEYS_MAX, "more than %d keys: %s", KEYS_MAX, keys);
        side->assignments[side->count++] = at;
    }
}

static void run_set_up(struct side_run *run, const struct study_setup *setup,
                       const struct defect *defect, const struct side *side)
{
    const struct runner_setup *base = setup->base;
    size_t count = 0;
    CHECK(base->override_count + side->count < OVERRIDES_MAX, "%zu overrides",
          base->override_count);
    for (size_t i = 0; i < base->override_count; i++) {
        run->overrides[count++] = base->overrides[i];
    }
    for (size_t i = 0; i < side->count; i++) {
        run->overrides[count++] = side->assignments[i];
    }
    run->setup = *base;
    run->setup.overrides = run->overrides;
    run->setup.override_count = count;
    run->setup.name = defect->id;
    if (setup->fleet) {
        run->setup.policy = defect->policy;
    } else {
        run->setup.scenario_path = defect->scenario;
    }
}

static void seed_set(struct side_run *run, uint64_t seed)
{
    (void)snprintf(run->seed, sizeof run->seed, "seed=%" PRIu64, seed);
    run->overrides[run->setup.override_count++] = run->seed;
}

/* Both sides are loaded once, so that mistakes are told before any work, and to ask
 * for the seed. */
static bool pair_set_up(struct study *study, size_t defect, struct err *err)
{
    const struct study_setup *setup = study->setup;
    uint64_t first = 0;
    for (size_t side = 0; side < 2; side++) {
        const size_t at = (defect * 2 + side) * setup->seeds;
        struct runner *runner = NULL;
        for (size_t i = 0; i < setup->seeds; i++) {
            run_set_up(&study->runs[at + i], setup, setup->defects[defect],
                       &study->sides[defect * 2 + side]);
        }
        if (!runner_new(&runner, &study->runs[at].setup, err)) {
            return false;
        }
        first = runner_seed(runner);
        runner_delete(runner);
        for (size_t i = 0; i < setup->seeds; i++) {
            seed_set(&study->runs[at + i], first + i);
        }
    }
    return true;
}

/* A fleet whose scenario is wrong by itself is told as such. */
static bool fleet_check(const struct study_setup *setup, struct err *err)
{
    struct runner *runner = NULL;
    const bool ok = runner_new(&runner, setup->base, err);
    runner_delete(runner);
    return ok;
}

/* In another fleet some defects are not to be had; that is no mistake. */
static bool set_up(struct study *study, struct study_row *rows, struct err *err)
{
    const struct study_setup *setup = study->setup;
    if (setup->fleet && !fleet_check(setup, err)) {
        return false;
    }
    for (size_t i = 0; i < setup->count; i++) {
        const struct defect *defect = setup->defects[i];
        rows[i] = (struct study_row){.defect = defect};
        side_split(&study->sides[i * 2], defect->with);
        side_split(&study->sides[i * 2 + 1], defect->without);
        struct err *misfit = &rows[i].misfit;
        if (setup->fleet && defect->here_only) {
            (void)err_set(misfit, ERR_INPUT, "only in its own scenario, %s",
                          defect->scenario);
        } else if (!pair_set_up(study, i, misfit) && !setup->fleet) {
            *err = *misfit;
            return false;
        }
        for (size_t run = 0; run < 2 * setup->seeds; run++) {
            study->runs[i * 2 * setup->seeds + run].err = *misfit;
        }
    }
    return true;
}

static enum study_end collect(const struct study *study, struct study_row *rows,
                              struct err *err)
{
    const size_t per_defect = 2 * study->setup->seeds;
    for (size_t i = 0; i < study->run_count; i++) {
        const struct side_run *run = &study->runs[i];
        if (run->end == PROBE_FAILED) {
            *err = run->err;
            return STUDY_FAILED;
        }
    }
    if (atomic_load(&study->stop)) {
        return STUDY_INTERRUPTED;
    }
    for (size_t i = 0; i < study->setup->count; i++) {
        if (study->runs[i * per_defect].err.kind == ERR_NONE) {
            figures_fill(study, i, rows[i].figures);
        }
    }
    return STUDY_DONE;
}

enum study_end study_run(struct study_row *rows, const struct study_setup *setup,
                         struct err *err)
{
    CHECK(setup->seeds >= 1 && setup->seeds <= STUDY_SEEDS_MAX, "%zu seeds",
          setup->seeds);
    struct study study = {.setup = setup, .run_count = setup->count * 2 * setup->seeds};
    study.sides = mem_alloc(setup->count * 2, sizeof *study.sides);
    study.runs = mem_alloc(study.run_count, sizeof *study.runs);
    enum study_end end = STUDY_FAILED;
    if (set_up(&study, rows, err)) {
        const struct jobs jobs = {
            .count = study.run_count,
            .threads_max = setup->threads,
            .context = &study,
            .work = work,
            .watch = watch,
        };
        study.progress = progress_new("defects", setup->quiet);
        jobs_run(&jobs);
        progress_delete(study.progress);
        end = collect(&study, rows, err);
    }
    for (size_t i = 0; i < setup->count * 2; i++) {
        mem_free(study.sides[i].keys);
    }
    mem_free(study.sides);
    mem_free(study.runs);
    return end;
}

/* ---- judging -----------------------------------------------------------------------
 */

bool study_is_clear(const struct study_figure *figure)
{
    const struct contrast *cost = &figure->cost;
    const double part = fabs(figure->without) * clear_part;
    if (isnan(cost->difference) || !(fabs(cost->difference) > part)) {
        return false;
    }
    return cost->pairs < 2 || cost->interval.low > 0 || cost->interval.high < 0;
}

static bool is_same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool study_is_same(const struct study_row *row)
{
    for (size_t i = 0; i < STUDY_METRIC_COUNT; i++) {
        const struct study_figure *figure = &row->figures[i];
        const struct contrast *cost = &figure->cost;
        if (!is_same_number(figure->with, figure->without) ||
            (cost->pairs > 1 && cost->interval.low != cost->interval.high &&
             !isnan(cost->interval.low))) {
            return false;
        }
    }
    return true;
}

/* Nobody gets an answer: worse than any latency. */
static bool is_worse(const struct study_row *row, enum study_metric metric)
{
    const struct study_figure *figure = &row->figures[metric];
    if (isnan(figure->with)) {
        return !isnan(figure->without);
    }
    const double sign = metric == STUDY_GOODPUT ? -1 : 1;
    return study_is_clear(figure) && figure->cost.difference * sign > 0;
}

bool study_as_expected(const struct study_row *row)
{
    static const enum study_metric metrics[] = {[COSTS_TTFT] = STUDY_TTFT,
                                                [COSTS_GOODPUT] = STUDY_GOODPUT,
                                                [COSTS_ERRORS] = STUDY_ERRORS,
                                                [COSTS_GPU] = STUDY_GPU_HOURS};
    if (row->defect->costs != COSTS_NOTHING) {
        return is_worse(row, metrics[row->defect->costs]);
    }
    return !is_worse(row, STUDY_TTFT) && !is_worse(row, STUDY_GOODPUT) &&
           !is_worse(row, STUDY_ERRORS) && !is_worse(row, STUDY_GPU_HOURS);
}
