/* SPDX-License-Identifier: Apache-2.0
 *
 * hash_ring.h: a consistent-hash ring, of one of two kinds.
 *
 * uhashring 2.3 (spec/production-stack.md 1.2): H(s) is MD5(s) as a 128-bit big-endian
 * number, a node owns the points H(name-0) .. H(name-159). XXH64 (spec/policies.md
 * P10): H(s) is XXH64(s), a node owns H(name0) .. for as many points as wanted. In both
 * a key belongs to the first point strictly above H(key), else to the smallest point.
 *
 * One ring holds all members; a pick skips those that are no candidates, which gives
 * the owner that a ring of the candidates alone would give. The stack instead rebuilds
 * its ring whenever the candidates change.
 */
#ifndef STACKSIM_POLICIES_HASH_RING_H
#define STACKSIM_POLICIES_HASH_RING_H

#include "policies/policy.h"

enum { HASH_RING_POINTS_PER_NODE = 160 }; /* of uhashring */
enum ring_kind { RING_UHASHRING, RING_XXH64 };

struct ring_point {
    uint64_t high; /* of the 128-bit hash; XXH64 whole */
    uint64_t low;  /* XXH64: zero */
    uint32_t owner_id;
    uint32_t reserved; /* zero */
};

struct hash_ring {
    struct policy_memory memory;
    enum ring_kind kind;
    uint32_t points_per_node;
    struct ring_point *points;
    size_t count;
    size_t sorted; /* points before this are in order; settled at the next pick */
    size_t capacity;
};

void hash_ring_init(struct hash_ring *ring, const struct policy_memory *memory);
void hash_ring_init_xxh64(struct hash_ring *ring, const struct policy_memory *memory,
                          uint32_t points_per_node);
void hash_ring_fini(struct hash_ring *ring);
/* The owner must not be on the ring. */
void hash_ring_add(struct hash_ring *ring, const char *name, uint32_t owner_id);
void hash_ring_remove(struct hash_ring *ring, uint32_t owner_id);
/* Index in the view of the key's owner; every candidate must be on the ring. */
uint32_t hash_ring_pick(struct hash_ring *ring, const struct cluster_view *view,
                        const char *key);
/* For a walk along an XXH64 ring: the place of the owner of H(key) == key_hash, the
 * place behind another, and whose a place is. The ring must not be empty; places hold
 * until it changes. A walk is over when it is back where it started. */
size_t hash_ring_seek(struct hash_ring *ring, uint64_t key_hash);
size_t hash_ring_next(const struct hash_ring *ring, size_t at);
uint32_t hash_ring_owner(const struct hash_ring *ring, size_t at);
size_t hash_ring_bytes(const struct hash_ring *ring);

#endif
