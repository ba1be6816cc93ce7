/* SPDX-License-Identifier: Apache-2.0
 *
 * kvpool.h: the KV blocks of one engine and its prefix cache, in runs of blocks.
 *
 * Behaves as vLLM's block pool (spec/vllm-engine.md 2): hash-chained full blocks, a
 * free queue in order of release (last block of a sequence first), reuse from its
 * front, hits on free blocks. But it never touches a single block: the chains are kept
 * as a radix tree whose nodes are runs of blocks with the same holders, and the free
 * queue holds runs. A request costs a few node visits, whatever the length of its
 * prompt.
 *
 * Blocks that a sequence holds without an entry in the tree (partial last block, tokens
 * not yet known, copies of blocks that somebody registered first) are its private ones;
 * the pool only counts them. See docs/adr/0004-kv-blocks-as-runs.md for the one place
 * where this differs from a pool of single blocks (copies) and why.
 */
#ifndef STACKSIM_SIM_KVPOOL_H
#define STACKSIM_SIM_KVPOOL_H

#include "traces/segment.h"

#include <stdbool.h>
#include <stdint.h>

struct kvpool;

/* What the cache gained or lost: consecutive blocks of one chain. */
struct kv_change {
    struct block_run run;
    uint64_t chain; /* hash of the block before the run (traces/segment.h, salt 0) */
    bool stored;    /* else forgotten */
};
/* Told at once, in order. It must not call the pool. */
struct kv_listener {
    void *context;
    void (*on_change)(void *context, const struct kv_change *change);
};

struct kvpool_config {
    uint32_t blocks;          /* usable: without the null block; >= 1 */
    uint32_t block_tokens;    /* 1..1024 */
    bool prefix_caching;      /* off: the pool only counts */
    bool reuse_private_first; /* freed private blocks go to the queue's front */
    const struct kv_listener *listener; /* of changes of the cache; NULL = nobody */
};

struct kvpool *kvpool_new(const struct kvpool_config *config);
void kvpool_delete(struct kvpool *pool);

/* Blocks that no live sequence holds; cached ones are among them. */
uint32_t kvpool_free_blocks(const struct kvpool *pool);
uint32_t kvpool_total_blocks(const struct kvpool *pool);

/* Free blocks that can be taken without a change of what is cached; all free ones when
 * nobody listens. */
uint32_t kvpool_blank_blocks(const struct kvpool *pool);

/* What one sequence holds. Zeroed = nothing. The owner keeps it beside the request and
 * must not change it. runs are borrowed until kvpool_release. */
struct kv_sequence {
    const struct block_run *runs; /* the content: prompt, then output */
    uint32_t run_count;
    uint32_t run; /* cursor: run and blocks of it already registered */
    uint32_t run_blocks;
    uint32_t registered; /* full blocks in the tree */
    uint32_t surplus;    /* own copies of blocks that were registered already */
    uint32_t tail;       /* deepest node held; 0 = the root */
};

struct kv_hit {
    uint32_t blocks;    /* leading blocks present */
    uint32_t evictable; /* of them nobody holds: they leave the free queue on use */
    uint32_t node;      /* where the match ends, and how many blocks of that node */
    uint32_t node_blocks;
};

/* Longest cached prefix, at most limit_blocks. Changes nothing. */
struct kv_hit kvpool_lookup(const struct kvpool *pool, const struct block_run *runs,
                            uint32_t run_count, uint32_t limit_blocks);

/* Holds the hit's blocks and takes `need` private ones. Requires hit to come from a
 * lookup since which nothing changed, and hit.evictable + need <= free blocks. */
void kvpool_admit(struct kvpool *pool, struct kv_sequence *sequence,
                  const struct kv_hit *hit, uint32_t need);

/* Takes private blocks from the queue's front, forgetting what they cached. Requires
 * count <= free blocks. */
void kvpool_take(struct kvpool *pool, uint32_t count);

/* Gives the sequence's private blocks up to `blocks` (counted from its start) their
 * place in the tree. Never moves back. */
void kvpool_register(struct kvpool *pool, struct kv_sequence *sequence,
                     uint32_t blocks);

/* Gives everything back: the sequence occupies `owned` blocks, registered ones included
 * (surplus copies not counted). Empties the sequence. */
void kvpool_release(struct kvpool *pool, struct kv_sequence *sequence, uint32_t owned);

/* Walks everything; CHECK failure when broken (INV-4). held: private blocks of all live
 * sequences, surplus included. */
void kvpool_check(const struct kvpool *pool, uint64_t held);

/* Nodes in use, for tests and sizing. */
uint32_t kvpool_nodes(const struct kvpool *pool);

#endif
