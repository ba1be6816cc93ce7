/* SPDX-License-Identifier: Apache-2.0
 *
 * test_calibrate_iterations.c: iterations made from known coefficients give them back,
 * as a fit that the cost model reads; the shipped fits are what the recorded table
 * gives now.
 */
#include "base/mem.h"
#include "sim/calibrate/calibrate_iterations.h"
#include "sim/calibrate/step_fit.h"
#include "sim/cost.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS = 10 };
/* ns per layer; the hinge in tokens and ns of the step. */
static const double later[] = {200000, 3000, 4};
static const double first_constant = 400000;
static const double first_pair = 0.5;
static const double hinge_from = 512;
static const double hinge_ns = 90000;

static const struct model_spec model = {.name = "toy",
                                        .layers = LAYERS,
                                        .hidden = 1024,
                                        .query_heads = 8,
                                        .kv_heads = 8,
                                        .head_dim = 128,
                                        .weight_bits = 16,
                                        .kv_bits = 16};
static const struct calibrate_gpu gpu = {.name = "toy GPU", .tensor_parallel = 2};
static const struct iteration_subject subject = {&model, &gpu, "toy.csv"};

static double prompt_ms(double prompt, double batch)
{
    const double tokens = prompt * batch;
    return (LAYERS * (first_constant + first_pair * tokens * prompt / 2) +
            hinge_ns * fmax(0, tokens - hinge_from)) /
           1e6;
}

static double token_ms(double prompt, double batch, double output)
{
    const double context = batch * (prompt + (output - 2) / 2);
    return LAYERS * (later[0] + later[1] * batch + later[2] * context) / 1e6;
}

static void row_add(struct iteration_table *table, uint32_t prompt, uint32_t batch,
                    uint32_t output)
{
    table->rows[table->count++] =
        (struct iteration_row){prompt, output, batch, prompt_ms(prompt, batch),
                               token_ms(prompt, batch, output)};
}

/* One sweep of each, as the recorded table has them. */
static struct iteration_table sweeps(void)
{
    struct iteration_table table = {.gpu = "g", .model = "m", .tensor_parallel = 2};
    table.rows = mem_alloc(64, sizeof *table.rows);
    for (uint32_t i = 0; i < 7; i++) {
        row_add(&table, UINT32_C(128) << i, 1, 128);
        row_add(&table, 512, UINT32_C(1) << i, 128);
        row_add(&table, 512, 1, UINT32_C(256) << i);
    }
    return table;
}

static struct step_fit fit_of(struct iteration_table *table, struct text *yaml,
                              struct text *notes)
{
    struct err err = {0};
    struct conf *conf = NULL;
    struct step_fit fit = {0};
    REQUIRE_OK(calibrate_iterations(yaml, notes, table, &subject, &err), &err);
    REQUIRE_OK(conf_parse(&conf, "fit.yaml", yaml->bytes, yaml->length, &err), &err);
    REQUIRE_OK(step_fit_read(&fit, conf_root(conf), &err), &err);
    EXPECT_OK(conf_done(conf_root(conf), &err), &err);
    conf_delete(conf);
    return fit;
}

static void expect_exact(const struct step_fit *fit)
{
    const struct fit_coefficient *decode = fit->regimes[STEP_SPLIT].coefficients;
    const struct fit_coefficient *mixed = fit->regimes[STEP_MIXED].coefficients;
    for (size_t i = 0; i < 3; i++) {
        EXPECT_CLOSE(decode[i].value, later[i], 1e-6);
        EXPECT(decode[i].status == FIT_SURE);
    }
    EXPECT_CLOSE(mixed[0].value, first_constant, 1e-6);
    EXPECT_CLOSE(mixed[4].value, first_pair, 1e-6);
    EXPECT_CLOSE(fit->dense_us.x[1], hinge_from, 1e-12);
    EXPECT_CLOSE(profile_curve_at(&fit->dense_us, hinge_from + 1000), hinge_ns,
                 1e-6); /* 1000 tokens, in us */
    /* Not measured: what decodes cost beside a prompt. */
    EXPECT_CLOSE(mixed[1].value, later[1], 1e-6);
    EXPECT(mixed[1].status == FIT_UNDETERMINED && mixed[2].status == FIT_UNDETERMINED);
    EXPECT_NEAR(fit->regimes[STEP_MIXED].worst_abs_error, 0.0, 1e-6);
}

static void exact_iterations_give_their_coefficients_back(void)
{
    struct iteration_table table = sweeps();
    struct text yaml = {0};
    struct text notes = {0};
    struct step_fit fit = fit_of(&table, &yaml, &notes);
    expect_exact(&fit);
    EXPECT_STR(text_str(&notes), "");
    EXPECT_HAS(fit.source, "whole iterations of m on g in toy.csv: 20 configurations");
    step_fit_fini(&fit);
    text_fini(&yaml);
    iteration_table_fini(&table);
}

static void load_that_did_not_fit_the_gpu_is_left_out(void)
{
    struct iteration_table table = sweeps();
    struct text yaml = {0};
    struct text notes = {0};
    for (size_t i = 0; i < table.count; i++) {
        if (table.rows[i].batch == 64) {
            table.rows[i].prompt_ms /= 5.0;
        }
    }
    struct step_fit fit = fit_of(&table, &yaml, &notes);
    expect_exact(&fit);
    EXPECT_HAS(text_str(&notes), "left out: 64 prompts of 512 tokens");
    step_fit_fini(&fit);
    text_fini(&yaml);
    text_fini(&notes);
    iteration_table_fini(&table);
}

/* The fit is no end in itself: an engine's steps take what the iterations took. */
static void cost_model_gives_the_iterations_back(void)
{
    struct iteration_table table = sweeps();
    struct text yaml = {0};
    struct text notes = {0};
    struct step_fit fit = fit_of(&table, &yaml, &notes);
    step_fit_fini(&fit);
    struct err err = {0};
    struct conf *conf = NULL;
    struct conf *map = NULL;
    struct cost *cost = NULL;
    static const char keys[] = "{model: affine, graph_tokens_max: 0}";
    static const struct gpu_spec spec = {.name = "toy GPU"};
    const struct engine_config engine = {
        .tensor_parallel = 2, .max_num_seqs = 64, .max_num_batched_tokens = 8192};
    REQUIRE_OK(conf_parse(&conf, "fit", yaml.bytes, yaml.length, &err), &err);
    REQUIRE_OK(conf_parse(&map, "cost", keys, strlen(keys), &err), &err);
    const struct cost_setup setup = {.gpu = &spec,
                                     .model = &model,
                                     .engine = &engine,
                                     .map = conf_root(map),
                                     .fit = conf_root(conf)};
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    const double decode_fx =
        (double)cost_decode(cost, 8, 8 * UINT64_C(575), 575).first_fx;
    EXPECT_CLOSE(decode_fx / COST_FX_PER_NS / 1e6, token_ms(512, 8, 128), 1e-4);
    const struct batch_shape prompts = {.chunks = 4,
                                        .chunk_tokens = 2048,
                                        .chunk_tokens_max = 512,
                                        .chunk_pairs_twice = UINT64_C(4) * 512 * 512};
    EXPECT_CLOSE((double)cost_step_fx(cost, &prompts) / COST_FX_PER_NS / 1e6,
                 prompt_ms(512, 4), 1e-5);
    cost_delete(cost);
    conf_delete(conf);
    conf_delete(map);
    text_fini(&yaml);
    iteration_table_fini(&table);
}

static void too_little_is_refused(void)
{
    struct iteration_table table = sweeps();
    struct text yaml = {0};
    struct text notes = {0};
    struct err err = {0};
    table.count = 5;
    EXPECT_FAILS(calibrate_iterations(&yaml, &notes, &table, &subject, &err), &err,
                 "toy.csv: 5 configurations are too few; 6 at least");
    iteration_table_fini(&table);
    table = sweeps();
    for (size_t i = 0; i < table.count; i++) {
        table.rows[i].token_ms = 0.0;
    }
    EXPECT_FAILS(calibrate_iterations(&yaml, &notes, &table, &subject, &err), &err,
                 "no row has a time for later tokens");
    iteration_table_fini(&table);
}

/* ---- the shipped fits */

static void shipped_is_current(const char *gpu_name, const char *model_name,
                               const struct iteration_choice *choice)
{
    char path[256];
    struct err err = {0};
    struct model_spec shape;
    struct gpu_spec spec;
    struct iteration_table table;
    struct text yaml = {0};
    struct text notes = {0};
    const char *data = harness_data("profiles/splitwise/perf_model.csv");
    if (data == NULL) {
        return;
    }
    harness_note("%s %s %u", gpu_name, model_name, choice->tensor_parallel);
    snprintf(path, sizeof path, "configs/models/%s.yaml", model_name);
    REQUIRE_OK(model_spec_load(&shape, harness_source(path), &err), &err);
    snprintf(path, sizeof path, "configs/gpus/%s.yaml", gpu_name);
    REQUIRE_OK(gpu_spec_load(&spec, harness_source(path), &err), &err);
    struct calibrate_gpu of = {.tensor_parallel = choice->tensor_parallel,
                               .memory_bytes_per_s = spec.memory_bytes_per_s};
    snprintf(of.name, sizeof of.name, "%s", spec.name);
    const struct iteration_subject real = {
        &shape, &of, "perf_model.csv of splitwise-sim at 8f99e7dc (MIT)"};
    REQUIRE_OK(iteration_table_load(&table, data, choice, &err), &err);
    REQUIRE_OK(calibrate_iterations(&yaml, &notes, &table, &real, &err), &err);
    snprintf(path, sizeof path, "configs/fits/%s.%s.tp%u.yaml", gpu_name, model_name,
             choice->tensor_parallel);
    FILE *file = fopen(harness_source(path), "r");
    REQUIRE(file != NULL);
    char *shipped = mem_alloc(65536, 1);
    shipped[fread(shipped, 1, 65535, file)] = '\0';
    REQUIRE(fclose(file) == 0);
    EXPECT_STR(text_str(&yaml), shipped);
    mem_free(shipped);
    text_fini(&yaml);
    text_fini(&notes);
    iteration_table_fini(&table);
}

static void shipped_fits_are_current(void)
{
    for (uint32_t degree = 2; degree <= 8; degree *= 2) {
        const struct iteration_choice a100 = {"a100-80gb", "llama2-70b", degree};
        const struct iteration_choice h100 = {"h100-80gb", "llama2-70b", degree};
        shipped_is_current("a100_80_sxm", "llama_2_70b", &a100);
        shipped_is_current("h100_sxm", "llama_2_70b", &h100);
    }
    const struct iteration_choice bloom = {"a100-80gb", "bloom-176b", 8};
    shipped_is_current("a100_80_sxm", "bloom_176b", &bloom);
}

HARNESS_MAIN("calibrate_iterations",
             TEST(exact_iterations_give_their_coefficients_back),
             TEST(load_that_did_not_fit_the_gpu_is_left_out),
             TEST(cost_model_gives_the_iterations_back), TEST(too_little_is_refused),
             TEST(shipped_fits_are_current))
