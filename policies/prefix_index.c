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
 *
 * A prompt's keys lie all over the table, but all of them are known before the first
 * one is needed: they are fetched ahead.
 */
#include "policies/prefix_index.h"

#include "base/check.h"

#include <assert.h>
#include <string.h>

/* holders == 0: an empty place; 1: ref is the endpoint, twice, plus 1 if it used the
 * block again; more: ref is the number of a set. */
struct entry {
    uint64_t key;
    uint32_t ref;
    uint32_t holders;
};
static_assert(sizeof(struct entry) == 16, "four entries to a cache line");

struct ring {
    uint64_t *keys;
    uint32_t count;
    uint32_t capacity;
    uint32_t hand;
    uint32_t blocks_max;
};

enum { ENTRIES_MIN = 64, RING_MIN = 64, SETS_MIN = 16, WORD_BITS = 64 };
enum { ENDPOINTS_MAX = 1 << 20, FETCH_MAX = 256 };
#define NO_SET UINT32_MAX

struct prefix_index {
    struct policy_memory memory;
    struct entry *entries;
    uint32_t shift; /* 64 - log2 of the number of places */
    size_t used;
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

static size_t places(const struct prefix_index *index)
{
    return (size_t)1 << (64 - index->shift);
}

static void entries_new(struct prefix_index *index, uint32_t shift)
{
    index->shift = shift;
    const size_t bytes = places(index) * sizeof(struct entry);
    index->entries = resize(index, NULL, 0, bytes);
    memset(index->entries, 0, bytes);
}

struct prefix_index *prefix_index_new(const struct policy_memory *memory)
{
    struct prefix_index *index =
        memory->resize(memory->context, NULL, sizeof(struct prefix_index));
    *index = (struct prefix_index){
        .memory = *memory, .set_unused = NO_SET, .bytes = sizeof *index};
    entries_new(index, 64 - (uint32_t)__builtin_ctz(ENTRIES_MIN));
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
    memory.resize(memory.context, index->entries, 0);
    memory.resize(memory.context, index, 0);
}

size_t prefix_index_bytes(const struct prefix_index *index)
{
    return index->bytes;
}

/* ---- table ---------------------------------------------------------------------- */

/* Keys are hashes, but of a stranger's making: a product spreads any pattern. */
static size_t home_of(const struct prefix_index *index, uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> index->shift);
}

/* The key's entry, or the empty place where it would go. */
static struct entry *entry_at(const struct prefix_index *index, uint64_t key)
{
    const size_t mask = places(index) - 1;
    size_t at = home_of(index, key);
    while (index->entries[at].holders != 0 && index->entries[at].key != key) {
        at = (at + 1) & mask;
    }
    return &index->entries[at];
}

static void fetch_ahead(const struct prefix_index *index, const uint64_t *keys,
                        uint32_t count)
{
    count = count < FETCH_MAX ? count : FETCH_MAX;
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(&index->entries[home_of(index, keys[i])]);
    }
}

static void table_grow(struct prefix_index *index)
{
    struct entry *old = index->entries;
    const size_t old_places = places(index);
    CHECK(index->shift > 24, "%zu blocks in one prefix index", index->used);
    entries_new(index, index->shift - 1);
    for (size_t i = 0; i < old_places; i++) {
        if (old[i].holders != 0) {
            *entry_at(index, old[i].key) = old[i];
        }
    }
    (void)resize(index, old, old_places * sizeof *old, 0);
}

/* Shifts back whatever would no longer be found behind the hole. */
static void entry_remove(struct prefix_index *index, struct entry *entry)
{
    const size_t mask = places(index) - 1;
    size_t hole = (size_t)(entry - index->entries);
    for (size_t at = (hole + 1) & mask; index->entries[at].holders != 0;
         at = (at + 1) & mask) {
        const size_t home = home_of(index, index->entries[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            index->entries[hole] = index->entries[at];
            hole = at;
        }
    }
    index->entries[hole].holders = 0;
    index->used--;
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

static bool entry_has(const struct prefix_index *index, const struct entry *entry,
                      uint32_t id)
{
    if (entry->holders <= 1) {
        return entry->holders == 1 && entry->ref / 2 == id;
    }
    return (set_at(index, entry->ref)[id / WORD_BITS] & bit_of(id)) != 0;
}

/* Of a holder. */
static void entry_use(const struct prefix_index *index, struct entry *entry,
                      uint32_t id)
{
    if (entry->holders == 1) {
        entry->ref |= 1;
    } else {
        set_at(index, entry->ref)[index->words + id / WORD_BITS] |= bit_of(id);
    }
}

/* Of a holder: whether it used the block again since it was last asked. */
static bool entry_spare(const struct prefix_index *index, struct entry *entry,
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
static void entry_add(struct prefix_index *index, struct entry *entry, uint64_t key,
                      uint32_t id)
{
    if (entry->holders == 0) {
        *entry = (struct entry){.key = key, .ref = 2 * id, .holders = 1};
        index->used++;
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
static void set_dissolve(struct prefix_index *index, struct entry *entry)
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

static void entry_drop(struct prefix_index *index, struct entry *entry, uint32_t id)
{
    CHECK(entry_has(index, entry, id), "endpoint %u lacks a block of its ring", id);
    if (entry->holders == 1) {
        entry_remove(index, entry);
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
    for (uint32_t set = 0; set < index->set_count; set++) {
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
        struct entry *entry = entry_at(index, ring->keys[at]);
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
        struct entry *entry = entry_at(index, key);
        if (entry_spare(index, entry, id)) {
            keys[kept++] = key;
        } else {
            entry_drop(index, entry, id);
            surplus--;
        }
    }
    /* Once around, and nobody is spared any more. */
    for (uint32_t i = 0; i < surplus; i++) {
        entry_drop(index, entry_at(index, keys[i]), id);
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
    if (entry_has(index, entry_at(index, key), id)) {
        return;
    }
    if (ring->count < ring->blocks_max) {
        ring_append(index, ring, key);
    } else {
        ring->keys[ring_evict(index, ring, id)] = key;
    }
    if (10 * (index->used + 1) > 7 * places(index)) {
        table_grow(index);
    }
    /* Looked up again: eviction may have moved entries. */
    entry_add(index, entry_at(index, key), key, id);
}

void prefix_index_insert(struct prefix_index *index, uint32_t endpoint_id,
                         const uint64_t *blocks, uint32_t count)
{
    struct ring *ring = ring_of(index, endpoint_id);
    CHECK(ring->blocks_max > 0, "endpoint %u was allowed nothing", endpoint_id);
    count = count < ring->blocks_max ? count : ring->blocks_max;
    fetch_ahead(index, blocks, count);
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct entry *entry = entry_at(index, blocks[i]);
        if (entry_has(index, entry, endpoint_id)) {
            entry_use(index, entry, endpoint_id);
        } else {
            fresh++;
        }
    }
    if (ring->count + (uint64_t)fresh > ring->blocks_max) {
        const uint32_t ahead = ring->count - ring->hand;
        fetch_ahead(index, ring->keys + ring->hand, fresh < ahead ? fresh : ahead);
    }
    for (uint32_t i = count; fresh > 0 && i-- > 0;) {
        insert_one(index, ring, endpoint_id, blocks[i]);
    }
}

void prefix_index_forget(struct prefix_index *index, uint32_t endpoint_id)
{
    struct ring *ring = ring_of(index, endpoint_id);
    for (uint32_t i = 0; i < ring->count; i++) {
        entry_drop(index, entry_at(index, ring->keys[i]), endpoint_id);
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

/* From block `at` on only this endpoint is in the running. */
static void match_one(struct prefix_index *index, uint32_t id, const uint64_t *blocks,
                      uint32_t count, uint32_t at)
{
    while (at < count && entry_has(index, entry_at(index, blocks[at]), id)) {
        at++;
    }
    hit_add(index, id, at);
}

/* Those that drop out at block `at` have their hit; returns how many stay. */
static uint32_t match_narrow(struct prefix_index *index, const struct entry *entry,
                             uint32_t at)
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
        index->live[word] &= has;
        stay += (uint32_t)__builtin_popcountll(index->live[word]);
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
    const struct entry *first = count > 0 ? entry_at(index, blocks[0]) : NULL;
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
        stay = match_narrow(index, entry_at(index, blocks[at]), at);
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
