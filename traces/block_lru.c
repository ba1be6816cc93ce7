/* SPDX-License-Identifier: Apache-2.0
 *
 * block_lru.c: a doubly linked list over an array indexed by block.
 */
#include "traces/block_lru.h"

#include "base/check.h"
#include "base/mem.h"

enum { BLOCKS_MAX = 1 << 28 };
#define NO_BLOCK UINT32_MAX

struct node {
    uint32_t older;
    uint32_t newer;
    bool present;
};

struct block_lru {
    uint64_t capacity;
    uint64_t count;
    uint32_t oldest;
    uint32_t newest;
    struct node *nodes;
    size_t node_count;
    size_t node_capacity;
};

struct block_lru *block_lru_new(uint64_t capacity_blocks)
{
    struct block_lru *const lru = mem_alloc(1, sizeof(*lru));
    lru->capacity = capacity_blocks;
    lru->oldest = NO_BLOCK;
    lru->newest = NO_BLOCK;
    return lru;
}

void block_lru_delete(struct block_lru *lru)
{
    if (lru != NULL) {
        mem_free(lru->nodes);
        mem_free(lru);
    }
}

static void make_room(struct block_lru *lru, uint32_t block)
{
    if (block < lru->node_count) {
        return;
    }
    void *memory = lru->nodes;
    const bool room = mem_grow(&memory, &lru->node_capacity, (size_t)block + 1,
                               sizeof(struct node), BLOCKS_MAX);
    CHECK(room, "block %u in a figure of at most %d blocks", block, BLOCKS_MAX);
    lru->nodes = memory;
    while (lru->node_count <= block) {
        lru->nodes[lru->node_count++] = (struct node){NO_BLOCK, NO_BLOCK, false};
    }
}

static void unlink_block(struct block_lru *lru, uint32_t block)
{
    struct node *const node = &lru->nodes[block];
    if (node->older != NO_BLOCK) {
        lru->nodes[node->older].newer = node->newer;
    } else {
        lru->oldest = node->newer;
    }
    if (node->newer != NO_BLOCK) {
        lru->nodes[node->newer].older = node->older;
    } else {
        lru->newest = node->older;
    }
    node->present = false;
    lru->count--;
}

static void link_newest(struct block_lru *lru, uint32_t block)
{
    lru->nodes[block] = (struct node){lru->newest, NO_BLOCK, true};
    if (lru->newest != NO_BLOCK) {
        lru->nodes[lru->newest].newer = block;
    } else {
        lru->oldest = block;
    }
    lru->newest = block;
    lru->count++;
}

static bool is_present(const struct block_lru *lru, uint32_t block)
{
    return block < lru->node_count && lru->nodes[block].present;
}

size_t block_lru_ask(struct block_lru *lru, const uint32_t *blocks, size_t count)
{
    size_t found = 0;
    while (found < count && is_present(lru, blocks[found])) {
        found++;
    }
    for (size_t i = count; i-- > 0;) {
        make_room(lru, blocks[i]);
        if (lru->nodes[blocks[i]].present) {
            unlink_block(lru, blocks[i]);
        }
        link_newest(lru, blocks[i]);
        if (lru->count > lru->capacity) {
            unlink_block(lru, lru->oldest);
        }
    }
    return found;
}
