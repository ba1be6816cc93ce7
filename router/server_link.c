/* SPDX-License-Identifier: Apache-2.0
 *
 * server_link.c: one socket: reading, writing, connecting, closing, with TLS or
 * without.
 *
 * What fails at once inside an action of the proxy is told a moment later, from the
 * loop, because the proxy must not be called from within its own call.
 */
#include "base/check.h"
#include "base/mem.h"
#include "router/server_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINGER_BYTES_MAX = 1 << 20 };

int64_t server_now(void)
{
    return (int64_t)uv_hrtime();
}

/* --- links ------------------------------------------------------------------------ */

static struct link *link_of(const struct server *server, uint32_t conn)
{
    CHECK(conn < server->link_capacity && server->link_of[conn] != NULL,
          "the proxy speaks of connection %u, which has no socket", conn);
    return server->link_of[conn];
}

struct link *link_new(struct server *server)
{
    struct link *link = mem_alloc(1, sizeof *link);
    link->server = server;
    link->conn = PROXY_NO_CONN;
    const int code = uv_tcp_init(&server->loop, &link->tcp);
    CHECK(code == 0, "uv_tcp_init: %s", uv_strerror(code));
    link->tcp.data = link;
    link->next = server->links;
    if (server->links != NULL) {
        server->links->previous = link;
    }
    server->links = link;
    return link;
}

static void link_free(struct link *link)
{
    if (link->previous != NULL) {
        link->previous->next = link->next;
    } else {
        link->server->links = link->next;
    }
    if (link->next != NULL) {
        link->next->previous = link->previous;
    }
    tls_delete(link->tls);
    origin_give(link->origin);
    mem_free(link);
}

static void on_link_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;
    link->tcp.data = NULL;
    if (!link->looking_up && !link->failing) {
        link_free(link);
    }
}

void link_close(struct link *link)
{
    if (link->state != LINK_CLOSING) {
        link->state = LINK_CLOSING;
        if (link->looking_up) {
            (void)uv_cancel((uv_req_t *)&link->lookup);
        }
        uv_close((uv_handle_t *)&link->tcp, on_link_closed);
    }
}

void link_bind(struct link *link, uint32_t conn)
{
    struct server *server = link->server;
    if (conn >= server->link_capacity) {
        void *table = server->link_of;
        size_t capacity = server->link_capacity;
        const bool grown = mem_grow(&table, &capacity, (size_t)conn + 1, sizeof(void *),
                                    (size_t)1 << 24);
        CHECK(grown, "connection number %u", conn);
        server->link_of = table;
        for (size_t i = server->link_capacity; i < capacity; i++) {
            server->link_of[i] = NULL;
        }
        server->link_capacity = (uint32_t)capacity;
    }
    server->link_of[conn] = link;
    link->conn = conn;
    link->attached = true;
}

void link_detach(struct link *link)
{
    if (link->attached) {
        link->attached = false;
        link->server->link_of[link->conn] = NULL;
    }
}

/* The socket is gone or useless: the proxy hears of it, if it still cares. */
static void link_lost(struct link *link, const char *why)
{
    struct server *server = link->server;
    const uint32_t conn = link->conn;
    const bool attached = link->attached;
    link_detach(link);
    link_close(link);
    if (attached) {
        proxy_on_closed(server->proxy, server_now(), conn, why);
    }
}

/* From within an action of the proxy: tell it later. */
static void fail_later(struct link *link, const char *why)
{
    struct server *server = link->server;
    (void)snprintf(link->why, sizeof link->why, "%.100s", why);
    if (!link->failing) {
        link->failing = true;
        link->next_failed = server->failed;
        server->failed = link;
    }
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* keeps the loop from sleeping until on_check ran */
}

void link_on_check(uv_check_t *check)
{
    struct server *server = check->data;
    while (server->failed != NULL) {
        struct link *link = server->failed;
        server->failed = link->next_failed;
        link->failing = false;
        if (link->tcp.data == NULL) {
            if (!link->looking_up) {
                link_free(link); /* closed meanwhile */
            }
            continue;
        }
        link_lost(link, link->why);
    }
    (void)uv_idle_stop(&server->idle);
}

static void fail_soon(struct link *link, const char *why)
{
    fail_later(link, why);
    (void)uv_idle_start(&link->server->idle, on_idle);
}

/* --- writing ---------------------------------------------------------------------- */

struct write {
    uv_write_t request;
    struct link *link;
    char bytes[];
};

static void finish_graceful(struct link *link);

static void on_written(uv_write_t *request, int status)
{
    struct write *write = request->data;
    struct link *link = write->link;
    mem_free(write);
    if (status == UV_ECANCELED || link->state == LINK_CLOSING) {
        return;
    }
    if (status != 0) {
        link_lost(link, uv_strerror(status));
        return;
    }
    if (link->state == LINK_LINGERING) {
        finish_graceful(link);
        return;
    }
    const size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&link->tcp);
    const size_t low = link->server->setup->proxy.limits.stream_bytes_max / 2;
    if (link->attached && (queued == 0 || (link->over && queued <= low))) {
        link->over = queued > low;
        proxy_on_drained(link->server->proxy, server_now(), link->conn);
    }
}

/* libuv's buffer wants a pointer that is not const, and writes nothing through it. */
uv_buf_t link_lend(const char *bytes, size_t byte_count)
{
    uv_buf_t buffer = uv_buf_init(NULL, (unsigned)byte_count);
    memcpy(&buffer.base, &bytes, sizeof buffer.base);
    return buffer;
}

/* Bytes for the wire, encrypted where that is due. */
static void write_raw(struct link *link, const char *bytes, size_t byte_count)
{
    uv_stream_t *stream = (uv_stream_t *)&link->tcp;
    size_t done = 0;
    if (uv_stream_get_write_queue_size(stream) == 0) {
        const uv_buf_t buffer = link_lend(bytes, byte_count);
        const int sent = uv_try_write(stream, &buffer, 1);
        if (sent < 0 && sent != UV_EAGAIN) {
            fail_soon(link, uv_strerror(sent));
            return;
        }
        done = sent > 0 ? (size_t)sent : 0;
    }
    if (done == byte_count) {
        return;
    }
    struct write *write = mem_resize(NULL, sizeof *write + byte_count - done, 1);
    write->link = link;
    write->request.data = write;
    memcpy(write->bytes, bytes + done, byte_count - done);
    const uv_buf_t rest = uv_buf_init(write->bytes, (unsigned)(byte_count - done));
    const int code = uv_write(&write->request, stream, &rest, 1, on_written);
    if (code != 0) {
        mem_free(write);
        fail_soon(link, uv_strerror(code));
    }
}

/* What TLS wants to send: handshakes, records, alerts. */
static void flush_tls(struct link *link)
{
    const char *bytes = NULL;
    size_t byte_count = 0;
    while (link->state != LINK_CLOSING && !link->failing &&
           tls_outgoing(link->tls, &bytes, &byte_count)) {
        write_raw(link, bytes, byte_count);
        tls_sent(link->tls, byte_count);
    }
}

static size_t rim_send(void *context, uint32_t conn, const char *bytes,
                       size_t byte_count)
{
    struct link *link = link_of(context, conn);
    if (link->failing || link->state != LINK_OPEN) {
        return 0;
    }
    if (link->tls == NULL) {
        write_raw(link, bytes, byte_count);
    } else {
        tls_write(link->tls, bytes, byte_count);
        flush_tls(link);
    }
    const size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&link->tcp);
    link->over =
        link->over || queued > link->server->setup->proxy.limits.stream_bytes_max / 2;
    return queued;
}

/* --- closing ---------------------------------------------------------------------- */

static void on_shut(uv_shutdown_t *request, int status)
{
    struct link *link = request->data;
    if (status != 0 && link->state == LINK_LINGERING) {
        link_close(link);
    }
}

/* All is sent: say so with a FIN, then wait for the peer's. */
static void finish_graceful(struct link *link)
{
    if (uv_stream_get_write_queue_size((uv_stream_t *)&link->tcp) > 0 || link->shut) {
        return;
    }
    link->shut = true;
    link->shutdown.data = link;
    if (uv_shutdown(&link->shutdown, (uv_stream_t *)&link->tcp, on_shut) != 0) {
        link_close(link);
    }
}

void link_linger(struct link *link, int64_t until_ns)
{
    link->state = LINK_LINGERING;
    link->linger_until_ns = until_ns;
    link_start_reading(link);
    finish_graceful(link);
}

static void rim_close(void *context, uint32_t conn, bool graceful)
{
    struct link *link = link_of(context, conn);
    link_detach(link);
    if (!graceful || link->failing || link->state != LINK_OPEN) {
        link_close(link);
        return;
    }
    if (link->tls != NULL) {
        tls_close(link->tls);
        flush_tls(link);
        if (link->failing) {
            link_close(link);
            return;
        }
    }
    link_linger(link, server_now() + link->server->setup->proxy.limits.send_ns);
    if (link->shut) {
        link->linger_until_ns = server_now() + LINGER_NS;
    }
}

/* --- reading ---------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    const struct link *link = handle->data;
    *buffer = uv_buf_init(link->server->read_buffer, READ_BYTES);
}

static void take_bytes(struct link *link, const char *bytes, size_t byte_count)
{
    struct server *server = link->server;
    if (link->state == LINK_LINGERING) {
        link->lingered_bytes += byte_count;
        if (link->lingered_bytes > LINGER_BYTES_MAX) {
            link_close(link);
        }
        return;
    }
    if (link->attached && link->state == LINK_OPEN) {
        proxy_on_bytes(server->proxy, server_now(), link->conn, bytes, byte_count);
    }
}

static void tell_connected(struct link *link)
{
    link->connected = true;
    if (link->attached && link->origin != NULL) {
        proxy_on_connected(link->server->proxy, server_now(), link->conn);
    }
}

static void take_tls(struct link *link, const char *bytes, size_t byte_count)
{
    enum tls_state state = tls_read(link->tls, bytes, byte_count);
    flush_tls(link);
    const char *plain = NULL;
    size_t plain_count = 0;
    if (state != TLS_HANDSHAKE && !link->connected) {
        tell_connected(link);
    }
    while (link->state != LINK_CLOSING &&
           tls_incoming(link->tls, &plain, &plain_count)) {
        take_bytes(link, plain, plain_count);
    }
    if (link->state != LINK_CLOSING && state == TLS_CLOSED) {
        link_lost(link, "closed by the peer");
    } else if (link->state != LINK_CLOSING && state == TLS_FAILED) {
        link_lost(link, tls_why(link->tls));
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct link *link = stream->data;
    if (count == 0 || link == NULL || link->state == LINK_CLOSING) {
        return;
    }
    if (count < 0) {
        if (link->state == LINK_LINGERING) {
            link_close(link);
        } else {
            link_lost(link,
                      count == UV_EOF ? "closed by the peer" : uv_strerror((int)count));
        }
        return;
    }
    if (link->tls != NULL && link->state == LINK_OPEN) {
        take_tls(link, buffer->base, (size_t)count);
    } else {
        take_bytes(link, buffer->base, (size_t)count);
    }
}

void link_start_reading(struct link *link)
{
    if (!link->reading && link->state != LINK_CLOSING) {
        const int code = uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
        link->reading = code == 0;
        if (code != 0) {
            fail_soon(link, uv_strerror(code));
        }
    }
}

static void rim_read(void *context, uint32_t conn, bool wanted)
{
    struct link *link = link_of(context, conn);
    if (wanted) {
        link_start_reading(link);
    } else if (link->reading) {
        (void)uv_read_stop((uv_stream_t *)&link->tcp);
        link->reading = false;
    }
}

/* --- connecting ------------------------------------------------------------------- */

static void on_connected(uv_connect_t *request, int status)
{
    struct link *link = request->data;
    if (link->state == LINK_CLOSING) {
        return;
    }
    if (status != 0) {
        link_lost(link, uv_strerror(status));
        return;
    }
    (void)uv_tcp_nodelay(&link->tcp, 1);
    link_start_reading(link);
    if (link->tls != NULL) {
        (void)tls_read(link->tls, NULL, 0); /* our hello */
        flush_tls(link);
        return;
    }
    tell_connected(link);
}

static void connect_to(struct link *link, const struct sockaddr *address)
{
    link->connect.data = link;
    const int code = uv_tcp_connect(&link->connect, &link->tcp, address, on_connected);
    if (code != 0) {
        fail_soon(link, uv_strerror(code));
    }
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct link *link = request->data;
    link->looking_up = false;
    if (link->state == LINK_CLOSING) {
        uv_freeaddrinfo(found);
        if (link->tcp.data == NULL && !link->failing) {
            link_free(link); /* the socket's own callback came first */
        }
        return;
    }
    if (status != 0 || found == NULL) {
        char why[128];
        (void)snprintf(why, sizeof why, "%s: %s", link->origin->host,
                       status != 0 ? uv_strerror(status) : "no address");
        link_lost(link, why);
        return;
    }
    /* One address is tried; "localhost" is often ::1 first, where few engines listen.
     */
    const struct addrinfo *best = found;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (at->ai_family == AF_INET) {
            best = at;
            break;
        }
    }
    connect_to(link, best->ai_addr);
    uv_freeaddrinfo(found);
}

static void look_up(struct link *link)
{
    char port[8];
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_ADDRCONFIG,
    };
    (void)snprintf(port, sizeof port, "%" PRIu16, link->origin->port);
    link->lookup.data = link;
    const int code = uv_getaddrinfo(&link->server->loop, &link->lookup, on_looked_up,
                                    link->origin->host, port, &hints);
    if (code != 0) {
        fail_soon(link, uv_strerror(code));
        return;
    }
    link->looking_up = true;
}

/* Roots are loaded when the first engine needs them. */
static bool start_tls(struct server *server, struct link *link, struct err *err)
{
    const bool cluster = link->origin->of_cluster;
    struct tls_context **context =
        cluster ? &server->tls_cluster : &server->tls_engines;
    const struct tls_setup *setup =
        cluster ? &server->setup->tls_cluster : &server->setup->tls_engines;
    if (*context == NULL && !tls_context_new(context, setup, err)) {
        return false;
    }
    return tls_new(&link->tls, *context, link->origin->host, err);
}

static void rim_connect(void *context, uint32_t conn, struct origin *origin)
{
    struct server *server = context;
    struct link *link = link_new(server);
    link_bind(link, conn);
    link->origin = origin_take(origin);
    struct err err = {0};
    if (origin->tls && !start_tls(server, link, &err)) {
        fail_soon(link, err.text);
        return;
    }
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    if (uv_ip4_addr(origin->host, origin->port, &ip4) == 0) {
        connect_to(link, (const struct sockaddr *)&ip4);
    } else if (uv_ip6_addr(origin->host, origin->port, &ip6) == 0) {
        connect_to(link, (const struct sockaddr *)&ip6);
    } else {
        look_up(link);
    }
}

void link_fill_rim(struct server *server, struct proxy_rim *rim)
{
    rim->context = server;
    rim->send = rim_send;
    rim->read = rim_read;
    rim->close = rim_close;
    rim->connect = rim_connect;
}
