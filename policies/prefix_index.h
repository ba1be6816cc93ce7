/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix_index.h: which endpoint was sent which block of a prompt; inverted, bounded.
 *
 * Keys are chained block hashes (request_view.block_hashes): equal key, equal prompt up
 * to and including the block. One walk along a prompt's keys gives the unbroken hit of
 * every endpoint. Each endpoint keeps at most as many blocks as it was allowed; beyond,
 * the index forgets as an engine's prefix cache does: blocks not used for long first,
 * and of one prompt the last block first (spec/policies.md 13.8).
 */
#ifndef STACKSIM_POLICIES_PREFIX_INDEX_H
#define STACKSIM_POLICIES_PREFIX_INDEX_H

#include "policies/policy.h"

struct prefix_index;

struct index_hit {
    uint32_t endpoint_id;
    uint32_t blocks; /* leading blocks of the prompt that it was sent, >= 1 */
};

/* The memory is the host's; its context must outlive the index. */
struct prefix_index *prefix_index_new(const struct policy_memory *memory);
void prefix_index_delete(struct prefix_index *index);

/* Blocks that the endpoint may have in the index, >= 1; needed before its first insert.
 * Fewer than it has: the surplus is forgotten at once. */
void prefix_index_allow(struct prefix_index *index, uint32_t endpoint_id,
                        uint32_t blocks_max);
/* The endpoint was sent a prompt of these blocks. Of a prompt longer than allowed the
 * first blocks count. */
void prefix_index_insert(struct prefix_index *index, uint32_t endpoint_id,
                         const uint64_t *blocks, uint32_t count);
/* The endpoint's blocks are gone; what it is allowed stays. */
void prefix_index_forget(struct prefix_index *index, uint32_t endpoint_id);

/* All endpoints that were sent at least the first block, shortest hit first, equals by
 * id. Returns their number; *hits is borrowed until the next call. */
uint32_t prefix_index_match(struct prefix_index *index, const uint64_t *blocks,
                            uint32_t count, const struct index_hit **hits);

/* Blocks that the endpoint has in the index. */
uint32_t prefix_index_blocks(const struct prefix_index *index, uint32_t endpoint_id);
/* Bytes taken from the host. */
size_t prefix_index_bytes(const struct prefix_index *index);

#endif
