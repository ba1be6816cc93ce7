/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that has at most so many requests in flight (in_flight_max).
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { REQUESTS_MAX = 4096 };

struct stay {
    int64_t arrival_ns;
    int64_t end_ns;
};

struct record {
    struct stay stays[REQUESTS_MAX]; /* by request id */
    size_t count;
};

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct record *record = context;
    REQUIRE(outcome->request_id < REQUESTS_MAX);
    record->stays[outcome->request_id] =
        (struct stay){outcome->arrival_ns, outcome->end_ns};
    record->count++;
}

/* Engines whose step takes 10 us, whatever is in it: a request of 100 output tokens
 * that is alone takes a millisecond. */
static void run(struct record *record, const char *arrival, int limit,
                bool step_by_step)
{
    char yaml[1024];
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    snprintf(yaml, sizeof yaml,
             "in_flight_max: %d\n"
             "workload:\n  generate:\n    - requests: 1000\n"
             "      arrival: %s\n      input: 1\n      output: 100\n"
             "cluster:\n  pools:\n    - gpu: h100_sxm\n      model: opt_125m\n"
             "      replicas: 2\n"
             "      engine: {max_num_seqs: 64, max_num_batched_tokens: 64, "
             "max_model_len: 2000, prefix_caching: false, "
             "compat: v085, cpu_step: 0s, cpu_sequence: 0s}\n"
             "      cost: {model: linear, step: 10us}\n",
             limit, arrival);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const struct observer observer = {.context = record, .on_outcome = saw_outcome};
    const struct sim_options how = {.step_by_step = step_by_step};
    REQUIRE_OK(
        scenario_parse(&scenario, "limit.yaml", yaml, strlen(yaml), &options, &err),
        &err);
    REQUIRE_OK(workload_open_conf(&workload, scenario->workload, 1, ".", &err), &err);
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    *record = (struct record){0};
    REQUIRE_OK(sim_run(sim, UINT64_MAX, &err) == SIM_DONE, &err);
    EXPECT_U64(record->count, 1000);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
}

/* All due at time 0, one at a time: each arrives when the one before ends. */
static void one_at_a_time_is_a_chain(void)
{
    static struct record record;
    run(&record, "{kind: batch, size: 1000, period: 1s}", 1, false);
    for (size_t i = 0; i < 1000; i++) {
        EXPECT_I64(record.stays[i].arrival_ns, (int64_t)i * 1000000);
        EXPECT_I64(record.stays[i].end_ns, (int64_t)(i + 1) * 1000000);
    }
}

static size_t most_in_flight(const struct record *record)
{
    size_t most = 0;
    for (size_t i = 0; i < record->count; i++) {
        size_t here = 0;
        const int64_t at_ns = record->stays[i].arrival_ns;
        for (size_t j = 0; j < record->count; j++) {
            const struct stay *other = &record->stays[j];
            here += other->arrival_ns <= at_ns && other->end_ns > at_ns;
        }
        most = here > most ? here : most;
    }
    return most;
}

/* Some 20 would be in flight without a limit: 20,000/s for 1 ms each. */
static void never_more_than_allowed_and_none_is_lost(void)
{
    static struct record record;
    static struct record steps;
    for (int limit = 0; limit <= 12; limit += 4) {
        run(&record, "{kind: poisson, rate_per_s: 20000}", limit, false);
        run(&steps, "{kind: poisson, rate_per_s: 20000}", limit, true);
        const size_t most = most_in_flight(&record);
        harness_note("limit %d: %zu in flight", limit, most);
        EXPECT(limit == 0 ? most > 12 : most == (size_t)limit);
        for (size_t i = 0; i < record.count; i++) {
            EXPECT_I64(steps.stays[i].end_ns, record.stays[i].end_ns);
        }
    }
}

static void a_limit_on_a_closed_replay_is_refused(void)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    static const char yaml[] = "replay: closed\nin_flight_max: 3\n"
                               "workload:\n  generate:\n    - requests: 1\n"
                               "      arrival: {kind: fixed, rate_per_s: 1}\n"
                               "      input: 1\n      output: 1\n"
                               "cluster:\n  pools:\n    - gpu: h100_sxm\n"
                               "      model: opt_125m\n";
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    EXPECT(!scenario_parse(&scenario, "x.yaml", yaml, sizeof yaml - 1, &options, &err));
    EXPECT_HAS(err.text, "x.yaml:2: in_flight_max: only with replay: open");
}

HARNESS_MAIN("unit.in_flight", TEST(one_at_a_time_is_a_chain),
             TEST(never_more_than_allowed_and_none_is_lost),
             TEST(a_limit_on_a_closed_replay_is_refused))
