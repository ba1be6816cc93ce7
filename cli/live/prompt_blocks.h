/* SPDX-License-Identifier: Apache-2.0
 *
 * prompt_blocks.h: token ids back to segments, so that the simulator's engine finds the
 * prefixes that live prompts share.
 *
 * Remembers the content of every block that came by, prompts and answers, by its
 * chained hash. A prompt whose first blocks are known becomes the very segments they
 * were made of, and matches the engine's prefix cache exactly as far as the ids do.
 */
#ifndef STACKSIM_CLI_LIVE_PROMPT_BLOCKS_H
#define STACKSIM_CLI_LIVE_PROMPT_BLOCKS_H

#include "traces/segment.h"

#include <stdbool.h>

struct prompt_blocks;

enum { PROMPT_BLOCKS_MAX = 1 << 20 }; /* then all is forgotten */

/* keeps_ids: prompt_blocks_ids will be asked, for 4 bytes a token. */
struct prompt_blocks *prompt_blocks_new(uint32_t block_tokens, bool keeps_ids);
void prompt_blocks_delete(struct prompt_blocks *blocks);

struct prompt_ids {
    const uint32_t *ids;
    size_t count;
    uint64_t salt; /* unequal salts share nothing: adapters, cache_salt */
    bool apart;    /* not of the base model: its ids are not kept */
};
/* Normalised segments of this prompt, lent until the next call. */
size_t prompt_blocks_read(struct prompt_blocks *blocks, const struct prompt_ids *prompt,
                          const struct segment **segments);
/* The prompt just read is answered with these tokens of the stream OUTPUT of this id:
 * a later prompt that holds prompt and answer will be known. */
void prompt_blocks_answer(struct prompt_blocks *blocks, uint64_t output_id,
                          uint32_t output_tokens);

/* Token ids of a full block that came by, by the hash that the engine's cache has for
 * it (segment_block_hashes, salt 0); NULL when they are not kept. */
const uint32_t *prompt_blocks_ids(const struct prompt_blocks *blocks, uint64_t hash);

#endif
