/* SPDX-License-Identifier: Apache-2.0
 *
 * test_disagg.c: requests over two engines, worked out by hand (vector 11 of
 * spec/vllm-engine.md among them). A step lasts 1 ms and 1 us for each token of a chunk
 * in it; a token of Llama-3.1-8B has 131,072 bytes of KV, a block of 16 tokens
 * 2,097,152, and a card moves 2,097,152,000 bytes/s: a block each millisecond.
 */
#include "base/mem.h"
#include "sim/sim.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { OUTCOMES_MAX = 8 };
static const int64_t us = 1000;

struct seen {
    struct request_outcome outcome[OUTCOMES_MAX]; /* in order of their ends */
    uint32_t count;
    struct sim_summary summary;
};

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct seen *seen = context;
    REQUIRE(seen->count < OUTCOMES_MAX);
    seen->outcome[seen->count++] = *outcome;
}

/* decode: engines that decode; disagg: of the scenario; rows: of the trace, without its
 * head. */
struct fleet {
    const char *engine;
    const char *disagg;
    const char *rows;
    uint32_t decoders;
    const char *network; /* "layer_overlap: true"; NULL = nothing more */
};

static void simulate(const struct fleet *fleet, bool step_by_step, struct seen *seen)
{
    static const char pool[] =
        "replicas: %u, gpu: h100_sxm, model: llama_3_1_8b,\n"
        "     cost: {model: linear, step: 1ms, per_chunk_token: 1us},\n"
        "     engine: {max_num_batched_tokens: 4096, async_scheduling: false, "
        "cpu_step: 0, cpu_sequence: 0, %s}}\n";
    struct text rows = {0};
    struct text yaml = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    text_printf(&rows,
                "#version=1\nid,arrival,session,turn,parents,think,in,out,prio,"
                "cancel,max_out,prompt\n%s",
                fleet->rows);
    const char *trace = harness_temp_file("trace.csv", text_str(&rows), rows.length);
    text_printf(&yaml,
                "workload: {trace: \"%s\", format: native}\n"
                "routing: {policy: round_robin, disaggregation: {%s}}\n"
                "network: {nic: 2097152000B, latency: 0%s%s}\n"
                "cluster:\n  pools:\n",
                trace, fleet->disagg, fleet->network != NULL ? ", " : "",
                fleet->network != NULL ? fleet->network : "");
    text_add(&yaml, "  - {name: p, role: prefill, ");
    text_printf(&yaml, pool, 1, fleet->engine);
    text_add(&yaml, "  - {name: d, role: decode, ");
    text_printf(&yaml, pool, fleet->decoders, fleet->engine);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(scenario_parse(&scenario, "two.yaml", text_str(&yaml), yaml.length,
                              &options, &err),
               &err);
    REQUIRE_OK(workload_open_conf(&workload, scenario->workload, 1, ".", &err), &err);
    const struct observer observer = {.context = seen, .on_outcome = saw_outcome};
    const struct sim_options how = {.step_by_step = step_by_step,
                                    .check_invariants = true};
    *seen = (struct seen){0};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    while (sim_run(sim, 1000, &err) == SIM_RUNNING) {
    }
    sim_summarise(sim, &seen->summary);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    text_fini(&rows);
    text_fini(&yaml);
}

/* Prefill 1.1 ms. 7 blocks: 7 ms. One token is computed again: 1.001 ms, the first
 * token; two more decodes. Before the partial block could be read: 6 ms, 4 tokens. */
static void vector_11_last_block_read_or_computed(void)
{
    static const struct {
        const char *engine;
        int64_t here_ns;
        int64_t first_ns;
    } cases[] = {{"compat: head", INT64_C(8100000), INT64_C(9101000)},
                 {"compat: v010", INT64_C(7100000), INT64_C(8104000)}};
    for (size_t i = 0; i < 2; i++) {
        for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
            struct seen seen;
            simulate(&(struct fleet){cases[i].engine, "policy: pd_independent",
                                     "1,0,0,0,,,100,3,0,,,t1+100\n", 1, NULL},
                     step_by_step == 1, &seen);
            const struct request_outcome *outcome = &seen.outcome[0];
            EXPECT_U64(seen.count, 1);
            EXPECT_U64(outcome->prefill_engine, 0);
            EXPECT_U64(outcome->engine, 1);
            EXPECT_I64(outcome->prefill_end_ns, 1100 * us);
            EXPECT_I64(outcome->kv_asked_ns, 1100 * us);
            EXPECT_I64(outcome->kv_here_ns, cases[i].here_ns);
            EXPECT_I64(outcome->first_token_ns, cases[i].first_ns);
            EXPECT_I64(outcome->end_ns, cases[i].first_ns + 2000 * us);
            EXPECT_U64(outcome->output_tokens, 3);
        }
    }
}

/* Two prompts of 64 tokens, one after the other in steps of 1.064 ms; 4 blocks each, to
 * two engines over one card. The first has moved 1.064 blocks when the second comes:
 * its other 2.936 take twice as long, to 8 ms. Then the second has 1.064 to go. */
static void two_transfers_share_the_card_of_the_engine_that_prefills(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head", "policy: pd_independent",
                             "1,0,0,0,,,64,1,0,,,t1+64\n2,0,0,0,,,64,1,0,,,t2+64\n", 2,
                             NULL},
             false, &seen);
    EXPECT_U64(seen.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT_U64(seen.outcome[i].engine, 1 + i);
        EXPECT_I64(seen.outcome[i].first_token_ns,
                   seen.outcome[i].kv_here_ns + 1001 * us);
    }
    EXPECT_I64(seen.outcome[0].kv_here_ns, 8000 * us);
    EXPECT_I64(seen.outcome[1].kv_here_ns, 9064 * us);
    EXPECT_U64(seen.summary.kv_transfers, 2);
    EXPECT_NEAR(seen.summary.kv_transfer_bytes, 8.0 * 2097152, 0.5);
}

/* A second prompt of 96 tokens comes at 10.2 ms and is computed at 11.296 ms. The
 * engine that decodes is in the middle of a step of the first request, from 11.101
 * to 12.101 ms (vector 11 from 9.101 ms on). Read, its blocks are taken when that step
 * has ended, and six of them take 6 ms: 18.101 ms, just too late for the boundary then.
 * Written, they were taken at 11.101 ms already: 17.296. From the next boundary on a
 * step of 1.001 ms. */
static void blocks_are_taken_beforehand_when_the_first_engine_writes(void)
{
    static const char rows[] = "1,0,0,0,,,100,20,0,,,t1+100\n"
                               "2,10200000,0,0,,,96,1,0,,,t2+96\n";
    for (int push = 0; push < 2; push++) {
        for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
            struct seen seen;
            simulate(&(struct fleet){"compat: head",
                                     push == 1
                                         ? "policy: pd_independent, transfer: push"
                                         : "policy: pd_independent",
                                     rows, 1, NULL},
                     step_by_step == 1, &seen);
            const struct request_outcome *second = &seen.outcome[0];
            EXPECT_U64(second->request_id, 2);
            EXPECT_I64(second->prefill_end_ns, 11296 * us);
            EXPECT_I64(second->kv_asked_ns, push == 1 ? 11296 * us : 12101 * us);
            EXPECT_I64(second->kv_here_ns, push == 1 ? 17296 * us : 18101 * us);
            EXPECT_I64(second->first_token_ns, push == 1 ? 19102 * us : 20102 * us);
        }
    }
}

/* Before whole prompts were handed out, one of less than a block had nothing to hand
 * out: the second engine computes it at once (1.11 ms), whatever the first one, busy
 * with a prompt of 3,000 tokens until 4 ms, does with it later. */
static void a_prompt_without_a_whole_block_is_not_waited_for(void)
{
    for (int step_by_step = 0; step_by_step < 2; step_by_step++) {
        struct seen seen;
        simulate(&(struct fleet){"compat: v010",
                                 "policy: pd_independent, transfer: push",
                                 "1,0,0,0,,,3000,1,0,,,t1+3000\n"
                                 "2,100000,0,0,,,10,8,0,,,t2+10\n",
                                 1, NULL},
                 step_by_step == 1, &seen);
        const struct request_outcome *second = &seen.outcome[0];
        EXPECT_U64(second->request_id, 2);
        EXPECT_I64(second->scheduled_ns, 100 * us);
        EXPECT_I64(second->first_token_ns, 1110 * us);
        EXPECT_I64(second->end_ns, 8110 * us);
        EXPECT_I64(second->prefill_end_ns, OUTCOME_TIME_NONE);
    }
}

/* The client leaves at 0.5 ms, in the middle of the step that computes its prompt: both
 * engines forget it, and a second prompt finds them free. */
static void a_client_that_leaves_stops_both_legs(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head, max_model_len: 140, "
                             "num_gpu_blocks_override: 10",
                             "policy: pd_independent, transfer: push",
                             "1,0,0,0,,,80,9,0,500000,,t1+80\n"
                             "2,2000000,0,0,,,80,1,0,,,t2+80\n",
                             1, NULL},
             false, &seen);
    EXPECT_U64(seen.count, 2);
    EXPECT_U64(seen.outcome[0].status, OUTCOME_CANCELLED);
    EXPECT_I64(seen.outcome[1].prefill_end_ns, 3080 * us);
    EXPECT_U64(seen.outcome[1].status, OUTCOME_COMPLETED);
    EXPECT_U64(seen.summary.kv_transfers, 1);
}

/* Its 9 usable blocks are held for the first prompt (5) when the second (5) comes: that
 * one waits for the end of the transfer. */
static void blocks_are_held_until_they_were_read(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head, max_model_len: 140, "
                             "num_gpu_blocks_override: 10",
                             "policy: pd_independent",
                             "1,0,0,0,,,80,1,0,,,t1+80\n"
                             "2,2000000,0,0,,,80,1,0,,,t2+80\n",
                             2, NULL},
             false, &seen);
    EXPECT_I64(seen.outcome[0].kv_here_ns, (1080 + 5000) * us);
    EXPECT_I64(seen.outcome[1].scheduled_ns, 6080 * us);
    EXPECT_I64(seen.outcome[1].prefill_end_ns, 7160 * us);
}

/* The client of the second goes while its KV is on the way, at 3 ms; a third prompt
 * gets the blocks that were held for it. */
static void a_client_that_leaves_frees_both_engines(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head, max_model_len: 140, "
                             "num_gpu_blocks_override: 10",
                             "policy: pd_independent",
                             "1,0,0,0,,,80,9,0,3000000,,t1+80\n"
                             "2,2000000,0,0,,,80,1,0,,,t2+80\n",
                             1, NULL},
             false, &seen);
    EXPECT_U64(seen.outcome[0].status, OUTCOME_CANCELLED);
    EXPECT_I64(seen.outcome[0].end_ns, 3000 * us);
    EXPECT_I64(seen.outcome[0].first_token_ns, OUTCOME_TIME_NONE);
    EXPECT_I64(seen.outcome[1].scheduled_ns, 3000 * us);
    EXPECT_U64(seen.outcome[1].status, OUTCOME_COMPLETED);
    EXPECT_U64(seen.summary.kv_transfers, 1);
}

/* The decoding engine has one place, taken for 100 tokens: the second request's KV
 * waits for 5 ms at most, then its prompt is computed there: 64 tokens. */
static void kv_that_nobody_asks_for_expires(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head, max_num_seqs: 1",
                             "policy: pd_independent, lease: 5ms",
                             "1,0,0,0,,,16,100,0,,,t1+16\n"
                             "2,4000000,0,0,,,64,1,0,,,t2+64\n",
                             1, NULL},
             false, &seen);
    EXPECT_U64(seen.summary.kv_expired, 1);
    EXPECT_U64(seen.summary.kv_transfers, 1);
    EXPECT_I64(seen.outcome[1].kv_asked_ns, OUTCOME_TIME_NONE);
    EXPECT_I64(seen.outcome[1].first_token_ns, seen.outcome[0].end_ns + 1064 * us);
}

/* Release 0.1.3: 50 tokens at the first engine, 50 more at the second. */
static void the_release_generates_everything_twice(void)
{
    struct seen full;
    struct seen one;
    simulate(
        &(struct fleet){
            "compat: head",
            "policy: disaggregated_prefill, params: {full_generation: true}",
            "1,0,0,0,,,64,50,0,,,t1+64\n", 1, NULL},
        false, &full);
    simulate(&(struct fleet){"compat: head", "policy: disaggregated_prefill",
                             "1,0,0,0,,,64,50,0,,,t1+64\n", 1, NULL},
             false, &one);
    EXPECT_I64(one.outcome[0].first_token_ns, (1064 + 4000 + 1001) * us);
    EXPECT_I64(full.outcome[0].first_token_ns,
               one.outcome[0].first_token_ns + 49000 * us);
}

/* Release 0.1.3, a client with max_tokens 1: the prefilling engine once more, which has
 * three of the four blocks. */
static void one_token_is_computed_twice_on_one_engine(void)
{
    struct seen seen;
    simulate(
        &(struct fleet){
            "compat: head",
            "policy: disaggregated_prefill, params: {one_token_stays: true}",
            "1,0,0,0,,,64,50,0,,1,t1+64\n"
            "2,9000000,0,0,,,64,50,0,,2,t2+64\n",
            1, NULL},
        false, &seen);
    EXPECT_U64(seen.outcome[0].engine, 0);
    EXPECT_U64(seen.outcome[0].output_tokens, 1);
    EXPECT_I64(seen.outcome[0].first_token_ns, (1064 + 1016) * us);
    EXPECT_U64(seen.outcome[1].engine, 1);
    EXPECT_U64(seen.summary.kv_transfers, 1);
}

/* 32 tokens: below the threshold, so the decoding engine does it all. */
static void short_prompts_stay_on_the_engine_that_decodes(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head",
                             "policy: pd_decode_first, params: {uncached_tokens: 33}",
                             "1,0,0,0,,,32,1,0,,,t1+32\n"
                             "2,9000000,0,0,,,33,1,0,,,t2+33\n",
                             1, NULL},
             false, &seen);
    EXPECT_U64(seen.outcome[0].prefill_engine, UINT32_MAX);
    EXPECT_U64(seen.outcome[0].engine, 1);
    EXPECT_I64(seen.outcome[0].first_token_ns, 1032 * us);
    EXPECT_U64(seen.outcome[1].prefill_engine, 0);
    EXPECT_U64(seen.summary.split, 1);
}

/* 32 layers: 31/32 of the prefill's 1.064 ms hide 1.03075 of 4 ms. With 3 tokens the
 * one block, 1 ms, would need 0.97 ms; of a prefill of 1.003 ms that is all but the
 * last layer's 31.25 us. */
static void layers_move_while_later_ones_are_computed(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head", "policy: pd_independent",
                             "1,0,0,0,,,64,1,0,,,t1+64\n"
                             "2,20000000,0,0,,,3,1,0,,,t2+3\n",
                             1, "layer_overlap: true"},
             false, &seen);
    EXPECT_I64(seen.outcome[0].kv_here_ns, 1064000 + 2969250);
    EXPECT_I64(seen.outcome[1].kv_here_ns, 20000000 + 1003000 + 31250);
}

/* The same prompt again: three of its four blocks are there, one is read. */
static void only_blocks_that_are_missing_are_read(void)
{
    struct seen seen;
    simulate(&(struct fleet){"compat: head", "policy: pd_independent",
                             "1,0,0,0,,,64,1,0,,,t1+64\n"
                             "2,20000000,0,0,,,64,1,0,,,t1+64\n",
                             1, NULL},
             false, &seen);
    EXPECT_U64(seen.outcome[1].cached_tokens, 48); /* where it is computed */
    EXPECT_I64(seen.outcome[1].prefill_end_ns, (20000 + 1016) * us);
    EXPECT_I64(seen.outcome[1].kv_here_ns, (20000 + 1016 + 1000) * us);
}

HARNESS_MAIN("disagg", TEST(vector_11_last_block_read_or_computed),
             TEST(two_transfers_share_the_card_of_the_engine_that_prefills),
             TEST(blocks_are_taken_beforehand_when_the_first_engine_writes),
             TEST(a_prompt_without_a_whole_block_is_not_waited_for),
             TEST(a_client_that_leaves_stops_both_legs),
             TEST(blocks_are_held_until_they_were_read),
             TEST(a_client_that_leaves_frees_both_engines),
             TEST(kv_that_nobody_asks_for_expires),
             TEST(the_release_generates_everything_twice),
             TEST(one_token_is_computed_twice_on_one_engine),
             TEST(short_prompts_stay_on_the_engine_that_decodes),
             TEST(layers_move_while_later_ones_are_computed),
             TEST(only_blocks_that_are_missing_are_read))
