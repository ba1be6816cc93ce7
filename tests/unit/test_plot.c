/* SPDX-License-Identifier: Apache-2.0
 *
 * Plots with gnuplot (when it is installed), without it, and with one that fails.
 */
#include "base/text.h"
#include "reports/plot.h"
#include "reports/plot_kind.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct run_record *drawable(const char *name, size_t requests, uint32_t engines)
{
    const struct sample sample = {
        .name = name, .seed = 3, .requests = requests, .engines = engines};
    struct run_record *const run = sample_run(&sample);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    return run;
}

/* Runs plot_write with $PATH set to this (NULL: as it is). */
static bool write_with_path(const char *path_variable, const struct run_record *run,
                            const char *stem, struct plot_set *set, struct err *err)
{
    char before[8192];
    const char *const old = getenv("PATH");
    (void)snprintf(before, sizeof before, "%s", old == NULL ? "" : old);
    if (path_variable != NULL) {
        (void)setenv("PATH", path_variable, 1);
    }
    const struct run_record *const runs[] = {run};
    const struct plot_input input = {.runs = runs, .run_count = 1};
    const bool fine = plot_write(&input, stem, set, err);
    (void)setenv("PATH", before, 1);
    return fine;
}

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0;
}

static void read_text(const char *path, struct text *out)
{
    FILE *const file = fopen(path, "r");
    REQUIRE(file != NULL);
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) {
        text_add_bytes(out, buffer, got);
    }
    (void)fclose(file);
}

static void without_gnuplot_data_and_scripts_are_left(void)
{
    struct run_record *const run = drawable("a", 100, 2);
    struct plot_set set;
    struct err err;
    REQUIRE_OK(write_with_path("/nonexistent", run, harness_temp("absent"), &set, &err),
               &err);
    EXPECT_HAS(set.note, "gnuplot was not found in $PATH; install it");
    EXPECT_U64(set.count, 6);
    for (size_t i = 0; i < set.count; i++) {
        harness_note("plot %s", set.files[i].name);
        EXPECT(!set.files[i].drawn);
        EXPECT(exists(set.files[i].csv_path));
        EXPECT(exists(set.files[i].gp_path));
        EXPECT(!exists(set.files[i].svg_path));
        EXPECT(!exists(set.files[i].narrow_path));
        EXPECT(!exists(set.files[i].png_path));
    }
    run_record_delete(run);
}

static void put_gnuplot(const char *folder, const char *script)
{
    char path[4096];
    (void)mkdir(folder, 0755);
    (void)snprintf(path, sizeof path, "%s/gnuplot", folder);
    FILE *const file = fopen(path, "w");
    REQUIRE(file != NULL);
    (void)fputs(script, file);
    (void)fclose(file);
    REQUIRE(chmod(path, 0755) == 0);
}

static void a_failing_gnuplot_is_an_error_with_its_words(void)
{
    const char *const folder = harness_temp("bin");
    put_gnuplot(folder, "#!/bin/sh\necho 'no such terminal' >&2\nexit 3\n");
    struct run_record *const run = drawable("a", 100, 2);
    struct plot_set set;
    struct err err;
    EXPECT_FAILS(write_with_path(folder, run, harness_temp("failing"), &set, &err),
                 &err, "gnuplot failed: no such terminal");
    run_record_delete(run);
}

static void a_talkative_gnuplot_does_not_block(void)
{
    const char *const folder = harness_temp("loud");
    put_gnuplot(folder, "#!/bin/sh\ni=0\nwhile [ $i -lt 20000 ]; do\necho warning, a "
                        "long line of it >&2\ni=$((i+1))\ndone\n");
    struct run_record *const run = drawable("a", 100, 2);
    struct plot_set set;
    struct err err;
    EXPECT_OK(write_with_path(folder, run, harness_temp("loud"), &set, &err), &err);
    run_record_delete(run);
}

static void plots_without_data_are_left_out(void)
{
    struct run_record *const run = drawable("a", 0, 2); /* nothing happened at all */
    struct plot_set set;
    struct err err;
    REQUIRE_OK(write_with_path("/nonexistent", run, harness_temp("none"), &set, &err),
               &err);
    EXPECT_U64(set.count, 0);
    run_record_delete(run);
}

static void a_folder_that_is_missing_is_named(void)
{
    struct run_record *const run = drawable("a", 100, 2);
    struct plot_set set;
    struct err err;
    EXPECT_FAILS(write_with_path(NULL, run, harness_temp("no/such/stem"), &set, &err),
                 &err, "no/such/stem_ttft_cdf.csv");
    run_record_delete(run);
}

static bool has_gnuplot(void)
{
    return system("gnuplot --version >/dev/null 2>&1") == 0;
}

static void gnuplot_draws_every_plot(void)
{
    if (!has_gnuplot()) {
        harness_skip("gnuplot is not installed");
        return;
    }
    const uint32_t engines[] = {2, 20, 200}; /* lines, a map, a map of groups */
    for (size_t i = 0; i < 3; i++) {
        struct run_record *const run =
            drawable("it's <a> & \"b\", _c_ $d", 60, engines[i]);
        char stem[64];
        (void)snprintf(stem, sizeof stem, "drawn with %u's", (unsigned)engines[i]);
        struct plot_set set;
        struct err err;
        REQUIRE_OK(write_with_path(NULL, run, harness_temp(stem), &set, &err), &err);
        EXPECT_STR(set.note, "");
        EXPECT_U64(set.count, 6);
        for (size_t at = 0; at < set.count; at++) {
            harness_note("%u engines, plot %s", (unsigned)engines[i],
                         set.files[at].name);
            EXPECT(set.files[at].drawn);
            EXPECT(exists(set.files[at].svg_path));
            EXPECT(exists(set.files[at].narrow_path));
            EXPECT(exists(set.files[at].png_path));
        }
        struct text svg = {0};
        read_text(set.files[0].svg_path, &svg);
        EXPECT_HAS(text_str(&svg), "&lt;a> &amp; ");
        EXPECT_HAS(text_str(&svg), "</svg>");
        text_fini(&svg);
        run_record_delete(run);
    }
}

/* Nothing but equal values, at one or two moments: ranges that a plot must not choke
 * on. */
static void degenerate_runs_are_drawn(void)
{
    if (!has_gnuplot()) {
        harness_skip("gnuplot is not installed");
        return;
    }
    for (uint32_t engines = 1; engines <= 100; engines *= 10) {
        for (int64_t moments = 0; moments <= 2; moments++) {
            const struct run_info info = {.name = "flat"};
            struct run_record *const run = run_record_new(&info);
            const struct request_row row = {.output_tokens = 2}; /* all times 0 */
            (void)run_add_request(run, &row);
            for (int64_t i = 0; i < moments * engines; i++) {
                const struct engine_sample_row sample = {
                    .time_ns = 100000 * SAMPLE_S + i / engines,
                    .engine = (uint32_t)(i % engines)};
                (void)run_add_sample(run, &sample);
            }
            struct plot_set set;
            struct err err;
            harness_note("%u engines, %d moments", (unsigned)engines, (int)moments);
            EXPECT_OK(write_with_path(NULL, run, harness_temp("flat"), &set, &err),
                      &err);
            EXPECT_U64(set.count, moments == 0 ? 2 : 4);
            run_record_delete(run);
        }
    }
}

static void counts_turn_logarithmic_only_when_runs_differ_greatly(void)
{
    struct plot_counts counts = {0.0, (double)INFINITY, false};
    plot_counts_add(&counts, 150.0);
    plot_counts_add(&counts, 3.0); /* few in any case */
    EXPECT(!counts.is_log);
    plot_counts_add(&counts, 5000.0);
    EXPECT(counts.is_log);
    struct plot_counts alike = {0.0, (double)INFINITY, false};
    plot_counts_add(&alike, 5000.0);
    plot_counts_add(&alike, 1000.0);
    EXPECT(!alike.is_log);
    struct text out = {0};
    plot_add_counts_axis(&out, "y", &counts, 5.0);
    plot_add_counts_column(&out, &counts, 4);
    EXPECT_HAS(text_str(&out), "set ytics ('0' 0, '10' 1.04139, '100' 2.00432, ");
    EXPECT_HAS(text_str(&out), "(log10(1+$4))");
    text_fini(&out);
}

static void distributions_are_exact_at_the_given_shares(void)
{
    struct run_record *const run = drawable("a", 500, 2);
    struct plot_set set;
    struct err err;
    REQUIRE_OK(write_with_path("/nonexistent", run, harness_temp("cdf"), &set, &err),
               &err);
    struct text csv = {0};
    read_text(set.files[0].csv_path, &csv);
    char line[64];
    (void)snprintf(line, sizeof line, "\n0.50000,%.6g\n",
                   run->metrics.value[METRIC_TTFT_MS_P50] / 1e3);
    EXPECT_HAS(text_str(&csv), line);
    (void)snprintf(line, sizeof line, "\n0.99000,%.6g\n",
                   run->metrics.value[METRIC_TTFT_MS_P99] / 1e3);
    EXPECT_HAS(text_str(&csv), line);
    (void)snprintf(line, sizeof line, "\n1.00000,%.6g\n",
                   run->metrics.value[METRIC_TTFT_MS_MAX] / 1e3);
    EXPECT_HAS(text_str(&csv), line);
    text_fini(&csv);
    run_record_delete(run);
}

/* 120 bins of 0.1 s. The first request: 1 s at the gateway, 1 s waiting, 2 s prefill, 8
 * s decode. The second begins in the middle of the bin from 0.2 s, has its prompt
 * computed apart from 3 to 4 s, gets its KV until 5 s and ends at 6 s. */
static void stages_hold_the_mean_number_of_requests(void)
{
    const struct run_info info = {.name = "a"};
    struct run_record *const run = run_record_new(&info);
    const struct request_row rows[] = {
        {.queued_ns = SAMPLE_S,
         .scheduled_ns = 2 * SAMPLE_S,
         .first_token_ns = 4 * SAMPLE_S,
         .end_ns = 12 * SAMPLE_S},
        {.arrival_ns = SAMPLE_S / 4,
         .queued_ns = SAMPLE_S / 4,
         .scheduled_ns = 3 * SAMPLE_S,
         .first_token_ns = 5 * SAMPLE_S,
         .end_ns = 6 * SAMPLE_S},
    };
    const struct handover_row handover = {
        .request = 1, .prefill_end_ns = 4 * SAMPLE_S, .kv_here_ns = 5 * SAMPLE_S};
    struct plot_set set;
    struct text csv = {0};
    struct err err;
    REQUIRE(run_add_request(run, &rows[0]) && run_add_request(run, &rows[1]));
    REQUIRE(run_add_handover(run, &handover));
    REQUIRE_OK(write_with_path("/nonexistent", run, harness_temp("stages"), &set, &err),
               &err);
    for (size_t i = 0; i < set.count; i++) {
        if (strcmp(set.files[i].name, "stages") == 0) {
            read_text(set.files[i].csv_path, &csv);
        }
    }
    EXPECT_HAS(text_str(&csv), "run,time_s,gateway_requests,waiting_requests,"
                               "prefill_requests,hand_over_requests,decode_requests\n"
                               "a,0.05,1,0,0,0,0\n");
    EXPECT_HAS(text_str(&csv), "\na,0.25,1,0.5,0,0,0\n");
    EXPECT_HAS(text_str(&csv), "\na,1.05,0,2,0,0,0\n");
    EXPECT_HAS(text_str(&csv), "\na,3.05,0,0,2,0,0\n");
    EXPECT_HAS(text_str(&csv), "\na,4.55,0,0,0,1,1\n");
    EXPECT_HAS(text_str(&csv), "\na,5.55,0,0,0,0,2\n");
    EXPECT_HAS(text_str(&csv), "\na,11.95,0,0,0,0,1\n");
    text_fini(&csv);
    run_record_delete(run);
}

/* Ten runs, the slowest first: the picture has all of them, the fastest on top. */
static void many_runs_have_a_picture_of_all(void)
{
    enum { RUNS = 10 };
    struct run_record *owned[RUNS];
    const struct run_record *runs[RUNS];
    struct plot_set set;
    struct err err;
    struct text csv = {0};
    for (size_t i = 0; i < RUNS; i++) {
        const char name[] = {(char)('a' + (char)i), '\0'};
        owned[i] = drawable(name, 50, 2);
        owned[i]->metrics.value[METRIC_TTFT_MS_P99] = (double)(1000 - 50 * i);
        runs[i] = owned[i];
    }
    struct plot_input input = {.runs = runs, .run_count = RUNS};
    REQUIRE_OK(plot_write(&input, harness_temp("many"), &set, &err), &err);
    REQUIRE(set.count > 0);
    EXPECT_STR(set.files[0].name, "overview");
    read_text(set.files[0].csv_path, &csv);
    const char *last = text_str(&csv);
    for (size_t i = RUNS; i-- > 0;) {
        const char line[] = {'\n', (char)('a' + (char)i), ',', '\0'};
        const char *const at = strstr(text_str(&csv), line);
        REQUIRE(at != NULL);
        EXPECT(at >= last);
        last = at;
    }
    text_fini(&csv);
    input.run_count = 4;
    REQUIRE_OK(plot_write(&input, harness_temp("few"), &set, &err), &err);
    EXPECT(set.count > 0 && strcmp(set.files[0].name, "overview") != 0);
    for (size_t i = 0; i < RUNS; i++) {
        run_record_delete(owned[i]);
    }
}

HARNESS_MAIN("plot", TEST(without_gnuplot_data_and_scripts_are_left),
             TEST(a_failing_gnuplot_is_an_error_with_its_words),
             TEST(a_talkative_gnuplot_does_not_block),
             TEST(plots_without_data_are_left_out),
             TEST(a_folder_that_is_missing_is_named), TEST(gnuplot_draws_every_plot),
             TEST(degenerate_runs_are_drawn),
             TEST(counts_turn_logarithmic_only_when_runs_differ_greatly),
             TEST(distributions_are_exact_at_the_given_shares),
             TEST(stages_hold_the_mean_number_of_requests),
             TEST(many_runs_have_a_picture_of_all))
