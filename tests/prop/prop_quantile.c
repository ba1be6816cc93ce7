/* SPDX-License-Identifier: Apache-2.0
 *
 * The radix sort against qsort, and the bootstrap's coverage over many seeds.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "stats/summary.h"
#include "tests/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_i64(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left;
    const int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void sorting_agrees_with_qsort(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "prop", 0);
        const size_t count = (size_t)rng_below(&rng, 400);
        /* From few bits, so many ties, to all 64. */
        const unsigned shift = (unsigned)rng_below(&rng, 64);
        int64_t *const got = mem_alloc(count, sizeof *got);
        int64_t *const expected = mem_alloc(count, sizeof *expected);
        for (size_t i = 0; i < count; i++) {
            got[i] = (int64_t)(rng_next(&rng) >> shift);
        }
        memcpy(expected, got, count * sizeof *got);
        qsort(expected, count, sizeof *expected, compare_i64);
        quantile_sort(got, count);
        harness_note("seed %llu, %zu values", (unsigned long long)seed, count);
        EXPECT_BYTES(got, expected, count * sizeof *got);
        mem_free(got);
        mem_free(expected);
    }
}

/* Autoregressive values with correlation 0.9: an interval over single values would be
 * four times too narrow and cover about a third of the means. */
static void block_bootstrap_covers_the_mean_of_correlated_values(void)
{
    enum { EXPERIMENTS = 200, VALUES = 20000 };
    double *const values = mem_alloc(VALUES, sizeof *values);
    size_t covered = 0;
    for (uint64_t seed = 0; seed < EXPERIMENTS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "coverage", 0);
        double value = 0.0;
        for (size_t i = 0; i < VALUES; i++) {
            value = 0.9 * value + rng_unit(&rng) - 0.5; /* mean 0 */
            values[i] = value;
        }
        const struct interval interval =
            bootstrap_mean(values, VALUES, 100, 0.95, seed);
        covered += interval.low <= 0.0 && interval.high >= 0.0;
    }
    mem_free(values);
    /* 95 % of 200 is 190 with a standard deviation of 3.1. */
    harness_note("%zu of %d covered", covered, EXPERIMENTS);
    EXPECT(covered >= 180);
    EXPECT(covered <= 199);
}

HARNESS_MAIN("quantile", TEST(sorting_agrees_with_qsort),
             TEST(block_bootstrap_covers_the_mean_of_correlated_values))
