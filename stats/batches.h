/* SPDX-License-Identifier: Apache-2.0
 *
 * batches.h: intervals from one run alone, whose values depend on their neighbours.
 *
 * A series is cut into a few long batches of neighbours, which nearly do not depend on
 * each other (batch means; Law 2015, section 9.5.3). The interval covers what a longer
 * run under the same conditions would bring, not what another day of traffic would.
 */
#ifndef STACKSIM_STATS_BATCHES_H
#define STACKSIM_STATS_BATCHES_H

#include "stats/quantile.h"

#include <stddef.h>
#include <stdint.h>

enum { BATCHES_MAX = 64, BATCHES_PARTS_MAX = 4 };

/* Values in any order, with the batch of each. */
struct batches {
    const int64_t *values;
    const uint8_t *batch; /* below `batches` */
    size_t count;
    size_t batches; /* 2..BATCHES_MAX */
};

/* Neighbours by position (a time, say) share a batch; batches have nearly equal sizes,
 * but equal positions are never parted. O(count), and nothing is sorted: positions are
 * told apart to a quarter of their mean distance, or 2^-16 of their range. */
void batches_assign(const int64_t *position, size_t count, size_t batches,
                    uint8_t *batch);

/* Of the mean: Student's interval over the batches' means. NaN when a batch has fewer
 * than two values, or one has more than twice as many as another. */
struct interval batches_mean(const struct batches *series, double level);

struct batches_parts {
    const double *part; /* in (0, 1) */
    size_t count;       /* at most BATCHES_PARTS_MAX */
    double level;
};

/* Of quantiles: the interval of the part of values up to each, by batches, read off the
 * order statistics (Woodruff 1952). sorted: the same values. out: one per part; NaN as
 * above, and where the interval leaves (0, 1): too few values for a quantile this far
 * out. */
void batches_quantiles(const struct batches *series, const int64_t *sorted,
                       const struct batches_parts *wanted, struct interval *out);

#endif
