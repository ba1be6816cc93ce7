/* SPDX-License-Identifier: Apache-2.0
 *
 * test_layer_shape.c: the weights of a layer's products are those that the model's
 * parameters count, whatever the group's size.
 */
#include "sim/times/layer_shape.h"
#include "tests/harness.h"

static void model_of(struct model_spec *model, const char *path)
{
    struct err err = {0};
    REQUIRE_OK(model_spec_load(model, harness_source(path), &err), &err);
}

static double weights_of(const struct model_spec *model, uint32_t tp, bool routed)
{
    struct layer_shape shape;
    layer_shape_of(&shape, model, tp, routed);
    double weights = 0.0;
    for (uint32_t i = 0; i < shape.count; i++) {
        weights += shape.products[i].inner * shape.products[i].columns;
    }
    const struct layer_product *up = &shape.expert_up;
    const struct layer_product *down = &shape.expert_down;
    return weights +
           shape.experts * (up->inner * up->columns + down->inner * down->columns);
}

static void products_are_all_parameters_but_norms_and_embeddings(void)
{
    static const char *const paths[] = {
        "configs/models/llama_3_1_70b.yaml", "configs/models/mixtral_8x22b.yaml",
        "configs/models/deepseek_v3.yaml", "configs/models/deepseek_v2_lite.yaml"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct model_spec model;
        harness_note("%s", paths[i]);
        model_of(&model, paths[i]);
        const uint32_t routed = layer_shape_routed(&model);
        const double layers = routed * weights_of(&model, 1, true) +
                              (model.layers - routed) * weights_of(&model, 1, false);
        const double embeddings = 2.0 * model.vocabulary * model.hidden;
        EXPECT_CLOSE(layers, model_parameters(&model) - embeddings, 1e-4);
    }
}

/* Eight GPUs share all but the router and the ways into the latents. */
static void a_group_shares_what_can_be_shared(void)
{
    struct model_spec model;
    model_of(&model, "configs/models/deepseek_v3.yaml");
    const double copied = 7168.0 * 256 + 7168.0 * (1536 + 512 + 64);
    EXPECT_CLOSE(weights_of(&model, 8, true) - copied,
                 (weights_of(&model, 1, true) - copied) / 8, 1e-12);
}

static void a_pair_of_tokens_costs_what_its_heads_are_wide(void)
{
    struct model_spec model;
    struct layer_shape shape;
    model_of(&model, "configs/models/llama_3_1_8b.yaml");
    layer_shape_of(&shape, &model, 1, false);
    EXPECT_NEAR(shape.pair_flops, 4.0 * 32 * 128, 0);
    EXPECT_NEAR(shape.kv_flops, 4.0 * 32 * 128, 0);
    model_of(&model, "configs/models/deepseek_v3.yaml");
    layer_shape_of(&shape, &model, 4, true);
    EXPECT_NEAR(shape.pair_flops, 2.0 * 32 * (192 + 128), 0);
    EXPECT_NEAR(shape.kv_flops, 2.0 * 32 * (576 + 512), 0);
}

HARNESS_MAIN("layer_shape", TEST(products_are_all_parameters_but_norms_and_embeddings),
             TEST(a_group_shares_what_can_be_shared),
             TEST(a_pair_of_tokens_costs_what_its_heads_are_wide))
