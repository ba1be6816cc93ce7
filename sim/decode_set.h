/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_set.h: the decoding requests of one engine, kept as aggregates.
 *
 * All members do the same thing: one token per step. So while nobody joins or leaves,
 * computed - formed (formed: steps formed so far) is a constant of each member, and the
 * batch is known by its size, the sum of those constants, their counts modulo the block
 * size and the earliest last step (spec/step-time.md 4, lock-step keys). Forming n
 * steps costs as much as forming one; members are touched when they join, leave or end.
 */
#ifndef STACKSIM_SIM_DECODE_SET_H
#define STACKSIM_SIM_DECODE_SET_H

#include "sim/request.h"

struct decode_entry;

struct decode_set {
    uint64_t formed;  /* steps formed by the engine, of any kind */
    uint64_t version; /* changes whenever the membership does */
    uint32_t count;
    uint32_t block_tokens;
    uint64_t newest; /* no member was admitted later; may be too high */
    int64_t base_sum;
    uint32_t *phase; /* members by base modulo block_tokens */
    /* By (last_step, admission); and, when wanted, by most computed tokens. */
    struct decode_entry *heap[2];
    size_t heap_capacity[2];
    bool knows_longest;
};

/* knows_longest: decode_set_longest will be asked. */
void decode_set_init(struct decode_set *set, uint32_t block_tokens, bool knows_longest);
void decode_set_fini(struct decode_set *set);

/* The request has `computed` tokens and `remaining` >= 1 steps to go. */
void decode_set_add(struct decode_set *set, struct request *request, uint32_t computed,
                    uint32_t remaining);
/* Writes computed and produced back into the request. */
void decode_set_remove(struct decode_set *set, struct request *request);
/* The member takes no part in the step being formed: all it has left shifts by one.
 * Call before decode_set_advance counts that step. */
void decode_set_skip(struct decode_set *set, struct request *request);

/* With speculation, where all members move by different numbers of tokens: the member
 * gets `tokens` more than one in the step being formed; or takes no part in it. Heaps
 * are out of order until decode_set_sort. */
void decode_set_jump(struct decode_set *set, struct request *request, uint32_t tokens);
void decode_set_skip_unsorted(struct decode_set *set, struct request *request);
void decode_set_sort(struct decode_set *set);

/* Inline, because the step-by-step mode asks for every member at every step. */
static inline uint32_t decode_set_computed(const struct decode_set *set,
                                           const struct request *request)
{
    return (uint32_t)(request->base + (int64_t)set->formed);
}
uint32_t decode_set_produced(const struct decode_set *set,
                             const struct request *request);
/* K: tokens already computed, summed over members. */
uint64_t decode_set_context(const struct decode_set *set);
/* kmax: most computed tokens of a member; 0 when empty or not asked for at init. */
uint32_t decode_set_longest(const struct decode_set *set);
/* Member with the earliest last step, or NULL. */
struct request *decode_set_first(const struct decode_set *set);

/* Blocks that the next `steps` steps take. */
uint64_t decode_set_blocks(const struct decode_set *set, uint64_t steps);
/* Most steps that take no more than `blocks`; at most steps_max. */
uint64_t decode_set_steps_within(const struct decode_set *set, uint64_t blocks,
                                 uint64_t steps_max);
/* `steps` more steps were formed. */
void decode_set_advance(struct decode_set *set, uint64_t steps);

#endif
