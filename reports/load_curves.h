/* SPDX-License-Identifier: Apache-2.0
 *
 * load_curves.h: a sweep seen as lines over one of its keys, most often the load.
 */
#ifndef STACKSIM_REPORTS_LOAD_CURVES_H
#define STACKSIM_REPORTS_LOAD_CURVES_H

#include "reports/run.h"
#include "reports/stored_sweep.h"
#include "stats/replicate.h"

#include <stddef.h>

/* All seeds of one line at one place. */
struct load_point {
    double x;
    const struct run_record **runs; /* borrowed records, owned array */
    size_t run_count;
};

struct load_line {
    char *name; /* what its runs have in common: "chwbl, engines 4"; owned */
    struct load_point *points; /* x ascends */
    size_t point_count;
};

struct load_curves {
    char *key;               /* the axis: "rate"; owned */
    struct load_line *lines; /* in order of the plan */
    size_t line_count;
};

/* The axis is the key whose name or path speaks of rate, load, qps, rps or clients,
 * else the last one whose values are all numbers; never `seed` or `policy`. NULL when
 * no key has two different numbers. done[i]: the run of sweep->runs[i], or NULL;
 * records are borrowed for the life of the curves. */
struct load_curves *load_curves_new(const struct stored_sweep *sweep,
                                    const struct run_record *const *done);
void load_curves_delete(struct load_curves *curves); /* NULL is legal */

/* Over the seeds of a point that know the metric. */
struct estimate load_point_estimate(const struct load_point *point, enum metric metric);

#endif
