/* SPDX-License-Identifier: Apache-2.0
 *
 * table.h: rows and columns, written as aligned text, CSV, JSON, Markdown or HTML.
 *
 * Cells keep both the exact value (CSV, JSON) and the shown text (table, md, HTML).
 */
#ifndef STACKSIM_REPORTS_TABLE_H
#define STACKSIM_REPORTS_TABLE_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

#define TABLE_FORMATS(X)                                                               \
    X(TEXT, "table", "aligned columns for a terminal")                                 \
    X(CSV, "csv", "comma-separated, exact values, RFC 4180")                           \
    X(JSON, "json", "array of objects, exact values")                                  \
    X(MD, "md", "Markdown table")                                                      \
    X(HTML, "html", "a table element, sortable by the page's script")

enum table_format {
#define X(id, name, help) TABLE_##id,
    TABLE_FORMATS(X)
#undef X
};

struct table;

struct table_column {
    const char *name;    /* machine name with unit: "ttft_ms_p99" */
    const char *heading; /* shown: "TTFT p99"; NULL = name */
    const char *unit;    /* shown in the heading: "ms"; NULL or "" = none */
    const char *help;    /* tooltip in HTML; may be NULL */
    bool is_text;        /* left aligned */
};

/* Copies the strings. */
struct table *table_new(const struct table_column *columns, size_t column_count);
void table_delete(struct table *table);

/* Cells fill rows from left to right; a full row begins the next. */
void table_put_text(struct table *table, const char *text);
void table_put_u64(struct table *table, uint64_t value);
/* shown: text for people, or NULL: value with `decimals`. NaN = unknown. */
void table_put_f64(struct table *table, double value, unsigned decimals,
                   const char *shown);
/* Marks the cell last put (best of its column): "*" in text, bold in md and HTML. */
void table_mark(struct table *table);
/* Takes all marks away. */
void table_unmark(struct table *table);

size_t table_rows(const struct table *table);
void table_write(const struct table *table, enum table_format format, struct text *out);

/* "table", "csv", "json", "md" (html is for pages, not offered to users). */
NODISCARD bool table_format_parse(const char *name, enum table_format *format,
                                  struct err *err);

#endif
