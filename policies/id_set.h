/* SPDX-License-Identifier: Apache-2.0
 *
 * id_set.h: a small set of endpoint ids in 16 bytes (internal to prefix_trie).
 *
 * Ascending array, in place up to two ids: nearly every trie node knows one endpoint. A
 * bitmap was rejected: at 4096 endpoints it would cost 512 bytes on each node.
 */
#ifndef STACKSIM_POLICIES_ID_SET_H
#define STACKSIM_POLICIES_ID_SET_H

#include "policies/policy.h"

enum { ID_SET_FEW = 2 };

struct id_set {
    uint32_t count;
    uint32_t capacity; /* ID_SET_FEW: in few; else in many. 0 counts as ID_SET_FEW */
    union {
        uint32_t few[ID_SET_FEW];
        uint32_t *many;
    };
};

static inline const uint32_t *id_set_ids(const struct id_set *set)
{
    return set->capacity > ID_SET_FEW ? set->many : set->few;
}

bool id_set_has(const struct id_set *set, uint32_t id);
/* True when any id of the set has an index. */
bool id_set_meets(const struct id_set *set, const uint32_t *index_of_id);
/* Both return the bytes by which the set's memory grew. */
size_t id_set_add(struct id_set *set, uint32_t id, const struct policy_memory *memory);
size_t id_set_copy(struct id_set *set, const struct id_set *source,
                   const struct policy_memory *memory);
void id_set_remove(struct id_set *set, uint32_t id);
void id_set_fini(struct id_set *set, const struct policy_memory *memory);

#endif
