/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.h: what a prompt is made of: pieces of abstract token streams.
 *
 * A prompt is a list of segments, not of tokens and not of hashes (spec/traces.md 3.2).
 * From the same segments follow the KV block chain at any block size, the text chunks a
 * router hashes, and (later) rendered text. Two prompts share a prefix exactly as far
 * as their normalised segments agree.
 */
#ifndef STACKSIM_TRACES_SEGMENT_H
#define STACKSIM_TRACES_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

/* Kind in the top byte, identity in the lower 56 bits. */
#define SEGMENT_KINDS(X)                                                               \
    X(TEXT, 't', "text that somebody wrote")                                           \
    X(OUTPUT, 'o', "the output of the request with this id")                           \
    X(BLOCK, 'b', "recorded prefix blocks: offset = block id * block size")            \
    X(MEDIA, 'm', "an image, sound or film")                                           \
    X(UNIQUE, 'u', "private content of the request with this id")

enum segment_kind {
#define X(name, letter, help) SEGMENT_##name = (letter),
    SEGMENT_KINDS(X)
#undef X
};

#define SEGMENT_ID_MAX ((UINT64_C(1) << 56) - 1)

static inline uint64_t segment_stream(enum segment_kind kind, uint64_t id)
{
    return ((uint64_t)kind << 56) | (id & SEGMENT_ID_MAX);
}
static inline enum segment_kind segment_kind_of(uint64_t stream)
{
    return (enum segment_kind)(stream >> 56);
}
static inline uint64_t segment_id_of(uint64_t stream)
{
    return stream & SEGMENT_ID_MAX;
}

/* Tokens [offset, offset + tokens) of a stream. */
struct segment {
    uint64_t stream;
    uint64_t offset;
    uint32_t tokens;
    uint32_t reserved; /* zero */
};

/* Drops empty pieces and merges neighbours that continue each other; returns the new
 * count. Everything below wants normalised segments. */
size_t segment_normalise(struct segment *segments, size_t count);
uint64_t segment_tokens(const struct segment *segments, size_t count);

/* Consecutive full blocks of a prompt that lie in one stream (a run), or one block that
 * spans several pieces (blocks == 1, key has its top bit set and hashes the pieces).
 * Two prompts hold the same tokens in their first n blocks if and only if their runs
 * agree over n blocks: same key, same offset (collisions of 63-bit hashes aside). */
struct block_run {
    uint64_t key;
    uint64_t offset; /* of the run's first token in its stream; 0 for a mixed block */
    uint32_t blocks;
    uint32_t reserved; /* zero */
};
#define BLOCK_RUN_MIXED (UINT64_C(1) << 63)

/* At most this many runs come out of `count` segments. */
static inline size_t block_runs_max(size_t count)
{
    return 2 * count;
}
/* Cuts segments into full blocks of block_tokens; a last partial block is left out.
 * Writes at most block_runs_max(count) runs, returns their number. */
size_t block_runs_cut(const struct segment *segments, size_t count,
                      uint32_t block_tokens, struct block_run *runs);

/* Chained hashes of a run's blocks, behind a block of hash `chain` (block_chain_start
 * for the first one). hashes NULL: none are written. Returns the last one. The runs of
 * block_runs_cut give what segment_block_hashes gives for the whole prompt. */
uint64_t block_chain_start(uint64_t salt);
uint64_t block_run_hashes(const struct block_run *run, uint32_t block_tokens,
                          uint64_t chain, uint64_t *hashes);

/* Hashes of chunks of chunk_tokens each (the last may be short), not chained: position
 * is not mixed in. Equal tokens give equal hashes, whatever the cuts. Writes
 * ceil(tokens / chunk_tokens) values at most `max`, returns their number. */
size_t segment_chunk_hashes(const struct segment *segments, size_t count,
                            uint32_t chunk_tokens, uint64_t *hashes, size_t max);

/* Chained hashes of full blocks: h_k = mix(h_(k-1), block k), h_(-1) = salt. */
size_t segment_block_hashes(const struct segment *segments, size_t count,
                            uint32_t block_tokens, uint64_t salt, uint64_t *hashes,
                            size_t max);

#endif
