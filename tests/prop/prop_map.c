/* SPDX-License-Identifier: Apache-2.0
 *
 * The map against an array that is searched from end to end, on keys that are few,
 * dense, or share their low bits, so that runs form and close again.
 */
#include "base/map.h"
#include "base/rng.h"
#include "tests/harness.h"

enum { KEYS = 64, STEPS = 2000, SEEDS = 300 };

struct model {
    bool present[KEYS];
    uint32_t value[KEYS];
    size_t count;
};

/* Three families of keys; hash tables differ in which they hate. */
static uint64_t key_of(uint64_t family, uint64_t index)
{
    switch (family % 3) {
    case 0:
        return index;
    case 1:
        return index << 48;
    default:
        return UINT64_MAX - index * 1000003;
    }
}

static bool agrees(const struct map *map, const struct model *model, uint64_t family)
{
    bool same = EXPECT_U64(map_count(map), model->count);
    for (uint64_t i = 0; same && i < KEYS; i++) {
        uint32_t value = 0;
        same = EXPECT_I64(map_get(map, key_of(family, i), &value), model->present[i]);
        if (same && model->present[i]) {
            same = EXPECT_U64(value, model->value[i]);
        }
    }
    return same;
}

static void change(struct map *map, struct model *model, struct rng *rng,
                   uint64_t family)
{
    const uint64_t i = rng_below(rng, KEYS);
    if (rng_below(rng, 100) < 55) {
        const uint32_t value = (uint32_t)rng_next(rng);
        map_put(map, key_of(family, i), value);
        model->count += !model->present[i];
        model->present[i] = true;
        model->value[i] = value;
    } else {
        EXPECT_I64(map_remove(map, key_of(family, i)), model->present[i]);
        model->count -= model->present[i];
        model->present[i] = false;
    }
}

static void map_agrees_with_an_array(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "prop.map", 0);
        struct map *map = map_new(rng_below(&rng, 2) * KEYS, KEYS);
        struct model model = {{false}, {0}, 0};
        bool same = true;
        for (int step = 0; same && step < STEPS; step++) {
            harness_note("seed %llu, step %d", (unsigned long long)seed, step);
            change(map, &model, &rng, seed);
            if (step % 16 == 0 || step == STEPS - 1) {
                same = agrees(map, &model, seed);
            }
        }
        map_clear(map);
        EXPECT_U64(map_count(map), 0);
        map_delete(map);
        if (!same) {
            return;
        }
    }
}

HARNESS_MAIN("map", TEST(map_agrees_with_an_array))
