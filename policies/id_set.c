/* SPDX-License-Identifier: Apache-2.0
 *
 * id_set.c: see id_set.h.
 */
#include "policies/id_set.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct id_set) == 16, "half of a trie node");

static uint32_t *ids_of(struct id_set *set)
{
    return set->capacity > ID_SET_FEW ? set->many : set->few;
}

/* Position of the first id that is not below. */
static uint32_t position(const struct id_set *set, uint32_t id)
{
    const uint32_t *ids = id_set_ids(set);
    uint32_t low = 0;
    uint32_t high = set->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool id_set_has(const struct id_set *set, uint32_t id)
{
    const uint32_t at = position(set, id);
    return at < set->count && id_set_ids(set)[at] == id;
}

bool id_set_meets(const struct id_set *set, const uint32_t *index_of_id)
{
    const uint32_t *ids = id_set_ids(set);
    for (uint32_t i = 0; i < set->count; i++) {
        if (index_of_id[ids[i]] != NOT_A_CANDIDATE) {
            return true;
        }
    }
    return false;
}

static size_t reserve(struct id_set *set, uint32_t capacity,
                      const struct policy_memory *memory)
{
    const bool was_few = set->capacity <= ID_SET_FEW;
    const size_t before = was_few ? 0 : set->capacity * sizeof *set->many;
    const size_t bytes = capacity * sizeof *set->many;
    uint32_t *many = memory->resize(memory->context, was_few ? NULL : set->many, bytes);
    if (was_few) {
        memcpy(many, set->few, sizeof set->few);
    }
    set->many = many;
    set->capacity = capacity;
    return bytes - before;
}

size_t id_set_add(struct id_set *set, uint32_t id, const struct policy_memory *memory)
{
    const uint32_t at = position(set, id);
    if (at < set->count && id_set_ids(set)[at] == id) {
        return 0;
    }
    size_t grown = 0;
    const uint32_t room = set->capacity > ID_SET_FEW ? set->capacity : ID_SET_FEW;
    if (set->count == room) {
        grown = reserve(set, 2 * room, memory);
    }
    uint32_t *ids = ids_of(set);
    memmove(ids + at + 1, ids + at, (set->count - at) * sizeof *ids);
    ids[at] = id;
    set->count++;
    return grown;
}

size_t id_set_copy(struct id_set *set, const struct id_set *source,
                   const struct policy_memory *memory)
{
    *set = (struct id_set){0};
    size_t grown = 0;
    if (source->count > ID_SET_FEW) {
        grown = reserve(set, source->count, memory);
    }
    memcpy(ids_of(set), id_set_ids(source), source->count * sizeof(uint32_t));
    set->count = source->count;
    return grown;
}

void id_set_remove(struct id_set *set, uint32_t id)
{
    const uint32_t at = position(set, id);
    uint32_t *ids = ids_of(set);
    if (at < set->count && ids[at] == id) {
        set->count--;
        memmove(ids + at, ids + at + 1, (set->count - at) * sizeof *ids);
    }
}

void id_set_fini(struct id_set *set, const struct policy_memory *memory)
{
    if (set->capacity > ID_SET_FEW) {
        memory->resize(memory->context, set->many, 0);
    }
    *set = (struct id_set){0};
}
