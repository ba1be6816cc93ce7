/* SPDX-License-Identifier: Apache-2.0
 *
 * test_parallel.c: layers over stages as vLLM splits them, and what a stage holds.
 */
#include "sim/engine_config.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

static struct model_spec model_of(const char *name)
{
    struct model_spec model = {0};
    struct err err = {0};
    char path[128];
    snprintf(path, sizeof path, "configs/models/%s.yaml", name);
    REQUIRE_OK(model_spec_load(&model, harness_source(path), &err), &err);
    return model;
}

/* vllm/distributed/utils.py: the last stage, which has the LM head, gets none of the
 * rest; the first gets one only if all others have. */
static void the_rest_goes_to_stages_before_the_last(void)
{
    static const struct {
        uint32_t layers;
        uint32_t stages;
        uint32_t expected[5];
    } rows[] = {
        {80, 1, {80}},
        {80, 2, {40, 40}},
        {81, 2, {41, 40}},
        {61, 4, {15, 15, 16, 15}},
        {62, 4, {15, 16, 16, 15}},
        {63, 4, {16, 16, 16, 15}},
        {7, 5, {1, 1, 2, 2, 1}},
        {5, 5, {1, 1, 1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct parallel_plan plan = {0};
        plan_split(&plan, rows[i].stages, rows[i].layers);
        EXPECT_U64(plan_stages(&plan), rows[i].stages);
        for (uint32_t j = 0; j < rows[i].stages; j++) {
            EXPECT_U64(plan.stage_layers[j], rows[i].expected[j]);
        }
    }
}

/* Llama-3.1-70B: a layer is 855,654,400 parameters, embedding and LM head 1,050,673,152
 * each, 16 bits: 40 layers and one of them on each of two stages. The last norm's 8192
 * are the model's; where they are counted makes no difference that shows. */
static void a_stage_has_its_layers_and_one_end(void)
{
    const struct model_spec model = model_of("llama_3_1_70b");
    struct parallel_plan plan = {0};
    plan_split(&plan, 2, model.layers);
    const double expected = 2.0 * (40 * 855654400.0 + 1050673152.0) / 4;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 2; i++) {
        const struct stage stage = plan_stage(&plan, &model, i);
        const uint64_t bytes = stage_weight_bytes(&stage, &model, 4);
        EXPECT_U64(stage.first_layer, UINT64_C(40) * i);
        EXPECT(stage.embeds == (i == 0) && stage.samples == (i == 1));
        EXPECT_CLOSE((double)bytes, expected, 1e-4);
        sum += bytes;
    }
    EXPECT_CLOSE((double)sum, (double)model_weight_bytes(&model, 4), 1e-6);
}

/* Llama-3.2-1B ties them: 2 x 128256 x 2048 bytes more than on one GPU. */
static void tied_embeddings_are_kept_twice(void)
{
    const struct model_spec model = model_of("llama_3_2_1b");
    struct parallel_plan plan = {0};
    plan_split(&plan, 2, model.layers);
    const struct stage first = plan_stage(&plan, &model, 0);
    const struct stage last = plan_stage(&plan, &model, 1);
    EXPECT_CLOSE((double)stage_weight_bytes(&first, &model, 1) +
                     (double)stage_weight_bytes(&last, &model, 1),
                 (double)model_weight_bytes(&model, 1) + 2.0 * 128256 * 2048, 1e-6);
}

/* DeepSeek-V3: its first three layers have no experts; a stage that begins later has
 * none of them. */
static void dense_layers_are_the_first_ones(void)
{
    const struct model_spec model = model_of("deepseek_v3");
    struct parallel_plan plan = {.stages = 3, .stage_layers = {2, 30, 29}};
    const uint32_t dense[] = {2, 1, 0};
    for (uint32_t i = 0; i < 3; i++) {
        const struct stage stage = plan_stage(&plan, &model, i);
        EXPECT_U64(stage_model(&stage, &model).dense_layers, dense[i]);
        EXPECT_U64(stage_model(&stage, &model).layers, plan.stage_layers[i]);
    }
    EXPECT_U64(plan_largest_part(&plan, &model).layers, 30);
}

/* An H100 leaves 79.2 GiB x 0.9 - 5.6 GiB = 65.68 GiB = 70,523,355,955 bytes. A stage
 * of `layers` keeps 4096 bytes of KV per layer and token, 65,536 for a block of 16.
 * Uneven stages: the second has 24 of 32 layers and the LM head, 24 x 218,112,000 +
 * 525,336,576 parameters of 2 bytes, which leaves 59,003,506,611 for blocks of 24 x
 * 65,536: 37,513; the first would have room for more than three times as many. */
static void the_fullest_stage_counts_the_blocks(void)
{
    struct gpu_spec gpu = {0};
    struct err err = {0};
    const struct model_spec model = model_of("llama_3_1_8b");
    REQUIRE_OK(gpu_spec_load(&gpu, harness_source("configs/gpus/h100_sxm.yaml"), &err),
               &err);
    struct conf *conf = NULL;
    struct engine_config engine = {0};
    REQUIRE_OK(conf_parse(&conf, "engine", "{}", 2, &err), &err);
    REQUIRE_OK(engine_config_load(&engine, conf_root(conf), &gpu, &model, &err), &err);
    engine.parallel = (struct parallel_plan){.stages = 2, .stage_layers = {8, 24}};
    uint32_t blocks = 0;
    REQUIRE_OK(engine_kv_blocks(&engine, &gpu, &model, NULL, &blocks, &err), &err);
    EXPECT_NEAR((double)blocks, 37513, 2);
    conf_delete(conf);
}

HARNESS_MAIN("parallel", TEST(the_rest_goes_to_stages_before_the_last),
             TEST(a_stage_has_its_layers_and_one_end),
             TEST(tied_embeddings_are_kept_twice),
             TEST(dense_layers_are_the_first_ones),
             TEST(the_fullest_stage_counts_the_blocks))
