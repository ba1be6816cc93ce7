/* SPDX-License-Identifier: Apache-2.0
 *
 * splitwise-sim's answers to a fixed input beside those of our engine with its step
 * times (docs/validation.md). Its scheduler is another one, so what is demanded is what
 * both must share: a request that meets nobody takes the same time to its digit, the
 * fleet's means are close, and the differences have the sign that the schedulers give
 * them.
 */
#include "base/csv.h"
#include "sim/sim.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 16384 };
static const char input[] = "profiles/splitwise/xcheck/conv70_2min.requests.csv.gz";

struct answer {
    double arrival_s;
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    double ttft_s; /* of the fleet of 40 with mixed batches */
    double e2e_s;
};

struct subject {
    struct answer answers[REQUESTS_MAX];
    struct request_outcome outcomes[REQUESTS_MAX];
    size_t count;
    struct sim_summary summary;
};

static size_t column_find(const char *const *fields, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(fields[i], name) != 0) {
        i++;
    }
    REQUIRE(i < count);
    return i;
}

static void answers_read(struct subject *subject, const char *path)
{
    static const char *const names[] = {"arrival_timestamp", "prompt_size",
                                        "token_size", "base40_ttft_s", "base40_e2e_s"};
    size_t at[5];
    struct err err = {0};
    struct lines *lines = NULL;
    const char *const *fields = NULL;
    size_t count = 0;
    REQUIRE_OK(lines_open(&lines, path, 4096, &err), &err);
    struct csv *csv = csv_new(lines);
    REQUIRE(csv_next(csv, &fields, &count, &err) == LINES_LINE);
    for (size_t i = 0; i < 5; i++) {
        at[i] = column_find(fields, count, names[i]);
    }
    while (csv_next(csv, &fields, &count, &err) == LINES_LINE) {
        REQUIRE(subject->count < REQUESTS_MAX);
        subject->answers[subject->count++] = (struct answer){
            .arrival_s = strtod(fields[at[0]], NULL),
            .prompt_tokens = (uint32_t)strtoul(fields[at[1]], NULL, 10),
            .output_tokens = (uint32_t)strtoul(fields[at[2]], NULL, 10),
            .ttft_s = strtod(fields[at[3]], NULL),
            .e2e_s = strtod(fields[at[4]], NULL),
        };
    }
    csv_delete(csv);
    lines_close(lines);
}

/* The shortest queue there: prompt tokens of requests without a first token, and one
 * for every request that is there. */
static uint64_t pending(const struct endpoint_view *endpoint)
{
    return endpoint->inflight_prompt_tokens + endpoint->inflight_requests;
}

static struct route_decision fewest_pending(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    (void)state;
    (void)request;
    uint32_t best = 0;
    for (uint32_t i = 1; i < view->count; i++) {
        if (pending(view->endpoints[i]) < pending(view->endpoints[best])) {
            best = i;
        }
    }
    return (struct route_decision){.endpoint = (int32_t)best,
                                   .reason = REASON_LEAST_LOADED,
                                   .candidates = view->count};
}

static const struct route_policy splitwise_jsq = {
    .name = "splitwise_jsq",
    .help = "fewest pending tokens",
    .source = "Mutinifni/splitwise-sim:schedulers.py",
    .state_bytes = 1,
    .pick = fewest_pending};

static void on_outcome(void *context, const struct request_outcome *outcome)
{
    struct subject *subject = context;
    REQUIRE(outcome->request_id < subject->count);
    subject->outcomes[outcome->request_id] = *outcome;
}

/* The input has prompts beyond Llama-2's 4,096 tokens, which nobody checks there; all
 * times come from the table, so a newer model of that shape stands in. */
static struct scenario *scenario_of(const char *trace, const char *table)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct text text = {0};
    text_printf(&text,
                "workload: {trace: '%s', format: lengths}\n"
                "cluster:\n  pools:\n    - replicas: 40\n"
                "      gpu: h100_sxm\n      model: llama_3_1_70b\n"
                "      engine: {tensor_parallel: 8, max_num_seqs: 512, "
                "max_num_batched_tokens: 8192, max_model_len: 8192, "
                "chunked_prefill: false, "
                "num_gpu_blocks_override: 1000000, prefix_caching: false, "
                "async_scheduling: false, cpu_step: 0s, cpu_sequence: 0s}\n"
                "      cost: {model: iterations, table: '%s', "
                "table_gpu: h100-80gb, table_model: llama2-70b}\n",
                trace, table);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(
        scenario_parse(&scenario, "splitwise", text.bytes, text.length, &options, &err),
        &err);
    text_fini(&text);
    scenario->policy = &splitwise_jsq;
    return scenario;
}

static bool subject_run(struct subject *subject)
{
    struct err err = {0};
    const char *trace = harness_data(input);
    const char *table = harness_data("profiles/splitwise/perf_model.csv");
    if (trace == NULL || table == NULL) {
        return false;
    }
    subject->count = 0;
    answers_read(subject, trace);
    struct scenario *scenario = scenario_of(trace, table);
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    const struct observer observer = {.context = subject, .on_outcome = on_outcome};
    const struct sim_options options = {0};
    REQUIRE_OK(
        workload_open_conf(&workload, scenario->workload, scenario->seed, ".", &err),
        &err);
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &options, &err), &err);
    REQUIRE(sim_run(sim, UINT64_MAX, &err) == SIM_DONE);
    sim_summarise(sim, &subject->summary);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    return true;
}

struct comparison {
    double ttft_ratio; /* of means, here / there */
    double e2e_ratio;
    double ttft_mape;
    double e2e_mape;
    double equal_share; /* of requests whose TTFT agrees to 10 us */
    size_t first_other; /* the first whose TTFT does not */
};

static void compare(const struct subject *subject, struct comparison *out)
{
    double sums[4] = {0};
    size_t equal = 0;
    *out = (struct comparison){.first_other = subject->count};
    for (size_t i = 0; i < subject->count; i++) {
        const struct answer *there = &subject->answers[i];
        const struct request_outcome *here = &subject->outcomes[i];
        REQUIRE(here->status == OUTCOME_COMPLETED);
        const double ttft_s = (double)(here->first_token_ns - here->arrival_ns) / 1e9;
        const double e2e_s = (double)(here->end_ns - here->arrival_ns) / 1e9;
        sums[0] += ttft_s;
        sums[1] += there->ttft_s;
        sums[2] += e2e_s;
        sums[3] += there->e2e_s;
        out->ttft_mape += fabs(ttft_s / there->ttft_s - 1.0) / (double)subject->count;
        out->e2e_mape += fabs(e2e_s / there->e2e_s - 1.0) / (double)subject->count;
        const bool same = fabs(ttft_s - there->ttft_s) < 1e-5;
        equal += same;
        if (!same && out->first_other == subject->count) {
            out->first_other = i;
        }
    }
    out->ttft_ratio = sums[0] / sums[1];
    out->e2e_ratio = sums[2] / sums[3];
    out->equal_share = (double)equal / (double)subject->count;
}

static void comparison_print(const char *what, const struct comparison *found,
                             size_t count)
{
    printf("%s: mean TTFT %+.3f %%, E2E %+.3f %%; per request %.2f %%, %.2f %%; equal "
           "TTFT %.1f %%, the first other one %zu of %zu\n",
           what, 100 * (found->ttft_ratio - 1), 100 * (found->e2e_ratio - 1),
           100 * found->ttft_mape, 100 * found->e2e_mape, 100 * found->equal_share,
           found->first_other, count);
}

static void fleet_with_mixed_batches_is_close(void)
{
    static struct subject subject;
    struct comparison found;
    if (!subject_run(&subject)) {
        return;
    }
    compare(&subject, &found);
    comparison_print("v1 without chunks", &found, subject.count);
    EXPECT(found.first_other >= 40); /* the first of each instance is alone */
    EXPECT_NEAR(found.ttft_ratio, 1.0, 0.05);
    EXPECT_NEAR(found.e2e_ratio, 1.0, 0.005);
}

/* ---- its scheduler, from its answers, with our step times */

enum { ENGINES = 40, QUEUE_MAX = 512, BUDGET = 2048 };

/* One engine of theirs. A step takes prompts first, whole and in order: at most BUDGET
 * tokens, but the first one whatever its length; then decodes, in order of arrival, as
 * far as the budget goes. The others pause. */
struct their_engine {
    size_t waiting[QUEUE_MAX];
    size_t waiting_count;
    size_t decoding[QUEUE_MAX]; /* ascending */
    size_t decoding_count;
    size_t prompts; /* in the step under way: the first of waiting */
    size_t decodes; /* and the first of decoding */
    double end_s;   /* of that step; infinity: idle */
    uint64_t pending;
};

struct their_fleet {
    const struct subject *subject;
    const struct cost *cost;
    struct their_engine engines[ENGINES];
    uint32_t left[REQUESTS_MAX];
    double first_s[REQUESTS_MAX];
    double end_s[REQUESTS_MAX];
};

static void their_step(struct their_fleet *fleet, struct their_engine *engine,
                       double now_s)
{
    struct batch_shape shape = {0};
    engine->prompts = 0;
    while (engine->prompts < engine->waiting_count) {
        const size_t id = engine->waiting[engine->prompts];
        const uint32_t tokens = fleet->subject->answers[id].prompt_tokens;
        if (shape.chunks > 0 && shape.chunk_tokens + tokens > BUDGET) {
            break;
        }
        shape.chunks++;
        shape.chunk_tokens += tokens;
        engine->prompts++;
    }
    const uint64_t room = shape.chunk_tokens < BUDGET ? BUDGET - shape.chunk_tokens : 0;
    engine->decodes = engine->decoding_count < room ? engine->decoding_count : room;
    shape.decodes = (uint32_t)engine->decodes;
    engine->end_s = (double)INFINITY;
    if (shape.chunks + shape.decodes > 0) {
        const double fx = (double)cost_step_fx(fleet->cost, &shape);
        engine->end_s = now_s + fx / COST_FX_PER_NS / 1e9;
    }
}

static void their_decode_add(struct their_engine *engine, size_t id)
{
    size_t at = engine->decoding_count++;
    REQUIRE(at < QUEUE_MAX);
    while (at > 0 && engine->decoding[at - 1] > id) {
        engine->decoding[at] = engine->decoding[at - 1];
        at--;
    }
    engine->decoding[at] = id;
}

static void their_step_end(struct their_fleet *fleet, struct their_engine *engine)
{
    const double now_s = engine->end_s;
    size_t kept = 0;
    for (size_t i = 0; i < engine->decoding_count; i++) {
        const size_t id = engine->decoding[i];
        if (i < engine->decodes && --fleet->left[id] == 0) {
            fleet->end_s[id] = now_s;
            engine->pending--;
        } else {
            engine->decoding[kept++] = id;
        }
    }
    engine->decoding_count = kept;
    for (size_t i = 0; i < engine->prompts; i++) {
        const size_t id = engine->waiting[i];
        fleet->first_s[id] = now_s;
        engine->pending -= fleet->subject->answers[id].prompt_tokens;
        fleet->left[id] = fleet->subject->answers[id].output_tokens - 1;
        if (fleet->left[id] > 0) {
            their_decode_add(engine, id);
        } else {
            fleet->end_s[id] = now_s;
            engine->pending--;
        }
    }
    engine->waiting_count -= engine->prompts;
    memmove(engine->waiting, engine->waiting + engine->prompts,
            engine->waiting_count * sizeof engine->waiting[0]);
    their_step(fleet, engine, now_s);
}

static void their_arrival(struct their_fleet *fleet, size_t id)
{
    struct their_engine *best = &fleet->engines[0];
    for (size_t i = 1; i < ENGINES; i++) {
        if (fleet->engines[i].pending < best->pending) {
            best = &fleet->engines[i];
        }
    }
    REQUIRE(best->waiting_count < QUEUE_MAX);
    best->waiting[best->waiting_count++] = id;
    best->pending += fleet->subject->answers[id].prompt_tokens + UINT64_C(1);
    if (isinf(best->end_s)) {
        their_step(fleet, best, fleet->subject->answers[id].arrival_s);
    }
}

static void their_run(struct their_fleet *fleet)
{
    size_t next = 0;
    for (size_t i = 0; i < ENGINES; i++) {
        fleet->engines[i].end_s = (double)INFINITY;
    }
    for (;;) {
        struct their_engine *first = &fleet->engines[0];
        for (size_t i = 1; i < ENGINES; i++) {
            if (fleet->engines[i].end_s < first->end_s) {
                first = &fleet->engines[i];
            }
        }
        const bool arrives = next < fleet->subject->count &&
                             fleet->subject->answers[next].arrival_s < first->end_s;
        if (arrives) {
            their_arrival(fleet, next++);
        } else if (isinf(first->end_s)) {
            return;
        } else {
            their_step_end(fleet, first);
        }
    }
}

static void its_rules_with_our_step_times_give_its_answers(void)
{
    static struct subject subject;
    static struct their_fleet fleet;
    struct comparison found;
    const char *trace = harness_data(input);
    const char *table = harness_data("profiles/splitwise/perf_model.csv");
    if (trace == NULL || table == NULL) {
        return;
    }
    answers_read(&subject, trace);
    struct scenario *scenario = scenario_of(trace, table);
    fleet.subject = &subject;
    fleet.cost = scenario->pools[0].cost;
    their_run(&fleet);
    for (size_t i = 0; i < subject.count; i++) {
        subject.outcomes[i] = (struct request_outcome){
            .status = OUTCOME_COMPLETED,
            .arrival_ns = llround(subject.answers[i].arrival_s * 1e9),
            .first_token_ns = llround(fleet.first_s[i] * 1e9),
            .end_ns = llround(fleet.end_s[i] * 1e9),
        };
    }
    scenario_delete(scenario);
    compare(&subject, &found);
    comparison_print("its rules", &found, subject.count);
    EXPECT(found.first_other > 4000);
    EXPECT_NEAR(found.ttft_ratio, 1.0, 0.001);
    EXPECT_NEAR(found.e2e_ratio, 1.0, 0.0001);
}

HARNESS_MAIN("splitwise", TEST(fleet_with_mixed_batches_is_close),
             TEST(its_rules_with_our_step_times_give_its_answers))
