/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy.c: the table of connections, the end of every event, and the clock tick.
 *
 * What an event makes is collected and sent once at its end, so that a burst of small
 * pieces costs one system call for each connection.
 */
#include "base/check.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <stdio.h>
#include <string.h>

/* Clients; a connection to an engine for each; as many idle ones (engine_detach); and a
 * probe, a scrape and a list for each backend. */
enum { CONNS_SPARE = 4 * CONFIG_BACKENDS_MAX };

struct proxy *proxy_new(const struct proxy_setup *setup, int64_t now_ns)
{
    struct proxy *proxy = mem_alloc(1, sizeof *proxy);
    proxy->setup = *setup;
    proxy->rim = setup->rim;
    proxy->fleet = setup->fleet;
    proxy->reader = body_reader_new();
    proxy->lmcache = lmcache_new(setup->compat == COMPAT_HEAD);
    proxy->conn_capacity = 3 * setup->limits.clients_max + CONNS_SPARE;
    proxy->conns = mem_alloc(proxy->conn_capacity, sizeof(void *));
    proxy->next_number = 1;
    proxy->retry_tokens = 10;
    proxy->started_ns = now_ns;
    proxy->stats_at_ns =
        setup->stats_interval_ns > 0 ? now_ns + setup->stats_interval_ns : INT64_MAX;
    rng_init(&proxy->rng, setup->seed, "router/request-ids", 0);
    return proxy;
}

static void free_conn(struct proxy *proxy, struct conn *conn)
{
    if (conn->kind == CONN_CLIENT) {
        client_free(proxy, (struct client *)conn);
    } else {
        engine_free(proxy, (struct engine_conn *)conn);
    }
}

static void free_dead(struct proxy *proxy)
{
    while (proxy->dead_exchanges != NULL) {
        struct exchange *exchange = proxy->dead_exchanges;
        proxy->dead_exchanges = exchange->next_dead;
        exchange_free(proxy, exchange);
    }
    while (proxy->dead_conns != NULL) {
        struct conn *conn = proxy->dead_conns;
        proxy->dead_conns = conn->next_dead;
        free_conn(proxy, conn);
    }
}

void proxy_delete(struct proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    const int64_t now_ns = proxy->now_ns;
    for (struct exchange *exchange = proxy->exchanges; exchange != NULL;
         exchange = exchange->next) {
        exchange->client = NULL;
        exchange->engine = NULL;
        exchange_finish(proxy, now_ns, exchange, ATTEMPT_ABORTED);
    }
    free_dead(proxy);
    for (uint32_t id = 0; id < proxy->conn_capacity; id++) {
        if (proxy->conns[id] != NULL) {
            free_conn(proxy, proxy->conns[id]);
        }
    }
    counters_fini(&proxy->counters);
    body_reader_delete(proxy->reader);
    lmcache_delete(proxy->lmcache);
    text_fini(&proxy->scratch);
    mem_free(proxy->conns);
    mem_free(proxy);
}

/* --- connections ------------------------------------------------------------------ */

struct conn *proxy_conn(const struct proxy *proxy, uint32_t id)
{
    CHECK(id < proxy->conn_capacity && proxy->conns[id] != NULL,
          "there is no connection %u", id);
    return proxy->conns[id];
}

uint32_t proxy_add_conn(struct proxy *proxy, struct conn *conn)
{
    for (uint32_t i = 0; i < proxy->conn_capacity; i++) {
        const uint32_t id = (proxy->free_hint + i) % proxy->conn_capacity;
        if (proxy->conns[id] == NULL) {
            proxy->conns[id] = conn;
            proxy->free_hint = id + 1;
            conn->id = id;
            conn->deadline_ns = INT64_MAX;
            return id;
        }
    }
    return PROXY_NO_CONN;
}

void proxy_drop_conn(struct proxy *proxy, struct conn *conn, bool tell_rim,
                     bool graceful)
{
    if (conn->closed) {
        return;
    }
    conn->closed = true;
    if (tell_rim) {
        if (conn->out.length > 0) {
            (void)proxy->rim->send(proxy->rim->context, conn->id, conn->out.bytes,
                                   conn->out.length);
            conn->out.length = 0;
        }
        proxy->rim->close(proxy->rim->context, conn->id, graceful);
    }
    proxy->conns[conn->id] = NULL;
    if (conn->id < proxy->free_hint) {
        proxy->free_hint = conn->id;
    }
    conn->next_dead = proxy->dead_conns;
    proxy->dead_conns = conn;
}

void conn_write(struct proxy *proxy, struct conn *conn, const char *bytes,
                size_t byte_count)
{
    if (conn->closed || byte_count == 0) {
        return;
    }
    text_add_bytes(&conn->out, bytes, byte_count);
    if (!conn->dirty) {
        conn->dirty = true;
        conn->next_dirty = proxy->dirty;
        proxy->dirty = conn;
    }
}

void conn_pause(struct proxy *proxy, struct conn *conn, bool paused)
{
    if (!conn->closed && conn->paused != paused) {
        conn->paused = paused;
        proxy->rim->read(proxy->rim->context, conn->id, !paused);
    }
}

/* A client that takes less than its engine gives holds the engine. */
static void hold_engine(struct proxy *proxy, const struct client *client)
{
    struct exchange *exchange = client->exchange;
    if (exchange == NULL || exchange->engine == NULL) {
        return;
    }
    struct conn *engine = &exchange->engine->conn;
    if (client->conn.queued_bytes > proxy->setup.limits.stream_bytes_max &&
        !engine->paused) {
        proxy->counters.engine_pauses++;
        conn_pause(proxy, engine, true);
    }
}

static void flush(struct proxy *proxy, int64_t now_ns, struct conn *conn)
{
    const size_t before_bytes = conn->queued_bytes + conn->out.length;
    conn->queued_bytes = proxy->rim->send(proxy->rim->context, conn->id,
                                          conn->out.bytes, conn->out.length);
    conn->out.length = 0;
    if (conn->queued_bytes == 0) {
        conn->stalled_ns = 0;
    } else if (conn->stalled_ns == 0 || conn->queued_bytes < before_bytes) {
        conn->stalled_ns = now_ns > 0 ? now_ns : 1;
    }
    if (conn->kind == CONN_CLIENT) {
        hold_engine(proxy, (struct client *)conn);
    }
}

/* Fills the room that the event made, sends what it wrote, frees what it ended. */
static void finish_event(struct proxy *proxy, int64_t now_ns)
{
    proxy->now_ns = now_ns;
    exchange_admit_waiting(proxy, now_ns);
    while (proxy->dirty != NULL) {
        struct conn *conn = proxy->dirty;
        proxy->dirty = conn->next_dirty;
        conn->dirty = false;
        if (!conn->closed && conn->out.length > 0) {
            flush(proxy, now_ns, conn);
        }
    }
    free_dead(proxy);
}

/* --- events ----------------------------------------------------------------------- */

uint32_t proxy_accept(struct proxy *proxy, int64_t now_ns)
{
    if (proxy->client_count >= proxy->setup.limits.clients_max || proxy->draining) {
        proxy->counters.clients_refused++;
        return PROXY_NO_CONN;
    }
    struct client *client = mem_alloc(1, sizeof *client);
    client->conn.kind = CONN_CLIENT;
    client->parser = http_parser_new(true, proxy->setup.limits.head_bytes_max);
    const uint32_t id = proxy_add_conn(proxy, &client->conn);
    if (id == PROXY_NO_CONN) {
        http_parser_delete(client->parser);
        mem_free(client);
        proxy->counters.clients_refused++;
        return PROXY_NO_CONN;
    }
    client->conn.deadline_ns = now_ns + proxy->setup.limits.head_ns;
    proxy->client_count++;
    proxy->counters.clients_accepted++;
    return id;
}

const char *proxy_refusal(void)
{
    return "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
           "Content-Length: 53\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
           "{\"error\":\"The router has too many open connections.\"}";
}

void proxy_on_connected(struct proxy *proxy, int64_t now_ns, uint32_t conn)
{
    engine_on_connected(proxy, now_ns, (struct engine_conn *)proxy_conn(proxy, conn));
    finish_event(proxy, now_ns);
}

void proxy_on_bytes(struct proxy *proxy, int64_t now_ns, uint32_t conn,
                    const char *bytes, size_t byte_count)
{
    struct conn *found = proxy_conn(proxy, conn);
    if (found->kind == CONN_CLIENT) {
        client_on_bytes(proxy, now_ns, (struct client *)found, bytes, byte_count);
    } else {
        engine_on_bytes(proxy, now_ns, (struct engine_conn *)found, bytes, byte_count);
    }
    finish_event(proxy, now_ns);
}

void proxy_on_closed(struct proxy *proxy, int64_t now_ns, uint32_t conn,
                     const char *why)
{
    struct conn *found = proxy_conn(proxy, conn);
    if (found->kind == CONN_CLIENT) {
        client_on_closed(proxy, now_ns, (struct client *)found);
    } else {
        engine_on_closed(proxy, now_ns, (struct engine_conn *)found, why);
    }
    finish_event(proxy, now_ns);
}

void proxy_on_drained(struct proxy *proxy, int64_t now_ns, uint32_t conn)
{
    struct conn *found = proxy_conn(proxy, conn);
    found->queued_bytes = 0;
    found->stalled_ns = 0;
    if (found->kind == CONN_CLIENT) {
        const struct client *client = (struct client *)found;
        if (client->exchange != NULL && client->exchange->engine != NULL) {
            conn_pause(proxy, &client->exchange->engine->conn, false);
        }
    }
    finish_event(proxy, now_ns);
}

static void tick_conns(struct proxy *proxy, int64_t now_ns)
{
    for (uint32_t id = 0; id < proxy->conn_capacity; id++) {
        struct conn *conn = proxy->conns[id];
        if (conn == NULL) {
            continue;
        }
        if (conn->kind == CONN_CLIENT) {
            client_on_tick(proxy, now_ns, (struct client *)conn);
        } else {
            engine_on_tick(proxy, now_ns, (struct engine_conn *)conn);
        }
    }
}

void proxy_on_tick(struct proxy *proxy, int64_t now_ns)
{
    fleet_tick(proxy->fleet, now_ns);
    tick_conns(proxy, now_ns);
    /* Ended ones keep their links until the end of the event. */
    for (struct exchange *exchange = proxy->exchanges; exchange != NULL;) {
        struct exchange *next = exchange->next;
        exchange_on_tick(proxy, now_ns, exchange);
        exchange = next;
    }
    probe_on_tick(proxy, now_ns);
    finish_event(proxy, now_ns);
}

void proxy_drain(struct proxy *proxy, int64_t now_ns)
{
    proxy->draining = true;
    for (uint32_t id = 0; id < proxy->conn_capacity; id++) {
        struct conn *conn = proxy->conns[id];
        if (conn != NULL && conn->kind == CONN_CLIENT &&
            ((struct client *)conn)->state == CLIENT_IDLE) {
            proxy_drop_conn(proxy, conn, true, true);
        }
    }
    finish_event(proxy, now_ns);
}

bool proxy_idle(const struct proxy *proxy)
{
    return proxy->client_count == 0;
}

void proxy_note_reload(struct proxy *proxy, bool applied)
{
    proxy->counters.reloads += applied ? 1 : 0;
    proxy->counters.reloads_failed += applied ? 0 : 1;
}

void proxy_count(const struct proxy *proxy, struct proxy_census *census)
{
    *census = (struct proxy_census){
        .clients = proxy->client_count,
        .engine_conns = proxy->engine_count,
        .exchanges = proxy->exchange_count,
        .buffered_bytes = proxy->buffered_bytes,
    };
}

int64_t unix_s(const struct proxy *proxy, int64_t now_ns)
{
    return (now_ns + proxy->setup.unix_offset_ns) / 1000000000;
}

void proxy_warn(struct proxy *proxy, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    const size_t most = sizeof line - 1;
    proxy->rim->log(proxy->rim->context, PROXY_LOG_WARNING, line,
                    length < 0 ? 0 : ((size_t)length < most ? (size_t)length : most));
}
