/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost_group.c: a step that data-parallel ranks share.
 */
#include "base/mem.h"
#include "sim/calibrate/step_fit.h"
#include "sim/cost.h"
#include "sim/times/experts.h"
#include "tests/harness.h"
#include "tests/profile_fixture.h"

static struct cost *cost_of(bool experts, const char *keys)
{
    static const struct gpu_spec gpu = {.name = "GPU"};
    const struct model_spec model = fixture_model();
    struct calibrate_gpu facts = fixture_gpu();
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    struct text yaml = {0};
    struct conf *fit = NULL;
    struct conf *map = NULL;
    struct cost *cost = NULL;
    REQUIRE_OK(kernel_profile_load(&profile, fixture_profile(), &err), &err);
    if (experts) {
        /* 1 us per activated expert and 10 ns per token, 8 experts, 2 of them each. */
        static const uint32_t tokens[] = {1, 1, 4096, 4096};
        static const uint32_t activated[] = {1, 8, 1, 8};
        facts.experts = 8;
        facts.experts_per_token = 2;
        profile->moe = mem_alloc(4, sizeof *profile->moe);
        profile->moe_count = 4;
        for (size_t i = 0; i < 4; i++) {
            profile->moe[i] = (struct moe_row){tokens[i], activated[i],
                                               activated[i] + 0.01 * tokens[i]};
        }
    }
    REQUIRE_OK(calibrate_profile(&yaml, profile, &model, &facts, &err), &err);
    REQUIRE_OK(conf_parse(&fit, "fit", yaml.bytes, yaml.length, &err), &err);
    REQUIRE_OK(conf_parse(&map, "cost", keys, strlen(keys), &err), &err);
    const struct engine_config engine = {.tensor_parallel = 1,
                                         .max_num_seqs = 64,
                                         .max_num_batched_tokens = 2048,
                                         .block_tokens = 16};
    const struct cost_setup setup = {.gpu = &gpu,
                                     .model = &model,
                                     .engine = &engine,
                                     .map = conf_root(map),
                                     .fit = conf_root(fit)};
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    conf_delete(fit);
    conf_delete(map);
    text_fini(&yaml);
    kernel_profile_delete(profile);
    return cost;
}

static struct batch_shape decodes(uint32_t n, uint32_t context)
{
    return (struct batch_shape){.decodes = n,
                                .decode_context = (uint64_t)n * context,
                                .decode_context_max = context};
}

static struct batch_shape prefill(uint32_t tokens)
{
    return (struct batch_shape){.chunks = 1,
                                .chunk_tokens = tokens,
                                .chunk_tokens_max = tokens,
                                .chunk_pairs_twice = (uint64_t)tokens * tokens};
}

static double us(int64_t fx)
{
    return (double)fx / COST_FX_PER_NS / 1e3;
}

static double group_us(const struct cost *cost, struct batch_shape first,
                       struct batch_shape second)
{
    const struct batch_shape shapes[] = {first, second};
    return us(cost_group_fx(cost, shapes, 2));
}

static void the_slowest_rank_sets_the_pace(void)
{
    struct cost *cost = cost_of(false, "{model: affine}");
    const struct batch_shape idle = {0};
    const struct batch_shape small = decodes(4, 100);
    const struct batch_shape large = decodes(48, 1000);
    const struct batch_shape prompt = prefill(1500);
    EXPECT_NEAR(group_us(cost, large, idle), us(cost_step_fx(cost, &large)), 0.001);
    EXPECT_NEAR(group_us(cost, small, large), us(cost_step_fx(cost, &large)), 0.001);
    EXPECT_NEAR(group_us(cost, large, small), us(cost_step_fx(cost, &large)), 0.001);
    /* Too large for a graph: nobody is padded. */
    EXPECT_NEAR(group_us(cost, prompt, small), us(cost_step_fx(cost, &prompt)), 0.001);
    cost_delete(cost);
}

static void a_graph_pads_every_rank_to_the_largest(void)
{
    /* 16 short decodes beside 8 with so much context that they are the slower ones:
     * they run the 16-token graph. */
    struct cost *cost = cost_of(false, "{model: affine}");
    const struct batch_shape many = decodes(16, 10);
    const struct batch_shape slow = decodes(8, 50000);
    const struct batch_shape slow_alone[] = {slow};
    const double alone = us(cost_group_fx(cost, slow_alone, 1));
    const double beside = group_us(cost, slow, many);
    EXPECT_NEAR(alone, us(cost_step_fx(cost, &slow)), 0.001);
    EXPECT(alone > us(cost_step_fx(cost, &many)));
    EXPECT(beside > alone);
    cost_delete(cost);
}

static void equal_ranks_share_their_experts_evenly(void)
{
    /* The cost model's own view of one rank assumes that the other has as much. */
    struct cost *cost = cost_of(true, "{model: affine, expert_ranks: 2}");
    const struct batch_shape decode = decodes(16, 500);
    const struct batch_shape prompt = prefill(1500);
    EXPECT_NEAR(group_us(cost, decode, decode), us(cost_step_fx(cost, &decode)), 0.001);
    EXPECT_NEAR(group_us(cost, prompt, prompt), us(cost_step_fx(cost, &prompt)), 0.001);
    cost_delete(cost);
}

static void an_idle_rank_wakes_fewer_experts(void)
{
    /* 2 decodes alone activate 8 (1 - 0.75^2) = 3.5 experts of both GPUs, 4
     * decodes 5.47; tokens are padded to 2 on both ranks: 10 layers, half the experts
     * on each GPU. */
    struct cost *cost = cost_of(true, "{model: affine, expert_ranks: 2}");
    const struct batch_shape idle = {0};
    const struct batch_shape two = decodes(2, 500);
    const double both = group_us(cost, two, two);
    const double one = group_us(cost, two, idle);
    EXPECT_NEAR(both - one, 10.0 * (5.46875 - 3.5) / 2.0, 0.01);
    cost_delete(cost);
}

static void models_without_groups_take_the_slowest(void)
{
    static const char keys[] =
        "{model: linear, step: 1ms, per_decode: 1us, per_chunk_token: 10us}";
    struct cost *cost = cost_of(false, keys);
    EXPECT_NEAR(group_us(cost, decodes(5, 10), prefill(100)), 2000.0, 0.001);
    EXPECT_NEAR(group_us(cost, decodes(5, 10), (struct batch_shape){0}), 1005.0, 0.001);
    cost_delete(cost);
}

HARNESS_MAIN("cost_group", TEST(the_slowest_rank_sets_the_pace),
             TEST(a_graph_pads_every_rank_to_the_largest),
             TEST(equal_ranks_share_their_experts_evenly),
             TEST(an_idle_rank_wakes_fewer_experts),
             TEST(models_without_groups_take_the_slowest))
