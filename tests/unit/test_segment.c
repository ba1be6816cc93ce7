/* SPDX-License-Identifier: Apache-2.0
 *
 * test_segment.c: runs and hashes of a few prompts, worked out by hand. Random prompts
 * against a naive model are in prop_segment.c.
 */
#include "tests/harness.h"
#include "traces/segment.h"

#include <string.h>

static struct segment piece(enum segment_kind kind, uint64_t id, uint64_t offset,
                            uint32_t tokens)
{
    return (struct segment){segment_stream(kind, id), offset, tokens, 0};
}

static void stream_keeps_kind_and_identity(void)
{
    const uint64_t stream = segment_stream(SEGMENT_OUTPUT, SEGMENT_ID_MAX);
    EXPECT(segment_kind_of(stream) == SEGMENT_OUTPUT);
    EXPECT_U64(segment_id_of(stream), SEGMENT_ID_MAX);
    EXPECT(segment_stream(SEGMENT_TEXT, 7) != segment_stream(SEGMENT_BLOCK, 7));
    EXPECT((stream & BLOCK_RUN_MIXED) == 0);
}

static void normalising_merges_neighbours_and_drops_empty_pieces(void)
{
    struct segment pieces[] = {
        piece(SEGMENT_TEXT, 1, 0, 10), piece(SEGMENT_TEXT, 9, 5, 0),
        piece(SEGMENT_TEXT, 1, 10, 6), piece(SEGMENT_TEXT, 1, 17, 1),
        piece(SEGMENT_TEXT, 2, 18, 1), piece(SEGMENT_TEXT, 2, 0, 0),
    };
    const size_t count = segment_normalise(pieces, 6);
    EXPECT_U64(count, 3);
    EXPECT_U64(pieces[0].tokens, 16);
    EXPECT_U64(pieces[1].offset, 17);
    EXPECT_U64(pieces[2].stream, segment_stream(SEGMENT_TEXT, 2));
    EXPECT_U64(segment_tokens(pieces, count), 18);
    EXPECT_U64(segment_normalise(pieces, 0), 0);
}

static void blocks_of_one_stream_are_one_run(void)
{
    const struct segment prompt[] = {piece(SEGMENT_TEXT, 1, 32, 100)};
    struct block_run runs[2];
    EXPECT_U64(block_runs_cut(prompt, 1, 16, runs), 1);
    EXPECT_U64(runs[0].key, prompt[0].stream);
    EXPECT_U64(runs[0].offset, 32);
    EXPECT_U64(runs[0].blocks, 6);
}

static void block_over_a_border_is_a_run_of_its_own(void)
{
    /* 16 tokens a block: [t1 0..16) [t1 16..20 t2 0..12) [t2 12..28), 2 tokens left */
    const struct segment prompt[] = {piece(SEGMENT_TEXT, 1, 0, 20),
                                     piece(SEGMENT_TEXT, 2, 0, 30)};
    struct block_run runs[4];
    REQUIRE(block_runs_cut(prompt, 2, 16, runs) == 3);
    EXPECT_U64(runs[0].blocks, 1);
    EXPECT((runs[0].key & BLOCK_RUN_MIXED) == 0);
    EXPECT_U64(runs[1].blocks, 1);
    EXPECT_U64(runs[1].offset, 0);
    EXPECT((runs[1].key & BLOCK_RUN_MIXED) != 0);
    EXPECT_U64(runs[2].key, prompt[1].stream);
    EXPECT_U64(runs[2].offset, 12);
}

static void block_may_span_many_pieces(void)
{
    const struct segment prompt[] = {
        piece(SEGMENT_TEXT, 1, 0, 3), piece(SEGMENT_TEXT, 2, 0, 3),
        piece(SEGMENT_TEXT, 3, 0, 3), piece(SEGMENT_TEXT, 4, 0, 8)};
    struct block_run runs[8];
    REQUIRE(block_runs_cut(prompt, 4, 16, runs) == 1);
    EXPECT((runs[0].key & BLOCK_RUN_MIXED) != 0);
}

static void prompt_below_one_block_has_none(void)
{
    const struct segment prompt[] = {piece(SEGMENT_TEXT, 1, 0, 15)};
    struct block_run runs[2];
    uint64_t hashes[2];
    EXPECT_U64(block_runs_cut(prompt, 1, 16, runs), 0);
    EXPECT_U64(segment_block_hashes(prompt, 1, 16, 0, hashes, 2), 0);
    EXPECT_U64(segment_chunk_hashes(prompt, 1, 16, hashes, 2), 1);
    EXPECT_U64(block_runs_cut(prompt, 0, 16, runs), 0);
    EXPECT_U64(segment_chunk_hashes(prompt, 0, 16, hashes, 2), 0);
}

static void short_last_chunk_differs_from_a_full_one(void)
{
    const struct segment full[] = {piece(SEGMENT_TEXT, 1, 0, 16)};
    const struct segment cut[] = {piece(SEGMENT_TEXT, 1, 0, 15)};
    uint64_t a = 0;
    uint64_t b = 0;
    EXPECT_U64(segment_chunk_hashes(full, 1, 16, &a, 1), 1);
    EXPECT_U64(segment_chunk_hashes(cut, 1, 16, &b, 1), 1);
    EXPECT(a != b);
}

static void chunk_hash_knows_no_position_but_a_block_hash_does(void)
{
    const struct segment twice[] = {piece(SEGMENT_TEXT, 1, 0, 16),
                                    piece(SEGMENT_TEXT, 2, 0, 16),
                                    piece(SEGMENT_TEXT, 1, 0, 16)};
    uint64_t chunks[3];
    uint64_t blocks[3];
    EXPECT_U64(segment_chunk_hashes(twice, 3, 16, chunks, 3), 3);
    EXPECT_U64(segment_block_hashes(twice, 3, 16, 0, blocks, 3), 3);
    EXPECT_U64(chunks[0], chunks[2]);
    EXPECT(chunks[0] != chunks[1]);
    EXPECT(blocks[0] != blocks[2]);
}

static void salt_changes_every_block_hash(void)
{
    const struct segment prompt[] = {piece(SEGMENT_TEXT, 1, 0, 48)};
    uint64_t a[3];
    uint64_t b[3];
    EXPECT_U64(segment_block_hashes(prompt, 1, 16, 1, a, 3), 3);
    EXPECT_U64(segment_block_hashes(prompt, 1, 16, 2, b, 3), 3);
    for (size_t i = 0; i < 3; i++) {
        EXPECT(a[i] != b[i]);
    }
}

static void hashes_stop_at_the_room_given(void)
{
    const struct segment prompt[] = {piece(SEGMENT_TEXT, 1, 0, 40),
                                     piece(SEGMENT_TEXT, 2, 0, 40)};
    uint64_t all[5];
    uint64_t some[5] = {0};
    EXPECT_U64(segment_chunk_hashes(prompt, 2, 16, all, 5), 5);
    for (size_t max = 0; max < 5; max++) {
        memset(some, 0, sizeof(some));
        EXPECT_U64(segment_chunk_hashes(prompt, 2, 16, some, max), max);
        EXPECT_BYTES(some, all, max * sizeof(all[0]));
        EXPECT_U64(some[max], 0);
        EXPECT_U64(segment_block_hashes(prompt, 2, 16, 0, some, max), max);
    }
}

HARNESS_MAIN("segment", TEST(stream_keeps_kind_and_identity),
             TEST(normalising_merges_neighbours_and_drops_empty_pieces),
             TEST(blocks_of_one_stream_are_one_run),
             TEST(block_over_a_border_is_a_run_of_its_own),
             TEST(block_may_span_many_pieces), TEST(prompt_below_one_block_has_none),
             TEST(short_last_chunk_differs_from_a_full_one),
             TEST(chunk_hash_knows_no_position_but_a_block_hash_does),
             TEST(salt_changes_every_block_hash), TEST(hashes_stop_at_the_room_given))
