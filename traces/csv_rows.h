/* SPDX-License-Identifier: Apache-2.0
 *
 * csv_rows.h: CSV traces: a header row, then rows; columns are found by name.
 */
#ifndef STACKSIM_TRACES_CSV_ROWS_H
#define STACKSIM_TRACES_CSV_ROWS_H

#include "base/csv.h"
#include "traces/format.h"

enum { CSV_COLUMNS_MAX = 32 };

struct csv_rows {
    struct csv *csv;
    const char *const *names; /* that the format reads */
    size_t name_count;
    size_t column_of[CSV_COLUMNS_MAX]; /* name -> index in the row, or SIZE_MAX */
    size_t column_count;
    const char *const *fields; /* of the current row */
};

/* Reads the header row. names are borrowed for good. */
NODISCARD bool csv_rows_open(struct csv_rows *rows, struct trace_input *input,
                             const char *const *names, size_t name_count,
                             struct err *err);
void csv_rows_fini(struct csv_rows *rows);

bool csv_rows_has(const struct csv_rows *rows, size_t name);
/* FORMAT_RECORD: the fields are those of the next row, as many as the header has. */
enum format_result csv_rows_next(struct csv_rows *rows, struct trace_input *input,
                                 struct err *err);
/* Absent column: bytes == NULL. */
struct input_field csv_rows_field(const struct csv_rows *rows, size_t name);

#endif
