/* SPDX-License-Identifier: Apache-2.0
 *
 * maglev_table.h: the lookup table of Maglev (Eisenbud et al., NSDI'16, section 3.4).
 *
 * A node's preference list is slot offset, offset + skip, offset + 2 skip ... modulo
 * the number of slots, a prime, so that it is a permutation of all slots. Nodes take
 * turns; in each one a node takes the first slot of its list that is free.
 */
#ifndef STACKSIM_POLICIES_MAGLEV_TABLE_H
#define STACKSIM_POLICIES_MAGLEV_TABLE_H

#include <stdint.h>

struct maglev_node {
    uint32_t offset; /* below the number of slots */
    uint32_t skip;   /* 1 to the number of slots - 1 */
};

/* Writes the number of its node into every slot. next: room for node_count words.
 * slot_count is a prime, 1 <= node_count <= slot_count. Every node gets
 * slot_count / node_count slots, rounded up or down. */
void maglev_fill(uint32_t *slots, uint32_t slot_count, const struct maglev_node *nodes,
                 uint32_t node_count, uint32_t *next);
/* The smallest prime that is not below n, n <= 2^31. */
uint32_t maglev_prime(uint32_t n);

#endif
