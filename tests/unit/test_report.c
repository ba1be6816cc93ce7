/* SPDX-License-Identifier: Apache-2.0
 *
 * The page: complete, harmless whatever a user wrote, and made of itself alone.
 */
#include "base/text.h"
#include "reports/html.h"
#include "reports/report.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <stdio.h>
#include <string.h>

static const char evil[] = "</pre><script>alert('1')</script>&\"";

static struct run_record *computed(const char *name)
{
    const struct sample sample = {
        .name = name, .seed = 3, .requests = 300, .engines = 2};
    struct run_record *const run = sample_run(&sample);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    return run;
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

static void write_page(const struct report *report, const char *name, struct text *page)
{
    struct err err;
    const char *const path = harness_temp(name);
    REQUIRE_OK(report_write_html(report, path, &err), &err);
    read_text(path, page);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static void the_page_tells_what_it_rests_on(void)
{
    struct run_record *const one = computed("one");
    struct run_record *const two = computed("two");
    const struct run_record *const runs[] = {one, two};
    const struct report report = {.runs = runs,
                                  .run_count = 2,
                                  .command = "stacksim compare x.yaml",
                                  .store_path = "out/x.db"};
    struct text page = {0};
    write_page(&report, "page.html", &page);
    const char *const parts[] = {
        "<!doctype html>",
        "<title>sample: comparison</title>",
        "<h1>sample</h1>",
        "default: linear, uncalibrated",
        "<dt>seed</dt><dd>3</dd>",
        "<dt>workload</dt><dd>made up</dd>",
        "0123456789ab",
        "fedcba9876543210",
        "TTFT within 2.00 s",
        "none cut: every request counts",
        "stacksim compare x.yaml",
        "out/x.db",
        "name: sample\nseed: 1\n",
        "Caution: one seed per run.",
        "</html>",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        EXPECT_HAS(text_str(&page), parts[i]);
    }
    text_fini(&page);
    run_record_delete(one);
    run_record_delete(two);
}

static void what_users_write_is_escaped_everywhere(void)
{
    struct run_record *const run = computed("x");
    const struct run_info info = {
        .name = evil,
        .scenario_name = evil,
        .scenario_yaml = evil,
        .policy = evil,
        .compat = evil,
        .cost_model = evil,
        .workload_origin = evil,
        .notes = evil,
        .program_commit = evil,
        .started_utc = evil,
    };
    run_set_info(run, &info);
    const struct engine_row engine = {.pool = evil, .description = evil};
    (void)run_add_engine(run, &engine);
    const struct run_record *const runs[] = {run, run};
    const struct report report = {.title = evil,
                                  .runs = runs,
                                  .run_count = 2,
                                  .command = evil,
                                  .store_path = evil};
    struct text page = {0};
    write_page(&report, "evil.html", &page);
    EXPECT_U64(count_of(text_str(&page), "<script>"), 1); /* ours */
    EXPECT_U64(count_of(text_str(&page), "alert('"), 0);
    EXPECT(count_of(text_str(&page), "&lt;/pre&gt;&lt;script&gt;alert(&#39;1") > 10);
    text_fini(&page);
    run_record_delete(run);
}

static void nothing_is_loaded_from_elsewhere(void)
{
    struct run_record *const run = computed("one");
    const struct run_record *const runs[] = {run};
    struct plot_set plots;
    struct err err;
    const struct plot_input input = {.runs = runs, .run_count = 1};
    REQUIRE_OK(plot_write(&input, harness_temp("inline"), &plots, &err), &err);
    const struct report report = {.runs = runs, .run_count = 1, .plots = &plots};
    struct text page = {0};
    write_page(&report, "inline.html", &page);
    EXPECT_HAS(text_str(&page), "default-src 'none'");
    EXPECT_U64(count_of(text_str(&page), " src="), 0);
    EXPECT_U64(count_of(text_str(&page), "url("), 0);
    EXPECT_U64(count_of(text_str(&page), "<link"), 0);
    /* Only the names of SVG's own XML name spaces. */
    EXPECT_U64(count_of(text_str(&page), "http:") + count_of(text_str(&page), "https:"),
               count_of(text_str(&page), "\"http://www.w3.org/"));
    if (plots.count > 0 && plots.files[0].drawn) {
        EXPECT_U64(count_of(text_str(&page), "<svg class=\"wide\""), plots.count);
        EXPECT_U64(count_of(text_str(&page), "<svg class=\"narrow\""), plots.count);
        EXPECT_U64(count_of(text_str(&page), " id=\""), 3); /* point symbols */
        EXPECT_U64(count_of(text_str(&page), "gnuplot_plot_1</title>"), 0);
    }
    text_fini(&page);
    run_record_delete(run);
}

static void without_pictures_the_page_says_why(void)
{
    struct run_record *const run = computed("one");
    const struct run_record *const runs[] = {run};
    struct plot_set plots = {.count = 1, .note = "no pictures: <gnuplot>"};
    plots.files[0].name = plots.files[0].title = plots.files[0].caption = "cdf";
    const struct report report = {.runs = runs, .run_count = 1, .plots = &plots};
    struct text page = {0};
    write_page(&report, "bare.html", &page);
    EXPECT_HAS(text_str(&page), "no pictures: &lt;gnuplot&gt;");
    EXPECT_U64(count_of(text_str(&page), "role=\"img\""), 0);
    text_fini(&page);
    run_record_delete(run);
}

static void a_broken_picture_leaves_no_page(void)
{
    struct run_record *const run = computed("one");
    const struct run_record *const runs[] = {run};
    struct plot_set plots = {.count = 1};
    plots.files[0].name = plots.files[0].title = plots.files[0].caption = "cdf";
    plots.files[0].drawn = true;
    (void)snprintf(plots.files[0].svg_path, PLOT_PATH_BYTES, "%s",
                   harness_temp_file("broken.svg", "no picture", 10));
    const struct report report = {.runs = runs, .run_count = 1, .plots = &plots};
    struct err err;
    const char *const path = harness_temp("broken.html");
    EXPECT_FAILS(report_write_html(&report, path, &err), &err, "not an SVG file");
    FILE *const file = fopen(path, "r");
    EXPECT(file == NULL);
    run_record_delete(run);
}

static void facts_that_differ_are_told_per_run(void)
{
    struct run_record *const one = computed("one");
    struct run_record *const two = computed("two");
    struct run_info info = two->info;
    info.seed = 4;
    run_set_info(two, &info);
    const struct run_record *const runs[] = {one, two};
    const struct report report = {.runs = runs, .run_count = 2};
    struct text page = {0};
    write_page(&report, "differ.html", &page);
    EXPECT_HAS(text_str(&page), "<dt>seed</dt><dd>one: 3\ntwo: 4</dd>");
    text_fini(&page);
    run_record_delete(one);
    run_record_delete(two);
}

static void html_has_no_control_characters(void)
{
    struct text out = {0};
    html_add(&out, "a\x01<\tb\n'\x7f");
    EXPECT_STR(text_str(&out), "a\xef\xbf\xbd&lt;\tb\n&#39;\xef\xbf\xbd");
    text_fini(&out);
}

HARNESS_MAIN("report", TEST(the_page_tells_what_it_rests_on),
             TEST(what_users_write_is_escaped_everywhere),
             TEST(nothing_is_loaded_from_elsewhere),
             TEST(without_pictures_the_page_says_why),
             TEST(a_broken_picture_leaves_no_page),
             TEST(facts_that_differ_are_told_per_run),
             TEST(html_has_no_control_characters))
