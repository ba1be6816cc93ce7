/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.c: from token segments to block runs, block chains and chunk hashes.
 *
 * Everything rests on one canonical form: after segment_normalise every piece is as
 * long as it can be, so the pieces inside any window of tokens do not depend on how the
 * writer cut them. A window is then described by its pieces (stream, offset, tokens),
 * never by single tokens, and a window that lies in one stream costs one addition.
 * Rejected: a hash per token, combined per block. It would forgive a missing
 * normalisation, but costs the length of the prompt instead of the number of its
 * pieces.
 */
#include "traces/segment.h"

#include "base/check.h"
#include "base/hash.h"

/* Odd, without structure: fractional bits of the roots of 2, 3 and 5. */
#define STREAM_SALT   UINT64_C(0x6a09e667f3bcc909)
#define OFFSET_FACTOR UINT64_C(0xbb67ae8584caa73b)
#define TOKENS_FACTOR UINT64_C(0x3c6ef372fe94f82b)

size_t segment_normalise(struct segment *segments, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct segment piece = segments[i];
        if (piece.tokens == 0) {
            continue;
        }
        struct segment *const last = kept > 0 ? &segments[kept - 1] : NULL;
        const bool continues = last != NULL && last->stream == piece.stream &&
                               last->offset + last->tokens == piece.offset &&
                               last->tokens <= UINT32_MAX - piece.tokens;
        if (continues) {
            last->tokens += piece.tokens;
        } else {
            segments[kept++] = piece;
        }
    }
    return kept;
}

uint64_t segment_tokens(const struct segment *segments, size_t count)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        tokens += segments[i].tokens;
    }
    return tokens;
}

static uint64_t stream_code(uint64_t stream)
{
    return hash_mix(stream ^ STREAM_SALT);
}

/* Linear in offset and tokens, so that the next window of a stream costs one addition;
 * whoever uses it mixes the result. */
static uint64_t piece_code(uint64_t base, uint64_t offset, uint64_t tokens)
{
    return base + offset * OFFSET_FACTOR + tokens * TOKENS_FACTOR;
}

/* What is left of the segment under the cursor. */
struct cursor {
    uint64_t base; /* code of its stream */
    uint64_t offset;
    uint32_t left;
};

/* The window that earlier segments began and none has ended; filled == 0: there is
 * none. The code of a window is that of its first piece, chained with those of the
 * others. */
struct window {
    uint64_t code;
    uint32_t filled;
};

static struct cursor cursor_at(const struct segment *segment)
{
    return (struct cursor){stream_code(segment->stream), segment->offset,
                           segment->tokens};
}

/* Moves tokens into the open window; true when that ended it. */
static bool window_fill(struct window *window, uint32_t size, struct cursor *cursor)
{
    if (window->filled == 0) {
        return false;
    }
    const uint32_t room = size - window->filled;
    const uint32_t take = cursor->left < room ? cursor->left : room;
    window->code =
        hash_pair(window->code, piece_code(cursor->base, cursor->offset, take));
    window->filled += take;
    cursor->offset += take;
    cursor->left -= take;
    return window->filled == size;
}

/* Opens a window with what the cursor has left, less than a whole one. */
static void window_open(struct window *window, const struct cursor *cursor)
{
    window->code = piece_code(cursor->base, cursor->offset, cursor->left);
    window->filled = cursor->left;
}

size_t block_runs_cut(const struct segment *segments, size_t count,
                      uint32_t block_tokens, struct block_run *runs)
{
    CHECK(block_tokens > 0, "a block of no tokens");
    size_t run_count = 0;
    struct window open = {0, 0};
    for (size_t i = 0; i < count; i++) {
        struct cursor cursor = cursor_at(&segments[i]);
        if (window_fill(&open, block_tokens, &cursor)) {
            runs[run_count++] =
                (struct block_run){.key = open.code | BLOCK_RUN_MIXED, .blocks = 1};
            open.filled = 0;
        }
        if (open.filled > 0) {
            continue;
        }
        const uint32_t blocks = cursor.left / block_tokens;
        if (blocks > 0) {
            runs[run_count++] = (struct block_run){
                .key = segments[i].stream, .offset = cursor.offset, .blocks = blocks};
            cursor.offset += (uint64_t)blocks * block_tokens;
            cursor.left -= blocks * block_tokens;
        }
        window_open(&open, &cursor);
    }
    return run_count;
}

size_t segment_chunk_hashes(const struct segment *segments, size_t count,
                            uint32_t chunk_tokens, uint64_t *hashes, size_t max)
{
    CHECK(chunk_tokens > 0, "a chunk of no tokens");
    const uint64_t step = chunk_tokens * OFFSET_FACTOR;
    size_t written = 0;
    struct window open = {0, 0};
    for (size_t i = 0; i < count && written < max; i++) {
        struct cursor cursor = cursor_at(&segments[i]);
        if (window_fill(&open, chunk_tokens, &cursor)) {
            hashes[written++] = hash_mix(open.code);
            open.filled = 0;
        }
        if (open.filled > 0) {
            continue;
        }
        uint64_t code = piece_code(cursor.base, cursor.offset, chunk_tokens);
        for (; cursor.left >= chunk_tokens && written < max; code += step) {
            hashes[written++] = hash_mix(code);
            cursor.offset += chunk_tokens;
            cursor.left -= chunk_tokens;
        }
        window_open(&open, &cursor);
    }
    if (open.filled > 0 && written < max) {
        hashes[written++] = hash_mix(open.code);
    }
    return written;
}

/* The chain is asymmetric although it adds: `chain` is mixed, `code` is linear. */
static uint64_t chain_block(uint64_t chain, uint64_t code)
{
    return hash_mix(chain + code);
}

uint64_t block_chain_start(uint64_t salt)
{
    return hash_mix(salt);
}

uint64_t block_run_hashes(const struct block_run *run, uint32_t block_tokens,
                          uint64_t chain, uint64_t *hashes)
{
    const bool mixed = (run->key & BLOCK_RUN_MIXED) != 0;
    const uint64_t step = block_tokens * OFFSET_FACTOR;
    uint64_t code =
        mixed ? run->key : piece_code(stream_code(run->key), run->offset, block_tokens);
    for (uint32_t i = 0; i < run->blocks; i++, code += step) {
        chain = chain_block(chain, code);
        if (hashes != NULL) {
            hashes[i] = chain;
        }
    }
    return chain;
}

/* Six parameters: a struct for what is a mere range of memory would hide it. */
/* NOLINTNEXTLINE(readability-function-size) */
size_t segment_block_hashes(const struct segment *segments, size_t count,
                            uint32_t block_tokens, uint64_t salt, uint64_t *hashes,
                            size_t max)
{
    CHECK(block_tokens > 0, "a block of no tokens");
    const uint64_t step = block_tokens * OFFSET_FACTOR;
    uint64_t chain = block_chain_start(salt);
    size_t written = 0;
    struct window open = {0, 0};
    for (size_t i = 0; i < count && written < max; i++) {
        struct cursor cursor = cursor_at(&segments[i]);
        if (window_fill(&open, block_tokens, &cursor)) {
            /* The bit, so that a run of block_runs_cut gives the same hash. */
            chain = chain_block(chain, open.code | BLOCK_RUN_MIXED);
            hashes[written++] = chain;
            open.filled = 0;
        }
        if (open.filled > 0) {
            continue;
        }
        uint64_t code = piece_code(cursor.base, cursor.offset, block_tokens);
        for (; cursor.left >= block_tokens && written < max; code += step) {
            chain = chain_block(chain, code);
            hashes[written++] = chain;
            cursor.offset += block_tokens;
            cursor.left -= block_tokens;
        }
        window_open(&open, &cursor);
    }
    return written;
}
