/* SPDX-License-Identifier: Apache-2.0
 *
 * Token ids back to segments: prompts that share a prefix as recorded must share it
 * after the way through ids, conversations and all.
 */
#include "base/mem.h"
#include "cli/live/prompt_blocks.h"
#include "tests/harness.h"
#include "traces/token_text.h"
#include "traces/workload.h"

enum { BLOCK = 16, IDS_MAX = 1 << 17, HASHES_MAX = IDS_MAX / BLOCK };

/* Chained hashes of full blocks: equal as far as the engine's cache would match. */
static size_t hashes_of(struct prompt_blocks *blocks, const uint32_t *ids, size_t count,
                        uint64_t *hashes)
{
    const struct prompt_ids prompt = {ids, count, 0, false};
    const struct segment *segments = NULL;
    const size_t pieces = prompt_blocks_read(blocks, &prompt, &segments);
    EXPECT_U64(segment_tokens(segments, pieces), count);
    return segment_block_hashes(segments, pieces, BLOCK, 0, hashes, HASHES_MAX);
}

static size_t shared(const uint64_t *a, size_t a_count, const uint64_t *b,
                     size_t b_count)
{
    size_t same = 0;
    while (same < a_count && same < b_count && a[same] == b[same]) {
        same++;
    }
    return same;
}

static void fill(uint32_t *ids, size_t count, uint64_t stream)
{
    const struct segment segment = {.stream = segment_stream(SEGMENT_TEXT, stream),
                                    .tokens = (uint32_t)count};
    (void)token_text_ids(&segment, 1, ids, count);
}

static void equal_beginnings_share_whole_blocks_and_no_more(void)
{
    struct prompt_blocks *blocks = prompt_blocks_new(BLOCK, false);
    static uint64_t a[HASHES_MAX];
    static uint64_t b[HASHES_MAX];
    uint32_t ids[100];
    fill(ids, 100, 1);
    const size_t a_count = hashes_of(blocks, ids, 100, a);
    EXPECT_U64(a_count, 6);
    ids[40]++;
    const size_t b_count = hashes_of(blocks, ids, 90, b);
    EXPECT_U64(b_count, 5);
    EXPECT_U64(shared(a, a_count, b, b_count), 2);
    ids[40]--;
    EXPECT_U64(shared(a, a_count, b, hashes_of(blocks, ids, 100, b)), 6);
    prompt_blocks_delete(blocks);
}

static void salts_share_nothing(void)
{
    struct prompt_blocks *blocks = prompt_blocks_new(BLOCK, false);
    uint32_t ids[32];
    fill(ids, 32, 1);
    const struct segment *segments = NULL;
    const struct prompt_ids one = {ids, 32, 1, false};
    const struct prompt_ids two = {ids, 32, 2, false};
    EXPECT_U64(prompt_blocks_read(blocks, &one, &segments), 1);
    EXPECT_U64(segments[0].offset, 0);
    EXPECT_U64(prompt_blocks_read(blocks, &two, &segments), 1);
    EXPECT_U64(segments[0].offset, 32);
    prompt_blocks_delete(blocks);
}

/* Sizes around the block's edges, exhaustively: what the engine keeps of a request is
 * the chain of prompt and output stream; the next turn must be that chain as ids. */
static void a_prompt_that_quotes_an_answer_is_the_chain_that_the_engine_kept(void)
{
    static uint64_t kept[HASHES_MAX];
    static uint64_t next[HASHES_MAX];
    for (uint32_t prompt = 1; prompt <= 2 * BLOCK + 1; prompt++) {
        for (uint32_t output = 1; output <= 2 * BLOCK + 1; output++) {
            struct prompt_blocks *blocks = prompt_blocks_new(BLOCK, false);
            uint32_t ids[4 * BLOCK + 2];
            struct segment chain[8];
            fill(ids, prompt, 1);
            const struct prompt_ids first = {ids, prompt, 0, false};
            const struct segment *segments = NULL;
            size_t count = prompt_blocks_read(blocks, &first, &segments);
            for (size_t i = 0; i < count; i++) {
                chain[i] = segments[i];
            }
            chain[count++] = (struct segment){
                .stream = segment_stream(SEGMENT_OUTPUT, 77), .tokens = output};
            prompt_blocks_answer(blocks, 77, output);
            const size_t kept_count =
                segment_block_hashes(chain, count, BLOCK, 0, kept, HASHES_MAX);
            (void)token_text_ids(&chain[count - 1], 1, ids + prompt, output);
            const size_t next_count = hashes_of(blocks, ids, prompt + output, next);
            harness_note("prompt %u, output %u", prompt, output);
            EXPECT_U64(next_count, kept_count);
            EXPECT_U64(shared(kept, kept_count, next, next_count), kept_count);
            prompt_blocks_delete(blocks);
        }
    }
}

/* The longest prefix that one prompt has in common with the one before. */
static void a_recorded_conversation_keeps_its_shared_prefixes(void)
{
    struct err err = {0};
    struct workload *workload = NULL;
    const struct trace_options options = {.limit = 400};
    REQUIRE_OK(workload_open_trace(&workload,
                                   harness_source("traces/samples/chat.csv.zst"),
                                   &options, &err),
               &err);
    struct prompt_blocks *blocks = prompt_blocks_new(BLOCK, false);
    uint32_t *ids = mem_alloc(IDS_MAX, sizeof *ids);
    uint64_t *recorded = mem_alloc((size_t)400 * HASHES_MAX / 8, sizeof *recorded);
    uint64_t *live = mem_alloc((size_t)400 * HASHES_MAX / 8, sizeof *live);
    size_t begin[401] = {0};
    size_t turns = 0;
    const struct trace_record *record = NULL;
    while (turns < 400 && workload_next(workload, &record, &err) == WORKLOAD_RECORD) {
        const size_t at = begin[turns];
        const size_t tokens =
            token_text_ids(record->segments, record->segment_count, ids, IDS_MAX);
        const size_t count =
            segment_block_hashes(record->segments, record->segment_count, BLOCK, 0,
                                 recorded + at, HASHES_MAX);
        EXPECT_U64(hashes_of(blocks, ids, tokens, live + at), count);
        prompt_blocks_answer(blocks, record->id, record->output_tokens);
        begin[++turns] = at + count;
    }
    size_t sharing = 0;
    for (size_t i = 0; i < turns; i++) {
        for (size_t k = 0; k < i; k++) {
            const size_t wanted = shared(recorded + begin[i], begin[i + 1] - begin[i],
                                         recorded + begin[k], begin[k + 1] - begin[k]);
            sharing += wanted > 0 ? 1 : 0;
            if (!EXPECT_U64(shared(live + begin[i], begin[i + 1] - begin[i],
                                   live + begin[k], begin[k + 1] - begin[k]),
                            wanted)) {
                i = turns;
                break;
            }
        }
    }
    EXPECT(sharing > 50);
    prompt_blocks_delete(blocks);
    workload_close(workload);
    mem_free(ids);
    mem_free(recorded);
    mem_free(live);
}

HARNESS_MAIN("prompt_blocks", TEST(equal_beginnings_share_whole_blocks_and_no_more),
             TEST(salts_share_nothing),
             TEST(a_prompt_that_quotes_an_answer_is_the_chain_that_the_engine_kept),
             TEST(a_recorded_conversation_keeps_its_shared_prefixes))
