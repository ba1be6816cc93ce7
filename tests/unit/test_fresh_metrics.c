/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fresh_metrics.c: with `scrape_interval: 0s` a policy sees the engines as they
 * are, with any other one as they were.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

/* What the policy saw: waiting requests, and how old that was. */
struct seen {
    uint32_t waiting[8];
    int64_t age_ns[8];
    uint32_t count;
};

/* A policy has no context; its parameter table could not carry a pointer either. */
static struct seen all;

static struct route_decision watch(void *state, const struct cluster_view *view,
                                   const struct request_view *request)
{
    (void)state;
    (void)request;
    const struct endpoint_metrics *metrics = &view->endpoints[0]->metrics;
    REQUIRE(all.count < 8);
    all.waiting[all.count] = metrics->waiting_requests;
    all.age_ns[all.count++] = view->now_ns - metrics->scraped_ns;
    return (struct route_decision){.candidates = 1};
}

static const struct route_policy watching = {.name = "watching",
                                             .help = "looks",
                                             .source = "this test",
                                             .needs = NEED_METRICS,
                                             .state_bytes = 1,
                                             .pick = watch};

/* One engine that serves one request at a time, a second each, and four arrivals. */
static void run(const char *interval)
{
    static const char trace[] = "arrival_ms,input_tokens,output_tokens\n"
                                "100,10,1\n200,10,1\n300,10,1\n1200,10,1\n";
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    char text[1024];
    snprintf(text, sizeof text,
             "workload: {trace: '%s', format: lengths}\n"
             "cluster:\n  pools:\n    - gpu: l4\n      model: opt_125m\n"
             "      engine: {max_num_seqs: 1, async_scheduling: false}\n"
             "      cost: {model: linear, step: 1s}\n"
             "routing: {policy: round_robin, scrape_interval: %s}\n",
             harness_temp_file("t.csv", trace, strlen(trace)), interval);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(scenario_parse(&scenario, "test", text, strlen(text), &options, &err),
               &err);
    scenario->policy = &watching;
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    const struct sim_options how = {.check_invariants = true};
    REQUIRE_OK(sim_new(&sim, scenario, workload, NULL, &how, &err), &err);
    all.count = 0;
    REQUIRE(sim_run(sim, UINT64_MAX, &err) == SIM_DONE);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    EXPECT_U64(all.count, 4);
}

static void interval_of_zero_shows_the_queue_as_it_is(void)
{
    static const uint32_t waiting[] = {0, 0, 1, 1};
    run("0s");
    for (uint32_t i = 0; i < all.count; i++) {
        harness_note("arrival %u", i);
        EXPECT_U64(all.waiting[i], waiting[i]);
        EXPECT_I64(all.age_ns[i], 0);
    }
}

static void scrapes_show_it_as_it_was(void)
{
    static const uint32_t waiting[] = {0, 0, 0, 2};
    static const int64_t age_ms[] = {100, 200, 300, 200};
    run("1s");
    for (uint32_t i = 0; i < all.count; i++) {
        harness_note("arrival %u", i);
        EXPECT_U64(all.waiting[i], waiting[i]);
        EXPECT_I64(all.age_ns[i], age_ms[i] * 1000000);
    }
}

HARNESS_MAIN("fresh_metrics", TEST(interval_of_zero_shows_the_queue_as_it_is),
             TEST(scrapes_show_it_as_it_was))
