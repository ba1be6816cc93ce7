/* SPDX-License-Identifier: Apache-2.0
 *
 * hash_ring.c: a sorted array of points, merged lazily.
 *
 * A fleet joins one endpoint at a time; sorting 160 new points into 600,000 old ones
 * each time would cost seconds. New points wait at the end until the next pick, which
 * sorts them and merges once.
 */
#include "policies/hash_ring.h"

#include "base/check.h"
#include "base/hash.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct ring_point) == 24, "no padding beyond the reserved word");

enum { INDEX_TEXT_BYTES = 16 };

void hash_ring_init(struct hash_ring *ring, const struct policy_memory *memory)
{
    *ring = (struct hash_ring){
        .memory = *memory,
        .kind = RING_UHASHRING,
        .points_per_node = HASH_RING_POINTS_PER_NODE,
    };
}

void hash_ring_init_xxh64(struct hash_ring *ring, const struct policy_memory *memory,
                          uint32_t points_per_node)
{
    *ring = (struct hash_ring){
        .memory = *memory,
        .kind = RING_XXH64,
        .points_per_node = points_per_node,
    };
}

void hash_ring_fini(struct hash_ring *ring)
{
    ring->memory.resize(ring->memory.context, ring->points, 0);
    ring->points = NULL;
}

size_t hash_ring_bytes(const struct hash_ring *ring)
{
    return ring->capacity * sizeof *ring->points;
}

static uint64_t big_endian(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static struct ring_point point_of(enum ring_kind kind, const char *text,
                                  size_t byte_count)
{
    if (kind == RING_XXH64) {
        return (struct ring_point){.high = hash_xxh64(text, byte_count, 0)};
    }
    uint8_t digest[16];
    hash_md5(text, byte_count, digest);
    return (struct ring_point){.high = big_endian(digest),
                               .low = big_endian(digest + 8)};
}

void hash_ring_add(struct hash_ring *ring, const char *name, uint32_t owner_id)
{
    const struct policy_memory *memory = &ring->memory;
    const char *separator = ring->kind == RING_UHASHRING ? "-" : "";
    if (ring->count + ring->points_per_node > ring->capacity) {
        ring->capacity = 2 * ring->capacity + ring->points_per_node;
        ring->points = memory->resize(memory->context, ring->points,
                                      ring->capacity * sizeof *ring->points);
    }
    const size_t room = strlen(name) + INDEX_TEXT_BYTES;
    char *text = memory->resize(memory->context, NULL, room);
    for (uint32_t i = 0; i < ring->points_per_node; i++) {
        const int bytes = snprintf(text, room, "%s%s%u", name, separator, i);
        struct ring_point point = point_of(ring->kind, text, (size_t)bytes);
        point.owner_id = owner_id;
        ring->points[ring->count++] = point;
    }
    memory->resize(memory->context, text, 0);
}

void hash_ring_remove(struct hash_ring *ring, uint32_t owner_id)
{
    size_t kept = 0;
    size_t sorted = 0;
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->points[i].owner_id != owner_id) {
            sorted += i < ring->sorted;
            ring->points[kept++] = ring->points[i];
        }
    }
    ring->count = kept;
    ring->sorted = sorted;
}

static int compare_points(const void *left, const void *right)
{
    const struct ring_point *a = left;
    const struct ring_point *b = right;
    if (a->high != b->high) {
        return a->high < b->high ? -1 : 1;
    }
    if (a->low != b->low) {
        return a->low < b->low ? -1 : 1;
    }
    return (a->owner_id > b->owner_id) - (a->owner_id < b->owner_id);
}

/* Sorts the new points and merges them from the back, where there is room for them. */
static void settle(struct hash_ring *ring)
{
    const struct policy_memory *memory = &ring->memory;
    size_t added = ring->count - ring->sorted;
    size_t old = ring->sorted;
    struct ring_point *points = ring->points;
    struct ring_point *fresh =
        memory->resize(memory->context, NULL, added * sizeof *fresh);
    memcpy(fresh, points + old, added * sizeof *fresh);
    qsort(fresh, added, sizeof *fresh, compare_points);
    for (size_t at = ring->count; added > 0; at--) {
        const bool take_old =
            old > 0 && compare_points(&points[old - 1], &fresh[added - 1]) > 0;
        points[at - 1] = take_old ? points[--old] : fresh[--added];
    }
    memory->resize(memory->context, fresh, 0);
    ring->sorted = ring->count;
}

/* First point strictly above the key's; count when there is none. */
static size_t first_above(const struct hash_ring *ring, const struct ring_point *key)
{
    size_t low = 0;
    size_t high = ring->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct ring_point *point = &ring->points[middle];
        const bool above =
            point->high != key->high ? point->high > key->high : point->low > key->low;
        if (above) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void make_ready(struct hash_ring *ring)
{
    if (ring->sorted < ring->count) {
        settle(ring);
    }
}

size_t hash_ring_seek(struct hash_ring *ring, uint64_t key_hash)
{
    make_ready(ring);
    const struct ring_point point = {.high = key_hash};
    const size_t at = first_above(ring, &point);
    return at < ring->count ? at : 0;
}

size_t hash_ring_next(const struct hash_ring *ring, size_t at)
{
    return at + 1 < ring->count ? at + 1 : 0;
}

uint32_t hash_ring_owner(const struct hash_ring *ring, size_t at)
{
    return ring->points[at].owner_id;
}

uint32_t hash_ring_pick(struct hash_ring *ring, const struct cluster_view *view,
                        const char *key)
{
    make_ready(ring);
    const struct ring_point point = point_of(ring->kind, key, strlen(key));
    size_t at = first_above(ring, &point);
    for (size_t walked = 0; walked < ring->count; walked++, at++) {
        at = at < ring->count ? at : 0;
        const uint32_t index = view->index_of_id[ring->points[at].owner_id];
        if (index != NOT_A_CANDIDATE) {
            return index;
        }
    }
    CHECK(false, "none of %u candidates is on the ring of %zu points", view->count,
          ring->count);
    return NOT_A_CANDIDATE;
}
