/* SPDX-License-Identifier: Apache-2.0
 *
 * quantile.h: order statistics of whole numbers.
 *
 * Quantiles are of type 7 (Hyndman, Fan 1996: linear interpolation between the order
 * statistics, as numpy and R by default), computed by GSL.
 */
#ifndef STACKSIM_STATS_QUANTILE_H
#define STACKSIM_STATS_QUANTILE_H

#include <stddef.h>
#include <stdint.h>

/* Ascending, O(count): radix sort, because a run of a million requests sorts four such
 * arrays. */
void quantile_sort(int64_t *values, size_t count);

/* part in [0, 1]: 0.99 is p99. NaN when count is 0. */
double quantile_of_sorted(const int64_t *sorted, size_t count, double part);

struct interval {
    double low;
    double high;
};

/* Confidence interval of a quantile from the order statistics (binomial, no
 * resampling; assumes independent values, which latencies of one run are not: it is a
 * lower bound of the uncertainty). level in (0, 1), e.g. 0.95. NaN when there are too
 * few values to bracket the quantile. */
struct interval quantile_interval(const int64_t *sorted, size_t count, double part,
                                  double level);

#endif
