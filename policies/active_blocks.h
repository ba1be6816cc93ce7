/* SPDX-License-Identifier: Apache-2.0
 *
 * active_blocks.h: KV blocks in use by the requests in flight, on each endpoint; blocks
 * that requests share count once.
 *
 * Blocks are known by their chained hashes, so those of one prompt that are in use
 * already are always its first ones. Bounded by the prompts in flight.
 */
#ifndef STACKSIM_POLICIES_ACTIVE_BLOCKS_H
#define STACKSIM_POLICIES_ACTIVE_BLOCKS_H

#include "policies/block_table.h"
#include "policies/id_table.h"
#include "policies/kv_index.h"

struct active_sequence;

struct active_blocks {
    struct policy_memory memory;
    struct block_table uses; /* of a block on an endpoint; ref = how many use it */
    struct kv_index *index;  /* the same blocks by endpoint, for one walk over all */
    struct id_table counts;  /* blocks in use by endpoint id, uint64_t */
    struct active_sequence *sequences;
    uint32_t sequence_count;
    uint32_t sequence_capacity;
    uint32_t unused; /* list of sequences; UINT32_MAX = none */
    size_t hash_bytes;
};

/* What a request uses: hashed blocks, and blocks of its own. */
struct active_prompt {
    const uint64_t *hashes;
    uint32_t count;
    uint32_t own;
};

void active_blocks_init(struct active_blocks *active,
                        const struct policy_memory *memory);
void active_blocks_fini(struct active_blocks *active);
/* Returns a number for active_blocks_close; copies the hashes. */
uint32_t active_blocks_open(struct active_blocks *active, uint32_t endpoint_id,
                            const struct active_prompt *prompt);
void active_blocks_close(struct active_blocks *active, uint32_t endpoint_id,
                         uint32_t sequence);
uint64_t active_blocks_count(struct active_blocks *active, uint32_t endpoint_id);
/* Leading blocks of the prompt that are in use, wherever some are; as kv_index_match.
 */
uint32_t active_blocks_match(struct active_blocks *active,
                             const struct active_prompt *prompt,
                             const struct index_hit **hits);
size_t active_blocks_bytes(const struct active_blocks *active);

#endif
