/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of quantiles: against resamples made in full, and its coverage.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "stats/bootstrap.h"
#include "stats/dist.h"
#include "tests/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2000 };

static int compare_f64(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile(const double *sorted, double part)
{
    const double at = part * (DRAWS - 1);
    const size_t below = (size_t)at;
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Copies the drawn blocks and sorts them, draw by draw. */
static struct interval naive(const int64_t *values, size_t count, double part,
                             const struct bootstrap *how)
{
    const size_t blocks = count < how->blocks ? count : how->blocks;
    double *draws = mem_alloc(DRAWS, sizeof *draws);
    int64_t *sample = mem_alloc(4 * count + 4, sizeof *sample);
    struct rng rng;
    rng_init(&rng, how->seed, "bootstrap", 0);
    for (size_t i = 0; i < DRAWS; i++) {
        size_t size = 0;
        for (size_t k = 0; k < blocks; k++) {
            const size_t block = (size_t)rng_below(&rng, blocks);
            const size_t end = count * (block + 1) / blocks;
            for (size_t at = count * block / blocks; at < end; at++) {
                sample[size++] = values[at];
            }
        }
        quantile_sort(sample, size);
        const size_t rank = (size_t)ceil(part * (double)size);
        draws[i] = (double)sample[rank == 0 ? 0 : rank - 1];
    }
    qsort(draws, DRAWS, sizeof *draws, compare_f64);
    const double tail = (1 - how->level) / 2;
    const struct interval interval = {percentile(draws, tail),
                                      percentile(draws, 1 - tail)};
    mem_free(draws);
    mem_free(sample);
    return interval;
}

static void resamples_made_in_full_say_the_same(void)
{
    static const size_t counts[] = {10, 11, 37, 100, 256, 257, 1000};
    static const double parts[] = {0.01, 0.5, 0.9, 0.99};
    int64_t values[1000];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct rng rng;
        rng_init(&rng, i, "prop_bootstrap", 0);
        for (size_t k = 0; k < counts[i]; k++) {
            values[k] = (int64_t)rng_below(&rng, i % 2 == 0 ? 20 : 100000);
        }
        for (size_t m = 0; m < sizeof parts / sizeof parts[0]; m++) {
            const struct bootstrap how = {.blocks = 25, .level = 0.95, .seed = i};
            harness_note("%zu values, part %g", counts[i], parts[m]);
            const struct interval got =
                bootstrap_quantile(values, counts[i], parts[m], &how);
            const struct interval expected = naive(values, counts[i], parts[m], &how);
            EXPECT_NEAR(got.low, expected.low, 1e-6);
            EXPECT_NEAR(got.high, expected.high, 1e-6);
            harness_note("nothing differs from itself");
            const struct interval zero = bootstrap_quantile_difference(
                values, values, counts[i], parts[m], &how);
            EXPECT_NEAR(zero.low, 0, 0);
            EXPECT_NEAR(zero.high, 0, 0);
        }
    }
    const struct bootstrap how = {.blocks = 25, .level = 0.95, .seed = 1};
    EXPECT(isnan(bootstrap_quantile(values, 9, 0.5, &how).low));
    EXPECT(isnan(bootstrap_quantile_difference(values, values, 9, 0.5, &how).low));
}

/* 1,000 series of 4,000 values, correlated over some 5 neighbours: 95 % +- 1.4 %. The
 * difference is that of a second series with noise of its own, 1 above the first: its
 * intervals are too wide rather than too narrow, since quantiles of resamples jump from
 * value to value. */
static void intervals_hold_the_truth_as_often_as_they_say(void)
{
    enum { EXPERIMENTS = 1000, SERIES = 4000 };
    const double unit = 1e6;
    const double sd = 5.0 / 3;
    const double other_sd = sqrt(sd * sd + 0.25);
    int64_t *base = mem_alloc(SERIES, sizeof *base);
    int64_t *other = mem_alloc(SERIES, sizeof *other);
    static const double parts[2] = {0.5, 0.99};
    static const double z[2] = {0, 2.3263478740};
    size_t hits[2][2] = {{0}};
    struct rng rng;
    rng_init(&rng, 11, "prop_bootstrap", 1);
    for (uint64_t i = 0; i < EXPERIMENTS; i++) {
        double state = sd * dist_draw_normal(&rng);
        for (size_t k = 0; k < SERIES; k++) {
            state = 0.8 * state + dist_draw_normal(&rng);
            base[k] = (int64_t)llround((50 + state) * unit);
            other[k] =
                (int64_t)llround((51 + state + 0.5 * dist_draw_normal(&rng)) * unit);
        }
        const struct bootstrap how = {.blocks = 100, .level = 0.95, .seed = i};
        for (int m = 0; m < 2; m++) {
            const double truth = (50 + z[m] * sd) * unit;
            const double apart = (51 + z[m] * other_sd) * unit - truth;
            const struct interval one =
                bootstrap_quantile(base, SERIES, parts[m], &how);
            const struct interval two =
                bootstrap_quantile_difference(base, other, SERIES, parts[m], &how);
            hits[0][m] += one.low <= truth && one.high >= truth;
            hits[1][m] += two.low <= apart && two.high >= apart;
        }
    }
    mem_free(base);
    mem_free(other);
    printf("coverage of 95 %% intervals by bootstrap over %d experiments: p50 %.1f %%, "
           "p99 %.1f %%; of differences: p50 %.1f %%, p99 %.1f %%\n",
           EXPERIMENTS, (double)hits[0][0] / 10, (double)hits[0][1] / 10,
           (double)hits[1][0] / 10, (double)hits[1][1] / 10);
    EXPECT(hits[0][0] >= 930 && hits[0][0] <= 970);
    EXPECT(hits[0][1] >= 850);
    EXPECT(hits[1][0] >= 930);
    EXPECT(hits[1][1] >= 930);
}

HARNESS_MAIN("prop.bootstrap_slow", TEST(resamples_made_in_full_say_the_same),
             TEST(intervals_hold_the_truth_as_often_as_they_say))
