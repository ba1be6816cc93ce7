/* SPDX-License-Identifier: Apache-2.0
 *
 * Which key of a sweep is its load, and which runs make which line.
 */
#include "reports/headline.h"
#include "reports/load_curves.h"
#include "tests/harness.h"

#include <string.h>

enum { RUNS = 8 };

/* A plan owns its words, so they are no literals. */
static char key_policy[] = "policy";
static char key_rate[] = "rate";
static char key_seed[] = "seed";
static char key_engines[] = "engines";
static char value_a[] = "a";
static char value_b[] = "b";
static char value_half[] = "0.5";
static char value_1[] = "1";
static char value_2[] = "2";
static char value_4[] = "4";
static char value_fast[] = "fast";
static char run_name[] = "x";

struct plan {
    struct stored_key keys[RUNS][3];
    struct stored_sweep_run runs[RUNS];
    struct stored_sweep sweep;
    struct run_record *records[RUNS];
    const struct run_record *done[RUNS];
};

/* Two policies at rates 2 and 0.5 under seeds 1 and 2, in this order; a run's mean TTFT
 * in ms is 100 * rate + 10 * seed, and 1000 more for the second policy. */
static void make_plan(struct plan *plan)
{
    char *const policies[] = {value_a, value_b};
    char *const rates[] = {value_2, value_half};
    char *const seeds[] = {value_1, value_2};
    *plan = (struct plan){0};
    for (size_t i = 0; i < RUNS; i++) {
        const size_t policy = i / 4;
        const size_t rate = i / 2 % 2;
        const size_t seed = i % 2;
        plan->keys[i][0] = (struct stored_key){key_policy, policies[policy]};
        plan->keys[i][1] = (struct stored_key){key_rate, rates[rate]};
        plan->keys[i][2] = (struct stored_key){key_seed, seeds[seed]};
        plan->runs[i] = (struct stored_sweep_run){run_name, plan->keys[i], 3};
        const struct run_info info = {.name = "x"};
        plan->records[i] = run_record_new(&info);
        plan->records[i]->metrics.value[METRIC_TTFT_MS_MEAN] =
            (rate == 0 ? 200.0 : 50.0) + 10.0 * (double)(seed + 1) +
            1000.0 * (double)policy;
        plan->done[i] = plan->records[i];
    }
    plan->sweep = (struct stored_sweep){.runs = plan->runs, .run_count = RUNS};
}

static void plan_fini(struct plan *plan)
{
    for (size_t i = 0; i < RUNS; i++) {
        run_record_delete(plan->records[i]);
    }
}

static void runs_become_lines_over_the_load(void)
{
    struct plan plan;
    make_plan(&plan);
    struct load_curves *const curves = load_curves_new(&plan.sweep, plan.done);
    REQUIRE(curves != NULL);
    EXPECT_STR(curves->key, "rate");
    REQUIRE(curves->line_count == 2);
    EXPECT_STR(curves->lines[0].name, "a");
    EXPECT_STR(curves->lines[1].name, "b");
    REQUIRE(curves->lines[1].point_count == 2);
    const struct load_point *const low = &curves->lines[1].points[0];
    EXPECT_NEAR(low->x, 0.5, 0.0); /* sorted, although it came second */
    EXPECT_U64(low->run_count, 2);
    /* 1000 + 50 + the mean of 10 and 20 */
    EXPECT_NEAR(load_point_estimate(low, METRIC_TTFT_MS_MEAN).mean, 1065.0, 1e-9);
    EXPECT_NEAR(curves->lines[1].points[1].x, 2.0, 0.0);
    load_curves_delete(curves);
    plan_fini(&plan);
}

static void the_headline_names_the_leader_at_both_ends(void)
{
    struct plan plan;
    struct text out = {0};
    make_plan(&plan);
    /* Policy b wins at the high rate: 205 and 215 less 150. */
    plan.records[4]->metrics.value[METRIC_TTFT_MS_MEAN] = 100.0;
    plan.records[5]->metrics.value[METRIC_TTFT_MS_MEAN] = 110.0;
    struct load_curves *const curves = load_curves_new(&plan.sweep, plan.done);
    REQUIRE(curves != NULL);
    headline_write_load(curves, &out);
    /* a at 2: (210 + 220) / 2 = 215, b: 105, a factor of 2.05 less; at 0.5 a: 65. */
    EXPECT_STR(text_str(&out),
               "At the highest rate, 2, b gives the first token soonest "
               "(105\u00a0ms, 49\u00a0% of a); at the lowest, 0.5, a "
               "(65.0\u00a0ms, 6.1\u00a0% of b).");
    text_fini(&out);
    load_curves_delete(curves);
    plan_fini(&plan);
}

static void runs_that_are_not_done_leave_gaps(void)
{
    struct plan plan;
    make_plan(&plan);
    plan.done[0] = plan.done[1] = plan.done[3] = NULL;
    struct load_curves *const curves = load_curves_new(&plan.sweep, plan.done);
    REQUIRE(curves != NULL);
    REQUIRE(curves->line_count == 2 && curves->lines[0].point_count == 1);
    EXPECT_NEAR(curves->lines[0].points[0].x, 0.5, 0.0);
    EXPECT_U64(curves->lines[0].points[0].run_count, 1);
    load_curves_delete(curves);
    plan_fini(&plan);
}

static void without_a_key_of_numbers_there_are_no_lines(void)
{
    struct plan plan;
    make_plan(&plan);
    for (size_t i = 0; i < RUNS; i++) {
        plan.keys[i][1].value = value_2; /* the same everywhere */
    }
    EXPECT(load_curves_new(&plan.sweep, plan.done) == NULL);
    plan.keys[0][1].value = value_fast; /* no number */
    EXPECT(load_curves_new(&plan.sweep, plan.done) == NULL);
    plan_fini(&plan);
}

static void a_key_that_speaks_of_load_goes_before_others(void)
{
    struct plan plan;
    make_plan(&plan);
    for (size_t i = 0; i < RUNS; i++) {
        plan.keys[i][0] = (struct stored_key){key_engines, i < 4 ? value_2 : value_4};
        plan.keys[i][2] = plan.keys[i][0];
    }
    struct load_curves *const curves = load_curves_new(&plan.sweep, plan.done);
    REQUIRE(curves != NULL);
    EXPECT_STR(curves->key, "rate");
    load_curves_delete(curves);
    plan_fini(&plan);
}

HARNESS_MAIN("load_curves", TEST(runs_become_lines_over_the_load),
             TEST(the_headline_names_the_leader_at_both_ends),
             TEST(runs_that_are_not_done_leave_gaps),
             TEST(without_a_key_of_numbers_there_are_no_lines),
             TEST(a_key_that_speaks_of_load_goes_before_others))
