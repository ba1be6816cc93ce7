/* SPDX-License-Identifier: Apache-2.0
 *
 * test_op_fit.c: from tables whose formula is known to lines, to a file and back.
 */
#include "sim/calibrate/calibrate_ops.h"
#include "tests/op_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder(void)
{
    const char *path = harness_temp("ops");
    (void)mkdir(path, 0777);
    return path;
}

static struct op_table *table_of(const char *backend)
{
    struct err err = {0};
    struct op_table *table = NULL;
    fixture_op_tables(folder());
    REQUIRE_OK(op_table_load(&table, folder(), "toy", backend, &err), &err);
    return table;
}

static struct op_fit *fit_of(uint64_t l2_bytes)
{
    struct err err = {0};
    struct op_table *table = table_of("vllm");
    struct op_fit *fit = calloc(1, sizeof *fit);
    REQUIRE_OK(calibrate_ops(fit, table, l2_bytes, "toy tables", &err), &err);
    op_table_delete(table);
    return fit;
}

static void tables_are_found_and_read(void)
{
    struct op_table *table = table_of("vllm");
    EXPECT_STR(table->backend, "vllm-1.2");
    EXPECT_U64(table->gemm_count, 360);
    EXPECT_U64(table->decode_count, 200);
    EXPECT_U64(table->prompt_count, 240);
    EXPECT_U64(table->allreduce_count, 18);
    EXPECT_U64(table->left_out, 3); /* fp8_block, heads of 64, eager */
    op_table_delete(table);
    op_table_delete(table_of("vllm-1.2"));
}

static void lines_come_back_out_of_times_made_of_them(void)
{
    struct op_fit *fit = fit_of(0);
    const struct op_fit_family *gemm = &fit->families[OP_GEMM_16];
    EXPECT_U64(gemm->count, 5);
    EXPECT(gemm->mean_abs_error < 1e-6);
    const struct fit_coefficient *at = gemm->knots[2].fit.coefficients; /* 64 rows */
    EXPECT_CLOSE(at[0].value, 3.0, 1e-4);
    EXPECT_CLOSE(at[1].value, 0.5 + 64 / 400.0, 1e-4);
    EXPECT_CLOSE(at[2].value, 0.64, 1e-3);
    EXPECT_CLOSE(at[3].value, 1.28, 1e-3);
    EXPECT_U64(at[0].status, FIT_SURE);
    at = fit->families[OP_DECODE_16].knots[1].fit.coefficients; /* 4 sequences */
    EXPECT_CLOSE(at[0].value, 9.0, 1e-4);
    EXPECT_CLOSE(at[1].value, 0.04, 1e-3);
    EXPECT_CLOSE(at[2].value, 0.08, 1e-3);
    EXPECT_CLOSE(at[3].value, 0.6, 1e-4);
    EXPECT_U64(fit->families[OP_GEMM_4].count, 0);
    EXPECT_U64(fit->families[OP_DECODE_8].count, 0);
    free(fit);
}

static void the_report_says_what_is_not_determined(void)
{
    struct op_fit *fit = fit_of(0);
    struct text report = {0};
    calibrate_ops_report(fit, &report);
    EXPECT_HAS(text_str(&report), "products of 4-bit weights: not determined, no rows");
    EXPECT_HAS(text_str(&report), "per_weight 0.66");
    EXPECT_HAS(text_str(&report), "all-reduce of 2 GPUs");
    text_fini(&report);
    free(fit);
}

/* Keys and values of one call within twice the cache say nothing about memory. */
static void rows_that_stay_in_cache_are_left_out(void)
{
    struct op_fit *all = fit_of(0);
    struct op_fit *some = fit_of(UINT64_C(16) << 20);
    EXPECT(some->families[OP_DECODE_16].rows < all->families[OP_DECODE_16].rows);
    EXPECT_U64(some->families[OP_PROMPT_16].rows, all->families[OP_PROMPT_16].rows);
    free(all);
    free(some);
}

static void a_file_gives_the_fit_back(void)
{
    struct err err = {0};
    struct conf *conf = NULL;
    struct text yaml = {0};
    struct text again = {0};
    struct op_fit *fit = fit_of(0);
    struct op_fit *read = calloc(1, sizeof *read);
    op_fit_write(fit, &yaml);
    REQUIRE_OK(conf_parse(&conf, "fit.yaml", text_str(&yaml), yaml.length, &err), &err);
    REQUIRE_OK(op_fit_read(read, conf_root(conf), &err), &err);
    REQUIRE_OK(conf_done(conf_root(conf), &err), &err);
    op_fit_write(read, &again);
    EXPECT_STR(text_str(&again), text_str(&yaml));
    conf_delete(conf);
    text_fini(&yaml);
    text_fini(&again);
    free(fit);
    free(read);
}

/* The written fit with one line replaced is refused with this message. */
static void expect_refused(const char *line, const char *instead, const char *part)
{
    struct err err = {0};
    struct conf *conf = NULL;
    struct text yaml = {0};
    struct text changed = {0};
    struct op_fit *fit = fit_of(0);
    op_fit_write(fit, &yaml);
    const char *at = strstr(text_str(&yaml), line);
    harness_note("%s", instead);
    if (REQUIRE(at != NULL)) {
        const size_t before = (size_t)(at - text_str(&yaml));
        text_printf(&changed, "%.*s%s%s", (int)before, text_str(&yaml), instead,
                    at + strcspn(at, "\n"));
        REQUIRE_OK(
            conf_parse(&conf, "fit.yaml", text_str(&changed), changed.length, &err),
            &err);
        EXPECT_FAILS(op_fit_read(fit, conf_root(conf), &err) &&
                         conf_done(conf_root(conf), &err),
                     &err, part);
        EXPECT_HAS(err.text, "fit.yaml:");
    }
    conf_delete(conf);
    text_fini(&yaml);
    text_fini(&changed);
    free(fit);
}

static void nonsense_in_a_file_is_refused(void)
{
    expect_refused("format:", "format: \"stacksim-fit-1\"", "calibrate --from ops");
    expect_refused("system:", "syste: \"toy\"", "system");
    expect_refused("      value:", "      value: [1, 2]", "4 numbers");
    expect_refused("      value:", "      value: [1, 2, -3, 4]", "is no number");
    expect_refused("    8:", "    0.5:", "ascend");
    expect_refused("  2:", "  1:", "group of 2");
    expect_refused("      status:", "      colour: blue", "colour");
}

static void nonsense_in_a_table_is_refused_by_its_line(void)
{
    struct err err = {0};
    struct op_table *table = NULL;
    EXPECT_FAILS(op_table_load(&table, "no/such", "toy", "vllm", &err), &err,
                 "no/such");
    fixture_op_tables(folder());
    EXPECT_FAILS(op_table_load(&table, folder(), "toy", "trtllm", &err), &err,
                 "toy.trtllm-VERSION");
    EXPECT_FAILS(op_table_load(&table, folder(), "to", "vllm", &err), &err, "no file");
    FILE *file = fixture_op_file(folder(), "gemm_perf");
    fputs("gemm_dtype,m,n,k,latency\nbfloat16,1,2,3,4\nbfloat16,1,2,three,4\n", file);
    REQUIRE(fclose(file) == 0);
    EXPECT_FAILS(op_table_load(&table, folder(), "toy", "vllm", &err), &err,
                 "gemm_perf.csv:3: k: 'three'");
    file = fixture_op_file(folder(), "gemm_perf");
    fputs("gemm_dtype,m,n,latency\nbfloat16,1,2,4\n", file);
    REQUIRE(fclose(file) == 0);
    EXPECT_FAILS(op_table_load(&table, folder(), "toy", "vllm", &err), &err,
                 "no column k");
}

/* 2048 x 3000 is nearest to 2048 x 2048: its times by the ratio of the weights. */
static void a_product_that_nobody_measured_is_like_the_nearest(void)
{
    struct err err = {0};
    struct profile_curve curve;
    const struct layer_product asked = {.inner = 2800, .columns = 2048, .bits = 16};
    const struct layer_product narrow = {.inner = 2048, .columns = 2048, .bits = 4};
    struct op_table *table = table_of("vllm");
    REQUIRE_OK(op_table_gemm(table, &asked, &curve, &err), &err);
    EXPECT_CLOSE(profile_curve_at(&curve, 64),
                 fixture_gemm_us(64, 2048, 2048, 16) * 2800 / 2048, 1e-6);
    profile_curve_fini(&curve);
    EXPECT_FAILS(op_table_gemm(table, &narrow, &curve, &err), &err, "4 bits");
    op_table_delete(table);
}

static void a_prompt_is_no_shorter_than_a_shorter_one(void)
{
    double tokens[] = {100, 200, 400};
    double base[] = {10, 4, 20};
    double each[] = {1, 0, 3};
    const struct op_lines lines = {3, tokens, base, each};
    EXPECT_NEAR(op_lines_at(&lines, 2, 50), 12, 1e-12);
    EXPECT_NEAR(op_lines_at(&lines, 2, 200), 12, 1e-12);
    EXPECT_NEAR(op_lines_at(&lines, 2, 300), 19, 1e-12);
    EXPECT_NEAR(op_lines_at(&lines, 2, 800), 4 * 26, 1e-12);
}

static void expect_family(const struct op_fit_family *made,
                          const struct op_fit_family *shipped, size_t terms)
{
    EXPECT_U64(made->count, shipped->count);
    EXPECT_U64(made->rows, shipped->rows);
    EXPECT_CLOSE(made->mean_abs_error, shipped->mean_abs_error, 1e-2);
    for (size_t i = 0; i < made->count && i < shipped->count; i++) {
        for (size_t j = 0; j < terms; j++) {
            const double value = shipped->knots[i].fit.coefficients[j].value;
            EXPECT_NEAR(made->knots[i].fit.coefficients[j].value, value,
                        1e-4 * value + 1e-5);
        }
    }
}

/* configs/fits is what the present code makes of the recorded tables. */
static void expect_shipped(const char *name, const char *system, const char *backend,
                           uint64_t l2_bytes)
{
    struct err err = {0};
    struct op_table *table = NULL;
    struct conf *conf = NULL;
    char path[128];
    const char *dir = harness_data("profiles/aiconfigurator/ops");
    if (dir == NULL) {
        return;
    }
    struct op_fit *made = calloc(1, sizeof *made);
    struct op_fit *shipped = calloc(1, sizeof *shipped);
    harness_note("%s", name);
    REQUIRE_OK(op_table_load(&table, dir, system, backend, &err), &err);
    REQUIRE_OK(calibrate_ops(made, table, l2_bytes, "", &err), &err);
    (void)snprintf(path, sizeof path, "configs/fits/%s.ops.yaml", name);
    REQUIRE_OK(conf_load(&conf, harness_source(path), &err), &err);
    REQUIRE_OK(op_fit_read(shipped, conf_root(conf), &err), &err);
    for (int i = 0; i < OP_FAMILY_COUNT; i++) {
        expect_family(&made->families[i], &shipped->families[i],
                      op_term_count((enum op_family)i));
    }
    op_table_delete(table);
    conf_delete(conf);
    free(made);
    free(shipped);
}

static void shipped_fits_are_what_the_tables_give(void)
{
    expect_shipped("h100_sxm.vllm", "h100_sxm", "vllm", UINT64_C(50) << 20);
    expect_shipped("b200_sxm.trtllm", "b200_sxm", "trtllm", UINT64_C(126) << 20);
    expect_shipped("l40s.vllm", "l40s", "vllm", UINT64_C(96) << 20);
}

HARNESS_MAIN("op_fit", TEST(tables_are_found_and_read),
             TEST(lines_come_back_out_of_times_made_of_them),
             TEST(the_report_says_what_is_not_determined),
             TEST(rows_that_stay_in_cache_are_left_out),
             TEST(a_file_gives_the_fit_back), TEST(nonsense_in_a_file_is_refused),
             TEST(nonsense_in_a_table_is_refused_by_its_line),
             TEST(a_product_that_nobody_measured_is_like_the_nearest),
             TEST(a_prompt_is_no_shorter_than_a_shorter_one),
             TEST(shipped_fits_are_what_the_tables_give))
