/* SPDX-License-Identifier: Apache-2.0
 *
 * Vidur's own answers to fixed inputs, reproduced with its step times in our engine
 * (docs/validation.md). Its Sarathi scheduler is vLLM's with chunked prefill and
 * without asynchronous scheduling, so every time of every request agrees with the
 * printed ones to their last digit.
 */
#include "base/csv.h"
#include "base/mem.h"
#include "sim/sim.h"
#include "stats/quantile.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 4096 };

/* Seconds, as the file has them. */
struct answer {
    double arrival_s;
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    double scheduled_s;
    double first_token_s;
    double end_s;
};

struct subject {
    const char *file;
    const char *engine;                /* keys of `engine:` */
    const struct route_policy *policy; /* NULL: in turn */
    uint32_t replicas;
    struct answer answers[REQUESTS_MAX];
    struct request_outcome outcomes[REQUESTS_MAX];
    size_t count;
    struct sim_summary summary;
};

static void answers_read(struct subject *subject, const char *path)
{
    struct err err = {0};
    struct lines *lines = NULL;
    const char *const *fields = NULL;
    size_t fields_count = 0;
    REQUIRE_OK(lines_open(&lines, path, 4096, &err), &err);
    struct csv *csv = csv_new(lines);
    REQUIRE(csv_next(csv, &fields, &fields_count, &err) == LINES_LINE);
    while (csv_next(csv, &fields, &fields_count, &err) == LINES_LINE) {
        REQUIRE(fields_count == 8 && subject->count < REQUESTS_MAX);
        REQUIRE(strcmp(fields[7], "0") == 0); /* nobody restarts there */
        subject->answers[subject->count++] = (struct answer){
            .arrival_s = strtod(fields[1], NULL),
            .prompt_tokens = (uint32_t)strtoul(fields[2], NULL, 10),
            .output_tokens = (uint32_t)strtoul(fields[3], NULL, 10),
            .scheduled_s = strtod(fields[4], NULL),
            .first_token_s = strtod(fields[5], NULL),
            .end_s = strtod(fields[6], NULL),
        };
    }
    csv_delete(csv);
    lines_close(lines);
}

static void on_outcome(void *context, const struct request_outcome *outcome)
{
    struct subject *subject = context;
    REQUIRE(outcome->request_id < subject->count);
    subject->outcomes[outcome->request_id] = *outcome;
}

static struct scenario *scenario_of(const struct subject *subject, const char *trace)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct text text = {0};
    const char *prefix = harness_data("profiles/vidur/xcheck/a100.Llama-3-8B.tp1."
                                      "token_ops_ms.csv.gz");
    REQUIRE(prefix != NULL);
    text_printf(&text,
                "name: vidur\nworkload: {trace: '%s', format: lengths}\n"
                "cluster:\n  pools:\n    - name: a100\n      replicas: %u\n"
                "      gpu: a100_80_sxm\n      model: llama_3_8b\n"
                "      engine: {max_num_seqs: 128, block_tokens: 16, "
                "num_gpu_blocks_override: 30208, prefix_caching: false, "
                "async_scheduling: false, max_model_len: 4096, cpu_step: 0s, "
                "cpu_sequence: 0s, %s}\n"
                "      cost: {model: vidur, tables: '%.*s'}\n"
                "routing: {policy: round_robin, scrape_interval: 0s}\n",
                trace, subject->replicas, subject->engine,
                (int)(strstr(prefix, ".token_ops_ms") - prefix), prefix);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(
        scenario_parse(&scenario, "vidur", text.bytes, text.length, &options, &err),
        &err);
    text_fini(&text);
    if (subject->policy != NULL) {
        scenario->policy = subject->policy;
    }
    return scenario;
}

/* False: no data here; the test was marked as skipped. */
static bool subject_run(struct subject *subject, bool step_by_step)
{
    char name[128];
    struct err err = {0};
    snprintf(name, sizeof name, "profiles/vidur/xcheck/%s", subject->file);
    const char *path = harness_data(name);
    if (path == NULL) {
        return false;
    }
    subject->count = 0;
    answers_read(subject, path);
    struct scenario *scenario = scenario_of(subject, path);
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    const struct observer observer = {.context = subject, .on_outcome = on_outcome};
    const struct sim_options options = {.step_by_step = step_by_step};
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

/* The largest difference of any request, s. */
struct differences {
    double scheduled_s;
    double first_token_s;
    double end_s;
};

static struct differences differences_of(const struct subject *subject)
{
    struct differences most = {0};
    for (size_t i = 0; i < subject->count; i++) {
        const struct answer *there = &subject->answers[i];
        const struct request_outcome *here = &subject->outcomes[i];
        REQUIRE(here->status == OUTCOME_COMPLETED);
        EXPECT_U64(here->prompt_tokens, there->prompt_tokens);
        EXPECT_U64(here->output_tokens, there->output_tokens);
        const double scheduled_s =
            fabs((double)here->scheduled_ns / 1e9 - there->scheduled_s);
        const double first_s =
            fabs((double)here->first_token_ns / 1e9 - there->first_token_s);
        const double end_s = fabs((double)here->end_ns / 1e9 - there->end_s);
        most.scheduled_s = fmax(most.scheduled_s, scheduled_s);
        most.first_token_s = fmax(most.first_token_s, first_s);
        most.end_s = fmax(most.end_s, end_s);
    }
    return most;
}

/* Nine digits of up to 400 s, one of which is rounded. */
static const double printed_s = 0.6e-6;

static void same_to_the_last_digit(const struct subject *subject)
{
    const struct differences most = differences_of(subject);
    printf("%s: at most %.2g s, %.2g s, %.2g s; %lu steps\n", subject->file,
           most.scheduled_s, most.first_token_s, most.end_s,
           (unsigned long)subject->summary.steps);
    EXPECT_NEAR(most.scheduled_s, 0.0, printed_s);
    EXPECT_NEAR(most.first_token_s, 0.0, printed_s);
    EXPECT_NEAR(most.end_s, 0.0, printed_s);
}

static void one_engine_gives_every_time_of_every_request(void)
{
    static struct subject subject = {.file = "requests.r1_sarathi_n2048.csv.gz",
                                     .engine = "max_num_batched_tokens: 512",
                                     .replicas = 1};
    if (subject_run(&subject, false)) {
        same_to_the_last_digit(&subject);
        EXPECT_U64(subject.summary.preemptions, 0);
    }
}

static void eight_engines_in_turn_give_every_time(void)
{
    static struct subject subject = {.file = "requests.r8_rr_sarathi_n4096.csv.gz",
                                     .engine = "max_num_batched_tokens: 512",
                                     .replicas = 8};
    if (subject_run(&subject, false)) {
        same_to_the_last_digit(&subject);
    }
}

/* ---- Vidur's "least outstanding": the fewest requests that wait for admission */

static struct route_decision fewest_waiting(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    (void)state;
    (void)request;
    uint32_t best = 0;
    for (uint32_t i = 1; i < view->count; i++) {
        if (view->endpoints[i]->metrics.waiting_requests <
            view->endpoints[best]->metrics.waiting_requests) {
            best = i;
        }
    }
    return (struct route_decision){.endpoint = (int32_t)best,
                                   .reason = REASON_LEAST_LOADED,
                                   .candidates = view->count};
}

static const struct route_policy vidur_lor = {.name = "vidur_lor",
                                              .help = "fewest waiting requests",
                                              .source = "microsoft/vidur",
                                              .needs = NEED_METRICS,
                                              .state_bytes = 1,
                                              .pick = fewest_waiting};

static void eight_engines_by_queue_give_every_time(void)
{
    static struct subject subject = {.file = "requests.r8_lor_sarathi_n4096.csv.gz",
                                     .engine = "max_num_batched_tokens: 512",
                                     .policy = &vidur_lor,
                                     .replicas = 8};
    if (subject_run(&subject, false)) {
        same_to_the_last_digit(&subject);
    }
}

/* ---- the scheduler of vLLM v0: whole prompts in steps of their own, before decodes */

/* Means over all requests, ms. */
struct means {
    double ttft_ms;
    double tpot_ms;
    double e2e_ms;
};

static void means_add(struct means *means, double first_s, double end_s, double share)
{
    means->ttft_ms += share * first_s * 1e3;
    means->e2e_ms += share * end_s * 1e3;
}

static void means_of(const struct subject *subject, struct means *here,
                     struct means *there)
{
    const double share = 1.0 / (double)subject->count;
    *here = (struct means){0};
    *there = (struct means){0};
    for (size_t i = 0; i < subject->count; i++) {
        const struct answer *answer = &subject->answers[i];
        const struct request_outcome *outcome = &subject->outcomes[i];
        const double gaps = fmax(1.0, answer->output_tokens - 1.0);
        means_add(there, answer->first_token_s - answer->arrival_s,
                  answer->end_s - answer->arrival_s, share);
        there->tpot_ms += share * (answer->end_s - answer->first_token_s) / gaps * 1e3;
        means_add(here, (double)(outcome->first_token_ns - outcome->arrival_ns) / 1e9,
                  (double)(outcome->end_ns - outcome->arrival_ns) / 1e9, share);
        here->tpot_ms +=
            share * (double)(outcome->end_ns - outcome->first_token_ns) / gaps / 1e6;
    }
}

/* Ours mixes the same whole prompts with decodes, as vLLM v1 does: first tokens wait
 * for room in the budget, decodes are not held up. Both are explained in
 * docs/validation.md; neither is an error of the other. */
static void older_scheduler_serves_first_tokens_sooner_and_decodes_later(void)
{
    static struct subject subject = {
        .file = "requests.r8_lor_vllm_n4096.csv.gz",
        .engine = "max_num_batched_tokens: 4096, chunked_prefill: false",
        .policy = &vidur_lor,
        .replicas = 8};
    if (!subject_run(&subject, false)) {
        return;
    }
    struct means here;
    struct means there;
    means_of(&subject, &here, &there);
    printf("%s: TTFT %.1f, there %.1f ms; TPOT %.2f, %.2f ms; E2E %.0f, %.0f ms\n",
           subject.file, here.ttft_ms, there.ttft_ms, here.tpot_ms, there.tpot_ms,
           here.e2e_ms, there.e2e_ms);
    EXPECT(there.ttft_ms < 0.5 * here.ttft_ms);
    EXPECT(there.tpot_ms > 1.5 * here.tpot_ms);
    EXPECT(there.e2e_ms > 1.5 * here.e2e_ms);
}

/* The engine with `prompts_first`. What is left: there each prompt of a step counts as
 * long as the longest of them (vLLM of 2023 padded), here as long as it is. */
static void prompts_first_is_that_scheduler_but_for_padding(void)
{
    static struct subject subject = {
        .file = "requests.r8_lor_vllm_n4096.csv.gz",
        .engine = "max_num_batched_tokens: 4096, chunked_prefill: false, "
                  "prompts_first: true, reserve_full_isl: false",
        .policy = &vidur_lor,
        .replicas = 8};
    if (!subject_run(&subject, false)) {
        return;
    }
    struct means here;
    struct means there;
    means_of(&subject, &here, &there);
    printf("prompts first: TTFT %.1f, there %.1f ms; TPOT %.2f, %.2f ms; E2E %.0f, "
           "%.0f ms\n",
           here.ttft_ms, there.ttft_ms, here.tpot_ms, there.tpot_ms, here.e2e_ms,
           there.e2e_ms);
    EXPECT_NEAR(here.ttft_ms, there.ttft_ms, 0.03 * there.ttft_ms);
    EXPECT_NEAR(here.tpot_ms, there.tpot_ms, 0.03 * there.tpot_ms);
    EXPECT_NEAR(here.e2e_ms, there.e2e_ms, 0.03 * there.e2e_ms);
}

/* ---- that scheduler itself, with our step times */

enum { ENGINES = 8, SLOTS = 128, BUDGET = 4096, QUEUE_MAX = 4096 };

/* One engine under it. A step takes waiting prompts, whole and in order, while their
 * number times the longest of them is within BUDGET and slots are free; only when there
 * is none, a token for each running request. */
struct old_engine {
    size_t waiting[QUEUE_MAX];
    size_t waiting_count;
    size_t running[SLOTS];
    size_t running_count;
    size_t prompts; /* in the step under way: the first of waiting; 0 = decodes */
    double end_s;   /* of that step; infinity: idle */
};

struct old_fleet {
    const struct subject *subject;
    const struct cost *cost;
    struct old_engine engines[ENGINES];
    uint32_t produced[REQUESTS_MAX];
    double scheduled_s[REQUESTS_MAX];
    double first_s[REQUESTS_MAX];
    double end_s[REQUESTS_MAX];
};

static void old_prompts(struct old_fleet *fleet, struct old_engine *engine,
                        double now_s, struct batch_shape *shape)
{
    uint32_t longest = 0;
    engine->prompts = 0;
    while (engine->prompts < engine->waiting_count &&
           engine->running_count + engine->prompts < SLOTS) {
        const size_t id = engine->waiting[engine->prompts];
        const uint32_t tokens = fleet->subject->answers[id].prompt_tokens;
        longest = tokens > longest ? tokens : longest;
        if ((engine->prompts + 1) * longest > BUDGET) {
            break;
        }
        shape->chunks++;
        shape->chunk_tokens += tokens;
        shape->chunk_squares += (uint64_t)tokens * tokens;
        fleet->scheduled_s[id] = now_s;
        engine->prompts++;
    }
}

static void old_step(struct old_fleet *fleet, struct old_engine *engine, double now_s)
{
    struct batch_shape shape = {0};
    old_prompts(fleet, engine, now_s, &shape);
    for (size_t i = 0; i < engine->running_count && engine->prompts == 0; i++) {
        const size_t id = engine->running[i];
        shape.decodes++;
        shape.decode_context += fleet->subject->answers[id].prompt_tokens +
                                (uint64_t)fleet->produced[id] - 1;
    }
    engine->end_s = (double)INFINITY;
    if (shape.chunks + shape.decodes > 0) {
        const double fx = (double)cost_step_fx(fleet->cost, &shape);
        engine->end_s = now_s + fx / COST_FX_PER_NS / 1e9;
    }
}

/* A token for everybody; who is done leaves. */
static void old_decodes_end(struct old_fleet *fleet, struct old_engine *engine)
{
    size_t kept = 0;
    for (size_t i = 0; i < engine->running_count; i++) {
        const size_t id = engine->running[i];
        if (++fleet->produced[id] == fleet->subject->answers[id].output_tokens) {
            fleet->end_s[id] = engine->end_s;
        } else {
            engine->running[kept++] = id;
        }
    }
    engine->running_count = kept;
}

static void old_prompts_end(struct old_fleet *fleet, struct old_engine *engine)
{
    for (size_t i = 0; i < engine->prompts; i++) {
        const size_t id = engine->waiting[i];
        fleet->first_s[id] = engine->end_s;
        fleet->produced[id] = 1;
        if (fleet->subject->answers[id].output_tokens == 1) {
            fleet->end_s[id] = engine->end_s;
        } else {
            engine->running[engine->running_count++] = id;
        }
    }
    engine->waiting_count -= engine->prompts;
    memmove(engine->waiting, engine->waiting + engine->prompts,
            engine->waiting_count * sizeof engine->waiting[0]);
}

/* Who waits: not yet in a step. Prompts of the step under way are out of the queue. */
static size_t old_pending(const struct old_engine *engine)
{
    return engine->waiting_count - (isinf(engine->end_s) ? 0 : engine->prompts);
}

static void old_arrival(struct old_fleet *fleet, size_t id)
{
    struct old_engine *best = &fleet->engines[0];
    for (size_t i = 1; i < ENGINES; i++) {
        if (old_pending(&fleet->engines[i]) < old_pending(best)) {
            best = &fleet->engines[i];
        }
    }
    REQUIRE(best->waiting_count < QUEUE_MAX);
    best->waiting[best->waiting_count++] = id;
    if (isinf(best->end_s)) {
        old_step(fleet, best, fleet->subject->answers[id].arrival_s);
    }
}

static void old_run(struct old_fleet *fleet)
{
    size_t next = 0;
    for (size_t i = 0; i < ENGINES; i++) {
        fleet->engines[i].end_s = (double)INFINITY;
    }
    for (;;) {
        struct old_engine *first = &fleet->engines[0];
        for (size_t i = 1; i < ENGINES; i++) {
            if (fleet->engines[i].end_s < first->end_s) {
                first = &fleet->engines[i];
            }
        }
        const bool arrives = next < fleet->subject->count &&
                             fleet->subject->answers[next].arrival_s < first->end_s;
        if (arrives) {
            old_arrival(fleet, next++);
            continue;
        }
        if (isinf(first->end_s)) {
            return;
        }
        if (first->prompts > 0) {
            old_prompts_end(fleet, first);
        } else {
            old_decodes_end(fleet, first);
        }
        old_step(fleet, first, first->end_s);
    }
}

static void older_scheduler_with_our_step_times_gives_every_time(void)
{
    static struct subject subject = {
        .file = "requests.r8_lor_vllm_n4096.csv.gz",
        .engine = "max_num_batched_tokens: 4096, chunked_prefill: false",
        .policy = &vidur_lor,
        .replicas = 8};
    static struct old_fleet fleet;
    char name[128];
    snprintf(name, sizeof name, "profiles/vidur/xcheck/%s", subject.file);
    const char *path = harness_data(name);
    if (path == NULL) {
        return;
    }
    subject.count = 0;
    answers_read(&subject, path);
    struct scenario *scenario = scenario_of(&subject, path);
    fleet.subject = &subject;
    fleet.cost = scenario->pools[0].cost;
    old_run(&fleet);
    for (size_t i = 0; i < subject.count; i++) {
        subject.outcomes[i] = (struct request_outcome){
            .status = OUTCOME_COMPLETED,
            .prompt_tokens = subject.answers[i].prompt_tokens,
            .output_tokens = subject.answers[i].output_tokens,
            .scheduled_ns = llround(fleet.scheduled_s[i] * 1e9),
            .first_token_ns = llround(fleet.first_s[i] * 1e9),
            .end_ns = llround(fleet.end_s[i] * 1e9),
        };
    }
    scenario_delete(scenario);
    same_to_the_last_digit(&subject);
}

HARNESS_MAIN("vidur", TEST(one_engine_gives_every_time_of_every_request),
             TEST(eight_engines_in_turn_give_every_time),
             TEST(eight_engines_by_queue_give_every_time),
             TEST(older_scheduler_serves_first_tokens_sooner_and_decodes_later),
             TEST(prompts_first_is_that_scheduler_but_for_padding),
             TEST(older_scheduler_with_our_step_times_gives_every_time))
