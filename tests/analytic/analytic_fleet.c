/* SPDX-License-Identifier: Apache-2.0
 *
 * analytic_fleet.c: engines that come, go and fail, every time worked by hand.
 * Requests and engines are those of tests/fleet_fixture.h.
 */
#include "sim/sim.h"
#include "tests/fleet_fixture.h"

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
        const struct fleet fleet = {
            .routing = "",
            .deployment = "",
            .rest = "timeline: [{at: 35us, slow_gpu: a/0, factor: 2}]"};
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
static void acceptance_413_a_reload_forgets_what_the_policy_knew(void)
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

static void acceptance_413_a_broken_file_changes_nothing_and_is_told(void)
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

/* Both engines go at 15 us, and an admission that believes in fresh metrics lets nobody
 * in: requests 2 to 8 wait without a limit, while scrapes, and reconciles of a route,
 * go on for ever. */
static void a_run_ends_when_nobody_will_ever_come(void)
{
    for (int route = 0; route < 2; route++) {
        struct record record = {0};
        struct sim_summary summary;
        const struct fleet fleet = {
            .routing = ", scrape_interval: 20us, compat: tag-fixed",
            .deployment = "",
            .rest = route == 1
                        ? "static_route: {}\ndiscovery: {mode: static}\n"
                          "admission: {policy: flow_control, params: {detector: 0, "
                          "stale_after_s: 0.00003}}\n"
                          "timeline: [{at: 15us, drain: a/0}, {at: 15us, drain: a/1}]"
                        : "discovery: {mode: static}\n"
                          "admission: {policy: flow_control, params: {detector: 0, "
                          "stale_after_s: 0.00003}}\n"
                          "timeline: [{at: 15us, drain: a/0}, {at: 15us, drain: a/1}]",
            .requests = 8,
            .gap_us = 50,
            .tokens = 1};
        run_with(&fleet, false, &record, &summary);
        EXPECT_U64(summary.completed, 1);
        EXPECT_U64(summary.unfinished, 7);
        text_fini(&record.events);
    }
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
             TEST(acceptance_413_a_reload_forgets_what_the_policy_knew),
             TEST(acceptance_413_a_broken_file_changes_nothing_and_is_told),
             TEST(a_sleeping_engine_is_out_of_the_list),
             TEST(a_run_ends_when_nobody_will_ever_come))
