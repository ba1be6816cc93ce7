/* SPDX-License-Identifier: Apache-2.0
 *
 * attempts.h: what a policy remembers of each request in flight.
 *
 * Entered when a decision is committed, read at the first token, taken out at the end:
 * the end of an attempt does not repeat what the policy knew at its start. Bounded by
 * the requests in flight.
 */
#ifndef STACKSIM_POLICIES_ATTEMPTS_H
#define STACKSIM_POLICIES_ATTEMPTS_H

#include "policies/policy.h"

struct attempt_note {
    uint64_t prefill_tokens; /* counted until the first token */
    uint64_t decode_tokens;  /* counted until the end */
    uint64_t sequence;       /* a number of the policy's own */
};

struct attempt_slot; /* of the hash table */

struct attempts {
    struct policy_memory memory;
    struct attempt_slot *slots;
    size_t slot_count; /* zero or a power of two */
    size_t count;
};

void attempts_init(struct attempts *attempts, const struct policy_memory *memory);
void attempts_fini(struct attempts *attempts);

/* The request must not be in flight on this endpoint already (the gateway's rule). */
void attempts_open(struct attempts *attempts, uint64_t request_id, uint32_t endpoint_id,
                   struct attempt_note note);
/* Borrowed until the next call; NULL when unknown. */
struct attempt_note *attempts_find(const struct attempts *attempts, uint64_t request_id,
                                   uint32_t endpoint_id);
/* All zero when unknown. */
struct attempt_note attempts_close(struct attempts *attempts, uint64_t request_id,
                                   uint32_t endpoint_id);
size_t attempts_bytes(const struct attempts *attempts);

#endif
