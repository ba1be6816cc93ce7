/* SPDX-License-Identifier: Apache-2.0
 *
 * analytic_acceptance.c: rows of the acceptance table (spec/production-stack.md 10) for
 * a simulator, by whole runs worked by hand. A row's number is that of the stack's pull
 * request; docs/production-stack-acceptance.md says where each row is shown.
 *
 * Engines, and requests 1 to 4, are those of tests/fleet_fixture.h.
 */
#include "sim/sim.h"
#include "tests/fleet_fixture.h"

/* ---- #430: static model types ---------------------------------------------------- */

/* One sequence at a time; a step takes 10 us and 1 us for each token of a prompt. The
 * probe is at engine 0 before request 1, at 0: the first one of P tokens takes 10 + P
 * us, each further one of the N that it wants 10. Request 1, one token, starts then and
 * has its first token 11 us later. */
static void acceptance_430_each_type_is_a_load_of_its_own(void)
{
    static const struct {
        const char *compat;
        const char *type;
        int64_t probe_us;
    } rows[] = {
        {"head", "chat", 46 + 2 * 10},   {"tag", "chat", 46 + 2 * 10},
        {"head", "completion", 12 + 20}, {"tag", "completion", 12 + 15 * 10},
        {"head", "embeddings", 12},      {"head", "rerank", 15},
        {"head", "score", 15},           {"tag-fixed", "score", 15},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record record = {0};
        struct sim_summary summary;
        char routing[32];
        char rest[128];
        (void)snprintf(routing, sizeof routing, ", compat: %s", rows[i].compat);
        (void)snprintf(rest, sizeof rest,
                       "discovery: {mode: static, health_checks: true, model_type: "
                       "%s, check_time: 1us}",
                       rows[i].type);
        const struct fleet fleet = {.routing = routing,
                                    .deployment = "",
                                    .rest = rest,
                                    .sequences = 1,
                                    .cost = "step: 10us, per_chunk_token: 1us"};
        run_with(&fleet, false, &record, &summary);
        harness_note("%s at %s", rows[i].type, rows[i].compat);
        expect_times(&record, 1, rows[i].probe_us + 11, rows[i].probe_us + 11 + 90);
        EXPECT_U64(summary.completed, 4);
        EXPECT_U64(summary.health_checks, 2);
        text_fini(&record.events);
    }
}

/* The misspelt key is refused without an engine, 1 us for each: nobody is left at 2 us,
 * and request 1, sent at 0, is served as if there were no probes. */
static void acceptance_430_score_is_never_well_at_the_tag(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run(", compat: tag", "",
        "discovery: {mode: static, health_checks: true, model_type: score, "
        "check_time: 1us}",
        &record, &summary);
    expect_times(&record, 1, 10, 100);
    EXPECT_U64(summary.rejected, 3);
    EXPECT_U64(summary.health_checks, 0);
    EXPECT(told(&record, "2 EndpointRemoved router\n"));
    text_fini(&record.events);
}

/* One type for two backends: engine 1, down from 70 us on, is never asked, and requests
 * 4, 6, 8 and 10 fail there; at head nobody is asked, which is the same here. Engine 0
 * is asked at 0 and, 100 us after 31, at 131: two passes and more of one probe each. */
static void acceptance_430_backends_without_a_type_are_always_well(void)
{
    static const char *const levels[] = {"tag", "head"};
    for (int head = 0; head < 2; head++) {
        struct record record = {0};
        struct sim_summary summary;
        char routing[64];
        (void)snprintf(routing, sizeof routing, ", connect_timeout: 10us, compat: %s",
                       levels[head]);
        const struct fleet fleet = {
            .routing = routing,
            .deployment = "",
            .rest = "discovery: {mode: static, health_checks: true, check_time: 1us, "
                    "check_interval: 100us, check_backends: 1}\n"
                    "timeline: [{at: 70us, engine_crash: a/1, for: 1s}]",
            .requests = 11,
            .gap_us = 50,
            .tokens = 1};
        run_with(&fleet, false, &record, &summary);
        EXPECT_U64(summary.failed, 4);
        EXPECT_U64(summary.health_checks, head == 1 ? 0 : 4); /* 0, 131, 262, 393 */
        EXPECT(strstr(text_str(&record.events), "Endpoint") == NULL);
        text_fini(&record.events);
    }
}

/* ---- #428: health checks of static endpoints ------------------------------------- */

/* Eleven requests of one token, 50 us apart, in turn. A probe of an idle engine takes
 * three steps and 1 us: passes are of 31 + 31 us, and 100 us later the next one begins:
 * 0 to 62, 162 to 224 ... */
static void run_passes(const char *discovery, const char *timeline,
                       const char *deployment, struct record *record,
                       struct sim_summary *summary)
{
    char rest[256];
    (void)snprintf(rest, sizeof rest,
                   "discovery: {mode: static, health_checks: true, check_time: 1us, "
                   "check_interval: 100us, check_timeout: 40us%s}\ntimeline: [%s]",
                   discovery, timeline);
    const struct fleet fleet = {.routing = ", connect_timeout: 10us",
                                .deployment = deployment,
                                .rest = rest,
                                .requests = 11,
                                .gap_us = 50,
                                .tokens = 1};
    run_with(&fleet, false, record, summary);
}

#define AT_ONCE                                                                        \
    "capture: 0, weights: {size: 0}, image: {size: 0}, probes: {startup: {initial: "   \
    "0, "                                                                              \
    "period: 0}, readiness: {period: 0}, liveness: {period: 0}}"

/* Killed at 70. The pass that begins at 162 finds a refused connection, asks engine 1
 * from 162 to 193, and ends there: request 3, at 100, was still sent to engine 0,
 * request 5, at 200, is not. Up again at 70 + 200; the pass of 293 asks engine 0 until
 * 324 and engine 1 until 355. */
static void acceptance_428_out_and_back_at_the_end_of_a_pass(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run_passes("", "{at: 70us, engine_crash: a/0, for: 190us}", "boot: 10us, " AT_ONCE,
               &record, &summary);
    expect_failed(&record, 3, 100);
    EXPECT_U64(outcome_of(&record, 5)->engine, 1);
    EXPECT_U64(summary.failed, 1);
    EXPECT(told(&record, "193 EndpointRemoved router\n"));
    EXPECT(told(&record, "355 EndpointAdded router\n"));
    text_fini(&record.events);
}

/* One that hangs lengthens the pass by the timeout: 162 + 40 + 31. Request 5, at 200,
 * hangs there, too. */
static void acceptance_428_a_hanging_backend_lengthens_the_pass(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run_passes("", "{at: 70us, engine_hang: a/0}", "boot: 10us, " AT_ONCE, &record,
               &summary);
    expect_failed(&record, 3, 110);
    expect_failed(&record, 5, 210);
    EXPECT_U64(summary.failed, 2);
    EXPECT(told(&record, "233 EndpointRemoved router\n"));
    text_fini(&record.events);
}

/* Nobody is asked before the first pass has ended: request 1 is sent to an engine that
 * is down from the beginning. Both are down at 62: request 3 finds nobody. */
static void acceptance_428_all_are_well_before_the_first_pass(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run_passes("",
               "{at: 0, engine_crash: a/0, for: 1s}, {at: 0, engine_crash: a/1, "
               "for: 1s}",
               "boot: 10us, " AT_ONCE, &record, &summary);
    EXPECT(outcome_of(&record, 1)->status == OUTCOME_FAILED);
    EXPECT(outcome_of(&record, 2)->status == OUTCOME_REJECTED);
    EXPECT_U64(summary.rejected, 10);
    text_fini(&record.events);
}

/* An engine that works and has no room answers too late. Engine 1 is asked at 31,
 * behind request 2 (10 to 110) and request 4: out of the list at 71. Its requests end
 * as they would; the probe is gone. */
static void acceptance_428_a_busy_engine_fails_its_probe(void)
{
    for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
        struct record record = {0};
        struct sim_summary summary;
        const struct fleet fleet = {
            .routing = "",
            .deployment = "",
            .rest = "discovery: {mode: static, health_checks: true, check_time: 1us, "
                    "check_interval: 1ms, check_timeout: 40us}",
            .sequences = 1};
        run_with(&fleet, step_by_step == 1, &record, &summary);
        expect_times(&record, 2, 20, 110);
        expect_times(&record, 4, 120, 210);
        EXPECT(told(&record, "71 EndpointRemoved router\n"));
        text_fini(&record.events);
    }
}

/* A crash under a probe resets its connection: engine 0, asked at 0, at 15; engine 1 is
 * asked at 16 and answers at 47. */
static void acceptance_428_a_probe_ends_with_its_engine(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run_passes("", "{at: 15us, engine_crash: a/0, for: 1s}", "boot: 10us, " AT_ONCE,
               &record, &summary);
    EXPECT(told(&record, "47 EndpointRemoved router\n"));
    text_fini(&record.events);
}

/* ---- #409, #402: StaticRoute ----------------------------------------------------- */

/* Four requests 12 ms apart keep the run going. The route is reconciled at 0 and edited
 * at 6 us; `fault` begins at 5 us and is over at 30,005 us. The work queue tries again
 * after 5, 10 and 20 ms: at 5,006, 15,006 and 35,006 us. */
static void run_route(const char *fault, struct record *record)
{
    struct sim_summary summary;
    char rest[256];
    (void)snprintf(rest, sizeof rest,
                   "static_route: {sync: 100us, health_check: {period: 10us, "
                   "successes: 2}}\n"
                   "timeline: [{at: 5us, %s, for: 30ms}, {at: 6us, route: good}]",
                   fault);
    const struct fleet fleet = {.routing = ", compat: tag-fixed, config_poll: 1ms",
                                .deployment = "",
                                .rest = rest,
                                .gap_us = 12000};
    run_with(&fleet, false, record, &summary);
    EXPECT_U64(summary.completed, 4);
}

static uint32_t times_told(const struct record *record, const char *what)
{
    uint32_t count = 0;
    const char *at = text_str(&record->events);
    while ((at = strstr(at, what)) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* Without its Service a reconcile fails; with it, two 200s at 10 and 20 us make the
 * condition true. The ConfigMap is written all the same: the file changes at 106. */
static void acceptance_409_single_service(void)
{
    struct record record = {0};
    run_route("service_lost: router", &record);
    EXPECT(told(&record, "6 !ReconcileError staticroute/route\n"));
    EXPECT(told(&record, "5006 !ReconcileError staticroute/route\n"));
    EXPECT(told(&record, "15006 !ReconcileError staticroute/route\n"));
    EXPECT_U64(times_told(&record, "ReconcileError"), 3);
    EXPECT(told(&record, "35026 HealthCheckSucceeded staticroute/route\n"));
    EXPECT_U64(times_told(&record, "HealthCheckSucceeded"), 1);
    EXPECT(told(&record, "106 ConfigWritten router\n"));
    text_fini(&record.events);
}

/* One Warning for each attempt, none when it succeeds; then the router's file changes
 * 100 us later, and is read at the next whole millisecond. */
static void acceptance_402_one_warning_for_each_failed_attempt(void)
{
    struct record record = {0};
    run_route("api_down: configmaps", &record);
    EXPECT(told(&record, "6 !FailedReconcileConfigMap staticroute/route\n"));
    EXPECT(told(&record, "5006 !FailedReconcileConfigMap staticroute/route\n"));
    EXPECT(told(&record, "15006 !FailedReconcileConfigMap staticroute/route\n"));
    EXPECT_U64(times_told(&record, "FailedReconcileConfigMap"), 3);
    EXPECT(told(&record, "35006 ConfigMapUpdated staticroute/route\n"
                         "35026 HealthCheckSucceeded staticroute/route\n"
                         "35106 ConfigWritten router\n36000 ConfigReloaded router\n"));
    text_fini(&record.events);
}

/* ---- #415: custom resources ------------------------------------------------------ */

/* Release 0.1.3 overlooks the edit of `replicas`, until another field changes: then all
 * of it is written. Later ones scale at once. */
static void acceptance_415_replicas_alone_are_overlooked_at_the_tag(void)
{
    for (int head = 0; head < 2; head++) {
        struct record record = {0};
        struct sim_summary summary;
        const struct fleet fleet = {
            .routing = head == 1 ? ", compat: head" : ", compat: tag",
            .deployment = "runtime: true, boot: 10us, " AT_ONCE,
            .rest = "discovery: {delay: 0}\n"
                    "timeline: [{at: 5us, scale: a, replicas: 3}, {at: 100us, "
                    "rollout: a}]",
            .requests = 8,
            .gap_us = 50};
        run_with(&fleet, false, &record, &summary);
        EXPECT_U64(times_told(&record, "UpdateOverlooked"), head == 1 ? 0 : 1);
        EXPECT(told(&record, head == 1 ? "5 ScalingReplicaSet deployment/a\n"
                                       : "5 !UpdateOverlooked vllmruntime/a\n"));
        EXPECT(told(&record, "100 RolloutStarted deployment/a\n"));
        EXPECT_U64(times_told(&record, "ScalingReplicaSet"), 1);
        EXPECT(told(&record, head == 1 ? "15 Ready pod/a-2\n"
                                       : "100 ScalingReplicaSet deployment/a\n"));
        text_fini(&record.events);
    }
}

/* Ready as long as one replica is: both are down from 20 us on, the first is back 10 us
 * after its pause of 30. */
static void acceptance_415_ready_with_one_available_replica(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run("", "runtime: true, boot: 10us, " AT_ONCE,
        "timeline: [{at: 10us, engine_crash: a/0, for: 40us}, "
        "{at: 20us, engine_crash: a/1, for: 1s}]\n"
        "client: {retries: 1, backoff: 60us}\ndiscovery: {delay: 0}",
        &record, &summary);
    EXPECT(told(&record, "20 !StatusChanged vllmruntime/a\n"));
    EXPECT(told(&record, "60 StatusChanged vllmruntime/a\n"));
    EXPECT_U64(times_told(&record, "StatusChanged"), 2);
    text_fini(&record.events);
}

/* ---- #397: model aliases --------------------------------------------------------- */

static void run_model(const char *routing, struct record *record,
                      struct sim_summary *summary)
{
    const struct fleet fleet = {
        .routing = routing, .deployment = "", .rest = "", .model = "gpt"};
    run_with(&fleet, false, record, summary);
    text_fini(&record->events);
}

/* One level: `gpt` that stands for `opt`, which stands for the model, is no model. */
static void acceptance_397_an_alias_is_its_model(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run_model("", &record, &summary);
    EXPECT_U64(summary.rejected, 4);
    run_model(", aliases: {gpt: opt-125m}", &record, &summary);
    EXPECT_U64(summary.completed, 4);
    expect_times(&record, 4, 50, 140);
    run_model(", aliases: {gpt: opt, opt: opt-125m}", &record, &summary);
    EXPECT_U64(summary.rejected, 4);
}

static void expect_refused(const char *aliases, const char *part)
{
    struct text yaml = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    text_printf(&yaml,
                "workload: {generate: [{requests: 1, arrival: {kind: poisson, "
                "rate_per_s: 1}, input: 1, output: 1}]}\n"
                "cluster: {pools: [{gpu: h100_sxm, model: opt_125m}]}\n"
                "routing:\n  aliases: %s\n",
                aliases);
    EXPECT(!scenario_parse(&scenario, "a.yaml", text_str(&yaml), yaml.length, &options,
                           &err));
    harness_note("%s", err.text);
    EXPECT(strstr(err.text, part) != NULL);
    text_fini(&yaml);
}

static void acceptance_397_an_alias_needs_a_model(void)
{
    expect_refused("{gpt: gpt}", "a.yaml:4: aliases: gpt stands for itself");
    expect_refused("{gpt: [a]}", "a.yaml:4: aliases: gpt: name a model");
    expect_refused("[gpt]", "aliases");
}

/* ---- #446: LoRA ------------------------------------------------------------------ */

/* A request every 10 s; the adapter is loaded at 35 s. Until the router knows of it
 * requests are refused: at `head` half a second later, so that the one at 40 s is the
 * first, at the release until its list of 60 s. */
static void acceptance_446_an_adapter_is_routable_when_the_router_knows(void)
{
    static const struct {
        const char *routing;
        uint64_t refused;
    } rows[] = {
        {", compat: head", 4}, {", compat: tag", 6}, {", compat: tag-fixed", 6}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record record = {0};
        struct sim_summary summary;
        const struct fleet fleet = {.routing = rows[i].routing,
                                    .deployment = "",
                                    .rest = "adapters: {list: [{name: mine, loaded: "
                                            "35s}]}",
                                    .adapter = "mine",
                                    .requests = 8,
                                    .gap_us = 10000000};
        run_with(&fleet, false, &record, &summary);
        EXPECT_U64(summary.refused, rows[i].refused);
        EXPECT_U64(summary.completed, 8 - rows[i].refused);
        text_fini(&record.events);
    }
}

/* ---- the router as a resource ---------------------------------------------------- */

/* 15 us for each of four requests that come every 10: decided at 15, 30, 45 and 60. The
 * first two begin there and then; at 45 and 60 a step of their engine has just begun,
 * they join the next one. */
static void a_router_deals_with_one_request_at_a_time(void)
{
    for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
        struct record record = {0};
        struct sim_summary summary;
        const struct fleet fleet = {
            .routing = ", request_time: 15us", .deployment = "", .rest = ""};
        run_with(&fleet, step_by_step == 1, &record, &summary);
        expect_times(&record, 1, 25, 115);
        expect_times(&record, 2, 40, 130);
        expect_times(&record, 3, 65, 155);
        expect_times(&record, 4, 80, 170);
        EXPECT_I64(outcome_of(&record, 4)->arrival_ns, 30 * us);
        text_fini(&record.events);
    }
}

/* 60 requests 10 us apart; a process that takes 40 us has a queue that grows by 30 us
 * with each, two of them one of 10 us. A Service draws among them, so that with eight,
 * too, some wait. */
static void replicas_of_the_router_share_the_work(void)
{
    int64_t waits_us[3] = {0};
    static const int counts[] = {1, 2, 8};
    for (int i = 0; i < 3; i++) {
        struct record record = {0};
        struct sim_summary summary;
        char routing[64];
        (void)snprintf(routing, sizeof routing, ", request_time: 40us, replicas: %d",
                       counts[i]);
        const struct fleet fleet = {.routing = routing,
                                    .deployment = "",
                                    .rest = "",
                                    .requests = 60,
                                    .tokens = 1};
        run_with(&fleet, false, &record, &summary);
        EXPECT_U64(summary.completed, 60);
        const struct request_outcome *last = outcome_of(&record, 60);
        waits_us[i] = (last->end_ns - last->arrival_ns) / us;
        text_fini(&record.events);
    }
    /* Alone: 60 * 40 - 590 us until the decision, then 10 to 20 in the engine. */
    EXPECT(waits_us[0] >= 1820 && waits_us[0] <= 1830);
    EXPECT(waits_us[1] < waits_us[0] / 2 + 300);
    EXPECT(waits_us[2] < 300);
}

/* The run ends with requests in the router's hands: none is forgotten. */
static void requests_in_the_router_end_with_the_run(void)
{
    struct record record = {0};
    struct sim_summary summary;
    run(", request_time: 15us", "", "end: {time: 50us}", &record, &summary);
    EXPECT_U64(summary.requests, 4);
    EXPECT_U64(summary.unfinished, 4);
    EXPECT_U64(outcome_of(&record, 4)->engine, UINT32_MAX);
    text_fini(&record.events);
}

HARNESS_MAIN("analytic.acceptance", TEST(acceptance_430_each_type_is_a_load_of_its_own),
             TEST(acceptance_430_score_is_never_well_at_the_tag),
             TEST(acceptance_430_backends_without_a_type_are_always_well),
             TEST(acceptance_428_out_and_back_at_the_end_of_a_pass),
             TEST(acceptance_428_a_hanging_backend_lengthens_the_pass),
             TEST(acceptance_428_all_are_well_before_the_first_pass),
             TEST(acceptance_428_a_busy_engine_fails_its_probe),
             TEST(acceptance_428_a_probe_ends_with_its_engine),
             TEST(acceptance_397_an_alias_is_its_model),
             TEST(acceptance_397_an_alias_needs_a_model),
             TEST(acceptance_446_an_adapter_is_routable_when_the_router_knows),
             TEST(a_router_deals_with_one_request_at_a_time),
             TEST(replicas_of_the_router_share_the_work),
             TEST(requests_in_the_router_end_with_the_run),
             TEST(acceptance_409_single_service),
             TEST(acceptance_402_one_warning_for_each_failed_attempt),
             TEST(acceptance_415_replicas_alone_are_overlooked_at_the_tag),
             TEST(acceptance_415_ready_with_one_available_replica))
