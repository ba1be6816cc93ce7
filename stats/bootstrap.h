/* SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap.h: intervals of quantiles by resampling blocks of neighbours.
 *
 * As bootstrap_mean (stats/summary.h): a series is cut into at most `blocks` runs of
 * neighbours, which are drawn with replacement. Draws come from the stream (seed,
 * "bootstrap"), 2,000 of them; the interval is their percentiles. NaN with fewer than
 * 10 blocks. Values keep their order; memory is O(count).
 */
#ifndef STACKSIM_STATS_BOOTSTRAP_H
#define STACKSIM_STATS_BOOTSTRAP_H

#include "stats/quantile.h"

#include <stddef.h>
#include <stdint.h>

enum { BOOTSTRAP_BLOCKS_MAX = 256 };

struct bootstrap {
    size_t blocks; /* at most BOOTSTRAP_BLOCKS_MAX */
    double level;
    uint64_t seed;
};

struct interval bootstrap_quantile(const int64_t *values, size_t count, double part,
                                   const struct bootstrap *how);

/* Of quantile(other) - quantile(base), where the i-th values are of the same request:
 * the same blocks are drawn of both. */
struct interval bootstrap_quantile_difference(const int64_t *base, const int64_t *other,
                                              size_t count, double part,
                                              const struct bootstrap *how);

#endif
