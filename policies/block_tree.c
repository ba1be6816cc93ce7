/* SPDX-License-Identifier: Apache-2.0
 *
 * block_tree.c: a hash table of nodes, and entries in two lists each.
 *
 *     table:  key -> node 4 {depth 2} -> entry 9 {endpoint 7} -> entry 3 {endpoint 1}
 *     endpoint 7:  oldest <-> ... <-> entry 9 <-> ... <-> latest
 *
 * No node knows its parent or children: the chained keys are the tree. A prompt touches
 * its entries from its end, so on an endpoint no block is older than one that follows
 * it, and whatever is forgotten first is a leaf. That is LRU over leaves, as SGLang
 * evicts, without a heap. An endpoint is looked for along its node's list, which is
 * short: the one that was sent a block last stands in front.
 */
#include "policies/block_tree.h"

#include "base/check.h"

#include <assert.h>
#include <string.h>

#define NONE BLOCK_TREE_NONE

struct node {
    uint64_t key;
    uint32_t first; /* entry; of an unused node the next unused one */
    uint32_t depth;
};
static_assert(sizeof(struct node) == 16, "four nodes to a cache line");

struct entry {
    uint32_t node;
    uint32_t endpoint_id;
    uint32_t next;  /* of the node; of an unused entry the next unused one */
    uint32_t older; /* of the endpoint */
    uint32_t newer;
    uint32_t epoch;
    uint32_t uses; /* in that epoch */
    uint32_t uses_before;
};
static_assert(sizeof(struct entry) == 32, "two entries to a cache line");

struct owner {
    uint32_t count;
    uint32_t oldest;
    uint32_t latest;
};

enum { SLOTS_MIN = 64, ROWS_MIN = 32, ENDPOINTS_MAX = 1 << 20, ROWS_MAX = 1 << 30 };

struct block_tree {
    struct policy_memory memory;
    uint32_t *slots; /* node, or NONE */
    uint32_t shift;  /* 64 - log2 of the number of slots */
    struct node *nodes;
    uint32_t node_count; /* ever made */
    uint32_t node_capacity;
    uint32_t node_unused;
    uint32_t nodes_live;
    struct entry *entries;
    uint32_t entry_count;
    uint32_t entry_capacity;
    uint32_t entry_unused;
    struct owner *owners; /* by endpoint id */
    uint32_t owner_count;
    size_t bytes;
};

/* ---- memory --------------------------------------------------------------------- */

static void *resize(struct block_tree *tree, void *memory, size_t before, size_t after)
{
    tree->bytes = tree->bytes - before + after;
    return tree->memory.resize(tree->memory.context, memory, after);
}

static size_t slot_count(const struct block_tree *tree)
{
    return (size_t)1 << (64 - tree->shift);
}

static void slots_new(struct block_tree *tree, uint32_t shift)
{
    tree->shift = shift;
    const size_t bytes = slot_count(tree) * sizeof *tree->slots;
    tree->slots = resize(tree, NULL, 0, bytes);
    memset(tree->slots, 0xff, bytes); /* NONE */
}

struct block_tree *block_tree_new(const struct policy_memory *memory)
{
    struct block_tree *tree =
        memory->resize(memory->context, NULL, sizeof(struct block_tree));
    *tree = (struct block_tree){.memory = *memory,
                                .node_unused = NONE,
                                .entry_unused = NONE,
                                .bytes = sizeof *tree};
    slots_new(tree, 64 - (uint32_t)__builtin_ctz(SLOTS_MIN));
    return tree;
}

void block_tree_delete(struct block_tree *tree)
{
    if (tree == NULL) {
        return;
    }
    const struct policy_memory memory = tree->memory;
    memory.resize(memory.context, tree->owners, 0);
    memory.resize(memory.context, tree->entries, 0);
    memory.resize(memory.context, tree->nodes, 0);
    memory.resize(memory.context, tree->slots, 0);
    memory.resize(memory.context, tree, 0);
}

size_t block_tree_bytes(const struct block_tree *tree)
{
    return tree->bytes;
}

static uint32_t capacity_after(uint32_t capacity)
{
    CHECK(capacity < ROWS_MAX, "a block tree has %u rows", capacity);
    return capacity > 0 ? capacity + capacity / 2 : ROWS_MIN;
}

static struct owner *owner_of(struct block_tree *tree, uint32_t endpoint_id)
{
    CHECK(endpoint_id < ENDPOINTS_MAX, "endpoint %u", endpoint_id);
    if (endpoint_id >= tree->owner_count) {
        const uint32_t before = tree->owner_count;
        uint32_t count = before > 0 ? before : 16;
        while (count <= endpoint_id) {
            count *= 2;
        }
        tree->owners = resize(tree, tree->owners, before * sizeof *tree->owners,
                              count * sizeof *tree->owners);
        for (uint32_t i = before; i < count; i++) {
            tree->owners[i] = (struct owner){.oldest = NONE, .latest = NONE};
        }
        tree->owner_count = count;
    }
    return &tree->owners[endpoint_id];
}

/* ---- nodes ---------------------------------------------------------------------- */

/* Keys are hashes, but of a stranger's making: a product spreads any pattern. */
static size_t home_of(const struct block_tree *tree, uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> tree->shift);
}

/* The slot of the key's node, or the empty one where it would go. */
static size_t slot_of(const struct block_tree *tree, uint64_t key)
{
    const size_t mask = slot_count(tree) - 1;
    size_t at = home_of(tree, key);
    while (tree->slots[at] != NONE && tree->nodes[tree->slots[at]].key != key) {
        at = (at + 1) & mask;
    }
    return at;
}

static void slots_grow(struct block_tree *tree)
{
    uint32_t *old = tree->slots;
    const size_t old_count = slot_count(tree);
    slots_new(tree, tree->shift - 1);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != NONE) {
            tree->slots[slot_of(tree, tree->nodes[old[i]].key)] = old[i];
        }
    }
    (void)resize(tree, old, old_count * sizeof *old, 0);
}

static uint32_t node_make(struct block_tree *tree, uint64_t key, uint32_t depth)
{
    if (10 * ((size_t)tree->nodes_live + 1) > 7 * slot_count(tree)) {
        slots_grow(tree);
    }
    uint32_t node = tree->node_unused;
    if (node != NONE) {
        tree->node_unused = tree->nodes[node].first;
    } else {
        if (tree->node_count == tree->node_capacity) {
            const uint32_t capacity = capacity_after(tree->node_capacity);
            tree->nodes =
                resize(tree, tree->nodes, tree->node_capacity * sizeof *tree->nodes,
                       capacity * sizeof *tree->nodes);
            tree->node_capacity = capacity;
        }
        node = tree->node_count++;
    }
    tree->nodes[node] = (struct node){.key = key, .first = NONE, .depth = depth};
    tree->slots[slot_of(tree, key)] = node;
    tree->nodes_live++;
    return node;
}

/* Shifts back whatever would no longer be found behind the hole. */
static void node_remove(struct block_tree *tree, uint32_t node)
{
    const size_t mask = slot_count(tree) - 1;
    size_t hole = slot_of(tree, tree->nodes[node].key);
    for (size_t at = (hole + 1) & mask; tree->slots[at] != NONE; at = (at + 1) & mask) {
        const size_t home = home_of(tree, tree->nodes[tree->slots[at]].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            tree->slots[hole] = tree->slots[at];
            hole = at;
        }
    }
    tree->slots[hole] = NONE;
    tree->nodes[node].first = tree->node_unused;
    tree->node_unused = node;
    tree->nodes_live--;
}

/* ---- entries -------------------------------------------------------------------- */

static uint32_t entry_take(struct block_tree *tree)
{
    const uint32_t entry = tree->entry_unused;
    if (entry != NONE) {
        tree->entry_unused = tree->entries[entry].next;
        return entry;
    }
    if (tree->entry_count == tree->entry_capacity) {
        const uint32_t capacity = capacity_after(tree->entry_capacity);
        tree->entries =
            resize(tree, tree->entries, tree->entry_capacity * sizeof *tree->entries,
                   capacity * sizeof *tree->entries);
        tree->entry_capacity = capacity;
    }
    return tree->entry_count++;
}

/* Takes the endpoint's entry off its node's list; NONE when there is none. */
static uint32_t node_detach(struct block_tree *tree, uint32_t node,
                            uint32_t endpoint_id)
{
    uint32_t *link = &tree->nodes[node].first;
    while (*link != NONE && tree->entries[*link].endpoint_id != endpoint_id) {
        link = &tree->entries[*link].next;
    }
    const uint32_t entry = *link;
    if (entry != NONE) {
        *link = tree->entries[entry].next;
    }
    return entry;
}

static void node_attach(struct block_tree *tree, uint32_t node, uint32_t entry)
{
    tree->entries[entry].next = tree->nodes[node].first;
    tree->nodes[node].first = entry;
}

static void owner_detach(struct block_tree *tree, uint32_t entry)
{
    const struct entry *row = &tree->entries[entry];
    struct owner *owner = &tree->owners[row->endpoint_id];
    *(row->older != NONE ? &tree->entries[row->older].newer : &owner->oldest) =
        row->newer;
    *(row->newer != NONE ? &tree->entries[row->newer].older : &owner->latest) =
        row->older;
}

static void owner_attach(struct block_tree *tree, uint32_t entry)
{
    struct entry *row = &tree->entries[entry];
    struct owner *owner = &tree->owners[row->endpoint_id];
    row->older = owner->latest;
    row->newer = NONE;
    *(owner->latest != NONE ? &tree->entries[owner->latest].newer : &owner->oldest) =
        entry;
    owner->latest = entry;
}

static void entry_forget(struct block_tree *tree, uint32_t entry)
{
    const struct entry row = tree->entries[entry];
    (void)node_detach(tree, row.node, row.endpoint_id);
    owner_detach(tree, entry);
    tree->owners[row.endpoint_id].count--;
    tree->entries[entry].next = tree->entry_unused;
    tree->entry_unused = entry;
    if (tree->nodes[row.node].first == NONE) {
        node_remove(tree, row.node);
    }
}

/* Uses of epochs that are over by two are forgotten. */
static void entry_age(struct entry *row, uint32_t epoch)
{
    if (row->epoch != epoch) {
        row->uses_before = row->epoch + 1 == epoch ? row->uses : 0;
        row->uses = 0;
        row->epoch = epoch;
    }
}

static bool insert_one(struct block_tree *tree, uint32_t endpoint_id, uint64_t key,
                       uint32_t depth, uint32_t epoch)
{
    const uint32_t known = tree->slots[slot_of(tree, key)];
    const uint32_t node = known != NONE ? known : node_make(tree, key, depth);
    uint32_t entry = node_detach(tree, node, endpoint_id);
    const bool fresh = entry == NONE;
    if (fresh) {
        entry = entry_take(tree);
        tree->entries[entry] =
            (struct entry){.node = node, .endpoint_id = endpoint_id, .epoch = epoch};
        tree->owners[endpoint_id].count++;
    } else {
        owner_detach(tree, entry);
        entry_age(&tree->entries[entry], epoch);
        tree->entries[entry].uses++;
    }
    node_attach(tree, node, entry);
    owner_attach(tree, entry);
    return fresh;
}

/* ---- interface ------------------------------------------------------------------ */

uint32_t block_tree_match(const struct block_tree *tree, const uint64_t *keys,
                          uint32_t count, uint32_t *node)
{
    *node = NONE;
    for (uint32_t at = 0; at < count; at++) {
        const uint32_t next = tree->slots[slot_of(tree, keys[at])];
        if (next == NONE) {
            return at;
        }
        *node = next;
    }
    return count;
}

uint32_t block_tree_find(const struct block_tree *tree, uint64_t key)
{
    return tree->slots[slot_of(tree, key)];
}

uint32_t block_tree_insert(struct block_tree *tree, uint32_t endpoint_id,
                           const uint64_t *keys, uint32_t count, uint32_t epoch)
{
    (void)owner_of(tree, endpoint_id);
    uint32_t fresh = 0;
    for (uint32_t i = count; i-- > 0;) {
        fresh += insert_one(tree, endpoint_id, keys[i], i, epoch);
    }
    return fresh;
}

void block_tree_trim(struct block_tree *tree, uint32_t endpoint_id, uint32_t blocks_max)
{
    const struct owner *owner = owner_of(tree, endpoint_id);
    while (owner->count > blocks_max) {
        entry_forget(tree, owner->oldest);
    }
}

void block_tree_remove(struct block_tree *tree, uint32_t endpoint_id,
                       const uint64_t *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t node = tree->slots[slot_of(tree, keys[i])];
        const uint32_t entry =
            node != NONE ? node_detach(tree, node, endpoint_id) : NONE;
        if (entry != NONE) {
            node_attach(tree, node, entry);
            entry_forget(tree, entry);
        }
    }
}

uint32_t block_tree_first(const struct block_tree *tree, uint32_t node)
{
    return tree->nodes[node].first;
}

uint32_t block_tree_next(const struct block_tree *tree, uint32_t entry)
{
    return tree->entries[entry].next;
}

uint32_t block_tree_oldest(const struct block_tree *tree, uint32_t endpoint_id)
{
    return endpoint_id < tree->owner_count ? tree->owners[endpoint_id].oldest : NONE;
}

uint32_t block_tree_newer(const struct block_tree *tree, uint32_t entry)
{
    return tree->entries[entry].newer;
}

struct block_entry block_tree_entry(const struct block_tree *tree, uint32_t entry,
                                    uint32_t epoch)
{
    struct entry row = tree->entries[entry];
    entry_age(&row, epoch);
    return (struct block_entry){
        .endpoint_id = row.endpoint_id,
        .depth = tree->nodes[row.node].depth,
        .uses = row.uses + row.uses_before,
    };
}

uint32_t block_tree_count(const struct block_tree *tree, uint32_t endpoint_id)
{
    return endpoint_id < tree->owner_count ? tree->owners[endpoint_id].count : 0;
}
