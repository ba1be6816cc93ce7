/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_events.c: see mock_events.h. The engine's hashes are those of its segments
 * (traces/segment.h), so nobody can read them without the ids, as with vLLM's own.
 */
#include "cli/live/mock_events.h"

#include "base/mem.h"
#include "router/bus.h"
#include "router/msgpack.h"

enum { BLOCKS_MAX = 1 << 24, KEPT_BYTES_MAX = 32 << 20 };

struct mock_events {
    struct bus *bus;
    struct bus_socket *socket;
    const struct prompt_blocks *blocks;
    struct kv_listener listener;
    uint32_t block_tokens;
    uint64_t sequence;
    bool heard;          /* somebody subscribed */
    struct text changes; /* events of the batch under way */
    uint32_t change_count;
    struct text batch;
    uint64_t *hashes; /* scratch */
    size_t hash_capacity;
};

static void put_hashes(struct text *out, const uint64_t *hashes, size_t count)
{
    msgpack_put_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        msgpack_put_uint(out, hashes[i]);
    }
}

/* ["BlockStored", hashes, parent, ids, block_size, lora_id, medium] */
static void put_stored(struct mock_events *events, const uint64_t *hashes, size_t count,
                       uint64_t parent)
{
    struct text *out = &events->changes;
    msgpack_put_array(out, 7);
    msgpack_put_str(out, "BlockStored");
    put_hashes(out, hashes, count);
    if (parent == block_chain_start(0)) {
        msgpack_put_nil(out);
    } else {
        msgpack_put_uint(out, parent);
    }
    msgpack_put_array(out, (uint32_t)count * events->block_tokens);
    for (size_t i = 0; i < count; i++) {
        const uint32_t *ids = prompt_blocks_ids(events->blocks, hashes[i]);
        for (uint32_t j = 0; j < events->block_tokens; j++) {
            msgpack_put_uint(out, ids[j]);
        }
    }
    msgpack_put_uint(out, events->block_tokens);
    msgpack_put_nil(out);
    msgpack_put_str(out, "GPU");
    events->change_count++;
}

static void put_removed(struct mock_events *events, const uint64_t *hashes,
                        size_t count)
{
    struct text *out = &events->changes;
    msgpack_put_array(out, 3);
    msgpack_put_str(out, "BlockRemoved");
    put_hashes(out, hashes, count);
    msgpack_put_str(out, "GPU");
    events->change_count++;
}

/* Blocks of adapters have no ids here: vLLM would tell of them under the adapter's
 * name.
 */
static void tell_stored(struct mock_events *events, const struct kv_change *change)
{
    const uint64_t *hashes = events->hashes;
    uint64_t parent = change->chain;
    uint32_t first = 0;
    for (uint32_t i = 0; i <= change->run.blocks; i++) {
        const bool known = i < change->run.blocks &&
                           prompt_blocks_ids(events->blocks, hashes[i]) != NULL;
        if (known) {
            continue;
        }
        if (i > first) {
            put_stored(events, hashes + first, i - first, parent);
        }
        first = i + 1;
        parent = i < change->run.blocks ? hashes[i] : parent;
    }
}

static void on_change(void *context, const struct kv_change *change)
{
    struct mock_events *events = context;
    void *array = events->hashes;
    if (!mem_grow(&array, &events->hash_capacity, change->run.blocks,
                  sizeof *events->hashes, BLOCKS_MAX)) {
        return; /* more than any pool has */
    }
    events->hashes = array;
    (void)block_run_hashes(&change->run, events->block_tokens, change->chain,
                           events->hashes);
    if (change->stored) {
        tell_stored(events, change);
    } else {
        put_removed(events, events->hashes, change->run.blocks);
    }
}

bool mock_events_new(struct mock_events **out, const char *endpoint,
                     uint32_t block_tokens, struct err *err)
{
    struct bus *bus = bus_new();
    struct bus_socket *socket = NULL;
    if (!bus_open(&socket, bus, BUS_PUBLISH, endpoint, err)) {
        bus_delete(bus);
        return false;
    }
    struct mock_events *events = mem_alloc(1, sizeof *events);
    events->bus = bus;
    events->socket = socket;
    events->block_tokens = block_tokens;
    events->listener = (struct kv_listener){events, on_change};
    *out = events;
    return true;
}

void mock_events_delete(struct mock_events *events)
{
    if (events != NULL) {
        bus_close(events->socket);
        bus_delete(events->bus);
        text_fini(&events->changes);
        text_fini(&events->batch);
        mem_free(events->hashes);
        mem_free(events);
    }
}

void mock_events_ids(struct mock_events *events, const struct prompt_blocks *blocks)
{
    events->blocks = blocks;
}

const struct kv_listener *mock_events_listener(const struct mock_events *events)
{
    return &events->listener;
}

static bool is_heard(struct mock_events *events)
{
    bool last = false;
    while (!events->heard && bus_next(events->socket, &events->batch, &last)) {
        events->heard = events->batch.length > 0 && events->batch.bytes[0] == 1;
    }
    return events->heard;
}

static void send(struct mock_events *events, double unix_s)
{
    char number[8];
    for (size_t i = 0; i < sizeof number; i++) {
        number[i] = (char)(unsigned char)(events->sequence >> (56 - 8 * i));
    }
    events->batch.length = 0;
    msgpack_put_array(&events->batch, 3);
    msgpack_put_float(&events->batch, unix_s);
    msgpack_put_array(&events->batch, events->change_count);
    text_add_bytes(&events->batch, text_str(&events->changes), events->changes.length);
    msgpack_put_nil(&events->batch); /* rank */
    bus_send(events->socket, "", 0, true);
    bus_send(events->socket, number, sizeof number, true);
    bus_send(events->socket, events->batch.bytes, events->batch.length, false);
}

void mock_events_flush(struct mock_events *events, double unix_s)
{
    const bool heard = is_heard(events);
    if (events->change_count == 0 ||
        (!heard && events->changes.length < KEPT_BYTES_MAX)) {
        return;
    }
    if (heard) {
        send(events, unix_s);
    }
    events->sequence++; /* a gap tells of what was dropped */
    events->changes.length = 0;
    events->change_count = 0;
}
