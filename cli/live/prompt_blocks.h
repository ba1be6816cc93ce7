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

struct prompt_blocks;

enum { PROMPT_BLOCKS_MAX = 1 << 20 }; /* then all is forgotten */

struct prompt_blocks *prompt_blocks_new(uint32_t block_tokens);
void prompt_blocks_delete(struct prompt_blocks *blocks);

struct prompt_ids {
    const uint32_t *ids;
    size_t count;
    uint64_t salt; /* unequal salts share nothing: adapters, cache_salt */
};
/* Normalised segments of this prompt, lent until the next call. */
size_t prompt_blocks_read(struct prompt_blocks *blocks, const struct prompt_ids *prompt,
                          const struct segment **segments);
/* The prompt just read is answered with these tokens of the stream OUTPUT of this id:
 * a later prompt that holds prompt and answer will be known. */
void prompt_blocks_answer(struct prompt_blocks *blocks, uint64_t output_id,
                          uint32_t output_tokens);

#endif
