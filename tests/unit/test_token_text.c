/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded prompts as text: what a router sees in the text must be what the simulator
 * computes from the segments.
 */
#include "base/map.h"
#include "base/mem.h"
#include "policies/text_chunks.h"
#include "tests/harness.h"
#include "traces/token_text.h"
#include "traces/workload.h"

#include <string.h>

enum { CHUNK_TOKENS = TEXT_CHUNK_CHARACTERS / TOKEN_TEXT_BYTES, CHUNKS_MAX = 8192 };

static void every_id_has_a_text_that_reads_back(void)
{
    for (uint32_t i = 0; i < TOKEN_TEXT_ID_COUNT; i++) {
        char bytes[TOKEN_TEXT_BYTES];
        uint32_t id = 0;
        token_text_of_id(TOKEN_TEXT_ID_FIRST + i, bytes);
        EXPECT_U64(token_text_read(bytes, sizeof bytes, &id, 1), 1);
        if (!EXPECT_U64(id, TOKEN_TEXT_ID_FIRST + i)) {
            return;
        }
    }
}

static void text_and_ids_of_a_prompt_agree_whatever_its_cuts(void)
{
    const struct segment whole[] = {
        {.stream = segment_stream(SEGMENT_TEXT, 7), .offset = 40, .tokens = 100}};
    const struct segment cut[] = {
        {.stream = segment_stream(SEGMENT_TEXT, 7), .offset = 40, .tokens = 33},
        {.stream = segment_stream(SEGMENT_TEXT, 7), .offset = 73, .tokens = 67}};
    struct text one = {0};
    struct text two = {0};
    uint32_t direct[100];
    uint32_t read[100];
    token_text_add(&one, whole, 1);
    token_text_add(&two, cut, 2);
    EXPECT_U64(one.length, UINT64_C(100) * TOKEN_TEXT_BYTES);
    EXPECT_STR(text_str(&one), text_str(&two));
    EXPECT_U64(token_text_ids(cut, 2, direct, 100), 100);
    EXPECT_U64(token_text_read(text_str(&one), one.length, read, 100), 100);
    EXPECT_BYTES(read, direct, sizeof direct);
    text_fini(&one);
    text_fini(&two);
}

/* Goldens: mock engine, load generator and recorded files of other days must agree. */
static void the_rendering_is_frozen(void)
{
    const struct segment segments[] = {
        {.stream = segment_stream(SEGMENT_TEXT, 1), .tokens = 3},
        {.stream = segment_stream(SEGMENT_OUTPUT, 501), .offset = 9, .tokens = 2}};
    struct text out = {0};
    token_text_add(&out, segments, 2);
    EXPECT_STR(text_str(&out), " u2z zbm gus lbd xyy");
    text_fini(&out);
}

static void foreign_text_has_a_token_for_each_four_bytes_and_the_rest(void)
{
    uint32_t ids[4] = {0};
    EXPECT_U64(token_text_read("Hello, world", 12, ids, 4), 3);
    EXPECT_U64(token_text_read("Hello, world!", 13, ids, 4), 4);
    for (size_t i = 0; i < 4; i++) {
        EXPECT(ids[i] >= TOKEN_TEXT_ID_FIRST &&
               ids[i] < TOKEN_TEXT_ID_FIRST + TOKEN_TEXT_ID_COUNT);
    }
    EXPECT_U64(token_text_read("", 0, ids, 4), 0);
}

/* Hash -> the other one's, both ways: a bijection over all chunks that ever come. */
struct pairing {
    struct map *to_text;
    struct map *to_segments;
    uint64_t *text_of;
    uint64_t *segments_of;
    uint32_t count;
};

static bool pair(struct map *map, uint64_t *partner_of, uint64_t key, uint64_t partner,
                 uint32_t fresh)
{
    uint32_t index = 0;
    if (map_get(map, key, &index)) {
        return partner_of[index] == partner;
    }
    map_put(map, key, fresh);
    partner_of[fresh] = partner;
    return true;
}

static bool pair_chunks(struct pairing *pairing, const struct trace_record *record)
{
    static uint64_t by_text[CHUNKS_MAX];
    static uint64_t by_segments[CHUNKS_MAX];
    struct text prompt = {0};
    token_text_add(&prompt, record->segments, record->segment_count);
    const size_t count =
        text_chunk_hashes(text_str(&prompt), prompt.length, by_text, CHUNKS_MAX);
    bool good = EXPECT_U64(prompt.length, (uint64_t)record->prompt_tokens * 4);
    good = EXPECT_U64(segment_chunk_hashes(record->segments, record->segment_count,
                                           CHUNK_TOKENS, by_segments, CHUNKS_MAX),
                      count) &&
           good;
    for (size_t i = 0; good && i < count; i++) {
        const uint32_t fresh = pairing->count++;
        good = EXPECT(pair(pairing->to_text, pairing->text_of, by_segments[i],
                           by_text[i], fresh)) &&
               EXPECT(pair(pairing->to_segments, pairing->segments_of, by_text[i],
                           by_segments[i], fresh));
    }
    text_fini(&prompt);
    return good;
}

/* A prefix tree sees which chunks are equal and nothing else of their hashes. */
static void chunks_of_the_text_are_equal_exactly_where_those_of_the_segments_are(void)
{
    static const char *const SAMPLES[] = {"traces/samples/chat.csv.zst",
                                          "traces/samples/prefix.csv.zst"};
    enum { PAIRS_MAX = 1 << 20, RECORDS = 1000 };
    for (size_t i = 0; i < 2; i++) {
        struct pairing pairing = {
            .to_text = map_new(1024, PAIRS_MAX),
            .to_segments = map_new(1024, PAIRS_MAX),
            .text_of = mem_alloc(PAIRS_MAX, sizeof(uint64_t)),
            .segments_of = mem_alloc(PAIRS_MAX, sizeof(uint64_t)),
        };
        struct err err = {0};
        struct workload *workload = NULL;
        const struct trace_options options = {.limit = RECORDS};
        REQUIRE_OK(
            workload_open_trace(&workload, harness_source(SAMPLES[i]), &options, &err),
            &err);
        const struct trace_record *record = NULL;
        while (workload_next(workload, &record, &err) == WORKLOAD_RECORD &&
               pair_chunks(&pairing, record)) {
        }
        EXPECT(pairing.count > RECORDS);
        EXPECT(map_count(pairing.to_text) < pairing.count); /* some did repeat */
        workload_close(workload);
        map_delete(pairing.to_text);
        map_delete(pairing.to_segments);
        mem_free(pairing.text_of);
        mem_free(pairing.segments_of);
    }
}

HARNESS_MAIN("token_text", TEST(every_id_has_a_text_that_reads_back),
             TEST(text_and_ids_of_a_prompt_agree_whatever_its_cuts),
             TEST(the_rendering_is_frozen),
             TEST(foreign_text_has_a_token_for_each_four_bytes_and_the_rest),
             TEST(chunks_of_the_text_are_equal_exactly_where_those_of_the_segments_are))
