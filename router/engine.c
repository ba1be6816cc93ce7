/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.c: connections to engines and the idle ones kept for the next request.
 *
 * The last one put back is the first taken: it is the least likely to have been closed
 * by the engine meanwhile, and the oldest run into their time limit when load falls.
 */
#include "base/check.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <string.h>

static struct engine_conn *idle_conn(const struct proxy *proxy, uint32_t id)
{
    return (struct engine_conn *)proxy_conn(proxy, id);
}

static void unlink_idle(const struct proxy *proxy, struct engine_conn *engine)
{
    struct origin *origin = engine->origin;
    if (engine->previous_idle != PROXY_NO_CONN) {
        idle_conn(proxy, engine->previous_idle)->next_idle = engine->next_idle;
    } else {
        origin->conn_list = engine->next_idle;
    }
    if (engine->next_idle != PROXY_NO_CONN) {
        idle_conn(proxy, engine->next_idle)->previous_idle = engine->previous_idle;
    }
    engine->next_idle = PROXY_NO_CONN;
    engine->previous_idle = PROXY_NO_CONN;
    origin->idle_count--;
}

static void link_idle(const struct proxy *proxy, struct engine_conn *engine)
{
    struct origin *origin = engine->origin;
    engine->previous_idle = PROXY_NO_CONN;
    engine->next_idle = origin->conn_list;
    if (origin->conn_list != PROXY_NO_CONN) {
        idle_conn(proxy, origin->conn_list)->previous_idle = engine->conn.id;
    }
    origin->conn_list = engine->conn.id;
    origin->idle_count++;
}

void engine_free(struct proxy *proxy, struct engine_conn *engine)
{
    proxy->engine_count--;
    http_parser_delete(engine->parser);
    text_fini(&engine->conn.out);
    origin_give(engine->origin);
    mem_free(engine);
}

static void drop(struct proxy *proxy, struct engine_conn *engine, bool tell_rim)
{
    if (engine->state == ENGINE_IDLE) {
        unlink_idle(proxy, engine);
        engine->state = ENGINE_BUSY;
    }
    proxy_drop_conn(proxy, &engine->conn, tell_rim, false);
}

static void attach(struct exchange *exchange, struct engine_conn *engine)
{
    exchange->engine = engine;
    engine->exchange = exchange;
    engine->got_bytes = false;
    engine->conn.deadline_ns = INT64_MAX;
}

static void open_conn(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      struct origin *origin)
{
    struct engine_conn *engine = mem_alloc(1, sizeof *engine);
    engine->conn.kind = CONN_ENGINE;
    engine->state = ENGINE_CONNECTING;
    engine->next_idle = PROXY_NO_CONN;
    engine->previous_idle = PROXY_NO_CONN;
    engine->origin = origin_take(origin);
    engine->parser = http_parser_new(false, proxy->setup.limits.head_bytes_max);
    const uint32_t id = proxy_add_conn(proxy, &engine->conn);
    /* The table has room for every client's engine and for probes beside them. */
    CHECK(id != PROXY_NO_CONN, "%u connections to engines", proxy->engine_count);
    proxy->engine_count++;
    proxy->counters.engine_conns_opened++;
    attach(exchange, engine);
    exchange->deadline_ns = now_ns + proxy->setup.limits.connect_ns;
    proxy->rim->connect(proxy->rim->context, id, origin);
}

void engine_attach(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                   struct origin *origin)
{
    if (origin->conn_list == PROXY_NO_CONN || exchange->fresh_conn) {
        open_conn(proxy, now_ns, exchange, origin);
        return;
    }
    struct engine_conn *engine = idle_conn(proxy, origin->conn_list);
    unlink_idle(proxy, engine);
    engine->state = ENGINE_BUSY;
    engine->reused = true;
    proxy->counters.engine_conns_reused++;
    attach(exchange, engine);
    exchange_connected(proxy, now_ns, exchange);
}

void engine_detach(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                   bool keep)
{
    struct engine_conn *engine = exchange->engine;
    if (engine == NULL) {
        return;
    }
    exchange->engine = NULL;
    engine->exchange = NULL;
    if (engine->conn.closed) {
        return;
    }
    const bool reusable =
        keep && !engine->spoiled && http_parser_head(engine->parser)->keep_alive &&
        !proxy->draining && proxy->engine_count <= proxy->setup.limits.clients_max &&
        engine->origin->idle_count < proxy->setup.limits.idle_engine_conns_max;
    if (!reusable) {
        drop(proxy, engine, true);
        return;
    }
    engine->state = ENGINE_IDLE;
    engine->conn.deadline_ns = now_ns + proxy->setup.limits.engine_idle_ns;
    conn_pause(proxy, &engine->conn, false);
    link_idle(proxy, engine);
}

void engine_on_connected(struct proxy *proxy, int64_t now_ns,
                         struct engine_conn *engine)
{
    engine->state = ENGINE_BUSY;
    exchange_connected(proxy, now_ns, engine->exchange);
}

/* False when the connection is of no more use to this loop. */
static bool take_event(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine,
                       const struct http_result *result)
{
    const struct http_head *head = http_parser_head(engine->parser);
    struct exchange *exchange = engine->exchange;
    switch (result->event) {
    case HTTP_MORE:
        return false;
    case HTTP_GOT_HEAD:
        if (head->status >= 200) {
            exchange_on_head(proxy, now_ns, exchange, head);
        } else if (head->status == 101) {
            exchange_failed(proxy, now_ns, exchange, "the engine changed protocols");
        }
        break;
    case HTTP_GOT_BODY:
        exchange_on_body(proxy, now_ns, exchange, result->body, result->body_bytes);
        break;
    case HTTP_GOT_END:
        if (head->status >= 200) {
            exchange_on_end(proxy, now_ns, exchange);
        }
        break;
    case HTTP_FAULT:
        exchange_failed(proxy, now_ns, exchange, result->what);
        return false;
    }
    return engine->exchange == exchange;
}

void engine_on_bytes(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine,
                     const char *bytes, size_t byte_count)
{
    if (engine->exchange == NULL) {
        drop(proxy, engine, true); /* an idle engine has nothing to say */
        return;
    }
    engine->got_bytes = true;
    bool more = true;
    while (more) {
        struct http_result result;
        const size_t used = http_step(engine->parser, bytes, byte_count, &result);
        bytes += used;
        byte_count -= used;
        /* Bytes behind a complete answer were never asked for: the next answer on this
         * connection would be anybody's. */
        engine->spoiled = result.event == HTTP_GOT_END && byte_count > 0 &&
                          http_parser_head(engine->parser)->status >= 200;
        more = take_event(proxy, now_ns, engine, &result);
    }
}

void engine_on_closed(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine,
                      const char *why)
{
    struct exchange *exchange = engine->exchange;
    if (exchange == NULL) {
        drop(proxy, engine, false);
        return;
    }
    struct http_result result = {0};
    if (engine->state == ENGINE_BUSY) {
        http_finish(engine->parser, &result);
    }
    /* The rim has forgotten the connection: from here on it is not told to close it. */
    proxy_drop_conn(proxy, &engine->conn, false, false);
    if (result.event == HTTP_GOT_END) {
        exchange_on_end(proxy, now_ns, exchange);
        return;
    }
    proxy->counters.engine_conns_failed++;
    exchange_failed(proxy, now_ns, exchange, why);
}

void engine_on_tick(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine)
{
    if (engine->state == ENGINE_IDLE && engine->conn.deadline_ns <= now_ns) {
        drop(proxy, engine, true);
    }
}
