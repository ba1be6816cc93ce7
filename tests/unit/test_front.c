/* SPDX-License-Identifier: Apache-2.0
 *
 * Several replicas of the router: what they share (the ring, the engines' truth) and
 * what they do not.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { REQUESTS = 1000, ENGINES = 8 };

struct record {
    uint32_t endpoint[REQUESTS]; /* by request id */
    uint64_t decisions;
    struct sim_summary summary;
};

static void saw_decision(void *context, const struct decision_row *row)
{
    struct record *record = context;
    REQUIRE(row->request->request_id < REQUESTS);
    record->endpoint[row->request->request_id] =
        row->endpoint != NULL ? row->endpoint->id : UINT32_MAX;
    record->decisions++;
}

static void run(struct record *record, const char *routing, bool step_by_step)
{
    char yaml[1024];
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    snprintf(yaml, sizeof yaml,
             "workload:\n  generate:\n    - requests: %d\n"
             "      arrival: {kind: poisson, rate_per_s: 100}\n"
             "      prefix: {groups: 40, tokens: 500, zipf: 0.5}\n"
             "      input: {kind: uniform, min: 16, max: 400}\n      output: 60\n"
             "cluster:\n  pools:\n    - {gpu: h100_sxm, model: llama_3_1_8b, replicas: "
             "%d}\n%s",
             REQUESTS, ENGINES, routing);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const struct observer observer = {.context = record, .on_decision = saw_decision};
    const struct sim_options how = {.step_by_step = step_by_step};
    harness_note("%s", routing);
    REQUIRE_OK(
        scenario_parse(&scenario, "front.yaml", yaml, strlen(yaml), &options, &err),
        &err);
    REQUIRE_OK(workload_open_conf(&workload, scenario->workload, 1, ".", &err), &err);
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    *record = (struct record){0};
    REQUIRE_OK(sim_run(sim, UINT64_MAX, &err) == SIM_DONE, &err);
    sim_summarise(sim, &record->summary);
    EXPECT_U64(record->summary.requests, REQUESTS);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
}

static void all_replicas_hash_a_session_to_one_engine(void)
{
    static struct record one;
    static struct record four;
    run(&one, "routing: {policy: session}\n", false);
    run(&four, "routing: {policy: session, replicas: 4}\n", false);
    EXPECT(memcmp(one.endpoint, four.endpoint, sizeof one.endpoint) == 0);
}

/* One replica sends every eighth request to each engine; three of them drift apart. */
static void replicas_do_not_share_their_turn(void)
{
    static struct record one;
    static struct record three;
    run(&one, "routing: {policy: round_robin}\n", false);
    run(&three, "routing: {policy: round_robin, replicas: 3}\n", false);
    size_t in_turn[2] = {0};
    for (size_t i = 1; i < REQUESTS; i++) {
        in_turn[0] += one.endpoint[i] == (one.endpoint[i - 1] + 1) % ENGINES;
        in_turn[1] += three.endpoint[i] == (three.endpoint[i - 1] + 1) % ENGINES;
    }
    EXPECT_U64(in_turn[0], REQUESTS - 1);
    EXPECT(in_turn[1] < REQUESTS / 2);
}

/* What one replica sent the others do not know: fewer prompts are found. */
static void replicas_do_not_share_what_they_sent(void)
{
    static struct record one;
    static struct record eight;
    run(&one, "routing: {policy: prefix_aware}\n", false);
    run(&eight, "routing: {policy: prefix_aware, replicas: 8}\n", false);
    EXPECT(eight.summary.prefix_hit_tokens < one.summary.prefix_hit_tokens);
    EXPECT(eight.summary.policy_bytes > one.summary.policy_bytes);
}

/* Engines tell every replica of what they cache, so an index of events is whole. */
static void both_modes_agree_with_queues_scrapes_and_events(void)
{
    static const char *const routings[] = {
        "routing: {policy: weighted_sum, replicas: 3, scrape_interval: 500ms}\n"
        "admission: {policy: concurrency_gate, params: {total_max: 12}}\n",
        "routing: {policy: least_kv, replicas: 2, scrape_interval: 0s}\n",
    };
    static struct record fast;
    static struct record steps;
    for (size_t i = 0; i < sizeof routings / sizeof routings[0]; i++) {
        run(&fast, routings[i], false);
        run(&steps, routings[i], true);
        EXPECT_U64(steps.summary.digest, fast.summary.digest);
        EXPECT(memcmp(fast.endpoint, steps.endpoint, sizeof fast.endpoint) == 0);
    }
}

HARNESS_MAIN("unit.front", TEST(all_replicas_hash_a_session_to_one_engine),
             TEST(replicas_do_not_share_their_turn),
             TEST(replicas_do_not_share_what_they_sent),
             TEST(both_modes_agree_with_queues_scrapes_and_events))
