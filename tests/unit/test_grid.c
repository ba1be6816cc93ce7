/* SPDX-License-Identifier: Apache-2.0
 *
 * test_grid.c: what is read is what was written, and broken files say where.
 */
#include "sim/times/grid.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

static bool load(struct grid *grid, const char *text, struct err *err)
{
    return grid_load(grid, harness_temp_file("g.csv", text, strlen(text)), err);
}

static void rows_and_columns_have_their_keys(void)
{
    struct err err = {0};
    struct grid grid;
    REQUIRE_OK(load(&grid, "n,16,64,all\r\n1,0.5,2,3\r\n8,4,5,6.25\r\n", &err), &err);
    EXPECT_U64(grid.rows, 2);
    EXPECT_U64(grid.columns, 3);
    EXPECT_U64(grid_column(&grid, "all"), 2);
    EXPECT_U64(grid_column(&grid, "none"), 3);
    EXPECT(isnan(grid.column_keys[2]));
    EXPECT_NEAR(grid.column_keys[1], 64.0, 0.0);
    EXPECT_NEAR(grid.row_keys[1], 8.0, 0.0);
    EXPECT_NEAR(grid.cells[1 * 3 + 2], 6.25, 0.0);
    grid_fini(&grid);
}

static void places_round_up_and_then_grow_in_proportion(void)
{
    static const double keys[] = {1.0, 8.0, 64.0};
    EXPECT_U64(grid_place(keys, 3, 0.0).index, 0);
    EXPECT_U64(grid_place(keys, 3, 1.0).index, 0);
    EXPECT_U64(grid_place(keys, 3, 1.5).index, 1);
    EXPECT_U64(grid_place(keys, 3, 8.0).index, 1);
    EXPECT_U64(grid_place(keys, 3, 9.0).index, 2);
    EXPECT_NEAR(grid_place(keys, 3, 64.0).times, 1.0, 0.0);
    EXPECT_U64(grid_place(keys, 3, 96.0).index, 2);
    EXPECT_NEAR(grid_place(keys, 3, 96.0).times, 1.5, 0.0);
}

static void broken_files_name_the_line(void)
{
    static const struct {
        const char *text;
        const char *part;
    } broken[] = {
        {"", "holds no rows"},
        {"n,16\n", "holds no rows"},
        {"n\n1\n", "g.csv:1: a row key"},
        {"n,64,16\n1,2,3\n", "g.csv:1: the columns' keys must ascend"},
        {"n,16\n1,2\n2\n", "g.csv:3: as many fields"},
        {"n,16\n1,2\n1,3\n", "g.csv:3: the rows' keys"},
        {"n,16\nx,2\n", "g.csv:2: the rows' keys"},
        {"n,16\n1,-2\n", "g.csv:2: a time"},
        {"n,16\n1,nan\n", "g.csv:2: a time"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct err err = {0};
        struct grid grid;
        harness_note("case %zu", i);
        EXPECT_FAILS(load(&grid, broken[i].text, &err), &err, broken[i].part);
    }
}

HARNESS_MAIN("grid", TEST(rows_and_columns_have_their_keys),
             TEST(places_round_up_and_then_grow_in_proportion),
             TEST(broken_files_name_the_line))
