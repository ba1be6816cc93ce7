/* SPDX-License-Identifier: Apache-2.0
 *
 * A replay as a result file of `vllm bench serve`: figures by hand for three requests,
 * one of which failed.
 */
#include "base/json.h"
#include "cli/live/bench_json.h"
#include "tests/harness.h"
#include "tests/json_fixture.h"

static const int64_t ms = 1000000;

static double figure(const struct json *root, const char *key)
{
    double value = -1;
    EXPECT(json_f64(json_get(root, key), &value));
    return value;
}

static struct run_record *three_requests(void)
{
    struct run_record *run = run_record_new(&(struct run_info){.name = "live"});
    const struct request_row rows[] = {
        {.arrival_ns = 0,
         .first_token_ns = 100 * ms,
         .end_ns = 500 * ms,
         .status = REQUEST_COMPLETED,
         .prompt_tokens = 10,
         .output_tokens = 5},
        {.arrival_ns = 500 * ms,
         .first_token_ns = 800 * ms,
         .end_ns = 1000 * ms,
         .status = REQUEST_COMPLETED,
         .prompt_tokens = 30,
         .output_tokens = 2},
        {.arrival_ns = 1000 * ms,
         .first_token_ns = RUN_TIME_NONE,
         .end_ns = 2000 * ms,
         .status = REQUEST_REJECTED,
         .prompt_tokens = 50},
    };
    for (size_t i = 0; i < 3; i++) {
        EXPECT(run_add_request(run, &rows[i]));
    }
    run->totals.requests = 3;
    run->totals.status_count[REQUEST_COMPLETED] = 2;
    run->totals.prompt_tokens = 40;
    run->totals.output_tokens = 7;
    run->totals.end_ns = 2000 * ms;
    return run;
}

static void figures_are_those_of_the_clients_definitions(void)
{
    struct run_record *run = three_requests();
    const int64_t gaps_ns[] = {100 * ms, 100 * ms, 100 * ms, 100 * ms, 200 * ms};
    const struct bench_facts facts = {"openai", "m", "2026-01-31T12:00:00Z", gaps_ns,
                                      5};
    struct text out = {0};
    struct json *root = NULL;
    struct err err = {0};
    bench_json_write(&facts, run, &out);
    REQUIRE_OK(json_parse(&root, "out", out.bytes, out.length, &err), &err);
    EXPECT_NEAR(figure(root, "completed"), 2, 0);
    EXPECT_NEAR(figure(root, "failed"), 1, 0);
    EXPECT_NEAR(figure(root, "duration"), 2, 1e-9);
    EXPECT_NEAR(figure(root, "request_rate"), 3, 1e-9);
    EXPECT_NEAR(figure(root, "request_throughput"), 1, 1e-9);
    EXPECT_NEAR(figure(root, "output_throughput"), 3.5, 1e-9);
    EXPECT_NEAR(figure(root, "total_token_throughput"), 23.5, 1e-9);
    EXPECT_NEAR(figure(root, "mean_ttft_ms"), 200, 1e-9);
    EXPECT_NEAR(figure(root, "std_ttft_ms"), 100, 1e-9);
    EXPECT_NEAR(figure(root, "p99_ttft_ms"), 298, 1e-9); /* 100 + 0.99 * 200 */
    EXPECT_NEAR(figure(root, "mean_tpot_ms"), 150, 1e-9);
    EXPECT_NEAR(figure(root, "median_itl_ms"), 100, 1e-9);
    EXPECT_NEAR(figure(root, "mean_itl_ms"), 120, 1e-9);
    EXPECT_NEAR(figure(root, "mean_e2el_ms"), 500, 1e-9);
    EXPECT_U64(json_count(json_get(root, "ttfts")), 3);
    EXPECT_STR(json_str(json_at(json_get(root, "errors"), 0)), "");
    EXPECT_STR(json_str(json_at(json_get(root, "errors"), 2)), "rejected");
    json_delete(root);
    text_fini(&out);
    run_record_delete(run);
}

HARNESS_MAIN("bench_json", TEST(figures_are_those_of_the_clients_definitions))
