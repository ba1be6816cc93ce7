/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a text into chunks of 128 characters; the hash values themselves are in
 * golden.policies.
 */
#include "base/hash.h"
#include "policies/text_chunks.h"
#include "tests/harness.h"

#include <string.h>

static void empty_text_has_no_chunk(void)
{
    EXPECT_U64(text_chunk_hashes("", 0, NULL, 0), 0);
}

static void last_chunk_may_be_short(void)
{
    char text[300];
    uint64_t hashes[3] = {0};
    memset(text, 'a', sizeof text);
    EXPECT_U64(text_chunk_hashes(text, 300, hashes, 3), 3);
    EXPECT_U64(hashes[0], hash_xxh64(text, 128, 0));
    EXPECT_U64(hashes[1], hashes[0]);
    EXPECT_U64(hashes[2], hash_xxh64(text, 44, 0));
    EXPECT_U64(text_chunk_hashes(text, 256, hashes, 3), 2);
    EXPECT_U64(text_chunk_hashes(text, 257, hashes, 3), 3);
}

/* 1, 2, 3 and 4 bytes: 32 of each are 128 characters in 320 bytes. */
static void characters_are_code_points_and_never_cut(void)
{
    static const char four[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    char text[660] = {0};
    for (size_t i = 0; i < 650; i++) {
        text[i] = four[i % 10];
    }
    uint64_t hashes[3] = {0};
    EXPECT_U64(text_chunk_hashes(text, 640, hashes, 3), 2);
    EXPECT_U64(hashes[0], hash_xxh64(text, 320, 0));
    EXPECT_U64(hashes[1], hashes[0]);
    EXPECT_U64(text_chunk_hashes(text, 650, hashes, 3), 3);
    EXPECT_U64(hashes[2], hash_xxh64(four, 10, 0));
}

static void chunks_without_room_are_counted_and_not_written(void)
{
    char text[300];
    uint64_t hashes[2] = {0, 7};
    memset(text, 'a', sizeof text);
    EXPECT_U64(text_chunk_hashes(text, 300, hashes, 1), 3);
    EXPECT_U64(hashes[1], 7);
}

static void bytes_that_are_not_utf8_are_taken_as_they_are(void)
{
    uint64_t hash = 0;
    EXPECT_U64(text_chunk_hashes("\x80\x80\xff", 3, &hash, 1), 1);
    EXPECT_U64(hash, hash_xxh64("\x80\x80\xff", 3, 0));
}

HARNESS_MAIN("text_chunks", TEST(empty_text_has_no_chunk),
             TEST(last_chunk_may_be_short),
             TEST(characters_are_code_points_and_never_cut),
             TEST(chunks_without_room_are_counted_and_not_written),
             TEST(bytes_that_are_not_utf8_are_taken_as_they_are))
