/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges of the map; prop.map walks the middle.
 */
#include "base/map.h"
#include "tests/harness.h"

static void absent_key_leaves_value_untouched(void)
{
    struct map *map = map_new(0, 10);
    uint32_t value = 77;
    EXPECT(!map_get(map, 0, &value));
    EXPECT_U64(value, 77);
    EXPECT(!map_remove(map, 0));
    map_delete(map);
    map_delete(NULL);
}

static void put_overwrites(void)
{
    struct map *map = map_new(4, 10);
    map_put(map, 0, 1);
    map_put(map, 0, 2);
    uint32_t value = 0;
    EXPECT(map_get(map, 0, &value));
    EXPECT_U64(value, 2);
    EXPECT_U64(map_count(map), 1);
    map_delete(map);
}

static void many_entries_survive_growth(void)
{
    enum { ENTRIES = 200000 };
    struct map *map = map_new(0, ENTRIES);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        map_put(map, (uint64_t)i * 4096, i);
    }
    size_t right = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint32_t value = 0;
        right += map_get(map, (uint64_t)i * 4096, &value) && value == i;
    }
    EXPECT_U64(right, ENTRIES);
    map_delete(map);
}

static void put_a_third(void *context)
{
    map_put(context, 3, 3);
}

static void ceiling_is_exact_and_overwriting_is_free(void)
{
    struct map *map = map_new(2, 2);
    map_put(map, 1, 1);
    map_put(map, 2, 2);
    map_put(map, 2, 3);
    EXPECT_ABORTS(put_a_third, map, "map is full at 2 entries");
    map_delete(map);
}

HARNESS_MAIN("map", TEST(absent_key_leaves_value_untouched), TEST(put_overwrites),
             TEST(many_entries_survive_growth),
             TEST(ceiling_is_exact_and_overwriting_is_free))
