/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet_fixture.h: whole runs of a small fleet, for tests whose times are worked by
 * hand.
 *
 * Two engines; a step takes 10 us, so that a request of 10 output tokens is served for
 * 100 us. Requests 1 to 4 come at 0, 10, 20 and 30 us, in turn to engines 0 and 1. An
 * arrival at the very end of a step misses the next one: request 3 joins at 30 us and
 * has its first token at 40 us, request 4 at 40 and 50 us.
 */
#ifndef STACKSIM_TESTS_FLEET_FIXTURE_H
#define STACKSIM_TESTS_FLEET_FIXTURE_H

#include "sim/sim.h"
#include "tests/harness.h"

#include <inttypes.h>
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

static inline void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct record *record = context;
    REQUIRE(record->count < REQUESTS_MAX);
    record->outcomes[record->count++] = *outcome;
}

static inline void saw_event(void *context, const struct fleet_event *event)
{
    struct record *record = context;
    text_printf(&record->events, "%lld %s%s %s\n", (long long)(event->time_ns / us),
                event->warning ? "!" : "", event->reason, event->object);
}

static inline const struct request_outcome *outcome_of(const struct record *record,
                                                       uint64_t id)
{
    uint32_t i = 0;
    while (i < record->count && record->outcomes[i].request_id != id) {
        i++;
    }
    REQUIRE(i < record->count);
    return &record->outcomes[i];
}

static inline void expect_times(const struct record *record, uint64_t id,
                                int64_t first_us, int64_t end_us)
{
    const struct request_outcome *outcome = outcome_of(record, id);
    harness_note("request %llu", (unsigned long long)id);
    EXPECT(outcome->status == OUTCOME_COMPLETED);
    EXPECT_I64(outcome->first_token_ns, first_us * us);
    EXPECT_I64(outcome->end_ns, end_us * us);
}

static inline void expect_failed(const struct record *record, uint64_t id,
                                 int64_t end_us)
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
    uint32_t sequences;  /* at a time; 0 = 8 */
    const char *cost;    /* NULL = 10 us a step */
    const char *model;   /* that is asked for; NULL = the only one */
    const char *adapter; /* the same; engines have LoRA then */
    uint32_t requests;   /* 0 = 4 */
    uint32_t gap_us;     /* between two of them; 0 = 10 */
    uint32_t tokens;     /* of output; 0 = 10 */
};

static inline void run_with(const struct fleet *fleet, bool step_by_step,
                            struct record *record, struct sim_summary *summary)
{
    struct text trace = {0};
    struct text yaml = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    text_add(&trace, "#version=1\nid,arrival,in,out,model,adapter,prompt\n");
    const uint32_t requests = fleet->requests > 0 ? fleet->requests : 4;
    const uint32_t gap_us = fleet->gap_us > 0 ? fleet->gap_us : 10;
    for (uint32_t i = 1; i <= requests; i++) {
        text_printf(&trace, "%u,%" PRIu64 ",1,%u,%s,%s,t%u+1\n", i,
                    (i - 1) * (uint64_t)gap_us * 1000,
                    fleet->tokens > 0 ? fleet->tokens : 10,
                    fleet->model != NULL ? fleet->model : "",
                    fleet->adapter != NULL ? fleet->adapter : "", i);
    }
    const char *path = harness_temp_file("four.csv", text_str(&trace), trace.length);
    text_printf(&yaml,
                "workload: {trace: \"%s\", format: native}\n"
                "routing: {policy: round_robin%s}\n"
                "cluster:\n  pools:\n    - name: a\n      gpu: h100_sxm\n"
                "      model: opt_125m\n      replicas: 2\n"
                "      engine: {max_num_seqs: %u, max_num_batched_tokens: 64, "
                "max_model_len: 2000, prefix_caching: false, "
                "compat: v085, cpu_step: 0s, cpu_sequence: 0s%s}\n"
                "      cost: {model: linear, %s}\n"
                "      deployment: {%s}\n%s\n",
                path, fleet->routing, fleet->sequences > 0 ? fleet->sequences : 8,
                fleet->adapter != NULL ? ", enable_lora: true" : "",
                fleet->cost != NULL ? fleet->cost : "step: 10us", fleet->deployment,
                fleet->rest);
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

static inline void run(const char *routing, const char *deployment, const char *rest,
                       struct record *record, struct sim_summary *summary)
{
    const struct fleet fleet = {
        .routing = routing, .deployment = deployment, .rest = rest};
    run_with(&fleet, false, record, summary);
}

static inline bool told(const struct record *record, const char *line)
{
    const bool found = strstr(text_str(&record->events), line) != NULL;
    if (!found) {
        harness_note("no '%s' in:\n%s", line, text_str(&record->events));
    }
    return found;
}

#endif
