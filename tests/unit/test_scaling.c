/* SPDX-License-Identifier: Apache-2.0
 *
 * test_scaling.c: autoscalers within whole runs: a step in load, and the sizes that
 * arithmetic says. An engine's step takes 10 ms whatever is in it (linear cost), so
 * that a request of n tokens takes n steps, and a start takes 10 s, which the startup
 * probe sees at 15 s; the router hears of it 0.5 s later.
 */
#include "base/text.h"
#include "sim/sim.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct seen {
    struct text sizes;    /* "30 3/1/1;": desired, engines with GPUs, ready */
    struct text events;   /* "30 SuccessfulRescale horizontalpodautoscaler/p New ..." */
    struct text outcomes; /* "completed 25520 ms;": first token */
    struct sim_summary summary;
};

static int64_t seconds(int64_t time_ns)
{
    return time_ns / 1000000000;
}

static void saw_size(void *context, const struct pool_size *size)
{
    struct seen *seen = context;
    text_printf(&seen->sizes, "%" PRId64 " %u/%u/%u;", seconds(size->time_ns),
                size->desired, size->held_engines, size->ready);
}

static void saw_event(void *context, const struct fleet_event *event)
{
    struct seen *seen = context;
    text_printf(&seen->events, "%" PRId64 " %s%s %s %s\n", seconds(event->time_ns),
                event->warning ? "!" : "", event->reason, event->object,
                event->message);
}

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct seen *seen = context;
    const int64_t first_ns = outcome->first_token_ns == OUTCOME_TIME_NONE
                                 ? outcome->end_ns
                                 : outcome->first_token_ns;
    text_printf(&seen->outcomes, "%s %" PRId64 " ms;",
                outcome_status_name(outcome->status), first_ns / 1000000);
}

/* Requests as "arrival_ms tokens", one after the other. */
struct asked {
    int64_t at_ms;
    uint32_t count;
    uint32_t output;
};

static const char *trace_of(const struct asked *asked, size_t count)
{
    struct text text = {0};
    text_add(&text, "#version=1\nid,arrival,session,turn,in,out,prompt\n");
    uint64_t id = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < asked[i].count; j++) {
            id++;
            text_printf(&text,
                        "%" PRIu64 ",%" PRId64 ",%" PRIu64 ",0,16,%u,t%" PRIu64 "+16\n",
                        id, asked[i].at_ms * 1000000, id, asked[i].output, id);
        }
    }
    const char *path = harness_temp_file("trace.csv", text_str(&text), text.length);
    text_fini(&text);
    return path;
}

static bool scenario_of(struct scenario **out, const char *trace, const char *pool,
                        const char *rest, struct err *err)
{
    struct text yaml = {0};
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    text_printf(&yaml,
                "name: scaling\nworkload: {trace: \"%s\", format: native}\n"
                "cluster:\n  pools:\n    - name: p\n      replicas: 1\n"
                "      gpu: h100_sxm\n      model: llama_3_1_8b\n"
                "      cost: {model: linear, step: 10ms}\n"
                "      engine: {max_num_seqs: 256, async_scheduling: false, "
                "cpu_step: 0s, cpu_sequence: 0s}\n"
                "      deployment: {boot: 10s, capture: 0s, image: {size: 0}, "
                "weights: {size: 0},\n"
                "        probes: {startup: {initial: 5s, period: 10s}, readiness: "
                "{period: 0}}}\n"
                "      autoscale: %s\n%s\n",
                trace, pool, rest);
    const bool fine = scenario_parse(out, "scaling.yaml", text_str(&yaml), yaml.length,
                                     &options, err);
    text_fini(&yaml);
    return fine;
}

static void run(struct seen *seen, const char *trace, const char *pool,
                const char *rest)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    *seen = (struct seen){0};
    REQUIRE_OK(scenario_of(&scenario, trace, pool, rest, &err), &err);
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    const struct observer observer = {.context = seen,
                                      .on_outcome = saw_outcome,
                                      .on_event = saw_event,
                                      .on_size = saw_size};
    const struct sim_options how = {.check_invariants = true};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    while (sim_run(sim, 1000, &err) == SIM_RUNNING) {
    }
    sim_summarise(sim, &seen->summary);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
}

static void seen_fini(struct seen *seen)
{
    text_fini(&seen->sizes);
    text_fini(&seen->events);
    text_fini(&seen->outcomes);
}

#define RUN(seen, asked, pool, rest)                                                   \
    run(seen, trace_of(asked, sizeof(asked) / sizeof((asked)[0])), pool, rest)

/* 30 requests at 20 s, 90 s long. Scrape and look of 30 s: 30 on one pod, wanted 10:
 * ceil(3 * 1) = 3 (allowed: 5). At 45 s the other two are ready: 30 / 3 / 10 = 1. At
 * 120 s nothing runs any more; 3 was last wanted at 105 s, and at 405 s that is 300 s
 * ago. */
static void an_hpa_follows_a_step(void)
{
    static const struct asked asked[] = {{20000, 30, 9000}, {450000, 1, 1}};
    struct seen seen;
    RUN(&seen, asked, "{policy: hpa, max: 8, metrics: [{metric: running, target: 10}]}",
        "");
    EXPECT_STR(text_str(&seen.sizes), "0 1/1/1;30 3/3/1;45 3/3/3;405 1/3/1;405 1/1/1;");
    EXPECT_HAS(text_str(&seen.events),
               "30 SuccessfulRescale horizontalpodautoscaler/p New size: 3; reason: "
               "running above target\n");
    EXPECT_HAS(text_str(&seen.events), "405 SuccessfulRescale "
                                       "horizontalpodautoscaler/p New size: 1; reason: "
                                       "All metrics below target\n");
    EXPECT_U64(seen.summary.completed, 31);
    seen_fini(&seen);
}

/* A scrape is seen 20 s later: the look of 45 s sees that of 15 s, that of 60 s sees
 * that of 30 s. A scrape each 40 s: 0, 40; seen at 45 s. */
static void metrics_are_as_old_as_their_pipeline(void)
{
    static const struct asked asked[] = {{20000, 30, 9000}};
    struct seen seen;
    RUN(&seen, asked,
        "{policy: hpa, max: 8, metrics: [{metric: running, target: 10}], "
        "adapter_delay: 20s}",
        "");
    EXPECT_STR(text_str(&seen.sizes), "0 1/1/1;60 3/3/1;75 3/3/3;");
    seen_fini(&seen);
    RUN(&seen, asked,
        "{policy: hpa, max: 8, metrics: [{metric: running, target: 10}], "
        "scrape_interval: 40s}",
        "");
    EXPECT_STR(text_str(&seen.sizes), "0 1/1/1;45 3/3/1;60 3/3/3;");
    seen_fini(&seen);
}

/* Two nodes of one GPU: the third pod waits, and holds none. */
static void pods_without_a_node_hold_no_gpus(void)
{
    static const struct asked asked[] = {{20000, 30, 9000}};
    struct seen seen;
    RUN(&seen, asked, "{policy: hpa, max: 8, metrics: [{metric: running, target: 10}]}",
        "nodes: [{name: a, gpus: 1}, {name: b, gpus: 1}]");
    EXPECT_STR(text_str(&seen.sizes), "0 1/1/1;30 3/2/1;45 3/2/2;");
    EXPECT_HAS(text_str(&seen.events), "30 !FailedScheduling pod/p-2");
    seen_fini(&seen);
}

/* No engine, no metric of engines: nothing wakes it but what the router has seen. Asked
 * at 10 s and every 8 s again (doubled up to there): 10, 18, ... Poll of 30 s, scraped
 * at 30 s: one pod, ready at 45 s, listed at 45.5 s; tried again at 50 s: 50.01 s. 300
 * s after the last poll that still saw it within two minutes: the try of 50 s is in the
 * windows up to 150 s, 300 s after that is 450 s, and the poll after it 480 s. */
static void keda_scales_from_zero_and_back(void)
{
    static const struct asked asked[] = {{10000, 1, 10}, {600000, 1, 1}};
    struct seen seen;
    RUN(&seen, asked,
        "{policy: keda, min: 0, initial: 0, max: 4, metrics: [{metric: seen, kind: "
        "value, target: 1}]}",
        "client: {retries: 6, backoff: 8s, backoff_max: 8s}");
    EXPECT_HAS(text_str(&seen.sizes), "0 0/0/0;30 1/1/0;45 1/1/1;480 0/1/0;480 0/0/0;");
    EXPECT_HAS(text_str(&seen.events),
               "30 KEDAScaleTargetActivated scaledobject/p New size: 1; reason: seen "
               "above target\n");
    EXPECT_HAS(text_str(&seen.events), "480 KEDAScaleTargetDeactivated scaledobject/p "
                                       "New size: 0; reason: no trigger is active\n");
    EXPECT_HAS(text_str(&seen.outcomes), "completed 50010 ms;");
    EXPECT_U64(seen.summary.retries, 11); /* to 50 s, and from 600 s to 648 s */
    seen_fini(&seen);
}

/* Without a trigger on the router it stays asleep, and whoever asks is refused. */
static void engines_that_are_not_there_wake_nobody(void)
{
    static const struct asked asked[] = {{10000, 1, 10}, {400000, 1, 1}};
    struct seen seen;
    RUN(&seen, asked,
        "{policy: keda, min: 0, initial: 0, max: 4, metrics: [{metric: waiting, "
        "target: 5}]}",
        "client: {retries: 3}");
    EXPECT_STR(text_str(&seen.sizes), "0 0/0/0;");
    EXPECT_U64(seen.summary.rejected, 2);
    seen_fini(&seen);
}

/* The activator holds the request of 10 s and wakes the autoscaler at once: ready at
 * 25 s, listed at 25.5 s, the first token 10 ms later, the other one a step later.
 * Nobody is there from 25.6 s on; the window of 60 s has forgotten it at the look of 86
 * s, and 30 s later, at 116 s, the pod goes. */
static void kpa_holds_the_first_request(void)
{
    static const struct asked asked[] = {{10000, 2, 10}, {200000, 1, 1}};
    struct seen seen;
    RUN(&seen, asked, "{policy: kpa, min: 0, initial: 0, max: 4}", "");
    EXPECT_HAS(text_str(&seen.outcomes), "completed 25510 ms;completed 25520 ms;");
    EXPECT_HAS(text_str(&seen.sizes),
               "0 0/0/0;10 1/1/0;25 1/1/1;116 0/1/0;116 0/0/0;200 1/1/0;");
    EXPECT_U64(seen.summary.retries, 0);
    seen_fini(&seen);
}

/* Held for 5 s at most; a client that hangs up after 2 s is no time-out. */
static void nobody_is_held_for_ever(void)
{
    static const struct asked asked[] = {{10000, 1, 10}};
    struct seen seen;
    RUN(&seen, asked, "{policy: kpa, min: 0, initial: 0, max: 4, hold_timeout: 5s}",
        "");
    EXPECT_STR(text_str(&seen.outcomes), "timed_out 15000 ms;");
    seen_fini(&seen);
    RUN(&seen, asked, "{policy: kpa, min: 0, initial: 0, max: 4, at_zero: refuse}", "");
    EXPECT_STR(text_str(&seen.outcomes), "rejected 10000 ms;");
    seen_fini(&seen);
}

/* The time limit finds one that is held. */
static void a_run_may_end_while_it_holds(void)
{
    static const struct asked asked[] = {{10000, 1, 10}};
    struct seen seen;
    RUN(&seen, asked, "{policy: kpa, min: 0, initial: 0, max: 4}", "end: {time: 20s}");
    EXPECT_STR(text_str(&seen.outcomes), "unfinished 20000 ms;");
    seen_fini(&seen);
}

/* 590 requests of 512 tokens in 10 s: 59/s. A prompt takes a step of 10 ms: 0.59.
 * Batches of 256 make up to 25,600 tokens a second: 59 * 512 / 25600 = 1.18. Two, then.
 * The next interval has none: nothing is done. */
static void dynamo_plans_for_the_interval(void)
{
    struct seen seen;
    static const struct asked asked[] = {{0, 590, 512}, {29000, 1, 1}};
    RUN(&seen, asked,
        "{policy: dynamo_sla, max: 8, params: {interval_s: 10, correct: false}}", "");
    EXPECT_STR(text_str(&seen.sizes), "0 1/1/1;10 2/2/1;25 2/2/2;");
    EXPECT_HAS(text_str(&seen.events), "10 SuccessfulRescale planner/p New size: 2; "
                                       "reason: load of the last interval");
    EXPECT_HAS(text_str(&seen.events),
               "20 !FailedComputeMetricsReplicas planner/p no traffic");
    seen_fini(&seen);
}

/* What an autoscaler and the timeline want meets in one number. */
static void the_last_word_counts(void)
{
    static const struct asked asked[] = {{20000, 30, 9000}};
    struct seen seen;
    RUN(&seen, asked, "{policy: hpa, max: 8, metrics: [{metric: running, target: 10}]}",
        "timeline: [{at: 50s, scale: p, replicas: 5}]");
    /* At 60 s: 30 on three ready ones and two that start: 30/5/10 = 0.6, on the other
     * side of 1 than 30/3/10; nothing is done. */
    EXPECT_STR(text_str(&seen.sizes), "0 1/1/1;30 3/3/1;45 3/3/3;50 5/5/3;65 5/5/5;");
    seen_fini(&seen);
}

static void wrong_keys_are_told(void)
{
    static const struct {
        const char *pool;
        const char *says;
    } cases[] = {
        {"{policy: hpb, max: 2}", "no autoscaler hpb; there are hpa, keda"},
        {"{policy: hpa, max: 2}", "hpa goes by 1 to 8 of them"},
        {"{policy: kpa, max: 2, metrics: [{metric: running, target: 1}]}",
         "kpa goes by 0 to 0"},
        {"{policy: hpa, metrics: [{metric: running, target: 1}]}", "max"},
        {"{policy: hpa, min: 0, max: 2, metrics: [{metric: running, target: 1}]}",
         "min"},
        {"{policy: hpa, min: 3, max: 2, metrics: [{metric: running, target: 1}]}",
         "each at most the next one"},
        {"{policy: hpa, max: 2, metrics: [{metric: speed, target: 1}]}", "metric"},
        {"{policy: hpa, max: 2, metrics: [{metric: running, target: 0}]}", "target"},
        {"{policy: hpa, max: 2, metrics: [{metric: requests, kind: pods, target: 1}]}",
         "is not a metric of single pods"},
        {"{policy: keda, max: 2, metrics: [{metric: running, kind: pods, target: 1}]}",
         "keda does not know pods"},
        {"{policy: hpa, max: 2, params: {tolerence: 1}, metrics: [{metric: running, "
         "target: 1}]}",
         "did you mean tolerance"},
        {"{policy: kpa, max: 2, scrape_interval: 0s}", "scrape_interval: 1ms"},
        {"{policy: kpa, max: 2, at_zero: queue}", "at_zero"},
        {"{policy: kpa, max: 2, speed: 3}", "unknown key"},
    };
    static const struct asked asked[] = {{0, 1, 1}};
    const char *trace = trace_of(asked, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scenario *scenario = NULL;
        struct err err = {0};
        harness_note("%s", cases[i].pool);
        EXPECT_FAILS(scenario_of(&scenario, trace, cases[i].pool, "", &err), &err,
                     cases[i].says);
        EXPECT_HAS(err.text, "scaling.yaml:");
    }
}

HARNESS_MAIN("scaling", TEST(an_hpa_follows_a_step),
             TEST(metrics_are_as_old_as_their_pipeline),
             TEST(pods_without_a_node_hold_no_gpus),
             TEST(keda_scales_from_zero_and_back),
             TEST(engines_that_are_not_there_wake_nobody),
             TEST(kpa_holds_the_first_request), TEST(nobody_is_held_for_ever),
             TEST(a_run_may_end_while_it_holds), TEST(dynamo_plans_for_the_interval),
             TEST(the_last_word_counts), TEST(wrong_keys_are_told))
