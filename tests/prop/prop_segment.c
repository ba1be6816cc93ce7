/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_segment.c: segments against a naive model that knows every token.
 *
 * A token is (stream, offset). Prompts are drawn from few streams and few offsets, so
 * that equal, nearly equal and interleaved prompts are common.
 */
#include "base/rng.h"
#include "tests/harness.h"
#include "traces/segment.h"

#include <string.h>

enum { SEEDS = 3000, PIECES = 8, TOKENS_MAX = 512, CUTS_MAX = 2048, RUNS_MAX = 64 };

struct token {
    uint64_t stream;
    uint64_t offset;
};

struct prompt {
    struct segment pieces[CUTS_MAX];
    size_t count;
    struct token tokens[TOKENS_MAX];
    size_t token_count;
};

static void draw_prompt(struct prompt *prompt, struct rng *rng)
{
    const size_t count = rng_below(rng, PIECES + 1);
    prompt->count = 0;
    prompt->token_count = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t stream = segment_stream(SEGMENT_TEXT, rng_below(rng, 3));
        const uint64_t offset = rng_below(rng, 4) * 8;
        const uint32_t tokens = (uint32_t)rng_below(rng, 40);
        prompt->pieces[prompt->count++] = (struct segment){stream, offset, tokens, 0};
        for (uint32_t k = 0; k < tokens; k++) {
            prompt->tokens[prompt->token_count++] = (struct token){stream, offset + k};
        }
    }
}

/* The same tokens in pieces cut at random, empty ones among them. */
static void recut(struct prompt *out, const struct prompt *prompt, struct rng *rng)
{
    out->count = 0;
    out->token_count = prompt->token_count;
    memcpy(out->tokens, prompt->tokens, sizeof(out->tokens));
    for (size_t i = 0; i < prompt->count; i++) {
        struct segment left = prompt->pieces[i];
        while (left.tokens > 0) {
            const uint32_t take = (uint32_t)rng_below(rng, left.tokens + 1);
            out->pieces[out->count++] =
                (struct segment){left.stream, left.offset, take, 0};
            left.offset += take;
            left.tokens -= take;
            if (out->count > CUTS_MAX - TOKENS_MAX) { /* enough empty ones */
                out->pieces[out->count++] = left;
                break;
            }
        }
    }
}

static void normalise(struct prompt *prompt)
{
    prompt->count = segment_normalise(prompt->pieces, prompt->count);
}

/* Whole blocks at the start of both that hold the same tokens. */
static size_t naive_common_blocks(const struct prompt *a, const struct prompt *b,
                                  uint32_t block_tokens)
{
    const size_t count =
        a->token_count < b->token_count ? a->token_count : b->token_count;
    size_t same = 0;
    while (same < count && a->tokens[same].stream == b->tokens[same].stream &&
           a->tokens[same].offset == b->tokens[same].offset) {
        same++;
    }
    return same / block_tokens;
}

static size_t run_common_blocks(const struct block_run *a, size_t a_count,
                                const struct block_run *b, size_t b_count)
{
    size_t common = 0;
    for (size_t i = 0; i < a_count && i < b_count; i++) {
        if (a[i].key != b[i].key || a[i].offset != b[i].offset) {
            return common;
        }
        common += a[i].blocks < b[i].blocks ? a[i].blocks : b[i].blocks;
        if (a[i].blocks != b[i].blocks) {
            return common;
        }
    }
    return common;
}

static size_t hash_common(const uint64_t *a, size_t a_count, const uint64_t *b,
                          size_t b_count)
{
    size_t common = 0;
    while (common < a_count && common < b_count && a[common] == b[common]) {
        common++;
    }
    return common;
}

static void runs_cover_exactly_the_full_blocks(void)
{
    struct prompt prompt;
    struct block_run runs[RUNS_MAX];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "cover", 0);
        harness_note("seed %llu", (unsigned long long)seed);
        draw_prompt(&prompt, &rng);
        normalise(&prompt);
        const uint32_t block_tokens = 1 + (uint32_t)rng_below(&rng, 20);
        const size_t count =
            block_runs_cut(prompt.pieces, prompt.count, block_tokens, runs);
        REQUIRE(count <= block_runs_max(prompt.count));
        size_t blocks = 0;
        for (size_t i = 0; i < count; i++) {
            EXPECT(runs[i].blocks > 0);
            blocks += runs[i].blocks;
        }
        if (!EXPECT_U64(blocks, prompt.token_count / block_tokens)) {
            return;
        }
    }
}

static void runs_and_hashes_agree_exactly_as_far_as_the_tokens_do(void)
{
    static struct prompt a;
    static struct prompt b;
    static uint64_t a_hashes[TOKENS_MAX];
    static uint64_t b_hashes[TOKENS_MAX];
    struct block_run a_runs[RUNS_MAX];
    struct block_run b_runs[RUNS_MAX];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "agree", 0);
        harness_note("seed %llu", (unsigned long long)seed);
        draw_prompt(&a, &rng);
        draw_prompt(&b, &rng);
        if (rng_below(&rng, 2) == 0 && a.count > 0) { /* a long common start */
            const size_t keep = rng_below(&rng, a.count + 1);
            b.count = keep;
            memcpy(b.pieces, a.pieces, keep * sizeof(struct segment));
            b.token_count = segment_tokens(a.pieces, keep);
            memcpy(b.tokens, a.tokens, b.token_count * sizeof(struct token));
        }
        normalise(&a);
        normalise(&b);
        const uint32_t size = 1 + (uint32_t)rng_below(&rng, 20);
        const size_t expected = naive_common_blocks(&a, &b, size);
        const size_t a_count = block_runs_cut(a.pieces, a.count, size, a_runs);
        const size_t b_count = block_runs_cut(b.pieces, b.count, size, b_runs);
        const size_t a_blocks =
            segment_block_hashes(a.pieces, a.count, size, 0, a_hashes, TOKENS_MAX);
        const size_t b_blocks =
            segment_block_hashes(b.pieces, b.count, size, 0, b_hashes, TOKENS_MAX);
        if (!EXPECT_U64(run_common_blocks(a_runs, a_count, b_runs, b_count),
                        expected) ||
            !EXPECT_U64(hash_common(a_hashes, a_blocks, b_hashes, b_blocks),
                        expected)) {
            return;
        }
    }
}

static void nothing_depends_on_how_a_prompt_was_cut(void)
{
    static struct prompt whole;
    static struct prompt cut;
    static uint64_t whole_hashes[TOKENS_MAX];
    static uint64_t cut_hashes[TOKENS_MAX];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "recut", 0);
        harness_note("seed %llu", (unsigned long long)seed);
        draw_prompt(&whole, &rng);
        recut(&cut, &whole, &rng);
        normalise(&whole);
        normalise(&cut);
        REQUIRE(whole.count == cut.count);
        EXPECT_BYTES(cut.pieces, whole.pieces, whole.count * sizeof(struct segment));
        const uint32_t size = 1 + (uint32_t)rng_below(&rng, 20);
        size_t count = segment_block_hashes(whole.pieces, whole.count, size, seed,
                                            whole_hashes, TOKENS_MAX);
        EXPECT_U64(segment_block_hashes(cut.pieces, cut.count, size, seed, cut_hashes,
                                        TOKENS_MAX),
                   count);
        EXPECT_BYTES(cut_hashes, whole_hashes, count * sizeof(uint64_t));
        count = segment_chunk_hashes(whole.pieces, whole.count, size, whole_hashes,
                                     TOKENS_MAX);
        EXPECT_U64(count, (whole.token_count + size - 1) / size);
    }
}

static void runs_hash_as_the_whole_prompt_does(void)
{
    static struct prompt prompt;
    static uint64_t whole[TOKENS_MAX];
    static uint64_t parts[TOKENS_MAX];
    struct block_run runs[RUNS_MAX];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "run hashes", 0);
        harness_note("seed %llu", (unsigned long long)seed);
        draw_prompt(&prompt, &rng);
        normalise(&prompt);
        const uint32_t size = 1 + (uint32_t)rng_below(&rng, 20);
        const size_t run_count =
            block_runs_cut(prompt.pieces, prompt.count, size, runs);
        const size_t count = segment_block_hashes(prompt.pieces, prompt.count, size,
                                                  seed, whole, TOKENS_MAX);
        uint64_t chain = block_chain_start(seed);
        size_t written = 0;
        for (size_t i = 0; i < run_count; i++) {
            const uint64_t without = block_run_hashes(&runs[i], size, chain, NULL);
            chain = block_run_hashes(&runs[i], size, chain, parts + written);
            EXPECT_U64(without, chain);
            written += runs[i].blocks;
        }
        EXPECT_U64(written, count);
        EXPECT_BYTES(parts, whole, count * sizeof(uint64_t));
    }
}

/* Chunk i of a and chunk j of b. */
static bool naive_chunks_equal(const struct prompt *a, size_t i, const struct prompt *b,
                               size_t j, uint32_t size)
{
    const size_t a_end =
        (i + 1) * size < a->token_count ? (i + 1) * size : a->token_count;
    const size_t b_end =
        (j + 1) * size < b->token_count ? (j + 1) * size : b->token_count;
    if (a_end - i * size != b_end - j * size) {
        return false;
    }
    for (size_t k = 0; i * size + k < a_end; k++) {
        const struct token left = a->tokens[i * size + k];
        const struct token right = b->tokens[j * size + k];
        if (left.stream != right.stream || left.offset != right.offset) {
            return false;
        }
    }
    return true;
}

static void chunk_hashes_are_equal_exactly_when_the_tokens_are(void)
{
    static struct prompt a;
    static struct prompt b;
    static uint64_t a_hashes[TOKENS_MAX];
    static uint64_t b_hashes[TOKENS_MAX];
    size_t equal = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "chunks", 0);
        harness_note("seed %llu", (unsigned long long)seed);
        draw_prompt(&a, &rng);
        draw_prompt(&b, &rng);
        normalise(&a);
        normalise(&b);
        const uint32_t size = 1 + (uint32_t)rng_below(&rng, 20);
        const size_t a_count =
            segment_chunk_hashes(a.pieces, a.count, size, a_hashes, TOKENS_MAX);
        const size_t b_count =
            segment_chunk_hashes(b.pieces, b.count, size, b_hashes, TOKENS_MAX);
        for (size_t pair = 0; pair < a_count * b_count; pair++) {
            const size_t i = pair / b_count;
            const size_t j = pair % b_count;
            const bool same = naive_chunks_equal(&a, i, &b, j, size);
            equal += same ? 1 : 0;
            if (!EXPECT((a_hashes[i] == b_hashes[j]) == same)) {
                return;
            }
        }
    }
    EXPECT(equal > 1000); /* or the draws prove nothing */
}

HARNESS_MAIN("segment", TEST(runs_cover_exactly_the_full_blocks),
             TEST(runs_and_hashes_agree_exactly_as_far_as_the_tokens_do),
             TEST(nothing_depends_on_how_a_prompt_was_cut),
             TEST(runs_hash_as_the_whole_prompt_does),
             TEST(chunk_hashes_are_equal_exactly_when_the_tokens_are))
