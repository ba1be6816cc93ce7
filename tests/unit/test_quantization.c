/* SPDX-License-Identifier: Apache-2.0
 *
 * test_quantization.c: fewer bits in memory, in bytes read and in products, and who
 * cannot know.
 */
#include "sim/scenario.h"
#include "tests/harness.h"

#include <stdio.h>

static bool parse(struct scenario **scenario, const char *gpu, const char *engine,
                  const char *cost, struct err *err)
{
    char text[1024];
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const int length = snprintf(
        text, sizeof text,
        "workload: {generate: {arrival: {kind: poisson, rate_per_s: 1}, input: 9, "
        "output: 9, requests: 1}}\ncluster: {pools: [{name: p, gpu: %s, model: "
        "llama_3_1_8b, engine: {max_model_len: 4096, max_num_seqs: 256, %s}, cost: "
        "{%s}}]}\n",
        gpu, engine, cost);
    return scenario_parse(scenario, "test.yaml", text, (size_t)length, &options, err);
}

static struct scenario *accepts(const char *gpu, const char *engine)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    REQUIRE_OK(parse(&scenario, gpu, engine, "model: roofline", &err), &err);
    return scenario;
}

static void refuses(const char *gpu, const char *engine, const char *cost,
                    const char *part)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    EXPECT_FAILS(parse(&scenario, gpu, engine, cost, &err), &err, part);
}

static uint64_t weights(const char *format)
{
    char engine[64];
    (void)snprintf(engine, sizeof engine, "quantization: %s", format);
    struct scenario *scenario = accepts("h100_sxm", engine);
    const uint64_t bytes = model_weight_bytes(&scenario->pools[0].model, 1);
    scenario_delete(scenario);
    return bytes;
}

/* Llama-3.1-8B: 32 layers of 4096 x (4096 + 2 x 1024) + 4096 x 4096 + 3 x 4096 x 14336
 * + 2 x 4096 = 6,979,584,000 + norms 262,144 = 6,979,846,144 weights; embeddings and
 * head, 2 x 128256 x 4096 = 1,050,673,152, stay in 16 bits. */
static void weights_take_the_bits_of_their_format(void)
{
    const double plain =
        32.0 * (4096.0 * 6144 + 4096.0 * 4096 + 3.0 * 4096 * 14336) + 32.0 * 2 * 4096;
    const double head = 2.0 * 128256 * 4096 * 2;
    EXPECT_NEAR((double)weights("none"), plain * 2 + head, 1);
    EXPECT_NEAR((double)weights("fp8"), plain + head, 1);
    EXPECT_NEAR((double)weights("int8"), plain + head, 1);
    EXPECT_NEAR((double)weights("gptq"), plain * 4.125 / 8 + head, 1);
    EXPECT_NEAR((double)weights("awq"), plain * 4.15625 / 8 + head, 1);
    EXPECT_NEAR((double)weights("nvfp4"), plain * 4.5 / 8 + head, 1);
}

/* Half the bytes of a block, twice the blocks. */
static void an_8_bit_cache_holds_twice_the_tokens(void)
{
    struct scenario *wide = accepts("h100_sxm", "kv_cache_dtype: auto");
    struct scenario *narrow = accepts("h100_sxm", "kv_cache_dtype: fp8");
    EXPECT_U64(model_kv_bytes_per_token(&wide->pools[0].model, 1), 131072);
    EXPECT_U64(model_kv_bytes_per_token(&narrow->pools[0].model, 1), 65536);
    EXPECT_U64(narrow->pools[0].kv_blocks / 2, wide->pools[0].kv_blocks);
    /* Decode attention reads half as much: 256 decodes of 4,000 tokens, where the
     * context is most of the step. */
    const struct decode_cost slow = cost_decode(wide->pools[0].cost, 256, 1024000, 0);
    const struct decode_cost fast = cost_decode(narrow->pools[0].cost, 256, 1024000, 0);
    EXPECT_NEAR((double)fast.grow_fx / (double)slow.grow_fx, 0.5, 1e-3);
    scenario_delete(wide);
    scenario_delete(narrow);
}

static int64_t step_fx(const char *gpu, const char *engine, uint32_t decodes,
                       uint32_t prompt)
{
    struct scenario *scenario = accepts(gpu, engine);
    const uint64_t tokens = prompt;
    const struct batch_shape shape = {.decodes = decodes,
                                      .decode_context = (uint64_t)decodes * 500,
                                      .chunks = prompt > 0 ? 1 : 0,
                                      .chunk_tokens = tokens,
                                      .chunk_tokens_max = prompt,
                                      .chunk_pairs_twice = tokens * tokens,
                                      .chunk_squares = tokens * tokens};
    const int64_t fx = cost_step_fx(scenario->pools[0].cost, &shape);
    scenario_delete(scenario);
    return fx;
}

static void products_are_as_fast_as_their_format(void)
{
    const int64_t plain_fx = step_fx("h100_sxm", "quantization: none", 1, 0);
    /* One decode reads the weights: 8 bits less than 16, 4 bits less than 8. */
    const int64_t fp8_fx = step_fx("h100_sxm", "quantization: fp8", 1, 0);
    const int64_t awq_fx = step_fx("h100_sxm", "quantization: awq", 1, 0);
    EXPECT(fp8_fx < plain_fx && awq_fx < fp8_fx);
    /* A long prompt multiplies: weight-only formats do so in 16 bits. */
    const int64_t prompt_fx = step_fx("h100_sxm", "quantization: none", 0, 8192);
    EXPECT_I64(step_fx("h100_sxm", "quantization: awq", 0, 8192), prompt_fx);
    EXPECT(step_fx("h100_sxm", "quantization: fp8", 0, 8192) < prompt_fx);
    /* An A100 has whole numbers of 8 bits, but no floats: fp8 is weight-only there. */
    const int64_t a100_fx = step_fx("a100_80_sxm", "quantization: none", 0, 2048);
    EXPECT_I64(step_fx("a100_80_sxm", "quantization: fp8", 0, 2048), a100_fx);
    EXPECT(step_fx("a100_80_sxm", "quantization: int8", 0, 2048) < a100_fx);
}

static void mistakes_are_told_with_their_remedy(void)
{
    static const char fit[] =
        "model: affine, fit: rtx_4090.llama_3_1_8b"; /* of 16-bit weights and KV */
    refuses("rtx_4090", "max_num_batched_tokens: 2048, quantization: fp8", fit,
            "cannot know those with fp8 weights");
    refuses("rtx_4090", "max_num_batched_tokens: 2048, kv_cache_dtype: fp8", fit,
            "cannot know those with fp8 KV cache");
    refuses("h100_sxm", "quantization: awq", "model: ops, fit: h100_sxm.vllm.ops",
            "not awq weights");
    refuses("a100_80_sxm", "compat: v085, kv_cache_dtype: fp8", "model: roofline",
            "use a later compat");
    refuses("h100_sxm", "quantization: fp9", "model: roofline", "quantization");
}

HARNESS_MAIN("quantization", TEST(weights_take_the_bits_of_their_format),
             TEST(an_8_bit_cache_holds_twice_the_tokens),
             TEST(products_are_as_fast_as_their_format),
             TEST(mistakes_are_told_with_their_remedy))
