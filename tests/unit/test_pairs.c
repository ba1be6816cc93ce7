/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of paired lists, by hand.
 */
#include "stats/pairs.h"
#include "tests/harness.h"

#include <math.h>

static void errors_are_relative_to_the_truth(void)
{
    const double low[] = {100.0, 200.0, 50.0};
    const double high[] = {110.0, 180.0, 50.0};
    EXPECT_NEAR(pairs_mape(low, high, 3), 0.2 / 3.0, 1e-12);
    EXPECT_NEAR(pairs_mape(high, low, 3), (10.0 / 110.0 + 20.0 / 180.0) / 3.0, 1e-12);
    EXPECT_NEAR(pairs_mean_abs_error(low, high, 3), 10.0, 1e-12);
}

static void truths_of_zero_have_no_relative_error(void)
{
    const double truth[] = {0.0, 10.0};
    const double guess[] = {5.0, 11.0};
    EXPECT_NEAR(pairs_mape(truth, guess, 2), 0.1, 1e-12);
    EXPECT(isnan(pairs_mape(truth, guess, 1)));
    EXPECT(isnan(pairs_mean_abs_error(truth, guess, 0)));
}

static void correlation_has_its_sign(void)
{
    const double up[] = {1.0, 2.0, 3.0, 4.0};
    const double down[] = {8.0, 6.0, 4.0, 2.0};
    const double bent[] = {1.0, 3.0, 2.0, 4.0};
    EXPECT_NEAR(pairs_correlation(up, up, 4), 1.0, 1e-12);
    EXPECT_NEAR(pairs_correlation(up, down, 4), -1.0, 1e-12);
    EXPECT_NEAR(pairs_correlation(up, bent, 4), 0.8, 1e-12);
}

static void constants_correlate_with_nothing(void)
{
    const double same[] = {3.0, 3.0, 3.0};
    const double up[] = {1.0, 2.0, 3.0};
    EXPECT(isnan(pairs_correlation(same, up, 3)));
    EXPECT(isnan(pairs_correlation(up, same, 3)));
    EXPECT(isnan(pairs_correlation(up, up, 1)));
}

HARNESS_MAIN("pairs", TEST(errors_are_relative_to_the_truth),
             TEST(truths_of_zero_have_no_relative_error),
             TEST(correlation_has_its_sign), TEST(constants_correlate_with_nothing))
