/* SPDX-License-Identifier: Apache-2.0
 *
 * analytic_admission.c: queues at the gateway whose times are known by hand, and the
 * rows of the failure-mode matrix (spec/policies.md 13.9) on floods and on fairness:
 * what is expected to break, breaks; what is expected to hold, holds.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 20000 };

struct record {
    struct request_outcome outcomes[REQUESTS_MAX]; /* by their end */
    uint32_t count;
};

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct record *record = context;
    if (record->count < REQUESTS_MAX) {
        record->outcomes[record->count++] = *outcome;
    }
}

static const char *const unchanged[] = {NULL};

static const struct request_outcome *outcome_of(const struct record *record,
                                                uint64_t id)
{
    uint32_t i = 0;
    while (i < record->count && record->outcomes[i].request_id != id) {
        i++;
    }
    REQUIRE(i < record->count);
    return &record->outcomes[i];
}

/* admission: the scenario's line, or "". overrides end with NULL. */
static void run(const char *fleet, const char *admission, const char *const *overrides,
                struct record *record, struct sim_summary *summary)
{
    size_t override_count = 0;
    while (overrides[override_count] != NULL) {
        override_count++;
    }
    struct text yaml = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    text_printf(&yaml, "%s%s\n", fleet, admission);
    harness_note("%s", admission);
    const struct scenario_options options = {.config_dir = harness_source("configs"),
                                             .overrides = overrides,
                                             .override_count = override_count};
    REQUIRE_OK(scenario_parse(&scenario, "flood.yaml", text_str(&yaml), yaml.length,
                              &options, &err),
               &err);
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    record->count = 0;
    const struct observer observer = {.context = record, .on_outcome = saw_outcome};
    const struct sim_options how = {.check_invariants =
                                        workload_expected(workload) < 100};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    enum sim_state state = SIM_RUNNING;
    while (state == SIM_RUNNING) {
        state = sim_run(sim, UINT64_MAX, &err);
    }
    REQUIRE_OK(state == SIM_DONE, &err);
    sim_summarise(sim, summary);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    text_fini(&yaml);
}

/* One engine, a step takes 10 us: a request of k output tokens is served for k steps.
 * Requests 1 to 4 come at 0, 10, 20 and 30 us, of 10 output tokens each. */
static void one_by_one(const char *cancel, const char *admission, struct record *record,
                       struct sim_summary *summary)
{
    struct text fleet = {0};
    struct text trace = {0};
    text_add(&trace, "#version=1\nid,arrival,in,out,prio,cancel,tenant,prompt\n");
    for (int i = 1; i <= 4; i++) {
        text_printf(&trace, "%d,%d,1,10,0,%s,x,t%d+1\n", i, (i - 1) * 10000,
                    i == 3 ? cancel : "", i);
    }
    const char *path = harness_temp_file("four.csv", text_str(&trace), trace.length);
    text_printf(&fleet,
                "workload: {trace: \"%s\", format: native}\n"
                "cluster:\n  pools:\n    - gpu: h100_sxm\n      model: opt_125m\n"
                "      engine: {max_num_seqs: 8, max_num_batched_tokens: 64, "
                "max_model_len: 2000, prefix_caching: false, "
                "compat: v085, cpu_step: 0s, cpu_sequence: 0s}\n"
                "      cost: {model: linear, step: 10us}\n",
                path);
    run(text_str(&fleet), admission, unchanged, record, summary);
    text_fini(&trace);
    text_fini(&fleet);
}

static void gate_of_one_serves_one_after_the_other(void)
{
    static struct record record;
    struct sim_summary summary;
    one_by_one("", "admission: {policy: concurrency_gate, params: {total_max: 1}}",
               &record, &summary);
    EXPECT_U64(summary.completed, 4);
    for (uint64_t id = 1; id <= 4; id++) {
        const struct request_outcome *outcome = outcome_of(&record, id);
        const int64_t start_ns = (int64_t)(id - 1) * 100000;
        EXPECT_I64(outcome->arrival_ns, (int64_t)(id - 1) * 10000);
        EXPECT_I64(outcome->queued_ns, start_ns);
        EXPECT_I64(outcome->first_token_ns, start_ns + 10000);
        EXPECT_I64(outcome->end_ns, start_ns + 100000);
    }
}

static void who_waits_too_long_ends_at_that_moment(void)
{
    static struct record record;
    struct sim_summary summary;
    one_by_one("",
               "admission: {policy: concurrency_gate, params: {total_max: 1, "
               "queue_timeout_s: 0.000175}}",
               &record, &summary);
    /* 3 would start at 200 us and gives up at 195; 4 takes its place. */
    EXPECT_U64(summary.completed, 3);
    EXPECT_U64(summary.timed_out, 1);
    EXPECT(outcome_of(&record, 3)->status == OUTCOME_TIMED_OUT);
    EXPECT_I64(outcome_of(&record, 3)->end_ns, 195000);
    EXPECT(outcome_of(&record, 3)->engine == UINT32_MAX);
    EXPECT_I64(outcome_of(&record, 4)->end_ns, 300000);
}

static void room_that_comes_with_the_timeout_is_taken(void)
{
    static struct record record;
    struct sim_summary summary;
    one_by_one("",
               "admission: {policy: concurrency_gate, params: {total_max: 1, "
               "queue_timeout_s: 0.00018}}",
               &record, &summary);
    EXPECT_I64(outcome_of(&record, 3)->end_ns, 300000);
    EXPECT_I64(outcome_of(&record, 4)->end_ns, 210000);
    EXPECT_U64(summary.timed_out, 1);
}

static void client_that_hangs_up_in_the_queue_is_gone(void)
{
    static struct record record;
    struct sim_summary summary;
    one_by_one("50000", "admission: {policy: concurrency_gate, params: {total_max: 1}}",
               &record, &summary);
    EXPECT_U64(summary.cancelled, 1);
    EXPECT_I64(outcome_of(&record, 3)->end_ns, 70000);
    EXPECT_I64(outcome_of(&record, 4)->end_ns, 300000);
    /* Patience counts from the arrival, in the engine too. */
    one_by_one("250000",
               "admission: {policy: concurrency_gate, params: {total_max: 1}}", &record,
               &summary);
    EXPECT_U64(summary.cancelled, 1);
    EXPECT_I64(outcome_of(&record, 3)->end_ns, 280000); /* the step under way ends */
    EXPECT_I64(outcome_of(&record, 4)->end_ns, 380000);
}

/* Ids need not be unique in open replay. */
static void two_requests_of_one_id_are_two_requests(void)
{
    static struct record record;
    struct sim_summary summary;
    static const char trace[] = "#version=1\nid,arrival,in,out,prio,tenant,prompt\n"
                                "1,0,1,10,0,x,t1+1\n1,0,1,10,0,x,t2+1\n"
                                "1,0,1,10,0,x,t3+1\n";
    struct text fleet = {0};
    const char *path = harness_temp_file("one.csv", trace, sizeof trace - 1);
    text_printf(&fleet,
                "workload: {trace: \"%s\", format: native}\n"
                "cluster: {pools: [{gpu: h100_sxm, model: opt_125m, cost: {model: "
                "linear, step: 10us}}]}\n",
                path);
    run(text_str(&fleet), "admission: {policy: vtc, params: {requests_max: 1}}",
        unchanged, &record, &summary);
    EXPECT_U64(summary.completed, 3);
    text_fini(&fleet);
}

static void full_queue_turns_the_next_away(void)
{
    static struct record record;
    struct sim_summary summary;
    one_by_one("",
               "admission: {policy: concurrency_gate, params: {total_max: 1, "
               "queue_max: 2}}\nend: {time: 250us}",
               &record, &summary);
    EXPECT(outcome_of(&record, 4)->status == OUTCOME_SHED);
    EXPECT_I64(outcome_of(&record, 4)->end_ns, 30000);
    EXPECT_U64(summary.shed, 1);
    EXPECT_U64(summary.unfinished, 1); /* 3, in the engine */
    one_by_one("",
               "admission: {policy: concurrency_gate, params: {total_max: 1}}\n"
               "end: {time: 50us}",
               &record, &summary);
    EXPECT_U64(summary.unfinished, 4);
}

/* ---- floods ---------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Of the requests with these prompts; NaN when none was served. */
static double ttft_p99_s(const struct record *record, uint32_t prompt_tokens)
{
    static int64_t times_ns[REQUESTS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        const struct request_outcome *at = &record->outcomes[i];
        if (at->prompt_tokens == prompt_tokens && at->status == OUTCOME_COMPLETED) {
            times_ns[count++] = at->first_token_ns - at->arrival_ns;
        }
    }
    if (count == 0) {
        return (double)NAN;
    }
    qsort(times_ns, count, sizeof times_ns[0], by_value);
    const size_t rank = (count * 99 - 1) / 100;
    return (double)times_ns[rank] / 1e9;
}

/* P99 of the urgent requests (prompts of 800 tokens; the flood's have 801). */
static double calm_p99_s(int flood_priority, const char *scrape, const char *admission,
                         struct sim_summary *summary)
{
    static struct record record;
    char priority[64];
    char interval[64];
    (void)snprintf(priority, sizeof priority, "workload.generate.1.priority=%d",
                   flood_priority);
    (void)snprintf(interval, sizeof interval, "routing.scrape_interval=%s", scrape);
    const char *const overrides[] = {priority, interval, NULL};
    struct text fleet = {0};
    char line[256];
    FILE *file = fopen(
        harness_source("configs/scenarios/failure-modes/low-priority-flood.yaml"), "r");
    REQUIRE(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        text_add(&fleet, line);
    }
    (void)fclose(file);
    run(text_str(&fleet), admission, overrides, &record, summary);
    text_fini(&fleet);
    return ttft_p99_s(&record, 800);
}

static void flood_of_low_priority_drowns_a_fleet_without_admission(void)
{
    struct sim_summary summary;
    const double open_s = calm_p99_s(1, "15s", "", &summary);
    EXPECT(open_s > 10);
    const char *const hold[] = {
        "admission: {policy: flow_control, params: {detector: 1, requests_max: 32}}",
        "admission: {policy: shed_probabilistic, params: {detector: 1, requests_max: "
        "100}}",
        "admission: {policy: shed_on_saturation, params: {detector: 1, requests_max: "
        "32}}",
    };
    for (size_t i = 0; i < sizeof hold / sizeof hold[0]; i++) {
        const double held_s = calm_p99_s(1, "15s", hold[i], &summary);
        EXPECT(held_s < open_s / 10);
        EXPECT(held_s < 2);
    }
    /* Of equal priority: by tenant. */
    EXPECT(calm_p99_s(0, "15s", "admission: {policy: vtc, params: {requests_max: 32}}",
                      &summary) < 2);
    /* One queue for all shares the flood with everybody. */
    EXPECT(
        calm_p99_s(0, "15s",
                   "admission: {policy: concurrency_gate, params: {endpoint_max: 32, "
                   "queue_max: 5000, queue_timeout_s: 0}}",
                   &summary) > open_s / 2);
}

/* 100 requests/s: what comes between two scrapes slips in at each dip. */
static void shedding_by_old_metrics_lets_bursts_in(void)
{
    struct sim_summary summary;
    const char *const by_metrics = "admission: {policy: shed_on_saturation, params: "
                                   "{stale_after_s: 10}}";
    const double fresh_s = calm_p99_s(1, "50ms", by_metrics, &summary);
    const double old_s = calm_p99_s(1, "1s", by_metrics, &summary);
    EXPECT(old_s > 2 * fresh_s);
    const char *const by_counts = "admission: {policy: shed_on_saturation, params: "
                                  "{detector: 1, requests_max: 32}}";
    EXPECT_NEAR(calm_p99_s(1, "1s", by_counts, &summary),
                calm_p99_s(1, "50ms", by_counts, &summary), 0);
}

/* Three tenants of one priority, all above their share of about 20 requests/s; one
 * sends many small requests, one few large ones. */
static double jain_of(const char *admission)
{
    static struct record record;
    struct sim_summary summary;
    run("seed: 5\n"
        "workload:\n"
        "  generate:\n"
        "    - {requests: 12000, arrival: {kind: poisson, rate_per_s: 240}, input: "
        "400, "
        "output: 100, tenant: many}\n"
        "    - {requests: 1000, arrival: {kind: poisson, rate_per_s: 20}, input: 800, "
        "output: 200, tenant: few}\n"
        "    - {requests: 500, arrival: {kind: poisson, rate_per_s: 10}, input: 1600, "
        "output: 400, tenant: large}\n"
        "cluster:\n"
        "  pools:\n"
        "    - {replicas: 1, gpu: h100_sxm, model: llama_3_1_8b, engine: "
        "{max_num_seqs: "
        "32, max_model_len: 8192, prefix_caching: false}}\n"
        "end: {time: 50s}\n",
        admission, unchanged, &record, &summary);
    return summary.fairness_jain;
}

static void counters_share_evenly_where_arrival_order_does_not(void)
{
    EXPECT(isnan(jain_of("")));
    const double gate = jain_of("admission: {policy: concurrency_gate, params: "
                                "{endpoint_max: 32, queue_max: 100000, "
                                "queue_timeout_s: 0}}");
    const double turns = jain_of("admission: {policy: flow_control, params: {detector: "
                                 "1, requests_max: 32, turns: true}}");
    const double vtc = jain_of("admission: {policy: vtc, params: {requests_max: 32}}");
    printf("Jain's index: gate %.3f, turns %.3f, vtc %.3f\n", gate, turns, vtc);
    EXPECT(vtc > 0.99);
    EXPECT(gate < 0.7);  /* by arrivals, as they come: 144, 24 and 24 offered */
    EXPECT(turns < 0.9); /* by requests, whatever their size */
}

HARNESS_MAIN("admission", TEST(gate_of_one_serves_one_after_the_other),
             TEST(who_waits_too_long_ends_at_that_moment),
             TEST(room_that_comes_with_the_timeout_is_taken),
             TEST(client_that_hangs_up_in_the_queue_is_gone),
             TEST(full_queue_turns_the_next_away),
             TEST(two_requests_of_one_id_are_two_requests),
             TEST(flood_of_low_priority_drowns_a_fleet_without_admission),
             TEST(shedding_by_old_metrics_lets_bursts_in),
             TEST(counters_share_evenly_where_arrival_order_does_not))
