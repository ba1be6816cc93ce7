/* SPDX-License-Identifier: Apache-2.0
 *
 * study.h: every chosen defect on and off, under the same seeds, on all cores.
 *
 * The two sides of a pair meet the very same requests under each seed (common random
 * numbers), so that what a defect costs is a mean of differences, with Student's
 * interval.
 */
#ifndef STACKSIM_CLI_DEFECTS_STUDY_H
#define STACKSIM_CLI_DEFECTS_STUDY_H

#include "cli/defects/catalog.h"
#include "cli/runner.h"
#include "stats/replicate.h"

#include <stdint.h>

enum { STUDY_SEEDS_MAX = 100 };

/* What is told of every side: id, JSON key, heading, unit. */
#define STUDY_METRICS(X)                                                               \
    X(TTFT, "ttft_ms_p99", "TTFT p99", "ms")                                           \
    X(GOODPUT, "goodput_per_s", "goodput", "req/s")                                    \
    X(ERRORS, "error_ratio", "errors", "%")                                            \
    X(GPU_HOURS, "gpu_hours", "GPU time", "h")                                         \
    X(GPU_HOURS_GOOD, "gpu_hours_per_1000_good", "GPU time per 1,000 good", "h")

enum study_metric {
#define X(id, name, heading, unit) STUDY_##id,
    STUDY_METRICS(X)
#undef X
        STUDY_METRIC_COUNT
};

/* Ratios are in [0, 1]. NaN: unknown, such as a latency when nothing was completed. */
struct study_figure {
    double with; /* mean over the seeds */
    double without;
    struct contrast cost; /* with - without, seed by seed */
};

struct study_row {
    const struct defect *defect;
    struct study_figure figures[STUDY_METRIC_COUNT];
    /* The defect's keys do not fit this fleet (ERR_NONE: they do), and why. */
    struct err misfit;
};

struct study_setup {
    const struct defect *const *defects;
    size_t count;
    /* What all runs have in common; a defect's keys come last. */
    const struct runner_setup *base;
    bool fleet;   /* base has a scenario: else each defect its own */
    size_t seeds; /* 1 to STUDY_SEEDS_MAX: as many from the scenario's on */
    uint32_t threads;
    bool quiet;
};

enum study_end { STUDY_DONE, STUDY_FAILED, STUDY_INTERRUPTED };

/* rows: one per defect, in their order. Number of threads changes nothing. */
enum study_end study_run(struct study_row *rows, const struct study_setup *setup,
                         struct err *err);

struct study_metric_info {
    const char *name;
    const char *heading;
    const char *unit;
};
const struct study_metric_info *study_metric_info(enum study_metric metric);

/* Whether the difference is above 1 % of what is without the defect, and more than
 * chance; with one seed nobody knows, and a difference counts as it is. */
bool study_is_clear(const struct study_figure *figure);
/* Both sides came to the very same figures under every seed. */
bool study_is_same(const struct study_row *row);
/* The metric that this defect costs first of all is worse with it, or, for one that
 * costs nothing, no metric is clearly worse. */
bool study_as_expected(const struct study_row *row);

#endif
