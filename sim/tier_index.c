/* SPDX-License-Identifier: Apache-2.0
 *
 * tier_index.c: a hash map into an array of entries, which form a list in order of use.
 */
#include "sim/tier_index.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

enum { ENTRIES_MAX = 1 << 28 };

struct entry {
    uint64_t key;
    uint64_t bytes; /* 0: unused */
    int64_t ready_ns;
    int64_t read_until_ns;
    uint32_t pins;
    uint32_t newer; /* towards the last used; of unused ones the next of them */
    uint32_t older;
    uint32_t reserved; /* zero */
};

struct tier_index {
    uint64_t bytes_max;
    const struct tier_listener *listener;
    struct map *by_key;
    struct entry *entries;
    size_t capacity;
    uint32_t high;
    uint32_t unused; /* TIER_ENTRY_NONE = none */
    uint32_t newest;
    uint32_t oldest;
    uint64_t bytes;
    uint64_t evictions;
};

struct tier_index *tier_index_new(uint64_t bytes_max,
                                  const struct tier_listener *listener)
{
    struct tier_index *index = mem_alloc(1, sizeof *index);
    index->bytes_max = bytes_max;
    index->listener = listener;
    index->by_key = map_new(64, ENTRIES_MAX);
    index->unused = TIER_ENTRY_NONE;
    index->newest = TIER_ENTRY_NONE;
    index->oldest = TIER_ENTRY_NONE;
    return index;
}

void tier_index_delete(struct tier_index *index)
{
    if (index != NULL) {
        map_delete(index->by_key);
        mem_free(index->entries);
        mem_free(index);
    }
}

uint32_t tier_index_find(const struct tier_index *index, uint64_t key)
{
    uint32_t entry = TIER_ENTRY_NONE;
    return map_get(index->by_key, key, &entry) ? entry : TIER_ENTRY_NONE;
}

bool tier_index_here(const struct tier_index *index, uint32_t entry, int64_t now_ns)
{
    return index->entries[entry].ready_ns <= now_ns;
}

/* ---- order ----------------------------------------------------------------------- */

static void unlink_entry(struct tier_index *index, uint32_t at)
{
    const struct entry *entry = &index->entries[at];
    if (entry->newer == TIER_ENTRY_NONE) {
        index->newest = entry->older;
    } else {
        index->entries[entry->newer].older = entry->older;
    }
    if (entry->older == TIER_ENTRY_NONE) {
        index->oldest = entry->newer;
    } else {
        index->entries[entry->older].newer = entry->newer;
    }
}

static void link_newest(struct tier_index *index, uint32_t at)
{
    struct entry *entry = &index->entries[at];
    entry->newer = TIER_ENTRY_NONE;
    entry->older = index->newest;
    if (index->newest == TIER_ENTRY_NONE) {
        index->oldest = at;
    } else {
        index->entries[index->newest].newer = at;
    }
    index->newest = at;
}

void tier_index_touch(struct tier_index *index, uint32_t entry)
{
    if (entry != index->newest) {
        unlink_entry(index, entry);
        link_newest(index, entry);
    }
}

/* ---- room ------------------------------------------------------------------------ */

static bool may_leave(const struct entry *entry, int64_t now_ns)
{
    return entry->pins == 0 && entry->ready_ns <= now_ns &&
           entry->read_until_ns <= now_ns;
}

static void evict(struct tier_index *index, uint32_t at)
{
    struct entry *entry = &index->entries[at];
    const uint64_t key = entry->key;
    unlink_entry(index, at);
    (void)map_remove(index->by_key, key);
    index->bytes -= entry->bytes;
    index->evictions++;
    *entry = (struct entry){.newer = index->unused};
    index->unused = at;
    if (index->listener != NULL) {
        index->listener->on_evict(index->listener->context, key);
    }
}

/* Whether those that may leave make room, before any does. */
static bool room_possible(const struct tier_index *index, uint64_t bytes,
                          int64_t now_ns)
{
    uint64_t room = index->bytes_max - index->bytes;
    for (uint32_t at = index->oldest; room < bytes && at != TIER_ENTRY_NONE;
         at = index->entries[at].newer) {
        room += may_leave(&index->entries[at], now_ns) ? index->entries[at].bytes : 0;
    }
    return room >= bytes;
}

static void room_make(struct tier_index *index, uint64_t bytes, int64_t now_ns)
{
    uint32_t newer = TIER_ENTRY_NONE;
    for (uint32_t at = index->oldest; index->bytes_max - index->bytes < bytes;
         at = newer) {
        newer = index->entries[at].newer;
        if (may_leave(&index->entries[at], now_ns)) {
            evict(index, at);
        }
    }
}

static uint32_t entry_take(struct tier_index *index)
{
    const uint32_t unused = index->unused;
    if (unused != TIER_ENTRY_NONE) {
        index->unused = index->entries[unused].newer;
        return unused;
    }
    void *array = index->entries;
    const bool grown = mem_grow(&array, &index->capacity, (size_t)index->high + 1,
                                sizeof *index->entries, ENTRIES_MAX);
    CHECK(grown, "a tier of more than %d chunks", (int)ENTRIES_MAX);
    index->entries = array;
    return index->high++;
}

uint32_t tier_index_add(struct tier_index *index, uint64_t key, uint64_t bytes,
                        int64_t now_ns, int64_t ready_ns)
{
    CHECK(bytes > 0, "a chunk of no bytes");
    if (bytes > index->bytes_max || !room_possible(index, bytes, now_ns)) {
        return TIER_ENTRY_NONE;
    }
    room_make(index, bytes, now_ns);
    const uint32_t at = entry_take(index);
    index->entries[at] = (struct entry){
        .key = key, .bytes = bytes, .ready_ns = ready_ns, .read_until_ns = INT64_MIN};
    link_newest(index, at);
    map_put(index->by_key, key, at);
    index->bytes += bytes;
    return at;
}

void tier_index_arrive(struct tier_index *index, uint32_t entry, int64_t ready_ns)
{
    CHECK(index->entries[entry].ready_ns == TIER_ON_ITS_WAY, "a chunk comes twice");
    index->entries[entry].ready_ns = ready_ns;
}

void tier_index_read(struct tier_index *index, uint32_t entry, int64_t until_ns)
{
    if (until_ns > index->entries[entry].read_until_ns) {
        index->entries[entry].read_until_ns = until_ns;
    }
}

void tier_index_pin(struct tier_index *index, uint32_t entry)
{
    index->entries[entry].pins++;
}

void tier_index_unpin(struct tier_index *index, uint32_t entry)
{
    CHECK(index->entries[entry].pins > 0, "a chunk is unpinned that nobody pinned");
    index->entries[entry].pins--;
}

uint64_t tier_index_bytes(const struct tier_index *index)
{
    return index->bytes;
}

uint64_t tier_index_evictions(const struct tier_index *index)
{
    return index->evictions;
}

void tier_index_check(const struct tier_index *index)
{
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint32_t older = TIER_ENTRY_NONE;
    for (uint32_t at = index->oldest; at != TIER_ENTRY_NONE;
         at = index->entries[at].newer) {
        const struct entry *entry = &index->entries[at];
        CHECK(entry->older == older, "the order of a tier is broken");
        CHECK(tier_index_find(index, entry->key) == at, "a chunk of a tier is lost");
        bytes += entry->bytes;
        count++;
        older = at;
    }
    CHECK(index->newest == older, "the last used chunk of a tier is not the last");
    CHECK(bytes == index->bytes && bytes <= index->bytes_max,
          "a tier counts its bytes wrong");
    CHECK(map_count(index->by_key) == count, "a tier knows chunks that it has not");
}
