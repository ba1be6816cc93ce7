/* SPDX-License-Identifier: Apache-2.0
 *
 * served.c: few sets, however many models: placements repeat.
 */
#include "policies/served.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { SETS_MAX = 1 << 16 };

struct served_set {
    uint32_t *ids; /* ascending */
    uint32_t count;
    struct candidates *candidates;
};

void served_fini(struct served *served)
{
    for (uint32_t i = 0; i < served->count; i++) {
        mem_free(served->sets[i].ids);
        candidates_delete(served->sets[i].candidates);
    }
    mem_free(served->sets);
    *served = (struct served){0};
}

struct candidates *served_find(const struct served *served, const uint32_t *ids,
                               uint32_t count)
{
    for (uint32_t i = 0; i < served->count; i++) {
        const struct served_set *set = &served->sets[i];
        if (set->count == count && memcmp(set->ids, ids, count * sizeof *ids) == 0) {
            return set->candidates;
        }
    }
    return NULL;
}

struct candidates *served_add(struct served *served, const uint32_t *ids,
                              uint32_t count, uint32_t endpoints_max)
{
    void *sets = served->sets;
    const bool grown = mem_grow(&sets, &served->capacity, (size_t)served->count + 1,
                                sizeof *served->sets, SETS_MAX);
    CHECK(grown, "more than %d sets of endpoints", SETS_MAX);
    served->sets = sets;
    struct served_set *set = &served->sets[served->count++];
    *set = (struct served_set){
        .count = count,
        .ids = mem_alloc(count, sizeof *ids),
        .candidates = candidates_new(endpoints_max),
    };
    memcpy(set->ids, ids, count * sizeof *ids);
    return set->candidates;
}

static bool holds(const struct served_set *set, uint32_t id)
{
    uint32_t low = 0;
    uint32_t high = set->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (set->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < set->count && set->ids[low] == id;
}

void served_offer(struct served *served, const struct endpoint_view *endpoint,
                  bool accepting)
{
    for (uint32_t i = 0; i < served->count; i++) {
        if (!holds(&served->sets[i], endpoint->id)) {
            continue;
        }
        if (accepting) {
            candidates_add(served->sets[i].candidates, endpoint);
        } else {
            candidates_remove(served->sets[i].candidates, endpoint);
        }
    }
}

void served_update(struct served *served, const struct endpoint_view *endpoint)
{
    for (uint32_t i = 0; i < served->count; i++) {
        candidates_update(served->sets[i].candidates, endpoint);
    }
}
