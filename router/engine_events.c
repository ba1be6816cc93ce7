/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_events.c: see engine_events.h. Fields stand in the order of vLLM's structs;
 * later ones may be missing, and ones of later releases are passed over.
 */
#include "router/engine_events.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "router/msgpack.h"

#include <string.h>

enum {
    BLOCKS_MAX = 1 << 20, /* of ours, known at a time; then all is forgotten */
    RATIO_MAX = 64,       /* our blocks in one of the engine's */
    TOKENS_MAX = 1 << 22, /* in one event */
};

struct engine_events {
    uint32_t block_tokens;
    uint32_t ratio;    /* our blocks in one of the engine's; 0 = not known yet */
    struct map *of;    /* the engine's hash -> entry */
    uint64_t *entries; /* `ratio` hashes of ours each */
    size_t entry_count;
    size_t entry_capacity;
    uint32_t *unused;
    size_t unused_count;
    size_t unused_capacity;
    uint64_t *theirs; /* scratch: hashes of an event */
    size_t theirs_capacity;
    uint64_t *ours;
    size_t ours_capacity;
    uint32_t *ids;
    size_t ids_capacity;
    uint64_t unplaced;
};

struct engine_events *engine_events_new(uint32_t block_tokens)
{
    struct engine_events *events = mem_alloc(1, sizeof *events);
    events->block_tokens = block_tokens;
    events->of = map_new(64, BLOCKS_MAX);
    return events;
}

void engine_events_delete(struct engine_events *events)
{
    if (events != NULL) {
        map_delete(events->of);
        mem_free(events->entries);
        mem_free(events->unused);
        mem_free(events->theirs);
        mem_free(events->ours);
        mem_free(events->ids);
        mem_free(events);
    }
}

uint64_t engine_events_unplaced(const struct engine_events *events)
{
    return events->unplaced;
}

static void forget_all(struct engine_events *events)
{
    map_clear(events->of);
    events->entry_count = 0;
    events->unused_count = 0;
}

/* --- reading ---------------------------------------------------------------------- */

/* An event, as far as we read it. */
struct fields {
    struct msgpack_item tag;
    size_t block_count; /* hashes in `theirs` */
    bool has_parent;
    uint64_t parent; /* the engine's hash */
    size_t id_count;
    uint32_t block_size;
    bool of_adapter;
    bool elsewhere; /* another medium than the GPU */
};

/* A number, or the bytes of a longer hash. */
static bool to_hash(const struct msgpack_item *item, uint64_t *hash)
{
    if (item->kind == MSGPACK_UINT || item->kind == MSGPACK_INT) {
        *hash = item->number;
        return true;
    }
    if (item->kind == MSGPACK_BIN || item->kind == MSGPACK_STR) {
        *hash = hash_xxh64(item->bytes, item->length, 0);
        return true;
    }
    return false;
}

/* The length of the list that comes, for which there are bytes. */
static bool begin_list(struct msgpack *reader, uint32_t *length)
{
    struct msgpack_item item;
    const bool is_list = msgpack_next(reader, &item) && item.kind == MSGPACK_ARRAY;
    *length = item.length;
    return is_list && item.length <= reader->byte_count;
}

static bool read_hashes(struct engine_events *events, struct msgpack *reader,
                        size_t *count)
{
    struct msgpack_item item;
    uint32_t length = 0;
    void *array = events->theirs;
    if (!begin_list(reader, &length) ||
        !mem_grow(&array, &events->theirs_capacity, (size_t)length + 1,
                  sizeof *events->theirs, BLOCKS_MAX)) {
        return false;
    }
    events->theirs = array;
    for (*count = 0; *count < length; ++*count) {
        if (!msgpack_next(reader, &item) || !to_hash(&item, &events->theirs[*count])) {
            return false;
        }
    }
    return true;
}

static bool read_ids(struct engine_events *events, struct msgpack *reader,
                     size_t *count)
{
    struct msgpack_item item;
    uint32_t length = 0;
    void *array = events->ids;
    if (!begin_list(reader, &length) ||
        !mem_grow(&array, &events->ids_capacity, (size_t)length + 1,
                  sizeof *events->ids, TOKENS_MAX)) {
        return false;
    }
    events->ids = array;
    for (*count = 0; *count < length; ++*count) {
        if (!msgpack_next(reader, &item) || item.kind != MSGPACK_UINT ||
            item.number > UINT32_MAX) {
            return false;
        }
        events->ids[*count] = (uint32_t)item.number;
    }
    return true;
}

static bool read_parent(struct msgpack *reader, struct fields *fields)
{
    struct msgpack_item item;
    if (!msgpack_next(reader, &item)) {
        return false;
    }
    fields->has_parent = item.kind != MSGPACK_NIL;
    return !fields->has_parent || to_hash(&item, &fields->parent);
}

static bool read_size(struct msgpack *reader, struct fields *fields)
{
    struct msgpack_item item;
    if (!msgpack_next(reader, &item) || item.kind != MSGPACK_UINT || item.number == 0 ||
        item.number > UINT16_MAX) {
        return false;
    }
    fields->block_size = (uint32_t)item.number;
    return true;
}

static bool read_adapter(struct msgpack *reader, struct fields *fields)
{
    struct msgpack_item item;
    if (!msgpack_next(reader, &item)) {
        return false;
    }
    fields->of_adapter = item.kind != MSGPACK_NIL;
    return true;
}

static bool read_medium(struct msgpack *reader, struct fields *fields)
{
    struct msgpack_item item;
    if (!msgpack_next(reader, &item)) {
        return false;
    }
    fields->elsewhere = item.kind == MSGPACK_STR && !msgpack_is(&item, "GPU");
    return true;
}

/* Field `index` of BlockStored or BlockRemoved, the tag left out. */
static bool read_field(struct engine_events *events, struct msgpack *reader,
                       struct fields *fields, bool stored, uint32_t index)
{
    if (index == 0) {
        return read_hashes(events, reader, &fields->block_count);
    }
    if (!stored) {
        return index == 1 ? read_medium(reader, fields) : msgpack_skip(reader);
    }
    switch (index) {
    case 1:
        return read_parent(reader, fields);
    case 2:
        return read_ids(events, reader, &fields->id_count);
    case 3:
        return read_size(reader, fields);
    case 4:
        return read_adapter(reader, fields);
    case 5:
        return read_medium(reader, fields);
    default:
        return msgpack_skip(reader);
    }
}

/* --- telling ---------------------------------------------------------------------- */

static void reserve_ours(struct engine_events *events, size_t count)
{
    void *array = events->ours;
    const bool grown = mem_grow(&array, &events->ours_capacity, count + 1,
                                sizeof *events->ours, (size_t)BLOCKS_MAX * RATIO_MAX);
    CHECK(grown, "%zu blocks in an event", count);
    events->ours = array;
}

static uint32_t take_entry(struct engine_events *events)
{
    if (events->unused_count > 0) {
        return events->unused[--events->unused_count];
    }
    void *array = events->entries;
    const bool grown = mem_grow(
        &array, &events->entry_capacity, (events->entry_count + 1) * events->ratio,
        sizeof *events->entries, (size_t)BLOCKS_MAX * RATIO_MAX);
    CHECK(grown, "%zu blocks of an engine", events->entry_count);
    events->entries = array;
    return (uint32_t)events->entry_count++;
}

static void give_entry(struct engine_events *events, uint32_t entry)
{
    void *array = events->unused;
    const bool grown =
        mem_grow(&array, &events->unused_capacity, events->unused_count + 1,
                 sizeof *events->unused, BLOCKS_MAX);
    CHECK(grown, "%zu free entries", events->unused_count);
    events->unused = array;
    events->unused[events->unused_count++] = entry;
}

static void keep(struct engine_events *events, uint64_t theirs, const uint64_t *ours)
{
    uint32_t entry = 0;
    if (!map_get(events->of, theirs, &entry)) {
        entry = take_entry(events);
        map_put(events->of, theirs, entry);
    }
    memcpy(&events->entries[(size_t)entry * events->ratio], ours,
           events->ratio * sizeof *ours);
}

static void tell(const struct engine_events_sink *sink, struct kv_event *event)
{
    sink->on_event(sink->context, event);
}

/* Our hash of the block before the first one; false: we never heard of it. */
static bool find_parent(struct engine_events *events, const struct fields *fields,
                        uint64_t *parent)
{
    uint32_t entry = 0;
    *parent = 0;
    if (!fields->has_parent) {
        return true;
    }
    if (!map_get(events->of, fields->parent, &entry)) {
        events->unplaced += fields->block_count;
        return false;
    }
    *parent = events->entries[(size_t)entry * events->ratio + events->ratio - 1];
    return true;
}

static bool set_ratio(struct engine_events *events, uint32_t block_size)
{
    const uint32_t ratio = block_size / events->block_tokens;
    if (ratio == 0 || ratio > RATIO_MAX || block_size % events->block_tokens != 0) {
        return false;
    }
    if (ratio != events->ratio) {
        forget_all(events); /* another engine than before */
        events->ratio = ratio;
    }
    return true;
}

static void store(struct engine_events *events, uint64_t sequence,
                  const struct fields *fields, const struct engine_events_sink *sink)
{
    struct kv_event event = {.kind = KV_EVENT_STORED, .message = sequence};
    const size_t count = fields->block_count * events->ratio;
    if (map_count(events->of) + fields->block_count > BLOCKS_MAX) {
        forget_all(events);
        tell(sink, &(struct kv_event){.kind = KV_EVENT_CLEARED, .message = sequence});
    }
    if (!find_parent(events, fields, &event.parent)) {
        return;
    }
    reserve_ours(events, count);
    uint64_t before = event.parent;
    for (size_t i = 0; i < count; i++) {
        const uint32_t *ids = events->ids + i * events->block_tokens;
        before =
            hash_pair(before, hash_xxh64(ids, events->block_tokens * sizeof *ids, 0));
        events->ours[i] = before;
    }
    for (size_t i = 0; i < fields->block_count; i++) {
        keep(events, events->theirs[i], events->ours + i * events->ratio);
    }
    event.blocks = events->ours;
    event.block_count = (uint32_t)count;
    tell(sink, &event);
}

static void remove_blocks(struct engine_events *events, uint64_t sequence,
                          const struct fields *fields,
                          const struct engine_events_sink *sink)
{
    size_t count = 0;
    reserve_ours(events, fields->block_count * events->ratio);
    for (size_t i = 0; i < fields->block_count; i++) {
        uint32_t entry = 0;
        if (map_get(events->of, events->theirs[i], &entry)) {
            memcpy(events->ours + count,
                   &events->entries[(size_t)entry * events->ratio],
                   events->ratio * sizeof *events->ours);
            count += events->ratio;
            (void)map_remove(events->of, events->theirs[i]);
            give_entry(events, entry);
        }
    }
    if (count > 0) {
        struct kv_event event = {.kind = KV_EVENT_REMOVED,
                                 .message = sequence,
                                 .blocks = events->ours,
                                 .block_count = (uint32_t)count};
        tell(sink, &event);
    }
}

static bool act(struct engine_events *events, uint64_t sequence,
                const struct fields *fields, const struct engine_events_sink *sink,
                struct err *err)
{
    if (msgpack_is(&fields->tag, "AllBlocksCleared")) {
        forget_all(events);
        tell(sink, &(struct kv_event){.kind = KV_EVENT_CLEARED, .message = sequence});
        return true;
    }
    if (msgpack_is(&fields->tag, "BlockRemoved")) {
        if (!fields->elsewhere) {
            remove_blocks(events, sequence, fields, sink);
        }
        return true;
    }
    if (!msgpack_is(&fields->tag, "BlockStored") || fields->of_adapter ||
        fields->elsewhere || fields->block_count == 0) {
        return true;
    }
    if (fields->id_count != fields->block_count * fields->block_size) {
        return err_set(err, ERR_INPUT, "%zu token ids for %zu blocks of %u",
                       fields->id_count, fields->block_count, fields->block_size);
    }
    if (!set_ratio(events, fields->block_size)) {
        return err_set(err, ERR_INPUT, "blocks of %u tokens, no multiple of %u",
                       fields->block_size, events->block_tokens);
    }
    store(events, sequence, fields, sink);
    return true;
}

static bool take_event(struct engine_events *events, uint64_t sequence,
                       struct msgpack *reader, const struct engine_events_sink *sink,
                       struct err *err)
{
    struct fields fields = {0};
    struct msgpack_item item;
    if (!msgpack_next(reader, &item) || item.kind != MSGPACK_ARRAY ||
        item.length == 0 || !msgpack_next(reader, &fields.tag)) {
        return err_set(err, ERR_INPUT, "an event that is no array with a tag");
    }
    const bool stored = msgpack_is(&fields.tag, "BlockStored");
    const bool known = stored || msgpack_is(&fields.tag, "BlockRemoved");
    for (uint32_t i = 0; i + 1 < item.length; i++) {
        if (!(known ? read_field(events, reader, &fields, stored, i)
                    : msgpack_skip(reader))) {
            return err_set(err, ERR_INPUT, "field %u of an event", i + 1);
        }
    }
    return act(events, sequence, &fields, sink, err);
}

bool engine_events_take(struct engine_events *events, const struct kv_batch *batch,
                        const struct engine_events_sink *sink, struct err *err)
{
    struct msgpack reader = {batch->bytes, batch->byte_count};
    struct msgpack_item item;
    if (!msgpack_next(&reader, &item) || item.kind != MSGPACK_ARRAY ||
        item.length < 2 || !msgpack_skip(&reader) || !msgpack_next(&reader, &item) ||
        item.kind != MSGPACK_ARRAY) {
        return err_set(err, ERR_INPUT, "no batch of KV events");
    }
    for (uint32_t i = 0; i < item.length; i++) {
        if (!take_event(events, batch->sequence, &reader, sink, err)) {
            return false;
        }
    }
    return true;
}
