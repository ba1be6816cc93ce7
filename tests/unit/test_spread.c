/* SPDX-License-Identifier: Apache-2.0
 *
 * stats/summary.h: figures of small sets worked out by hand.
 */
#include "stats/summary.h"
#include "tests/harness.h"

#include <math.h>

static void spread_of_nothing_is_unknown(void)
{
    const struct spread spread = spread_of(NULL, 0);
    EXPECT_U64(spread.count, 0);
    EXPECT(isnan(spread.mean));
    EXPECT(isnan(spread.p99));
    EXPECT(isnan(spread.max));
}

static void spread_of_one_to_hundred(void)
{
    int64_t values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = 100 - i;
    }
    const struct spread spread = spread_of(values, 100);
    EXPECT_NEAR(spread.mean, 50.5, 1e-9);
    EXPECT_NEAR(spread.min, 1.0, 0.0);
    EXPECT_NEAR(spread.p50, 50.5, 1e-9);
    EXPECT_NEAR(spread.p90, 90.1, 1e-9);
    EXPECT_NEAR(spread.p95, 95.05, 1e-9);
    EXPECT_NEAR(spread.p99, 99.01, 1e-9);
    EXPECT_NEAR(spread.max, 100.0, 0.0);
}

static void bootstrap_needs_ten_blocks(void)
{
    const double values[9] = {0};
    EXPECT(isnan(bootstrap_mean(values, 9, 100, 0.95, 1).low));
}

static void bootstrap_of_equal_values_is_a_point(void)
{
    double values[1000];
    for (size_t i = 0; i < 1000; i++) {
        values[i] = 7.0;
    }
    const struct interval interval = bootstrap_mean(values, 1000, 64, 0.95, 1);
    EXPECT_NEAR(interval.low, 7.0, 1e-12);
    EXPECT_NEAR(interval.high, 7.0, 1e-12);
}

static void bootstrap_repeats_itself_for_a_seed(void)
{
    double values[500];
    for (size_t i = 0; i < 500; i++) {
        values[i] = (double)(i * 7919 % 101);
    }
    const struct interval one = bootstrap_mean(values, 500, 50, 0.95, 3);
    const struct interval two = bootstrap_mean(values, 500, 50, 0.95, 3);
    const struct interval other = bootstrap_mean(values, 500, 50, 0.95, 4);
    EXPECT_NEAR(one.low, two.low, 0.0);
    EXPECT_NEAR(one.high, two.high, 0.0);
    EXPECT(one.low != other.low || one.high != other.high);
}

HARNESS_MAIN("spread", TEST(spread_of_nothing_is_unknown),
             TEST(spread_of_one_to_hundred), TEST(bootstrap_needs_ten_blocks),
             TEST(bootstrap_of_equal_values_is_a_point),
             TEST(bootstrap_repeats_itself_for_a_seed))
