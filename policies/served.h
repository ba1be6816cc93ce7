/* SPDX-License-Identifier: Apache-2.0
 *
 * served.h: candidates of models that endpoints serve besides the one they joined with,
 * as LoRA adapters are. Models of the same endpoints share one set.
 */
#ifndef STACKSIM_POLICIES_SERVED_H
#define STACKSIM_POLICIES_SERVED_H

#include "policies/candidates.h"

#include <stddef.h>

struct served_set;

/* Zeroed = none. */
struct served {
    struct served_set *sets;
    size_t capacity;
    uint32_t count;
};

void served_fini(struct served *served);

/* The set of these endpoints (ascending ids), or NULL. */
struct candidates *served_find(const struct served *served, const uint32_t *ids,
                               uint32_t count);
/* A new, empty one; ids are below endpoints_max. */
struct candidates *served_add(struct served *served, const uint32_t *ids,
                              uint32_t count, uint32_t endpoints_max);

/* An endpoint begins to accept, or ends: in all sets that it is of. */
void served_offer(struct served *served, const struct endpoint_view *endpoint,
                  bool accepting);
/* Its requests in flight have changed. */
void served_update(struct served *served, const struct endpoint_view *endpoint);

#endif
