/* SPDX-License-Identifier: Apache-2.0
 *
 * page.c: the table of figures, a verdict for each defect, and those that no run shows.
 */
#include "cli/defects/page.h"

#include "base/json.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>

enum { CELL_BYTES = 64 };

/* Those of the page for people; machines get all. */
static const enum study_metric shown[] = {STUDY_TTFT, STUDY_GOODPUT, STUDY_ERRORS,
                                          STUDY_GPU_HOURS};
enum { SHOWN = sizeof shown / sizeof shown[0] };

static double scale_of(enum study_metric metric)
{
    return metric == STUDY_ERRORS ? 100 : 1;
}

static unsigned decimals_of(enum study_metric metric, double value)
{
    if (metric == STUDY_TTFT) {
        return fabs(value) < 100 ? 1 : 0;
    }
    return metric == STUDY_GPU_HOURS ? 3 : 2;
}

/* ---- for people --------------------------------------------------------------------
 */

static void put_value(struct table *table, enum study_metric metric, double value)
{
    const double scaled = value * scale_of(metric);
    table_put_f64(table, scaled, decimals_of(metric, scaled), NULL);
}

/* "+7642 ± 120"; marked where it is more than chance. */
static void put_cost(struct table *table, enum study_metric metric,
                     const struct study_figure *figure)
{
    const struct contrast *cost = &figure->cost;
    const double scale = scale_of(metric);
    const unsigned decimals = decimals_of(metric, cost->difference * scale);
    char text[CELL_BYTES];
    int length =
        snprintf(text, sizeof text, "%+.*f", (int)decimals, cost->difference * scale);
    if (!isnan(cost->interval.low)) {
        const double half = (cost->interval.high - cost->interval.low) / 2 * scale;
        (void)snprintf(text + length, sizeof text - (size_t)length, " ± %.*f",
                       (int)decimals, half);
    }
    table_put_f64(table, cost->difference * scale, decimals,
                  isnan(cost->difference) ? "-" : text);
    if (study_is_clear(figure)) {
        table_mark(table);
    }
}

bool defects_is_told(const struct defects_page *page, const struct study_row *row)
{
    return row->misfit.kind == ERR_NONE && (page->fleet == NULL || !study_is_same(row));
}

struct table *defects_figures(const struct defects_page *page)
{
    static const struct table_column columns[] = {
        {"defect", "defect", NULL, NULL, true},
        {"ttft_ms_p99", "TTFT p99", "ms", "without the defect", false},
        {"ttft_ms_p99_with", "with", NULL, "time to first token, p99", false},
        {"ttft_ms_p99_cost", "cost", NULL, "mean of differences, 95 %", false},
        {"goodput_per_s", "goodput", "req/s", "without the defect", false},
        {"goodput_per_s_with", "with", NULL, "requests within the SLO", false},
        {"goodput_per_s_cost", "cost", NULL, "mean of differences, 95 %", false},
        {"error_percent", "errors", "%", "without the defect", false},
        {"error_percent_with", "with", NULL, "requests that failed", false},
        {"error_percent_cost", "cost", NULL, "mean of differences, 95 %", false},
        {"gpu_hours", "GPU time", "h", "without the defect", false},
        {"gpu_hours_with", "with", NULL, "GPUs times their time", false},
        {"gpu_hours_cost", "cost", NULL, "mean of differences, 95 %", false},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        if (!defects_is_told(page, row)) {
            continue;
        }
        table_put_text(table, row->defect->id);
        for (size_t at = 0; at < SHOWN; at++) {
            const struct study_figure *figure = &row->figures[shown[at]];
            put_value(table, shown[at], figure->without);
            put_value(table, shown[at], figure->with);
            put_cost(table, shown[at], figure);
        }
    }
    return table;
}

static bool has_goodput(const struct defects_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        if (row->misfit.kind == ERR_NONE &&
            !isnan(row->figures[STUDY_GOODPUT].without)) {
            return true;
        }
    }
    return false;
}

void defects_note(const struct defects_page *page, struct text *out)
{
    const bool many = page->seeds > 1;
    text_printf(out, "Of each figure: without the defect, with it, and the difference");
    if (many) {
        text_printf(out, ": means over %zu seeds\n± half of their 95 %% interval",
                    page->seeds);
    }
    text_printf(out, ". Marked differences are above 1 %%%s.\n",
                many ? " and more than chance" : "");
    if (page->fleet != NULL) {
        text_printf(out, "All in %s.%s\n", page->fleet,
                    has_goodput(page) ? ""
                                      : " It has no SLO, and so no goodput: give --set "
                                        "slo.ttft=1s --set slo.tpot=50ms.");
    } else {
        text_add(out, "Each defect in a scenario made to show it: rows are not to be "
                      "held against each other.\n");
    }
}

static void words_write(const struct defects_page *page, bool markdown,
                        struct text *out)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        struct text verdict = {0};
        if (!defects_is_told(page, row)) {
            continue;
        }
        defects_verdict(row, page->seeds, &verdict);
        text_printf(
            out, markdown ? "- **%s** (%s): %s. *%s.*\n" : "%s (%s): %s.\n    %s.\n",
            row->defect->id, row->defect->where, row->defect->what, text_str(&verdict));
        text_fini(&verdict);
    }
}

/* What another fleet does not feel, and what it cannot have. */
static void others_write(const struct defects_page *page, bool markdown,
                         struct text *out)
{
    struct text same = {0};
    struct text misfits = {0};
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        if (row->misfit.kind != ERR_NONE) {
            text_printf(&misfits, "%s %s: %s\n", markdown ? "-" : "   ",
                        row->defect->id, row->misfit.text);
        } else if (!defects_is_told(page, row)) {
            text_printf(&same, "%s%s", same.length > 0 ? ", " : "", row->defect->id);
        }
    }
    if (same.length > 0) {
        text_printf(out, "\nChange nothing here: %s.\n", text_str(&same));
    }
    if (misfits.length > 0) {
        text_printf(out, "\nNot to be had in this fleet:\n%s%s", markdown ? "\n" : "",
                    text_str(&misfits));
    }
    text_fini(&same);
    text_fini(&misfits);
}

static void unshown_write(bool markdown, struct text *out)
{
    const struct defect_unshown *unshown = NULL;
    text_printf(out, "\nMarked in the specification, and shown by no run:\n%s",
                markdown ? "\n" : "");
    for (size_t i = 0; (unshown = defect_unshown_at(i)) != NULL; i++) {
        text_printf(out, "%s %s (%s): %s: %s\n", markdown ? "-" : "   ", unshown->id,
                    unshown->where, unshown->what, unshown->why);
    }
}

static void text_write(const struct defects_page *page, enum table_format format,
                       struct text *out)
{
    const bool markdown = format == TABLE_MD;
    struct table *table = defects_figures(page);
    if (table_rows(table) > 0) {
        table_write(table, format, out);
        text_add(out, "\n");
        defects_note(page, out);
        text_add(out, "\n");
    }
    table_delete(table);
    words_write(page, markdown, out);
    others_write(page, markdown, out);
    if (page->with_unshown) {
        unshown_write(markdown, out);
    }
}

/* ---- for programs ------------------------------------------------------------------
 */

static void csv_write(const struct defects_page *page, struct text *out)
{
    static const struct table_column columns[] = {
        {"defect", NULL, NULL, NULL, true},     {"metric", NULL, NULL, NULL, true},
        {"without", NULL, NULL, NULL, false},   {"with", NULL, NULL, NULL, false},
        {"cost", NULL, NULL, NULL, false},      {"cost_low", NULL, NULL, NULL, false},
        {"cost_high", NULL, NULL, NULL, false}, {"p", NULL, NULL, NULL, false},
        {"clear", NULL, NULL, NULL, true},      {"expected", NULL, NULL, NULL, true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        for (unsigned metric = 0;
             row->misfit.kind == ERR_NONE && metric < STUDY_METRIC_COUNT; metric++) {
            const struct study_figure *figure = &row->figures[metric];
            table_put_text(table, row->defect->id);
            table_put_text(table, study_metric_info((enum study_metric)metric)->name);
            table_put_f64(table, figure->without, 3, NULL);
            table_put_f64(table, figure->with, 3, NULL);
            table_put_f64(table, figure->cost.difference, 3, NULL);
            table_put_f64(table, figure->cost.interval.low, 3, NULL);
            table_put_f64(table, figure->cost.interval.high, 3, NULL);
            table_put_f64(table, figure->cost.p, 3, NULL);
            table_put_text(table, study_is_clear(figure) ? "yes" : "no");
            table_put_text(table, study_as_expected(row) ? "yes" : "no");
        }
    }
    table_write(table, TABLE_CSV, out);
    table_delete(table);
}

static struct json *figure_json(const struct study_figure *figure)
{
    struct json *object = json_object();
    json_put_f64(object, "without", figure->without);
    json_put_f64(object, "with", figure->with);
    json_put_f64(object, "cost", figure->cost.difference);
    json_put_f64(object, "cost_low", figure->cost.interval.low);
    json_put_f64(object, "cost_high", figure->cost.interval.high);
    json_put_f64(object, "p", figure->cost.p);
    json_put_bool(object, "clear", study_is_clear(figure));
    return object;
}

static void defect_json(struct json *object, const struct defect *defect)
{
    json_put_str(object, "id", defect->id);
    json_put_str(object, "where", defect->where);
    json_put_str(object, "what", defect->what);
    json_put_str(object, "scenario", defect->scenario);
    json_put_str(object, "with", defect->with);
    json_put_str(object, "without", defect->without);
}

static struct json *row_json(const struct study_row *row, size_t seeds)
{
    struct json *object = json_object();
    struct json *metrics = json_object();
    struct text verdict = {0};
    defect_json(object, row->defect);
    for (unsigned metric = 0; metric < STUDY_METRIC_COUNT; metric++) {
        json_put(metrics, study_metric_info((enum study_metric)metric)->name,
                 figure_json(&row->figures[metric]));
    }
    json_put(object, "metrics", metrics);
    json_put_bool(object, "expected", study_as_expected(row));
    defects_verdict(row, seeds, &verdict);
    json_put_str(object, "verdict", text_str(&verdict));
    text_fini(&verdict);
    return object;
}

static struct json *unshown_json(void)
{
    struct json *array = json_array();
    const struct defect_unshown *unshown = NULL;
    for (size_t i = 0; (unshown = defect_unshown_at(i)) != NULL; i++) {
        struct json *object = json_object();
        json_put_str(object, "id", unshown->id);
        json_put_str(object, "where", unshown->where);
        json_put_str(object, "what", unshown->what);
        json_put_str(object, "why", unshown->why);
        json_push(array, object);
    }
    return array;
}

static void json_finish(struct json *root, struct text *out)
{
    char *bytes = json_print(root, true);
    text_printf(out, "%s\n", bytes);
    mem_free(bytes);
    json_delete(root);
}

static void json_write(const struct defects_page *page, struct text *out)
{
    struct json *root = json_object();
    struct json *defects = json_array();
    struct json *misfits = json_array();
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        if (row->misfit.kind == ERR_NONE) {
            json_push(defects, row_json(row, page->seeds));
            continue;
        }
        struct json *object = json_object();
        json_put_str(object, "id", row->defect->id);
        json_put_str(object, "why", row->misfit.text);
        json_push(misfits, object);
    }
    json_put_u64(root, "seeds", page->seeds);
    json_put(root, "defects", defects);
    json_put(root, "misfits", misfits);
    json_put(root, "not_shown", unshown_json());
    json_finish(root, out);
}

void defects_page_write(const struct defects_page *page, enum table_format format,
                        struct text *out)
{
    if (format == TABLE_CSV) {
        csv_write(page, out);
    } else if (format == TABLE_JSON) {
        json_write(page, out);
    } else {
        text_write(page, format, out);
    }
}

/* ---- the catalog alone -------------------------------------------------------------
 */

enum { LIST_COLUMNS = 7 };

static void put_texts(struct table *table, const char *const cells[LIST_COLUMNS])
{
    for (size_t i = 0; i < LIST_COLUMNS; i++) {
        table_put_text(table, cells[i]);
    }
}

static void list_text(struct text *out)
{
    const struct defect *defect = NULL;
    const struct defect_unshown *unshown = NULL;
    for (size_t i = 0; (defect = defect_at(i)) != NULL; i++) {
        text_printf(out, "%s (%s): %s.\n    in %s; on %s; off %s\n", defect->id,
                    defect->where, defect->what, defect->scenario, defect->with,
                    defect->without);
    }
    text_add(out, "\nShown by no run:\n");
    for (size_t i = 0; (unshown = defect_unshown_at(i)) != NULL; i++) {
        text_printf(out, "%s (%s): %s.\n    %s.\n", unshown->id, unshown->where,
                    unshown->what, unshown->why);
    }
}

void defects_list_write(enum table_format format, struct text *out)
{
    static const struct table_column columns[] = {
        {"id", "defect", NULL, NULL, true},
        {"where", NULL, NULL, NULL, true},
        {"what", NULL, NULL, NULL, true},
        {"scenario", NULL, NULL, NULL, true},
        {"with", "on", NULL, NULL, true},
        {"without", "off", NULL, NULL, true},
        {"why", "why no run shows it", NULL, NULL, true},
    };
    if (format == TABLE_TEXT) {
        list_text(out);
        return;
    }
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    const struct defect *defect = NULL;
    const struct defect_unshown *unshown = NULL;
    for (size_t i = 0; (defect = defect_at(i)) != NULL; i++) {
        const char *const cells[] = {defect->id,
                                     defect->where,
                                     defect->what,
                                     defect->scenario,
                                     defect->with,
                                     defect->without,
                                     ""};
        put_texts(table, cells);
    }
    for (size_t i = 0; (unshown = defect_unshown_at(i)) != NULL; i++) {
        const char *const cells[] = {unshown->id, unshown->where, unshown->what, "", "",
                                     "",          unshown->why};
        put_texts(table, cells);
    }
    table_write(table, format, out);
    table_delete(table);
}
