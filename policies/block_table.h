/* SPDX-License-Identifier: Apache-2.0
 *
 * block_table.h: a hash table from a KV block to those who have it, for the indices.
 *
 * An entry says how many have the block and, in `ref`, who: what that means is the
 * index's own business. Open addressing; removal shifts back, so there are no
 * tombstones. All inline: a decision walks it block by block.
 */
#ifndef STACKSIM_POLICIES_BLOCK_TABLE_H
#define STACKSIM_POLICIES_BLOCK_TABLE_H

#include "base/check.h"
#include "policies/policy.h"

#include <assert.h>
#include <string.h>

struct block_entry {
    uint64_t key;
    uint32_t ref;
    uint32_t holders; /* 0: an empty place */
};
static_assert(sizeof(struct block_entry) == 16, "four entries to a cache line");

struct block_table {
    struct policy_memory memory;
    struct block_entry *entries;
    uint32_t shift; /* 64 - log2 of the number of places */
    size_t used;
};

enum {
    BLOCK_TABLE_SHIFT_FIRST = 58,
    BLOCK_TABLE_SHIFT_LAST = 24,
    BLOCK_FETCH_MAX = 256
};

static inline size_t block_table_places(const struct block_table *table)
{
    return (size_t)1 << (64 - table->shift);
}

static inline size_t block_table_bytes(const struct block_table *table)
{
    return block_table_places(table) * sizeof(struct block_entry);
}

static inline void block_table_clear(struct block_table *table, uint32_t shift)
{
    table->shift = shift;
    table->entries =
        table->memory.resize(table->memory.context, NULL, block_table_bytes(table));
    memset(table->entries, 0, block_table_bytes(table));
}

static inline void block_table_init(struct block_table *table,
                                    const struct policy_memory *memory)
{
    *table = (struct block_table){.memory = *memory};
    block_table_clear(table, BLOCK_TABLE_SHIFT_FIRST);
}

static inline void block_table_fini(struct block_table *table)
{
    table->memory.resize(table->memory.context, table->entries, 0);
}

/* Keys are hashes, but of a stranger's making: a product spreads any pattern. */
static inline size_t block_table_home(const struct block_table *table, uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> table->shift);
}

/* The key's entry, or the empty place where it would go. */
static inline struct block_entry *block_table_at(const struct block_table *table,
                                                 uint64_t key)
{
    const size_t mask = block_table_places(table) - 1;
    size_t at = block_table_home(table, key);
    while (table->entries[at].holders != 0 && table->entries[at].key != key) {
        at = (at + 1) & mask;
    }
    return &table->entries[at];
}

/* A prompt's keys lie all over the table, but all of them are known before the first
 * one is needed. */
static inline void block_table_fetch(const struct block_table *table,
                                     const uint64_t *keys, uint32_t count)
{
    count = count < BLOCK_FETCH_MAX ? count : BLOCK_FETCH_MAX;
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(&table->entries[block_table_home(table, keys[i])]);
    }
}

/* Makes room for one more entry; moves entries. */
static inline void block_table_reserve(struct block_table *table)
{
    if (10 * (table->used + 1) <= 7 * block_table_places(table)) {
        return;
    }
    struct block_entry *old = table->entries;
    const size_t old_places = block_table_places(table);
    CHECK(table->shift > BLOCK_TABLE_SHIFT_LAST, "%zu blocks in one index",
          table->used);
    block_table_clear(table, table->shift - 1);
    for (size_t i = 0; i < old_places; i++) {
        if (old[i].holders != 0) {
            *block_table_at(table, old[i].key) = old[i];
        }
    }
    table->memory.resize(table->memory.context, old, 0);
}

/* Shifts back whatever would no longer be found behind the hole. */
static inline void block_table_remove(struct block_table *table,
                                      struct block_entry *entry)
{
    const size_t mask = block_table_places(table) - 1;
    size_t hole = (size_t)(entry - table->entries);
    for (size_t at = (hole + 1) & mask; table->entries[at].holders != 0;
         at = (at + 1) & mask) {
        const size_t home = block_table_home(table, table->entries[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->entries[hole] = table->entries[at];
            hole = at;
        }
    }
    table->entries[hole].holders = 0;
    table->used--;
}

#endif
