/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c: cells are kept as text twice, shown and exact; writing is layout alone.
 */
#include "reports/table.h"

#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "reports/html.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = 1 << 26, NUMBER_BYTES = 40 };

enum cell_kind { CELL_TEXT, CELL_U64, CELL_F64 };

struct cell {
    char *shown;
    enum cell_kind kind;
    bool marked;
    union {
        uint64_t whole;
        double number; /* NaN = unknown */
    } value;
};

struct column {
    char *name;
    char *heading;
    char *unit;
    char *help;
    bool is_text;
};

struct table {
    struct column *columns;
    size_t column_count;
    struct cell *cells;
    size_t cell_count;
    size_t cell_capacity;
};

struct table *table_new(const struct table_column *columns, size_t column_count)
{
    CHECK(column_count > 0, "no columns");
    struct table *const table = mem_alloc(1, sizeof *table);
    table->columns = mem_alloc(column_count, sizeof *table->columns);
    table->column_count = column_count;
    for (size_t i = 0; i < column_count; i++) {
        const struct table_column *const from = &columns[i];
        table->columns[i] = (struct column){
            .name = mem_strdup(from->name),
            .heading = mem_strdup(from->heading == NULL ? from->name : from->heading),
            .unit = mem_strdup(from->unit == NULL ? "" : from->unit),
            .help = mem_strdup(from->help == NULL ? "" : from->help),
            .is_text = from->is_text,
        };
    }
    return table;
}

void table_delete(struct table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->column_count; i++) {
        mem_free(table->columns[i].name);
        mem_free(table->columns[i].heading);
        mem_free(table->columns[i].unit);
        mem_free(table->columns[i].help);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        mem_free(table->cells[i].shown);
    }
    mem_free(table->columns);
    mem_free(table->cells);
    mem_free(table);
}

static struct cell *cell_new(struct table *table, enum cell_kind kind,
                             const char *shown)
{
    void *cells = table->cells;
    const bool fits = mem_grow(&cells, &table->cell_capacity, table->cell_count + 1,
                               sizeof *table->cells, CELLS_MAX);
    CHECK(fits, "a table of more than %d cells", CELLS_MAX);
    table->cells = cells;
    struct cell *const cell = &table->cells[table->cell_count++];
    *cell = (struct cell){.shown = mem_strdup(shown), .kind = kind};
    return cell;
}

void table_put_text(struct table *table, const char *text)
{
    (void)cell_new(table, CELL_TEXT, text);
}

void table_put_u64(struct table *table, uint64_t value)
{
    char shown[NUMBER_BYTES];
    (void)snprintf(shown, sizeof shown, "%" PRIu64, value);
    cell_new(table, CELL_U64, shown)->value.whole = value;
}

void table_put_f64(struct table *table, double value, unsigned decimals,
                   const char *shown)
{
    char text[NUMBER_BYTES * 10]; /* room for the largest double written out */
    if (shown == NULL && isnan(value)) {
        shown = "-";
    } else if (shown == NULL) {
        (void)snprintf(text, sizeof text, "%.*f", (int)decimals, value);
        shown = text;
    }
    cell_new(table, CELL_F64, shown)->value.number = value;
}

void table_mark(struct table *table)
{
    CHECK(table->cell_count > 0, "an empty table");
    table->cells[table->cell_count - 1].marked = true;
}

void table_unmark(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) {
        table->cells[i].marked = false;
    }
}

size_t table_rows(const struct table *table)
{
    return table->cell_count / table->column_count;
}

static const struct cell *cell_at(const struct table *table, size_t row, size_t column)
{
    return &table->cells[row * table->column_count + column];
}

/* "TTFT p99 (ms)" */
static void add_heading(struct text *out, const struct column *column)
{
    text_add(out, column->heading);
    if (column->unit[0] != '\0') {
        text_printf(out, " (%s)", column->unit);
    }
}

/* Characters of UTF-8, counting one column each. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (const char *at = text; *at != '\0'; at++) {
        width += ((unsigned char)*at & 0xc0) != 0x80;
    }
    return width;
}

static void add_blanks(struct text *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_add_bytes(out, " ", 1);
    }
}

static void add_padded(struct text *out, const char *text, size_t width, bool is_left)
{
    const size_t blanks = width - text_width(text);
    add_blanks(out, is_left ? 0 : blanks);
    text_add(out, text);
    add_blanks(out, is_left ? blanks : 0);
}

static bool has_marks(const struct table *table, size_t column)
{
    for (size_t row = 0; row < table_rows(table); row++) {
        if (cell_at(table, row, column)->marked) {
            return true;
        }
    }
    return false;
}

static size_t column_width(const struct table *table, size_t column,
                           const char *heading)
{
    size_t width = text_width(heading);
    for (size_t row = 0; row < table_rows(table); row++) {
        const size_t here = text_width(cell_at(table, row, column)->shown);
        width = here > width ? here : width;
    }
    return width;
}

/* One column becomes an array of lines, each as wide as the others; the lines of all
 * columns are then joined. */
static void add_column_lines(const struct table *table, size_t at, struct text *lines)
{
    const struct column *const column = &table->columns[at];
    struct text heading = {0};
    add_heading(&heading, column);
    const size_t width = column_width(table, at, text_str(&heading));
    const char *const blank = has_marks(table, at) ? " " : "";
    const char *const gap = at == 0 ? "" : "  ";
    text_add(&lines[0], gap);
    add_padded(&lines[0], text_str(&heading), width, column->is_text);
    text_add(&lines[0], blank);
    text_fini(&heading);
    text_add(&lines[1], gap);
    for (size_t i = 0; i < width; i++) {
        text_add_bytes(&lines[1], "-", 1);
    }
    text_add(&lines[1], blank);
    for (size_t row = 0; row < table_rows(table); row++) {
        const struct cell *const cell = cell_at(table, row, at);
        text_add(&lines[row + 2], gap);
        add_padded(&lines[row + 2], cell->shown, width, column->is_text);
        text_add(&lines[row + 2], cell->marked ? "*" : blank);
    }
}

static void write_text(const struct table *table, struct text *out)
{
    const size_t line_count = table_rows(table) + 2;
    struct text *const lines = mem_alloc(line_count, sizeof *lines);
    for (size_t column = 0; column < table->column_count; column++) {
        add_column_lines(table, column, lines);
    }
    for (size_t i = 0; i < line_count; i++) {
        size_t length = lines[i].length;
        while (length > 0 && lines[i].bytes[length - 1] == ' ') {
            length--;
        }
        text_add_bytes(out, text_str(&lines[i]), length);
        text_add(out, "\n");
        text_fini(&lines[i]);
    }
    mem_free(lines);
}

/* The shortest of 15 and 17 digits that reads back as the same number. */
static void number_exact(double value, char out[static NUMBER_BYTES])
{
    (void)snprintf(out, NUMBER_BYTES, "%.15g", value);
    if (strtod(out, NULL) != value) {
        (void)snprintf(out, NUMBER_BYTES, "%.17g", value);
    }
}

static void add_csv_field(struct text *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        text_add(out, text);
        return;
    }
    text_add(out, "\"");
    for (const char *at = text; *at != '\0'; at++) {
        text_add_bytes(out, "\"\"", *at == '"' ? 2 : 0);
        text_add_bytes(out, at, *at == '"' ? 0 : 1);
    }
    text_add(out, "\"");
}

static void add_csv_cell(struct text *out, const struct cell *cell)
{
    char number[NUMBER_BYTES];
    if (cell->kind == CELL_TEXT) {
        add_csv_field(out, cell->shown);
    } else if (cell->kind == CELL_U64) {
        text_printf(out, "%" PRIu64, cell->value.whole);
    } else if (!isnan(cell->value.number)) {
        number_exact(cell->value.number, number);
        text_add(out, number);
    }
}

static void write_csv(const struct table *table, struct text *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        text_add(out, i == 0 ? "" : ",");
        add_csv_field(out, table->columns[i].name);
    }
    text_add(out, "\n");
    for (size_t row = 0; row < table_rows(table); row++) {
        for (size_t i = 0; i < table->column_count; i++) {
            text_add(out, i == 0 ? "" : ",");
            add_csv_cell(out, cell_at(table, row, i));
        }
        text_add(out, "\n");
    }
}

static void write_json(const struct table *table, struct text *out)
{
    struct json *const array = json_array();
    for (size_t row = 0; row < table_rows(table); row++) {
        struct json *const object = json_object();
        for (size_t i = 0; i < table->column_count; i++) {
            const struct cell *const cell = cell_at(table, row, i);
            const char *const key = table->columns[i].name;
            if (cell->kind == CELL_TEXT) {
                json_put_str(object, key, cell->shown);
            } else if (cell->kind == CELL_U64) {
                json_put_u64(object, key, cell->value.whole);
            } else {
                json_put_f64(object, key, cell->value.number);
            }
        }
        json_push(array, object);
    }
    char *const text = json_print(array, true);
    text_add(out, text);
    text_add(out, "\n");
    mem_free(text);
    json_delete(array);
}

static void add_md_text(struct text *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("|*_<`\\", *at) != NULL) {
            text_add(out, "\\");
        }
        text_add_bytes(out, *at == '\n' ? " " : at, 1);
    }
}

static void write_md(const struct table *table, struct text *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        struct text heading = {0};
        add_heading(&heading, &table->columns[i]);
        text_add(out, "| ");
        add_md_text(out, text_str(&heading));
        text_add(out, " ");
        text_fini(&heading);
    }
    text_add(out, "|\n");
    for (size_t i = 0; i < table->column_count; i++) {
        text_add(out, table->columns[i].is_text ? "|---" : "|---:");
    }
    text_add(out, "|\n");
    for (size_t row = 0; row < table_rows(table); row++) {
        for (size_t i = 0; i < table->column_count; i++) {
            const struct cell *const cell = cell_at(table, row, i);
            text_add(out, cell->marked ? "| **" : "| ");
            add_md_text(out, cell->shown);
            text_add(out, cell->marked ? "** " : " ");
        }
        text_add(out, "|\n");
    }
}

static void add_html_heading(struct text *out, const struct column *column)
{
    text_printf(out, "<th scope=\"col\" class=\"%s\" aria-sort=\"none\">",
                column->is_text ? "text" : "number");
    text_add(out, "<button type=\"button\" title=\"");
    html_add(out, column->help);
    text_add(out, "\">");
    html_add(out, column->heading);
    /* Also where there is no unit: the script's arrows stand there. */
    text_add(out, " <span class=\"unit\">");
    html_add(out, column->unit);
    text_add(out, "</span></button></th>");
}

/* "291440.9 ± 12.0" with a thin space after each three digits before the point, from
 * five digits on: people read tables by eye. */
static void add_grouped(struct text *out, const char *shown)
{
    enum { GROUP = 3, DIGITS_MIN = 5 };
    const char *at = shown;
    while (*at != '\0') {
        const size_t digits = strspn(at, "0123456789");
        const bool is_fraction = at != shown && at[-1] == '.';
        for (size_t i = 0; i < digits; i++) {
            const bool is_border = i > 0 && (digits - i) % GROUP == 0;
            text_add(out,
                     is_border && !is_fraction && digits >= DIGITS_MIN ? "\u202f" : "");
            text_add_bytes(out, &at[i], 1);
        }
        at += digits;
        text_add_bytes(out, at, *at == '\0' ? 0 : 1);
        at += *at == '\0' ? 0 : 1;
    }
}

/* Long names may break behind an underscore. */
static void add_breakable(struct text *out, const char *shown)
{
    struct text part = {0};
    for (const char *at = shown; *at != '\0'; at++) {
        text_add_bytes(&part, at, 1);
        if (*at == '_' || at[1] == '\0') {
            html_add(out, text_str(&part));
            text_add(out, *at == '_' ? "<wbr>" : "");
            text_fini(&part);
        }
    }
}

static void add_html_cell(struct text *out, const struct cell *cell, bool is_first)
{
    char number[NUMBER_BYTES] = "";
    if (cell->kind == CELL_U64) {
        (void)snprintf(number, sizeof number, "%" PRIu64, cell->value.whole);
    } else if (cell->kind == CELL_F64 && !isnan(cell->value.number)) {
        number_exact(cell->value.number, number);
    }
    const char *const tag = is_first ? "th" : "td";
    text_printf(out, "<%s%s class=\"%s%s\" data-value=\"", tag,
                is_first ? " scope=\"row\"" : "",
                cell->kind == CELL_TEXT ? "text" : "number",
                cell->marked ? " best" : "");
    html_add(out, cell->kind == CELL_TEXT ? cell->shown : number);
    text_add(out, "\">");
    if (cell->kind == CELL_TEXT) {
        add_breakable(out, cell->shown);
    } else {
        struct text grouped = {0};
        add_grouped(&grouped, cell->shown);
        html_add(out, text_str(&grouped));
        text_fini(&grouped);
    }
    text_printf(out, "</%s>", tag);
}

static void write_html(const struct table *table, struct text *out)
{
    text_add(out, "<table class=\"sortable\">\n<thead><tr>");
    for (size_t i = 0; i < table->column_count; i++) {
        add_html_heading(out, &table->columns[i]);
    }
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t row = 0; row < table_rows(table); row++) {
        text_add(out, "<tr>");
        for (size_t i = 0; i < table->column_count; i++) {
            add_html_cell(out, cell_at(table, row, i), i == 0);
        }
        text_add(out, "</tr>\n");
    }
    text_add(out, "</tbody>\n</table>\n");
}

void table_write(const struct table *table, enum table_format format, struct text *out)
{
    CHECK(table->cell_count % table->column_count == 0, "the last row is short");
    switch (format) {
    case TABLE_TEXT:
        write_text(table, out);
        break;
    case TABLE_CSV:
        write_csv(table, out);
        break;
    case TABLE_JSON:
        write_json(table, out);
        break;
    case TABLE_MD:
        write_md(table, out);
        break;
    case TABLE_HTML:
        write_html(table, out);
        break;
    }
}

bool table_format_parse(const char *name, enum table_format *format, struct err *err)
{
    static const char *const names[] = {
#define X(id, text, help) text,
        TABLE_FORMATS(X)
#undef X
    };
    for (size_t i = 0; i < TABLE_HTML; i++) {
        if (strcmp(names[i], name) == 0) {
            *format = (enum table_format)i;
            return true;
        }
    }
    return err_set(err, ERR_USAGE,
                   "--format=%s is not known; use table, csv, json or md", name);
}
