/* SPDX-License-Identifier: Apache-2.0
 *
 * What vLLM publishes about its KV cache, told in our hashes (spec/vllm-engine.md 2.5).
 */
#include "base/hash.h"
#include "base/mem.h"
#include "router/engine_events.h"
#include "router/msgpack.h"
#include "tests/harness.h"

#include <string.h>

enum { BLOCK = 4 }; /* tokens in one of ours */

struct heard {
    struct text text; /* "stored P: A B; removed A; cleared; ", hashes named by NAMES */
    uint64_t message;
};

/* Our hash of the first `count` blocks of the prompt first, first + 1, ... */
static uint64_t chain(uint32_t first, int count)
{
    uint64_t hash = 0;
    for (int i = 0; i < count; i++) {
        uint32_t ids[BLOCK];
        for (int j = 0; j < BLOCK; j++) {
            ids[j] = first + (uint32_t)(i * BLOCK + j);
        }
        hash = hash_pair(hash, hash_xxh64(ids, sizeof ids, 0));
    }
    return hash;
}

/* "12+3": three blocks of the prompt 12, 13, ...; "0": its start. */
static void put_name(struct text *out, uint64_t hash)
{
    for (uint32_t first = 0; first <= 200 && hash != 0; first += 100) {
        for (int count = 1; count <= 8; count++) {
            if (chain(first, count) == hash) {
                text_printf(out, " %u+%d", first, count);
                return;
            }
        }
    }
    text_add(out, hash == 0 ? " 0" : " ?");
}

static void on_event(void *context, const struct kv_event *event)
{
    static const char *const KINDS[] = {"stored", "removed", "cleared"};
    struct heard *heard = context;
    text_add(&heard->text, KINDS[event->kind]);
    if (event->kind == KV_EVENT_STORED) {
        put_name(&heard->text, event->parent);
        text_add(&heard->text, ":");
    }
    for (uint32_t i = 0; i < event->block_count; i++) {
        put_name(&heard->text, event->blocks[i]);
    }
    text_add(&heard->text, "; ");
    heard->message = event->message;
}

static void begin(struct text *batch, uint32_t events)
{
    batch->length = 0;
    msgpack_put_array(batch, 3);
    msgpack_put_float(batch, 1764000000.25);
    msgpack_put_array(batch, events);
}

/* The engine's hashes are from, from + 1, ...; parent 0: none. */
struct stored {
    uint64_t from;
    uint64_t parent;
    uint32_t blocks;
    uint32_t block_tokens;
    uint32_t first_id;
    bool of_adapter;
    const char *medium;
};

static void put_stored(struct text *batch, const struct stored *stored)
{
    const uint32_t ids = stored->blocks * stored->block_tokens;
    msgpack_put_array(batch, 7);
    msgpack_put_str(batch, "BlockStored");
    msgpack_put_array(batch, stored->blocks);
    for (uint64_t i = 0; i < stored->blocks; i++) {
        msgpack_put_uint(batch, stored->from + i);
    }
    if (stored->parent == 0) {
        msgpack_put_nil(batch);
    } else {
        msgpack_put_uint(batch, stored->parent);
    }
    msgpack_put_array(batch, ids);
    for (uint32_t i = 0; i < ids; i++) {
        msgpack_put_uint(batch, stored->first_id + i);
    }
    msgpack_put_uint(batch, stored->block_tokens);
    if (stored->of_adapter) {
        msgpack_put_uint(batch, 1);
    } else {
        msgpack_put_nil(batch);
    }
    msgpack_put_str(batch, stored->medium);
}

static void put_removed(struct text *batch, uint64_t from, uint32_t count)
{
    msgpack_put_array(batch, 2); /* a release that names no medium */
    msgpack_put_str(batch, "BlockRemoved");
    msgpack_put_array(batch, count);
    for (uint64_t i = 0; i < count; i++) {
        msgpack_put_uint(batch, from + i);
    }
}

static void put_cleared(struct text *batch)
{
    msgpack_put_array(batch, 1);
    msgpack_put_str(batch, "AllBlocksCleared");
}

static struct engine_events_sink sink_of(struct heard *heard)
{
    heard->text.length = 0;
    return (struct engine_events_sink){heard, on_event};
}

static void expect(struct engine_events *events, uint64_t sequence,
                   const struct text *batch, const char *told)
{
    struct heard heard = {0};
    struct err err = {0};
    const struct engine_events_sink sink = sink_of(&heard);
    const struct kv_batch message = {sequence, batch->bytes, batch->length};
    EXPECT_OK(engine_events_take(events, &message, &sink, &err), &err);
    EXPECT_STR(text_str(&heard.text), told);
    EXPECT(told[0] == '\0' || heard.message == sequence);
    text_fini(&heard.text);
}

static void expect_bad(const struct text *batch, const char *why)
{
    struct engine_events *events = engine_events_new(BLOCK);
    struct heard heard = {0};
    struct err err = {0};
    const struct engine_events_sink sink = sink_of(&heard);
    const struct kv_batch message = {0, batch->bytes, batch->length};
    EXPECT_FAILS(engine_events_take(events, &message, &sink, &err), &err, why);
    text_fini(&heard.text);
    engine_events_delete(events);
}

static void blocks_come_and_go_by_the_engines_names(void)
{
    struct engine_events *events = engine_events_new(BLOCK);
    struct text batch = {0};
    begin(&batch, 2);
    put_stored(&batch, &(struct stored){7, 0, 2, BLOCK, 0, false, "GPU"});
    put_stored(&batch, &(struct stored){50, 8, 1, BLOCK, 8, false, "GPU"});
    expect(events, 3, &batch, "stored 0: 0+1 0+2; stored 0+2: 0+3; ");
    begin(&batch, 1);
    put_removed(&batch, 8, 1);
    expect(events, 4, &batch, "removed 0+2; ");
    expect(events, 5, &batch, ""); /* it is gone already */
    begin(&batch, 2);
    put_stored(&batch, &(struct stored){60, 7, 1, BLOCK, 4, false, "GPU"});
    put_cleared(&batch);
    expect(events, 6, &batch, "stored 0+1: 0+2; cleared; ");
    begin(&batch, 1);
    put_removed(&batch, 7, 1);
    expect(events, 7, &batch, "");
    EXPECT_U64(engine_events_unplaced(events), 0);
    text_fini(&batch);
    engine_events_delete(events);
}

/* The engine's blocks of 8 tokens are two of ours each. */
static void larger_blocks_are_several_of_ours(void)
{
    struct engine_events *events = engine_events_new(BLOCK);
    struct text batch = {0};
    begin(&batch, 2);
    put_stored(&batch, &(struct stored){1, 0, 2, 8, 100, false, "GPU"});
    put_removed(&batch, 2, 1);
    expect(events, 0, &batch,
           "stored 0: 100+1 100+2 100+3 100+4; removed 100+3 100+4; ");
    begin(&batch, 1);
    put_stored(&batch, &(struct stored){9, 1, 1, 8, 108, false, "GPU"});
    expect(events, 1, &batch, "stored 100+2: 100+3 100+4; ");
    text_fini(&batch);
    engine_events_delete(events);
}

/* An engine that was restarted with another block size knows none of the old hashes. */
static void another_block_size_is_another_engine(void)
{
    struct engine_events *events = engine_events_new(BLOCK);
    struct text batch = {0};
    begin(&batch, 1);
    put_stored(&batch, &(struct stored){1, 0, 1, BLOCK, 0, false, "GPU"});
    expect(events, 0, &batch, "stored 0: 0+1; ");
    begin(&batch, 2);
    put_stored(&batch, &(struct stored){2, 0, 1, 8, 100, false, "GPU"});
    put_removed(&batch, 1, 1);
    expect(events, 0, &batch, "stored 0: 100+1 100+2; ");
    text_fini(&batch);
    engine_events_delete(events);
}

/* Whoever subscribes late hears of blocks behind ones that he never heard of. */
static void what_cannot_be_placed_is_counted(void)
{
    struct engine_events *events = engine_events_new(BLOCK);
    struct text batch = {0};
    begin(&batch, 2);
    put_stored(&batch, &(struct stored){8, 7, 3, BLOCK, 4, false, "GPU"});
    put_removed(&batch, 8, 3);
    expect(events, 90, &batch, "");
    EXPECT_U64(engine_events_unplaced(events), 3);
    text_fini(&batch);
    engine_events_delete(events);
}

static void adapters_and_other_media_are_left_out(void)
{
    struct engine_events *events = engine_events_new(BLOCK);
    struct text batch = {0};
    begin(&batch, 4);
    put_stored(&batch, &(struct stored){1, 0, 1, BLOCK, 0, true, "GPU"});
    put_stored(&batch, &(struct stored){2, 0, 1, BLOCK, 0, false, "CPU_TIER1"});
    msgpack_put_array(&batch, 2);
    msgpack_put_str(&batch, "BlockDreamtOf"); /* of a later release */
    msgpack_put_map(&batch, 1);
    msgpack_put_str(&batch, "a");
    msgpack_put_array(&batch, 0);
    put_stored(&batch, &(struct stored){3, 0, 1, BLOCK, 200, false, "GPU"});
    expect(events, 1, &batch, "stored 0: 200+1; ");
    EXPECT_U64(engine_events_unplaced(events), 0);
    text_fini(&batch);
    engine_events_delete(events);
}

/* Since 0.11 hashes may be 32 bytes. */
static void hashes_may_be_bytes(void)
{
    static const char HASH[] = "0123456789abcdef0123456789abcdef";
    struct engine_events *events = engine_events_new(BLOCK);
    struct text batch = {0};
    begin(&batch, 2);
    for (int i = 0; i < 2; i++) {
        msgpack_put_array(&batch, i == 0 ? 5 : 2);
        msgpack_put_str(&batch, i == 0 ? "BlockStored" : "BlockRemoved");
        msgpack_put_array(&batch, 1);
        text_add_bytes(&batch, "\xc4\x20", 2); /* bin 8 of 32 bytes */
        text_add(&batch, HASH);
        if (i == 0) {
            msgpack_put_nil(&batch);
            msgpack_put_array(&batch, BLOCK);
            for (uint64_t id = 0; id < BLOCK; id++) {
                msgpack_put_uint(&batch, id);
            }
            msgpack_put_uint(&batch, BLOCK);
        }
    }
    expect(events, 1, &batch, "stored 0: 0+1; removed 0+1; ");
    text_fini(&batch);
    engine_events_delete(events);
}

static void what_is_no_batch_is_refused(void)
{
    struct text batch = {0};
    text_add(&batch, "{\"events\":[]}");
    expect_bad(&batch, "no batch of KV events");
    begin(&batch, 1);
    msgpack_put_str(&batch, "BlockStored");
    expect_bad(&batch, "an event that is no array with a tag");
    begin(&batch, 1);
    put_stored(&batch, &(struct stored){1, 0, 1, 6, 0, false, "GPU"});
    expect_bad(&batch, "blocks of 6 tokens, no multiple of 4");
    begin(&batch, 1);
    put_stored(&batch, &(struct stored){1, 0, 2, BLOCK, 0, false, "GPU"});
    for (size_t length = batch.length - 1; length > 0; length--) {
        const struct kv_batch part = {0, batch.bytes, length};
        struct engine_events *events = engine_events_new(BLOCK);
        struct heard heard = {0};
        struct err err = {0};
        const struct engine_events_sink sink = sink_of(&heard);
        EXPECT(!engine_events_take(events, &part, &sink, &err));
        EXPECT(err.text[0] != '\0');
        EXPECT(text_str(&heard.text)[0] == '\0');
        text_fini(&heard.text);
        engine_events_delete(events);
    }
    /* 8 ids for one block of 4 */
    begin(&batch, 1);
    msgpack_put_array(&batch, 5);
    msgpack_put_str(&batch, "BlockStored");
    msgpack_put_array(&batch, 1);
    msgpack_put_uint(&batch, 1);
    msgpack_put_nil(&batch);
    msgpack_put_array(&batch, 8);
    for (uint64_t id = 0; id < 8; id++) {
        msgpack_put_uint(&batch, id);
    }
    msgpack_put_uint(&batch, BLOCK);
    expect_bad(&batch, "8 token ids for 1 blocks of 4");
    text_fini(&batch);
}

/* Lengths that no message can hold take no memory. */
static void claims_of_length_are_not_believed(void)
{
    struct text batch = {0};
    begin(&batch, 1);
    msgpack_put_array(&batch, 5);
    msgpack_put_str(&batch, "BlockStored");
    msgpack_put_array(&batch, UINT32_MAX);
    expect_bad(&batch, "field 1 of an event");
    text_fini(&batch);
}

static void values_come_back_as_they_were_put(void)
{
    struct text text = {0};
    struct msgpack_item item;
    msgpack_put_uint(&text, 127);
    msgpack_put_uint(&text, 128);
    msgpack_put_uint(&text, UINT64_MAX);
    text_add_bytes(&text, "\xff", 1); /* -1 */
    msgpack_put_nil(&text);
    msgpack_put_map(&text, 2);
    msgpack_put_str(&text, "key");
    struct msgpack reader = {text.bytes, text.length};
    EXPECT(msgpack_next(&reader, &item) && item.kind == MSGPACK_UINT &&
           item.number == 127);
    EXPECT(msgpack_next(&reader, &item) && item.kind == MSGPACK_UINT &&
           item.number == 128);
    EXPECT(msgpack_next(&reader, &item) && item.kind == MSGPACK_UINT &&
           item.number == UINT64_MAX);
    EXPECT(msgpack_next(&reader, &item) && item.kind == MSGPACK_INT &&
           (int64_t)item.number == -1);
    EXPECT(msgpack_next(&reader, &item) && item.kind == MSGPACK_NIL);
    EXPECT(msgpack_next(&reader, &item) && item.kind == MSGPACK_MAP &&
           item.length == 2);
    EXPECT(msgpack_next(&reader, &item) && msgpack_is(&item, "key"));
    EXPECT(!msgpack_is(&item, "ke") && !msgpack_is(&item, "keys"));
    EXPECT(!msgpack_next(&reader, &item));
    text_fini(&text);
}

/* 31 arrays in each other are passed over, 32 are not. */
static void depth_has_a_ceiling(void)
{
    struct text text = {0};
    for (int i = 0; i < 31; i++) {
        msgpack_put_array(&text, 1);
    }
    msgpack_put_nil(&text);
    struct msgpack reader = {text.bytes, text.length};
    EXPECT(msgpack_skip(&reader));
    EXPECT_U64(reader.byte_count, 0);
    text.length = 0;
    for (int i = 0; i < 32; i++) {
        msgpack_put_array(&text, 1);
    }
    msgpack_put_nil(&text);
    reader = (struct msgpack){text.bytes, text.length};
    EXPECT(!msgpack_skip(&reader));
    text_fini(&text);
}

HARNESS_MAIN("engine_events", TEST(blocks_come_and_go_by_the_engines_names),
             TEST(larger_blocks_are_several_of_ours),
             TEST(another_block_size_is_another_engine),
             TEST(what_cannot_be_placed_is_counted),
             TEST(adapters_and_other_media_are_left_out), TEST(hashes_may_be_bytes),
             TEST(what_is_no_batch_is_refused), TEST(claims_of_length_are_not_believed),
             TEST(values_come_back_as_they_were_put), TEST(depth_has_a_ceiling))
