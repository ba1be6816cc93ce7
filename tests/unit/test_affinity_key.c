/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of session key, prefix and request id is hashed, and what makes a prefix.
 */
#include "base/hash.h"
#include "policies/affinity_key.h"
#include "policies/text_chunks.h"
#include "tests/harness.h"

#include <string.h>

static const uint64_t chunks[] = {11, 22, 33};
static const struct affinity_rule by_session = {AFFINITY_SESSION, 1};
static const struct affinity_rule by_prefix = {AFFINITY_PREFIX, 1};

static struct request_view request_of(const char *session, uint32_t chunk_count)
{
    return (struct request_view){.request_id = 7,
                                 .session_key = session,
                                 .chunk_hashes = chunks,
                                 .chunk_count = chunk_count};
}

static void rule_says_what_comes_first(void)
{
    const struct request_view both = request_of("alice", 3);
    const uint64_t alice = hash_xxh64("alice", 5, 0);
    EXPECT_U64(affinity_key_of(&by_session, &both).hash, alice);
    EXPECT_STR(affinity_key_of(&by_session, &both).text, "alice");
    EXPECT_U64(affinity_key_of(&by_prefix, &both).hash, chunks[0]);
    EXPECT(affinity_key_of(&by_prefix, &both).text == NULL);
}

static void what_is_missing_is_replaced_and_the_id_comes_last(void)
{
    const struct request_view session = request_of("", 0);
    const struct request_view prefix = request_of(NULL, 1);
    const struct request_view neither = request_of(NULL, 0);
    struct request_view other = neither;
    other.request_id = 8;
    EXPECT_U64(affinity_key_of(&by_prefix, &session).hash, hash_xxh64("", 0, 0));
    EXPECT_U64(affinity_key_of(&by_session, &prefix).hash, chunks[0]);
    const uint64_t key = affinity_key_of(&by_session, &neither).hash;
    EXPECT_U64(affinity_key_of(&by_prefix, &neither).hash, key);
    EXPECT(affinity_key_of(&by_session, &other).hash != key);
}

/* KubeAI: xxh64 of the first characters of the text. */
static void prefix_of_one_chunk_is_the_hash_of_its_text(void)
{
    char text[200];
    uint64_t hashes[2];
    memset(text, 'x', sizeof text);
    const size_t count = text_chunk_hashes(text, sizeof text, hashes, 2);
    const struct request_view request = {.chunk_hashes = hashes,
                                         .chunk_count = (uint32_t)count};
    EXPECT_U64(affinity_key_of(&by_prefix, &request).hash, hash_xxh64(text, 128, 0));
}

static void longer_prefix_tells_apart_what_begins_alike(void)
{
    const uint64_t other_chunks[] = {11, 23, 33};
    const struct affinity_rule two = {AFFINITY_PREFIX, 2};
    const struct affinity_rule many = {AFFINITY_PREFIX, 1000};
    const struct request_view one = request_of(NULL, 3);
    const struct request_view longer = request_of(NULL, 2);
    struct request_view other = one;
    other.chunk_hashes = other_chunks;
    EXPECT_U64(affinity_key_of(&by_prefix, &one).hash,
               affinity_key_of(&by_prefix, &other).hash);
    EXPECT(affinity_key_of(&two, &one).hash != affinity_key_of(&two, &other).hash);
    EXPECT_U64(affinity_key_of(&two, &one).hash, affinity_key_of(&two, &longer).hash);
    EXPECT(affinity_key_of(&many, &one).hash != affinity_key_of(&many, &longer).hash);
}

static void adapters_do_not_share_a_prefix(void)
{
    struct request_view base = request_of("alice", 3);
    struct request_view adapted = base;
    adapted.adapter = 5;
    EXPECT(affinity_key_of(&by_prefix, &base).hash !=
           affinity_key_of(&by_prefix, &adapted).hash);
    EXPECT_U64(affinity_key_of(&by_session, &base).hash,
               affinity_key_of(&by_session, &adapted).hash);
}

HARNESS_MAIN("affinity_key", TEST(rule_says_what_comes_first),
             TEST(what_is_missing_is_replaced_and_the_id_comes_last),
             TEST(prefix_of_one_chunk_is_the_hash_of_its_text),
             TEST(longer_prefix_tells_apart_what_begins_alike),
             TEST(adapters_do_not_share_a_prefix))
