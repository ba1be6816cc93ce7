/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_cost.c: the law of cost.h, bit for bit: first + i * grow is what cost_decode
 * says of the batch i steps later, up to the last step that is promised. The fast path
 * of the engine rests on it.
 */
#include "base/rng.h"
#include "sim/cost.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { SETUPS = 60, BATCHES = 200 };

static const char *const gpus[] = {"h100_sxm", "h200_sxm",    "a100_80_sxm",
                                   "b200_sxm", "l40s",        "l4",
                                   "rtx_4090", "rtx_pro_6000"};
static const char *const models[] = {"llama_3_1_8b", "llama_3_1_70b", "qwen3_8b",
                                     "qwen3_32b",    "mistral_7b",    "opt_125m",
                                     "mixtral_8x7b", "qwen3_30b_a3b", "deepseek_v3"};
static const char *const maps[] = {
    "{model: roofline}",
    "{model: roofline, scale_decode: 0.95, scale_mixed: 1.3}",
    "{model: linear, step: 3ms, per_decode: 7us, per_context_token: 11ns}",
    "{model: linear, per_decode: 1ns, per_chunk: 1ns}",
    ("{model: phases, prompt: {step: 1ms, per_token: 9us, per_1000_squared: 3ms}, "
     "decode: {step: 2ms, per_context_token: 11ns}, "
     "decode_large: {from: 9, step: 1ms, per_context_token: 7ns, per_sequence: 3us}}"),
};

struct subject {
    struct gpu_spec gpu;
    struct model_spec model;
    struct engine_config engine;
    struct cost *cost;
};

static uint64_t between(struct rng *rng, uint64_t low, uint64_t high)
{
    return low + rng_below(rng, high - low + 1);
}

/* Small and large alike: uniform in the logarithm. */
static uint64_t spread(struct rng *rng, uint64_t high)
{
    return between(rng, 0, high >> rng_below(rng, 24));
}

static bool subject_init(struct subject *subject, struct rng *rng)
{
    struct err err = {0};
    char path[128];
    const char *gpu = gpus[rng_below(rng, sizeof gpus / sizeof gpus[0])];
    const char *model = models[rng_below(rng, sizeof models / sizeof models[0])];
    const char *map = maps[rng_below(rng, sizeof maps / sizeof maps[0])];
    snprintf(path, sizeof path, "configs/gpus/%s.yaml", gpu);
    if (!REQUIRE_OK(gpu_spec_load(&subject->gpu, harness_source(path), &err), &err)) {
        return false;
    }
    snprintf(path, sizeof path, "configs/models/%s.yaml", model);
    if (!REQUIRE_OK(model_spec_load(&subject->model, harness_source(path), &err),
                    &err)) {
        return false;
    }
    subject->engine = (struct engine_config){
        .compat = (enum engine_compat)rng_below(rng, 4),
        .tensor_parallel = UINT32_C(1) << rng_below(rng, 3),
        .max_num_seqs = (uint32_t)between(rng, 1, 600),
        .max_model_len = subject->model.max_position,
        .block_tokens = 16,
        .async_scheduling = rng_below(rng, 2) == 1,
        .cpu_step_ns = (int64_t)spread(rng, 30000000),
        .cpu_sequence_ns = (int64_t)spread(rng, 50000),
    };
    subject->engine.max_num_batched_tokens =
        subject->engine.max_num_seqs + (uint32_t)between(rng, 0, 2000);
    harness_note("%s x %s, TP %u, %s, async %d", gpu, model,
                 subject->engine.tensor_parallel, map,
                 subject->engine.async_scheduling);
    struct conf *conf = NULL;
    if (!REQUIRE_OK(conf_parse(&conf, "map", map, strlen(map), &err), &err)) {
        return false;
    }
    const struct cost_setup setup = {.gpu = &subject->gpu,
                                     .model = &subject->model,
                                     .engine = &subject->engine,
                                     .map = conf_root(conf)};
    const bool made = REQUIRE_OK(cost_new(&subject->cost, &setup, &err), &err);
    conf_delete(conf);
    return made;
}

/* The step i of the promise, or the first that is not promised, for i == valid. */
static bool law_holds_at(const struct cost *cost, const struct batch_shape *batch,
                         const struct decode_cost *promise, uint64_t i)
{
    const uint64_t context = batch->decode_context + i * batch->decodes;
    const uint32_t longest = batch->decode_context_max + (uint32_t)i;
    const struct decode_cost then = cost_decode(cost, batch->decodes, context, longest);
    struct batch_shape shape = *batch;
    shape.decode_context = context;
    shape.decode_context_max = longest;
    return EXPECT_I64(then.first_fx,
                      promise->first_fx + (int64_t)i * promise->grow_fx) &&
           EXPECT_I64(cost_step_fx(cost, &shape), then.first_fx) &&
           EXPECT(then.valid_steps >= 1) && EXPECT(then.grow_fx >= 0) &&
           EXPECT(then.first_fx > 0);
}

static bool law_holds(const struct subject *subject, struct rng *rng)
{
    const uint32_t n = (uint32_t)between(rng, 1, subject->engine.max_num_seqs);
    const uint64_t most = (uint64_t)n * (subject->model.max_position - 1);
    struct batch_shape batch = {.decodes = n, .decode_context = n + spread(rng, most)};
    batch.decode_context_max = (uint32_t)((batch.decode_context + n - 1) / n);
    const struct decode_cost promise =
        cost_decode(subject->cost, n, batch.decode_context, batch.decode_context_max);
    const uint64_t last = promise.valid_steps - 1;
    const uint64_t steps[] = {0, last < 1 ? last : 1, last / 2, last,
                              between(rng, 0, last)};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!law_holds_at(subject->cost, &batch, &promise, steps[i])) {
            return false;
        }
    }
    return true;
}

static void promised_steps_cost_what_was_promised(void)
{
    for (uint64_t seed = 0; seed < SETUPS; seed++) {
        struct subject subject;
        struct rng rng;
        rng_init(&rng, seed, "prop_cost", 0);
        if (!subject_init(&subject, &rng)) {
            return;
        }
        bool good = true;
        for (uint32_t i = 0; i < BATCHES && good; i++) {
            good = law_holds(&subject, &rng);
        }
        cost_delete(subject.cost);
        if (!EXPECT(good)) {
            printf("seed %lu\n", (unsigned long)seed);
            return;
        }
    }
}

/* The regimes are told apart at all: from nothing to the longest context, walking from
 * edge to edge meets every step's true cost in few promises. */
static void walking_edge_to_edge_takes_few_promises(void)
{
    for (uint64_t seed = 100; seed < 110; seed++) {
        struct subject subject;
        struct rng rng;
        rng_init(&rng, seed, "prop_cost", 0);
        if (!subject_init(&subject, &rng)) {
            return;
        }
        const uint32_t n = (uint32_t)between(&rng, 1, subject.engine.max_num_seqs);
        uint64_t done = 0;
        uint32_t promises = 0;
        while (done < subject.model.max_position && promises < 10) {
            const struct decode_cost promise =
                cost_decode(subject.cost, n, n + done * n, (uint32_t)done + 1);
            done += promise.valid_steps;
            promises++;
        }
        EXPECT(promises <= 3);
        cost_delete(subject.cost);
    }
}

static struct batch_shape random_mix(const struct subject *subject, struct rng *rng)
{
    const struct engine_config *engine = &subject->engine;
    struct batch_shape shape = {
        .decodes = (uint32_t)between(rng, 0, engine->max_num_seqs - 1), .chunks = 1};
    shape.chunk_tokens =
        between(rng, 1, engine->max_num_batched_tokens - shape.decodes);
    shape.chunk_tokens_max = (uint32_t)shape.chunk_tokens;
    shape.chunk_context = spread(rng, subject->model.max_position - 1);
    shape.chunk_pairs_twice =
        shape.chunk_tokens * (2 * shape.chunk_context + shape.chunk_tokens);
    shape.decode_context = shape.decodes * between(rng, 1, 4000);
    return shape;
}

/* A longer prefix, or more context of the decodes beside it, is never cheaper. */
static void more_context_never_makes_a_mixed_step_cheaper(void)
{
    for (uint64_t seed = 200; seed < 230; seed++) {
        struct subject subject;
        struct rng rng;
        rng_init(&rng, seed, "prop_cost", 0);
        if (!subject_init(&subject, &rng)) {
            return;
        }
        for (uint32_t i = 0; i < BATCHES; i++) {
            struct batch_shape shape = random_mix(&subject, &rng);
            const int64_t before_fx = cost_step_fx(subject.cost, &shape);
            shape.chunk_context += 16;
            shape.chunk_pairs_twice += 32 * shape.chunk_tokens;
            shape.decode_context += shape.decodes;
            EXPECT(before_fx > 0);
            EXPECT(cost_step_fx(subject.cost, &shape) >= before_fx);
        }
        cost_delete(subject.cost);
    }
}

HARNESS_MAIN("cost", TEST(promised_steps_cost_what_was_promised),
             TEST(walking_edge_to_edge_takes_few_promises),
             TEST(more_context_never_makes_a_mixed_step_cheaper))
