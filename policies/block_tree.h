/* SPDX-License-Identifier: Apache-2.0
 *
 * block_tree.h: which endpoint was sent which block of a prompt, in exact LRU order.
 *
 * A node is a block, or a chunk of text, under a chained key: equal key, equal prompt
 * up to and including the block. An entry says that an endpoint was sent a node's
 * block. Where prefix_index answers for all endpoints at once and forgets by itself,
 * this one says who was sent a block last, what an endpoint would forget next, and how
 * often its entries were met; its owner decides when to forget (block_tree_trim).
 *
 * Nodes and entries are named by numbers that stay valid until the entry is forgotten.
 */
#ifndef STACKSIM_POLICIES_BLOCK_TREE_H
#define STACKSIM_POLICIES_BLOCK_TREE_H

#include "policies/policy.h"

struct block_tree;

#define BLOCK_TREE_NONE UINT32_MAX

/* The memory is the host's; its context must outlive the tree. */
struct block_tree *block_tree_new(const struct policy_memory *memory);
void block_tree_delete(struct block_tree *tree);

/* How many leading keys some endpoint was sent; *node is the last of these, or NONE. */
uint32_t block_tree_match(const struct block_tree *tree, const uint64_t *keys,
                          uint32_t count, uint32_t *node);
/* The node of a key; NONE when no endpoint was sent it. */
uint32_t block_tree_find(const struct block_tree *tree, uint64_t key);
/* The endpoint was sent a prompt of these blocks: they are its latest, the first block
 * the very latest, and it is the last that was sent them. Entries that it had count a
 * use in this epoch. Returns how many it had not. Epochs never go back. */
uint32_t block_tree_insert(struct block_tree *tree, uint32_t endpoint_id,
                           const uint64_t *keys, uint32_t count, uint32_t epoch);
/* Forgets the endpoint's oldest entries until it has at most blocks_max. */
void block_tree_trim(struct block_tree *tree, uint32_t endpoint_id,
                     uint32_t blocks_max);
/* Forgets that the endpoint was sent these blocks, where it was. */
void block_tree_remove(struct block_tree *tree, uint32_t endpoint_id,
                       const uint64_t *keys, uint32_t count);

/* Entries of a node, who was sent it last first; NONE ends. */
uint32_t block_tree_first(const struct block_tree *tree, uint32_t node);
uint32_t block_tree_next(const struct block_tree *tree, uint32_t entry);
/* Entries of an endpoint, the oldest first; NONE ends. */
uint32_t block_tree_oldest(const struct block_tree *tree, uint32_t endpoint_id);
uint32_t block_tree_newer(const struct block_tree *tree, uint32_t entry);

struct block_entry {
    uint32_t endpoint_id;
    uint32_t depth; /* blocks before it in its prompt */
    uint32_t uses;  /* in this epoch and the one before */
};
struct block_entry block_tree_entry(const struct block_tree *tree, uint32_t entry,
                                    uint32_t epoch);

/* Entries of the endpoint. */
uint32_t block_tree_count(const struct block_tree *tree, uint32_t endpoint_id);
/* Bytes taken from the host. */
size_t block_tree_bytes(const struct block_tree *tree);

#endif
