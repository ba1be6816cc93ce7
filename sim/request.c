/* SPDX-License-Identifier: Apache-2.0
 *
 * request.c: storage for requests in flight. Structs and their block runs are recycled
 * through free lists, so a run of any length allocates only up to its peak.
 */
#include "sim/request.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "sim/adapters.h"

#include <string.h>

enum {
    STORAGE_CLASSES = 40,
    STORAGE_FIRST_BYTES = 128,
    CHUNK_REQUESTS = 256,
    SEGMENTS_ON_STACK = 64,
};

struct request_table {
    struct arena *arena;
    struct request *unused; /* through next */
    void *storage[STORAGE_CLASSES];
    /* record id -> index into by_index; ids are 56 bits wide, pointers are too. */
    struct map *ids;
    struct request **by_index;
    size_t index_capacity;
    size_t index_high;
    uint32_t *index_free;
    size_t index_free_capacity;
    size_t index_free_count;
    struct segment *segments; /* scratch: prompt and output */
    size_t segment_capacity;
    uint64_t *hashes; /* scratch: of blocks */
    size_t hash_capacity;
    size_t live;
};

struct request_table *request_table_new(void)
{
    struct request_table *table = mem_alloc(1, sizeof(*table));
    table->arena = arena_new(SIZE_MAX / 2);
    table->ids = map_new(1024, UINT32_MAX / 4);
    return table;
}

void request_table_delete(struct request_table *table)
{
    if (table != NULL) {
        arena_delete(table->arena);
        map_delete(table->ids);
        mem_free(table->by_index);
        mem_free(table->index_free);
        mem_free(table->segments);
        mem_free(table->hashes);
        mem_free(table);
    }
}

static void *storage_take(struct request_table *table, size_t bytes,
                          uint32_t *class_out)
{
    uint32_t class = 0;
    size_t class_bytes = STORAGE_FIRST_BYTES;
    while (class_bytes < bytes) {
        class_bytes *= 2;
        class ++;
    }
    CHECK(class < STORAGE_CLASSES, "request storage of %zu bytes", bytes);
    *class_out = class;
    void *storage = table->storage[class];
    if (storage == NULL) {
        return arena_alloc(table->arena, class_bytes, 1);
    }
    memcpy(&table->storage[class], storage, sizeof(void *));
    return storage;
}

static void storage_give(struct request_table *table, void **storage, uint32_t class)
{
    if (*storage != NULL) {
        memcpy(*storage, &table->storage[class], sizeof(void *));
        table->storage[class] = *storage;
        *storage = NULL;
    }
}

static void id_track(struct request_table *table, struct request *request)
{
    uint32_t index = 0;
    if (table->index_free_count > 0) {
        index = table->index_free[--table->index_free_count];
    } else {
        void *array = table->by_index;
        const bool grown =
            mem_grow(&array, &table->index_capacity, table->index_high + 1,
                     sizeof(struct request *), UINT32_MAX);
        CHECK(grown, "%zu requests in flight", table->index_high);
        table->by_index = array;
        index = (uint32_t)table->index_high++;
    }
    table->by_index[index] = request;
    map_put(table->ids, request->record_id, index);
}

static void id_forget(struct request_table *table, const struct request *request)
{
    uint32_t index = 0;
    if (!map_get(table->ids, request->record_id, &index) ||
        table->by_index[index] != request) {
        return;
    }
    map_remove(table->ids, request->record_id);
    void *array = table->index_free;
    const bool grown =
        mem_grow(&array, &table->index_free_capacity, table->index_free_count + 1,
                 sizeof(uint32_t), UINT32_MAX);
    CHECK(grown, "%zu free indices", table->index_free_count);
    table->index_free = array;
    table->index_free[table->index_free_count++] = index;
}

/* The whole sequence, output included; valid until the next call. */
static const struct segment *content_of(struct request_table *table,
                                        const struct request *request,
                                        const struct trace_record *record)
{
    const size_t count = (size_t)record->segment_count + 1;
    void *scratch = table->segments;
    const bool grown = mem_grow(&scratch, &table->segment_capacity, count,
                                sizeof(struct segment), UINT32_MAX);
    CHECK(grown, "%zu segments", count);
    table->segments = scratch;
    struct segment *segments = table->segments;
    memcpy(segments, record->segments, (count - 1) * sizeof(struct segment));
    segments[count - 1] =
        (struct segment){.stream = segment_stream(SEGMENT_OUTPUT, record->id),
                         .tokens = request->output_tokens};
    if (record->adapter != NULL) {
        segments[0].stream = adapter_stream(record->adapter, segments[0].stream);
    }
    return segments;
}

/* Its runs, and the outputs it quotes. */
static void content_cut(struct request_table *table, struct request *request,
                        const struct trace_record *record, uint32_t block_tokens)
{
    const size_t count = (size_t)record->segment_count + 1;
    const struct segment *segments = content_of(table, request, record);
    const size_t runs_max = block_runs_max(count);
    const size_t runs_bytes = runs_max * sizeof(struct block_run);
    request->storage = storage_take(table, runs_bytes + count * sizeof(uint64_t),
                                    &request->storage_class);
    struct block_run *runs = request->storage;
    request->kv.runs = runs;
    request->kv.run_count =
        (uint32_t)block_runs_cut(segments, count, block_tokens, runs);
    request->outputs = (uint64_t *)(void *)((char *)request->storage + runs_bytes);
    for (size_t i = 0; i + 1 < count; i++) {
        if (segment_kind_of(segments[i].stream) == SEGMENT_OUTPUT) {
            request->outputs[request->output_count++] =
                segment_id_of(segments[i].stream);
        }
    }
}

void request_table_chunk(struct request_table *table, struct request *request,
                         const struct trace_record *record, uint32_t block_tokens,
                         uint32_t chunk_blocks)
{
    const uint64_t tokens = (uint64_t)request->prompt_tokens + request->output_tokens;
    const size_t blocks = (size_t)(tokens / block_tokens);
    const size_t chunks = blocks / chunk_blocks;
    CHECK(request->chunk_storage == NULL, "a request is cut in chunks twice");
    if (chunks == 0) {
        return;
    }
    const struct segment *segments = content_of(table, request, record);
    void *scratch = table->hashes;
    const bool grown =
        mem_grow(&scratch, &table->hash_capacity, blocks, sizeof(uint64_t), UINT32_MAX);
    CHECK(grown, "%zu blocks", blocks);
    table->hashes = scratch;
    (void)segment_block_hashes(segments, (size_t)record->segment_count + 1,
                               block_tokens, 0, table->hashes, blocks);
    const size_t keys_bytes = chunks * sizeof(uint64_t);
    request->chunk_storage = storage_take(table, keys_bytes + chunks * sizeof(uint32_t),
                                          &request->chunk_class);
    uint64_t *keys = request->chunk_storage;
    for (size_t i = 0; i < chunks; i++) {
        keys[i] = table->hashes[(i + 1) * chunk_blocks - 1];
    }
    request->tiers = (struct tier_sequence){
        .keys = keys,
        .places = (uint32_t *)(void *)((char *)request->chunk_storage + keys_bytes),
        .count = (uint32_t)chunks,
    };
}

struct request *request_table_add(struct request_table *table,
                                  const struct trace_record *record,
                                  uint32_t output_tokens, uint32_t block_tokens)
{
    if (table->unused == NULL) {
        struct request *chunk =
            arena_alloc(table->arena, CHUNK_REQUESTS, sizeof(struct request));
        for (size_t i = CHUNK_REQUESTS; i-- > 0;) {
            chunk[i].next = table->unused;
            table->unused = &chunk[i];
        }
    }
    struct request *request = table->unused;
    table->unused = request->next;
    *request = (struct request){
        .record_id = record->id,
        .session = record->session,
        .turn = record->turn,
        .prompt_tokens = record->prompt_tokens,
        .output_tokens = output_tokens,
        .priority = record->priority,
        .arrival_ns = record->arrival_ns,
        .queued_ns = OUTCOME_TIME_NONE,
        .scheduled_ns = OUTCOME_TIME_NONE,
        .first_token_ns = OUTCOME_TIME_NONE,
        .engine = UINT32_MAX,
        .state = REQUEST_ARRIVED,
        .timer = UINT32_MAX,
        .adapter = ADAPTER_NONE,
        .aside_since_ns = OUTCOME_TIME_NONE,
        .load_timer = UINT32_MAX,
    };
    if (block_tokens > 0) {
        content_cut(table, request, record, block_tokens);
        id_track(table, request);
    }
    table->live++;
    return request;
}

void request_table_remove(struct request_table *table, struct request *request)
{
    CHECK(request->state == REQUEST_ENDED, "request %llu removed alive",
          (unsigned long long)request->record_id);
    if (request->storage != NULL) {
        id_forget(table, request);
    }
    storage_give(table, &request->storage, request->storage_class);
    storage_give(table, &request->chunk_storage, request->chunk_class);
    request->next = table->unused;
    table->unused = request;
    table->live--;
}

struct request *request_table_find(const struct request_table *table,
                                   uint64_t record_id)
{
    uint32_t index = 0;
    return map_get(table->ids, record_id, &index) ? table->by_index[index] : NULL;
}

size_t request_table_live(const struct request_table *table)
{
    return table->live;
}

void request_move(struct request *request, enum request_state state)
{
    static const unsigned legal[] = {
        [REQUEST_ARRIVED] = 1U << REQUEST_WAITING | 1U << REQUEST_ENDED,
        [REQUEST_WAITING] =
            1U << REQUEST_LOADING | 1U << REQUEST_PREFILLING | 1U << REQUEST_ENDED,
        [REQUEST_LOADING] =
            1U << REQUEST_PREFILLING | 1U << REQUEST_WAITING | 1U << REQUEST_ENDED,
        [REQUEST_PREFILLING] = 1U << REQUEST_DECODING | 1U << REQUEST_DRAINING |
                               1U << REQUEST_WAITING | 1U << REQUEST_ENDED,
        [REQUEST_DECODING] =
            1U << REQUEST_DRAINING | 1U << REQUEST_WAITING | 1U << REQUEST_ENDED,
        [REQUEST_DRAINING] = 1U << REQUEST_ARRIVED | 1U << REQUEST_ENDED,
        [REQUEST_ENDED] = 0,
    };
    CHECK((legal[request->state] >> state & 1U) != 0,
          "INV-2: request %llu moves from state %d to %d",
          (unsigned long long)request->record_id, (int)request->state, (int)state);
    request->state = state;
}

void request_list_insert(struct request_list *list, struct request *before,
                         struct request *request)
{
    struct request *after = before == NULL ? list->last : before->previous;
    request->previous = after;
    request->next = before;
    if (after == NULL) {
        list->first = request;
    } else {
        after->next = request;
    }
    if (before == NULL) {
        list->last = request;
    } else {
        before->previous = request;
    }
    list->count++;
}

void request_list_append(struct request_list *list, struct request *request)
{
    request_list_insert(list, NULL, request);
}

void request_list_prepend(struct request_list *list, struct request *request)
{
    request_list_insert(list, list->first, request);
}

void request_list_remove(struct request_list *list, struct request *request)
{
    if (request->previous == NULL) {
        list->first = request->next;
    } else {
        request->previous->next = request->next;
    }
    if (request->next == NULL) {
        list->last = request->previous;
    } else {
        request->next->previous = request->previous;
    }
    request->previous = NULL;
    request->next = NULL;
    list->count--;
}
