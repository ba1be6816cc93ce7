/* SPDX-License-Identifier: Apache-2.0
 *
 * kvpool.c: radix tree of block runs, and a free queue of runs.
 *
 * Main invariant: whoever holds a node holds its parent, and releases it no earlier. So
 * in the free queue a node always stands before its parent, the front of the queue is a
 * leaf, and evicting a block means shortening that leaf at its end.
 *
 * A node is split when a holder needs only its front. The front becomes a new node and
 * the old one keeps the end: sequences that end there, and its children, stay valid.
 *
 * The queue's entries are nodes nobody holds, and anonymous runs (parent == ANONYMOUS):
 * free blocks that cache nothing. Both live in one array and one list. Index 0 is the
 * root of the tree and, as a list element, the queue's head.
 */
#include "sim/kvpool.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

#define ANONYMOUS UINT32_MAX
enum { ROOT = 0, NODES_FIRST = 256 };

struct node {
    uint64_t key;
    uint64_t offset;
    uint32_t parent;  /* ANONYMOUS for runs that cache nothing */
    uint32_t blocks;  /* >= 1 but for the root */
    uint32_t holders; /* 0 = in the free queue */
    uint32_t children;
    uint32_t next; /* free queue; list of unused nodes */
    uint32_t previous;
};

/* Hashes of the block before a node and of its last one; kept when somebody listens.
 * Of the root, `end` is where all chains start. */
struct node_chain {
    uint64_t before;
    uint64_t end;
};

/* With the hash beside it, a probe that fails and a shift need not fetch the node. */
struct index_entry {
    uint32_t slot; /* 0 = none: the root is not indexed */
    uint32_t hash;
};

struct kvpool {
    struct kvpool_config config;
    uint32_t free_blocks;
    uint32_t node_count; /* in use, the root included */
    uint32_t unused;     /* list of node slots; 0 = none */
    size_t node_high;    /* slots ever used */
    size_t node_capacity;
    struct node *nodes;
    struct node_chain *chains; /* by slot; NULL when nobody listens */
    struct index_entry *index; /* open addressing, by (parent, key, offset) */
    uint32_t index_mask;
};

/* ---- index of children ---------------------------------------------------------- */

static uint32_t index_hash(uint32_t parent, uint64_t key, uint64_t offset)
{
    const uint64_t mixed = hash_mix(key + offset * UINT64_C(0x9e3779b97f4a7c15)) ^
                           ((uint64_t)parent * UINT64_C(0xd6e8feb86659fd93));
    return (uint32_t)(hash_mix(mixed) >> 32);
}

static uint32_t index_hash_of(const struct kvpool *pool, uint32_t slot)
{
    const struct node *node = &pool->nodes[slot];
    return index_hash(node->parent, node->key, node->offset);
}

static void index_add(struct kvpool *pool, uint32_t slot)
{
    const struct index_entry entry = {.slot = slot, .hash = index_hash_of(pool, slot)};
    uint32_t at = entry.hash & pool->index_mask;
    while (pool->index[at].slot != 0) {
        at = (at + 1) & pool->index_mask;
    }
    pool->index[at] = entry;
}

static void index_remove(struct kvpool *pool, uint32_t slot)
{
    const uint32_t mask = pool->index_mask;
    uint32_t hole = index_hash_of(pool, slot) & mask;
    while (pool->index[hole].slot != slot) {
        CHECK(pool->index[hole].slot != 0, "node %u is not in the index", slot);
        hole = (hole + 1) & mask;
    }
    /* Shift back whatever would no longer be found behind the hole. */
    for (uint32_t at = (hole + 1) & mask; pool->index[at].slot != 0;
         at = (at + 1) & mask) {
        const uint32_t home = pool->index[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            pool->index[hole] = pool->index[at];
            hole = at;
        }
    }
    pool->index[hole].slot = 0;
}

static uint32_t index_find(const struct kvpool *pool, uint32_t parent, uint64_t key,
                           uint64_t offset)
{
    const uint32_t hash = index_hash(parent, key, offset);
    for (uint32_t at = hash & pool->index_mask; pool->index[at].slot != 0;
         at = (at + 1) & pool->index_mask) {
        if (pool->index[at].hash != hash) {
            continue;
        }
        const uint32_t slot = pool->index[at].slot;
        const struct node *node = &pool->nodes[slot];
        if (node->parent == parent && node->key == key && node->offset == offset) {
            return slot;
        }
    }
    return 0;
}

static void index_rebuild(struct kvpool *pool, size_t capacity)
{
    size_t size = 1024;
    while (size < 2 * capacity) {
        size *= 2;
    }
    mem_free(pool->index);
    pool->index = mem_alloc(size, sizeof(struct index_entry));
    pool->index_mask = (uint32_t)(size - 1);
    for (uint32_t slot = 1; slot < pool->node_high; slot++) {
        const struct node *node = &pool->nodes[slot];
        if (node->blocks > 0 && node->parent != ANONYMOUS) {
            index_add(pool, slot);
        }
    }
}

/* ---- changes of the cache ---------------------------------------------------------
 */

static void tell(const struct kvpool *pool, bool stored, uint64_t chain,
                 const struct block_run *run)
{
    const struct kv_change change = {.run = *run, .chain = chain, .stored = stored};
    pool->config.listener->on_change(pool->config.listener->context, &change);
}

/* The node, whose chain ends in `end` so far, gets these blocks at its end. */
static void chain_extend(struct kvpool *pool, uint32_t slot, uint64_t end,
                         const struct block_run *part)
{
    tell(pool, true, end, part);
    pool->chains[slot].end =
        block_run_hashes(part, pool->config.block_tokens, end, NULL);
}

/* The node, unchanged so far, loses all blocks behind the first `kept`. */
static void chain_cut(struct kvpool *pool, uint32_t slot, uint32_t kept)
{
    const struct node *node = &pool->nodes[slot];
    const uint32_t block_tokens = pool->config.block_tokens;
    struct node_chain *chain = &pool->chains[slot];
    struct block_run part = {.key = node->key, .offset = node->offset, .blocks = kept};
    chain->end = block_run_hashes(&part, block_tokens, chain->before, NULL);
    part.offset += (uint64_t)kept * block_tokens;
    part.blocks = node->blocks - kept;
    tell(pool, false, chain->end, &part);
}

/* `front` has taken over the first blocks of the node `slot`. */
static void chain_split(struct kvpool *pool, uint32_t front, uint32_t slot)
{
    const struct node *node = &pool->nodes[front];
    struct node_chain *chains = pool->chains;
    const struct block_run part = {
        .key = node->key, .offset = node->offset, .blocks = node->blocks};
    chains[front].before = chains[slot].before;
    chains[front].end =
        block_run_hashes(&part, pool->config.block_tokens, chains[front].before, NULL);
    chains[slot].before = chains[front].end;
}

/* ---- nodes ---------------------------------------------------------------------- */

static uint32_t node_new(struct kvpool *pool)
{
    pool->node_count++;
    if (pool->unused != 0) {
        const uint32_t slot = pool->unused;
        pool->unused = pool->nodes[slot].next;
        memset(&pool->nodes[slot], 0, sizeof(pool->nodes[slot]));
        return slot;
    }
    if (pool->node_high == pool->node_capacity) {
        void *nodes = pool->nodes;
        /* Every node but the root has a block of its own, so there cannot be more. */
        const bool grown =
            mem_grow(&nodes, &pool->node_capacity, pool->node_high + 1,
                     sizeof(struct node), (size_t)pool->config.blocks + 2);
        CHECK(grown, "more nodes than blocks: %u", pool->config.blocks);
        pool->nodes = nodes;
        index_rebuild(pool, pool->node_capacity);
        if (pool->chains != NULL) {
            pool->chains =
                mem_resize(pool->chains, pool->node_capacity, sizeof *pool->chains);
        }
    }
    const uint32_t slot = (uint32_t)pool->node_high++;
    memset(&pool->nodes[slot], 0, sizeof(pool->nodes[slot]));
    return slot;
}

static void node_drop(struct kvpool *pool, uint32_t slot)
{
    pool->nodes[slot].blocks = 0;
    pool->nodes[slot].next = pool->unused;
    pool->unused = slot;
    pool->node_count--;
}

/* ---- free queue ------------------------------------------------------------------ */

static void queue_link(struct kvpool *pool, uint32_t slot, uint32_t after)
{
    struct node *nodes = pool->nodes;
    const uint32_t before = nodes[after].next;
    nodes[slot].previous = after;
    nodes[slot].next = before;
    nodes[after].next = slot;
    nodes[before].previous = slot;
}

static void queue_unlink(struct kvpool *pool, uint32_t slot)
{
    struct node *nodes = pool->nodes;
    nodes[nodes[slot].previous].next = nodes[slot].next;
    nodes[nodes[slot].next].previous = nodes[slot].previous;
}

/* Puts `blocks` free blocks that cache nothing behind `after`; joins neighbours. */
static void queue_put_anonymous(struct kvpool *pool, uint32_t after, uint32_t blocks)
{
    struct node *nodes = pool->nodes;
    if (after != ROOT && nodes[after].parent == ANONYMOUS) {
        nodes[after].blocks += blocks;
        return;
    }
    const uint32_t before = nodes[after].next;
    if (before != ROOT && nodes[before].parent == ANONYMOUS) {
        nodes[before].blocks += blocks;
        return;
    }
    const uint32_t slot = node_new(pool);
    pool->nodes[slot].parent = ANONYMOUS;
    pool->nodes[slot].blocks = blocks;
    queue_link(pool, slot, after);
}

static void leaf_drop(struct kvpool *pool, uint32_t slot)
{
    CHECK(pool->nodes[slot].children == 0, "evicted node %u has %u children", slot,
          pool->nodes[slot].children);
    index_remove(pool, slot);
    pool->nodes[pool->nodes[slot].parent].children--;
}

void kvpool_take(struct kvpool *pool, uint32_t count)
{
    CHECK(count <= pool->free_blocks, "%u blocks wanted, %u free", count,
          pool->free_blocks);
    pool->free_blocks -= count;
    if (!pool->config.prefix_caching) {
        return;
    }
    while (count > 0) {
        const uint32_t slot = pool->nodes[ROOT].next;
        struct node *front = &pool->nodes[slot];
        const bool told = pool->chains != NULL && front->parent != ANONYMOUS;
        if (front->blocks > count) {
            if (told) {
                chain_cut(pool, slot, front->blocks - count);
            }
            front->blocks -= count;
            return;
        }
        count -= front->blocks;
        queue_unlink(pool, slot);
        if (told) {
            chain_cut(pool, slot, 0);
        }
        if (front->parent != ANONYMOUS) {
            leaf_drop(pool, slot);
        }
        node_drop(pool, slot);
    }
}

/* ---- tree ------------------------------------------------------------------------ */

/* Cuts a node behind its first `blocks` blocks and returns the new front node. */
static uint32_t node_split(struct kvpool *pool, uint32_t slot, uint32_t blocks)
{
    const uint32_t front = node_new(pool);
    struct node *nodes = pool->nodes;
    CHECK(blocks > 0 && blocks < nodes[slot].blocks, "split %u of %u", blocks,
          nodes[slot].blocks);
    index_remove(pool, slot);
    nodes[front].key = nodes[slot].key;
    nodes[front].offset = nodes[slot].offset;
    nodes[front].parent = nodes[slot].parent;
    nodes[front].blocks = blocks;
    nodes[front].holders = nodes[slot].holders;
    nodes[front].children = 1;
    nodes[slot].parent = front;
    nodes[slot].offset += (uint64_t)blocks * pool->config.block_tokens;
    nodes[slot].blocks -= blocks;
    if (nodes[slot].holders == 0) {
        /* Behind the end, which is evicted first. */
        /* NOLINTNEXTLINE(readability-suspicious-call-argument) */
        queue_link(pool, front, slot);
    }
    index_add(pool, front);
    index_add(pool, slot);
    if (pool->chains != NULL) {
        chain_split(pool, front, slot);
    }
    return front;
}

struct kv_hit kvpool_lookup(const struct kvpool *pool, const struct block_run *runs,
                            uint32_t run_count, uint32_t limit_blocks)
{
    struct kv_hit hit = {0};
    if (!pool->config.prefix_caching) {
        return hit;
    }
    for (uint32_t run = 0; run < run_count && hit.blocks < limit_blocks; run++) {
        uint32_t at = 0;
        while (at < runs[run].blocks && hit.blocks < limit_blocks) {
            const uint64_t offset =
                runs[run].offset + (uint64_t)at * pool->config.block_tokens;
            const uint32_t child = index_find(pool, hit.node, runs[run].key, offset);
            if (child == 0) {
                return hit;
            }
            const struct node *node = &pool->nodes[child];
            uint32_t common = runs[run].blocks - at;
            common = common < node->blocks ? common : node->blocks;
            const uint32_t room = limit_blocks - hit.blocks;
            common = common < room ? common : room;
            hit.node = child;
            hit.node_blocks = common;
            hit.blocks += common;
            hit.evictable += node->holders == 0 ? common : 0;
            at += common;
            if (common < node->blocks) {
                return hit;
            }
        }
    }
    return hit;
}

/* One more holder of a node; the first one takes it out of the free queue. */
static void node_hold(struct kvpool *pool, uint32_t slot)
{
    struct node *node = &pool->nodes[slot];
    if (node->holders++ == 0) {
        queue_unlink(pool, slot);
        pool->free_blocks -= node->blocks;
    }
}

static void sequence_skip(struct kv_sequence *sequence, uint32_t blocks)
{
    while (blocks > 0) {
        const uint32_t left =
            sequence->runs[sequence->run].blocks - sequence->run_blocks;
        const uint32_t step = blocks < left ? blocks : left;
        sequence->run_blocks += step;
        sequence->registered += step;
        blocks -= step;
        if (step == left) {
            sequence->run++;
            sequence->run_blocks = 0;
        }
    }
}

void kvpool_admit(struct kvpool *pool, struct kv_sequence *sequence,
                  const struct kv_hit *hit, uint32_t need)
{
    CHECK(sequence->tail == ROOT && sequence->registered == 0,
          "admitted a sequence that holds %u blocks", sequence->registered);
    CHECK((uint64_t)hit->evictable + need <= pool->free_blocks,
          "admission needs %u + %u blocks, %u free", hit->evictable, need,
          pool->free_blocks);
    if (hit->blocks > 0) {
        uint32_t tail = hit->node;
        if (hit->node_blocks < pool->nodes[tail].blocks) {
            tail = node_split(pool, tail, hit->node_blocks);
        }
        for (uint32_t slot = tail; slot != ROOT; slot = pool->nodes[slot].parent) {
            node_hold(pool, slot);
        }
        sequence->tail = tail;
        sequence_skip(sequence, hit->blocks);
    }
    kvpool_take(pool, need);
}

/* The block that the sequence has just filled was registered by somebody before. It
 * becomes a holder of that one. Its own copy stays its own (surplus) while others hold
 * the first, or takes the first one's place in the free queue when nobody does. */
static uint32_t sequence_join(struct kvpool *pool, struct kv_sequence *sequence,
                              uint32_t child, uint32_t blocks)
{
    if (blocks < pool->nodes[child].blocks) {
        child = node_split(pool, child, blocks);
    }
    if (pool->nodes[child].holders > 0) {
        pool->nodes[child].holders++;
        sequence->surplus += blocks;
    } else {
        const uint32_t place = pool->nodes[child].previous;
        queue_unlink(pool, child);
        pool->nodes[child].holders = 1;
        queue_put_anonymous(pool, place, blocks);
    }
    return child;
}

static uint32_t sequence_extend(struct kvpool *pool, struct kv_sequence *sequence,
                                const struct block_run *part)
{
    struct node *tail = &pool->nodes[sequence->tail];
    const uint64_t end =
        tail->offset + (uint64_t)tail->blocks * pool->config.block_tokens;
    if (sequence->tail != ROOT && tail->holders == 1 && tail->children == 0 &&
        tail->key == part->key && (part->key & BLOCK_RUN_MIXED) == 0 &&
        end == part->offset) {
        tail->blocks += part->blocks;
        if (pool->chains != NULL) {
            chain_extend(pool, sequence->tail, pool->chains[sequence->tail].end, part);
        }
        return sequence->tail;
    }
    const uint32_t slot = node_new(pool);
    struct node *node = &pool->nodes[slot];
    node->key = part->key;
    node->offset = part->offset;
    node->parent = sequence->tail;
    node->blocks = part->blocks;
    node->holders = 1;
    pool->nodes[sequence->tail].children++;
    index_add(pool, slot);
    if (pool->chains != NULL) {
        pool->chains[slot].before = pool->chains[sequence->tail].end;
        chain_extend(pool, slot, pool->chains[slot].before, part);
    }
    return slot;
}

void kvpool_register(struct kvpool *pool, struct kv_sequence *sequence, uint32_t blocks)
{
    if (!pool->config.prefix_caching) {
        return;
    }
    while (sequence->registered < blocks && sequence->run < sequence->run_count) {
        const struct block_run *run = &sequence->runs[sequence->run];
        struct block_run part = *run;
        part.offset += (uint64_t)sequence->run_blocks * pool->config.block_tokens;
        part.blocks = run->blocks - sequence->run_blocks;
        const uint32_t want = blocks - sequence->registered;
        part.blocks = part.blocks < want ? part.blocks : want;
        const uint32_t child = index_find(pool, sequence->tail, part.key, part.offset);
        if (child != 0) {
            const uint32_t there = pool->nodes[child].blocks;
            part.blocks = part.blocks < there ? part.blocks : there;
            sequence->tail = sequence_join(pool, sequence, child, part.blocks);
        } else {
            sequence->tail = sequence_extend(pool, sequence, &part);
        }
        sequence_skip(sequence, part.blocks);
    }
}

static void private_give(struct kvpool *pool, uint32_t blocks)
{
    pool->free_blocks += blocks;
    if (blocks > 0 && pool->config.prefix_caching) {
        const uint32_t after =
            pool->config.reuse_private_first ? ROOT : pool->nodes[ROOT].previous;
        queue_put_anonymous(pool, after, blocks);
    }
}

/* One holder less of a node and all before it; the last one puts it in the queue. */
static void path_give(struct kvpool *pool, uint32_t tail)
{
    struct node *nodes = pool->nodes;
    for (uint32_t slot = tail; slot != ROOT; slot = nodes[slot].parent) {
        CHECK(nodes[slot].holders > 0, "node %u released twice", slot);
        if (--nodes[slot].holders == 0) {
            pool->free_blocks += nodes[slot].blocks;
            queue_link(pool, slot, nodes[ROOT].previous);
        }
    }
}

void kvpool_release(struct kvpool *pool, struct kv_sequence *sequence, uint32_t owned)
{
    CHECK(owned >= sequence->registered, "%u blocks owned, %u registered", owned,
          sequence->registered);
    private_give(pool, owned - sequence->registered + sequence->surplus);
    if (sequence->tail != ROOT) {
        path_give(pool, sequence->tail);
    }
    CHECK(pool->free_blocks <= pool->config.blocks, "%u blocks free of %u",
          pool->free_blocks, pool->config.blocks);
    const struct block_run *runs = sequence->runs;
    const uint32_t run_count = sequence->run_count;
    *sequence = (struct kv_sequence){.runs = runs, .run_count = run_count};
}

/* ---- life ------------------------------------------------------------------------ */

struct kvpool *kvpool_new(const struct kvpool_config *config)
{
    CHECK(config->blocks > 0 && config->blocks < ANONYMOUS - 2, "%u blocks",
          config->blocks);
    struct kvpool *pool = mem_alloc(1, sizeof(*pool));
    pool->config = *config;
    pool->free_blocks = config->blocks;
    if (config->prefix_caching) {
        pool->node_capacity = NODES_FIRST;
        pool->nodes = mem_alloc(pool->node_capacity, sizeof(struct node));
        pool->node_high = 1;
        pool->node_count = 1;
        if (config->listener != NULL) {
            pool->chains = mem_alloc(pool->node_capacity, sizeof *pool->chains);
            pool->chains[ROOT].end = block_chain_start(0);
        }
        index_rebuild(pool, pool->node_capacity);
        queue_put_anonymous(pool, ROOT, config->blocks);
    }
    return pool;
}

void kvpool_delete(struct kvpool *pool)
{
    if (pool != NULL) {
        mem_free(pool->chains);
        mem_free(pool->nodes);
        mem_free(pool->index);
        mem_free(pool);
    }
}

uint32_t kvpool_free_blocks(const struct kvpool *pool)
{
    return pool->free_blocks;
}

uint32_t kvpool_blank_blocks(const struct kvpool *pool)
{
    if (pool->chains == NULL) {
        return pool->free_blocks;
    }
    uint32_t blank = 0;
    for (uint32_t slot = pool->nodes[ROOT].next;
         slot != ROOT && pool->nodes[slot].parent == ANONYMOUS;
         slot = pool->nodes[slot].next) {
        blank += pool->nodes[slot].blocks;
    }
    return blank;
}

uint32_t kvpool_total_blocks(const struct kvpool *pool)
{
    return pool->config.blocks;
}

uint32_t kvpool_nodes(const struct kvpool *pool)
{
    return pool->node_count;
}

/* ---- invariants ------------------------------------------------------------------ */

static uint64_t check_queue(const struct kvpool *pool)
{
    const struct node *nodes = pool->nodes;
    uint64_t queued = 0;
    uint32_t previous = ROOT;
    for (uint32_t slot = nodes[ROOT].next; slot != ROOT; slot = nodes[slot].next) {
        CHECK(nodes[slot].blocks > 0, "empty run %u in the free queue", slot);
        CHECK(nodes[slot].holders == 0, "held node %u in the free queue", slot);
        CHECK(nodes[slot].previous == previous, "broken queue at %u", slot);
        queued += nodes[slot].blocks;
        previous = slot;
    }
    return queued;
}

/* Returns the blocks of held nodes. */
static uint64_t check_nodes(const struct kvpool *pool)
{
    uint64_t used = 0;
    uint32_t in_use = 1;
    for (uint32_t slot = 1; slot < pool->node_high; slot++) {
        const struct node *node = &pool->nodes[slot];
        in_use += node->blocks > 0 ? 1 : 0;
        if (node->blocks == 0 || node->parent == ANONYMOUS) {
            continue;
        }
        const struct node *parent = &pool->nodes[node->parent];
        CHECK(node->parent == ROOT || parent->holders >= node->holders,
              "node %u has more holders than its parent", slot);
        CHECK(index_find(pool, node->parent, node->key, node->offset) == slot,
              "node %u is not found", slot);
        used += node->holders > 0 ? node->blocks : 0;
    }
    CHECK(in_use == pool->node_count, "%u nodes in use, %u counted", in_use,
          pool->node_count);
    return used;
}

void kvpool_check(const struct kvpool *pool, uint64_t held)
{
    uint64_t used = held;
    if (pool->config.prefix_caching) {
        used += check_nodes(pool);
        const uint64_t queued = check_queue(pool);
        CHECK(queued == pool->free_blocks, "INV-4: %llu blocks queued, %u free",
              (unsigned long long)queued, pool->free_blocks);
    }
    CHECK(used + pool->free_blocks == pool->config.blocks,
          "INV-4: %llu used + %u free blocks are not %u", (unsigned long long)used,
          pool->free_blocks, pool->config.blocks);
}
