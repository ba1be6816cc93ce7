/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a table over two keys or an error with a text; in what was accepted
 * keys ascend and every place is a row of it.
 */
#include "base/check.h"
#include "sim/times/grid.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static void check_places(const struct grid *grid)
{
    for (size_t i = 0; i < grid->rows; i++) {
        const double key = grid->row_keys[i];
        CHECK(i == 0 || key > grid->row_keys[i - 1], "row %zu", i);
        const struct grid_place at = grid_place(grid->row_keys, grid->rows, key);
        CHECK(at.index == i && !(at.times > 1.0), "key %g is at %zu", key, at.index);
    }
    const struct grid_place far = grid_place(grid->row_keys, grid->rows, 1e300);
    CHECK(far.index == grid->rows - 1 && far.times >= 1.0, "beyond the last row");
    CHECK(grid_column(grid, grid->names[0]) == 0, "the first column has no name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grid grid;
    struct err err = {ERR_NONE, ""};
    if (!grid_load(&grid, fuzz_file(data, size), &err)) {
        CHECK(err.text[0] != '\0', "an error without a text");
        return 0;
    }
    check_places(&grid);
    for (size_t i = 0; i < grid.rows * grid.columns; i++) {
        CHECK(isfinite(grid.cells[i]) && grid.cells[i] >= 0.0, "cell %zu", i);
    }
    grid_fini(&grid);
    return 0;
}
