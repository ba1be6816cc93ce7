/* SPDX-License-Identifier: Apache-2.0
 *
 * lmcache.c: see lmcache.h. A chunk may lie with several workers of an engine and in
 * several of their stores; it is there as long as one has it.
 */
#include "router/lmcache.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "router/msgpack.h"

#include <stdio.h>
#include <string.h>

enum {
    KEY_BYTES = 32,
    HEX_CHARACTERS = 64,
    INSTANCES_MAX = 4096,
    WORKERS_MAX = 4096,   /* of an instance */
    PLACES_MAX = 1 << 20, /* of an engine's chunks; beyond, it starts anew */
    WORD_BYTES = 256,
};

struct instance {
    char name[WORD_BYTES];
    char host[WORD_BYTES]; /* empty: another engine registered with its address */
    struct map *workers;   /* that registered */
    struct map *places;    /* chunk, worker, location -> 1 */
    struct map *holders;   /* chunk -> places */
};

struct lmcache {
    bool forgets;
    struct instance **instances; /* in order of their first word */
    size_t count;
    size_t capacity;
    uint64_t messages;
    uint64_t unmapped;
};

/* --- hashes ----------------------------------------------------------------------- */

static uint64_t first_word(const uint8_t key[KEY_BYTES])
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        word = word << 8 | key[i];
    }
    return word;
}

/* Behind the key before in hex; none is before the first. */
static size_t put_hex(const uint8_t key[KEY_BYTES], char *out)
{
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < KEY_BYTES; i++) {
        out[2 * i] = DIGITS[key[i] >> 4];
        out[2 * i + 1] = DIGITS[key[i] & 15];
    }
    return HEX_CHARACTERS;
}

size_t lmcache_hashes(const uint32_t *ids, size_t id_count, uint64_t *hashes,
                      size_t max)
{
    char bytes[HEX_CHARACTERS + LMCACHE_CHUNK_TOKENS * sizeof *ids];
    uint8_t key[KEY_BYTES];
    size_t count = 0;
    for (size_t at = 0; at + LMCACHE_CHUNK_TOKENS <= id_count && count < max;
         at += LMCACHE_CHUNK_TOKENS) {
        const size_t before = count > 0 ? put_hex(key, bytes) : 0;
        memcpy(bytes + before, ids + at, LMCACHE_CHUNK_TOKENS * sizeof *ids);
        hash_sha256(bytes, before + LMCACHE_CHUNK_TOKENS * sizeof *ids, key);
        hashes[count++] = first_word(key);
    }
    return count;
}

/* --- instances -------------------------------------------------------------------- */

struct lmcache *lmcache_new(bool forgets)
{
    struct lmcache *lmcache = mem_alloc(1, sizeof *lmcache);
    lmcache->forgets = forgets;
    return lmcache;
}

void lmcache_delete(struct lmcache *lmcache)
{
    if (lmcache == NULL) {
        return;
    }
    for (size_t i = 0; i < lmcache->count; i++) {
        map_delete(lmcache->instances[i]->workers);
        map_delete(lmcache->instances[i]->places);
        map_delete(lmcache->instances[i]->holders);
        mem_free(lmcache->instances[i]);
    }
    mem_free(lmcache->instances);
    mem_free(lmcache);
}

uint64_t lmcache_unmapped(const struct lmcache *lmcache)
{
    return lmcache->unmapped;
}

static struct instance *find(const struct lmcache *lmcache, const char *name)
{
    for (size_t i = 0; i < lmcache->count; i++) {
        if (strcmp(lmcache->instances[i]->name, name) == 0) {
            return lmcache->instances[i];
        }
    }
    return NULL;
}

/* NULL: there are too many. */
static struct instance *find_or_add(struct lmcache *lmcache, const char *name)
{
    struct instance *instance = find(lmcache, name);
    void *array = lmcache->instances;
    if (instance != NULL || !mem_grow(&array, &lmcache->capacity, lmcache->count + 1,
                                      sizeof(void *), INSTANCES_MAX)) {
        return instance;
    }
    lmcache->instances = array;
    instance = mem_alloc(1, sizeof *instance);
    (void)snprintf(instance->name, sizeof instance->name, "%s", name);
    instance->workers = map_new(8, WORKERS_MAX);
    instance->places = map_new(64, PLACES_MAX);
    instance->holders = map_new(64, PLACES_MAX);
    lmcache->instances[lmcache->count++] = instance;
    return instance;
}

/* --- messages --------------------------------------------------------------------- */

/* What we read of one. Words are cut where they are longer than anybody's. */
struct message {
    char type[32];
    char instance[WORD_BYTES];
    char worker[32];
    char host[WORD_BYTES];
    char location[64];
    bool has_chunk;
    uint64_t chunk;
};

static void take_word(const struct msgpack_item *item, char *out, size_t out_bytes)
{
    if (item->kind == MSGPACK_STR) {
        const size_t length = item->length < out_bytes ? item->length : out_bytes - 1;
        memcpy(out, item->bytes, length);
        out[length] = '\0';
    } else if (item->kind == MSGPACK_UINT) {
        (void)snprintf(out, out_bytes, "%llu", (unsigned long long)item->number);
    }
}

/* 64 hex digits, or the number of a later release. */
static void take_key(const struct msgpack_item *item, struct message *message)
{
    if (item->kind == MSGPACK_UINT || item->kind == MSGPACK_INT) {
        message->has_chunk = true;
        message->chunk = item->number;
    }
    if (item->kind != MSGPACK_STR || item->length != HEX_CHARACTERS) {
        return;
    }
    message->chunk = 0;
    message->has_chunk = true;
    for (int i = 0; i < 16; i++) {
        const char c = item->bytes[i];
        const bool digit = c >= '0' && c <= '9';
        message->has_chunk = message->has_chunk && (digit || (c >= 'a' && c <= 'f'));
        message->chunk =
            message->chunk << 4 | (uint64_t)(digit ? c - '0' : (c - 'a' + 10) & 15);
    }
}

static void take_field(const struct msgpack_item *name,
                       const struct msgpack_item *value, struct message *message)
{
    if (msgpack_is(name, "type")) {
        take_word(value, message->type, sizeof message->type);
    } else if (msgpack_is(name, "instance_id")) {
        take_word(value, message->instance, sizeof message->instance);
    } else if (msgpack_is(name, "worker_id")) {
        take_word(value, message->worker, sizeof message->worker);
    } else if (msgpack_is(name, "ip")) {
        take_word(value, message->host, sizeof message->host);
    } else if (msgpack_is(name, "location")) {
        take_word(value, message->location, sizeof message->location);
    } else if (msgpack_is(name, "key")) {
        take_key(value, message);
    }
}

static bool read(const char *bytes, size_t byte_count, struct message *message)
{
    struct msgpack reader = {bytes, byte_count};
    struct msgpack_item map;
    *message = (struct message){0};
    if (!msgpack_next(&reader, &map) || map.kind != MSGPACK_MAP) {
        return false;
    }
    for (uint32_t i = 0; i < map.length; i++) {
        struct msgpack_item name;
        struct msgpack whole;
        struct msgpack_item value;
        if (!msgpack_next(&reader, &name)) {
            return false;
        }
        whole = reader;
        if (!msgpack_skip(&reader) || !msgpack_next(&whole, &value)) {
            return false;
        }
        take_field(&name, &value, message);
    }
    return message->type[0] != '\0' && message->instance[0] != '\0';
}

static bool tell(struct lmcache *lmcache, const struct instance *instance,
                 const struct lmcache_sink *sink, struct kv_event *event)
{
    event->message = lmcache->messages;
    const bool told = instance->host[0] != '\0' &&
                      sink->on_event(sink->context, instance->host, event);
    lmcache->unmapped += told ? 0 : 1;
    return told;
}

static void forget(struct lmcache *lmcache, struct instance *instance,
                   const struct lmcache_sink *sink)
{
    if (map_count(instance->places) > 0) {
        map_clear(instance->places);
        map_clear(instance->holders);
        (void)tell(lmcache, instance, sink,
                   &(struct kv_event){.kind = KV_EVENT_CLEARED});
    }
}

/* An address is of whoever registered with it last. A worker that registers again was
 * restarted: its caches are empty. */
static void enrol(struct lmcache *lmcache, struct instance *instance,
                  const struct message *message, const struct lmcache_sink *sink)
{
    const uint64_t worker = hash_xxh64(message->worker, strlen(message->worker), 0);
    const bool moved = strcmp(instance->host, message->host) != 0;
    uint32_t ignored = 0;
    if (moved || map_get(instance->workers, worker, &ignored)) {
        forget(lmcache, instance, sink);
        map_clear(instance->workers);
    }
    for (size_t i = 0; i < lmcache->count; i++) {
        struct instance *other = lmcache->instances[i];
        if (other != instance && strcmp(other->host, message->host) == 0) {
            forget(lmcache, other, sink);
            other->host[0] = '\0';
        }
    }
    if (map_count(instance->workers) < WORKERS_MAX) {
        map_put(instance->workers, worker, 1);
    }
    (void)snprintf(instance->host, sizeof instance->host, "%s", message->host);
}

static uint64_t place_of(const struct message *message)
{
    return hash_pair(hash_pair(message->chunk,
                               hash_xxh64(message->worker, strlen(message->worker), 0)),
                     hash_xxh64(message->location, strlen(message->location), 0));
}

static void admit(struct lmcache *lmcache, struct instance *instance,
                  const struct message *message, const struct lmcache_sink *sink)
{
    const uint64_t place = place_of(message);
    uint32_t holders = 0;
    if (map_get(instance->places, place, &holders)) {
        return;
    }
    if (map_count(instance->places) == PLACES_MAX) {
        forget(lmcache, instance, sink);
    }
    holders = 0;
    if (!map_get(instance->holders, message->chunk, &holders) &&
        !tell(lmcache, instance, sink,
              &(struct kv_event){.kind = KV_EVENT_STORED,
                                 .blocks = &message->chunk,
                                 .block_count = 1})) {
        return;
    }
    map_put(instance->places, place, 1);
    map_put(instance->holders, message->chunk, holders + 1);
}

static void evict(struct lmcache *lmcache, struct instance *instance,
                  const struct message *message, const struct lmcache_sink *sink)
{
    uint32_t holders = 0;
    if (!map_remove(instance->places, place_of(message))) {
        return;
    }
    const bool known = map_get(instance->holders, message->chunk, &holders);
    CHECK(known && holders > 0, "a place without a holder");
    if (holders > 1) {
        map_put(instance->holders, message->chunk, holders - 1);
        return;
    }
    (void)map_remove(instance->holders, message->chunk);
    (void)tell(lmcache, instance, sink,
               &(struct kv_event){.kind = KV_EVENT_REMOVED,
                                  .blocks = &message->chunk,
                                  .block_count = 1});
}

bool lmcache_take(struct lmcache *lmcache, const char *bytes, size_t byte_count,
                  const struct lmcache_sink *sink, struct err *err)
{
    struct message message;
    if (!read(bytes, byte_count, &message)) {
        return err_set(err, ERR_INPUT, "no message of LMCache");
    }
    const bool admits = strcmp(message.type, "KVAdmitMsg") == 0;
    const bool evicts = strcmp(message.type, "KVEvictMsg") == 0;
    if ((admits || evicts) && !message.has_chunk) {
        return err_set(err, ERR_INPUT, "%s without a key", message.type);
    }
    struct instance *instance = find_or_add(lmcache, message.instance);
    if (instance == NULL) {
        return err_set(err, ERR_INPUT, "more than %d instances of LMCache",
                       INSTANCES_MAX);
    }
    lmcache->messages++;
    if (admits) {
        admit(lmcache, instance, &message, sink);
    } else if (evicts) {
        evict(lmcache, instance, &message, sink);
    } else if (strcmp(message.type, "RegisterMsg") == 0) {
        enrol(lmcache, instance, &message, sink);
    } else if (strcmp(message.type, "DeRegisterMsg") == 0 && lmcache->forgets) {
        forget(lmcache, instance, sink);
        instance->host[0] = '\0';
    }
    return true;
}
