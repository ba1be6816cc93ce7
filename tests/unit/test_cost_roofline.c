/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost_roofline.c: the step times of spec/vllm-engine.md 10.7, which two other
 * derivations from the same tables agree on within 6 %.
 */
#include "sim/cost.h"
#include "tests/harness.h"

#include <stdio.h>

static struct cost *cost_of(const char *gpu_name, const char *model_name)
{
    static struct gpu_spec gpu;
    static struct model_spec model;
    struct err err = {0};
    char path[128];
    snprintf(path, sizeof(path), "configs/gpus/%s.yaml", gpu_name);
    REQUIRE_OK(gpu_spec_load(&gpu, harness_source(path), &err), &err);
    snprintf(path, sizeof(path), "configs/models/%s.yaml", model_name);
    REQUIRE_OK(model_spec_load(&model, harness_source(path), &err), &err);
    /* As the table: no CPU time. */
    const struct engine_config engine = {.tensor_parallel = 1,
                                         .max_num_seqs = 1024,
                                         .max_num_batched_tokens = 16384,
                                         .block_tokens = 16};
    const struct cost_setup setup = {.gpu = &gpu, .model = &model, .engine = &engine};
    struct cost *cost = NULL;
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    return cost;
}

static double decode_ms(const struct cost *cost, uint32_t n, uint64_t context)
{
    return (double)cost_decode(cost, n, n * context, 0).first_fx / COST_FX_PER_NS / 1e6;
}

static double mixed_ms(const struct cost *cost, uint32_t decodes, uint32_t context,
                       uint32_t chunk)
{
    const struct batch_shape shape = {
        .decodes = decodes,
        .chunks = 1,
        .decode_context = (uint64_t)decodes * context,
        .chunk_tokens_max = chunk,
        .chunk_tokens = chunk,
        .chunk_pairs_twice = (uint64_t)chunk * chunk,
    };
    return (double)cost_step_fx(cost, &shape) / COST_FX_PER_NS / 1e6;
}

static void h100_agrees_with_the_derived_table(void)
{
    struct cost *cost = cost_of("h100_sxm", "llama_3_1_8b");
    EXPECT_CLOSE(decode_ms(cost, 1, 1024), 6.6, 0.06);
    EXPECT_CLOSE(decode_ms(cost, 32, 1024), 7.7, 0.06);
    EXPECT_CLOSE(decode_ms(cost, 128, 1024), 12.5, 0.06);
    EXPECT_CLOSE(decode_ms(cost, 256, 500), 13.0, 0.06);
    EXPECT_CLOSE(mixed_ms(cost, 0, 0, 2048), 41.0, 0.06);
    EXPECT_CLOSE(mixed_ms(cost, 0, 0, 8192), 190.0, 0.06);
    EXPECT_CLOSE(mixed_ms(cost, 128, 1024, 1920), 46.0, 0.06);
    cost_delete(cost);
}

static void a100_agrees_with_the_derived_table(void)
{
    struct cost *cost = cost_of("a100_80_sxm", "llama_3_1_8b");
    EXPECT_CLOSE(decode_ms(cost, 1, 1024), 11.6, 0.06);
    EXPECT_CLOSE(decode_ms(cost, 32, 1024), 14.3, 0.06);
    EXPECT_CLOSE(decode_ms(cost, 128, 1024), 25.8, 0.06);
    EXPECT_CLOSE(decode_ms(cost, 256, 500), 30.8, 0.06);
    EXPECT_CLOSE(mixed_ms(cost, 0, 0, 2048), 120.0, 0.06);
    EXPECT_CLOSE(mixed_ms(cost, 0, 0, 8192), 530.0, 0.06);
    EXPECT_CLOSE(mixed_ms(cost, 128, 1024, 1920), 130.0, 0.06);
    cost_delete(cost);
}

HARNESS_MAIN("cost_roofline", TEST(h100_agrees_with_the_derived_table),
             TEST(a100_agrees_with_the_derived_table))
