/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers of LMCache push, told as KV events (spec/production-stack.md 1.4).
 */
#include "router/lmcache.h"
#include "router/msgpack.h"
#include "tests/harness.h"

#include <string.h>

/* SHA-256 of the ids 0 to 255 as little-endian words; of its hex and 256 to 511. */
#define KEY_0 "8808405eec6fbe306fe3369f88daed79dd5613ddbb5e801f632b01d6218c5f08"
#define KEY_1 "dbae33ee1bee4f1e12ac7a0dd1197e46648b8d9d9d908577a53fd38741bcf119"

struct heard {
    struct text text; /* "HOST+8808 HOST-dbae HOST! " */
};

static bool on_event(void *context, const char *host, const struct kv_event *event)
{
    static const char KINDS[] = "+-!";
    struct heard *heard = context;
    if (strcmp(host, "nowhere") == 0) {
        return false;
    }
    text_printf(&heard->text, "%s%c", host, KINDS[event->kind]);
    if (event->block_count == 1) {
        text_printf(&heard->text, "%04x", (unsigned)(event->blocks[0] >> 48));
    }
    text_add(&heard->text, " ");
    return true;
}

/* Pairs of name and value, as msgspec writes a tagged struct. */
static void put(struct text *frame, const char *const *words, uint32_t pairs)
{
    frame->length = 0;
    msgpack_put_map(frame, pairs);
    for (uint32_t i = 0; i < 2 * pairs; i++) {
        if (strcmp(words[i], "0") == 0) {
            msgpack_put_uint(frame, 0); /* a worker's number */
        } else {
            msgpack_put_str(frame, words[i]);
        }
    }
}

static void take(struct lmcache *lmcache, const struct text *frame, struct heard *heard)
{
    struct err err = {0};
    const struct lmcache_sink sink = {heard, on_event};
    EXPECT_OK(lmcache_take(lmcache, frame->bytes, frame->length, &sink, &err), &err);
}

static void enrol(struct lmcache *lmcache, const char *instance, const char *worker,
                  const char *ip, struct heard *heard)
{
    struct text frame = {0};
    const char *const words[] = {"type",        "RegisterMsg",
                                 "instance_id", instance,
                                 "worker_id",   worker,
                                 "ip",          ip,
                                 "port",        "0"};
    put(&frame, words, 5);
    take(lmcache, &frame, heard);
    text_fini(&frame);
}

struct chunk {
    const char *type;
    const char *instance;
    const char *worker;
    const char *key;
    const char *location;
};

static void chunk(struct lmcache *lmcache, const struct chunk *chunk,
                  struct heard *heard)
{
    struct text frame = {0};
    const char *const words[] = {
        "type",        chunk->type, "instance_id", chunk->instance, "worker_id",
        chunk->worker, "key",       chunk->key,    "location",      chunk->location};
    put(&frame, words, 5);
    take(lmcache, &frame, heard);
    text_fini(&frame);
}

static void admit(struct lmcache *lmcache, const char *instance, const char *key,
                  struct heard *heard)
{
    chunk(lmcache, &(struct chunk){"KVAdmitMsg", instance, "0", key, "LocalCPUBackend"},
          heard);
}

static void expect(struct heard *heard, const char *told)
{
    EXPECT_STR(text_str(&heard->text), told);
    heard->text.length = 0;
}

static void keys_are_those_of_lmcache(void)
{
    uint32_t ids[600];
    uint64_t hashes[4] = {0};
    for (uint32_t i = 0; i < 600; i++) {
        ids[i] = i;
    }
    EXPECT_U64(lmcache_hashes(ids, 255, hashes, 4), 0);
    EXPECT_U64(lmcache_hashes(ids, 600, hashes, 4), 2);
    EXPECT_U64(hashes[0], UINT64_C(0x8808405eec6fbe30));
    EXPECT_U64(hashes[1], UINT64_C(0xdbae33ee1bee4f1e));
    EXPECT_U64(lmcache_hashes(ids, 600, hashes, 1), 1);
}

static void a_chunk_is_there_while_anyone_has_it(void)
{
    struct lmcache *lmcache = lmcache_new(true);
    struct heard heard = {0};
    static const struct chunk CHUNKS[] = {
        {"KVAdmitMsg", "a", "0", KEY_0, "LocalCPUBackend"},
        {"KVAdmitMsg", "a", "0", KEY_0, "LocalDiskBackend"},
        {"KVAdmitMsg", "a", "w1", KEY_0, "LocalCPUBackend"},
        {"KVAdmitMsg", "a", "w1", KEY_0, "LocalCPUBackend"}, /* told twice */
        {"KVEvictMsg", "a", "0", KEY_0, "LocalCPUBackend"},
        {"KVEvictMsg", "a", "0", KEY_0, "LocalCPUBackend"}, /* told twice */
        {"KVEvictMsg", "a", "w1", KEY_0, "LocalCPUBackend"},
    };
    enrol(lmcache, "a", "0", "10.0.0.1", &heard);
    for (size_t i = 0; i < sizeof CHUNKS / sizeof CHUNKS[0]; i++) {
        chunk(lmcache, &CHUNKS[i], &heard);
    }
    expect(&heard, "10.0.0.1+8808 ");
    chunk(lmcache, &(struct chunk){"KVEvictMsg", "a", "0", KEY_0, "LocalDiskBackend"},
          &heard);
    expect(&heard, "10.0.0.1-8808 ");
    admit(lmcache, "a", KEY_1, &heard);
    expect(&heard, "10.0.0.1+dbae ");
    EXPECT_U64(lmcache_unmapped(lmcache), 0);
    text_fini(&heard.text);
    lmcache_delete(lmcache);
}

static void a_worker_that_registers_again_was_restarted(void)
{
    struct lmcache *lmcache = lmcache_new(true);
    struct heard heard = {0};
    enrol(lmcache, "a", "0", "h", &heard);
    admit(lmcache, "a", KEY_0, &heard);
    enrol(lmcache, "a", "w1", "h", &heard); /* another rank */
    expect(&heard, "h+8808 ");
    enrol(lmcache, "a", "0", "h", &heard);
    admit(lmcache, "a", KEY_0, &heard);
    expect(&heard, "h! h+8808 ");
    text_fini(&heard.text);
    lmcache_delete(lmcache);
}

/* The address is the second one's then: what the first one says goes to nobody. */
static void two_engines_at_one_address_overwrite_each_other(void)
{
    struct lmcache *lmcache = lmcache_new(true);
    struct heard heard = {0};
    enrol(lmcache, "a", "0", "h", &heard);
    admit(lmcache, "a", KEY_0, &heard);
    enrol(lmcache, "b", "0", "h", &heard);
    admit(lmcache, "a", KEY_1, &heard);
    admit(lmcache, "b", KEY_1, &heard);
    expect(&heard, "h+8808 h! h+dbae ");
    EXPECT_U64(lmcache_unmapped(lmcache), 1);
    text_fini(&heard.text);
    lmcache_delete(lmcache);
}

static void instances_that_nobody_knows_are_counted(void)
{
    struct lmcache *lmcache = lmcache_new(true);
    struct heard heard = {0};
    admit(lmcache, "a", KEY_0, &heard); /* never registered */
    enrol(lmcache, "b", "0", "nowhere", &heard);
    admit(lmcache, "b", KEY_0, &heard);
    expect(&heard, "");
    EXPECT_U64(lmcache_unmapped(lmcache), 2);
    enrol(lmcache, "a", "0", "h", &heard);
    admit(lmcache, "a", KEY_0, &heard);
    expect(&heard, "h+8808 ");
    text_fini(&heard.text);
    lmcache_delete(lmcache);
}

static void leave(bool forgets, const char *told)
{
    struct lmcache *lmcache = lmcache_new(forgets);
    struct heard heard = {0};
    struct text frame = {0};
    const char *const words[] = {
        "type", "DeRegisterMsg", "worker_id", "0", "instance_id", "a", "ip", "h"};
    enrol(lmcache, "a", "0", "h", &heard);
    admit(lmcache, "a", KEY_0, &heard);
    put(&frame, words, 4);
    take(lmcache, &frame, &heard);
    admit(lmcache, "a", KEY_1, &heard);
    expect(&heard, told);
    text_fini(&frame);
    text_fini(&heard.text);
    lmcache_delete(lmcache);
}

/* The release never awaited its own coroutine: who left stayed. */
static void who_leaves_takes_chunks_along_or_not(void)
{
    leave(true, "h+8808 h! ");
    leave(false, "h+8808 h+dbae ");
}

static void what_is_no_message_is_refused(void)
{
    static const char *const NO_KEY[] = {"type", "KVAdmitMsg", "instance_id", "a"};
    static const char *const SHORT[] = {"type", "KVAdmitMsg", "instance_id",
                                        "a",    "key",        "8808"};
    static const char *const NOT_HEX[] = {
        "type",
        "KVAdmitMsg",
        "instance_id",
        "a",
        "key",
        "88zz405eec6fbe306fe3369f88daed79dd5613ddbb5e801f632b01d6218c5f08"};
    static const char *const NOBODY[] = {"type", "KVAdmitMsg"};
    static const char *const NEW[] = {"type", "HeartbeatMsg", "instance_id", "a"};
    static const struct {
        const char *const *words;
        uint32_t pairs;
        const char *why;
    } CASES[] = {{NO_KEY, 2, "KVAdmitMsg without a key"},
                 {SHORT, 3, "KVAdmitMsg without a key"},
                 {NOT_HEX, 3, "KVAdmitMsg without a key"},
                 {NOBODY, 1, "no message of LMCache"},
                 {NULL, 0, "no message of LMCache"}};
    struct lmcache *lmcache = lmcache_new(true);
    struct heard heard = {0};
    struct text frame = {0};
    const struct lmcache_sink sink = {&heard, on_event};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct err err = {0};
        put(&frame, CASES[i].words, CASES[i].pairs);
        EXPECT_FAILS(lmcache_take(lmcache, frame.bytes, frame.length, &sink, &err),
                     &err, CASES[i].why);
    }
    put(&frame, NEW, 2); /* of a later release */
    take(lmcache, &frame, &heard);
    put(&frame, NO_KEY, 2);
    for (size_t length = 0; length < frame.length; length++) {
        struct err err = {0};
        EXPECT(!lmcache_take(lmcache, frame.bytes, length, &sink, &err));
    }
    expect(&heard, "");
    text_fini(&frame);
    text_fini(&heard.text);
    lmcache_delete(lmcache);
}

HARNESS_MAIN("lmcache", TEST(keys_are_those_of_lmcache),
             TEST(a_chunk_is_there_while_anyone_has_it),
             TEST(a_worker_that_registers_again_was_restarted),
             TEST(two_engines_at_one_address_overwrite_each_other),
             TEST(instances_that_nobody_knows_are_counted),
             TEST(who_leaves_takes_chunks_along_or_not),
             TEST(what_is_no_message_is_refused))
