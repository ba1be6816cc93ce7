/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fit.c: least squares: known answers, NIST's Norris, and what must not be known.
 */
#include "base/rng.h"
#include "stats/fit.h"
#include "tests/harness.h"

#include <math.h>

enum { ROWS = 200 };

static void exact_data_give_exact_coefficients(void)
{
    double x[3 * ROWS];
    double y[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        x[3 * i] = 1.0;
        x[3 * i + 1] = (double)(i % 16);
        x[3 * i + 2] = 1e6 * floor((double)i / 16.0);
        y[i] = 100.0 + 3.0 * x[3 * i + 1] + 2e-5 * x[3 * i + 2];
    }
    struct fit_result fit;
    fit_linear(&fit, &(struct fit_problem){.rows = ROWS, .columns = 3, .x = x, .y = y});
    EXPECT_CLOSE(fit.coefficients[0].value, 100.0, 1e-12);
    EXPECT_CLOSE(fit.coefficients[1].value, 3.0, 1e-12);
    EXPECT_CLOSE(fit.coefficients[2].value, 2e-5, 1e-12);
    EXPECT_U64(fit.rank, 3);
    EXPECT(fit.mean_abs_error < 1e-12);
    EXPECT(fit.coefficients[2].status == FIT_SURE);
}

/* NIST Statistical Reference Datasets, Norris: certified to 15 digits. */
static void norris_has_its_certified_values(void)
{
    static const double data[][2] = {
        /* y, x */
        {0.1, 0.2},     {338.8, 337.4}, {118.1, 118.2}, {888.0, 884.6}, {9.2, 10.1},
        {228.1, 226.5}, {668.5, 666.3}, {998.5, 996.3}, {449.1, 448.6}, {778.9, 777.0},
        {559.2, 558.2}, {0.3, 0.4},     {0.1, 0.6},     {778.1, 775.5}, {668.8, 666.9},
        {339.3, 338.0}, {448.9, 447.5}, {10.8, 11.6},   {557.7, 556.0}, {228.3, 228.1},
        {998.0, 995.8}, {888.8, 887.6}, {119.6, 120.2}, {0.3, 0.3},     {0.6, 0.3},
        {557.6, 556.8}, {339.3, 339.1}, {888.0, 887.2}, {998.5, 999.0}, {778.9, 779.0},
        {10.2, 11.1},   {117.6, 118.3}, {228.9, 229.2}, {668.4, 669.1}, {449.2, 448.9},
        {0.2, 0.5}};
    enum { COUNT = sizeof data / sizeof data[0] };
    double x[2 * COUNT];
    double y[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        x[2 * i] = 1.0;
        x[2 * i + 1] = data[i][1];
        y[i] = data[i][0];
    }
    struct fit_result fit;
    fit_linear(&fit,
               &(struct fit_problem){.rows = COUNT, .columns = 2, .x = x, .y = y});
    EXPECT_CLOSE(fit.coefficients[0].value, -0.262323073774029, 1e-10);
    EXPECT_CLOSE(fit.coefficients[1].value, 1.00211681802045, 1e-12);
    EXPECT_CLOSE(fit.coefficients[0].standard_error, 0.232818234301152, 1e-10);
    EXPECT_CLOSE(fit.coefficients[1].standard_error, 0.429796848199937e-3, 1e-10);
    EXPECT(fit.coefficients[0].status == FIT_UNSURE);
    EXPECT(fit.coefficients[1].status == FIT_SURE);
}

static void intervals_hold_the_truth_as_often_as_they_say(void)
{
    uint32_t held = 0;
    const uint32_t draws = 400;
    for (uint32_t seed = 0; seed < draws; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "fit", 0);
        double x[2 * ROWS];
        double y[ROWS];
        double weight[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            x[2 * i] = 1.0;
            x[2 * i + 1] = rng_unit(&rng) * 100.0;
            const double truth = 10.0 + 2.0 * x[2 * i + 1];
            double noise = -6.0;
            for (int k = 0; k < 12; k++) {
                noise += rng_unit(&rng);
            }
            y[i] = truth * (1.0 + 0.02 * noise);
            weight[i] = 1.0 / (truth * truth);
        }
        struct fit_result fit;
        fit_linear(&fit,
                   &(struct fit_problem){
                       .rows = ROWS, .columns = 2, .x = x, .y = y, .weight = weight});
        held += fit.coefficients[1].low <= 2.0 && fit.coefficients[1].high >= 2.0;
    }
    /* 95 % of 400 is 380, standard deviation 4.4. */
    EXPECT(held >= 363 && held <= 397);
}

static void equal_columns_leave_the_second_undetermined(void)
{
    double x[3 * ROWS];
    double y[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        x[3 * i] = 1.0;
        x[3 * i + 1] = (double)i;
        x[3 * i + 2] = 7.0 * (double)i + 3.0; /* of the two before */
        y[i] = 5.0 + 2.0 * (double)i;
    }
    struct fit_result fit;
    fit_linear(&fit, &(struct fit_problem){.rows = ROWS, .columns = 3, .x = x, .y = y});
    EXPECT_U64(fit.rank, 2);
    EXPECT(fit.coefficients[2].status == FIT_UNDETERMINED);
    EXPECT_NEAR(fit.coefficients[2].value, 0.0, 0.0);
    EXPECT_CLOSE(fit.coefficients[1].value, 2.0, 1e-10);
}

static void too_few_rows_determine_as_many_columns(void)
{
    const double x[] = {1.0, 2.0, 5.0, 1.0, 4.0, 4.0};
    const double y[] = {10.0, 20.0};
    struct fit_result fit;
    fit_linear(&fit, &(struct fit_problem){.rows = 2, .columns = 3, .x = x, .y = y});
    EXPECT_U64(fit.rank, 2);
    EXPECT(fit.coefficients[0].status == FIT_UNSURE);
    EXPECT(fit.coefficients[2].status == FIT_UNDETERMINED);
    fit_linear(&fit, &(struct fit_problem){.rows = 0, .columns = 3, .x = x, .y = y});
    EXPECT(fit.coefficients[0].status == FIT_UNDETERMINED);
    EXPECT_U64(fit.rank, 0);
}

static void a_negative_slope_is_held_at_zero_and_the_rest_fitted_again(void)
{
    double x[2 * ROWS];
    double y[ROWS];
    double sum = 0.0;
    for (size_t i = 0; i < ROWS; i++) {
        x[2 * i] = 1.0;
        x[2 * i + 1] = (double)i;
        y[i] = 1000.0 - (double)i;
        sum += y[i];
    }
    struct fit_result fit;
    const struct fit_problem problem = {
        .rows = ROWS, .columns = 2, .x = x, .y = y, .not_negative = 2};
    fit_linear(&fit, &problem);
    EXPECT(fit.coefficients[1].status == FIT_HELD_AT_ZERO);
    EXPECT_NEAR(fit.coefficients[1].value, 0.0, 0.0);
    EXPECT_CLOSE(fit.coefficients[0].value, sum / ROWS, 1e-12);
    EXPECT_CLOSE(fit.mean_abs_error, 0.05571, 1e-2);
}

HARNESS_MAIN("fit", TEST(exact_data_give_exact_coefficients),
             TEST(norris_has_its_certified_values),
             TEST(intervals_hold_the_truth_as_often_as_they_say),
             TEST(equal_columns_leave_the_second_undetermined),
             TEST(too_few_rows_determine_as_many_columns),
             TEST(a_negative_slope_is_held_at_zero_and_the_rest_fitted_again))
