/* SPDX-License-Identifier: Apache-2.0
 *
 * grid.c: rows are kept as they come; nothing is interpolated here.
 */
#include "sim/times/grid.h"

#include "base/csv.h"
#include "base/mem.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GRID_ROWS_MAX = 1 << 20, GRID_COLUMNS_MAX = 1 << 16 };
enum { GRID_LINE_BYTES_MAX = 1 << 22 };
static const double cell_max = 1e10;

static bool number(const char *text, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

static bool grid_fail(const struct lines *lines, struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "%s:%llu: %s", lines_path(lines),
                   (unsigned long long)lines_number(lines), what);
}

static bool header_read(struct grid *grid, const char *const *fields, size_t count,
                        const struct lines *lines, struct err *err)
{
    if (count < 2 || count > GRID_COLUMNS_MAX) {
        return grid_fail(lines, err, "a row key and 1 to 65535 columns are due");
    }
    grid->names = mem_alloc(count - 1, sizeof *grid->names);
    grid->column_keys = mem_alloc(count - 1, sizeof *grid->column_keys);
    for (size_t i = 1; i < count; i++) {
        double *key = &grid->column_keys[grid->columns];
        grid->names[grid->columns] = mem_strdup(fields[i]);
        if (!number(fields[i], key)) {
            *key = (double)NAN;
        }
        grid->columns++;
        if (i > 1 && key[0] <= key[-1]) {
            return grid_fail(lines, err, "the columns' keys must ascend");
        }
    }
    return true;
}

struct reading {
    struct grid *grid;
    size_t row_capacity;
    size_t cell_capacity;
};

static bool row_read(struct reading *reading, const char *const *fields, size_t count,
                     const struct lines *lines, struct err *err)
{
    struct grid *grid = reading->grid;
    if (count != grid->columns + 1) {
        return grid_fail(lines, err, "as many fields as in the first line are due");
    }
    void *keys = grid->row_keys;
    void *cells = grid->cells;
    if (!mem_grow(&keys, &reading->row_capacity, grid->rows + 1, sizeof(double),
                  GRID_ROWS_MAX)) {
        return grid_fail(lines, err, "more than 1048576 rows");
    }
    grid->row_keys = keys;
    (void)mem_grow(&cells, &reading->cell_capacity, (grid->rows + 1) * grid->columns,
                   sizeof(double), (size_t)GRID_ROWS_MAX * GRID_COLUMNS_MAX);
    grid->cells = cells;
    if (!number(fields[0], &grid->row_keys[grid->rows]) ||
        (grid->rows > 0 &&
         grid->row_keys[grid->rows] <= grid->row_keys[grid->rows - 1])) {
        return grid_fail(lines, err, "the rows' keys must be numbers and ascend");
    }
    for (size_t i = 0; i < grid->columns; i++) {
        double *cell = &grid->cells[grid->rows * grid->columns + i];
        if (!number(fields[i + 1], cell) || *cell < 0.0 || *cell > cell_max) {
            return grid_fail(lines, err, "a time must be a number from 0 to 1e10");
        }
    }
    grid->rows++;
    return true;
}

static bool rows_read(struct grid *grid, struct lines *lines, struct csv *csv,
                      struct err *err)
{
    struct reading reading = {.grid = grid};
    const char *const *fields = NULL;
    size_t count = 0;
    enum lines_result result = csv_next(csv, &fields, &count, err);
    if (result == LINES_LINE) {
        if (!header_read(grid, fields, count, lines, err)) {
            return false;
        }
        result = csv_next(csv, &fields, &count, err);
    }
    while (result == LINES_LINE) {
        if (!row_read(&reading, fields, count, lines, err)) {
            return false;
        }
        result = csv_next(csv, &fields, &count, err);
    }
    if (result == LINES_ERROR) {
        return false;
    }
    return grid->rows > 0 || err_set(err, ERR_INPUT,
                                     "%s: holds no rows; a line of "
                                     "column names and rows of times are due",
                                     lines_path(lines));
}

bool grid_load(struct grid *grid, const char *path, struct err *err)
{
    struct lines *lines = NULL;
    *grid = (struct grid){0};
    if (!lines_open(&lines, path, GRID_LINE_BYTES_MAX, err)) {
        return false;
    }
    struct csv *csv = csv_new(lines);
    const bool ok = rows_read(grid, lines, csv, err);
    csv_delete(csv);
    lines_close(lines);
    if (!ok) {
        grid_fini(grid);
    }
    return ok;
}

void grid_fini(struct grid *grid)
{
    for (size_t i = 0; i < grid->columns; i++) {
        mem_free(grid->names[i]);
    }
    mem_free(grid->names);
    mem_free(grid->column_keys);
    mem_free(grid->row_keys);
    mem_free(grid->cells);
    *grid = (struct grid){0};
}

size_t grid_column(const struct grid *grid, const char *name)
{
    size_t i = 0;
    while (i < grid->columns && strcmp(grid->names[i], name) != 0) {
        i++;
    }
    return i;
}

struct grid_place grid_place(const double *keys, size_t count, double x)
{
    size_t low = 0;
    size_t high = count - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (keys[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const double last = keys[low];
    return (struct grid_place){low, x > last && last > 0.0 ? x / last : 1.0};
}
