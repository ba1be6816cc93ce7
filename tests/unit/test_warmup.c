/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run leaves out at its start, and what its metrics are then: by hand.
 */
#include "base/rng.h"
#include "reports/run.h"
#include "reports/warmup.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <math.h>
#include <string.h>

#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

static void rules_are_read_with_their_units(void)
{
    struct warmup_rule rule;
    struct err err;
    REQUIRE_OK(warmup_parse("", &rule, &err), &err);
    EXPECT_U64(rule.kind, WARMUP_NONE);
    REQUIRE_OK(warmup_parse("none", &rule, &err), &err);
    EXPECT_U64(rule.kind, WARMUP_NONE);
    REQUIRE_OK(warmup_parse("auto", &rule, &err), &err);
    EXPECT_U64(rule.kind, WARMUP_AUTO);
    REQUIRE_OK(warmup_parse("1.5s", &rule, &err), &err);
    EXPECT_U64(rule.kind, WARMUP_TIME);
    EXPECT_I64(rule.time_ns, 1500 * MS);
    REQUIRE_OK(warmup_parse("1000 requests", &rule, &err), &err);
    EXPECT_U64(rule.kind, WARMUP_REQUESTS);
    EXPECT_U64(rule.requests, 1000);
    REQUIRE_OK(warmup_parse("12requests", &rule, &err), &err);
    EXPECT_U64(rule.requests, 12);
    static const char *const wrong[] = {"1000",        "requests",     " requests",
                                        "-1 requests", "1.5 requests", "automatic",
                                        "5%"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        harness_note("'%s'", wrong[i]);
        EXPECT_FAILS(warmup_parse(wrong[i], &rule, &err), &err, "no warm-up");
    }
}

/* Arrivals at 1, 2 ... `count` s; TTFT 300 ms for the first `slow` and 100 ms then; ten
 * gaps of 10 ms; the i-th ends at i s + TTFT + 100 ms. */
static struct run_record *steps(const char *rule, size_t count, size_t slow)
{
    const struct run_info info = {
        .name = "steps", .warmup = rule, .slo_ttft_ns = 200 * MS};
    struct run_record *run = run_record_new(&info);
    for (size_t i = 1; i <= count; i++) {
        const int64_t arrival_ns = (int64_t)i * S;
        const int64_t ttft_ns = i <= slow ? 300 * MS : 100 * MS;
        const struct request_row row = {
            .request_id = i,
            .arrival_ns = arrival_ns,
            .queued_ns = arrival_ns,
            .scheduled_ns = arrival_ns,
            .first_token_ns = arrival_ns + ttft_ns,
            .end_ns = arrival_ns + ttft_ns + 100 * MS,
            .status = REQUEST_COMPLETED,
            .prompt_tokens = 10,
            .output_tokens = 11,
            .cached_tokens = i <= slow ? 0 : 5,
            .preemptions = i <= slow ? 1 : 0,
            .recomputed_tokens = i <= slow ? 10 : 0,
        };
        (void)run_add_request(run, &row);
        sample_count(&run->totals, &row);
    }
    run->totals.first_arrival_ns = S;
    return run;
}

static double value(const struct run_record *run, enum metric metric)
{
    return run->metrics.value[metric];
}

/* Of 10 requests the first 4 are left out: 5 s to 10.2 s, six with TTFT 100 ms. */
static void expect_six_of_ten(const char *rule)
{
    struct err err;
    struct run_record *run = steps(rule, 10, 4);
    harness_note("%s", rule);
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_U64(run->warmup.requests, 4);
    EXPECT(run->warmup.counted_from_ns > 4 * S && run->warmup.counted_from_ns <= 5 * S);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_MEAN), 100, 1e-9);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_MAX), 100, 1e-9);
    EXPECT_NEAR(value(run, METRIC_DURATION_S), 5.2, 1e-9);
    EXPECT_NEAR(value(run, METRIC_REQUESTS_PER_S), 6 / 5.2, 1e-9);
    EXPECT_NEAR(value(run, METRIC_OUTPUT_TOKENS_PER_S), 66 / 5.2, 1e-9);
    EXPECT_NEAR(value(run, METRIC_GOODPUT_PER_S), 6 / 5.2, 1e-9);
    EXPECT_NEAR(value(run, METRIC_SLO_RATIO), 1, 1e-12);
    EXPECT_NEAR(value(run, METRIC_PREFIX_HIT_RATIO), 0.5, 1e-12);
    EXPECT_NEAR(value(run, METRIC_PREEMPTIONS), 0, 0);
    EXPECT_NEAR(value(run, METRIC_RECOMPUTED_TOKENS), 0, 0);
    EXPECT_NEAR(value(run, METRIC_COMPLETED_RATIO), 1, 1e-12);
    EXPECT_U64(run->request_count, 10);
    run_record_delete(run);
}

static void what_arrived_before_the_cut_counts_nowhere(void)
{
    expect_six_of_ten("4s");
    expect_six_of_ten("3.5s");
    expect_six_of_ten("4 requests");
}

static void without_a_rule_everything_counts(void)
{
    static const char *const rules[] = {"", "none", "0s", "0 requests"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct err err;
        struct run_record *run = steps(rules[i], 10, 4);
        harness_note("'%s'", rules[i]);
        REQUIRE_OK(metrics_compute(run, &err), &err);
        EXPECT_U64(run->warmup.requests, 0);
        EXPECT_I64(run->warmup.counted_from_ns, RUN_TIME_NONE);
        EXPECT_NEAR(value(run, METRIC_TTFT_MS_MEAN), 180, 1e-9);
        EXPECT_NEAR(value(run, METRIC_DURATION_S), 9.2, 1e-9);
        EXPECT_NEAR(value(run, METRIC_PREEMPTIONS), 4, 0);
        EXPECT_NEAR(value(run, METRIC_PREFIX_HIT_RATIO), 0.3, 1e-12);
        run_record_delete(run);
    }
}

static void a_rule_longer_than_the_run_leaves_nothing(void)
{
    static const char *const rules[] = {"1h", "10 requests", "11 requests"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct err err;
        struct run_record *run = steps(rules[i], 10, 4);
        harness_note("%s", rules[i]);
        REQUIRE_OK(metrics_compute(run, &err), &err);
        EXPECT_U64(run->warmup.requests, 10);
        EXPECT(isnan(value(run, METRIC_TTFT_MS_MEAN)));
        EXPECT(isnan(value(run, METRIC_DURATION_S)));
        EXPECT(isnan(value(run, METRIC_REQUESTS_PER_S)));
        EXPECT(isnan(value(run, METRIC_SLO_RATIO)));
        run_record_delete(run);
    }
}

/* A step of 300 to 100 ms after 40 of 200 requests: MSER-5 cuts whole fives, at 40. */
static void the_automatic_rule_finds_a_step(void)
{
    struct err err;
    struct text said = {0};
    struct run_record *run = steps("auto", 200, 40);
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_U64(run->warmup.requests, 40);
    EXPECT(run->warmup.settled);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_MEAN), 100, 1e-9);
    warmup_describe(run, &said);
    EXPECT_STR(text_str(&said), "first 40 requests cut (40.0 s), found by MSER-5");
    text_fini(&said);
    run_record_delete(run);
    harness_note("who did not ask for it is told");
    run = steps("none", 200, 40);
    REQUIRE_OK(metrics_compute(run, &err), &err);
    warmup_advise(run, &said);
    EXPECT_HAS(text_str(&said), "steps warms up for some 40.0 s by MSER-5");
    EXPECT_HAS(text_str(&said), "mean TTFT is 100.0 instead of 140.0 ms");
    text_fini(&said);
    run_record_delete(run);
    harness_note("a queue that only grows");
    run = steps("auto", 200, 0);
    for (size_t i = 0; i < run->request_count; i++) {
        run->requests[i].first_token_ns += (int64_t)i * 10 * MS;
        run->requests[i].end_ns += (int64_t)i * 10 * MS;
    }
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_U64(run->warmup.requests, 0);
    EXPECT(!run->warmup.settled);
    warmup_describe(run, &said);
    EXPECT_HAS(text_str(&said), "never settles");
    text_fini(&said);
    run_record_delete(run);
}

static void runs_side_by_side_leave_out_the_same_requests(void)
{
    struct err err;
    struct run_record *runs[3] = {steps("auto", 200, 40), steps("auto", 200, 0),
                                  steps("auto", 200, 60)};
    for (size_t i = 0; i < 3; i++) {
        REQUIRE_OK(metrics_compute(runs[i], &err), &err);
    }
    EXPECT_U64(runs[0]->warmup.requests, 40);
    warmup_align(runs, 3);
    for (size_t i = 0; i < 3; i++) {
        harness_note("run %zu", i);
        EXPECT_U64(runs[i]->warmup.requests, 60);
        EXPECT_NEAR(value(runs[i], METRIC_TTFT_MS_MEAN), 100, 1e-9);
        EXPECT_NEAR(value(runs[i], METRIC_DURATION_S), 139.2, 1e-9);
        run_record_delete(runs[i]);
    }
}

/* 200 requests in 20 batches of ten; TTFT is the same in all, within the SLO is what
 * every tenth request is not: no batch differs from another. */
static void a_run_alone_has_intervals(void)
{
    struct err err;
    struct run_record *run = steps("none", 200, 0);
    for (size_t i = 0; i < run->request_count; i += 10) {
        run->requests[i].first_token_ns += 200 * MS;
        run->requests[i].end_ns += 200 * MS;
    }
    run_want_intervals(run);
    REQUIRE_OK(metrics_compute(run, &err), &err);
    const struct metric_intervals *intervals = run->intervals;
    EXPECT_NEAR(intervals->of[METRIC_TTFT_MS_MEAN].low, 120, 1);
    EXPECT_NEAR(intervals->of[METRIC_TTFT_MS_MEAN].high, 120, 1);
    EXPECT_NEAR(intervals->of[METRIC_TTFT_MS_P50].low, 100, 1e-9);
    EXPECT_NEAR(intervals->of[METRIC_TTFT_MS_P50].high, 100, 1e-9);
    EXPECT_NEAR(intervals->of[METRIC_SLO_RATIO].low, 0.9, 0.01);
    EXPECT_NEAR(intervals->of[METRIC_SLO_RATIO].high, 0.9, 0.01);
    EXPECT(isnan(intervals->of[METRIC_TTFT_MS_MAX].low));
    EXPECT(isnan(intervals->of[METRIC_REQUESTS_PER_S].low));
    run_record_delete(run);
    harness_note("too few requests for batches");
    run = steps("none", 30, 0);
    run_want_intervals(run);
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT(isnan(run->intervals->of[METRIC_TTFT_MS_MEAN].low));
    run_record_delete(run);
}

/* Two engines of 2 GPUs, 9.2 s: 4 * 9.2 / 3600 GPU-hours at 1 to 3 $. 110 tokens. One
 * works half the time at 100 W, the other never, idle 10 W: 2 * (100 * 4.6 + 10 * 4.6 +
 * 10 * 9.2) = 1196 J. */
static void what_a_fleet_costs_by_hand(void)
{
    struct err err;
    struct run_record *run = steps("none", 10, 4);
    for (uint32_t i = 0; i < 2; i++) {
        const struct engine_row row = {
            .gpus = 2,
            .busy_ns = i == 0 ? 4600 * MS : 0,
            .power_w = 100,
            .power_idle_w = 10,
            .price_per_hour_low = 1,
            .price_per_hour_high = 3,
        };
        (void)run_add_engine(run, &row);
    }
    REQUIRE_OK(metrics_compute(run, &err), &err);
    const double hours = 4 * 9.2 / 3600;
    EXPECT_NEAR(value(run, METRIC_GPU_HOURS), hours, 1e-12);
    EXPECT_NEAR(value(run, METRIC_USD_PER_MTOK_LOW), hours / 110 * 1e6, 1e-9);
    EXPECT_NEAR(value(run, METRIC_USD_PER_MTOK_HIGH), 3 * hours / 110 * 1e6, 1e-9);
    EXPECT_NEAR(value(run, METRIC_ENERGY_KWH), 1196 / 3.6e6, 1e-12);
    EXPECT_NEAR(value(run, METRIC_JOULES_PER_TOKEN), 1196.0 / 110, 1e-9);
    harness_note("half of the work of two stages is bubbles: 90 W x 2 x 2.3 s less");
    run->engines[0].counters[COUNTER_STAGE_0_BUSY_NS] = 3600 * MS;
    run->engines[0].counters[COUNTER_STAGE_1_BUSY_NS] = 1000 * MS;
    run->engines[0].counters[COUNTER_PIPELINE_BUBBLE_NS] = 4600 * MS;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_NEAR(value(run, METRIC_ENERGY_KWH), (1196 - 414) / 3.6e6, 1e-12);
    harness_note("one engine without a price");
    run->engines[1].price_per_hour_low = 0;
    run->engines[1].power_w = 0;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT(isnan(value(run, METRIC_USD_PER_MTOK_LOW)));
    EXPECT(isnan(value(run, METRIC_ENERGY_KWH)));
    EXPECT_NEAR(value(run, METRIC_GPU_HOURS), hours, 1e-12);
    run_record_delete(run);
}

/* Three engines of 2 GPUs, from 0 to 9.2 s: one has its GPUs all the time, a second one
 * from 2.2 s to 6.2 s, the third never: 2 * (9.2 + 4) GPU-seconds. One works 4.6 s at
 * 100 W, the rest of 13.2 s is idle at 10 W, on 2 GPUs each: 2 * (460 + 86) J. */
static void gpus_cost_while_pods_hold_them(void)
{
    struct err err;
    struct run_record *run = steps("none", 10, 4);
    const int64_t from_ns = run->totals.first_arrival_ns;
    for (uint32_t i = 0; i < 3; i++) {
        const struct engine_row row = {
            .pool = "p",
            .gpus = 2,
            .busy_ns = i == 0 ? 4600 * MS : 0,
            .power_w = 100,
            .power_idle_w = 10,
            .price_per_hour_low = 1,
            .price_per_hour_high = 3,
        };
        (void)run_add_engine(run, &row);
    }
    const struct pool_size_row sizes[] = {
        {from_ns - 1000 * MS, "p", 1, 1, 1}, /* before anything arrives */
        {from_ns + 2200 * MS, "p", 2, 2, 1},
        {from_ns + 3000 * MS, "p", 2, 2, 2},
        {from_ns + 6200 * MS, "p", 1, 1, 1},
        {from_ns + 100000 * MS, "p", 3, 3, 1}, /* after the last end */
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        (void)run_add_pool_size(run, &sizes[i]);
    }
    REQUIRE_OK(metrics_compute(run, &err), &err);
    const double hours = 2 * 13.2 / 3600;
    EXPECT_NEAR(value(run, METRIC_GPU_HOURS), hours, 1e-12);
    EXPECT_NEAR(value(run, METRIC_USD_PER_MTOK_LOW), hours / 110 * 1e6, 1e-9);
    EXPECT_NEAR(value(run, METRIC_ENERGY_KWH), 1092 / 3.6e6, 1e-12);
    run_record_delete(run);
}

HARNESS_MAIN("unit.warmup", TEST(rules_are_read_with_their_units),
             TEST(what_arrived_before_the_cut_counts_nowhere),
             TEST(without_a_rule_everything_counts),
             TEST(a_rule_longer_than_the_run_leaves_nothing),
             TEST(the_automatic_rule_finds_a_step),
             TEST(runs_side_by_side_leave_out_the_same_requests),
             TEST(a_run_alone_has_intervals), TEST(what_a_fleet_costs_by_hand),
             TEST(gpus_cost_while_pods_hold_them))
