/* SPDX-License-Identifier: Apache-2.0
 *
 * test_calibrate.c: exact times give back the coefficients they were made from; the
 * recorded profiles give those of spec/step-time.md 4, as near as another choice of
 * rows and weights allows.
 */
#include "sim/calibrate/calibrate.h"
#include "sim/calibrate/step_fit.h"
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
    REQUIRE_OK(conf_parse(&conf, "fit.yaml", yaml.bytes, yaml.length, &err), &err);
    REQUIRE_OK(step_fit_read(&fit, conf_root(conf), &err), &err);
    EXPECT_OK(conf_done(conf_root(conf), &err), &err);
    conf_delete(conf);
    text_fini(&yaml);
    kernel_profile_delete(profile);
    return fit;
}

/* Relative to `expected`, the worst of the regime's terms. */
static void terms_close(const struct step_fit *fit, enum step_regime regime,
                        const double *expected, double ratio)
{
    for (size_t i = 0; i < step_term_count(regime); i++) {
        harness_note("%s.%s", step_regime_name(regime), step_term_name(regime, i));
        EXPECT_CLOSE(fit->regimes[regime].coefficients[i].value, expected[i], ratio);
    }
    harness_note("%s", "");
}

static void exact_times_give_their_coefficients_back(void)
{
    const struct model_spec model = fixture_model();
    const struct calibrate_gpu gpu = fixture_gpu();
    struct step_fit fit = fit_of(fixture_profile(), &model, &gpu);
    EXPECT_CLOSE(fit.unsplit_from, 40.0, 1e-9);
    terms_close(&fit, STEP_SPLIT, fixture_split, 1e-5);
    terms_close(&fit, STEP_UNSPLIT, fixture_unsplit, 1e-5);
    terms_close(&fit, STEP_MIXED, fixture_mixed, 1e-4);
    EXPECT(fit.form == STEP_AFFINE);
    EXPECT_CLOSE(fit.dense_us.us[0], 65.0, 1e-9);
    EXPECT_CLOSE(fit.cliff_factor, 1.0, 1e-3); /* rows beyond L2 that show no cliff */
    EXPECT(fit.cliff_measured);
    step_fit_fini(&fit);
}

static void without_uneven_batches_the_longest_one_is_not_determined(void)
{
    const struct model_spec model = fixture_model();
    const struct calibrate_gpu gpu = fixture_gpu();
    const char *path = fixture_profile();
    char skew[512];
    snprintf(skew, sizeof skew, "%s/skew.csv", path);
    REQUIRE(remove(skew) == 0);
    struct step_fit fit = fit_of(path, &model, &gpu);
    const struct fit_coefficient *excess = &fit.regimes[STEP_MIXED].coefficients[6];
    EXPECT(excess->status == FIT_UNDETERMINED);
    EXPECT_NEAR(excess->value, 0.0, 0.0);
    terms_close(&fit, STEP_SPLIT, fixture_split, 1e-5);
    step_fit_fini(&fit);
}

static void a_gpu_that_no_batch_fills_lends_the_split_terms(void)
{
    const struct model_spec model = fixture_model();
    struct calibrate_gpu gpu = fixture_gpu();
    gpu.sm_count = 1000;
    gpu.memory_bytes_per_s = 0.0;
    struct step_fit fit = fit_of(fixture_profile(), &model, &gpu);
    const struct fit_coefficient *unsplit = fit.regimes[STEP_UNSPLIT].coefficients;
    EXPECT(unsplit[2].status == FIT_UNDETERMINED);
    EXPECT_CLOSE(unsplit[2].value, fit.regimes[STEP_SPLIT].coefficients[2].value, 0.0);
    EXPECT(!fit.semi.known);
    EXPECT(fit.form == STEP_AFFINE);
    step_fit_fini(&fit);
}

static void rows_outside_the_domain_are_used_when_there_are_no_others(void)
{
    const struct model_spec model = fixture_model();
    const struct calibrate_gpu gpu = fixture_gpu();
    const char *path = fixture_profile();
    struct text out = {0};
    text_add(&out, "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n");
    for (int n = 1; n <= 32; n *= 2) {
        for (int c = 8192; c <= 131072; c *= 2) {
            text_printf(&out, "0,0,%d,%d,%.9g\n", n, c,
                        fixture_attention_us(0, 0, n, (double)n * c, c));
        }
    }
    fixture_file("attention.csv", &out);
    struct step_fit fit = fit_of(path, &model, &gpu);
    EXPECT_CLOSE(fit.regimes[STEP_SPLIT].coefficients[2].value, fixture_split[2], 1e-4);
    step_fit_fini(&fit);
}

/* configs/fits is what the present code makes of the recorded profiles. */
static void shipped_is_current(const char *name, const char *folder,
                               const char *gpu_name)
{
    char path[256];
    snprintf(path, sizeof path, "fidelity/%s", folder);
    const char *data = harness_data(path);
    if (data == NULL) {
        return;
    }
    struct err err = {0};
    struct model_spec model;
    struct calibrate_gpu gpu;
    struct gpu_spec spec;
    struct conf *conf = NULL;
    struct step_fit shipped;
    snprintf(path, sizeof path, "%s/facts.json", data);
    REQUIRE_OK(calibrate_facts_load(path, &model, &gpu, &err), &err);
    snprintf(path, sizeof path, "configs/gpus/%s.yaml", gpu_name);
    REQUIRE_OK(gpu_spec_load(&spec, harness_source(path), &err), &err);
    snprintf(path, sizeof path, "configs/fits/%s.yaml", name);
    REQUIRE_OK(conf_load(&conf, harness_source(path), &err), &err);
    REQUIRE_OK(step_fit_read(&shipped, conf_root(conf), &err), &err);
    EXPECT_OK(conf_done(conf_root(conf), &err), &err);
    snprintf(path, sizeof path, "%s/profile", data);
    struct step_fit fit = fit_of(path, &model, &gpu);
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        double expected[STEP_TERMS_MAX] = {0.0};
        for (size_t i = 0; i < step_term_count(regime); i++) {
            expected[i] = fit.regimes[regime].coefficients[i].value;
        }
        terms_close(&shipped, regime, expected, 1e-6);
    }
    EXPECT(shipped.form == fit.form);
    EXPECT_CLOSE(shipped.semi.efficiency, fit.semi.efficiency, 1e-6);
    EXPECT_CLOSE(shipped.cliff_factor, fit.cliff_factor, 1e-4);
    EXPECT_U64(shipped.dense_us.count, fit.dense_us.count);
    EXPECT_CLOSE(shipped.dense_us.us[100], fit.dense_us.us[100], 1e-8);
    EXPECT_U64(shipped.allreduce_us.count,
               spec.allreduce_count > 0 ? spec.allreduce_s[0].count : 0);
    step_fit_fini(&fit);
    step_fit_fini(&shipped);
    conf_delete(conf);
}

static void shipped_fits_are_current(void)
{
    shipped_is_current("rtx_4090.llama_3_1_8b", "RTX4090_Llama-3.1-8B", "rtx_4090");
    shipped_is_current("rtx_pro_6000.qwen3_32b.tp2", "RTXPRO6000_Qwen3-32B",
                       "rtx_pro_6000");
}

struct recorded {
    const char *folder;
    double terms[STEP_REGIMES][STEP_TERMS_MAX];
    double unsplit_from;
    double decode_error_max; /* mean, of the worse regime */
    double mixed_error_max;
};

static void recorded_profile_agrees(const struct recorded *expected)
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
    EXPECT_CLOSE(fit.unsplit_from, expected->unsplit_from, 1e-3);
    /* The table gives neither rows nor weights. What the term costs in a batch is alike
     * to some percent; terms that trade against each other differ by more. */
    const struct fit_result *regimes = fit.regimes;
    EXPECT_CLOSE(regimes[STEP_SPLIT].coefficients[0].value,
                 expected->terms[STEP_SPLIT][0], 0.03);
    EXPECT_CLOSE(regimes[STEP_SPLIT].coefficients[2].value,
                 expected->terms[STEP_SPLIT][2], 0.02);
    EXPECT_CLOSE(regimes[STEP_UNSPLIT].coefficients[0].value,
                 expected->terms[STEP_UNSPLIT][0], 0.04);
    EXPECT_CLOSE(regimes[STEP_UNSPLIT].coefficients[2].value,
                 expected->terms[STEP_UNSPLIT][2], 0.02);
    terms_close(&fit, STEP_UNSPLIT, expected->terms[STEP_UNSPLIT], 0.12);
    EXPECT_CLOSE(regimes[STEP_MIXED].coefficients[2].value,
                 expected->terms[STEP_MIXED][2], 0.03);
    EXPECT_CLOSE(regimes[STEP_MIXED].coefficients[4].value,
                 expected->terms[STEP_MIXED][4], 0.02);
    EXPECT_CLOSE(regimes[STEP_MIXED].coefficients[1].value,
                 expected->terms[STEP_MIXED][1], 0.16);
    EXPECT(regimes[STEP_SPLIT].mean_abs_error < expected->decode_error_max);
    EXPECT(regimes[STEP_UNSPLIT].mean_abs_error < expected->decode_error_max);
    EXPECT(regimes[STEP_MIXED].mean_abs_error < expected->mixed_error_max);
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        for (size_t i = 0; i < step_term_count(regime); i++) {
            EXPECT(regimes[regime].coefficients[i].status == FIT_SURE);
        }
    }
    step_fit_fini(&fit);
}

static void rtx_4090_agrees_with_the_published_table(void)
{
    recorded_profile_agrees(&(struct recorded){
        .folder = "RTX4090_Llama-3.1-8B",
        .terms = {{12330, 384, 4.756},
                  {25030, 72.7, 4.188, 18.8},
                  {19840, 1197, 8.501, 8.269, 0.1329, 79.7, 24.0}},
        .unsplit_from = 25.6,
        .decode_error_max = 0.051,
        .mixed_error_max = 0.10,
    });
}

static void rtx_pro_6000_agrees_with_the_published_table(void)
{
    recorded_profile_agrees(&(struct recorded){
        .folder = "RTXPRO6000_Qwen3-32B",
        .terms = {{13240, 36.2, 1.511},
                  {9041, 69.8, 1.445, 14.8},
                  {16000, 632, 3.992, 6.058, 0.0631, 54.0, 13.3}},
        .unsplit_from = 75.2,
        .decode_error_max = 0.051,
        .mixed_error_max = 0.13,
    });
}

static void the_report_says_what_is_not_determined(void)
{
    const struct model_spec model = fixture_model();
    const struct calibrate_gpu gpu = fixture_gpu();
    const char *path = fixture_profile();
    char skew[512];
    snprintf(skew, sizeof skew, "%s/skew.csv", path);
    REQUIRE(remove(skew) == 0);
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    struct text yaml = {0};
    struct text out = {0};
    REQUIRE_OK(kernel_profile_load(&profile, path, &err), &err);
    REQUIRE_OK(calibrate_profile(&yaml, profile, &model, &gpu, &err), &err);
    REQUIRE_OK(calibrate_report(&out, "fit", yaml.bytes, yaml.length, &err), &err);
    EXPECT_HAS(text_str(&out), "not determined:");
    EXPECT_HAS(text_str(&out), "mixed.per_excess_token");
    text_fini(&out);
    text_fini(&yaml);
    kernel_profile_delete(profile);
}

HARNESS_MAIN("calibrate", TEST(exact_times_give_their_coefficients_back),
             TEST(without_uneven_batches_the_longest_one_is_not_determined),
             TEST(a_gpu_that_no_batch_fills_lends_the_split_terms),
             TEST(rows_outside_the_domain_are_used_when_there_are_no_others),
             TEST(shipped_fits_are_current),
             TEST(rtx_4090_agrees_with_the_published_table),
             TEST(rtx_pro_6000_agrees_with_the_published_table),
             TEST(the_report_says_what_is_not_determined))
