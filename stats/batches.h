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

enum { BATCHES_MAX = 64 };

/* Values in any order, with the batch of each. */
struct batches {
    const int64_t *values;
    const uint8_t *batch; /* below `batches` */
    size_t count;
    size_t batches; /* 2..BATCHES_MAX */
};

/* Neighbours by position (a time, say) share a batch; batches have nearly equal sizes,
 * but equal positions are never parted. O(count), and nothing is sorted: positions are
 * told apart to 2^-16 of their range. */
void batches_assign(const int64_t *position, size_t count, size_t batches,
                    uint8_t *batch);

/* Of the mean: Student's interval over the batches' means. NaN when a batch has fewer
 * than two values, or one has more than twice as many as another. */
struct interval batches_mean(const struct batches *series, double level);

/* Of a quantile: the interval of the part of values up to it, by batches, read off the
 * order statistics (Woodruff 1952). sorted: the same values. NaN as above, and where
 * the interval leaves (0, 1): too few values for a quantile this far out. */
struct interval batches_quantile(const struct batches *series, const int64_t *sorted,
                                 double part, double level);

#endif
