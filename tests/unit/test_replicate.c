/* SPDX-License-Identifier: Apache-2.0
 *
 * Replications: known answers, and how often the intervals hold what they promise.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "stats/replicate.h"
#include "tests/harness.h"

#include <math.h>

/* t of 4 degrees of freedom at 97.5 %: 2.776445; times sd over the root of 5. */
static void mean_and_interval_are_students(void)
{
    const double values[] = {3, 5, 4, 8, 6};
    const struct estimate estimate = estimate_mean(values, 5, 0.95);
    EXPECT_NEAR(estimate.mean, 5.2, 1e-12);
    EXPECT_NEAR(estimate.sd, 1.9235384061671346, 1e-12);
    EXPECT_NEAR(estimate.interval.low, 5.2 - 2.388388, 1e-6);
    EXPECT_NEAR(estimate.interval.high, 5.2 + 2.388388, 1e-6);
    EXPECT(isnan(estimate_mean(values, 1, 0.95).interval.low));
    EXPECT_NEAR(estimate_mean(values, 1, 0.95).mean, 3, 0);
    EXPECT(isnan(estimate_mean(values, 0, 0.95).mean));
}

/* By hand: differences 1, 2, 1, 4; mean 2, sd sqrt(2), t = 2 sqrt(2), df 3, p = 0.0663.
 */
static void pairs_are_compared_by_their_differences(void)
{
    const double base[] = {10, 20, 30, 40};
    const double other[] = {11, 22, 31, 44};
    const struct contrast contrast = contrast_paired(base, other, 4, 0.95);
    EXPECT_NEAR(contrast.difference, 2, 1e-12);
    EXPECT_NEAR(contrast.effect, sqrt(2), 1e-12);
    EXPECT_NEAR(contrast.p, 0.06627, 1e-5);
    EXPECT(contrast.interval.low < 0 && contrast.interval.high > 4);
    EXPECT_NEAR(contrast_paired(base, base, 4, 0.95).p, 1, 0);
    const double shifted[] = {11, 21, 31, 41};
    EXPECT_NEAR(contrast_paired(base, shifted, 4, 0.95).p, 0, 0);
    EXPECT(isnan(contrast_paired(base, other, 1, 0.95).p));
}

/* Holm: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.04 * 1, each at least the one before. */
static void several_questions_make_each_answer_worth_less(void)
{
    double p[] = {0.03, 0.01, (double)NAN, 0.04, 0.02};
    adjust_holm(p, 5);
    EXPECT_NEAR(p[1], 0.04, 1e-12);
    EXPECT_NEAR(p[4], 0.06, 1e-12);
    EXPECT_NEAR(p[0], 0.06, 1e-12);
    EXPECT_NEAR(p[3], 0.06, 1e-12);
    EXPECT(isnan(p[2]));
    double large[] = {0.5, 0.9};
    adjust_holm(large, 2);
    EXPECT_NEAR(large[0], 1, 0);
    EXPECT_NEAR(large[1], 1, 0);
}

/* Benjamini and Hochberg: 0.039 * 4/3 is less than 0.041 * 4/4, which is what the last
 * one is worth; 0.01 * 4/2 is less than 0.008 * 4/1, so both are worth 0.02. */
static void many_questions_share_their_false_alarms(void)
{
    double p[] = {0.041, 0.008, (double)NAN, 0.039, 0.01};
    adjust_fdr(p, 5);
    EXPECT_NEAR(p[1], 0.02, 1e-12);
    EXPECT_NEAR(p[4], 0.02, 1e-12);
    EXPECT_NEAR(p[3], 0.041, 1e-12);
    EXPECT_NEAR(p[0], 0.041, 1e-12);
    EXPECT(isnan(p[2]));
    double one[] = {0.3};
    adjust_fdr(one, 1);
    EXPECT_NEAR(one[0], 0.3, 0);
}

static void a_series_that_settles_is_cut_where_it_does(void)
{
    enum { COUNT = 2000, SETTLED = 300 };
    double *values = mem_alloc(COUNT, sizeof *values);
    struct rng rng;
    rng_init(&rng, 1, "test_replicate", 0);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = 10 + rng_unit(&rng) + (i < SETTLED ? 5 : 0);
    }
    bool settled = false;
    EXPECT_U64(warmup_mser5(values, COUNT, &settled), SETTLED);
    EXPECT(settled);
    harness_note("a line that only rises never settles");
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (double)i + rng_unit(&rng);
    }
    EXPECT_U64(warmup_mser5(values, COUNT, &settled), 0);
    EXPECT(!settled);
    harness_note("noise without a warm-up loses little of itself");
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = rng_unit(&rng);
    }
    EXPECT(warmup_mser5(values, COUNT, &settled) < COUNT / 2);
    EXPECT_U64(warmup_mser5(values, 9, &settled), 0);
    mem_free(values);
}

static double normal(struct rng *rng)
{
    return sqrt(-2 * log(1 - rng_unit(rng))) * cos(6.283185307179586 * rng_unit(rng));
}

/* 1,000 experiments: 95 % +- 1.4 % at two standard deviations. */
static void intervals_hold_the_truth_as_often_as_they_say(void)
{
    enum { EXPERIMENTS = 1000, SEEDS = 5 };
    struct rng rng;
    rng_init(&rng, 7, "test_replicate", 1);
    size_t means = 0;
    for (int i = 0; i < EXPERIMENTS; i++) {
        double values[SEEDS];
        for (int k = 0; k < SEEDS; k++) {
            values[k] = 100 + 3 * normal(&rng);
        }
        const struct interval t = estimate_mean(values, SEEDS, 0.95).interval;
        means += t.low <= 100 && t.high >= 100;
    }
    harness_note("replications %zu of %d", means, EXPERIMENTS);
    EXPECT(means >= 930 && means <= 970);
}

/* Four arms without any difference, three questions: after Holm at most 5 % (+- 1.4 %)
 * of the experiments find one. A difference of one standard deviation in five pairs is
 * found by chance alone more often, and of five nearly always. */
static void no_difference_is_seldom_found(void)
{
    enum { EXPERIMENTS = 1000, SEEDS = 5, ARMS = 4 };
    struct rng rng;
    rng_init(&rng, 9, "test_replicate", 2);
    size_t found = 0;
    size_t planted = 0;
    for (int i = 0; i < EXPERIMENTS; i++) {
        double values[ARMS][SEEDS];
        double p[ARMS - 1];
        for (int k = 0; k < SEEDS; k++) {
            const double common = 10 * normal(&rng); /* the seed's own workload */
            for (int arm = 0; arm < ARMS; arm++) {
                values[arm][k] = 100 + common + normal(&rng);
            }
        }
        for (int arm = 1; arm < ARMS; arm++) {
            p[arm - 1] = contrast_paired(values[0], values[arm], SEEDS, 0.95).p;
        }
        adjust_holm(p, ARMS - 1);
        found += p[0] < 0.05 || p[1] < 0.05 || p[2] < 0.05;
        for (int k = 0; k < SEEDS; k++) {
            values[1][k] += 5;
        }
        planted += contrast_paired(values[0], values[1], SEEDS, 0.95).p < 0.05;
    }
    harness_note("found %zu, planted %zu of %d", found, planted, EXPERIMENTS);
    EXPECT(found <= 65);
    EXPECT(planted >= 950);
}

HARNESS_MAIN("unit.replicate", TEST(mean_and_interval_are_students),
             TEST(pairs_are_compared_by_their_differences),
             TEST(many_questions_share_their_false_alarms),
             TEST(several_questions_make_each_answer_worth_less),
             TEST(a_series_that_settles_is_cut_where_it_does),
             TEST(intervals_hold_the_truth_as_often_as_they_say),
             TEST(no_difference_is_seldom_found))
