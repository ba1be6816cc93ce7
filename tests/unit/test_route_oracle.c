/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle: what it takes the least of, that no router can have it, and how far what it
 * expects is from what comes.
 */
#include "policies/gateway.h"
#include "policies/oracle.h"
#include "sim/sim.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- answers of a table ------------------------------------------------------------
 */

enum { ENDPOINTS = 3 };

static const struct oracle_outlook outlooks[ENDPOINTS] = {
    {.first_token_ns = 10, .end_ns = 90, .delay_ns = 30, .cached_tokens = 1},
    {.first_token_ns = 30, .end_ns = 80, .delay_ns = 50, .cached_tokens = 2},
    {.first_token_ns = 20, .end_ns = 100, .delay_ns = 10, .cached_tokens = 3},
};

static void ask(void *context, uint32_t endpoint_id, const struct request_view *request,
                struct oracle_outlook *outlook)
{
    (void)context;
    (void)request;
    *outlook = outlooks[endpoint_id];
}

static void each_goal_takes_the_least_of_its_own(void)
{
    const struct oracle oracle = {.ask = ask};
    const uint32_t expected_id[] = {2, 1, 0};
    const double expected_cost_ms[] = {110e-6, 80e-6, 10e-6};
    for (int goal = 0; goal < 3; goal++) {
        struct gateway *gateway = NULL;
        struct err err;
        const char *const name = "goal";
        const double value = goal;
        const struct gateway_setup setup = {.policy = route_policy_find("oracle"),
                                            .compat = COMPAT_HEAD,
                                            .param_names = &name,
                                            .param_values = &value,
                                            .param_count = 1,
                                            .oracle = &oracle};
        REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
        (void)gateway_join(gateway, "http://a", NULL, 1);
        (void)gateway_join(gateway, "http://b", NULL, 1);
        (void)gateway_join(gateway, "http://c", NULL, 1);
        const struct request_view request = {.request_id = 1};
        uint32_t id = UINT32_MAX;
        const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
        EXPECT_U64(id, expected_id[goal]);
        EXPECT_NEAR(decision.score, expected_cost_ms[goal], 1e-15);
        EXPECT_U64(decision.matched_length, outlooks[id].cached_tokens);
        gateway_delete(gateway);
    }
}

static void a_router_is_refused(void)
{
    struct gateway *gateway = NULL;
    struct err err;
    const struct gateway_setup setup = {.policy = route_policy_find("oracle"),
                                        .compat = COMPAT_HEAD};
    EXPECT_FAILS(gateway_new(&gateway, &setup, &err), &err, "only a simulation");
}

/* ---- whole runs --------------------------------------------------------------------
 */

enum { REQUESTS = 600 };

struct run {
    double expected_ms[REQUESTS + 1];
    double worst_ms; /* of |expected - came| */
    double mean_ms;  /* end to end */
    bool first_token;
    uint64_t hits;
};

static void saw_decision(void *context, const struct decision_row *row)
{
    struct run *run = context;
    REQUIRE(row->request->request_id <= REQUESTS);
    run->expected_ms[row->request->request_id] = row->decision.score;
}

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct run *run = context;
    const int64_t until_ns =
        run->first_token ? outcome->first_token_ns : outcome->end_ns;
    const double came_ms = (double)(until_ns - outcome->arrival_ns) / 1e6;
    const double off_ms = came_ms - run->expected_ms[outcome->request_id];
    const double distance_ms = off_ms < 0 ? -off_ms : off_ms;
    run->worst_ms = distance_ms > run->worst_ms ? distance_ms : run->worst_ms;
    run->mean_ms += (double)(outcome->end_ns - outcome->arrival_ns) / 1e6 / REQUESTS;
    run->hits += outcome->cached_tokens > 0;
}

static void live(struct run *run, const char *arrival, const char *policy)
{
    char text[2048];
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const int length =
        snprintf(text, sizeof text,
                 "seed: 5\nworkload:\n  generate:\n    - requests: %d\n"
                 "      arrival: {%s}\n"
                 "      prefix: {groups: 8, tokens: 500, zipf: 1}\n"
                 "      input: {kind: normal, mean: 100, sd: 60, min: 1, max: 400}\n"
                 "      output: {kind: normal, mean: 60, sd: 40, min: 1, max: 200}\n"
                 "cluster:\n  pools:\n    - replicas: 3\n      gpu: h100_sxm\n"
                 "      model: llama_3_1_8b\n"
                 "      cost: {model: linear, step: 2ms, per_decode: 50us, "
                 "per_chunk_token: 20us}\n"
                 "      engine: {num_gpu_blocks_override: 300, max_model_len: 1200,\n"
                 "        max_num_batched_tokens: 512, max_num_seqs: 16}\n"
                 "routing: {policy: %s}\n",
                 REQUESTS, arrival, policy);
    REQUIRE(length > 0 && length < (int)sizeof text);
    REQUIRE_OK(
        scenario_parse(&scenario, "t.yaml", text, (size_t)length, &options, &err),
        &err);
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    const struct observer observer = {
        .context = run, .on_outcome = saw_outcome, .on_decision = saw_decision};
    const struct sim_options how = {0};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    while (sim_run(sim, 1000, &err) == SIM_RUNNING) {
    }
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
}

/* One request at a time: nothing is estimated, so times agree to the nanosecond. */
static void what_it_expects_of_an_idle_engine_comes(void)
{
    for (int goal = 1; goal <= 2; goal++) {
        static struct run run;
        char policy[64];
        run = (struct run){.first_token = goal == 2};
        snprintf(policy, sizeof policy, "oracle, params: {goal: %d}", goal);
        live(&run, "kind: fixed, rate_per_s: 1", policy);
        harness_note("goal %d", goal);
        EXPECT(run.hits > REQUESTS / 2);
        EXPECT_NEAR(run.worst_ms, 0, 1e-4);
    }
}

/* Three engines near what they can do. A percent is left to chance: it knows the state,
 * not who comes next. */
static void nobody_who_knows_less_is_faster(void)
{
    static const char *const others[] = {"round_robin",  "random",     "least_request",
                                         "power_of_d",   "least_work", "session",
                                         "prefix_aware", "kv_aware",   "lmetric",
                                         "weighted_sum", "dynamo_kv"};
    static struct run best;
    best = (struct run){0};
    live(&best, "kind: poisson, rate_per_s: 200", "oracle");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        static struct run run;
        run = (struct run){0};
        live(&run, "kind: poisson, rate_per_s: 200", others[i]);
        harness_note("%s: %.1f ms, oracle: %.1f ms", others[i], run.mean_ms,
                     best.mean_ms);
        EXPECT(best.mean_ms < 1.01 * run.mean_ms);
    }
}

HARNESS_MAIN("route_oracle", TEST(each_goal_takes_the_least_of_its_own),
             TEST(a_router_is_refused), TEST(what_it_expects_of_an_idle_engine_comes),
             TEST(nobody_who_knows_less_is_faster))
