/* SPDX-License-Identifier: Apache-2.0
 *
 * map.c: see map.h. Slots of 16 bytes, four to a cache line, at most three quarters
 * full: a look-up touches one line nearly always.
 */
#include "base/map.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

struct slot {
    uint64_t key;
    uint32_t value;
    uint32_t filled; /* 0 or 1 */
};
static_assert(sizeof(struct slot) == 16, "four slots fill a cache line");

struct map {
    struct slot *slots;
    size_t mask; /* slots - 1; their number is a power of two */
    size_t count;
    size_t entries_max;
};

enum { SLOTS_MIN = 16 };

static size_t slots_for(size_t entries)
{
    size_t slots = SLOTS_MIN;
    while (slots / 4 * 3 < entries) {
        slots *= 2;
    }
    return slots;
}

struct map *map_new(size_t expected, size_t entries_max)
{
    CHECK(expected <= entries_max, "%zu entries expected of at most %zu", expected,
          entries_max);
    struct map *map = mem_alloc(1, sizeof *map);
    const size_t slots = slots_for(expected);
    map->slots = mem_alloc(slots, sizeof *map->slots);
    map->mask = slots - 1;
    map->entries_max = entries_max;
    return map;
}

void map_delete(struct map *map)
{
    if (map != NULL) {
        mem_free(map->slots);
        mem_free(map);
    }
}

/* Where the key is, or the empty slot where it would go. */
static struct slot *find(const struct map *map, uint64_t key)
{
    size_t at = hash_mix(key) & map->mask;
    while (map->slots[at].filled && map->slots[at].key != key) {
        at = (at + 1) & map->mask;
    }
    return &map->slots[at];
}

bool map_get(const struct map *map, uint64_t key, uint32_t *value)
{
    const struct slot *slot = find(map, key);
    if (!slot->filled) {
        return false;
    }
    *value = slot->value;
    return true;
}

static void grow(struct map *map)
{
    struct slot *old = map->slots;
    const size_t old_slots = map->mask + 1;
    map->slots = mem_alloc(2 * old_slots, sizeof *map->slots);
    map->mask = 2 * old_slots - 1;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].filled) {
            *find(map, old[i].key) = old[i];
        }
    }
    mem_free(old);
}

void map_put(struct map *map, uint64_t key, uint32_t value)
{
    struct slot *slot = find(map, key);
    if (slot->filled) {
        slot->value = value;
        return;
    }
    CHECK(map->count < map->entries_max, "map is full at %zu entries", map->count);
    if (map->count + 1 > (map->mask + 1) / 4 * 3) {
        grow(map);
        slot = find(map, key);
    }
    *slot = (struct slot){.key = key, .value = value, .filled = 1};
    map->count++;
}

/* Moves back every later entry of the run that may not stand behind a gap. */
static void close_gap(struct map *map, size_t gap)
{
    size_t at = gap;
    for (;;) {
        at = (at + 1) & map->mask;
        if (!map->slots[at].filled) {
            break;
        }
        const size_t home = hash_mix(map->slots[at].key) & map->mask;
        if (((at - home) & map->mask) >= ((at - gap) & map->mask)) {
            map->slots[gap] = map->slots[at];
            gap = at;
        }
    }
    map->slots[gap].filled = 0;
}

bool map_remove(struct map *map, uint64_t key)
{
    const struct slot *slot = find(map, key);
    if (!slot->filled) {
        return false;
    }
    close_gap(map, (size_t)(slot - map->slots));
    map->count--;
    return true;
}

size_t map_count(const struct map *map)
{
    return map->count;
}

void map_clear(struct map *map)
{
    memset(map->slots, 0, (map->mask + 1) * sizeof *map->slots);
    map->count = 0;
}
