/* SPDX-License-Identifier: Apache-2.0
 *
 * replicate.h: what may be concluded from runs that were repeated with other seeds.
 *
 * Runs of one arm are independent of each other; runs of two arms under the same seed
 * met the same requests (common random numbers), so that they are compared in pairs.
 */
#ifndef STACKSIM_STATS_REPLICATE_H
#define STACKSIM_STATS_REPLICATE_H

#include "stats/quantile.h"

#include <stdbool.h>
#include <stddef.h>

/* Mean of independent values with Student's interval; low and high are NaN with fewer
 * than two. */
struct estimate {
    size_t count;
    double mean;
    double sd; /* of the values, n - 1; NaN with fewer than two */
    struct interval interval;
};
struct estimate estimate_mean(const double *values, size_t count, double level);

/* other - base, pair by pair. */
struct contrast {
    size_t pairs;
    double difference;        /* mean */
    struct interval interval; /* Student's; NaN with fewer than two pairs */
    double p;                 /* two-sided, of no difference; NaN likewise */
    double effect;            /* Cohen's d: mean over sd of the differences */
};
/* All differences equal: p is 0 or, when they are all zero, 1; effect infinite or 0. */
struct contrast contrast_paired(const double *base, const double *other, size_t count,
                                double level);

/* Holm's step-down adjustment in place: what each p is worth as one of `count`
 * questions. NaN stays and does not count. */
void adjust_holm(double *p, size_t count);
/* Benjamini and Hochberg's (1995), likewise. Of all answers below a bound that share is
 * wrong on average; where nothing differs at all, as seldom any answer is (for
 * questions that are independent or, as figures of the same runs are, mostly go
 * together). Finds more than Holm's where one cause shows in many places. */
void adjust_fdr(double *p, size_t count);

/* How many values at the start of a series belong to its warm-up, by MSER-5 (White
 * 1997): the cut that makes the standard error of the rest least, over means of five.
 * At most half of the series is cut; a cut that runs into that bound is no cut
 * (the series never settled): *settled says. */
size_t warmup_mser5(const double *values, size_t count, bool *settled);

#endif
