/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix_trie.c: edges as slices of slabs, children in one table.
 *
 *     node 7:  run -> [h3 h4 h5]   set {2, 9}   parent 3
 *     table:   (parent 3, h3) -> 7
 *
 * A run is written once into a slab and never moves; splitting an edge makes two slices
 * of it. Children hang in one hash table for the whole trie, keyed by parent and first
 * chunk: a split then touches two entries, whatever hangs below. The table holds 32
 * bits of the hash beside the node's number, so a look-up rarely visits a wrong node
 * and growing visits none.
 */
#include "policies/prefix_trie.h"

#include "base/check.h"
#include "base/hash.h"
#include "policies/id_set.h"

#include <assert.h>
#include <string.h>

struct node {
    const uint64_t *run; /* in a slab; the root has none */
    uint32_t length;
    uint32_t parent;
    struct id_set endpoints;
};
static_assert(sizeof(struct node) == 32, "two nodes to a cache line");

/* hash << 32 | node; 0 is empty, as the root is nobody's child. */
typedef uint64_t slot;

enum { ROOT, SLOTS_MIN = 64, NODES_MIN = 32, SLAB_MIN = 512, SLAB_MAX = 1 << 17 };
#define NODES_MAX UINT32_MAX

struct prefix_trie {
    struct policy_memory memory;
    struct node *nodes;
    uint32_t node_count;
    uint32_t node_capacity;
    slot *slots;
    size_t slot_count; /* a power of two */
    uint64_t **slabs;
    size_t slab_count;
    size_t slab_capacity;
    uint64_t *free_chunks; /* in the last slab */
    size_t free_count;
    size_t slab_chunks; /* of all slabs */
    uint64_t chunks;
    size_t bytes;
};

static void *resize(struct prefix_trie *trie, void *memory, size_t before, size_t after)
{
    trie->bytes = trie->bytes - before + after;
    return trie->memory.resize(trie->memory.context, memory, after);
}

static void reset(struct prefix_trie *trie)
{
    trie->nodes = resize(trie, NULL, 0, NODES_MIN * sizeof *trie->nodes);
    trie->node_capacity = NODES_MIN;
    trie->nodes[ROOT] = (struct node){0};
    trie->node_count = 1;
    trie->slots = resize(trie, NULL, 0, SLOTS_MIN * sizeof *trie->slots);
    memset(trie->slots, 0, SLOTS_MIN * sizeof *trie->slots);
    trie->slot_count = SLOTS_MIN;
}

static void release(struct prefix_trie *trie)
{
    const struct policy_memory memory = trie->memory;
    for (uint32_t i = 0; i < trie->node_count; i++) {
        id_set_fini(&trie->nodes[i].endpoints, &memory);
    }
    for (size_t i = 0; i < trie->slab_count; i++) {
        memory.resize(memory.context, trie->slabs[i], 0);
    }
    memory.resize(memory.context, trie->slabs, 0);
    memory.resize(memory.context, trie->slots, 0);
    memory.resize(memory.context, trie->nodes, 0);
    *trie = (struct prefix_trie){.memory = memory, .bytes = sizeof *trie};
}

struct prefix_trie *prefix_trie_new(const struct policy_memory *memory)
{
    struct prefix_trie *trie =
        memory->resize(memory->context, NULL, sizeof(struct prefix_trie));
    *trie = (struct prefix_trie){.memory = *memory, .bytes = sizeof *trie};
    reset(trie);
    return trie;
}

void prefix_trie_delete(struct prefix_trie *trie)
{
    if (trie != NULL) {
        release(trie);
        trie->memory.resize(trie->memory.context, trie, 0);
    }
}

void prefix_trie_clear(struct prefix_trie *trie)
{
    release(trie);
    reset(trie);
}

size_t prefix_trie_bytes(const struct prefix_trie *trie)
{
    return trie->bytes;
}

uint64_t prefix_trie_chunks(const struct prefix_trie *trie)
{
    return trie->chunks;
}

static uint32_t child_hash(uint32_t parent, uint64_t chunk)
{
    return (uint32_t)(hash_pair(parent, chunk) >> 32);
}

/* The child's slot, or the empty one where it would go. */
static slot *child_slot(const struct prefix_trie *trie, uint32_t parent, uint64_t chunk)
{
    const uint32_t hash = child_hash(parent, chunk);
    const size_t mask = trie->slot_count - 1;
    size_t at = hash & mask;
    while (trie->slots[at] != 0) {
        const struct node *node = &trie->nodes[(uint32_t)trie->slots[at]];
        if (trie->slots[at] >> 32 == hash && node->parent == parent &&
            node->run[0] == chunk) {
            break;
        }
        at = (at + 1) & mask;
    }
    return &trie->slots[at];
}

static uint32_t child_of(const struct prefix_trie *trie, uint32_t parent,
                         uint64_t chunk)
{
    return (uint32_t)*child_slot(trie, parent, chunk);
}

static void grow_slots(struct prefix_trie *trie)
{
    const size_t before = trie->slot_count;
    const size_t count = 2 * before;
    slot *old = trie->slots;
    slot *slots = resize(trie, NULL, 0, count * sizeof *slots);
    memset(slots, 0, count * sizeof *slots);
    for (size_t i = 0; i < before; i++) {
        size_t at = (size_t)(old[i] >> 32) & (count - 1);
        while (old[i] != 0 && slots[at] != 0) {
            at = (at + 1) & (count - 1);
        }
        slots[at] = old[i] != 0 ? old[i] : slots[at];
    }
    resize(trie, old, before * sizeof *old, 0);
    trie->slots = slots;
    trie->slot_count = count;
}

static void hang(struct prefix_trie *trie, uint32_t child)
{
    /* The root hangs nowhere. At most three quarters full. */
    if ((size_t)trie->node_count > trie->slot_count / 4 * 3) {
        grow_slots(trie);
    }
    const struct node *node = &trie->nodes[child];
    *child_slot(trie, node->parent, node->run[0]) =
        (uint64_t)child_hash(node->parent, node->run[0]) << 32 | child;
}

static uint32_t add_node(struct prefix_trie *trie)
{
    CHECK(trie->node_count < NODES_MAX, "the trie has %u nodes", trie->node_count);
    if (trie->node_count == trie->node_capacity) {
        const size_t before = trie->node_capacity * sizeof *trie->nodes;
        const uint32_t half = trie->node_capacity / 2;
        const uint32_t capacity = trie->node_capacity < NODES_MAX - half
                                      ? trie->node_capacity + half
                                      : NODES_MAX;
        trie->nodes = resize(trie, trie->nodes, before, capacity * sizeof *trie->nodes);
        trie->node_capacity = capacity;
    }
    return trie->node_count++;
}

/* A new slab is a quarter of what there is: the slack stays small, the slabs few. */
static void add_slab(struct prefix_trie *trie, size_t chunks_min)
{
    size_t chunks = trie->slab_chunks / 4;
    chunks = chunks < SLAB_MIN ? SLAB_MIN : chunks;
    chunks = chunks > SLAB_MAX ? SLAB_MAX : chunks;
    chunks = chunks < chunks_min ? chunks_min : chunks;
    if (trie->slab_count == trie->slab_capacity) {
        const size_t capacity = trie->slab_capacity > 0 ? 2 * trie->slab_capacity : 16;
        trie->slabs =
            resize(trie, trie->slabs, trie->slab_capacity * sizeof(uint64_t *),
                   capacity * sizeof(uint64_t *));
        trie->slab_capacity = capacity;
    }
    trie->free_chunks = resize(trie, NULL, 0, chunks * sizeof(uint64_t));
    trie->free_count = chunks;
    trie->slabs[trie->slab_count++] = trie->free_chunks;
    trie->slab_chunks += chunks;
}

static const uint64_t *keep_run(struct prefix_trie *trie, const uint64_t *chunks,
                                uint32_t count)
{
    if (trie->free_count < count) {
        add_slab(trie, count);
    }
    uint64_t *run = trie->free_chunks;
    memcpy(run, chunks, count * sizeof *run);
    trie->free_chunks += count;
    trie->free_count -= count;
    trie->chunks += count;
    return run;
}

static void add_leaf(struct prefix_trie *trie, uint32_t parent, const uint64_t *chunks,
                     uint32_t count, uint32_t endpoint_id)
{
    const uint32_t leaf = add_node(trie);
    struct node *node = &trie->nodes[leaf];
    *node = (struct node){.run = keep_run(trie, chunks, count),
                          .length = count,
                          .parent = parent,
                          .endpoints = {.count = 1, .few = {endpoint_id}}};
    hang(trie, leaf);
}

/* Cuts an edge after `length` chunks. The new node takes the upper part and the old
 * one's place; what hangs below keeps its parent. Returns the new node. */
static uint32_t split(struct prefix_trie *trie, uint32_t lower, uint32_t length)
{
    const uint32_t upper = add_node(trie);
    struct node *below = &trie->nodes[lower];
    struct node *above = &trie->nodes[upper];
    /* Found before the nodes change: the table compares with them. */
    slot *place = child_slot(trie, below->parent, below->run[0]);
    *above =
        (struct node){.run = below->run, .length = length, .parent = below->parent};
    trie->bytes += id_set_copy(&above->endpoints, &below->endpoints, &trie->memory);
    *place = (*place >> 32 << 32) | upper;
    below->run += length;
    below->length -= length;
    below->parent = upper;
    hang(trie, lower);
    return upper;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many chunks agree; most runs agree wholly, so whole pieces are tried first. */
static uint32_t common(const uint64_t *a, const uint64_t *b, uint32_t count)
{
    enum { PIECE = 16 };
    uint32_t at = 0;
    while (at + PIECE <= count &&
           memcmp(a + at, b + at, PIECE * sizeof(uint64_t)) == 0) {
        at += PIECE;
    }
    while (at < count && a[at] == b[at]) {
        at++;
    }
    return at;
}

struct trie_match prefix_trie_match(const struct prefix_trie *trie,
                                    const uint64_t *chunks, uint32_t count,
                                    const uint32_t *index_of_id)
{
    struct trie_match match = {0};
    uint32_t at = ROOT;
    while (match.chunks < count) {
        at = child_of(trie, at, chunks[match.chunks]);
        const struct node *node = &trie->nodes[at];
        if (at == ROOT || !id_set_meets(&node->endpoints, index_of_id)) {
            break;
        }
        const uint32_t room = smaller(node->length, count - match.chunks);
        const uint32_t same = common(node->run, chunks + match.chunks, room);
        match.chunks += same;
        match.ids = id_set_ids(&node->endpoints);
        match.id_count = node->endpoints.count;
        if (same < node->length) {
            break;
        }
    }
    return match;
}

void prefix_trie_insert(struct prefix_trie *trie, const uint64_t *chunks,
                        uint32_t count, uint32_t endpoint_id)
{
    uint32_t at = ROOT;
    uint32_t done = 0;
    while (done < count) {
        uint32_t child = child_of(trie, at, chunks[done]);
        if (child == ROOT) {
            add_leaf(trie, at, chunks + done, count - done, endpoint_id);
            return;
        }
        const struct node *node = &trie->nodes[child];
        const uint32_t room = smaller(node->length, count - done);
        const uint32_t same = common(node->run, chunks + done, room);
        const bool diverges = same < room;
        /* Ending inside an edge that knows the endpoint already changes nothing. */
        if (diverges ||
            (same < node->length && !id_set_has(&node->endpoints, endpoint_id))) {
            child = split(trie, child, same);
        }
        trie->bytes +=
            id_set_add(&trie->nodes[child].endpoints, endpoint_id, &trie->memory);
        done += same;
        at = child;
    }
}

void prefix_trie_forget(struct prefix_trie *trie, uint32_t endpoint_id)
{
    for (uint32_t i = 0; i < trie->node_count; i++) {
        id_set_remove(&trie->nodes[i].endpoints, endpoint_id);
    }
}
