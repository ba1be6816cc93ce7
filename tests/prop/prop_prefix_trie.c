/* SPDX-License-Identifier: Apache-2.0
 *
 * The compressed trie against the plain one of the specification, a node per chunk and
 * a running intersection on the way down. Alphabets of one to three symbols and short
 * prompts make every kind of split happen thousands of times; the longer prompts pass
 * through the comparison by whole pieces.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "policies/prefix_trie.h"
#include "tests/harness.h"

#include <stdlib.h>
#include <string.h>

enum { IDS = 6, CHUNKS_MAX = 70, STEPS = 60, SEEDS = 4000, NODES_MAX = 8192 };

/* --- the model ---------------------------------------------------------------------
 */

struct plain_node {
    uint32_t parent;
    uint64_t chunk;
    uint32_t endpoints; /* one bit per id */
};

struct plain_trie {
    struct plain_node nodes[NODES_MAX];
    uint32_t count; /* 0 is the root */
};

static uint32_t plain_child(const struct plain_trie *trie, uint32_t parent,
                            uint64_t chunk)
{
    for (uint32_t i = 1; i < trie->count; i++) {
        if (trie->nodes[i].parent == parent && trie->nodes[i].chunk == chunk) {
            return i;
        }
    }
    return 0;
}

static void plain_insert(struct plain_trie *trie, const uint64_t *chunks,
                         uint32_t count, uint32_t id)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t child = plain_child(trie, at, chunks[i]);
        if (child == 0) {
            child = trie->count++;
            trie->nodes[child] =
                (struct plain_node){.parent = at, .chunk = chunks[i], .endpoints = 0};
        }
        trie->nodes[child].endpoints |= UINT32_C(1) << id;
        at = child;
    }
}

/* Returns the selection; all of `available` when nothing matches. */
static uint32_t plain_match(const struct plain_trie *trie, const uint64_t *chunks,
                            uint32_t count, uint32_t available, uint32_t *matched)
{
    uint32_t selection = available;
    uint32_t at = 0;
    *matched = 0;
    for (uint32_t i = 0; i < count; i++) {
        at = plain_child(trie, at, chunks[i]);
        const uint32_t common = trie->nodes[at].endpoints & selection;
        if (at == 0 || common == 0) {
            break;
        }
        (*matched)++;
        selection = common;
    }
    return selection;
}

/* --- memory that counts -------------------------------------------------------------
 */

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

/* --- the property ------------------------------------------------------------------
 */

struct race {
    struct rng rng;
    struct plain_trie plain;
    struct prefix_trie *trie;
    size_t held_bytes;
    uint64_t symbols;
    uint64_t length_bound;
};

static uint32_t random_prompt(struct race *race, uint64_t chunks[CHUNKS_MAX])
{
    const uint32_t count = (uint32_t)rng_below(&race->rng, race->length_bound);
    for (uint32_t i = 0; i < count; i++) {
        chunks[i] = rng_below(&race->rng, race->symbols);
    }
    return count;
}

static bool same_match(struct race *race)
{
    uint64_t chunks[CHUNKS_MAX];
    const uint32_t count = random_prompt(race, chunks);
    const uint32_t available = (uint32_t)rng_below(&race->rng, 1 << IDS);
    uint32_t index_of_id[IDS];
    for (uint32_t id = 0; id < IDS; id++) {
        index_of_id[id] = (available >> id & 1) != 0 ? id : NOT_A_CANDIDATE;
    }
    uint32_t matched = 0;
    const uint32_t expected =
        plain_match(&race->plain, chunks, count, available, &matched);
    const struct trie_match match =
        prefix_trie_match(race->trie, chunks, count, index_of_id);
    uint32_t selection = match.chunks == 0 ? available : 0;
    bool ascending = true;
    for (uint32_t i = 0; i < match.id_count; i++) {
        selection |= (available >> match.ids[i] & 1) << match.ids[i];
        ascending = ascending && (i == 0 || match.ids[i - 1] < match.ids[i]);
    }
    return EXPECT_U64(match.chunks, matched) && EXPECT_U64(selection, expected) &&
           EXPECT(ascending);
}

static bool step(struct race *race)
{
    uint64_t chunks[CHUNKS_MAX];
    const uint32_t id = (uint32_t)rng_below(&race->rng, IDS);
    if (rng_below(&race->rng, 20) == 0) {
        prefix_trie_forget(race->trie, id);
        for (uint32_t i = 0; i < race->plain.count; i++) {
            race->plain.nodes[i].endpoints &= ~(UINT32_C(1) << id);
        }
    } else {
        const uint32_t count = random_prompt(race, chunks);
        prefix_trie_insert(race->trie, chunks, count, id);
        plain_insert(&race->plain, chunks, count, id);
    }
    /* Two questions for each change. */
    const bool first = same_match(race);
    return first && same_match(race) &&
           EXPECT_U64(prefix_trie_chunks(race->trie), race->plain.count - 1) &&
           EXPECT_U64(prefix_trie_bytes(race->trie), race->held_bytes);
}

static void compressed_trie_means_what_the_plain_trie_means(void)
{
    struct race *race = mem_alloc(1, sizeof *race);
    bool same = true;
    for (uint64_t seed = 0; same && seed < SEEDS; seed++) {
        harness_note("seed %llu", (unsigned long long)seed);
        rng_init(&race->rng, seed, "prop_prefix_trie", 0);
        const struct policy_memory memory = {.context = &race->held_bytes,
                                             .resize = counting_resize};
        race->plain.count = 1;
        race->plain.nodes[0] = (struct plain_node){.parent = UINT32_MAX};
        race->trie = prefix_trie_new(&memory);
        race->symbols = 1 + rng_below(&race->rng, 3);
        race->length_bound = race->symbols == 1 ? CHUNKS_MAX : 10;
        const uint32_t steps = seed % 100 == 0 ? 8 * STEPS : STEPS;
        for (uint32_t i = 0; same && i < steps; i++) {
            same = step(race);
        }
        prefix_trie_delete(race->trie);
        EXPECT_U64(race->held_bytes, 0);
    }
    mem_free(race);
}

/* All tries of three insertions of prompts up to three chunks over two symbols, and all
 * questions about them: nothing small is left to luck. */
enum { SMALL_PROMPTS = 15 };

static uint32_t small_prompt(uint32_t number, uint64_t chunks[4])
{
    uint32_t length = 0;
    while (number >= UINT32_C(1) << length) {
        number -= UINT32_C(1) << length;
        length++;
    }
    for (uint32_t i = 0; i < length; i++) {
        chunks[i] = number >> i & 1;
    }
    return length;
}

static bool answers_alike(const struct prefix_trie *trie,
                          const struct plain_trie *plain)
{
    uint64_t chunks[4];
    bool same = true;
    for (uint32_t question = 0; same && question < SMALL_PROMPTS * 4; question++) {
        const uint32_t available = question % 4;
        const uint32_t count = small_prompt(question / 4, chunks);
        const uint32_t index_of_id[2] = {(available & 1) != 0 ? 0 : NOT_A_CANDIDATE,
                                         (available & 2) != 0 ? 1 : NOT_A_CANDIDATE};
        uint32_t matched = 0;
        (void)plain_match(plain, chunks, count, available, &matched);
        same = EXPECT_U64(prefix_trie_match(trie, chunks, count, index_of_id).chunks,
                          matched);
    }
    return same;
}

static void every_small_trie_agrees(void)
{
    struct plain_trie *plain = mem_alloc(1, sizeof *plain);
    size_t held = 0;
    const struct policy_memory memory = {.context = &held, .resize = counting_resize};
    const uint32_t choices = SMALL_PROMPTS * 2;
    bool same = true;
    for (uint32_t all = 0; same && all < choices * choices * choices; all++) {
        struct prefix_trie *trie = prefix_trie_new(&memory);
        plain->count = 1;
        plain->nodes[0] = (struct plain_node){.parent = UINT32_MAX};
        for (uint32_t rest = all, i = 0; i < 3; i++, rest /= choices) {
            uint64_t chunks[4];
            const uint32_t count = small_prompt(rest % choices / 2, chunks);
            prefix_trie_insert(trie, chunks, count, rest % 2);
            plain_insert(plain, chunks, count, rest % 2);
        }
        harness_note("case %u", all);
        same = answers_alike(trie, plain);
        prefix_trie_delete(trie);
    }
    mem_free(plain);
}

HARNESS_MAIN("prop.prefix_trie", TEST(compressed_trie_means_what_the_plain_trie_means),
             TEST(every_small_trie_agrees))
