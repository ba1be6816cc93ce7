/* SPDX-License-Identifier: Apache-2.0
 *
 * kv_events.c: what engines tell about their prefix caches: published as vLLM does, or
 * by POST /kv_events as JSON.
 *
 * Hashes in JSON are those of request.c, so the sender must know the texts; they are 16
 * hex digits. Off unless asked for, since it changes decisions.
 */
#include "base/json.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <stdlib.h>
#include <string.h>

enum { EVENT_BLOCKS_MAX = 1 << 20 };

static bool read_hash(const struct json *value, uint64_t *hash)
{
    const char *text = json_str(value);
    if (text == NULL || strlen(text) != 16 ||
        strspn(text, "0123456789abcdefABCDEF") != 16) {
        return false;
    }
    *hash = strtoull(text, NULL, 16);
    return true;
}

static bool read_kind(const struct json *value, enum kv_event_kind *kind)
{
    static const char *const NAMES[] = {"stored", "removed", "cleared"};
    const char *text = json_str(value);
    for (size_t i = 0; text != NULL && i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcmp(text, NAMES[i]) == 0) {
            *kind = (enum kv_event_kind)i;
            return true;
        }
    }
    return false;
}

/* *blocks belongs to the caller, also on false. */
static bool read_event(const struct json *value, struct kv_event *event,
                       uint64_t **blocks)
{
    const struct json *list = json_get(value, "blocks");
    const struct json *parent = json_get(value, "parent");
    const size_t count = json_count(list);
    *blocks = NULL;
    if (!read_kind(json_get(value, "kind"), &event->kind) || count > EVENT_BLOCKS_MAX ||
        (parent != NULL && !json_is_null(parent) &&
         !read_hash(parent, &event->parent))) {
        return false;
    }
    *blocks = mem_alloc(count, sizeof **blocks);
    event->blocks = *blocks;
    event->block_count = 0;
    for (const struct json *hash = json_first(list); hash != NULL;
         hash = json_next(hash)) {
        if (!read_hash(hash, &(*blocks)[event->block_count++])) {
            return false;
        }
    }
    return true;
}

/* All of a message or nothing: first looked through, then told. */
static bool take_events(struct proxy *proxy, int64_t now_ns, struct backend *backend,
                        const struct json *message, bool tell)
{
    const struct json *events = json_get(message, "events");
    int64_t number = 0;
    bool good = json_i64(json_get(message, "message"), &number) && number >= 0 &&
                events != NULL;
    for (const struct json *value = json_first(events); good && value != NULL;
         value = json_next(value)) {
        struct kv_event event = {.message = (uint64_t)number};
        uint64_t *blocks = NULL;
        good = read_event(value, &event, &blocks);
        if (good && tell) {
            fleet_kv_event(proxy->fleet, now_ns, backend, &event);
        }
        mem_free(blocks);
    }
    return good;
}

void kv_events_answer(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    static const char SUCCESS[] = "{\"status\":\"success\"}";
    struct backend *backend =
        exchange->pin == NULL ? NULL : fleet_by_engine_id(proxy->fleet, exchange->pin);
    struct json *message = NULL;
    struct err err;
    if (!proxy->setup.takes_kv_events) {
        exchange_refuse(proxy, now_ns, exchange, 404,
                        "KV events are not taken; see --kv-events.");
        return;
    }
    if (backend == NULL) {
        exchange_refuse(proxy, now_ns, exchange, 400,
                        "Invalid request: no engine has this 'id'; see /engines.");
        return;
    }
    if (!json_parse(&message, "body", text_str(&exchange->body), exchange->body.length,
                    &err) ||
        !take_events(proxy, now_ns, backend, message, false)) {
        json_delete(message);
        exchange_refuse(proxy, now_ns, exchange, 400,
                        "Invalid request: not a message of KV events.");
        return;
    }
    (void)take_events(proxy, now_ns, backend, message, true);
    json_delete(message);
    reply_send(proxy, now_ns, exchange,
               &(struct reply){.status = 200,
                               .type = "application/json",
                               .body = SUCCESS,
                               .body_bytes = sizeof SUCCESS - 1});
}

/* --- published -------------------------------------------------------------------- */

struct teller {
    struct proxy *proxy;
    struct backend *backend;
    int64_t now_ns;
};

static void on_event(void *context, const struct kv_event *event)
{
    const struct teller *teller = context;
    teller->proxy->counters.kv_events++;
    fleet_kv_event(teller->proxy->fleet, teller->now_ns, teller->backend, event);
}

void proxy_on_kv_batch(struct proxy *proxy, int64_t now_ns, struct backend *backend,
                       const struct kv_batch *batch)
{
    struct teller teller = {proxy, backend, now_ns};
    const struct engine_events_sink sink = {&teller, on_event};
    struct err err = {0};
    if (!backend->member) {
        return;
    }
    if (backend->events == NULL) {
        backend->events = engine_events_new(REQUEST_BLOCK_TOKENS);
    }
    const uint64_t unplaced = engine_events_unplaced(backend->events);
    const bool good = engine_events_take(backend->events, batch, &sink, &err);
    proxy->counters.kv_blocks_unplaced +=
        engine_events_unplaced(backend->events) - unplaced;
    proxy->counters.kv_batches_unreadable += good ? 0 : 1;
    if (!good && !backend->babbles) {
        backend->babbles = true;
        proxy_warn(proxy, "%s: KV events that cannot be read: %s", backend->url,
                   err.text);
    }
}

/* --- LMCache ---------------------------------------------------------------------- */

static bool on_chunk(void *context, const char *host, const struct kv_event *event)
{
    struct teller *teller = context;
    teller->backend = fleet_by_host(teller->proxy->fleet, host);
    if (teller->backend != NULL) {
        on_event(context, event);
    }
    return teller->backend != NULL;
}

void proxy_on_lmcache(struct proxy *proxy, int64_t now_ns, const char *bytes,
                      size_t byte_count)
{
    struct teller teller = {proxy, NULL, now_ns};
    const struct lmcache_sink sink = {&teller, on_chunk};
    struct err err = {0};
    const uint64_t unmapped = lmcache_unmapped(proxy->lmcache);
    const bool good = lmcache_take(proxy->lmcache, bytes, byte_count, &sink, &err);
    proxy->counters.kv_events_unmapped += lmcache_unmapped(proxy->lmcache) - unmapped;
    proxy->counters.kv_batches_unreadable += good ? 0 : 1;
    if (!good && !proxy->lmcache_babbles) {
        proxy->lmcache_babbles = true;
        proxy_warn(proxy, "a message to LMCache's controller that cannot be read: %s",
                   err.text);
    }
}
