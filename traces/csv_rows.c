/* SPDX-License-Identifier: Apache-2.0
 *
 * csv_rows.c: CSV traces on top of base/csv.h.
 */
#include "traces/csv_rows.h"

#include "base/check.h"

#include <string.h>

/* Editors of the other world put this in front of a file. */
static const char byte_order_mark[] = "\xef\xbb\xbf";

bool csv_rows_open(struct csv_rows *rows, struct trace_input *input,
                   const char *const *names, size_t name_count, struct err *err)
{
    CHECK(name_count <= CSV_COLUMNS_MAX, "%zu columns", name_count);
    rows->csv = csv_new(input->lines);
    rows->names = names;
    rows->name_count = name_count;
    for (size_t i = 0; i < name_count; i++) {
        rows->column_of[i] = SIZE_MAX;
    }
    const enum lines_result result =
        csv_next(rows->csv, &rows->fields, &rows->column_count, err);
    if (result == LINES_ERROR) {
        return false;
    }
    if (result == LINES_END) {
        return err_set(err, ERR_INPUT, "%s: no header row", lines_path(input->lines));
    }
    for (size_t column = 0; column < rows->column_count; column++) {
        const char *field = rows->fields[column];
        if (column == 0 && strncmp(field, byte_order_mark, 3) == 0) {
            field += 3;
        }
        size_t name = 0;
        while (name < name_count && strcmp(names[name], field) != 0) {
            name++;
        }
        if (name == name_count) {
            input_unknown(input, field, strlen(field));
        } else {
            rows->column_of[name] = column;
        }
    }
    return true;
}

void csv_rows_fini(struct csv_rows *rows)
{
    if (rows->csv != NULL) {
        csv_delete(rows->csv);
    }
}

bool csv_rows_has(const struct csv_rows *rows, size_t name)
{
    return rows->column_of[name] != SIZE_MAX;
}

enum format_result csv_rows_next(struct csv_rows *rows, struct trace_input *input,
                                 struct err *err)
{
    size_t count = 0;
    const enum lines_result result = csv_next(rows->csv, &rows->fields, &count, err);
    if (result == LINES_ERROR) {
        return FORMAT_ERROR;
    }
    if (result == LINES_END) {
        return FORMAT_END;
    }
    if (count != rows->column_count) {
        (void)input_fail(input, err, 1, "",
                         "%zu fields, but the header has %zu (is the row cut short?)",
                         count, rows->column_count);
        return FORMAT_BROKEN;
    }
    return FORMAT_RECORD;
}

struct input_field csv_rows_field(const struct csv_rows *rows, size_t name)
{
    struct input_field field = {.key = rows->names[name], .column = 1};
    if (!csv_rows_has(rows, name)) {
        return field;
    }
    const size_t column = rows->column_of[name];
    field.bytes = rows->fields[column];
    field.byte_count = strlen(field.bytes);
    for (size_t i = 0; i < column; i++) {
        field.column += strlen(rows->fields[i]) + 1; /* quotes are not counted */
    }
    return field;
}
