/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_kv_truth.c: what a router that hears every KV event at once expects to be cached
 * is what the engine then finds, request by request, in whole runs whose caches are too
 * small for their prompts. When events are late or lost, some of it is not.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <stdio.h>

enum { REQUESTS = 400, BLOCK = 16, SEEDS = 6 };

struct run {
    uint32_t expected_blocks[REQUESTS + 1];
    uint32_t prompt_tokens[REQUESTS + 1];
    uint64_t hits;
    uint64_t wrong;
};

static void saw_decision(void *context, const struct decision_row *row)
{
    struct run *run = context;
    REQUIRE(row->request->request_id <= REQUESTS);
    run->expected_blocks[row->request->request_id] = row->decision.matched_length;
    run->prompt_tokens[row->request->request_id] = row->request->prompt_tokens;
}

/* The engine computes at least the last token, whatever is cached. */
static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct run *run = context;
    const uint64_t id = outcome->request_id;
    const uint32_t most = (run->prompt_tokens[id] - 1) / BLOCK;
    const uint32_t expected = run->expected_blocks[id];
    const uint32_t blocks = expected < most ? expected : most;
    run->hits += outcome->cached_tokens > 0 ? 1 : 0;
    run->wrong += outcome->cached_tokens != blocks * BLOCK ? 1 : 0;
}

static void live(struct run *run, const char *policy, const char *events, uint64_t seed)
{
    char text[2048];
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const int length =
        snprintf(text, sizeof text,
                 "seed: %" PRIu64 "\n"
                 "workload:\n  generate:\n    - requests: %d\n"
                 "      arrival: {kind: fixed, rate_per_s: 2}\n"
                 "      prefix: {groups: 8, tokens: 500, zipf: 1}\n"
                 "      input: {kind: normal, mean: 100, sd: 60, min: 1, max: 400}\n"
                 "      output: {kind: normal, mean: 30, sd: 20, min: 1, max: 90}\n"
                 "cluster:\n  pools:\n    - replicas: 3\n      gpu: h100_sxm\n"
                 "      model: llama_3_1_8b\n"
                 "      cost: {model: linear, step: 2ms, per_chunk_token: 1us}\n"
                 "      engine: {num_gpu_blocks_override: 130, max_model_len: 1024,\n"
                 "        max_num_batched_tokens: 256, max_num_seqs: 8}\n"
                 "routing:\n  policy: %s\n  kv_events: %s\n",
                 seed, REQUESTS, policy, events);
    REQUIRE(length > 0 && length < (int)sizeof text);
    *run = (struct run){0};
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

static const char precise[] =
    "weighted_sum\n  params: {precise_weight: 3, prefix_weight: 0}";

static void who_hears_everything_at_once_is_never_wrong(void)
{
    static struct run run;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        harness_note("seed %" PRIu64, seed);
        live(&run, seed % 2 == 0 ? precise : "dynamo_kv", "{delay: 0s}", seed);
        EXPECT_U64(run.wrong, 0);
        EXPECT(run.hits > REQUESTS / 4 && run.hits < REQUESTS);
    }
}

static void late_and_lost_events_mislead(void)
{
    static struct run run;
    live(&run, precise, "{delay: 3s}", 1);
    EXPECT(run.wrong > 10);
    live(&run, precise, "{delay: 0s, loss: 0.2}", 1);
    EXPECT(run.wrong > 10);
    live(&run, precise, "{delay: 0s, batch_interval: 5s}", 1);
    EXPECT(run.wrong > 10);
}

/* What was sent is not what is still there. */
static void an_index_of_what_was_sent_is_wrong_where_caches_are_small(void)
{
    static struct run run;
    live(&run, "weighted_sum\n  params: {index_blocks: 1000}", "{delay: 0s}", 1);
    EXPECT(run.wrong > 10);
}

HARNESS_MAIN("kv_truth", TEST(who_hears_everything_at_once_is_never_wrong),
             TEST(late_and_lost_events_mislead),
             TEST(an_index_of_what_was_sent_is_wrong_where_caches_are_small))
