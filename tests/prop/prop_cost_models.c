/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_cost_models.c: what every model of sim/cost/registry.def owes the engine, each
 * on the GPUs, models and fits that it can serve (prop_cost.c crosses all GPUs with all
 * models, which a fit cannot). A model without a case here fails.
 */
#include "base/rng.h"
#include "sim/cost.h"
#include "tests/harness.h"
#include "tests/op_fixture.h"
#include "tests/profile_fixture.h"

enum { SEEDS = 12, BATCHES = 150, WALK = 40, CONTEXT_MAX = 40000 };

struct served {
    const char *gpu;
    const char *model;
    const char *keys; /* of `cost:`; %s is a kernel profile's folder */
    uint32_t tensor_parallel;
    bool monotone; /* in tokens; a measured table may fall */
};

static const struct served cases[] = {
    {"h100_sxm", "llama_3_1_8b", "{model: roofline}", 1, true},
    {"h200_sxm", "llama_3_1_70b", "{model: roofline}", 2, true},
    {"a100_80_sxm", "qwen3_32b", "{model: roofline}", 4, true},
    {"l40s", "llama_3_1_8b", "{model: roofline, scale_mixed: 1.2}", 1, true},
    {"l4", "qwen3_8b", "{model: roofline}", 2, true},
    {"rtx_pro_6000", "qwen3_32b", "{model: roofline}", 1, true},
    {"b200_sxm", "llama_3_1_70b", "{model: roofline, scale_decode: 0.9}", 1, true},
    {"h200_sxm", "deepseek_v3", "{model: roofline}", 4, true},
    {"h100_sxm", "qwen3_30b_a3b", "{model: roofline}", 2, true},
    {"a100_80_sxm", "mixtral_8x7b", "{model: roofline, scale_mixed: 1.1}", 4, true},
    {"b200_sxm", "llama_3_1_70b", "{model: roofline}", 8, false}, /* all-reduce */
    {"rtx_4090", "llama_3_1_8b",
     "{model: affine, fit: configs/fits/rtx_4090.llama_3_1_8b.yaml}", 1, false},
    {"rtx_4090", "llama_3_1_8b",
     "{model: affine, fit: configs/fits/rtx_4090.llama_3_1_8b.yaml, "
     "form: semi_physical, scale_decode: 0.95}",
     1, false},
    {"rtx_pro_6000", "qwen3_32b",
     "{model: affine, fit: configs/fits/rtx_pro_6000.qwen3_32b.tp2.yaml, "
     "collectives: ring}",
     2, false},
    {"rtx_pro_6000", "qwen3_32b", "{model: table, profile: \"%s\"}", 2, true},
    {"rtx_4090", "llama_3_1_8b",
     "{model: table, profile: \"%s\", skew: true, scale_mixed: 1.4}", 1, true},
    {"a100_80_sxm", "llama_3_8b", "{model: vidur, tables: \"%s/toy\"}", 1, true},
    {"h100_sxm", "llama_2_70b",
     "{model: iterations, table: \"%s/iterations.csv\", table_gpu: h, mixed_factor: 1}",
     8, true},
    {"h100_sxm", "llama_3_1_8b",
     "{model: ops, fit: configs/fits/h100_sxm.vllm.ops.yaml}", 1, true},
    {"h100_sxm", "llama_3_1_70b",
     "{model: ops, fit: configs/fits/h100_sxm.trtllm.ops.yaml, scale_decode: 0.9}", 8,
     false},
    {"a100_80_sxm", "qwen3_8b",
     "{model: ops, fit: configs/fits/a100_80_sxm.vllm.ops.yaml, scale_mixed: 1.2}", 1,
     true},
    {"l40s", "llama_3_1_8b", "{model: ops, fit: configs/fits/l40s.vllm.ops.yaml}", 2,
     true},
    {"h200_sxm", "llama_3_1_8b", "{model: ops, tables: \"%s\", system: toy}", 2, true},
    {"l4", "opt_125m", "{model: linear, step: 1ms, per_context_token: 3ns}", 1, true},
    {"l4", "opt_125m", "{model: linear, per_decode: 1us, per_chunk_token: 9ns}", 1,
     true},
    {"a100_80_sxm", "opt_13b",
     "{model: phases, prompt: {step: 9ms, per_token: 7us, per_1000_squared: 3ms}, "
     "decode: {step: 9ms, per_context_token: 6ns, per_sequence: 2us}, decode_large: "
     "{from: 60, step: 9ms, per_context_token: 7ns, per_sequence: 3us}}",
     1, true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

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

static struct cost *cost_make(struct subject *subject, const char *keys)
{
    struct err err = {0};
    struct conf *conf = NULL;
    char map[1024];
    char fit[512];
    const char *folder = strstr(keys, "%s");
    snprintf(map, sizeof map, "%.*s%s%s", folder == NULL ? 0 : (int)(folder - keys),
             keys, folder == NULL ? "" : harness_temp("profile"),
             folder == NULL ? keys : folder + 2);
    REQUIRE_OK(conf_parse(&conf, "cost", map, strlen(map), &err), &err);
    const char *name = NULL;
    REQUIRE_OK(conf_str(conf_root(conf), "fit", &name, &err), &err);
    snprintf(fit, sizeof fit, "%s", name == NULL ? "" : harness_source(name));
    const struct cost_setup setup = {.gpu = &subject->gpu,
                                     .model = &subject->model,
                                     .engine = &subject->engine,
                                     .map = conf_root(conf),
                                     .fit_path = name == NULL ? NULL : fit};
    struct cost *cost = NULL;
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    REQUIRE_OK(conf_done(conf_root(conf), &err), &err);
    conf_delete(conf);
    return cost;
}

static void subject_init(struct subject *subject, const struct served *served,
                         struct rng *rng)
{
    struct err err = {0};
    char path[128];
    *subject = (struct subject){0};
    snprintf(path, sizeof path, "configs/gpus/%s.yaml", served->gpu);
    REQUIRE_OK(gpu_spec_load(&subject->gpu, harness_source(path), &err), &err);
    snprintf(path, sizeof path, "configs/models/%s.yaml", served->model);
    REQUIRE_OK(model_spec_load(&subject->model, harness_source(path), &err), &err);
    subject->engine = (struct engine_config){
        .compat = (enum engine_compat)rng_below(rng, 4),
        .tensor_parallel = served->tensor_parallel,
        .max_num_seqs = (uint32_t)between(rng, 1, 400),
        .max_model_len = 2 * CONTEXT_MAX,
        .block_tokens = 16,
        .async_scheduling = rng_below(rng, 2) == 1,
        .cpu_step_ns =
            (int64_t)between(rng, 0, UINT64_C(60000000) >> rng_below(rng, 8)),
        .cpu_sequence_ns = (int64_t)rng_below(rng, 50000),
    };
    subject->engine.max_num_batched_tokens =
        subject->engine.max_num_seqs + (uint32_t)between(rng, 1, 3000);
    subject->cost = cost_make(subject, served->keys);
}

static void table_write(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", harness_temp("profile"), name);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fputs(text, file);
    REQUIRE(fclose(file) == 0);
}

/* Operator tables as Vidur has them, of few rows. */
static void fixture_operators(void)
{
    table_write("toy.token_ops_ms.csv", "num_tokens,add,attn_kv_cache_save\n"
                                        "1,0.01,0\n8,0.02,0.001\n64,0.03,0.002\n"
                                        "512,0.2,0.01\n2048,0.9,0.04\n");
    table_write("toy.attn_decode_ms.csv", "batch,64,128,1024,4096\n1,0.01,0.01,0.02,1\n"
                                          "2,0.01,0.02,0.03,1.5\n128,0.1,0.2,1.5,4\n");
    table_write("toy.attn_prefill_ms.csv",
                "kv,1,16,128,1024\n0,0.01,0.02,0.1,1\n64,0.02,0.03,0.12,1.2\n"
                "4096,0.2,0.3,0.5,4\n");
}

/* Whole iterations as splitwise-sim has them. */
static void fixture_iterations(void)
{
    table_write("iterations.csv",
                "tensor_parallel,hardware,prompt_size,batch_size,token_size,"
                "prompt_time,token_time\n"
                "8,h,128,1,128,50,20\n8,h,512,1,128,60,21\n8,h,512,8,128,400,25\n"
                "4,h,512,1,128,99,33\n8,g,512,1,128,98,34\n");
}

/* Runs `holds` on each case under some seeds; it says whether to go on. */
static void for_all(bool (*holds)(struct subject *subject, const struct served *served,
                                  struct rng *rng))
{
    (void)fixture_profile();
    fixture_operators();
    fixture_iterations();
    fixture_op_tables(harness_temp("profile"));
    for (size_t i = 0; i < CASES; i++) {
        bool good = true;
        for (uint64_t seed = 0; seed < SEEDS && good; seed++) {
            struct subject subject;
            struct rng rng;
            rng_init(&rng, seed, "prop_cost_models", i);
            harness_note("%s x %s, TP %u, %s, seed %lu", cases[i].gpu, cases[i].model,
                         cases[i].tensor_parallel, cases[i].keys, (unsigned long)seed);
            subject_init(&subject, &cases[i], &rng);
            good = holds(&subject, &cases[i], &rng);
            cost_delete(subject.cost);
        }
    }
}

static bool is_served(const char *name)
{
    char part[64];
    snprintf(part, sizeof part, "{model: %s", name);
    for (size_t i = 0; i < CASES; i++) {
        if (strncmp(cases[i].keys, part, strlen(part)) == 0) {
            return true;
        }
    }
    return false;
}

static void every_registered_model_has_a_case(void)
{
#define COST(name) EXPECT(is_served(#name));
#include "sim/cost/registry.def"
#undef COST
    EXPECT(!is_served("oracle"));
}

/* ---- the law of cost.h */

static struct batch_shape random_decodes(const struct subject *subject, struct rng *rng)
{
    const uint32_t n = (uint32_t)between(rng, 1, subject->engine.max_num_seqs);
    const uint32_t longest =
        1 + (uint32_t)rng_below(rng, (uint64_t)CONTEXT_MAX >> rng_below(rng, 14));
    return (struct batch_shape){
        .decodes = n,
        .decode_context = longest + rng_below(rng, (uint64_t)(n - 1) * longest + 1),
        .decode_context_max = longest,
    };
}

static bool step_is_as_promised(const struct subject *subject,
                                const struct batch_shape *batch,
                                const struct decode_cost *promise, uint32_t i)
{
    struct batch_shape then = *batch;
    then.decode_context += (uint64_t)i * batch->decodes;
    then.decode_context_max += i;
    const bool reads_longest = cost_needs_context_max(subject->cost);
    const struct decode_cost decode =
        cost_decode(subject->cost, then.decodes, then.decode_context,
                    reads_longest ? then.decode_context_max : 0);
    return EXPECT_I64(decode.first_fx,
                      promise->first_fx + (int64_t)i * promise->grow_fx) &&
           EXPECT_I64(cost_step_fx(subject->cost, &then), decode.first_fx) &&
           EXPECT(decode.first_fx > 0 && decode.grow_fx >= 0 &&
                  decode.valid_steps >= 1);
}

static bool law_holds(struct subject *subject, const struct served *served,
                      struct rng *rng)
{
    (void)served;
    for (uint32_t b = 0; b < BATCHES; b++) {
        const struct batch_shape batch = random_decodes(subject, rng);
        const struct decode_cost promise =
            cost_decode(subject->cost, batch.decodes, batch.decode_context,
                        batch.decode_context_max);
        const uint32_t last = promise.valid_steps - 1;
        for (uint32_t i = 0; i < WALK && i <= last; i++) {
            if (!step_is_as_promised(subject, &batch, &promise, i)) {
                return false;
            }
        }
        const uint32_t far = (uint32_t)rng_below(rng, promise.valid_steps);
        if (!step_is_as_promised(subject, &batch, &promise, far) ||
            !step_is_as_promised(subject, &batch, &promise, last)) {
            return false;
        }
    }
    return true;
}

static void promised_steps_cost_what_was_promised(void)
{
    for_all(law_holds);
}

/* ---- chunks */

static void chunk_add(struct batch_shape *shape, uint64_t tokens, uint64_t before)
{
    shape->chunks++;
    shape->chunk_tokens += tokens;
    shape->chunk_context += before;
    shape->chunk_pairs_twice += tokens * (2 * before + tokens);
    shape->chunk_squares += tokens * tokens;
    if (tokens > shape->chunk_tokens_max) {
        shape->chunk_tokens_max = (uint32_t)tokens;
    }
}

/* Some decodes, and chunks in what is left of sequences and budget. */
static struct batch_shape random_mix(const struct subject *subject, struct rng *rng)
{
    const struct engine_config *engine = &subject->engine;
    struct batch_shape shape = {0};
    if (engine->max_num_seqs > 1 && rng_below(rng, 4) > 0) {
        shape = random_decodes(subject, rng);
        if (shape.decodes == engine->max_num_seqs) {
            shape = (struct batch_shape){0};
        }
    }
    do {
        const uint64_t left =
            engine->max_num_batched_tokens - shape.decodes - shape.chunk_tokens;
        chunk_add(&shape, between(rng, 1, left),
                  rng_below(rng, 2) == 0 ? 0 : rng_below(rng, CONTEXT_MAX));
    } while (shape.decodes + shape.chunks < engine->max_num_seqs &&
             shape.decodes + shape.chunk_tokens < engine->max_num_batched_tokens &&
             rng_below(rng, 2) == 0);
    return shape;
}

/* Time passes, it is never less than the host's, and an hour is never reached. */
static bool mix_takes_time(struct subject *subject, const struct served *served,
                           struct rng *rng)
{
    (void)served;
    for (uint32_t b = 0; b < BATCHES; b++) {
        const struct batch_shape shape = random_mix(subject, rng);
        const int64_t host_ns =
            subject->engine.cpu_step_ns +
            subject->engine.cpu_sequence_ns * (int64_t)(shape.decodes + shape.chunks);
        const int64_t fx = cost_step_fx(subject->cost, &shape);
        if (!EXPECT(fx > 0) || !EXPECT(fx >= host_ns * COST_FX_PER_NS) ||
            !EXPECT(fx < INT64_C(3600000000000) * COST_FX_PER_NS)) {
            return false;
        }
    }
    return true;
}

static void steps_of_any_shape_take_time(void)
{
    for_all(mix_takes_time);
}

/* ---- more work, more time */

static bool token_never_saves_time(struct subject *subject, const struct served *served,
                                   struct rng *rng)
{
    const uint64_t most = subject->engine.max_num_batched_tokens;
    const uint64_t before = rng_below(rng, 2) == 0 ? 0 : rng_below(rng, 4000);
    int64_t last_fx = 0;
    for (uint64_t q = 1; q <= most && served->monotone; q++) {
        struct batch_shape shape = {0};
        chunk_add(&shape, q, before);
        const int64_t fx = cost_step_fx(subject->cost, &shape);
        if (!EXPECT(fx >= last_fx)) {
            printf("%lu tokens behind %lu: %ld after %ld\n", (unsigned long)q,
                   (unsigned long)before, (long)fx, (long)last_fx);
            return false;
        }
        last_fx = fx;
    }
    return true;
}

static void one_more_token_never_makes_a_prefill_shorter(void)
{
    for_all(token_never_saves_time);
}

static bool decode_never_saves_time(struct subject *subject,
                                    const struct served *served, struct rng *rng)
{
    const uint32_t context = 1 + (uint32_t)rng_below(rng, 4000);
    const bool skips = !served->monotone || strstr(served->keys, "table") != NULL;
    int64_t last_fx = 0;
    for (uint32_t n = 1; n <= subject->engine.max_num_seqs && !skips; n++) {
        const int64_t fx =
            cost_decode(subject->cost, n, (uint64_t)n * context, context).first_fx;
        if (!EXPECT(fx >= last_fx)) {
            printf("%u decodes at %u: %ld after %ld\n", n, context, (long)fx,
                   (long)last_fx);
            return false;
        }
        last_fx = fx;
    }
    return true;
}

static void one_more_decode_never_makes_a_step_shorter(void)
{
    for_all(decode_never_saves_time);
}

/* ---- host and GPU */

static bool host_is_waited_for(struct subject *subject, const struct served *served,
                               struct rng *rng)
{
    (void)served;
    for (uint32_t b = 0; b < BATCHES; b++) {
        const struct batch_shape batch = random_decodes(subject, rng);
        const int64_t host_fx =
            COST_FX_PER_NS * (subject->engine.cpu_step_ns +
                              subject->engine.cpu_sequence_ns * (int64_t)batch.decodes);
        const int64_t fx = cost_decode(subject->cost, batch.decodes,
                                       batch.decode_context, batch.decode_context_max)
                               .first_fx;
        /* In sequence the GPU always adds something. */
        const bool overlaps = subject->engine.async_scheduling;
        if (!EXPECT(overlaps ? fx >= host_fx : fx > host_fx)) {
            return false;
        }
    }
    return true;
}

static void step_is_never_shorter_than_its_host_work(void)
{
    for_all(host_is_waited_for);
}

HARNESS_MAIN("cost_models", TEST(every_registered_model_has_a_case),
             TEST(promised_steps_cost_what_was_promised),
             TEST(steps_of_any_shape_take_time),
             TEST(one_more_token_never_makes_a_prefill_shorter),
             TEST(one_more_decode_never_makes_a_step_shorter),
             TEST(step_is_never_shorter_than_its_host_work))
