/* SPDX-License-Identifier: Apache-2.0
 *
 * hash_ring.h: the consistent-hash ring of uhashring 2.3 (MD5, 160 points per node).
 *
 * H(s) is MD5(s) as a 128-bit big-endian number. A node owns the points H(name-0) ..
 * H(name-159). A key belongs to the first point strictly above H(key), else to the
 * smallest point. spec/production-stack.md 1.2.
 *
 * One ring holds all members; a pick skips those that are no candidates, which gives
 * the owner that a ring of the candidates alone would give. The stack instead rebuilds
 * its ring whenever the candidates change.
 */
#ifndef STACKSIM_POLICIES_HASH_RING_H
#define STACKSIM_POLICIES_HASH_RING_H

#include "policies/policy.h"

enum { HASH_RING_POINTS_PER_NODE = 160 };

struct ring_point {
    uint64_t high; /* of the 128-bit hash */
    uint64_t low;
    uint32_t owner_id;
    uint32_t reserved; /* zero */
};

struct hash_ring {
    struct policy_memory memory;
    struct ring_point *points;
    size_t count;
    size_t sorted; /* points before this are in order; settled at the next pick */
    size_t capacity;
};

void hash_ring_init(struct hash_ring *ring, const struct policy_memory *memory);
void hash_ring_fini(struct hash_ring *ring);
/* The owner must not be on the ring. */
void hash_ring_add(struct hash_ring *ring, const char *name, uint32_t owner_id);
void hash_ring_remove(struct hash_ring *ring, uint32_t owner_id);
/* Index in the view of the key's owner; every candidate must be on the ring. */
uint32_t hash_ring_pick(struct hash_ring *ring, const struct cluster_view *view,
                        const char *key);
size_t hash_ring_bytes(const struct hash_ring *ring);

#endif
