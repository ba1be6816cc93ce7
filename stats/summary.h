/* SPDX-License-Identifier: Apache-2.0
 *
 * summary.h: the usual figures of a set of numbers, and intervals by bootstrap.
 */
#ifndef STACKSIM_STATS_SUMMARY_H
#define STACKSIM_STATS_SUMMARY_H

#include "stats/quantile.h"

#include <stddef.h>
#include <stdint.h>

/* In the unit of the values; all NaN when count is 0. */
struct spread {
    size_t count;
    double mean;
    double min;
    double p50;
    double p90;
    double p95;
    double p99;
    double max;
};

/* Sorts values in place. */
struct spread spread_of(int64_t *values, size_t count);

double mean_of(const double *values, size_t count); /* NaN when count is 0 */

/* Percentile bootstrap of the mean. The values are cut into at most `blocks_max` runs
 * of neighbours, whose means are resampled: neighbours in time share a queue, so single
 * values are not independent but long runs of them nearly are. NaN with fewer than 10
 * blocks. Draws come from the stream (seed, "bootstrap"). */
struct interval bootstrap_mean(const double *values, size_t count, size_t blocks_max,
                               double level, uint64_t seed);

#endif
