/* SPDX-License-Identifier: Apache-2.0
 *
 * What the property test does not ask: memory. Meaning is in prop.prefix_trie.
 */
#include "base/rng.h"
#include "policies/prefix_trie.h"
#include "tests/harness.h"

#include <stdlib.h>

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

enum { SHARED = 126, PROMPT = 376 };

static void send_conversations(struct prefix_trie *trie, uint64_t prompts)
{
    struct rng rng;
    uint64_t chunks[PROMPT];
    rng_init(&rng, 1, "test_prefix_trie", 0);
    for (uint64_t i = 0; i < prompts; i++) {
        for (uint64_t k = 0; k < PROMPT; k++) {
            chunks[k] = k < SHARED ? i % 10 * 1000 + k : rng_next(&rng);
        }
        prefix_trie_insert(trie, chunks, PROMPT, (uint32_t)(i % 10));
    }
}

static void long_new_prompts_cost_nine_bytes_a_chunk(void)
{
    struct prefix_trie *trie = prefix_trie_new(&memory);
    send_conversations(trie, 4000);
    EXPECT_U64(prefix_trie_chunks(trie),
               UINT64_C(10) * SHARED + UINT64_C(4000) * (PROMPT - SHARED));
    EXPECT((double)prefix_trie_bytes(trie) / (double)prefix_trie_chunks(trie) < 10.5);
    prefix_trie_delete(trie);
}

static void known_prompts_cost_nothing(void)
{
    struct prefix_trie *trie = prefix_trie_new(&memory);
    uint64_t chunks[PROMPT];
    for (uint64_t k = 0; k < PROMPT; k++) {
        chunks[k] = k;
    }
    prefix_trie_insert(trie, chunks, PROMPT, 3);
    const size_t bytes = prefix_trie_bytes(trie);
    for (uint32_t count = 0; count <= PROMPT; count++) {
        prefix_trie_insert(trie, chunks, count, 3);
    }
    EXPECT_U64(prefix_trie_bytes(trie), bytes);
    EXPECT_U64(prefix_trie_chunks(trie), PROMPT);
    prefix_trie_delete(trie);
}

static void cleared_trie_is_as_small_as_a_new_one(void)
{
    const uint32_t index_of_id[10] = {0};
    const uint64_t first = 0;
    struct prefix_trie *trie = prefix_trie_new(&memory);
    const size_t bytes = prefix_trie_bytes(trie);
    send_conversations(trie, 100);
    EXPECT_U64(prefix_trie_match(trie, &first, 1, index_of_id).chunks, 1);
    prefix_trie_clear(trie);
    EXPECT_U64(prefix_trie_bytes(trie), bytes);
    EXPECT_U64(prefix_trie_chunks(trie), 0);
    EXPECT_U64(prefix_trie_match(trie, &first, 1, index_of_id).chunks, 0);
    send_conversations(trie, 100);
    EXPECT_U64(prefix_trie_match(trie, &first, 1, index_of_id).chunks, 1);
    prefix_trie_delete(trie);
}

static void forgetting_keeps_the_others(void)
{
    const uint32_t index_of_id[2] = {0, 1};
    const uint64_t chunks[3] = {1, 2, 3};
    struct prefix_trie *trie = prefix_trie_new(&memory);
    prefix_trie_insert(trie, chunks, 3, 0);
    prefix_trie_insert(trie, chunks, 2, 1);
    prefix_trie_forget(trie, 0);
    const struct trie_match match = prefix_trie_match(trie, chunks, 3, index_of_id);
    EXPECT_U64(match.chunks, 2);
    EXPECT_U64(match.id_count, 1);
    EXPECT_U64(match.ids[0], 1);
    prefix_trie_forget(trie, 1);
    EXPECT_U64(prefix_trie_match(trie, chunks, 3, index_of_id).chunks, 0);
    prefix_trie_delete(trie);
}

HARNESS_MAIN("prefix_trie", TEST(long_new_prompts_cost_nine_bytes_a_chunk),
             TEST(known_prompts_cost_nothing),
             TEST(cleared_trie_is_as_small_as_a_new_one),
             TEST(forgetting_keeps_the_others))
