/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring against a plain search over all points of the candidates. Where keys land in
 * the stack itself is in golden.policies.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "policies/hash_ring.h"
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 6, STEPS = 400 };

static void *plain_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, bytes);
}

static const struct policy_memory memory = {.resize = plain_resize};

static void name_of(uint32_t node, char name[16])
{
    snprintf(name, 16, "node%u", node);
}

/* How far clockwise from the key to the point, as 16 bytes that memcmp can compare;
 * a distance of zero is a whole turn, since a point at the key itself is the last. */
static void distance_to(const uint8_t key[16], const uint8_t point[16], uint8_t out[17])
{
    int borrow = 0;
    bool zero = true;
    for (int i = 15; i >= 0; i--) {
        const int difference = point[i] - key[i] - borrow;
        borrow = difference < 0;
        out[i + 1] = (uint8_t)(difference & 0xFF);
        zero = zero && out[i + 1] == 0;
    }
    out[0] = zero;
}

static uint32_t plain_owner(const char *key, const uint32_t index_of_id[NODES])
{
    uint8_t key_hash[16];
    uint8_t nearest[17];
    uint32_t owner = NOT_A_CANDIDATE;
    memset(nearest, 0xFF, sizeof nearest);
    hash_md5(key, strlen(key), key_hash);
    for (uint32_t node = 0; node < NODES; node++) {
        for (int i = 0; index_of_id[node] != NOT_A_CANDIDATE && i < 160; i++) {
            char text[32];
            uint8_t point[16];
            uint8_t distance[17];
            snprintf(text, sizeof text, "node%u-%d", node, i);
            hash_md5(text, strlen(text), point);
            distance_to(key_hash, point, distance);
            if (memcmp(distance, nearest, sizeof nearest) < 0) {
                memcpy(nearest, distance, sizeof nearest);
                owner = index_of_id[node];
            }
        }
    }
    return owner;
}

static void ring_of_all_gives_the_owner_of_a_ring_of_the_candidates(void)
{
    struct rng rng;
    struct hash_ring ring;
    bool member[NODES] = {false};
    rng_init(&rng, 3, "test_hash_ring", 0);
    hash_ring_init(&ring, &memory);
    bool same = true;
    for (uint32_t step = 0; same && step < STEPS; step++) {
        char text[16];
        const uint32_t node = (uint32_t)rng_below(&rng, NODES);
        name_of(node, text);
        if (member[node]) {
            hash_ring_remove(&ring, node);
        } else {
            hash_ring_add(&ring, text, node);
        }
        member[node] = !member[node];
        uint32_t index_of_id[NODES];
        uint32_t count = 0;
        for (uint32_t i = 0; i < NODES; i++) {
            const bool candidate = member[i] && rng_below(&rng, 2) == 0;
            index_of_id[i] = candidate ? count++ : NOT_A_CANDIDATE;
        }
        if (count > 0) {
            const struct cluster_view view = {.count = count,
                                              .index_of_id = index_of_id};
            snprintf(text, sizeof text, "key%u", step);
            same = EXPECT_U64(hash_ring_pick(&ring, &view, text),
                              plain_owner(text, index_of_id));
        }
    }
    hash_ring_fini(&ring);
}

/* The point itself is not strictly above: its key belongs to the next one. */
static void key_on_a_point_belongs_to_the_next_point(void)
{
    const uint32_t index_of_id[NODES] = {0, 1, 2, 3, 4, 5};
    const struct cluster_view view = {.count = NODES, .index_of_id = index_of_id};
    struct hash_ring ring;
    hash_ring_init(&ring, &memory);
    for (uint32_t node = 0; node < NODES; node++) {
        char name[16];
        name_of(node, name);
        hash_ring_add(&ring, name, node);
    }
    for (int i = 0; i < 160; i++) {
        char key[32];
        snprintf(key, sizeof key, "node2-%d", i);
        EXPECT_U64(hash_ring_pick(&ring, &view, key), plain_owner(key, index_of_id));
    }
    EXPECT(hash_ring_bytes(&ring) >= (size_t)NODES * 160 * sizeof(struct ring_point));
    hash_ring_fini(&ring);
}

/* ---- the XXH64 kind ------------------------------------------------------------- */

enum { POINTS = 7 };

struct plain_point {
    uint64_t hash;
    uint32_t owner;
};

static int by_hash(const void *left, const void *right)
{
    const struct plain_point *a = left;
    const struct plain_point *b = right;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

/* All points of these members in order; returns their number. */
static size_t plain_points(const bool member[NODES],
                           struct plain_point points[NODES * POINTS])
{
    size_t count = 0;
    for (uint32_t node = 0; node < NODES; node++) {
        for (int i = 0; member[node] && i < POINTS; i++) {
            char text[32];
            snprintf(text, sizeof text, "node%u%d", node, i);
            points[count].hash = hash_xxh64(text, strlen(text), 0);
            points[count++].owner = node;
        }
    }
    qsort(points, count, sizeof *points, by_hash);
    return count;
}

static bool walk_is_plain(struct hash_ring *ring, const struct plain_point *points,
                          size_t count, uint64_t key_hash)
{
    size_t first = 0;
    while (first < count && points[first].hash <= key_hash) {
        first++;
    }
    const size_t start = hash_ring_seek(ring, key_hash);
    size_t at = start;
    for (size_t i = 0; i < count; i++) {
        const struct plain_point *expected = &points[(first + i) % count];
        if (!EXPECT_U64(hash_ring_owner(ring, at), expected->owner)) {
            return false;
        }
        at = hash_ring_next(ring, at);
    }
    return EXPECT_U64(at, start);
}

static void walk_along_a_ring_meets_its_points_in_order(void)
{
    struct rng rng;
    struct hash_ring ring;
    bool member[NODES] = {false};
    rng_init(&rng, 5, "test_hash_ring", 0);
    hash_ring_init_xxh64(&ring, &memory, POINTS);
    bool same = true;
    for (uint32_t step = 0; same && step < STEPS; step++) {
        char name[16];
        const uint32_t node = (uint32_t)rng_below(&rng, NODES);
        name_of(node, name);
        if (member[node]) {
            hash_ring_remove(&ring, node);
        } else {
            hash_ring_add(&ring, name, node);
        }
        member[node] = !member[node];
        struct plain_point points[NODES * POINTS];
        const size_t count = plain_points(member, points);
        if (count > 0) {
            /* Of a key anywhere, on a point, and above the last one. */
            same = walk_is_plain(&ring, points, count, rng_next(&rng)) &&
                   walk_is_plain(&ring, points, count, points[count / 2].hash) &&
                   walk_is_plain(&ring, points, count, UINT64_MAX);
        }
    }
    hash_ring_fini(&ring);
}

/* hash_ring_pick of this kind is the owner at the place of the key's hash. */
static void text_keys_are_hashed_as_points_are(void)
{
    const uint32_t index_of_id[NODES] = {0, 1, 2, 3, 4, 5};
    const struct cluster_view view = {.count = NODES, .index_of_id = index_of_id};
    struct hash_ring ring;
    hash_ring_init_xxh64(&ring, &memory, POINTS);
    for (uint32_t node = 0; node < NODES; node++) {
        char name[16];
        name_of(node, name);
        hash_ring_add(&ring, name, node);
    }
    for (uint32_t i = 0; i < 50; i++) {
        char key[16];
        name_of(i, key);
        const uint64_t key_hash = hash_xxh64(key, strlen(key), 0);
        EXPECT_U64(hash_ring_pick(&ring, &view, key),
                   hash_ring_owner(&ring, hash_ring_seek(&ring, key_hash)));
    }
    hash_ring_fini(&ring);
}

HARNESS_MAIN("hash_ring", TEST(ring_of_all_gives_the_owner_of_a_ring_of_the_candidates),
             TEST(key_on_a_point_belongs_to_the_next_point),
             TEST(walk_along_a_ring_meets_its_points_in_order),
             TEST(text_keys_are_hashed_as_points_are))
