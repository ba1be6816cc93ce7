/* SPDX-License-Identifier: Apache-2.0
 *
 * regress_print.c: the same rows for a terminal, a pull request and a CI server.
 */
#include "base/mem.h"
#include "base/nearest.h"
#include "reports/html.h"
#include "reports/regress.h"
#include "reports/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES = 400 };

static const char *const verdicts[] = {
    [REGRESS_SAME] = "same",   [REGRESS_BETTER] = "better",
    [REGRESS_WORSE] = "WORSE", [REGRESS_MISSING] = "MISSING",
    [REGRESS_NEW] = "new",
};

bool regress_format_parse(const char *name, enum regress_format *format,
                          struct err *err)
{
    static const char *const names[] = {
#define X(id, text, help) text,
        REGRESS_FORMATS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *format = (enum regress_format)i;
            return true;
        }
    }
    const char *near = nearest_word(name, names, sizeof names / sizeof names[0]);
    return err_set(err, ERR_USAGE,
                   "--format: '%s' is none of table, md, json, junit, "
                   "csv%s%s%s",
                   name, near != NULL ? "; did you mean '" : "",
                   near != NULL ? near : "", near != NULL ? "'?" : "");
}

static const char *metric_name(const struct regress_row *row)
{
    return row->metric == METRIC_COUNT ? "" : metric_info(row->metric)->name;
}

static void put_value(struct table *table, const struct regress_row *row, double value)
{
    char shown[SHOWN_BYTES] = "-";
    if (row->metric != METRIC_COUNT) {
        metric_format(row->metric, value, shown, sizeof shown);
    } else {
        value = (double)NAN;
    }
    table_put_f64(table, value, 6, shown);
}

static void put_change(struct table *table, const struct regress_row *row)
{
    char shown[SHOWN_BYTES] = "-";
    if (row->metric != METRIC_COUNT && !isnan(row->change_ratio)) {
        snprintf(shown, sizeof shown, "%+.2f %%", row->change_ratio * 100);
    }
    table_put_f64(table, row->metric == METRIC_COUNT ? (double)NAN : row->change_ratio,
                  6, shown);
}

static void put_p(struct table *table, double p)
{
    char shown[SHOWN_BYTES] = "-";
    if (p < 1e-4) {
        snprintf(shown, sizeof shown, "<0.0001");
    } else if (!isnan(p)) {
        snprintf(shown, sizeof shown, "%.4f", p);
    }
    table_put_f64(table, p, 4, shown);
}

/* all: also what stayed the same. */
static struct table *rows_table(const struct regress_result *result, bool all)
{
    static const struct table_column columns[] = {
        {"verdict", NULL, NULL, NULL, true},
        {"scenario", NULL, NULL, NULL, true},
        {"run", NULL, NULL, NULL, true},
        {"metric", NULL, NULL, NULL, true},
        {"seeds", NULL, NULL, "that both sides have", false},
        {"baseline", NULL, NULL, NULL, false},
        {"candidate", NULL, NULL, NULL, false},
        {"change", NULL, NULL, "candidate / baseline - 1", false},
        {"p", NULL, NULL, "of no difference, over seeds", false},
        {"p_adjusted", "adjusted", NULL, "for the number of figures", false},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < result->count; i++) {
        const struct regress_row *row = &result->rows[i];
        if (!all && row->verdict == REGRESS_SAME) {
            continue;
        }
        table_put_text(table, verdicts[row->verdict]);
        table_put_text(table, row->scenario);
        table_put_text(table, row->arm);
        table_put_text(table, metric_name(row));
        table_put_u64(table, row->seeds);
        put_value(table, row, row->baseline);
        put_value(table, row, row->candidate);
        put_change(table, row);
        put_p(table, row->p);
        put_p(table, row->p_adjusted);
    }
    return table;
}

static void add_sentence(const struct regress_result *result, struct text *out)
{
    const size_t *counts = result->counts;
    if (regress_failed(result)) {
        text_printf(out, "REGRESSION: %zu worse, %zu missing", counts[REGRESS_WORSE],
                    counts[REGRESS_MISSING]);
    } else {
        text_add(out, "No regression");
    }
    text_printf(out, "; %zu better, %zu unchanged over %zu runs%s.\n",
                counts[REGRESS_BETTER], counts[REGRESS_SAME], result->arms,
                counts[REGRESS_NEW] > 0 ? "; some runs are new" : "");
}

static void print_people(const struct regress_result *result, enum table_format format,
                         struct text *out)
{
    struct table *table = rows_table(result, false);
    if (format == TABLE_MD) {
        text_add(out, regress_failed(result) ? "### Regression\n\n"
                                             : "### No regression\n\n");
        add_sentence(result, out);
        text_add(out, table_rows(table) > 0 ? "\n" : "");
    }
    if (table_rows(table) > 0) {
        table_write(table, format, out);
    }
    if (format == TABLE_TEXT) {
        text_add(out, table_rows(table) > 0 ? "\n" : "");
        add_sentence(result, out);
    }
    table_delete(table);
}

static void print_machine(const struct regress_result *result, enum table_format format,
                          struct text *out)
{
    struct table *table = rows_table(result, true);
    table_write(table, format, out);
    table_delete(table);
}

/* ---- JUnit -------------------------------------------------------------------------
 */

static void add_case(const struct regress_row *row, struct text *out)
{
    text_add(out, "  <testcase classname=\"");
    html_add(out, row->scenario);
    text_add(out, ".");
    html_add(out, row->arm);
    text_printf(out, "\" name=\"%s\"",
                row->metric == METRIC_COUNT ? "run" : metric_name(row));
    if (row->verdict == REGRESS_WORSE) {
        text_printf(out,
                    ">\n    <failure message=\"%s went from %.6g to %.6g (%+.2f %%), "
                    "%.6g is allowed\"/>\n  </testcase>\n",
                    metric_name(row), row->baseline, row->candidate,
                    row->change_ratio * 100, row->allowed);
    } else if (row->verdict == REGRESS_MISSING) {
        text_add(out, ">\n    <failure message=\"the candidate has no such run or "
                      "figure\"/>\n  </testcase>\n");
    } else {
        text_add(out, "/>\n");
    }
}

static void print_junit(const struct regress_result *result, struct text *out)
{
    text_printf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"stacksim regress\" tests=\"%zu\" failures=\"%zu\">\n",
        result->count, result->counts[REGRESS_WORSE] + result->counts[REGRESS_MISSING]);
    for (size_t i = 0; i < result->count; i++) {
        add_case(&result->rows[i], out);
    }
    text_add(out, "</testsuite>\n");
}

void regress_print(const struct regress_result *result, enum regress_format format,
                   struct text *out)
{
    switch (format) {
    case REGRESS_FORMAT_TABLE:
        print_people(result, TABLE_TEXT, out);
        break;
    case REGRESS_FORMAT_MD:
        print_people(result, TABLE_MD, out);
        break;
    case REGRESS_FORMAT_JSON:
        print_machine(result, TABLE_JSON, out);
        break;
    case REGRESS_FORMAT_CSV:
        print_machine(result, TABLE_CSV, out);
        break;
    case REGRESS_FORMAT_JUNIT:
        print_junit(result, out);
        break;
    }
}
