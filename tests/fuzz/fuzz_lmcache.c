/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_lmcache.c: a worker of LMCache that pushes anything, frames being lines. What is
 * evicted was admitted before, to the same host.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "router/lmcache.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static bool on_event(void *context, const char *host, const struct kv_event *event)
{
    struct map *known = context;
    uint32_t ignored = 0;
    if (strlen(host) % 5 == 4 || event->kind == KV_EVENT_CLEARED) {
        return strlen(host) % 5 != 4;
    }
    CHECK(event->block_count == 1, "%u chunks in an event", event->block_count);
    const uint64_t key = hash_pair(event->blocks[0], hash_xxh64(host, strlen(host), 0));
    if (event->kind == KV_EVENT_STORED) {
        map_put(known, key, 1);
    }
    CHECK(map_get(known, key, &ignored), "a chunk out of nowhere");
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct map *known = map_new(64, 1 << 20);
    struct lmcache *lmcache = lmcache_new(size % 2 == 0);
    const struct lmcache_sink sink = {known, on_event};
    const char *text = (const char *)data;
    while (size > 0) {
        struct err err = {0};
        const char *end = memchr(text, '\n', size);
        const size_t length = end != NULL ? (size_t)(end - text) : size;
        const bool good = lmcache_take(lmcache, text, length, &sink, &err);
        CHECK(good || err.text[0] != '\0', "a failure without a word");
        text += length + (end != NULL ? 1 : 0);
        size -= length + (end != NULL ? 1 : 0);
    }
    lmcache_delete(lmcache);
    map_delete(known);
    return 0;
}
