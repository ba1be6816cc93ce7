/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules, matching and verdicts of regress.
 */
#include "base/rng.h"
#include "reports/regress.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RUNS_MAX = 16 };

struct side {
    struct run_record *runs[RUNS_MAX];
    size_t count;
};

static void add(struct side *side, const char *name, uint64_t seed, double ttft_ms,
                double goodput)
{
    const struct run_info info = {.name = name, .scenario_name = "s", .seed = seed};
    struct run_record *run = run_record_new(&info);
    run->metrics.value[METRIC_TTFT_MS_P99] = ttft_ms;
    run->metrics.value[METRIC_GOODPUT_PER_S] = goodput;
    side->runs[side->count++] = run;
}

static void judge(struct regress_result *result, const struct side *baseline,
                  const struct side *candidate, const char *yaml)
{
    struct regress_rules rules;
    struct err err = {0};
    regress_rules_default(&rules);
    if (yaml != NULL) {
        REQUIRE_OK(regress_rules_load(
                       &rules, harness_temp_file("r.yaml", yaml, strlen(yaml)), &err),
                   &err);
    }
    const struct regress_side left = {baseline->runs, baseline->count};
    const struct regress_side right = {candidate->runs, candidate->count};
    regress_compare(result, &left, &right, &rules);
}

static void drop(struct side *side)
{
    for (size_t i = 0; i < side->count; i++) {
        run_record_delete(side->runs[i]);
    }
    side->count = 0;
}

static enum regress_verdict verdict_of(const struct regress_result *result,
                                       const char *arm, enum metric metric)
{
    for (size_t i = 0; i < result->count; i++) {
        if (strcmp(result->rows[i].arm, arm) == 0 && result->rows[i].metric == metric) {
            return result->rows[i].verdict;
        }
    }
    harness_note("no row of %s", arm);
    EXPECT(false);
    return REGRESS_NEW;
}

/* TTFT rises, goodput falls: both are worse; 0.9 % is within the default limit. */
static void each_metric_has_its_bad_side(void)
{
    struct side baseline = {0};
    struct side candidate = {0};
    struct regress_result result;
    add(&baseline, "a", 1, 100, 10);
    add(&candidate, "a", 1, 102, 9);
    add(&baseline, "b", 1, 100, 10);
    add(&candidate, "b", 1, 90, 12);
    add(&baseline, "c", 1, 100, 10);
    add(&candidate, "c", 1, 100.9, 10);
    judge(&result, &baseline, &candidate, NULL);
    EXPECT(verdict_of(&result, "a", METRIC_TTFT_MS_P99) == REGRESS_WORSE);
    EXPECT(verdict_of(&result, "a", METRIC_GOODPUT_PER_S) == REGRESS_WORSE);
    EXPECT(verdict_of(&result, "b", METRIC_TTFT_MS_P99) == REGRESS_BETTER);
    EXPECT(verdict_of(&result, "b", METRIC_GOODPUT_PER_S) == REGRESS_BETTER);
    EXPECT(verdict_of(&result, "c", METRIC_TTFT_MS_P99) == REGRESS_SAME);
    EXPECT(regress_failed(&result));
    EXPECT_U64(result.count, 6);
    regress_result_fini(&result);
    drop(&baseline);
    drop(&candidate);
}

static void rules_widen_narrow_and_ignore(void)
{
    struct side baseline = {0};
    struct side candidate = {0};
    struct regress_result result;
    add(&baseline, "a", 1, 100, 10);
    add(&candidate, "a", 1, 104, 9.95);
    judge(&result, &baseline, &candidate,
          "default: {worse_percent: 5}\nmetrics:\n  goodput_per_s: {worse_percent: "
          "0.1}\n");
    EXPECT(verdict_of(&result, "a", METRIC_TTFT_MS_P99) == REGRESS_SAME);
    EXPECT(verdict_of(&result, "a", METRIC_GOODPUT_PER_S) == REGRESS_WORSE);
    regress_result_fini(&result);
    judge(&result, &baseline, &candidate,
          "metrics:\n  goodput_per_s: {ignore: true}\n  ttft_ms_p99: {worse_by: 4}\n");
    EXPECT(verdict_of(&result, "a", METRIC_TTFT_MS_P99) == REGRESS_SAME);
    EXPECT_U64(result.count, 1);
    EXPECT(!regress_failed(&result));
    regress_result_fini(&result);
    drop(&baseline);
    drop(&candidate);
}

static void wrong_rules_are_told_with_their_line(void)
{
    static const struct {
        const char *yaml;
        const char *said;
    } wrong[] = {
        {"metrics:\n  ttft: {}\n", "r.yaml:2: metrics: no metric ttft"},
        {"metrics:\n  duration_s: {}\n", "duration_s has no better side"},
        {"significanse: 0.1\n", "significance"},
        {"default: {worse_percent: -1}\n", "worse_percent"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct regress_rules rules;
        struct err err = {0};
        const char *path =
            harness_temp_file("r.yaml", wrong[i].yaml, strlen(wrong[i].yaml));
        EXPECT(!regress_rules_load(&rules, path, &err));
        EXPECT_HAS(err.text, wrong[i].said);
    }
}

/* Seeds differ by 20 %; 3 % on each is found, and 3 % by chance on some is not. */
static void seeds_are_one_arm_and_chance_is_no_regression(void)
{
    struct side baseline = {0};
    struct side candidate = {0};
    struct regress_result result;
    static const double seed_ms[] = {100, 120, 90, 110, 105};
    static const double chance[] = {1.15, 0.88, 1.12, 0.93, 1.07};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "real@%d", (int)seed);
        snprintf(name[1], sizeof name[1], "luck@%d", (int)seed);
        const double ms = seed_ms[seed - 1];
        add(&baseline, name[0], seed, ms, 1);
        add(&candidate, name[0], seed, ms * (1.03 + 0.001 * (double)seed), 1);
        add(&baseline, name[1], seed, ms, 1);
        add(&candidate, name[1], seed, ms * chance[seed - 1], 1);
    }
    judge(&result, &baseline, &candidate, NULL);
    EXPECT_U64(result.arms, 2);
    EXPECT(verdict_of(&result, "real", METRIC_TTFT_MS_P99) == REGRESS_WORSE);
    EXPECT(verdict_of(&result, "luck", METRIC_TTFT_MS_P99) == REGRESS_SAME);
    EXPECT_U64(result.rows[0].seeds, 5);
    regress_result_fini(&result);
    drop(&baseline);
    drop(&candidate);
}

/* 0 to 40, bell-shaped. */
static double scatter(struct rng *rng)
{
    return 10 * (rng_unit(rng) + rng_unit(rng) + rng_unit(rng) + rng_unit(rng));
}

/* Three arms of five seeds, two figures each, and nothing but chance differs. Asked one
 * by one some figure is below 5 % in 26 of 100 comparisons (1 - 0.95^6); over 200 the
 * gate may cry in 5 % and three standard errors. */
static void a_gate_over_many_figures_seldom_cries_at_chance(void)
{
    enum { COMPARISONS = 200, ARMS = 3, SEEDS = 5 };
    size_t cries = 0;
    size_t alone = 0;
    struct rng rng;
    rng_init(&rng, 1, "chance", 0);
    for (size_t i = 0; i < COMPARISONS; i++) {
        struct side sides[2] = {0};
        for (size_t run = 0; run < (size_t)ARMS * SEEDS; run++) {
            char name[16];
            snprintf(name, sizeof name, "%c@%d", (char)('a' + run / SEEDS),
                     (int)(run % SEEDS));
            for (size_t side = 0; side < 2; side++) {
                add(&sides[side], name, run % SEEDS, 80 + scatter(&rng),
                    80 + scatter(&rng));
            }
        }
        struct regress_result result;
        bool cried = false;
        judge(&result, &sides[0], &sides[1], NULL);
        for (size_t row = 0; row < result.count; row++) {
            cried = cried || result.rows[row].p < 0.05;
            EXPECT(result.rows[row].p_adjusted >= result.rows[row].p);
        }
        cries += regress_failed(&result) || result.counts[REGRESS_BETTER] > 0 ? 1 : 0;
        alone += cried ? 1 : 0;
        regress_result_fini(&result);
        drop(&sides[0]);
        drop(&sides[1]);
    }
    harness_note("%zu cries, asked one by one %zu", cries, alone);
    EXPECT(cries <= 19);
    EXPECT(alone >= 30);
}

static void what_is_gone_counts_as_worse(void)
{
    struct side baseline = {0};
    struct side candidate = {0};
    struct regress_result result;
    struct text out = {0};
    add(&baseline, "gone", 1, 100, 10);
    add(&baseline, "half", 1, 100, 10);
    add(&candidate, "half", 1, (double)NAN, 10);
    add(&candidate, "new <one>", 1, 100, 10);
    judge(&result, &baseline, &candidate, NULL);
    EXPECT(verdict_of(&result, "gone", METRIC_COUNT) == REGRESS_MISSING);
    EXPECT(verdict_of(&result, "half", METRIC_TTFT_MS_P99) == REGRESS_MISSING);
    EXPECT(verdict_of(&result, "new <one>", METRIC_COUNT) == REGRESS_NEW);
    EXPECT(regress_failed(&result));
    regress_print(&result, REGRESS_FORMAT_JUNIT, &out);
    EXPECT_HAS(text_str(&out), "failures=\"2\"");
    EXPECT_HAS(text_str(&out), "classname=\"s.new &lt;one&gt;\"");
    text_fini(&out);
    regress_print(&result, REGRESS_FORMAT_MD, &out);
    EXPECT_HAS(text_str(&out), "### Regression");
    text_fini(&out);
    regress_result_fini(&result);
    drop(&baseline);
    drop(&candidate);
}

HARNESS_MAIN("unit.regress", TEST(each_metric_has_its_bad_side),
             TEST(rules_widen_narrow_and_ignore),
             TEST(wrong_rules_are_told_with_their_line),
             TEST(seeds_are_one_arm_and_chance_is_no_regression),
             TEST(a_gate_over_many_figures_seldom_cries_at_chance),
             TEST(what_is_gone_counts_as_worse))
