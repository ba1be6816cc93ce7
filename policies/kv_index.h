/* SPDX-License-Identifier: Apache-2.0
 *
 * kv_index.h: which endpoint has which KV block, by its own word; bounded.
 *
 * Fed by KV events, where prefix_index.h is fed by what was sent. As late as the events
 * are; after a lost one it misses blocks or holds some that are gone. Each endpoint
 * has at most as many blocks as it was allowed: beyond, those are forgotten that it
 * stored longest ago, which is where removals that got lost pile up.
 */
#ifndef STACKSIM_POLICIES_KV_INDEX_H
#define STACKSIM_POLICIES_KV_INDEX_H

#include "policies/prefix_index.h"

struct kv_index;

struct kv_index *kv_index_new(const struct policy_memory *memory);
void kv_index_delete(struct kv_index *index);

/* Whoever stores a block becomes the only one who has it, as the controller of LMCache
 * once did by mistake; off at first. */
void kv_index_replace(struct kv_index *index, bool replaces);

/* Blocks that the endpoint may have, >= 1; needed before its first event. */
void kv_index_allow(struct kv_index *index, uint32_t endpoint_id, uint32_t blocks_max);
void kv_index_apply(struct kv_index *index, uint32_t endpoint_id,
                    const struct kv_event *event);
/* The endpoint's blocks are gone; what it is allowed stays. */
void kv_index_forget(struct kv_index *index, uint32_t endpoint_id);

/* Of those who have the block, who stored it first; UINT32_MAX = nobody has it. */
uint32_t kv_index_owner(const struct kv_index *index, uint64_t block);

/* All endpoints that have at least the first block, with the leading blocks that they
 * have without a gap, in the order in which they stored the first one. Returns their
 * number; *hits is borrowed until the next call. */
uint32_t kv_index_match(struct kv_index *index, const uint64_t *blocks, uint32_t count,
                        const struct index_hit **hits);

/* Blocks that the endpoint has in the index. */
uint32_t kv_index_blocks(const struct kv_index *index, uint32_t endpoint_id);
/* Bytes taken from the host. */
size_t kv_index_bytes(const struct kv_index *index);

#endif
