/* SPDX-License-Identifier: Apache-2.0
 *
 * maglev_table.c: as in the paper's pseudocode; next slots are kept modulo the size, so
 * that no product can overflow.
 */
#include "policies/maglev_table.h"

#include <stdbool.h>

#define FREE_SLOT UINT32_MAX

static uint32_t take_next(const uint32_t *slots, uint32_t slot_count,
                          const struct maglev_node *node, uint32_t slot)
{
    while (slots[slot] != FREE_SLOT) {
        const uint32_t left = slot_count - slot;
        slot = node->skip < left ? slot + node->skip : node->skip - left;
    }
    return slot;
}

void maglev_fill(uint32_t *slots, uint32_t slot_count, const struct maglev_node *nodes,
                 uint32_t node_count, uint32_t *next)
{
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        slots[slot] = FREE_SLOT;
    }
    for (uint32_t node = 0; node < node_count; node++) {
        next[node] = nodes[node].offset;
    }
    uint32_t node = 0;
    for (uint32_t taken = 0; taken < slot_count; taken++) {
        next[node] = take_next(slots, slot_count, &nodes[node], next[node]);
        slots[next[node]] = node;
        node = node + 1 < node_count ? node + 1 : 0;
    }
}

static bool is_prime(uint32_t n)
{
    for (uint32_t divisor = 2; (uint64_t)divisor * divisor <= n; divisor++) {
        if (n % divisor == 0) {
            return false;
        }
    }
    return n >= 2;
}

uint32_t maglev_prime(uint32_t n)
{
    while (!is_prime(n)) {
        n++;
    }
    return n;
}
