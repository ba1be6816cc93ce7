/* SPDX-License-Identifier: Apache-2.0
 *
 * kv_index.c: one hash table for all endpoints, lists of holders, a log for each.
 *
 *     table:  key -> {7}           one endpoint: it stands in the entry
 *             key -> list {7 2 9}  several, in the order in which they stored it
 *     log of endpoint 7:  [k3 k8 k1 k3 ...]   what it stored, oldest first
 *
 * Lists and not bitmaps as in prefix_index.c: who was first matters to a policy of the
 * stack. A log serves only to know what is oldest when an endpoint has too much. A
 * removal does not search it; what has gone stays there until the log is full and half
 * of it is gone, and is swept out then. A block that came, went and came again
 * stands in it twice until then; if something has to go, it may go a little early.
 */
#include "policies/kv_index.h"

#include "base/check.h"
#include "policies/block_table.h"

#include <string.h>

enum { LOG_MIN = 64, LISTS_MIN = 256, ENDPOINTS_MAX = 1 << 20, CLASSES = 32 };
#define NO_LIST UINT32_MAX
#define MET     (UINT32_C(1) << 31) /* beyond all ids */

struct log {
    uint64_t *keys; /* [first, end) */
    uint32_t first;
    uint32_t end;
    uint32_t capacity;
    uint32_t held; /* blocks that the endpoint has */
    uint32_t blocks_max;
};

/* Of an entry with one holder, ref is the endpoint; with more, where its list starts in
 * `lists`, which has room for the next power of two. */
struct kv_index {
    struct policy_memory memory;
    struct block_table table;
    bool replaces;
    uint32_t *lists;
    uint32_t lists_end;
    uint32_t lists_capacity;
    uint32_t lists_unused[CLASSES]; /* by log2 of the room; through the first item */
    struct log *logs;               /* by endpoint id */
    uint32_t log_count;
    uint32_t *depths; /* scratch of a match, by endpoint id; zero between matches */
    struct index_hit *hits;
    size_t bytes;
};

/* ---- memory --------------------------------------------------------------------- */

static void *resize(struct kv_index *index, void *memory, size_t before, size_t after)
{
    index->bytes = index->bytes - before + after;
    return index->memory.resize(index->memory.context, memory, after);
}

struct kv_index *kv_index_new(const struct policy_memory *memory)
{
    struct kv_index *index =
        memory->resize(memory->context, NULL, sizeof(struct kv_index));
    *index = (struct kv_index){.memory = *memory, .bytes = sizeof *index};
    for (uint32_t i = 0; i < CLASSES; i++) {
        index->lists_unused[i] = NO_LIST;
    }
    block_table_init(&index->table, memory);
    return index;
}

void kv_index_delete(struct kv_index *index)
{
    if (index == NULL) {
        return;
    }
    const struct policy_memory memory = index->memory;
    for (uint32_t id = 0; id < index->log_count; id++) {
        memory.resize(memory.context, index->logs[id].keys, 0);
    }
    memory.resize(memory.context, index->logs, 0);
    memory.resize(memory.context, index->hits, 0);
    memory.resize(memory.context, index->depths, 0);
    memory.resize(memory.context, index->lists, 0);
    block_table_fini(&index->table);
    memory.resize(memory.context, index, 0);
}

size_t kv_index_bytes(const struct kv_index *index)
{
    return index->bytes + block_table_bytes(&index->table);
}

void kv_index_replace(struct kv_index *index, bool replaces)
{
    index->replaces = replaces;
}

/* ---- lists of holders --------------------------------------------------------------
 */

/* log2 of the room of a list of `count` >= 2. */
static uint32_t class_of(uint32_t count)
{
    return 32 - (uint32_t)__builtin_clz(count - 1);
}

static uint32_t list_new(struct kv_index *index, uint32_t class)
{
    uint32_t list = index->lists_unused[class];
    if (list != NO_LIST) {
        index->lists_unused[class] = index->lists[list];
        return list;
    }
    const uint64_t end = (uint64_t)index->lists_end + (UINT64_C(1) << class);
    CHECK(end < NO_LIST, "%u holders in one index", index->lists_end);
    if (end > index->lists_capacity) {
        uint64_t capacity =
            index->lists_capacity > 0 ? index->lists_capacity : LISTS_MIN;
        while (capacity < end) {
            capacity *= 2;
        }
        capacity = capacity < NO_LIST ? capacity : NO_LIST;
        index->lists =
            resize(index, index->lists, index->lists_capacity * sizeof(uint32_t),
                   capacity * sizeof(uint32_t));
        index->lists_capacity = (uint32_t)capacity;
    }
    list = index->lists_end;
    index->lists_end = (uint32_t)end;
    return list;
}

static void list_give(struct kv_index *index, uint32_t list, uint32_t class)
{
    index->lists[list] = index->lists_unused[class];
    index->lists_unused[class] = list;
}

/* Into room of another size. */
static void list_move(struct kv_index *index, struct block_entry *entry, uint32_t from,
                      uint32_t to)
{
    const uint32_t list = list_new(index, to);
    memcpy(index->lists + list, index->lists + entry->ref,
           entry->holders * sizeof(uint32_t));
    list_give(index, entry->ref, from);
    entry->ref = list;
}

static const uint32_t *holders_of(const struct kv_index *index,
                                  const struct block_entry *entry)
{
    return entry->holders > 1 ? index->lists + entry->ref : &entry->ref;
}

/* The place of the endpoint among the holders; their number when it is not there. */
static uint32_t place_of(const struct kv_index *index, const struct block_entry *entry,
                         uint32_t id)
{
    const uint32_t *holders = holders_of(index, entry);
    uint32_t at = 0;
    while (at < entry->holders && holders[at] != id) {
        at++;
    }
    return at;
}

static void entry_add(struct kv_index *index, struct block_entry *entry, uint64_t key,
                      uint32_t id)
{
    const uint32_t holders = entry->holders;
    if (holders == 0) {
        *entry = (struct block_entry){.key = key, .ref = id, .holders = 1};
        index->table.used++;
        return;
    }
    if (holders == 1) {
        const uint32_t list = list_new(index, 1);
        index->lists[list] = entry->ref;
        entry->ref = list;
    } else if (class_of(holders + 1) != class_of(holders)) {
        list_move(index, entry, class_of(holders), class_of(holders + 1));
    }
    index->lists[entry->ref + holders] = id;
    entry->holders++;
}

/* Takes the holder at this place away. */
static void entry_drop(struct kv_index *index, struct block_entry *entry, uint32_t at)
{
    const uint32_t holders = entry->holders;
    if (holders == 1) {
        block_table_remove(&index->table, entry);
        return;
    }
    uint32_t *list = index->lists + entry->ref;
    memmove(list + at, list + at + 1, (holders - at - 1) * sizeof *list);
    entry->holders--;
    if (holders == 2) {
        const uint32_t last = list[0];
        list_give(index, entry->ref, 1);
        entry->ref = last;
    } else if (class_of(holders - 1) != class_of(holders)) {
        list_move(index, entry, class_of(holders), class_of(holders - 1));
    }
}

/* ---- logs ----------------------------------------------------------------------- */

static struct log *log_of(struct kv_index *index, uint32_t id)
{
    CHECK(id < ENDPOINTS_MAX, "endpoint %u", id);
    if (id >= index->log_count) {
        const uint32_t before = index->log_count;
        uint32_t after = before > 0 ? before : 16;
        while (after <= id) {
            after *= 2;
        }
        index->logs = resize(index, index->logs, before * sizeof(struct log),
                             after * sizeof(struct log));
        memset(index->logs + before, 0, (after - before) * sizeof(struct log));
        index->depths = resize(index, index->depths, before * sizeof(uint32_t),
                               after * sizeof(uint32_t));
        memset(index->depths + before, 0, (after - before) * sizeof(uint32_t));
        index->hits = resize(index, index->hits, before * sizeof(struct index_hit),
                             after * sizeof(struct index_hit));
        index->log_count = after;
    }
    return &index->logs[id];
}

/* Takes the block from the endpoint; false when it has not got it. */
static bool take(struct kv_index *index, uint32_t id, uint64_t key)
{
    struct block_entry *entry = block_table_at(&index->table, key);
    const uint32_t at = place_of(index, entry, id);
    if (at == entry->holders) {
        return false;
    }
    entry_drop(index, entry, at);
    index->logs[id].held--;
    return true;
}

static void log_forget_oldest(struct kv_index *index, uint32_t id)
{
    struct log *log = &index->logs[id];
    (void)take(index, id, log->keys[log->first++]);
}

/* Renames the endpoint among the holders of a block; false when it is not there. */
static bool rename_holder(struct kv_index *index, uint64_t key, uint32_t from,
                          uint32_t to)
{
    struct block_entry *entry = block_table_at(&index->table, key);
    const uint32_t at = place_of(index, entry, from);
    if (at == entry->holders) {
        return false;
    }
    *(entry->holders > 1 ? &index->lists[entry->ref + at] : &entry->ref) = to;
    return true;
}

/* Drops what the endpoint has no more, and of a block that came twice the first time.
 * A holder under another name is one that was met already. */
static void log_sweep(struct kv_index *index, uint32_t id)
{
    struct log *log = &index->logs[id];
    uint32_t first = log->end;
    for (uint32_t i = log->end; i-- > log->first;) {
        if (rename_holder(index, log->keys[i], id, id | MET)) {
            log->keys[--first] = log->keys[i];
        }
    }
    for (uint32_t i = first; i < log->end; i++) {
        (void)rename_holder(index, log->keys[i], id | MET, id);
    }
    memmove(log->keys, log->keys + first, (log->end - first) * sizeof *log->keys);
    log->end -= first;
    log->first = 0;
    CHECK(log->end == log->held, "endpoint %u has %u blocks, %u in its log", id,
          log->held, log->end);
}

/* Grows while most of it is held, so that it is never longer than twice the bound. */
static void log_append(struct kv_index *index, uint32_t id, uint64_t key)
{
    struct log *log = &index->logs[id];
    if (log->end == log->capacity && 2 * (uint64_t)log->held <= log->capacity &&
        log->capacity > 0) {
        log_sweep(index, id);
    } else if (log->end == log->capacity) {
        const uint32_t capacity = log->capacity > 0 ? 2 * log->capacity : LOG_MIN;
        log->keys = resize(index, log->keys, log->capacity * sizeof(uint64_t),
                           capacity * sizeof(uint64_t));
        log->capacity = capacity;
    }
    log->keys[log->end++] = key;
}

void kv_index_allow(struct kv_index *index, uint32_t endpoint_id, uint32_t blocks_max)
{
    CHECK(blocks_max > 0 && blocks_max <= UINT32_MAX / 2,
          "endpoint %u may have %u blocks", endpoint_id, blocks_max);
    struct log *log = log_of(index, endpoint_id);
    log->blocks_max = blocks_max;
    while (log->held > blocks_max) {
        log_forget_oldest(index, endpoint_id);
    }
}

/* ---- events --------------------------------------------------------------------- */

static void take_others(struct kv_index *index, struct block_entry *entry)
{
    const uint32_t *holders = holders_of(index, entry);
    for (uint32_t i = 0; i < entry->holders; i++) {
        index->logs[holders[i]].held--;
    }
    while (entry->holders > 1) {
        entry_drop(index, entry, entry->holders - 1);
    }
    if (entry->holders == 1) {
        entry_drop(index, entry, 0);
    }
}

static void store(struct kv_index *index, uint32_t id, uint64_t key)
{
    struct log *log = &index->logs[id];
    block_table_reserve(&index->table);
    struct block_entry *entry = block_table_at(&index->table, key);
    if (place_of(index, entry, id) < entry->holders) {
        return;
    }
    if (index->replaces && entry->holders > 0) {
        take_others(index, entry);
    }
    log_append(index, id, key);
    /* Looked up again: forgetting moves entries. */
    entry_add(index, block_table_at(&index->table, key), key, id);
    log->held++;
    while (log->held > log->blocks_max) {
        log_forget_oldest(index, id);
    }
}

void kv_index_apply(struct kv_index *index, uint32_t endpoint_id,
                    const struct kv_event *event)
{
    CHECK(log_of(index, endpoint_id)->blocks_max > 0, "endpoint %u was allowed nothing",
          endpoint_id);
    block_table_fetch(&index->table, event->blocks, event->block_count);
    switch (event->kind) {
    case KV_EVENT_STORED:
        for (uint32_t i = 0; i < event->block_count; i++) {
            store(index, endpoint_id, event->blocks[i]);
        }
        break;
    case KV_EVENT_REMOVED:
        for (uint32_t i = 0; i < event->block_count; i++) {
            (void)take(index, endpoint_id, event->blocks[i]);
        }
        break;
    case KV_EVENT_CLEARED:
        kv_index_forget(index, endpoint_id);
        break;
    }
}

void kv_index_forget(struct kv_index *index, uint32_t endpoint_id)
{
    struct log *log = log_of(index, endpoint_id);
    while (log->first < log->end) {
        log_forget_oldest(index, endpoint_id);
    }
    CHECK(log->held == 0, "endpoint %u has %u blocks that it never stored", endpoint_id,
          log->held);
    log->first = 0;
    log->end = 0;
}

uint32_t kv_index_blocks(const struct kv_index *index, uint32_t endpoint_id)
{
    return endpoint_id < index->log_count ? index->logs[endpoint_id].held : 0;
}

/* ---- questions ------------------------------------------------------------------ */

uint32_t kv_index_owner(const struct kv_index *index, uint64_t block)
{
    const struct block_entry *entry = block_table_at(&index->table, block);
    return entry->holders == 0 ? UINT32_MAX : holders_of(index, entry)[0];
}

/* How many have block `at` and all before it. */
static uint32_t match_block(const struct kv_index *index, uint64_t key, uint32_t at)
{
    const struct block_entry *entry = block_table_at(&index->table, key);
    const uint32_t *holders = holders_of(index, entry);
    uint32_t stay = 0;
    for (uint32_t i = 0; i < entry->holders; i++) {
        uint32_t *depth = &index->depths[holders[i]];
        const bool stays = *depth == at;
        *depth += stays ? 1 : 0;
        stay += stays ? 1 : 0;
    }
    return stay;
}

uint32_t kv_index_match(struct kv_index *index, const uint64_t *blocks, uint32_t count,
                        const struct index_hit **hits)
{
    *hits = index->hits;
    if (count == 0 || index->log_count == 0) {
        return 0;
    }
    const struct block_entry *first = block_table_at(&index->table, blocks[0]);
    if (first->holders == 0) {
        return 0;
    }
    block_table_fetch(&index->table, blocks, count);
    uint32_t stay = first->holders;
    for (uint32_t at = 0; at < count && stay > 0; at++) {
        stay = match_block(index, blocks[at], at);
    }
    const uint32_t *holders = holders_of(index, first);
    for (uint32_t i = 0; i < first->holders; i++) {
        index->hits[i] = (struct index_hit){.endpoint_id = holders[i],
                                            .blocks = index->depths[holders[i]]};
        index->depths[holders[i]] = 0;
    }
    return first->holders;
}
