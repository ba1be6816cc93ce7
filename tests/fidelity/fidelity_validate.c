/* SPDX-License-Identifier: Apache-2.0
 *
 * Two recorded runs of vLLM 0.19.0, reproduced. Bounds are those that
 * docs/validation.md claims: all 15 figures within 1 % with two factors per GPU and
 * within 6 % from the kernel profile alone; the counts of steps, preemptions and hits
 * within 1 % of a prototype that registers blocks one step later.
 */
#include "cli/validate/scales.h"
#include "tests/harness.h"

#include <stdio.h>

struct expected {
    const char *folder;
    struct validate_scales scales; /* published, from spec of the recorded run */
    uint64_t steps;
    uint64_t preemptions;
    uint64_t recomputed_tokens;
    uint64_t hit_tokens;
    double end_s; /* profile alone, collectives by formula */
};

static const struct expected rtx_4090 = {
    .folder = "fidelity/RTX4090_Llama-3.1-8B",
    .scales = {0.95, 1.00},
    .steps = 6143,
    .preemptions = 195,
    .recomputed_tokens = 111180,
    .hit_tokens = 4864,
    .end_s = 189.738973,
};
static const struct expected rtx_pro_6000 = {
    .folder = "fidelity/RTXPRO6000_Qwen3-32B",
    .scales = {1.02, 1.04},
    .steps = 2267,
    .preemptions = 0,
    .recomputed_tokens = 0,
    .hit_tokens = 20448,
    .end_s = 160.279354,
};

static struct validate_case *open_case(const struct expected *expected, bool ring)
{
    struct validate_case *run = NULL;
    struct err err = {0};
    const struct validate_case_setup setup = {
        .dir = harness_data(expected->folder),
        .model = "affine",
        .config_dir = harness_source("configs"),
        .ring = ring,
    };
    if (setup.dir == NULL) {
        return NULL;
    }
    REQUIRE_OK(validate_case_load(&run, &setup, &err), &err);
    return run;
}

static void simulate_and_score(const struct validate_case *run,
                               const struct simulate_options *options,
                               struct simulated *simulated, struct score *score)
{
    struct err err = {0};
    REQUIRE_OK(simulate_case(simulated, run, options, &err), &err);
    score_of(score, run, simulated);
    harness_note("worst %.3f %% (%s %s), per-request e2e %.3f %%",
                 score->worst_abs_error_pct, score_metric_name(score->worst_metric),
                 score_statistic_name(score->worst_statistic),
                 score->rows[SCORE_E2E].mape_pct);
}

static void check_scaled(const struct expected *expected)
{
    struct validate_case *run = open_case(expected, false);
    const struct simulate_options options = {.scales = expected->scales};
    struct simulated simulated;
    struct score score;
    if (run == NULL) {
        return;
    }
    simulate_and_score(run, &options, &simulated, &score);
    EXPECT(score.worst_abs_error_pct < 1.0);
    EXPECT(score.rows[SCORE_E2E].mape_pct < 0.6);
    EXPECT(score.rows[SCORE_E2E].correlation > 0.9999);
    EXPECT_U64(score.rows[SCORE_TPOT].count, 300);
    EXPECT(score.gauges[SCORE_RUNNING].correlation > 0.97);
    EXPECT(score.gauges[SCORE_WAITING].correlation > 0.99);
    EXPECT_CLOSE(score.makespan_simulated_s, score.makespan_measured_s, 0.01);
    simulated_fini(&simulated);
    validate_case_delete(run);
}

static void check_profile_alone(const struct expected *expected)
{
    struct validate_case *run = open_case(expected, true);
    const struct simulate_options options = {.scales = {1.0, 1.0}};
    struct simulated simulated;
    struct score score;
    if (run == NULL) {
        return;
    }
    simulate_and_score(run, &options, &simulated, &score);
    const struct sim_summary *summary = &simulated.summary;
    EXPECT(score.worst_abs_error_pct < 6.0);
    EXPECT_CLOSE((double)summary->steps, (double)expected->steps, 0.01);
    EXPECT_CLOSE((double)summary->preemptions, (double)expected->preemptions, 0.02);
    EXPECT_CLOSE((double)summary->recomputed_tokens,
                 (double)expected->recomputed_tokens, 0.04);
    EXPECT_CLOSE((double)summary->prefix_hit_tokens, (double)expected->hit_tokens,
                 0.01);
    EXPECT_CLOSE((double)summary->end_ns / 1e9, expected->end_s, 0.005);
    simulated_fini(&simulated);
    validate_case_delete(run);
}

static void check_autoscale(const struct expected *expected)
{
    struct validate_case *run = open_case(expected, false);
    struct autoscale_result found;
    struct simulated simulated;
    struct score score;
    struct err err = {0};
    if (run == NULL) {
        return;
    }
    REQUIRE_OK(autoscale(&found, run, &err), &err);
    const struct simulate_options options = {.scales = found.scales};
    simulate_and_score(run, &options, &simulated, &score);
    EXPECT(score.worst_abs_error_pct < 1.0);
    EXPECT(score.rows[SCORE_E2E].mape_pct < 0.6);
    EXPECT_CLOSE(found.scales.decode, expected->scales.decode, 0.015);
    EXPECT_CLOSE(found.scales.mixed, expected->scales.mixed, 0.03);
    simulated_fini(&simulated);
    validate_case_delete(run);
}

static void check_step_by_step(const struct expected *expected)
{
    struct validate_case *run = open_case(expected, false);
    struct simulate_options options = {.scales = expected->scales};
    struct simulated fast;
    struct simulated slow;
    struct score score;
    if (run == NULL) {
        return;
    }
    simulate_and_score(run, &options, &fast, &score);
    options.step_by_step = true;
    simulate_and_score(run, &options, &slow, &score);
    EXPECT_U64(slow.summary.digest, fast.summary.digest);
    EXPECT_U64(slow.summary.steps, fast.summary.steps);
    EXPECT(fast.summary.events < slow.summary.events);
    simulated_fini(&fast);
    simulated_fini(&slow);
    validate_case_delete(run);
}

/* Model table and the other simulator's loop: its own counts, and the end of its own
 * published run (of the requests that it simulated, from the first send on). */
static void check_llmservingsim(const struct expected *expected, uint64_t steps,
                                uint64_t preemptions, uint64_t hits, double end_s)
{
    struct validate_case *run = NULL;
    struct simulated simulated;
    struct err err = {0};
    const struct simulate_options options = {.scales = {1.0, 1.0}};
    const struct validate_case_setup setup = {
        .dir = harness_data(expected->folder),
        .model = "table",
        .config_dir = harness_source("configs"),
        .as_llmservingsim = true,
    };
    if (setup.dir == NULL) {
        return;
    }
    REQUIRE_OK(validate_case_load(&run, &setup, &err), &err);
    REQUIRE_OK(simulate_case(&simulated, run, &options, &err), &err);
    EXPECT_U64(simulated.summary.steps, steps);
    EXPECT_U64(simulated.summary.preemptions, preemptions);
    EXPECT_U64(simulated.summary.prefix_hit_tokens, hits);
    EXPECT_CLOSE((double)simulated.summary.end_ns / 1e9, end_s, 0.002);
    simulated_fini(&simulated);
    validate_case_delete(run);
}

static void llmservingsim_is_reproduced_with_its_table_and_loop(void)
{
    check_llmservingsim(&rtx_4090, 6137, 194, 4848, 183.706634969);
    check_llmservingsim(&rtx_pro_6000, 2263, 0, 20448, 162.054499829);
}

static void rtx_4090_within_one_percent_with_two_factors(void)
{
    check_scaled(&rtx_4090);
}

static void rtx_pro_6000_within_one_percent_with_two_factors(void)
{
    check_scaled(&rtx_pro_6000);
}

static void rtx_4090_within_six_percent_from_its_profile(void)
{
    check_profile_alone(&rtx_4090);
}

static void rtx_pro_6000_within_six_percent_from_its_profile(void)
{
    check_profile_alone(&rtx_pro_6000);
}

static void factors_of_the_rtx_4090_are_found_again(void)
{
    check_autoscale(&rtx_4090);
}

static void factors_of_the_rtx_pro_6000_are_found_again(void)
{
    check_autoscale(&rtx_pro_6000);
}

static void single_steps_give_the_same_recorded_runs(void)
{
    check_step_by_step(&rtx_4090);
    check_step_by_step(&rtx_pro_6000);
}

HARNESS_MAIN("validate", TEST(rtx_4090_within_one_percent_with_two_factors),
             TEST(rtx_pro_6000_within_one_percent_with_two_factors),
             TEST(rtx_4090_within_six_percent_from_its_profile),
             TEST(rtx_pro_6000_within_six_percent_from_its_profile),
             TEST(factors_of_the_rtx_4090_are_found_again),
             TEST(factors_of_the_rtx_pro_6000_are_found_again),
             TEST(llmservingsim_is_reproduced_with_its_table_and_loop),
             TEST(single_steps_give_the_same_recorded_runs))
