/* SPDX-License-Identifier: Apache-2.0
 *
 * id_table.h: one item for each endpoint id, zero until written.
 *
 * Grows to the ids of a view, so it is bounded by the gateway's endpoints_max. Items
 * move when the table grows.
 */
#ifndef STACKSIM_POLICIES_ID_TABLE_H
#define STACKSIM_POLICIES_ID_TABLE_H

#include "policies/policy.h"

#include <string.h>

struct id_table {
    struct policy_memory memory;
    void *items;
    size_t item_bytes;
    uint32_t count;
};

static inline void id_table_init(struct id_table *table,
                                 const struct policy_memory *memory, size_t item_bytes)
{
    *table = (struct id_table){.memory = *memory, .item_bytes = item_bytes};
}

static inline void id_table_fini(struct id_table *table)
{
    table->memory.resize(table->memory.context, table->items, 0);
    table->items = NULL;
    table->count = 0;
}

/* The items of all ids below id_count. */
static inline void *id_table_items(struct id_table *table, uint32_t id_count)
{
    if (id_count > table->count) {
        const size_t before = table->count * table->item_bytes;
        const size_t after = id_count * table->item_bytes;
        char *items = table->memory.resize(table->memory.context, table->items, after);
        memset(items + before, 0, after - before);
        table->items = items;
        table->count = id_count;
    }
    return table->items;
}

static inline size_t id_table_bytes(const struct id_table *table)
{
    return table->count * table->item_bytes;
}

#endif
