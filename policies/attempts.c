/* SPDX-License-Identifier: Apache-2.0
 *
 * attempts.c: open addressing with linear probing, deletion by shifting back.
 *
 * base/map.h was not used: it allocates for itself, and a policy's memory is its
 * host's. Keys are compared whole, so two attempts never share a note.
 */
#include "policies/attempts.h"

#include "base/hash.h"

#include <string.h>

enum { SLOTS_MIN = 64 };

struct attempt_slot {
    uint64_t request_id;
    uint32_t endpoint_id;
    bool used;
    struct attempt_note note;
};

void attempts_init(struct attempts *attempts, const struct policy_memory *memory)
{
    *attempts = (struct attempts){.memory = *memory};
}

void attempts_fini(struct attempts *attempts)
{
    attempts->memory.resize(attempts->memory.context, attempts->slots, 0);
    attempts->slots = NULL;
    attempts->slot_count = 0;
    attempts->count = 0;
}

size_t attempts_bytes(const struct attempts *attempts)
{
    return attempts->slot_count * sizeof *attempts->slots;
}

static size_t home_of(const struct attempts *attempts, uint64_t request_id,
                      uint32_t endpoint_id)
{
    return hash_pair(endpoint_id, request_id) & (attempts->slot_count - 1);
}

/* The attempt's slot, or the free one where it would go. */
static struct attempt_slot *slot_of(const struct attempts *attempts,
                                    uint64_t request_id, uint32_t endpoint_id)
{
    size_t at = home_of(attempts, request_id, endpoint_id);
    while (attempts->slots[at].used &&
           (attempts->slots[at].request_id != request_id ||
            attempts->slots[at].endpoint_id != endpoint_id)) {
        at = (at + 1) & (attempts->slot_count - 1);
    }
    return &attempts->slots[at];
}

static void grow(struct attempts *attempts)
{
    const struct attempts old = *attempts;
    attempts->slot_count = old.slot_count > 0 ? 2 * old.slot_count : SLOTS_MIN;
    attempts->slots = old.memory.resize(old.memory.context, NULL,
                                        attempts->slot_count * sizeof *attempts->slots);
    memset(attempts->slots, 0, attempts->slot_count * sizeof *attempts->slots);
    for (size_t i = 0; i < old.slot_count; i++) {
        const struct attempt_slot *slot = &old.slots[i];
        if (slot->used) {
            *slot_of(attempts, slot->request_id, slot->endpoint_id) = *slot;
        }
    }
    old.memory.resize(old.memory.context, old.slots, 0);
}

void attempts_open(struct attempts *attempts, uint64_t request_id, uint32_t endpoint_id,
                   struct attempt_note note)
{
    if (2 * (attempts->count + 1) > attempts->slot_count) {
        grow(attempts);
    }
    *slot_of(attempts, request_id, endpoint_id) = (struct attempt_slot){
        .request_id = request_id,
        .endpoint_id = endpoint_id,
        .used = true,
        .note = note,
    };
    attempts->count++;
}

struct attempt_note *attempts_find(const struct attempts *attempts, uint64_t request_id,
                                   uint32_t endpoint_id)
{
    if (attempts->count == 0) {
        return NULL;
    }
    struct attempt_slot *slot = slot_of(attempts, request_id, endpoint_id);
    return slot->used ? &slot->note : NULL;
}

/* Moves up what would not be found behind the hole. */
static void close_hole(struct attempts *attempts, size_t hole)
{
    const size_t mask = attempts->slot_count - 1;
    for (size_t at = (hole + 1) & mask; attempts->slots[at].used;
         at = (at + 1) & mask) {
        const struct attempt_slot *slot = &attempts->slots[at];
        const size_t home = home_of(attempts, slot->request_id, slot->endpoint_id);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            attempts->slots[hole] = *slot;
            hole = at;
        }
    }
    attempts->slots[hole].used = false;
}

struct attempt_note attempts_close(struct attempts *attempts, uint64_t request_id,
                                   uint32_t endpoint_id)
{
    struct attempt_note note = {0};
    if (attempts->count == 0) {
        return note;
    }
    struct attempt_slot *slot = slot_of(attempts, request_id, endpoint_id);
    if (slot->used) {
        note = slot->note;
        attempts->count--;
        close_hole(attempts, (size_t)(slot - attempts->slots));
    }
    return note;
}
