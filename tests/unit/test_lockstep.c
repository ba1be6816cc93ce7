/* SPDX-License-Identifier: Apache-2.0
 *
 * test_lockstep.c: ranks that share their step boundaries: a case worked out by hand, a
 * group of one against an engine alone, and random groups whose tokens all fall on
 * common boundaries.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "sim/sim.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS_MAX = 80 };
#define MS INT64_C(1000000)

struct seen {
    size_t count;
    struct request_outcome by_id[REQUESTS_MAX + 1];
};

static void saw(void *context, const struct request_outcome *outcome)
{
    struct seen *seen = context;
    seen->by_id[outcome->request_id] = *outcome;
    seen->count++;
}

struct set_up {
    const char *trace; /* rows of the native format */
    uint32_t replicas;
    bool lockstep;
    bool async;
    uint32_t blocks;
};

static void scenario_of(const struct set_up *set_up, struct scenario **scenario)
{
    struct err err = {0};
    struct text yaml = {0};
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const char *path =
        harness_temp_file("trace.csv", set_up->trace, strlen(set_up->trace));
    text_printf(
        &yaml,
        "name: ranks\nseed: 1\nworkload: {trace: \"%s\", format: native}\n"
        "routing: {policy: round_robin}\ncluster:\n  pools:\n"
        "    - replicas: %" PRIu32 "\n      gpu: h100_sxm\n      model: llama_3_1_8b\n"
        "      cost: {model: linear, step: 10ms, per_decode: 1ms, "
        "per_chunk_token: 100us}\n"
        "      engine: {max_model_len: 400, block_tokens: 16, "
        "num_gpu_blocks_override: %" PRIu32
        ", max_num_seqs: 8, max_num_batched_tokens: 256, "
        "async_scheduling: %s, cpu_step: 0, cpu_sequence: 0}\n",
        path, set_up->replicas, set_up->blocks, set_up->async ? "true" : "false");
    REQUIRE_OK(
        scenario_parse(scenario, "ranks.yaml", yaml.bytes, yaml.length, &options, &err),
        &err);
    (*scenario)->pools[0].lockstep = set_up->lockstep;
    text_fini(&yaml);
}

static struct sim_summary simulate(const struct set_up *set_up, struct seen *seen)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    const struct observer observer = {.context = seen, .on_outcome = saw};
    const struct sim_options how = {.check_invariants = true};
    enum sim_state state = SIM_RUNNING;
    struct sim_summary summary;
    *seen = (struct seen){0};
    scenario_of(set_up, &scenario);
    REQUIRE_OK(workload_open_conf(&workload, scenario->workload, 1, ".", &err), &err);
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    while (state == SIM_RUNNING) {
        state = sim_run(sim, 1000, &err);
    }
    REQUIRE_OK(state == SIM_DONE, &err);
    sim_summarise(sim, &summary);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    return summary;
}

#define HEAD "#version=1\nid,arrival,session,turn,in,out,cancel,prompt\n"

static void ranks_wait_for_one_another(void)
{
    /* Rank 0 prefills 100 tokens in 20 ms; request 2 reaches the idle rank 1 after 5 ms
     * and waits for that step. Then 200 tokens (30 ms) beside a decode (11 ms), then
     * two decodes (11 ms). */
    struct seen seen;
    const struct set_up set_up = {
        .trace = HEAD "1,0,0,0,100,3,,u1+100\n2,5000000,0,0,200,2,,u2+200\n",
        .replicas = 2,
        .lockstep = true,
        .blocks = 100,
    };
    const struct sim_summary summary = simulate(&set_up, &seen);
    EXPECT_U64(summary.completed, 2);
    EXPECT_I64(seen.by_id[1].engine, 0);
    EXPECT_I64(seen.by_id[2].engine, 1);
    EXPECT_I64(seen.by_id[1].first_token_ns, 20 * MS);
    EXPECT_I64(seen.by_id[2].queued_ns, 20 * MS);
    EXPECT_I64(seen.by_id[2].scheduled_ns, 20 * MS);
    EXPECT_I64(seen.by_id[2].first_token_ns, 50 * MS);
    EXPECT_I64(seen.by_id[1].end_ns, 61 * MS);
    EXPECT_I64(seen.by_id[2].end_ns, 61 * MS);
}

static void engines_on_their_own_do_not(void)
{
    struct seen seen;
    const struct set_up set_up = {
        .trace = HEAD "1,0,0,0,100,3,,u1+100\n2,5000000,0,0,200,2,,u2+200\n",
        .replicas = 2,
        .lockstep = false,
        .blocks = 100,
    };
    simulate(&set_up, &seen);
    EXPECT_I64(seen.by_id[2].first_token_ns, 35 * MS);
    EXPECT_I64(seen.by_id[1].end_ns, 42 * MS);
}

/* Bursts and pauses; some clients hang up; few blocks, so that some are preempted. */
static void random_trace(struct rng *rng, struct text *text)
{
    int64_t now_ns = 0;
    text_add(text, HEAD);
    for (int id = 1; id <= REQUESTS_MAX; id++) {
        now_ns += rng_below(rng, 5) == 0 ? (int64_t)rng_below(rng, 900) * MS
                                         : (int64_t)rng_below(rng, 30) * MS / 7;
        char cancel[24] = "";
        if (rng_below(rng, 10) == 0) {
            snprintf(cancel, sizeof cancel, "%" PRIu64, 1 + rng_below(rng, 300000000));
        }
        const uint64_t in = 1 + rng_below(rng, 250);
        text_printf(text,
                    "%d,%" PRId64 ",0,0,%" PRIu64 ",%" PRIu64 ",%s,t7+%" PRIu64 "\n",
                    id, now_ns, in, 1 + rng_below(rng, 60), cancel, in);
    }
}

static void a_group_of_one_is_an_engine(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng rng;
        struct text trace = {0};
        struct seen seen;
        rng_init(&rng, seed, "test_lockstep", 0);
        random_trace(&rng, &trace);
        struct set_up set_up = {.trace = text_str(&trace),
                                .replicas = 1,
                                .async = seed % 2 == 0,
                                .blocks = 40};
        const uint64_t alone = simulate(&set_up, &seen).digest;
        set_up.lockstep = true;
        harness_note("seed %" PRIu64, seed);
        EXPECT_U64(simulate(&set_up, &seen).digest, alone);
        text_fini(&trace);
    }
}

/* While both ranks work, no token of one falls strictly inside a step of the other: a
 * request scheduled at s on one rank has no boundary of any rank before s + 10 ms. */
static void no_boundary_within(const struct seen *seen, int64_t from_ns)
{
    for (size_t i = 1; i <= REQUESTS_MAX; i++) {
        const int64_t times[] = {seen->by_id[i].first_token_ns,
                                 seen->by_id[i].status == OUTCOME_COMPLETED
                                     ? seen->by_id[i].end_ns
                                     : OUTCOME_TIME_NONE};
        for (size_t j = 0; j < 2; j++) {
            EXPECT(times[j] <= from_ns || times[j] >= from_ns + 10 * MS);
        }
    }
}

static void all_tokens_fall_on_common_boundaries(void)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng rng;
        struct text trace = {0};
        struct seen seen;
        rng_init(&rng, seed, "test_lockstep", 1);
        random_trace(&rng, &trace);
        const struct set_up set_up = {.trace = text_str(&trace),
                                      .replicas = 2 + (uint32_t)(seed % 2),
                                      .lockstep = true,
                                      .async = false,
                                      .blocks = 40};
        harness_note("seed %" PRIu64, seed);
        simulate(&set_up, &seen);
        EXPECT_U64(seen.count, REQUESTS_MAX);
        for (size_t i = 1; i <= REQUESTS_MAX; i++) {
            if (seen.by_id[i].scheduled_ns != OUTCOME_TIME_NONE) {
                no_boundary_within(&seen, seen.by_id[i].scheduled_ns);
            }
        }
        text_fini(&trace);
    }
}

HARNESS_MAIN("lockstep", TEST(ranks_wait_for_one_another),
             TEST(engines_on_their_own_do_not), TEST(a_group_of_one_is_an_engine),
             TEST(all_tokens_fall_on_common_boundaries))
