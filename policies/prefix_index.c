/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix_index.c: one hash table for all endpoints, and a CLOCK ring for each.
 *
 *     table:  key -> {7}              one endpoint: it stands in the entry, 16 bytes
 *             key -> set 3            several: two bitmaps, who has it, who used it
 * again ring of endpoint 7:  [k5 k4 k3 | k9 k8 ...]   its keys; | is the hand
 *
 * Main invariant: a key is in an endpoint's ring once if and only if the endpoint is in
 * the key's entry, so nothing outlives its ring and the table is as bounded as the
 * rings. Nearly every block of a fleet is known to one endpoint; bitmaps for all would
 * cost a kilobyte per block at 4096 endpoints, so only shared blocks have them.
 *
 * The hand forgets the first key that was not used again since it passed last. A prompt
 * enters the ring from its end, so its last block is forgotten first and what is left
 * of it can still be hit. CLOCK and not LRU: a hit sets one bit, where a list would
 * touch three more cache lines for each block.
 */
#include "policies/prefix_index.h"

#include "base/check.h"
#include "policies/block_table.h"

#include <string.h>

/* Of an entry with one holder, ref is the endpoint, twice, plus 1 if it used the block
 * again; with more, ref is the number of a set. */

struct ring {
    uint64_t *keys;
    uint32_t count;
    uint32_t capacity;
    uint32_t hand;
    uint32_t blocks_max;
};

enum { RING_MIN = 64, SETS_MIN = 16, WORD_BITS = 64, ENDPOINTS_MAX = 1 << 20 };
enum { FETCH_ENTRY = 16, FETCH_SET = 6 }; /* blocks ahead of a match */
#define NO_SET UINT32_MAX

struct prefix_index {
    struct policy_memory memory;
    struct block_table table;
    uint64_t *sets; /* 2 * words each: holders, then those that used it again */
    uint32_t words;
    uint32_t set_count;
    uint32_t set_capacity;
    uint32_t set_unused; /* through the first word; NO_SET = none */
    struct ring *rings;
    uint32_t ring_capacity;
    uint64_t *live; /* scratch of a match: endpoints that had every block so far */
    struct index_hit *hits;
    uint32_t hit_count;
    size_t bytes;
};

/* ---- memory --------------------------------------------------------------------- */

static void *resize(struct prefix_index *index, void *memory, size_t before,
                    size_t after)
{
    index->bytes = index->bytes - before + after;
    return index->memory.resize(index->memory.context, memory, after);
}

struct prefix_index *prefix_index_new(const struct policy_memory *memory)
{
    struct prefix_index *index =
        memory->resize(memory->context, NULL, sizeof(struct prefix_index));
    *index = (struct prefix_index){
        .memory = *memory, .set_unused = NO_SET, .bytes = sizeof *index};
    block_table_init(&index->table, memory);
    return index;
}

void prefix_index_delete(struct prefix_index *index)
{
    if (index == NULL) {
        return;
    }
    const struct policy_memory memory = index->memory;
    for (uint32_t id = 0; id < index->ring_capacity; id++) {
        memory.resize(memory.context, index->rings[id].keys, 0);
    }
    memory.resize(memory.context, index->rings, 0);
    memory.resize(memory.context, index->hits, 0);
    memory.resize(memory.context, index->live, 0);
    memory.resize(memory.context, index->sets, 0);
    block_table_fini(&index->table);
    memory.resize(memory.context, index, 0);
}

size_t prefix_index_bytes(const struct prefix_index *index)
{
    return index->bytes + block_table_bytes(&index->table);
}

/* ---- holders of a block ---------------------------------------------------------- */

static uint64_t *set_at(const struct prefix_index *index, uint32_t set)
{
    return index->sets + (size_t)set * 2 * index->words;
}

static uint64_t bit_of(uint32_t id)
{
    return UINT64_C(1) << id % WORD_BITS;
}

static uint32_t set_new(struct prefix_index *index)
{
    uint32_t set = index->set_unused;
    const size_t set_bytes = 2 * (size_t)index->words * sizeof(uint64_t);
    if (set != NO_SET) {
        index->set_unused = (uint32_t)set_at(index, set)[0];
    } else {
        if (index->set_count == index->set_capacity) {
            const uint32_t capacity =
                index->set_capacity > 0 ? 2 * index->set_capacity : SETS_MIN;
            index->sets = resize(index, index->sets, index->set_capacity * set_bytes,
                                 capacity * set_bytes);
            index->set_capacity = capacity;
        }
        set = index->set_count++;
    }
    memset(set_at(index, set), 0, set_bytes);
    return set;
}

static bool entry_has(const struct prefix_index *index, const struct block_entry *entry,
                      uint32_t id)
{
    if (entry->holders <= 1) {
        return entry->holders == 1 && entry->ref / 2 == id;
    }
    return (set_at(index, entry->ref)[id / WORD_BITS] & bit_of(id)) != 0;
}

/* Of a holder. */
static void entry_use(const struct prefix_index *index, struct block_entry *entry,
                      uint32_t id)
{
    if (entry->holders == 1) {
        entry->ref |= 1;
    } else {
        set_at(index, entry->ref)[index->words + id / WORD_BITS] |= bit_of(id);
    }
}

/* Of a holder: whether it used the block again since it was last asked. */
static bool entry_spare(const struct prefix_index *index, struct block_entry *entry,
                        uint32_t id)
{
    if (entry->holders == 1) {
        const bool again = (entry->ref & 1) != 0;
        entry->ref &= ~UINT32_C(1);
        return again;
    }
    uint64_t *word = &set_at(index, entry->ref)[index->words + id / WORD_BITS];
    const bool again = (*word & bit_of(id)) != 0;
    *word &= ~bit_of(id);
    return again;
}

/* The entry, or an empty place, has not got the endpoint. */
static void entry_add(struct prefix_index *index, struct block_entry *entry,
                      uint64_t key, uint32_t id)
{
    if (entry->holders == 0) {
        *entry = (struct block_entry){.key = key, .ref = 2 * id, .holders = 1};
        index->table.used++;
        return;
    }
    if (entry->holders == 1) {
        const uint32_t first = entry->ref / 2;
        const bool again = (entry->ref & 1) != 0;
        entry->ref = set_new(index);
        uint64_t *set = set_at(index, entry->ref);
        set[first / WORD_BITS] |= bit_of(first);
        set[index->words + first / WORD_BITS] |= again ? bit_of(first) : 0;
    }
    set_at(index, entry->ref)[id / WORD_BITS] |= bit_of(id);
    entry->holders++;
}

/* The last one of a set moves back into the entry. */
static void set_dissolve(struct prefix_index *index, struct block_entry *entry)
{
    uint64_t *set = set_at(index, entry->ref);
    uint32_t word = 0;
    while (set[word] == 0) {
        word++;
    }
    const uint32_t id = word * WORD_BITS + (uint32_t)__builtin_ctzll(set[word]);
    const bool again = (set[index->words + word] & bit_of(id)) != 0;
    set[0] = index->set_unused;
    index->set_unused = entry->ref;
    entry->ref = 2 * id + (again ? 1 : 0);
}

static void entry_drop(struct prefix_index *index, struct block_entry *entry,
                       uint32_t id)
{
    CHECK(entry_has(index, entry, id), "endpoint %u lacks a block of its ring", id);
    if (entry->holders == 1) {
        block_table_remove(&index->table, entry);
        return;
    }
    uint64_t *set = set_at(index, entry->ref);
    set[id / WORD_BITS] &= ~bit_of(id);
    set[index->words + id / WORD_BITS] &= ~bit_of(id);
    if (--entry->holders == 1) {
        set_dissolve(index, entry);
    }
}

/* ---- rings ---------------------------------------------------------------------- */

/* Sets get wider: all are written again, which happens a dozen times in a life. */
static void sets_widen(struct prefix_index *index, uint32_t words)
{
    const size_t before = 2 * (size_t)index->words * sizeof(uint64_t);
    const size_t after = 2 * (size_t)words * sizeof(uint64_t);
    uint64_t *wide = resize(index, NULL, 0, index->set_capacity * after);
    if (wide != NULL) {
        memset(wide, 0, index->set_capacity * after);
    }
    for (uint32_t set = 0; wide != NULL && set < index->set_count; set++) {
        const uint64_t *old = set_at(index, set);
        uint64_t *new = wide + (size_t)set * 2 * words;
        memcpy(new, old, before / 2);
        memcpy(new + words, old + index->words, before / 2);
    }
    (void)resize(index, index->sets, index->set_capacity * before, 0);
    index->live = resize(index, index->live, index->words * sizeof(uint64_t),
                         words * sizeof(uint64_t));
    index->sets = wide;
    index->words = words;
}

static struct ring *ring_of(struct prefix_index *index, uint32_t id)
{
    CHECK(id < ENDPOINTS_MAX, "endpoint %u", id);
    if (id >= index->ring_capacity) {
        uint32_t capacity = index->ring_capacity > 0 ? index->ring_capacity : WORD_BITS;
        while (capacity <= id) {
            capacity *= 2;
        }
        const uint32_t old = index->ring_capacity;
        index->rings = resize(index, index->rings, old * sizeof(struct ring),
                              capacity * sizeof(struct ring));
        memset(index->rings + old, 0, (capacity - old) * sizeof(struct ring));
        index->hits = resize(index, index->hits, old * sizeof(struct index_hit),
                             capacity * sizeof(struct index_hit));
        index->ring_capacity = capacity;
        sets_widen(index, capacity / WORD_BITS);
    }
    return &index->rings[id];
}

/* Forgets one block and returns its place in the ring. */
static uint32_t ring_evict(struct prefix_index *index, struct ring *ring, uint32_t id)
{
    for (;;) {
        const uint32_t at = ring->hand;
        struct block_entry *entry = block_table_at(&index->table, ring->keys[at]);
        const bool spared = entry_spare(index, entry, id);
        ring->hand = at + 1 < ring->count ? at + 1 : 0;
        if (!spared) {
            entry_drop(index, entry, id);
            return at;
        }
    }
}

static void ring_append(struct prefix_index *index, struct ring *ring, uint64_t key)
{
    if (ring->count == ring->capacity) {
        uint32_t capacity = ring->capacity > 0 ? 2 * ring->capacity : RING_MIN;
        capacity = capacity < ring->blocks_max ? capacity : ring->blocks_max;
        ring->keys = resize(index, ring->keys, ring->capacity * sizeof(uint64_t),
                            capacity * sizeof(uint64_t));
        ring->capacity = capacity;
    }
    ring->keys[ring->count++] = key;
}

/* Forgets `surplus` blocks as the hand would. What is left keeps its order from the
 * hand on, in a new array of just its size. */
static void ring_shrink(struct prefix_index *index, struct ring *ring, uint32_t id,
                        uint32_t surplus)
{
    const uint32_t count = ring->count;
    uint64_t *keys = resize(index, NULL, 0, count * sizeof *keys);
    uint32_t kept = 0;
    uint32_t passed = 0;
    for (; passed < count && surplus > 0; passed++) {
        const uint64_t key = ring->keys[(ring->hand + passed) % count];
        struct block_entry *entry = block_table_at(&index->table, key);
        if (entry_spare(index, entry, id)) {
            keys[kept++] = key;
        } else {
            entry_drop(index, entry, id);
            surplus--;
        }
    }
    /* Once around, and nobody is spared any more. */
    for (uint32_t i = 0; i < surplus; i++) {
        entry_drop(index, block_table_at(&index->table, keys[i]), id);
    }
    kept -= surplus;
    memmove(keys, keys + surplus, kept * sizeof *keys);
    ring->count = kept + count - passed;
    for (uint32_t i = kept; i < ring->count; i++, passed++) {
        keys[i] = ring->keys[(ring->hand + passed) % count];
    }
    (void)resize(index, ring->keys, ring->capacity * sizeof *keys, 0);
    ring->keys = resize(index, keys, count * sizeof *keys, ring->count * sizeof *keys);
    ring->capacity = ring->count;
    ring->hand = kept < ring->count ? kept : 0;
}

void prefix_index_allow(struct prefix_index *index, uint32_t endpoint_id,
                        uint32_t blocks_max)
{
    CHECK(blocks_max > 0, "endpoint %u may have no block", endpoint_id);
    struct ring *ring = ring_of(index, endpoint_id);
    ring->blocks_max = blocks_max;
    if (ring->count > blocks_max) {
        ring_shrink(index, ring, endpoint_id, ring->count - blocks_max);
    }
}

static void insert_one(struct prefix_index *index, struct ring *ring, uint32_t id,
                       uint64_t key)
{
    if (entry_has(index, block_table_at(&index->table, key), id)) {
        return;
    }
    if (ring->count < ring->blocks_max) {
        ring_append(index, ring, key);
    } else {
        ring->keys[ring_evict(index, ring, id)] = key;
    }
    block_table_reserve(&index->table);
    /* Looked up again: eviction may have moved entries. */
    entry_add(index, block_table_at(&index->table, key), key, id);
}

void prefix_index_insert(struct prefix_index *index, uint32_t endpoint_id,
                         const uint64_t *blocks, uint32_t count)
{
    struct ring *ring = ring_of(index, endpoint_id);
    CHECK(ring->blocks_max > 0, "endpoint %u was allowed nothing", endpoint_id);
    count = count < ring->blocks_max ? count : ring->blocks_max;
    block_table_fetch(&index->table, blocks, count);
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct block_entry *entry = block_table_at(&index->table, blocks[i]);
        if (entry_has(index, entry, endpoint_id)) {
            entry_use(index, entry, endpoint_id);
        } else {
            fresh++;
        }
    }
    if (ring->count + (uint64_t)fresh > ring->blocks_max) {
        const uint32_t ahead = ring->count - ring->hand;
        block_table_fetch(&index->table, ring->keys + ring->hand,
                          fresh < ahead ? fresh : ahead);
    }
    for (uint32_t i = count; fresh > 0 && i-- > 0;) {
        insert_one(index, ring, endpoint_id, blocks[i]);
    }
}

void prefix_index_forget(struct prefix_index *index, uint32_t endpoint_id)
{
    struct ring *ring = ring_of(index, endpoint_id);
    for (uint32_t i = 0; i < ring->count; i++) {
        entry_drop(index, block_table_at(&index->table, ring->keys[i]), endpoint_id);
    }
    ring->count = 0;
    ring->hand = 0;
}

uint32_t prefix_index_blocks(const struct prefix_index *index, uint32_t endpoint_id)
{
    return endpoint_id < index->ring_capacity ? index->rings[endpoint_id].count : 0;
}

/* ---- match ---------------------------------------------------------------------- */

static void hit_add(struct prefix_index *index, uint32_t id, uint32_t blocks)
{
    index->hits[index->hit_count++] =
        (struct index_hit){.endpoint_id = id, .blocks = blocks};
}

/* The endpoints of `bits`, which stand for word `word` of a bitmap. */
static void hits_add(struct prefix_index *index, uint32_t word, uint64_t bits,
                     uint32_t blocks)
{
    for (; bits != 0; bits &= bits - 1) {
        hit_add(index, word * WORD_BITS + (uint32_t)__builtin_ctzll(bits), blocks);
    }
}

/* A walk may end at any block, so it fetches a few blocks ahead of itself: entries, and
 * nearer by, when the entry has arrived, the set that it refers to. */
static void fetch_entry(const struct prefix_index *index, const uint64_t *blocks,
                        uint32_t count, uint32_t at)
{
    if (at + FETCH_ENTRY < count) {
        block_table_fetch(&index->table, blocks + at + FETCH_ENTRY, 1);
    }
}

static void fetch_set(const struct prefix_index *index, const uint64_t *blocks,
                      uint32_t count, uint32_t at)
{
    if (at + FETCH_SET < count) {
        const size_t home = block_table_home(&index->table, blocks[at + FETCH_SET]);
        const struct block_entry *entry = &index->table.entries[home];
        if (entry->holders > 1) {
            __builtin_prefetch(set_at(index, entry->ref));
        }
    }
}

/* From block `at` on only this endpoint is in the running. */
static void match_one(struct prefix_index *index, uint32_t id, const uint64_t *blocks,
                      uint32_t count, uint32_t at)
{
    while (at < count &&
           entry_has(index, block_table_at(&index->table, blocks[at]), id)) {
        fetch_entry(index, blocks, count, at);
        at++;
    }
    hit_add(index, id, at);
}

/* Those that drop out at block `at` have their hit; returns 0 or 1 when as many stay,
 * else more than 1. */
static uint32_t match_narrow(struct prefix_index *index,
                             const struct block_entry *entry, uint32_t at)
{
    uint32_t stay = 0;
    const uint64_t *holders = entry->holders > 1 ? set_at(index, entry->ref) : NULL;
    for (uint32_t word = 0; word < index->words; word++) {
        uint64_t has = 0;
        if (holders != NULL) {
            has = holders[word];
        } else if (entry->holders == 1 && entry->ref / 2 / WORD_BITS == word) {
            has = bit_of(entry->ref / 2);
        }
        hits_add(index, word, index->live[word] & ~has, at);
        const uint64_t live = index->live[word] & has;
        index->live[word] = live;
        stay += (uint32_t)(live != 0) + (uint32_t)((live & (live - 1)) != 0);
    }
    return stay;
}

static uint32_t lone_of(const struct prefix_index *index)
{
    uint32_t word = 0;
    while (index->live[word] == 0) {
        word++;
    }
    return word * WORD_BITS + (uint32_t)__builtin_ctzll(index->live[word]);
}

uint32_t prefix_index_match(struct prefix_index *index, const uint64_t *blocks,
                            uint32_t count, const struct index_hit **hits)
{
    index->hit_count = 0;
    *hits = index->hits;
    block_table_fetch(&index->table, blocks, count < FETCH_ENTRY ? count : FETCH_ENTRY);
    const struct block_entry *first =
        count > 0 ? block_table_at(&index->table, blocks[0]) : NULL;
    if (first == NULL || first->holders == 0) {
        return 0;
    }
    if (first->holders == 1) {
        match_one(index, first->ref / 2, blocks, count, 1);
        return index->hit_count;
    }
    memcpy(index->live, set_at(index, first->ref), index->words * sizeof(uint64_t));
    uint32_t stay = first->holders;
    uint32_t at = 1;
    while (at < count && stay > 1) {
        fetch_entry(index, blocks, count, at);
        fetch_set(index, blocks, count, at);
        stay = match_narrow(index, block_table_at(&index->table, blocks[at]), at);
        at++;
    }
    if (stay == 1) {
        match_one(index, lone_of(index), blocks, count, at);
    } else if (stay > 1) {
        for (uint32_t word = 0; word < index->words; word++) {
            hits_add(index, word, index->live[word], count);
        }
    }
    return index->hit_count;
}
