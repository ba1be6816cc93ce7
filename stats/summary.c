/* SPDX-License-Identifier: Apache-2.0
 *
 * summary.c: one pass, one sort, then the figures; and the block bootstrap.
 *
 * Blocks instead of single values: the latencies of neighbouring requests share a
 * queue, and resampling them singly would give intervals several times too narrow. It
 * also bounds the work: 2,000 draws of at most `blocks_max` means, whatever the run's
 * length.
 */
#include "stats/summary.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

enum { BOOTSTRAP_DRAWS = 2000, BOOTSTRAP_BLOCKS_MIN = 10 };

/* The sum of integers is exact, and one division rounds it. gsl_stats_long_mean divides
 * once per value. */
static double mean_of_integers(const int64_t *values, size_t count)
{
    __extension__ __int128 sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return (double)((long double)sum / (long double)count);
}

struct spread spread_of(int64_t *values, size_t count)
{
    const double unknown = (double)NAN;
    struct spread spread = {.count = count, .mean = unknown, .min = unknown};
    if (count > 0) {
        quantile_sort(values, count);
        spread.mean = mean_of_integers(values, count);
        spread.min = (double)values[0];
    }
    spread.p50 = quantile_of_sorted(values, count, 0.50);
    spread.p90 = quantile_of_sorted(values, count, 0.90);
    spread.p95 = quantile_of_sorted(values, count, 0.95);
    spread.p99 = quantile_of_sorted(values, count, 0.99);
    spread.max = quantile_of_sorted(values, count, 1.0);
    return spread;
}

double mean_of(const double *values, size_t count)
{
    return count == 0 ? (double)NAN : gsl_stats_mean(values, 1, count);
}

/* Mean of one resample, each block weighted by its number of values. */
static double resample(const double *sums, const size_t *sizes, size_t blocks,
                       struct rng *rng)
{
    double sum = 0.0;
    size_t size = 0;
    for (size_t i = 0; i < blocks; i++) {
        const size_t pick = (size_t)rng_below(rng, blocks);
        sum += sums[pick];
        size += sizes[pick];
    }
    return sum / (double)size;
}

struct interval bootstrap_mean(const double *values, size_t count, size_t blocks_max,
                               double level, uint64_t seed)
{
    CHECK(level > 0.0 && level < 1.0, "level %g", level);
    const struct interval unknown = {(double)NAN, (double)NAN};
    const size_t blocks = count < blocks_max ? count : blocks_max;
    if (blocks < BOOTSTRAP_BLOCKS_MIN) {
        return unknown;
    }
    double *const sums = mem_alloc(blocks, sizeof *sums);
    size_t *const sizes = mem_alloc(blocks, sizeof *sizes);
    for (size_t i = 0; i < blocks; i++) {
        const size_t first = count * i / blocks;
        const size_t end = count * (i + 1) / blocks;
        sizes[i] = end - first;
        for (size_t at = first; at < end; at++) {
            sums[i] += values[at];
        }
    }
    struct rng rng;
    rng_init(&rng, seed, "bootstrap", 0);
    double means[BOOTSTRAP_DRAWS];
    for (size_t i = 0; i < BOOTSTRAP_DRAWS; i++) {
        means[i] = resample(sums, sizes, blocks, &rng);
    }
    mem_free(sums);
    mem_free(sizes);
    gsl_sort(means, 1, BOOTSTRAP_DRAWS);
    const double tail = (1.0 - level) / 2.0;
    return (struct interval){
        gsl_stats_quantile_from_sorted_data(means, 1, BOOTSTRAP_DRAWS, tail),
        gsl_stats_quantile_from_sorted_data(means, 1, BOOTSTRAP_DRAWS, 1.0 - tail)};
}
