/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost_phases.c: the closed forms by hand, and what is refused.
 */
#include "sim/cost.h"
#include "tests/harness.h"

#include <string.h>

static const int64_t fx_per_ns = COST_FX_PER_NS;
static const struct gpu_spec gpu = {.name = "none"};
static const struct model_spec model = {.name = "none"};
static const struct engine_config engine = {.tensor_parallel = 1,
                                            .max_num_seqs = 256,
                                            .max_num_batched_tokens = 2048,
                                            .max_model_len = 4096};

static bool cost_of(struct cost **cost, const char *map, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_parse(&conf, "cost.yaml", map, strlen(map), err)) {
        return false;
    }
    const struct cost_setup setup = {
        .gpu = &gpu, .model = &model, .engine = &engine, .map = conf_root(conf)};
    const bool ok = cost_new(cost, &setup, err) && conf_done(conf_root(conf), err);
    conf_delete(conf);
    return ok;
}

/* 8 ms for 1,000 tokens squared is 8 ns a token pair. */
static const char both[] =
    "{model: phases,"
    " prompt: {step: 20ms, per_token: 100us, per_1000_squared: 8ms},"
    " decode: {step: 10ms, per_context_token: 500ns, per_sequence: 40us},"
    " decode_large: {from: 95, step: 8ms, per_context_token: 400ns, per_sequence: "
    "90us}}";

static void prompts_have_a_square_and_decodes_a_context(void)
{
    struct cost *cost = NULL;
    struct err err = {0};
    REQUIRE_OK(cost_of(&cost, both, &err), &err);
    const struct batch_shape prompts = {/* 500 and 300 tokens, nothing before them */
                                        .chunks = 2,
                                        .chunk_tokens = 800,
                                        .chunk_pairs_twice = 500 * 500 + 300 * 300};
    EXPECT_I64(cost_step_fx(cost, &prompts),
               (20000000 + 800 * 100000 + 8 * (250000 + 90000)) * fx_per_ns);
    const struct decode_cost few = cost_decode(cost, 94, 1000, 0);
    EXPECT_I64(few.first_fx, (10000000 + 94 * 40000 + 500 * 1000) * fx_per_ns);
    EXPECT_I64(few.grow_fx, INT64_C(94) * 500 * fx_per_ns);
    const struct decode_cost many = cost_decode(cost, 95, 1000, 0);
    EXPECT_I64(many.first_fx, (8000000 + 95 * 90000 + 400 * 1000) * fx_per_ns);
    EXPECT_HAS(cost_description(cost), "other ones from 95 sequences on");
    cost_delete(cost);
}

/* The rest of a prompt takes what the whole one takes longer than its start: 300 tokens
 * behind 200 have 300 (400 + 300) token pairs, 500 squared less 200 squared. Beside
 * decodes the weights are read once. */
static void a_chunk_is_a_part_of_its_prompt(void)
{
    struct cost *cost = NULL;
    struct err err = {0};
    REQUIRE_OK(cost_of(&cost, both, &err), &err);
    const struct batch_shape rest = {.chunks = 1,
                                     .chunk_tokens = 300,
                                     .chunk_pairs_twice =
                                         UINT64_C(300) * (2 * 200 + 300)};
    EXPECT_I64(cost_step_fx(cost, &rest),
               (20000000 + 300 * 100000 + 8 * (250000 - 40000)) * fx_per_ns);
    struct batch_shape beside = rest;
    beside.decodes = 2;
    beside.decode_context = 70;
    EXPECT_I64(cost_step_fx(cost, &beside),
               (10000000 + 2 * 40000 + 70 * 500 + 300 * 100000 + 8 * 210000) *
                   fx_per_ns);
    cost_delete(cost);
}

static void expect_refused(const char *map, const char *part)
{
    struct cost *cost = NULL;
    struct err err = {0};
    EXPECT_FAILS(cost_of(&cost, map, &err), &err, part);
    cost_delete(cost);
}

static void mistakes_are_told_with_their_remedy(void)
{
    expect_refused("{model: phases, prompt: {step: 1ms}}",
                   "needs the maps prompt and decode");
    expect_refused("{model: phases, prompt: {}, decode: {step: 1ms}}",
                   "set step or per_token");
    expect_refused("{model: phases, prompt: {step: 1ms}, decode: {}}",
                   "set step or per_sequence");
    expect_refused("{model: phases, prompt: {step: 1ms}, decode: {step: 1ms},"
                   " decode_large: {step: 1ms}}",
                   "from how many sequences on");
    expect_refused("{model: phases, prompt: {step: 1ms, per_token: 2s},"
                   " decode: {step: 1ms}}",
                   "at most an hour");
    expect_refused(
        "{model: phases, prompt: {step: 1ms}, decode: {step: 1ms, per: 1ms}}",
        "unknown key");
}

HARNESS_MAIN("cost_phases", TEST(prompts_have_a_square_and_decodes_a_context),
             TEST(a_chunk_is_a_part_of_its_prompt),
             TEST(mistakes_are_told_with_their_remedy))
