/* SPDX-License-Identifier: Apache-2.0
 *
 * report.c: the page in the order a reader asks: what came out, how far apart, what
 * does it look like, what does it rest on.
 */
#include "reports/report.h"

#include "base/check.h"
#include "base/outfile.h"
#include "reports/compare.h"
#include "reports/headline.h"
#include "reports/html.h"
#include "reports/page.h"
#include "reports/report_facts.h"
#include "reports/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* More cautions than this are told with the findings. */
enum { CAUTIONS_OPEN = 3 };

static const char *title_of(const struct report *report)
{
    if (report->title != NULL) {
        return report->title;
    }
    const struct run_info *const info = &report->runs[0]->info;
    return info->scenario_name[0] != '\0' ? info->scenario_name : info->name;
}

static void add_count(struct text *out, uint64_t count, const char *noun)
{
    text_printf(out, "%" PRIu64 "\u00a0%s%s", count, noun, count == 1 ? "" : "s");
}

/* "3 arms under 4 seeds · 3000 requests · 4 engines · 2026-11-24 14:25 UTC" */
static void add_counts(const struct report *report, struct text *out)
{
    const struct run_record *const first = report->runs[0];
    const char *const dot = " · ";
    text_add(out, "<p class=\"soft\">");
    if (report->seeds != NULL) {
        add_count(out, report->seeds->arms, "arm");
        text_printf(out, " under %zu\u00a0seeds", report->seeds->seeds);
    } else {
        add_count(out, report->run_count, "run");
    }
    text_add(out, dot);
    add_count(out, first->totals.requests, "request");
    text_add(out, report->run_count > 1 ? " each" : "");
    text_add(out, dot);
    add_count(out, first->engine_count, "engine");
    if (first->info.started_utc[0] != '\0') {
        text_add(out, dot);
        html_add(out, first->info.started_utc);
    }
    text_add(out, "</p>\n");
}

/* Copies the text so that no line breaks between a number and its unit. */
static void add_unbroken(const char *text, size_t length, struct text *out)
{
    for (size_t i = 0; i < length; i++) {
        const bool is_blank = text[i] == ' ';
        const bool is_unit = is_blank && (strncmp(&text[i + 1], "%", 1) == 0 ||
                                          strncmp(&text[i + 1], "ms", 2) == 0);
        text_add_bytes(out, is_unit ? "\u00a0" : &text[i], is_unit ? 2 : 1);
    }
}

static void add_sentence(const char *line, size_t length, const char *open,
                         const char *close, struct text *out)
{
    struct text sentence = {0};
    add_unbroken(line, length, &sentence);
    text_add(out, open);
    html_add(out, text_str(&sentence));
    text_add(out, close);
    text_fini(&sentence);
}

static bool is_caution(const char *line)
{
    return strncmp(line, "Caution", strlen("Caution")) == 0;
}

/* Cautions are shown, the rest is folded: tables say it better. Of arms under different
 * loads, which the rest compares all the same, only cautions are told. */
static void add_findings(const char *findings, bool only_cautions, struct text *out)
{
    struct text folded = {0};
    size_t cautions = 0;
    for (const char *at = findings; *at != '\0';) {
        const size_t length = strcspn(at, "\n");
        const bool is_open = is_caution(at) && cautions++ < CAUTIONS_OPEN;
        add_sentence(at, length, is_open ? "<p class=\"caution\">" : "<li>",
                     is_open ? "</p>\n" : "</li>\n", is_open ? out : &folded);
        at += length + (at[length] == '\n' ? 1 : 0);
    }
    if (folded.length > 0 && !only_cautions) {
        text_add(out, "<details>\n<summary>What else can be said, and how surely"
                      "</summary>\n<ul>\n");
        text_add(out, text_str(&folded));
        text_add(out, "</ul>\n</details>\n");
    }
    text_fini(&folded);
}

/* Whether all arms had the same to do, so that one of them is the best. */
static bool is_ranked(const struct report *report)
{
    return report->load == NULL && (report->seeds != NULL ||
                                    compare_same_work(report->runs, report->run_count));
}

static void add_verdict(const struct report *report, struct text *out)
{
    const struct headline_arms arms = {report->runs, report->run_count, report->seeds};
    struct text verdict = {0};
    if (report->load != NULL) {
        headline_write_load(report->load, &verdict);
    } else {
        headline_write(&arms, &verdict);
    }
    text_add(out, "<p class=\"verdict\">");
    html_add(out, text_str(&verdict));
    text_add(out, "</p>\n");
    text_fini(&verdict);
    if (is_ranked(report)) {
        headline_add_tiles(&arms, out);
    }
    struct text findings = {0};
    if (report->verdict != NULL) {
        text_add(&findings, report->verdict);
    } else if (report->seeds != NULL) {
        replicated_verdict(report->seeds, &findings);
    } else {
        compare_verdict(report->runs, report->run_count, &findings);
    }
    add_findings(text_str(&findings), report->load != NULL, out);
    text_fini(&findings);
}

static void add_part(const struct report *report, enum compare_part part,
                     const char *title, struct text *out)
{
    struct table *const table =
        report->seeds != NULL ? replicated_table(report->seeds, part)
                              : compare_table(report->runs, report->run_count, part);
    if (!is_ranked(report)) {
        table_unmark(table); /* the best would be who had least to do */
    }
    text_printf(out, "<h3>%s</h3>\n", title);
    page_add_table(out, table, title);
    table_delete(table);
}

static void add_comparison(const struct report *report, struct text *out)
{
    text_add(out, "<h2>Figures</h2>\n");
    add_part(report, COMPARE_TOKENS, "Tokens: first, and one after the other", out);
    add_part(report, COMPARE_ANSWERS, "Whole answers, and waiting for an engine", out);
    add_part(report, COMPARE_FLEET, "Throughput and fleet", out);
    text_add(out, "<p class=\"soft\">");
    if (report->seeds != NULL) {
        text_printf(out,
                    "Means over %zu seeds ± half of their 95&nbsp;%% interval "
                    "(Student's t). ",
                    report->seeds->seeds);
    }
    text_add(out, "Latencies are of completed requests, from the arrival at the "
                  "gateway: TTFT to the first token, TPOT per token after it, E2E to "
                  "the last. ");
    text_add(out, !is_ranked(report)
                      ? ""
                      : "The best value of a column is marked unless all are within "
                        "1&nbsp;% of each other. ");
    text_add(out, "A heading sorts.</p>\n");
}

static const char *file_name(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static bool add_plot(const struct plot_file *plot, struct text *out, struct err *err)
{
    text_add(out, "<figure>\n<h3>");
    html_add(out, plot->title);
    text_add(out, "</h3>\n<div class=\"picture\">\n");
    if (plot->drawn &&
        (!page_add_svg(out, plot->svg_path, plot->title, "wide", err) ||
         !page_add_svg(out, plot->narrow_path, plot->title, "narrow", err))) {
        return false;
    }
    text_add(out, "</div>\n<figcaption>");
    html_add(out, plot->caption);
    text_add(out, " Data: <code>");
    html_add(out, file_name(plot->csv_path));
    text_add(out, "</code>.</figcaption>\n</figure>\n");
    return true;
}

static bool add_plots(const struct report *report, struct text *out, struct err *err)
{
    const struct plot_set *const plots = report->plots;
    if (plots == NULL || plots->count == 0) {
        return true;
    }
    text_add(out, "<h2>Pictures</h2>\n");
    if (plots->note[0] != '\0') {
        text_add(out, "<p>");
        html_add(out, plots->note);
        text_add(out, "</p>\n");
    }
    if (report->seeds != NULL && report->load == NULL) {
        text_add(out, "<p class=\"soft\">Pictures of single runs show the first seed; "
                      "the store holds all.</p>\n");
    }
    if (report->run_count > PLOT_RUNS_MAX && report->load == NULL) {
        text_printf(
            out,
            "<p class=\"soft\">Pictures of single runs show %d of them: the "
            "first one, and those of the lowest mean time to first token.</p>\n",
            PLOT_RUNS_CHOSEN);
    }
    text_add(out, "<div class=\"plots\">\n");
    for (size_t i = 0; i < plots->count; i++) {
        if (!add_plot(&plots->files[i], out, err)) {
            return false;
        }
    }
    text_add(out, "</div>\n");
    return true;
}

static bool add_page(const struct report *report, struct text *out, struct err *err)
{
    const char *const title = title_of(report);
    const char *const kind = report->load != NULL     ? "sweep"
                             : report->run_count == 1 ? "run"
                                                      : "comparison";
    struct text whole = {0};
    text_printf(&whole, "%s: %s", title, kind);
    page_begin(out, text_str(&whole));
    text_fini(&whole);
    text_printf(out, "<header>\n<p class=\"kicker\">stacksim %s</p>\n<h1>", kind);
    html_add(out, title);
    text_add(out, "</h1>\n");
    add_counts(report, out);
    text_add(out, "</header>\n");
    add_verdict(report, out);
    if (report->load == NULL) {
        add_comparison(report, out);
    }
    if (!add_plots(report, out, err)) {
        return false;
    }
    if (report->load != NULL) { /* many arms: the picture first */
        add_comparison(report, out);
    }
    report_add_engines(report, out);
    report_add_events(report, out);
    report_add_provenance(report, out);
    report_add_limits(report, out);
    report_add_scenarios(report, out);
    page_end(out);
    return true;
}

bool report_write_html(const struct report *report, const char *path, struct err *err)
{
    CHECK(report->run_count > 0, "no runs");
    struct outfile *file;
    if (!outfile_open(&file, path, err)) {
        return false;
    }
    struct text page = {0};
    if (!add_page(report, &page, err)) {
        text_fini(&page);
        outfile_abort(file);
        return false;
    }
    (void)fwrite(text_str(&page), 1, page.length, outfile_stream(file));
    text_fini(&page);
    return outfile_commit(file, err);
}
