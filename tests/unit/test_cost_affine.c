/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost_affine.c: steps worked out by hand; the law of cost.h on random batches;
 * the check values of spec/step-time.md 5 with the coefficients of its section 4.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "sim/calibrate/step_fit.h"
#include "sim/cost.h"
#include "sim/times/experts.h"
#include "tests/harness.h"
#include "tests/profile_fixture.h"

static struct step_fit fit_of(const char *path, const struct model_spec *model,
                              const struct calibrate_gpu *gpu)
{
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    struct text yaml = {0};
    struct conf *conf = NULL;
    struct step_fit fit = {0};
    REQUIRE_OK(kernel_profile_load(&profile, path, &err), &err);
    REQUIRE_OK(calibrate_profile(&yaml, profile, model, gpu, &err), &err);
    REQUIRE_OK(conf_parse(&conf, "fit", yaml.bytes, yaml.length, &err), &err);
    REQUIRE_OK(step_fit_read(&fit, conf_root(conf), &err), &err);
    conf_delete(conf);
    text_fini(&yaml);
    kernel_profile_delete(profile);
    return fit;
}

/* `cost:` of the scenario as text. */
static struct cost *cost_of(const struct step_fit *fit, const struct model_spec *model,
                            uint32_t max_num_seqs, const char *keys)
{
    static const struct gpu_spec gpu = {.name = "GPU"};
    struct err err = {0};
    struct text yaml = {0};
    struct conf *conf = NULL;
    struct conf *map = NULL;
    step_fit_write(fit, &yaml);
    REQUIRE_OK(conf_parse(&conf, "fit", yaml.bytes, yaml.length, &err), &err);
    REQUIRE_OK(conf_parse(&map, "cost", keys, strlen(keys), &err), &err);
    const struct engine_config engine = {.tensor_parallel = fit->tensor_parallel,
                                         .max_num_seqs = max_num_seqs,
                                         .max_num_batched_tokens = 2048,
                                         .block_tokens = 16};
    const struct cost_setup setup = {.gpu = &gpu,
                                     .model = model,
                                     .engine = &engine,
                                     .map = conf_root(map),
                                     .fit = conf_root(conf)};
    struct cost *cost = NULL;
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    conf_delete(conf);
    conf_delete(map);
    text_fini(&yaml);
    return cost;
}

static double decode_us(const struct cost *cost, uint32_t n, uint64_t context,
                        uint32_t longest)
{
    return (double)cost_decode(cost, n, context, longest).first_fx / COST_FX_PER_NS /
           1e3;
}

static double mixed_us(const struct cost *cost, const struct batch_shape *shape)
{
    return (double)cost_step_fx(cost, shape) / COST_FX_PER_NS / 1e3;
}

static struct step_fit toy_fit(void)
{
    const struct model_spec model = fixture_model();
    const struct calibrate_gpu gpu = fixture_gpu();
    return fit_of(fixture_profile(), &model, &gpu);
}

static void steps_are_what_the_formulas_say(void)
{
    const struct model_spec model = fixture_model();
    struct step_fit fit = toy_fit();
    struct cost *cost = cost_of(&fit, &model, 128,
                                "{model: affine, scale_decode: 1.5, scale_mixed: 0.5}");
    /* 20 decodes run as a graph of 24; D = 55 + 10 T, S' = 40 + 2 S. */
    double expected =
        1.5 * (55 + 240 + 80 + 10 * fixture_attention_us(0, 0, 20, 5000, 700));
    EXPECT_CLOSE(decode_us(cost, 20, 5000, 700), expected, 1e-5);
    /* 33 are padded to 40 and count as unsplit. */
    expected = 1.5 * (55 + 400 + 106 + 10 * (20 + 70 * .033 + 3 * 9.0 + 17 * .9));
    EXPECT_CLOSE(decode_us(cost, 33, 9000, 900), expected, 1e-5);
    /* 600 + 20 tokens are beyond the graphs of 128 slots. */
    const struct batch_shape shape = {.decodes = 20,
                                      .chunks = 1,
                                      .decode_context = 5000,
                                      .decode_context_max = 700,
                                      .chunk_tokens_max = 600,
                                      .chunk_tokens = 600,
                                      .chunk_context = 100,
                                      .chunk_pairs_twice = UINT64_C(600) * (200 + 600)};
    expected =
        0.5 * (55 + 6200 + 82 + 10 * fixture_attention_us(600, 100, 20, 5000, 700));
    EXPECT_CLOSE(mixed_us(cost, &shape), expected, 1e-4);
    cost_delete(cost);
    step_fit_fini(&fit);
}

static void context_beyond_l2_costs_the_cliff(void)
{
    const struct model_spec model = fixture_model();
    struct step_fit fit = toy_fit();
    fit.cliff_factor = 2.5;
    struct cost *cost = cost_of(&fit, &model, 128, "{model: affine}");
    struct batch_shape shape = {.decodes = 100,
                                .chunks = 1,
                                .decode_context = 262144, /* 128 MiB a head */
                                .decode_context_max = 2622,
                                .chunk_tokens_max = 64,
                                .chunk_tokens = 64,
                                .chunk_pairs_twice = UINT64_C(64) * 64};
    const double below = mixed_us(cost, &shape);
    shape.decode_context++;
    const double above = mixed_us(cost, &shape);
    EXPECT_CLOSE(above - below, 1.5 * 262144 * 6 * 10 / 1e3, 1e-3);
    cost_delete(cost);
    step_fit_fini(&fit);
}

/* Sum of the run in closed form and step by step, for batches of all kinds. */
static void law_holds(const struct cost *cost, uint32_t most)
{
    for (uint32_t seed = 0; seed < 3000; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "affine", 0);
        const uint32_t n = 1 + (uint32_t)rng_below(&rng, most);
        const uint32_t longest =
            1 + (uint32_t)rng_below(&rng, 1U << rng_below(&rng, 16));
        const uint64_t context =
            longest + rng_below(&rng, (uint64_t)longest * (n - 1) + 1);
        const struct decode_cost run = cost_decode(cost, n, context, longest);
        REQUIRE(run.valid_steps >= 1 && run.grow_fx >= 0 && run.first_fx > 0);
        const uint64_t last = run.valid_steps - 1;
        const uint64_t ats[] = {last, rng_below(&rng, run.valid_steps), last / 2};
        for (size_t i = 0; i < 3; i++) {
            const uint64_t at = ats[i];
            const int64_t there =
                cost_decode(cost, n, context + at * n, longest + (uint32_t)at).first_fx;
            harness_note("seed %u, n %u, K %llu, kmax %u, step %llu", seed, n,
                         (unsigned long long)context, longest, (unsigned long long)at);
            if (!EXPECT_I64(run.first_fx + (int64_t)at * run.grow_fx, there)) {
                return;
            }
        }
    }
    harness_note("%s", "");
}

static void a_decode_run_is_the_sum_of_its_steps_bit_for_bit(void)
{
    const struct model_spec model = fixture_model();
    struct step_fit fit = toy_fit();
    struct cost *cost = cost_of(&fit, &model, 256, "{model: affine, form: affine}");
    law_holds(cost, 256);
    cost_delete(cost);
    cost = cost_of(&fit, &model, 256, "{model: affine, form: semi_physical}");
    law_holds(cost, 256);
    cost_delete(cost);
    step_fit_fini(&fit);
}

static double norm_us(const struct step_fit *fit, double n, double context,
                      double longest)
{
    const struct semi_physical *semi = &fit->semi;
    const double read_us =
        context * fit->kv_token_bytes / fit->memory_bytes_per_s * 1e6;
    const double heads = fit->kv_heads;
    const double x = read_us / semi->efficiency;
    const double y = fmax(0, 1 - 1 / heads - fit->sm_count / (n * heads)) * read_us +
                     longest / semi->sm_tokens_per_us;
    return pow(pow(x, semi->exponent) + pow(y, semi->exponent), 1 / semi->exponent);
}

static void planes_follow_the_norm_within_half_a_percent(void)
{
    const struct model_spec model = fixture_model();
    struct step_fit fit = toy_fit();
    const double exponents[] = {2, 3, 6, 12, 40};
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        fit.semi = (struct semi_physical){true, 0, 0, 0.9, 20, exponents[i], 0};
        struct cost *cost =
            cost_of(&fit, &model, 256, "{model: affine, form: semi_physical}");
        double worst = 0;
        for (uint32_t longest = 8; longest < 100000; longest += longest / 8) {
            for (uint64_t context = longest; context <= 256 * (uint64_t)longest;
                 context += context / 16 + 1) {
                const double got =
                    decode_us(cost, 256, context, longest) - (55 + 2560 + 40 + 512);
                const double truth =
                    10 * norm_us(&fit, 256, (double)context, (double)longest);
                worst = fmax(worst, fabs(got / truth - 1));
            }
        }
        harness_note("p = %g", exponents[i]);
        EXPECT_NEAR(worst, 0, 0.005);
        EXPECT(worst > 1e-5); /* the ratios y/x do cross the bend */
        cost_delete(cost);
    }
    step_fit_fini(&fit);
}

static void a_fit_of_another_model_or_unit_is_refused(void)
{
    struct model_spec model = fixture_model();
    struct step_fit fit = toy_fit();
    struct text yaml = {0};
    struct conf *conf = NULL;
    struct err err = {0};
    step_fit_write(&fit, &yaml);
    REQUIRE_OK(conf_parse(&conf, "fit", yaml.bytes, yaml.length, &err), &err);
    struct conf *map = NULL;
    REQUIRE_OK(conf_parse(&map, "cost", "{model: affine}", 15, &err), &err);
    const struct gpu_spec gpu = {.name = "GPU"};
    const struct engine_config engine = {
        .tensor_parallel = 1, .max_num_seqs = 8, .max_num_batched_tokens = 2048};
    model.layers++;
    struct cost_setup setup = {.gpu = &gpu,
                               .model = &model,
                               .engine = &engine,
                               .map = conf_root(map),
                               .fit = conf_root(conf)};
    struct cost *cost = NULL;
    EXPECT_FAILS(cost_new(&cost, &setup, &err), &err, "the fit is of toy (10 layers");
    model.layers--;
    const struct engine_config long_engine = {.tensor_parallel = 1,
                                              .max_num_seqs = 1024,
                                              .max_num_batched_tokens = 2048,
                                              .max_model_len = 1U << 24};
    setup.engine = &long_engine;
    fit.regimes[STEP_UNSPLIT].coefficients[2].value = 1e6; /* ms instead of ns */
    struct text wrong = {0};
    struct conf *wrong_conf = NULL;
    step_fit_write(&fit, &wrong);
    REQUIRE_OK(conf_parse(&wrong_conf, "fit", wrong.bytes, wrong.length, &err), &err);
    setup.fit = conf_root(wrong_conf);
    EXPECT_FAILS(cost_new(&cost, &setup, &err), &err, "is a unit wrong?");
    conf_delete(wrong_conf);
    text_fini(&wrong);
    setup.fit = NULL;
    EXPECT_FAILS(cost_new(&cost, &setup, &err), &err, "needs `fit: FILE.yaml`");
    conf_delete(map);
    conf_delete(conf);
    text_fini(&yaml);
    step_fit_fini(&fit);
}

static void experts_add_their_time_and_are_not_scaled(void)
{
    const struct model_spec model = fixture_model();
    struct step_fit fit = toy_fit();
    struct cost *dense = cost_of(&fit, &model, 64, "{model: affine, scale_decode: 2}");
    static const struct moe_row rows[] = {
        {1, 1, 10}, {1, 2, 20}, {8, 1, 17}, {8, 2, 27}, {8, 8, 87}};
    mem_free(fit.moe);
    fit.moe = mem_alloc(5, sizeof *rows);
    memcpy(fit.moe, rows, sizeof rows);
    fit.moe_count = 5;
    fit.experts = 8;
    fit.experts_per_token = 2;
    struct cost *cost = cost_of(&fit, &model, 64, "{model: affine, scale_decode: 2}");
    /* One token activates 2; us = 9 + tokens... measured points: 10 e + tokens - 1. */
    EXPECT_CLOSE(decode_us(cost, 1, 100, 100) - decode_us(dense, 1, 100, 100),
                 10 * 20.0, 1e-6);
    EXPECT_CLOSE(experts_activated(1, 2, 8), 2, 1e-12);
    EXPECT_CLOSE(experts_activated(2, 2, 8), 3.5, 1e-12);
    const double four = 8 * (1 - pow(0.75, 4));
    EXPECT_CLOSE(decode_us(cost, 4, 400, 100) - decode_us(dense, 4, 400, 100),
                 10 * (10 * four + 3), 1e-6);
    cost_delete(cost);
    cost_delete(dense);
    step_fit_fini(&fit);
}

struct recorded {
    const char *folder;
    uint32_t max_num_seqs;
    double terms[STEP_REGIMES][STEP_TERMS_MAX];
    double us[4];
};

/* spec/step-time.md 5, "Single steps": collectives by the ring formula. */
static void check_values(const struct recorded *expected)
{
    char path[256];
    snprintf(path, sizeof path, "fidelity/%s", expected->folder);
    const char *folder = harness_data(path);
    if (folder == NULL) {
        return;
    }
    struct err err = {0};
    struct model_spec model;
    struct calibrate_gpu gpu;
    snprintf(path, sizeof path, "%s/facts.json", folder);
    REQUIRE_OK(calibrate_facts_load(path, &model, &gpu, &err), &err);
    snprintf(path, sizeof path, "%s/profile", folder);
    struct step_fit fit = fit_of(path, &model, &gpu);
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        for (size_t i = 0; i < STEP_TERMS_MAX; i++) {
            fit.regimes[regime].coefficients[i].value = expected->terms[regime][i];
        }
    }
    struct cost *cost = cost_of(&fit, &model, expected->max_num_seqs,
                                "{model: affine, form: affine, collectives: ring}");
    EXPECT_CLOSE(decode_us(cost, 40, 40000, 1000), expected->us[0], 1e-3);
    EXPECT_CLOSE(decode_us(cost, 41, 44000, 4000), expected->us[1], 1e-3);
    struct batch_shape shape = {.decodes = 40,
                                .chunks = 1,
                                .decode_context = 40000,
                                .decode_context_max = 1000,
                                .chunk_tokens_max = 512,
                                .chunk_tokens = 512,
                                .chunk_pairs_twice = UINT64_C(512) * 512};
    EXPECT_CLOSE(mixed_us(cost, &shape), expected->us[2], 1e-3);
    shape = (struct batch_shape){.chunks = 1,
                                 .chunk_tokens_max = 2048,
                                 .chunk_tokens = 2048,
                                 .chunk_pairs_twice = UINT64_C(2048) * 2048};
    EXPECT_CLOSE(mixed_us(cost, &shape), expected->us[3], 1e-3);
    cost_delete(cost);
    step_fit_fini(&fit);
}

static void check_values_of_the_rtx_4090(void)
{
    check_values(&(struct recorded){
        .folder = "RTX4090_Llama-3.1-8B",
        .max_num_seqs = 256,
        .terms = {{12330, 384, 4.756},
                  {25030, 72.7, 4.188, 18.8},
                  {19840, 1197, 8.501, 8.269, 0.1329, 79.7, 24.0}},
        .us = {25134.3, 27634.9, 72739.6, 192427.6},
    });
}

static void check_values_of_the_rtx_pro_6000(void)
{
    check_values(&(struct recorded){
        .folder = "RTXPRO6000_Qwen3-32B",
        .max_num_seqs = 128,
        .terms = {{13240, 36.2, 1.511},
                  {9041, 69.8, 1.445, 14.8},
                  {16000, 632, 3.992, 6.058, 0.0631, 54.0, 13.3}},
        .us = {39112.9, 39521.6, 121635.2, 347805.1},
    });
}

HARNESS_MAIN("cost_affine", TEST(steps_are_what_the_formulas_say),
             TEST(context_beyond_l2_costs_the_cliff),
             TEST(a_decode_run_is_the_sum_of_its_steps_bit_for_bit),
             TEST(planes_follow_the_norm_within_half_a_percent),
             TEST(a_fit_of_another_model_or_unit_is_refused),
             TEST(experts_add_their_time_and_are_not_scaled),
             TEST(check_values_of_the_rtx_4090), TEST(check_values_of_the_rtx_pro_6000))
