/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix_trie.h: which endpoint was sent which prompt prefix; compressed.
 *
 * Means exactly what the stack's hash trie means (spec/production-stack.md 1.3): a node
 * per chunk, and on each node the set of endpoints that were sent a prompt through it.
 * A chain of chunks that all have the same set is one edge here, so a prompt of 250 new
 * chunks costs 250 hashes of 8 bytes and one node of some 50.
 *
 * The set of a node holds the sets of all nodes below it, because an insertion marks
 * its whole path. Nothing is ever evicted.
 */
#ifndef STACKSIM_POLICIES_PREFIX_TRIE_H
#define STACKSIM_POLICIES_PREFIX_TRIE_H

#include "policies/policy.h"

struct prefix_trie;

struct trie_match {
    uint32_t chunks;     /* how many chunks of the prompt some candidate was sent */
    const uint32_t *ids; /* ascending ids of all endpoints that were, candidates or
                            not; borrowed until the trie changes; NULL if chunks == 0 */
    uint32_t id_count;
};

/* The memory is the host's; its context must outlive the trie. */
struct prefix_trie *prefix_trie_new(const struct policy_memory *memory);
void prefix_trie_delete(struct prefix_trie *trie);

/* The longest prefix of the chunks that at least one endpoint with an index was sent.
 * index_of_id as in cluster_view. */
struct trie_match prefix_trie_match(const struct prefix_trie *trie,
                                    const uint64_t *chunks, uint32_t count,
                                    const uint32_t *index_of_id);
void prefix_trie_insert(struct prefix_trie *trie, const uint64_t *chunks,
                        uint32_t count, uint32_t endpoint_id);
/* Takes the endpoint off every node: walks the whole trie. */
void prefix_trie_forget(struct prefix_trie *trie, uint32_t endpoint_id);
void prefix_trie_clear(struct prefix_trie *trie);

/* Bytes taken from the host. */
size_t prefix_trie_bytes(const struct prefix_trie *trie);
/* Nodes of the uncompressed trie, without the root. */
uint64_t prefix_trie_chunks(const struct prefix_trie *trie);

#endif
