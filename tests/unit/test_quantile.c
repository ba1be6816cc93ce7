/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantiles against values worked out by hand and by numpy.
 */
#include "stats/quantile.h"
#include "tests/harness.h"

#include <math.h>

static void no_values_have_no_quantile(void)
{
    EXPECT(isnan(quantile_of_sorted(NULL, 0, 0.5)));
    EXPECT(isnan(quantile_interval(NULL, 0, 0.5, 0.95).low));
}

static void one_value_is_every_quantile(void)
{
    const int64_t one[] = {42};
    EXPECT_NEAR(quantile_of_sorted(one, 1, 0.0), 42.0, 0.0);
    EXPECT_NEAR(quantile_of_sorted(one, 1, 0.99), 42.0, 0.0);
    EXPECT_NEAR(quantile_of_sorted(one, 1, 1.0), 42.0, 0.0);
}

/* numpy.quantile([1, 2, 4, 8, 16], [0, .25, .5, .9, .99, 1]) */
static void quantiles_interpolate_between_order_statistics(void)
{
    const int64_t values[] = {1, 2, 4, 8, 16};
    const double parts[] = {0.0, 0.25, 0.5, 0.9, 0.99, 1.0};
    const double expected[] = {1.0, 2.0, 4.0, 12.8, 15.68, 16.0};
    for (size_t i = 0; i < 6; i++) {
        harness_note("part %g", parts[i]);
        EXPECT_NEAR(quantile_of_sorted(values, 5, parts[i]), expected[i], 1e-12);
    }
}

static void sorting_keeps_negative_numbers_below_positive_ones(void)
{
    int64_t values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = (i * 37 % 100) - 50;
    }
    values[3] = INT64_MIN;
    values[7] = INT64_MAX;
    quantile_sort(values, 100);
    EXPECT_I64(values[0], INT64_MIN);
    EXPECT_I64(values[99], INT64_MAX);
    for (size_t i = 1; i < 100; i++) {
        EXPECT(values[i - 1] <= values[i]);
    }
}

/* Binomial(100, 1/2): P(X <= 39) = 0.0176, P(X <= 40) = 0.0284, P(X <= 60) = 0.9824, so
 * the 40th and the 61st of 1..100. */
static void median_interval_takes_the_tabulated_order_statistics(void)
{
    int64_t values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = i + 1;
    }
    const struct interval interval = quantile_interval(values, 100, 0.5, 0.95);
    EXPECT_NEAR(interval.low, 40.0, 0.0);
    EXPECT_NEAR(interval.high, 61.0, 0.0);
}

static void too_few_values_cannot_bracket_the_tail(void)
{
    int64_t values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = i;
    }
    EXPECT(isnan(quantile_interval(values, 100, 0.999, 0.95).high));
}

HARNESS_MAIN("quantile", TEST(no_values_have_no_quantile),
             TEST(one_value_is_every_quantile),
             TEST(quantiles_interpolate_between_order_statistics),
             TEST(sorting_keeps_negative_numbers_below_positive_ones),
             TEST(median_interval_takes_the_tabulated_order_statistics),
             TEST(too_few_values_cannot_bracket_the_tail))
