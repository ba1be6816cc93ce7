/* SPDX-License-Identifier: Apache-2.0
 *
 * The inverted index against a list of keys per endpoint that is searched from end to
 * end. Few keys and small bounds make entries collide, change between one holder and
 * several, and be forgotten all the time; endpoints beyond 64 and 128 make the bitmaps
 * grow under way.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "policies/prefix_index.h"
#include "tests/harness.h"

#include <stdlib.h>

enum { IDS = 5, KEYS_MAX = 24, PROMPT_MAX = 12, STEPS = 300, SEEDS = 1500 };

/* ---- the model ------------------------------------------------------------------- */

struct plain_ring {
    uint64_t keys[KEYS_MAX];
    bool again[KEYS_MAX];
    uint32_t count;
    uint32_t hand;
    uint32_t most;
};

static uint32_t plain_find(const struct plain_ring *ring, uint64_t key)
{
    uint32_t at = 0;
    while (at < ring->count && ring->keys[at] != key) {
        at++;
    }
    return at;
}

/* The place that falls free. */
static uint32_t plain_evict(struct plain_ring *ring)
{
    while (ring->again[ring->hand]) {
        ring->again[ring->hand] = false;
        ring->hand = (ring->hand + 1) % ring->count;
    }
    const uint32_t at = ring->hand;
    ring->hand = (at + 1) % ring->count;
    return at;
}

static void plain_insert(struct plain_ring *ring, const uint64_t *keys, uint32_t count)
{
    count = count < ring->most ? count : ring->most;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = plain_find(ring, keys[i]);
        if (at < ring->count) {
            ring->again[at] = true;
        }
    }
    for (uint32_t i = count; i-- > 0;) {
        if (plain_find(ring, keys[i]) < ring->count) {
            continue;
        }
        const uint32_t at =
            ring->count < ring->most ? ring->count++ : plain_evict(ring);
        ring->keys[at] = keys[i];
        ring->again[at] = false;
    }
}

/* The hand's key becomes the first. */
static void plain_rotate(struct plain_ring *ring)
{
    const struct plain_ring old = *ring;
    for (uint32_t i = 0; i < old.count; i++) {
        const uint32_t from = (old.hand + i) % old.count;
        ring->keys[i] = old.keys[from];
        ring->again[i] = old.again[from];
    }
    ring->hand = 0;
}

/* What is left keeps its order from the hand on; newcomers go behind it. */
static void plain_allow(struct plain_ring *ring, uint32_t most)
{
    ring->most = most;
    if (ring->count > most) {
        plain_rotate(ring);
    }
    while (ring->count > most) {
        const uint32_t at = plain_evict(ring);
        ring->count--;
        for (uint32_t i = at; i < ring->count; i++) {
            ring->keys[i] = ring->keys[i + 1];
            ring->again[i] = ring->again[i + 1];
        }
        ring->hand = at < ring->count ? at : 0;
    }
}

static uint32_t plain_hit(const struct plain_ring *ring, const uint64_t *keys,
                          uint32_t count)
{
    uint32_t hit = 0;
    while (hit < count && plain_find(ring, keys[hit]) < ring->count) {
        hit++;
    }
    return hit;
}

/* ---- memory that counts ---------------------------------------------------------- */

static void *counting_resize(void *context, void *memory, size_t bytes)
{
    size_t *held = context;
    size_t *block = memory != NULL ? (size_t *)memory - 2 : NULL;
    *held -= block != NULL ? block[0] : 0;
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    block = realloc(block, bytes + 2 * sizeof *block);
    if (block == NULL) {
        abort();
    }
    block[0] = bytes;
    *held += bytes;
    return block + 2;
}

/* ---- the property -----------------------------------------------------------------
 */

struct race {
    struct rng rng;
    struct prefix_index *index;
    struct plain_ring plain[IDS];
    uint32_t id[IDS]; /* ascending */
    uint64_t symbols;
    size_t held_bytes;
};

static uint32_t random_prompt(struct race *race, uint64_t keys[PROMPT_MAX])
{
    const uint32_t count = (uint32_t)rng_below(&race->rng, PROMPT_MAX + 1);
    const bool chained = rng_below(&race->rng, 4) > 0;
    uint64_t chain = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* Chains branch late; the others repeat keys and come in any order. */
        const uint64_t branch = rng_below(&race->rng, 6) == 0;
        chain = chained ? 4 * chain + 1 + branch : rng_below(&race->rng, race->symbols);
        keys[i] = chain << 40;
    }
    return count;
}

static bool same_hits(struct race *race)
{
    uint64_t keys[PROMPT_MAX];
    const uint32_t count = random_prompt(race, keys);
    const struct index_hit *hits = NULL;
    const uint32_t hit_count = prefix_index_match(race->index, keys, count, &hits);
    uint32_t expected = 0;
    bool same = true;
    for (uint32_t i = 0; same && i < IDS; i++) {
        const uint32_t blocks = plain_hit(&race->plain[i], keys, count);
        uint32_t at = 0;
        while (at < hit_count && hits[at].endpoint_id != race->id[i]) {
            at++;
        }
        expected += blocks > 0;
        same = EXPECT_U64(at < hit_count ? hits[at].blocks : 0, blocks);
    }
    for (uint32_t i = 1; same && i < hit_count; i++) {
        same = EXPECT(hits[i - 1].blocks < hits[i].blocks ||
                      (hits[i - 1].blocks == hits[i].blocks &&
                       hits[i - 1].endpoint_id < hits[i].endpoint_id));
    }
    return same && EXPECT_U64(hit_count, expected);
}

static bool step(struct race *race)
{
    uint64_t keys[PROMPT_MAX];
    const uint32_t who = (uint32_t)rng_below(&race->rng, IDS);
    struct plain_ring *plain = &race->plain[who];
    const uint64_t dice = rng_below(&race->rng, 30);
    if (dice == 0) {
        prefix_index_forget(race->index, race->id[who]);
        plain->count = 0;
        plain->hand = 0;
    } else if (dice == 1) {
        const uint32_t most = 1 + (uint32_t)rng_below(&race->rng, KEYS_MAX);
        prefix_index_allow(race->index, race->id[who], most);
        plain_allow(plain, most);
    } else {
        const uint32_t count = random_prompt(race, keys);
        prefix_index_insert(race->index, race->id[who], keys, count);
        plain_insert(plain, keys, count);
    }
    const bool same = same_hits(race); /* of a random prompt; and of another */
    return same && same_hits(race) &&
           EXPECT_U64(prefix_index_blocks(race->index, race->id[who]), plain->count) &&
           EXPECT_U64(prefix_index_bytes(race->index), race->held_bytes);
}

static void index_means_what_lists_of_keys_mean(void)
{
    struct race *race = mem_alloc(1, sizeof *race);
    bool same = true;
    for (uint64_t seed = 0; same && seed < SEEDS; seed++) {
        harness_note("seed %llu", (unsigned long long)seed);
        rng_init(&race->rng, seed, "prop_prefix_index", 0);
        const struct policy_memory memory = {.context = &race->held_bytes,
                                             .resize = counting_resize};
        race->index = prefix_index_new(&memory);
        race->symbols = 1 + rng_below(&race->rng, 40);
        const uint32_t apart = seed % 2 == 0 ? 1 : 41; /* ids up to 4, or up to 167 */
        for (uint32_t i = 0; i < IDS; i++) {
            race->id[i] = i * apart + (seed % 3 == 0 ? 3 : 0);
            race->plain[i] =
                (struct plain_ring){.most = 1 + (uint32_t)rng_below(&race->rng, 16)};
            prefix_index_allow(race->index, race->id[i], race->plain[i].most);
        }
        for (uint32_t i = 0; same && i < STEPS; i++) {
            same = step(race);
        }
        prefix_index_delete(race->index);
        EXPECT_U64(race->held_bytes, 0);
    }
    mem_free(race);
}

HARNESS_MAIN("prop.prefix_index", TEST(index_means_what_lists_of_keys_mean))
