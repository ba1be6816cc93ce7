/* SPDX-License-Identifier: Apache-2.0
 *
 * Which runs are one arm under several seeds.
 */
#include "base/mem.h"
#include "reports/arm.h"
#include "tests/harness.h"

#include <string.h>

static void expect_arm(const char *name, uint64_t seed, const char *expected)
{
    char arm[ARM_NAME_MAX];
    const struct run_info info = {.name = name, .seed = seed};
    arm_name(&info, arm);
    harness_note("%s", name);
    EXPECT_STR(arm, expected);
}

static void names_lose_their_own_seed_alone(void)
{
    expect_arm("session@7", 7, "session");
    expect_arm("session@7", 17, "session@7");
    expect_arm("session@17", 7, "session@17");
    expect_arm("@7", 7, "@7");
    expect_arm("chwbl:load_ratio=1.5, rate 2, seed 3", 3,
               "chwbl:load_ratio=1.5, rate 2");
    expect_arm("seed 3, rate 2", 3, "rate 2");
    expect_arm("a, seed 3, rate 2", 3, "a, rate 2");
    expect_arm("a, seed 33, rate 2", 3, "a, seed 33, rate 2");
    expect_arm("plain", 1, "plain");
    expect_arm("seed 3", 3, "all");
}

struct sample {
    const char *name;
    uint64_t seed;
    const char *scenario;
};

/* Makes the grid of `count` runs; the caller frees it and the runs. */
static bool make(struct arm_grid *grid, struct run_record **runs,
                 const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct run_info info = {
            .name = samples[i].name,
            .seed = samples[i].seed,
            .scenario_name = samples[i].scenario == NULL ? "s" : samples[i].scenario,
        };
        runs[i] = run_record_new(&info);
    }
    return arm_grid_make(grid, (const struct run_record *const *)runs, count);
}

static void drop(struct arm_grid *grid, struct run_record **runs, size_t count)
{
    arm_grid_fini(grid);
    for (size_t i = 0; i < count; i++) {
        run_record_delete(runs[i]);
    }
}

/* Seed 3 is b's alone, b@2 is there twice: the later one counts. */
static void arms_keep_the_seeds_that_all_have(void)
{
    static const struct sample samples[] = {
        {"a@1", 1, NULL}, {"b@1", 1, NULL}, {"b@2", 2, NULL},
        {"b@3", 3, NULL}, {"a@2", 2, NULL}, {"b@2", 2, NULL},
    };
    struct run_record *runs[6];
    struct arm_grid grid;
    REQUIRE(make(&grid, runs, samples, 6));
    EXPECT_U64(grid.arms, 2);
    EXPECT_U64(grid.seeds, 2);
    EXPECT_U64(grid.left_out, 2);
    EXPECT_STR(grid.names[0], "a");
    EXPECT_STR(grid.names[1], "b");
    static const size_t expected[] = {0, 4, 1, 5};
    EXPECT_BYTES(grid.at, expected, sizeof expected);
    drop(&grid, runs, 6);
}

static void what_is_no_grid_is_called_so(void)
{
    struct run_record *runs[4];
    struct arm_grid grid;
    static const struct sample single[] = {{"a", 1, NULL}, {"b", 1, NULL}};
    EXPECT(!make(&grid, runs, single, 2));
    drop(&grid, runs, 2);
    static const struct sample apart[] = {
        {"a@1", 1, NULL}, {"a@2", 2, NULL}, {"b@1", 1, NULL}, {"b@3", 3, NULL}};
    EXPECT(!make(&grid, runs, apart, 4));
    drop(&grid, runs, 4);
    static const struct sample scenarios[] = {{"a@1", 1, "s"}, {"a@2", 2, "t"}};
    EXPECT(!make(&grid, runs, scenarios, 2));
    drop(&grid, runs, 2);
    static const struct sample one[] = {{"a@1", 1, NULL}};
    EXPECT(!make(&grid, runs, one, 1));
    drop(&grid, runs, 1);
}

HARNESS_MAIN("unit.arm", TEST(names_lose_their_own_seed_alone),
             TEST(arms_keep_the_seeds_that_all_have),
             TEST(what_is_no_grid_is_called_so))
