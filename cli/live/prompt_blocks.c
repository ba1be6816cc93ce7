/* SPDX-License-Identifier: Apache-2.0
 *
 * prompt_blocks.c: see prompt_blocks.h.
 *
 * New blocks are numbered in order of appearance and lie side by side in one stream of
 * recorded blocks, so that a new prompt is one segment. The block in which a prompt
 * ends and its answer begins has a piece of each: no block ever has more than two.
 */
#include "cli/live/prompt_blocks.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "traces/token_text.h"

#include <string.h>

enum { PIECES_MAX = 2, TOKENS_MAX = 1 << 26 };

struct block_entry {
    struct segment pieces[PIECES_MAX];
    size_t count;
};

struct prompt_blocks {
    uint32_t block_tokens;
    struct map *map; /* chained hash -> entry */
    struct block_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    uint64_t next_block; /* never used again, even after all was forgotten */
    /* Of the prompt read last. */
    struct segment *segments;
    size_t segment_count;
    size_t segment_capacity;
    uint64_t chain; /* of its full blocks */
    uint32_t *tail; /* ids behind them; room for a block */
    uint32_t tail_tokens;
    /* Ids by the engine's hashes; NULL and unused unless they are kept. */
    struct map *ids_of;
    uint32_t *ids; /* block_tokens each */
    size_t ids_count;
    size_t ids_capacity;
    uint64_t *engine_hashes; /* of the prompt read last */
    size_t engine_capacity;
    uint64_t engine_chain; /* of its last full block */
    bool apart;
};

struct prompt_blocks *prompt_blocks_new(uint32_t block_tokens, bool keeps_ids)
{
    struct prompt_blocks *blocks = mem_alloc(1, sizeof *blocks);
    blocks->block_tokens = block_tokens;
    blocks->map = map_new(1024, PROMPT_BLOCKS_MAX);
    blocks->tail = mem_alloc(block_tokens, sizeof *blocks->tail);
    blocks->ids_of = keeps_ids ? map_new(1024, PROMPT_BLOCKS_MAX) : NULL;
    return blocks;
}

void prompt_blocks_delete(struct prompt_blocks *blocks)
{
    if (blocks != NULL) {
        map_delete(blocks->map);
        mem_free(blocks->entries);
        mem_free(blocks->segments);
        mem_free(blocks->tail);
        map_delete(blocks->ids_of);
        mem_free(blocks->ids);
        mem_free(blocks->engine_hashes);
        mem_free(blocks);
    }
}

static uint64_t chain_ids(uint64_t chain, const uint32_t *ids, size_t count)
{
    return hash_pair(chain, hash_xxh64(ids, count * sizeof *ids, 0));
}

static const struct block_entry *find(const struct prompt_blocks *blocks, uint64_t hash)
{
    uint32_t index = 0;
    return map_get(blocks->map, hash, &index) ? &blocks->entries[index] : NULL;
}

static void remember(struct prompt_blocks *blocks, uint64_t hash,
                     const struct block_entry *entry)
{
    if (blocks->entry_count == PROMPT_BLOCKS_MAX) {
        map_clear(blocks->map);
        blocks->entry_count = 0;
    }
    void *array = blocks->entries;
    const bool grown =
        mem_grow(&array, &blocks->entry_capacity, blocks->entry_count + 1,
                 sizeof *blocks->entries, PROMPT_BLOCKS_MAX);
    CHECK(grown, "%zu known blocks", blocks->entry_count);
    blocks->entries = array;
    blocks->entries[blocks->entry_count] = *entry;
    map_put(blocks->map, hash, (uint32_t)blocks->entry_count++);
}

static void add_piece(struct prompt_blocks *blocks, const struct segment *piece)
{
    void *array = blocks->segments;
    const bool grown = mem_grow(&array, &blocks->segment_capacity,
                                blocks->segment_count + 1, sizeof *piece, TOKENS_MAX);
    CHECK(grown, "%zu pieces of a prompt", blocks->segment_count);
    blocks->segments = array;
    blocks->segments[blocks->segment_count++] = *piece;
}

/* A known block, or a new one of that many tokens. */
static void add_block(struct prompt_blocks *blocks, uint64_t hash, uint32_t tokens)
{
    const struct block_entry *known = find(blocks, hash);
    if (known == NULL) {
        const struct block_entry fresh = {
            .pieces = {{.stream = segment_stream(SEGMENT_BLOCK, 0),
                        .offset = blocks->next_block++ * blocks->block_tokens,
                        .tokens = tokens}},
            .count = 1};
        remember(blocks, hash, &fresh);
        add_piece(blocks, &fresh.pieces[0]);
        return;
    }
    const struct block_entry copy = *known;
    for (size_t i = 0; i < copy.count; i++) {
        add_piece(blocks, &copy.pieces[i]);
    }
}

/* --- ids -------------------------------------------------------------------------- */

static void keep_ids(struct prompt_blocks *blocks, uint64_t hash, const uint32_t *ids)
{
    const uint32_t size = blocks->block_tokens;
    uint32_t index = 0;
    if (map_get(blocks->ids_of, hash, &index)) {
        return;
    }
    if (blocks->ids_count == PROMPT_BLOCKS_MAX) {
        map_clear(blocks->ids_of);
        blocks->ids_count = 0;
    }
    void *array = blocks->ids;
    const bool grown =
        mem_grow(&array, &blocks->ids_capacity, (blocks->ids_count + 1) * size,
                 sizeof *blocks->ids, (size_t)PROMPT_BLOCKS_MAX * size);
    CHECK(grown, "ids of %zu blocks", blocks->ids_count);
    blocks->ids = array;
    memcpy(blocks->ids + blocks->ids_count * size, ids, size * sizeof *ids);
    map_put(blocks->ids_of, hash, (uint32_t)blocks->ids_count++);
}

static void keep_prompt(struct prompt_blocks *blocks, const struct prompt_ids *prompt)
{
    const uint32_t size = blocks->block_tokens;
    const size_t full = prompt->count / size;
    blocks->apart = prompt->apart;
    blocks->engine_chain = block_chain_start(0);
    if (blocks->ids_of == NULL || prompt->apart || full == 0) {
        return;
    }
    void *array = blocks->engine_hashes;
    const bool grown = mem_grow(&array, &blocks->engine_capacity, full,
                                sizeof *blocks->engine_hashes, TOKENS_MAX);
    CHECK(grown, "%zu blocks of a prompt", full);
    blocks->engine_hashes = array;
    const size_t count = segment_block_hashes(blocks->segments, blocks->segment_count,
                                              size, 0, blocks->engine_hashes, full);
    for (size_t i = 0; i < count; i++) {
        keep_ids(blocks, blocks->engine_hashes[i], prompt->ids + i * size);
        blocks->engine_chain = blocks->engine_hashes[i];
    }
}

/* The block of the answer that `pieces` make, whose ids are in the tail. */
static void keep_answer(struct prompt_blocks *blocks, const struct block_entry *entry)
{
    struct block_run runs[2 * PIECES_MAX];
    if (blocks->ids_of == NULL || blocks->apart) {
        return;
    }
    struct segment pieces[PIECES_MAX];
    memcpy(pieces, entry->pieces, sizeof pieces);
    const size_t count = segment_normalise(pieces, entry->count);
    const size_t run_count = block_runs_cut(pieces, count, blocks->block_tokens, runs);
    CHECK(run_count == 1 && runs[0].blocks == 1, "an answer's block in %zu runs",
          run_count);
    blocks->engine_chain =
        block_run_hashes(&runs[0], blocks->block_tokens, blocks->engine_chain, NULL);
    keep_ids(blocks, blocks->engine_chain, blocks->tail);
}

const uint32_t *prompt_blocks_ids(const struct prompt_blocks *blocks, uint64_t hash)
{
    uint32_t index = 0;
    return blocks->ids_of != NULL && map_get(blocks->ids_of, hash, &index)
               ? blocks->ids + (size_t)index * blocks->block_tokens
               : NULL;
}

/* --- prompts and answers ---------------------------------------------------------- */

size_t prompt_blocks_read(struct prompt_blocks *blocks, const struct prompt_ids *prompt,
                          const struct segment **segments)
{
    const uint32_t size = blocks->block_tokens;
    size_t at = 0;
    blocks->segment_count = 0;
    blocks->chain = hash_mix(prompt->salt + 1);
    for (; at + size <= prompt->count; at += size) {
        blocks->chain = chain_ids(blocks->chain, prompt->ids + at, size);
        add_block(blocks, blocks->chain, size);
    }
    blocks->tail_tokens = (uint32_t)(prompt->count - at);
    if (blocks->tail_tokens > 0) {
        memcpy(blocks->tail, prompt->ids + at,
               blocks->tail_tokens * sizeof *blocks->tail);
        add_block(blocks, chain_ids(blocks->chain, blocks->tail, blocks->tail_tokens),
                  blocks->tail_tokens);
    }
    const struct segment *last =
        blocks->segment_count > 0 ? &blocks->segments[blocks->segment_count - 1] : NULL;
    CHECK(last != NULL, "a prompt of no tokens");
    const struct segment tail = *last;
    blocks->segment_count = segment_normalise(blocks->segments, blocks->segment_count);
    if (blocks->tail_tokens > 0) {
        /* Kept for the answer: the piece that stands for the tail. */
        add_piece(blocks, &tail);
        blocks->segment_count--;
    }
    keep_prompt(blocks, prompt);
    *segments = blocks->segments;
    return blocks->segment_count;
}

void prompt_blocks_answer(struct prompt_blocks *blocks, uint64_t output_id,
                          uint32_t output_tokens)
{
    const uint32_t size = blocks->block_tokens;
    const uint64_t stream = segment_stream(SEGMENT_OUTPUT, output_id);
    struct block_entry entry = {0};
    uint32_t filled = blocks->tail_tokens;
    if (filled > 0) {
        entry.pieces[entry.count++] = blocks->segments[blocks->segment_count];
    }
    uint32_t at = 0;
    while (output_tokens - at >= size - filled) {
        const uint32_t take = size - filled;
        entry.pieces[entry.count++] =
            (struct segment){.stream = stream, .offset = at, .tokens = take};
        (void)token_text_ids(&entry.pieces[entry.count - 1], 1, blocks->tail + filled,
                             take);
        blocks->chain = chain_ids(blocks->chain, blocks->tail, size);
        keep_answer(blocks, &entry);
        if (find(blocks, blocks->chain) == NULL) {
            remember(blocks, blocks->chain, &entry);
        }
        at += take;
        filled = 0;
        entry.count = 0;
    }
}
