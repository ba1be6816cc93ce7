/* SPDX-License-Identifier: Apache-2.0
 *
 * Arms over seeds: what is said about differences that are real, small, or neither.
 */
#include "base/rng.h"
#include "reports/replicated.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

enum { SEEDS = 8, ARMS = 3 };

struct fixture {
    struct run_record *runs[ARMS * SEEDS];
    const struct run_record *view[ARMS * SEEDS];
    struct replicated set;
};

static const char *const names[ARMS] = {"base", "second", "third"};

/* Mean TTFT of arm a: factor[a] of the seed's own level, which moves by some 20 %, and
 * noise of an arm of `noise`. */
static void fill(struct fixture *fixture, const double factor[ARMS], double noise)
{
    struct rng rng;
    rng_init(&rng, 3, "test_replicated", 0);
    for (size_t seed = 0; seed < SEEDS; seed++) {
        const double level = 100 * (0.8 + 0.4 * rng_unit(&rng));
        for (size_t arm = 0; arm < ARMS; arm++) {
            const struct run_info info = {.name = names[arm], .policy = names[arm]};
            struct run_record *run = run_record_new(&info);
            const double own = 1 + noise * (rng_unit(&rng) - 0.5);
            run->metrics.value[METRIC_TTFT_MS_MEAN] = level * factor[arm] * own;
            run->metrics.value[METRIC_E2E_MS_MEAN] = 10 * level * own;
            run->metrics.value[METRIC_COMPLETED_RATIO] = 1;
            fixture->runs[arm * SEEDS + seed] = run;
            fixture->view[arm * SEEDS + seed] = run;
        }
    }
    fixture->set = (struct replicated){fixture->view, names, ARMS, SEEDS};
}

static void drop(struct fixture *fixture)
{
    const size_t count = sizeof fixture->runs / sizeof fixture->runs[0];
    for (size_t i = 0; i < count; i++) {
        run_record_delete(fixture->runs[i]);
    }
}

/* 3 % is found although seeds differ by 20 %, since seeds are compared one by one. */
static void a_regression_of_three_percent_is_found(void)
{
    struct fixture fixture;
    struct text said = {0};
    fill(&fixture, (const double[ARMS]){1, 1.03, 1.5}, 0.01);
    replicated_verdict(&fixture.set, &said);
    EXPECT_HAS(text_str(&said), "base has the lowest mean TTFT over 8 seeds");
    EXPECT_HAS(text_str(&said), " % below second (95 % interval 2.");
    EXPECT_HAS(text_str(&said), "below third (95 % interval");
    EXPECT_HAS(text_str(&said), "p < 0.001");
    text_fini(&said);
    drop(&fixture);
}

static void a_tenth_of_a_percent_does_not_matter(void)
{
    struct fixture fixture;
    struct text said = {0};
    fill(&fixture, (const double[ARMS]){1, 1.001, 1.001}, 0);
    replicated_verdict(&fixture.set, &said);
    EXPECT_HAS(text_str(&said), "equal in practice to second (within 1 %)");
    EXPECT(strstr(text_str(&said), "below second") == NULL);
    text_fini(&said);
    drop(&fixture);
}

/* 3 % between arms that scatter by 60 %: nobody can tell. */
static void what_chance_may_have_done_is_called_so(void)
{
    struct fixture fixture;
    struct text said = {0};
    fill(&fixture, (const double[ARMS]){1, 1.03, 1.03}, 0.6);
    replicated_verdict(&fixture.set, &said);
    EXPECT_HAS(text_str(&said), "no detectable difference from");
    text_fini(&said);
    drop(&fixture);
}

/* Nearly normal. */
static double noise(struct rng *rng)
{
    double sum = 0;
    for (int term = 0; term < 6; term++) {
        sum += rng_unit(rng);
    }
    return 50 + 10 * sum;
}

/* Two arms of nothing but noise in six figures. Asked one by one some figure is below
 * 5 % in 26 of 100 comparisons (1 - 0.95^6); all together in 5 %, here within three
 * standard errors of it (200 comparisons). */
static void an_arm_seldom_differs_from_itself(void)
{
    enum { COMPARISONS = 200, TOLD = 6 };
    static const enum metric told[TOLD] = {
        METRIC_TTFT_MS_MEAN, METRIC_TTFT_MS_P99,   METRIC_E2E_MS_MEAN,
        METRIC_TPOT_MS_MEAN, METRIC_GOODPUT_PER_S, METRIC_OUTPUT_TOKENS_PER_S,
    };
    size_t differ = 0;
    size_t alone = 0;
    struct rng rng;
    rng_init(&rng, 5, "test_replicated", 0);
    for (size_t i = 0; i < COMPARISONS; i++) {
        struct fixture fixture;
        fill(&fixture, (const double[ARMS]){1, 1, 1}, 0);
        fixture.set.arms = 2;
        bool told_one = false;
        bool asked_one = false;
        for (size_t run = 0; run < 2 * (size_t)SEEDS; run++) {
            for (size_t k = 0; k < TOLD; k++) {
                fixture.runs[run]->metrics.value[told[k]] = noise(&rng);
            }
        }
        for (size_t k = 0; k < TOLD; k++) {
            for (size_t arm = 0; arm < 2; arm++) { /* NaN of the best */
                told_one = told_one || replicated_p(&fixture.set, told[k], arm) < 0.05;
            }
            asked_one =
                asked_one || replicated_contrast(&fixture.set, 0, 1, told[k]).p < 0.05;
        }
        differ += told_one ? 1 : 0;
        alone += asked_one ? 1 : 0;
        drop(&fixture);
    }
    harness_note("%zu differ, asked one by one %zu", differ, alone);
    EXPECT(differ <= 19);
    EXPECT(alone >= 30);
}

static void runs_that_no_seed_changes_are_pointed_at(void)
{
    struct fixture fixture;
    struct text said = {0};
    fill(&fixture, (const double[ARMS]){1, 1.1, 1.2}, 0);
    for (size_t seed = 0; seed < SEEDS; seed++) {
        fixture.runs[seed]->metrics.value[METRIC_E2E_MS_MEAN] = 7;
    }
    replicated_verdict(&fixture.set, &said);
    EXPECT_HAS(text_str(&said), "Caution: the seed changes nothing");
    text_fini(&said);
    drop(&fixture);
}

static void machine_formats_carry_every_figure(void)
{
    struct fixture fixture;
    struct text csv = {0};
    fill(&fixture, (const double[ARMS]){1, 1.03, 1.5}, 0.01);
    replicated_print(&fixture.set, TABLE_CSV, &csv);
    EXPECT_HAS(text_str(&csv), "run,metric,seeds,mean,low,high,sd,best,difference,"
                               "difference_low,difference_high,p_holm");
    EXPECT_HAS(text_str(&csv), "\nsecond,ttft_ms_mean,8,");
    EXPECT_HAS(text_str(&csv), ",base,");
    const struct estimate estimate =
        replicated_estimate(&fixture.set, 0, METRIC_TTFT_MS_MEAN);
    EXPECT(estimate.interval.low < estimate.mean);
    const struct contrast contrast =
        replicated_contrast(&fixture.set, 0, 2, METRIC_TTFT_MS_MEAN);
    EXPECT(contrast.interval.low > 0 && contrast.pairs == SEEDS);
    text_fini(&csv);
    drop(&fixture);
}

HARNESS_MAIN("unit.replicated", TEST(a_regression_of_three_percent_is_found),
             TEST(a_tenth_of_a_percent_does_not_matter),
             TEST(what_chance_may_have_done_is_called_so),
             TEST(an_arm_seldom_differs_from_itself),
             TEST(runs_that_no_seed_changes_are_pointed_at),
             TEST(machine_formats_carry_every_figure))
