/* SPDX-License-Identifier: Apache-2.0
 *
 * grid.h: a table of times over two keys, read from a CSV file.
 *
 * The first line names the columns, the first field of each further line is the row's
 * key; keys ascend. Where a column is a number (a chunk length, a context), so is its
 * key. Plain, gzip or zstd.
 */
#ifndef STACKSIM_SIM_TIMES_GRID_H
#define STACKSIM_SIM_TIMES_GRID_H

#include "base/err.h"

#include <stddef.h>

struct grid {
    size_t rows;
    size_t columns;
    char **names;        /* of columns */
    double *column_keys; /* NaN where the name is no number */
    double *row_keys;
    double *cells; /* row by row */
};

/* Fails with file:line on keys that do not ascend, on what is no number, on times below
 * 0. A grid has at least one row and one column. */
NODISCARD bool grid_load(struct grid *grid, const char *path, struct err *err);
void grid_fini(struct grid *grid);

/* Index of the named column; grid->columns when there is none. */
size_t grid_column(const struct grid *grid, const char *name);

/* A place on an axis: the next key that is not below x. Beyond the last key: that one,
 * and how many times longer x is (1 within), as times there grow in proportion. */
struct grid_place {
    size_t index;
    double times;
};
struct grid_place grid_place(const double *keys, size_t count, double x);

#endif
