/* SPDX-License-Identifier: Apache-2.0
 *
 * reports/summary.h: the metrics of three requests, by hand.
 */
#include "reports/run.h"
#include "reports/summary.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

#define MS INT64_C(1000000)

static struct request_row completed(int64_t arrival_ns, int64_t ttft_ns, int64_t e2e_ns,
                                    uint32_t output_tokens)
{
    return (struct request_row){
        .arrival_ns = arrival_ns,
        .queued_ns = arrival_ns,
        .scheduled_ns = arrival_ns + ttft_ns / 2,
        .first_token_ns = arrival_ns + ttft_ns,
        .end_ns = arrival_ns + e2e_ns,
        .status = REQUEST_COMPLETED,
        .prompt_tokens = 10,
        .output_tokens = output_tokens,
    };
}

/* TTFT 100, 200, 300 ms; TPOT 10 and 30 ms (the second has one token); one rejected. */
static struct run_record *three_and_one(const struct run_info *info)
{
    struct run_record *const run = run_record_new(info);
    const struct request_row rows[] = {
        completed(0, 100 * MS, 200 * MS, 11),
        completed(500 * MS, 200 * MS, 200 * MS, 1),
        completed(1000 * MS, 300 * MS, 900 * MS, 21),
        {.arrival_ns = 1500 * MS,
         .queued_ns = RUN_TIME_NONE,
         .scheduled_ns = RUN_TIME_NONE,
         .first_token_ns = RUN_TIME_NONE,
         .end_ns = 1500 * MS,
         .status = REQUEST_REJECTED,
         .engine = RUN_ENGINE_NONE},
    };
    for (size_t i = 0; i < 4; i++) {
        (void)run_add_request(run, &rows[i]);
    }
    run->totals.requests = 4;
    run->totals.status_count[REQUEST_COMPLETED] = 3;
    run->totals.status_count[REQUEST_REJECTED] = 1;
    run->totals.output_tokens = 33;
    run->totals.prefix_query_tokens = 30;
    run->totals.prefix_hit_tokens = 12;
    run->totals.preemptions = 2;
    run->totals.first_arrival_ns = 0;
    run->totals.end_ns = 2000 * MS;
    run->totals.load_imbalance = 1.5;
    return run;
}

static double value(const struct run_record *run, enum metric metric)
{
    return run->metrics.value[metric];
}

static void latencies_are_those_of_completed_requests(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = three_and_one(&info);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_MEAN), 200.0, 1e-9);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_P50), 200.0, 1e-9);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_P90), 280.0, 1e-9);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_P99), 298.0, 1e-9);
    EXPECT_NEAR(value(run, METRIC_TTFT_MS_MAX), 300.0, 1e-9);
    EXPECT_NEAR(value(run, METRIC_E2E_MS_MEAN), 1300.0 / 3.0, 1e-6);
    EXPECT_NEAR(value(run, METRIC_QUEUE_MS_P50), 100.0, 1e-9);
    run_record_delete(run);
}

static void tpot_leaves_out_requests_with_one_token(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = three_and_one(&info);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_NEAR(value(run, METRIC_TPOT_MS_MEAN), 20.0, 1e-9); /* of 10 and 30 */
    EXPECT_NEAR(value(run, METRIC_TPOT_MS_MAX), 30.0, 1e-9);
    run_record_delete(run);
}

static void rates_count_from_first_arrival_to_last_end(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = three_and_one(&info);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_NEAR(value(run, METRIC_DURATION_S), 2.0, 1e-12);
    EXPECT_NEAR(value(run, METRIC_REQUESTS_PER_S), 1.5, 1e-12);
    EXPECT_NEAR(value(run, METRIC_OUTPUT_TOKENS_PER_S), 16.5, 1e-12);
    EXPECT_NEAR(value(run, METRIC_PREFIX_HIT_RATIO), 0.4, 1e-12);
    EXPECT_NEAR(value(run, METRIC_COMPLETED_RATIO), 0.75, 1e-12);
    EXPECT_NEAR(value(run, METRIC_PREEMPTIONS), 2.0, 0.0);
    EXPECT_NEAR(value(run, METRIC_LOAD_IMBALANCE), 1.5, 0.0);
    run_record_delete(run);
}

static void goodput_counts_requests_within_every_target(void)
{
    /* The first meets both; the second only has a TTFT, and meets it; the third is too
     * slow in TPOT. */
    const struct run_info info = {
        .name = "a", .slo_ttft_ns = 300 * MS, .slo_tpot_ns = 10 * MS};
    struct run_record *const run = three_and_one(&info);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT_NEAR(value(run, METRIC_GOODPUT_PER_S), 1.0, 1e-12);
    EXPECT_NEAR(value(run, METRIC_SLO_RATIO), 0.5, 1e-12);
    run_record_delete(run);
}

static void without_targets_goodput_is_unknown(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = three_and_one(&info);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT(isnan(value(run, METRIC_GOODPUT_PER_S)));
    EXPECT(isnan(value(run, METRIC_SLO_RATIO)));
    run_record_delete(run);
}

static void rows_that_contradict_the_totals_are_refused(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = three_and_one(&info);
    run->totals.status_count[REQUEST_COMPLETED] = 4;
    struct err err;
    EXPECT_FAILS(metrics_compute(run, &err), &err, "3 rows of completed requests");
    run_record_delete(run);
}

static void an_empty_run_has_no_figures(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = run_record_new(&info);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    EXPECT(isnan(value(run, METRIC_TTFT_MS_MEAN)));
    EXPECT(isnan(value(run, METRIC_REQUESTS_PER_S)));
    EXPECT(isnan(value(run, METRIC_PREFIX_HIT_RATIO)));
    run_record_delete(run);
}

static void ratios_are_shown_in_percent(void)
{
    char shown[32];
    metric_format(METRIC_PREFIX_HIT_RATIO, 0.1234, shown, sizeof shown);
    EXPECT_STR(shown, "12.3");
    metric_format(METRIC_TTFT_MS_P99, 1234.56, shown, sizeof shown);
    EXPECT_STR(shown, "1234.6");
    metric_format(METRIC_TTFT_MS_P99, (double)NAN, shown, sizeof shown);
    EXPECT_STR(shown, "-");
}

static void every_metric_is_found_by_its_name(void)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        EXPECT_U64(metric_by_name(metric_info((enum metric)i)->name), i);
    }
    EXPECT_U64(metric_by_name("ttft_s"), METRIC_COUNT);
}

/* The record must not hold on to the caller's strings, and may be given its own. */
static void a_record_owns_its_strings(void)
{
    char name[] = "first";
    struct run_info info = {.name = name};
    struct run_record *const run = run_record_new(&info);
    memcpy(name, "other", sizeof name);
    EXPECT_STR(run->info.name, "first");
    EXPECT_STR(run->info.notes, "");
    info = run->info;
    info.notes = "added";
    run_set_info(run, &info);
    EXPECT_STR(run->info.name, "first");
    EXPECT_STR(run->info.notes, "added");
    run_record_delete(run);
}

HARNESS_MAIN("metrics", TEST(latencies_are_those_of_completed_requests),
             TEST(tpot_leaves_out_requests_with_one_token),
             TEST(rates_count_from_first_arrival_to_last_end),
             TEST(goodput_counts_requests_within_every_target),
             TEST(without_targets_goodput_is_unknown),
             TEST(rows_that_contradict_the_totals_are_refused),
             TEST(an_empty_run_has_no_figures), TEST(ratios_are_shown_in_percent),
             TEST(every_metric_is_found_by_its_name), TEST(a_record_owns_its_strings))
