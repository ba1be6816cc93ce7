/* SPDX-License-Identifier: Apache-2.0
 *
 * analytic_fleet.c: engines that come, go and fail, every time worked by hand.
 *
 * Two engines; a step takes 10 us, so that a request of 10 output tokens is served for
 * 100 us. Requests 1 to 4 come at 0, 10, 20 and 30 us, in turn to engines 0 and 1. An
 * arrival at the very end of a step misses the next one: request 3 joins at 30 us and
 * has its first token at 40 us, request 4 at 40 and 50 us.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 64 };
static const int64_t us = 1000;

struct record {
    struct request_outcome outcomes[REQUESTS_MAX];
    uint32_t count;
    struct text events; /* "55 !Crashed pod/a-0\n", times in us */
};

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct record *record = context;
    REQUIRE(record->count < REQUESTS_MAX);
    record->outcomes[record->count++] = *outcome;
}

static void saw_event(void *context, const struct fleet_event *event)
{
    struct record *record = context;
    text_printf(&record->events, "%lld %s%s %s\n", (long long)(event->time_ns / us),
                event->warning ? "!" : "", event->reason, event->object);
}

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

static void expect_times(const struct record *record, uint64_t id, int64_t first_us,
                         int64_t end_us)
{
    const struct request_outcome *outcome = outcome_of(record, id);
    harness_note("request %llu", (unsigned long long)id);
    EXPECT(outcome->status == OUTCOME_COMPLETED);
    EXPECT_I64(outcome->first_token_ns, first_us * us);
    EXPECT_I64(outcome->end_ns, end_us * us);
}

static void expect_failed(const struct record *record, uint64_t id, int64_t end_us)
{
    const struct request_outcome *outcome = outcome_of(record, id);
    harness_note("request %llu", (unsigned long long)id);
    EXPECT(outcome->status == OUTCOME_FAILED);
    EXPECT_I64(outcome->end_ns, end_us * us);
}

/* rest: routing, client, discovery, timeline and what belongs to the pool. */
struct fleet {
    const char *routing;
    const char *deployment;
    const char *rest;
};

static void run_with(const struct fleet *fleet, bool step_by_step,
                     struct record *record, struct sim_summary *summary)
{
    struct text trace = {0};
    struct text yaml = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    text_add(&trace, "#version=1\nid,arrival,in,out,prompt\n");
    for (int i = 1; i <= 4; i++) {
        text_printf(&trace, "%d,%d,1,10,t%d+1\n", i, (i - 1) * 10000, i);
    }
    const char *path = harness_temp_file("four.csv", text_str(&trace), trace.length);
    text_printf(&yaml,
                "workload: {trace: \"%s\", format: native}\n"
                "routing: {policy: round_robin%s}\n"
                "cluster:\n  pools:\n    - name: a\n      gpu: h100_sxm\n"
                "      model: opt_125m\n      replicas: 2\n"
                "      engine: {max_num_seqs: 8, max_num_batched_tokens: 64, "
                "max_model_len: 2000, prefix_caching: false, "
                "compat: v085, cpu_step: 0s, cpu_sequence: 0s}\n"
                "      cost: {model: linear, step: 10us}\n"
                "      deployment: {%s}\n%s\n",
                path, fleet->routing, fleet->deployment, fleet->rest);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(scenario_parse(&scenario, "fleet.yaml", text_str(&yaml), yaml.length,
                              &options, &err),
               &err);
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    record->count = 0;
    record->events.length = 0;
    const struct observer observer = {
        .context = record, .on_outcome = saw_outcome, .on_event = saw_event};
    const struct sim_options how = {.check_invariants = true,
                                    .step_by_step = step_by_step};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    enum sim_state state = SIM_RUNNING;
    while (state == SIM_RUNNING) {
        state = sim_run(sim, UINT64_MAX, &err);
    }
    REQUIRE_OK(state == SIM_DONE, &err);
    sim_summarise(sim, summary);
    EXPECT_U64(summary->requests, record->count);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    text_fini(&yaml);
    text_fini(&trace);
}

static void run(const char *routing, const char *deployment, const char *rest,
                struct record *record, struct sim_summary *summary)
{
    const struct fleet fleet = {routing, deployment, rest};
    run_with(&fleet, false, record, summary);
}

static bool told(const struct record *record, const char *line)
{
    const bool found = strstr(text_str(&record->events), line) != NULL;
    if (!found) {
        harness_note("no '%s' in:\n%s", line, text_str(&record->events));
    }
    return found;
}

static void a_crash_loses_exactly_what_is_there(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "", "timeline: [{at: 55us, engine_crash: a/0, for: 1s}]", &record,
        &summary);
    expect_failed(&record, 1, 55);
    expect_failed(&record, 3, 55);
    expect_times(&record, 2, 20, 110);
    expect_times(&record, 4, 50, 140);
    EXPECT_U64(summary.failed, 2);
    EXPECT(told(&record, "55 !Crashed pod/a-0\n"));
    text_fini(&record.events);
}

/* Both try again 100 us later, at 155 us. Engine 0 has left the list, engine 1 is idle:
 * request 1 is served from 155 on, request 3 joins at 165. Their arrival is the old
 * one. */
static void a_client_tries_again_after_its_pause(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "",
        "client: {retries: 1, backoff: 100us}\ndiscovery: {delay: 0}\n"
        "timeline: [{at: 55us, engine_crash: a/0, for: 1s}]",
        &record, &summary);
    expect_times(&record, 1, 165, 255);
    expect_times(&record, 3, 175, 265);
    EXPECT_I64(outcome_of(&record, 1)->arrival_ns, 0);
    EXPECT_U64(outcome_of(&record, 1)->attempts, 2);
    EXPECT_U64(outcome_of(&record, 2)->attempts, 1);
    EXPECT_U64(summary.retries, 2);
    text_fini(&record.events);
}

/* At 35 us request 1 has had three tokens: its stream is broken. Request 3 has none:
 * the router takes it to engine 1, where it joins at 40. */
static void the_router_tries_again_before_the_first_byte_only(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run(", failover_attempts: 1", "",
        "timeline: [{at: 35us, engine_crash: a/0, for: 1s}]", &record, &summary);
    expect_failed(&record, 1, 35);
    expect_times(&record, 3, 50, 140);
    EXPECT_U64(outcome_of(&record, 3)->engine, 1);
    EXPECT_U64(summary.failovers, 1);
    text_fini(&record.events);
}

/* The router hears of the crash at 15 + 10 us: request 3 still goes to engine 0, is
 * refused at once, and nobody tries again; request 4 finds engine 1 alone. */
static void until_the_router_hears_of_it_requests_are_refused(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "",
        "discovery: {delay: 10us}\n"
        "timeline: [{at: 15us, engine_crash: a/0, for: 1s}]",
        &record, &summary);
    expect_failed(&record, 1, 15);
    expect_failed(&record, 3, 20);
    expect_times(&record, 2, 20, 110);
    expect_times(&record, 4, 50, 140);
    EXPECT(told(&record, "25 EndpointRemoved router\n"));
    text_fini(&record.events);
}

/* Down at 15 us and up 30 us later, seen at once. Request 3 meets engine 1 alone, at 20
 * us; request 1 tries again at 15 + 60 us, and both engines are there: the counter of
 * this pair stands at 2, which is engine 0. */
static void an_engine_comes_back(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("",
        "boot: 30us, capture: 0, weights: {size: 0}, image: {size: 0}, probes: "
        "{startup: {initial: 0, period: 0}, readiness: {period: 0}}",
        "client: {retries: 1, backoff: 60us}\ndiscovery: {delay: 0}\n"
        "timeline: [{at: 15us, engine_crash: a/0}]",
        &record, &summary);
    EXPECT_U64(summary.completed, 4);
    expect_times(&record, 1, 85, 175);
    EXPECT_U64(outcome_of(&record, 1)->engine, 0);
    expect_times(&record, 3, 40, 130); /* to engine 1, the only one at 20 us */
    EXPECT(told(&record, "45 Ready pod/a-0\n"));
    EXPECT(told(&record, "45 EndpointAdded router\n"));
    text_fini(&record.events);
}

/* Engine 0 is deleted at 25 us: 1 and 3 end there, 4 goes to engine 1, and the pod goes
 * with the last of them, at 130 us. */
static void a_drained_engine_ends_what_it_has(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "", "discovery: {delay: 0}\ntimeline: [{at: 25us, drain: a/0}]", &record,
        &summary);
    EXPECT_U64(summary.completed, 4);
    expect_times(&record, 1, 10, 100);
    expect_times(&record, 3, 40, 130);
    EXPECT_U64(outcome_of(&record, 3)->engine, 0);
    EXPECT_U64(outcome_of(&record, 4)->engine, 1);
    EXPECT(told(&record, "25 Killing pod/a-0\n"));
    text_fini(&record.events);
}

/* A grace period of 50 us: SIGKILL at 75. */
static void grace_cuts_what_takes_longer(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "grace: 50us", "discovery: {delay: 0}\ntimeline: [{at: 25us, drain: a/0}]",
        &record, &summary);
    expect_failed(&record, 1, 75);
    expect_failed(&record, 3, 75);
    text_fini(&record.events);
}

/* The step under way at 35 us ends at 40, then each takes 20 us: request 1 has four of
 * ten tokens at 40 us, request 3 one. In both modes. */
static void a_slow_gpu_takes_longer_from_its_next_step_on(void)
{
    for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
        struct record record = {0};
        struct sim_summary summary;
        const struct fleet fleet = {"", "",
                                    "timeline: [{at: 35us, slow_gpu: a/0, factor: 2}]"};
        run_with(&fleet, step_by_step == 1, &record, &summary);
        expect_times(&record, 1, 10, 160);
        expect_times(&record, 3, 40, 220);
        expect_times(&record, 2, 20, 110);
        text_fini(&record.events);
    }
}

/* Steps formed at 40 and 60 us are slow; the one formed at 80 us is not. */
static void a_slow_gpu_recovers(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "", "timeline: [{at: 35us, slow_gpu: a/0, factor: 2, for: 40us}]", &record,
        &summary);
    expect_times(&record, 1, 10,
                 120); /* the tenth: 10..40, 60, 80, 90, 100, 110, 120 */
    text_fini(&record.events);
}

/* One pod for each machine. Nobody answers for n0 from 25 us on: 1 and 3 hang for as
 * long as a connection takes to fail; the router's list names it until the node
 * controller speaks, 40 s later. */
static void a_lost_machine_leaves_its_requests_hanging(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run(", connect_timeout: 1ms", "",
        "nodes: [{name: n0, gpus: 1}, {name: n1, gpus: 1}]\n"
        "timeline: [{at: 25us, node_lost: n0}]",
        &record, &summary);
    expect_failed(&record, 1, 1025);
    expect_failed(&record, 3, 1025);
    expect_times(&record, 2, 20, 110);
    expect_times(&record, 4, 50, 140);
    text_fini(&record.events);
}

/* A third engine: created at 0, there at 15 us. Release 0.1.3 counts all picks in one
 * number: request 3 is number 2, the third of three urls. */
static void a_pool_grows(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run(", compat: tag",
        "boot: 15us, capture: 0, weights: {size: 0}, image: {size: 0}, probes: "
        "{startup: {initial: 0, period: 0}, readiness: {period: 0}}",
        "discovery: {delay: 0}\ntimeline: [{at: 0, scale: a, replicas: 3}]", &record,
        &summary);
    EXPECT_U64(outcome_of(&record, 3)->engine, 2);
    expect_times(&record, 3, 30, 120);
    EXPECT(told(&record, "0 ScalingReplicaSet deployment/a\n"));
    EXPECT(told(&record, "15 Ready pod/a-2\n"));
    text_fini(&record.events);
}

/* Nobody is left: a client's retry finds an engine again, another one gets a 503. */
static void without_engines_requests_are_rejected(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "grace: 0",
        "discovery: {delay: 0}\n"
        "timeline: [{at: 5us, drain: a/0}, {at: 5us, drain: a/1}]",
        &record, &summary);
    expect_failed(&record, 1, 5);
    EXPECT(outcome_of(&record, 2)->status == OUTCOME_REJECTED);
    EXPECT_U64(summary.rejected, 3);
    text_fini(&record.events);
}

/* Release 0.1.3 counts all picks in one number: request 2 (10 us) is number 1,
 * engine 1. The file of 3 us is read at 5 us and the count begins anew: engine 0. With
 * static discovery that release cannot apply it, and says so at every poll. */
static void a_reload_forgets_what_the_policy_knew(void)
{
    for (uint32_t fixed = 0; fixed < 2; fixed++) {
        struct record record = {0};
        struct sim_summary summary;
        run(", compat: tag, config_poll: 5us", "",
            fixed == 1 ? "discovery: {mode: static}\n"
                         "timeline: [{at: 3us, reload: good}]"
                       : "timeline: [{at: 3us, reload: good}]",
            &record, &summary);
        EXPECT_U64(outcome_of(&record, 2)->engine, fixed);
        EXPECT(told(&record, fixed == 1 ? "5 !ConfigReloadFailed router\n10 "
                                          "!ConfigReloadFailed router\n"
                                        : "5 ConfigReloaded router\n"));
        EXPECT_U64(summary.completed, 4);
        text_fini(&record.events);
    }
}

static void a_broken_file_is_told_at_every_poll_and_changes_nothing(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run(", compat: tag, config_poll: 5us", "",
        "timeline: [{at: 3us, reload: broken}, {at: 12us, reload: good}]", &record,
        &summary);
    EXPECT_U64(outcome_of(&record, 2)->engine, 1);
    EXPECT(told(&record, "5 !ConfigReloadFailed router\n10 !ConfigReloadFailed router\n"
                         "12 ConfigWritten router\n15 ConfigReloaded router\n"));
    text_fini(&record.events);
}

/* Engine 0 sleeps at 15 us: request 1 ends there at 100, request 3 goes to engine 1. */
static void a_sleeping_engine_is_out_of_the_list(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "", "timeline: [{at: 15us, sleep: a/0}, {at: 120us, wake: a/0}]", &record,
        &summary);
    EXPECT_U64(summary.completed, 4);
    expect_times(&record, 1, 10, 100);
    EXPECT_U64(outcome_of(&record, 3)->engine, 1);
    EXPECT(told(&record, "15 EndpointRemoved router\n"));
    EXPECT(told(&record, "100 Asleep pod/a-0\n"));
    text_fini(&record.events);
}

HARNESS_MAIN("analytic.fleet", TEST(a_crash_loses_exactly_what_is_there),
             TEST(a_client_tries_again_after_its_pause),
             TEST(the_router_tries_again_before_the_first_byte_only),
             TEST(until_the_router_hears_of_it_requests_are_refused),
             TEST(an_engine_comes_back), TEST(a_drained_engine_ends_what_it_has),
             TEST(grace_cuts_what_takes_longer),
             TEST(a_slow_gpu_takes_longer_from_its_next_step_on),
             TEST(a_slow_gpu_recovers),
             TEST(a_lost_machine_leaves_its_requests_hanging), TEST(a_pool_grows),
             TEST(without_engines_requests_are_rejected),
             TEST(a_reload_forgets_what_the_policy_knew),
             TEST(a_broken_file_is_told_at_every_poll_and_changes_nothing),
             TEST(a_sleeping_engine_is_out_of_the_list))
