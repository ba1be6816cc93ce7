/* SPDX-License-Identifier: Apache-2.0
 *
 * block_lru.h: a cache of whole prefix blocks with LRU order, for figures about traces.
 *
 * Not the simulator's cache: no engine, no time, one global pool. Blocks are dense
 * numbers from 0.
 */
#ifndef STACKSIM_TRACES_BLOCK_LRU_H
#define STACKSIM_TRACES_BLOCK_LRU_H

#include <stddef.h>
#include <stdint.h>

struct block_lru;

struct block_lru *block_lru_new(uint64_t capacity_blocks);
void block_lru_delete(struct block_lru *lru);

/* Asks for a prompt's blocks: returns how many leading ones are present, then touches
 * all of them last to first, so that the root is freshest, evicting the oldest. */
size_t block_lru_ask(struct block_lru *lru, const uint32_t *blocks, size_t count);

#endif
