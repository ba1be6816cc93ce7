/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c: libuv around the proxy core (the only user of <uv.h>).
 *
 * One thread runs everything but name look-ups, which libuv gives to its own. What
 * fails at once inside an action of the proxy is told a moment later, from the loop,
 * because the proxy must not be called from within its own call.
 */
#include "router/server.h"

#include "base/check.h"
#include "base/mem.h"
#include "policies/decision_log.h"
#include "router/logfile.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { READ_BYTES = 64 * 1024, BACKLOG = 4096, LINGER_BYTES_MAX = 1 << 20 };
static const int64_t linger_ns = 1000000000;
static const uint64_t tick_ms = PROXY_TICK_NS / 1000000;

enum link_state { LINK_OPEN, LINK_LINGERING, LINK_CLOSING };

struct server;

/* One socket. `conn` is the proxy's number for it until one side let go. */
struct link {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_getaddrinfo_t lookup;
    uv_shutdown_t shutdown;
    struct server *server;
    struct link *previous;
    struct link *next;
    struct link *next_failed;
    struct tls *tls;       /* NULL = plain */
    struct origin *origin; /* of connections to engines */
    uint32_t conn;
    enum link_state state;
    bool attached;   /* the proxy knows it */
    bool looking_up; /* the look-up's callback is still to come */
    bool connected;
    bool reading;
    bool over;    /* more was queued than half of what pauses an engine */
    bool failing; /* on the list of failed ones */
    bool shut;    /* our side was shut down, or that is under way */
    int64_t linger_until_ns;
    size_t lingered_bytes;
    char why[128];
};

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t tick;
    uv_timer_t reload;
    uv_check_t check;
    uv_idle_t idle; /* runs only while there are failed links to tell of */
    uv_signal_t signals[3];
    const struct server_setup *setup;
    struct proxy_rim rim;
    struct proxy *proxy;
    struct fleet *fleet;
    struct link **link_of; /* proxy's connection number -> link */
    uint32_t link_capacity;
    struct link *links;
    struct link *failed;
    struct logfile *decision_log;
    struct logfile *record_log;
    struct logfile *access_log;
    struct tls_context *tls_listen;
    struct tls_context *tls_engines;
    char *read_buffer;
    int64_t drain_until_ns; /* 0 = not draining */
    bool stopped;
};

static int64_t now(void)
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

static struct link *link_new(struct server *server)
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

static void link_close(struct link *link)
{
    if (link->state != LINK_CLOSING) {
        link->state = LINK_CLOSING;
        if (link->looking_up) {
            (void)uv_cancel((uv_req_t *)&link->lookup);
        }
        uv_close((uv_handle_t *)&link->tcp, on_link_closed);
    }
}

static void bind_conn(struct server *server, struct link *link, uint32_t conn)
{
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

static void detach(struct link *link)
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
    detach(link);
    link_close(link);
    if (attached) {
        proxy_on_closed(server->proxy, now(), conn, why);
    }
}

/* From within an action of the proxy: tell it later. */
static void fail_later(struct link *link, const char *why)
{
    struct server *server = link->server;
    (void)snprintf(link->why, sizeof link->why, "%s", why);
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

static void on_check(uv_check_t *check)
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
        proxy_on_drained(link->server->proxy, now(), link->conn);
    }
}

/* libuv's buffer wants a pointer that is not const, and writes nothing through it. */
static uv_buf_t lend(const char *bytes, size_t byte_count)
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
        const uv_buf_t buffer = lend(bytes, byte_count);
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

static void start_reading(struct link *link);

static void rim_close(void *context, uint32_t conn, bool graceful)
{
    struct link *link = link_of(context, conn);
    detach(link);
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
    link->state = LINK_LINGERING;
    link->linger_until_ns = now() + link->server->setup->proxy.limits.send_ns;
    start_reading(link);
    finish_graceful(link);
    if (link->shut) {
        link->linger_until_ns = now() + linger_ns;
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
        proxy_on_bytes(server->proxy, now(), link->conn, bytes, byte_count);
    }
}

static void tell_connected(struct link *link)
{
    link->connected = true;
    if (link->attached && link->origin != NULL) {
        proxy_on_connected(link->server->proxy, now(), link->conn);
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

static void start_reading(struct link *link)
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
        start_reading(link);
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
    start_reading(link);
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
    connect_to(link, found->ai_addr);
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
    if (server->tls_engines == NULL &&
        !tls_context_new(&server->tls_engines, &server->setup->tls_engines, err)) {
        return false;
    }
    return tls_new(&link->tls, server->tls_engines, link->origin->host, err);
}

static void rim_connect(void *context, uint32_t conn, struct origin *origin)
{
    struct server *server = context;
    struct link *link = link_new(server);
    bind_conn(server, link, conn);
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

/* --- accepting -------------------------------------------------------------------- */

static void refuse(struct link *link)
{
    const char *text = proxy_refusal();
    if (link->tls == NULL) {
        const uv_buf_t buffer = lend(text, strlen(text));
        (void)uv_try_write((uv_stream_t *)&link->tcp, &buffer, 1);
    }
    link->state = LINK_LINGERING;
    link->linger_until_ns = now() + linger_ns;
    start_reading(link);
    finish_graceful(link);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    if (status != 0) {
        return; /* the next one may do better */
    }
    struct link *link = link_new(server);
    if (uv_accept(listener, (uv_stream_t *)&link->tcp) != 0) {
        link_close(link);
        return;
    }
    (void)uv_tcp_nodelay(&link->tcp, 1);
    struct err err = {0};
    if (server->tls_listen != NULL &&
        !tls_new(&link->tls, server->tls_listen, NULL, &err)) {
        link_close(link);
        return;
    }
    link->connected = server->tls_listen == NULL;
    const uint32_t conn = proxy_accept(server->proxy, now());
    if (conn == PROXY_NO_CONN) {
        refuse(link);
        return;
    }
    bind_conn(server, link, conn);
    start_reading(link);
}

static bool listen_on(struct server *server, struct err *err)
{
    const struct server_setup *setup = server->setup;
    struct sockaddr_storage address;
    int code = uv_ip4_addr(setup->host, setup->port, (struct sockaddr_in *)&address);
    if (code != 0) {
        code = uv_ip6_addr(setup->host, setup->port, (struct sockaddr_in6 *)&address);
    }
    if (code != 0) {
        return err_set(err, ERR_USAGE, "--host: '%s' is no IP address", setup->host);
    }
    code = uv_tcp_init(&server->loop, &server->listener);
    server->listener.data = server;
    if (code == 0) {
        code = uv_tcp_bind(&server->listener, (const struct sockaddr *)&address, 0);
    }
    if (code == 0) {
        code = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    }
    if (code != 0) {
        return err_set(err, ERR_IO, "%s port %u: %s", setup->host,
                       (unsigned)setup->port, uv_strerror(code));
    }
    return true;
}

static void say_listening(const struct server *server)
{
    struct sockaddr_storage address;
    int length = sizeof address;
    (void)uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &length);
    const uint16_t port = ntohs(address.ss_family == AF_INET6
                                    ? ((struct sockaddr_in6 *)&address)->sin6_port
                                    : ((struct sockaddr_in *)&address)->sin_port);
    const char *scheme = server->tls_listen != NULL ? "https" : "http";
    const bool v6 = address.ss_family == AF_INET6;
    (void)fprintf(stderr, "stackrouter: listening on %s://%s%s%s:%u\n", scheme,
                  v6 ? "[" : "", server->setup->host, v6 ? "]" : "", (unsigned)port);
}

/* --- logs ------------------------------------------------------------------------- */

static void rim_log(void *context, enum proxy_log kind, const char *line,
                    size_t byte_count)
{
    struct server *server = context;
    switch (kind) {
    case PROXY_LOG_ACCESS:
        logfile_write(server->access_log, line, byte_count);
        return;
    case PROXY_LOG_STATS:
        (void)fwrite(line, 1, byte_count, stderr);
        return;
    case PROXY_LOG_WARNING:
        (void)fprintf(stderr, "stackrouter: %.*s\n", (int)byte_count, line);
        return;
    case PROXY_LOG_DEBUG:
        if (!server->setup->quiet) {
            (void)fprintf(stderr, "stackrouter: %.*s\n", (int)byte_count, line);
        }
        return;
    }
}

static void on_decision_line(void *context, const char *line, size_t byte_count)
{
    logfile_write(((struct server *)context)->decision_log, line, byte_count);
}
static void on_record_line(void *context, const char *line, size_t byte_count)
{
    logfile_write(((struct server *)context)->record_log, line, byte_count);
}

static bool open_logs(struct server *server, struct err *err)
{
    const struct server_setup *setup = server->setup;
    if (!logfile_open(&server->decision_log, setup->decision_log, err) ||
        !logfile_open(&server->record_log, setup->record_log, err) ||
        !logfile_open(&server->access_log, setup->access_log, err)) {
        return false;
    }
    struct text header = {0};
    decision_log_header(&header);
    logfile_write(server->decision_log, header.bytes, header.length);
    header.length = 0;
    access_log_header(&header);
    logfile_write(server->access_log, header.bytes, header.length);
    text_fini(&header);
    return true;
}

/* --- the loop --------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    const int64_t now_ns = now();
    proxy_on_tick(server->proxy, now_ns);
    for (struct link *link = server->links; link != NULL; link = link->next) {
        if (link->state == LINK_LINGERING && link->linger_until_ns <= now_ns) {
            link_close(link);
        }
    }
    logfile_flush(server->decision_log);
    logfile_flush(server->record_log);
    logfile_flush(server->access_log);
    if (server->drain_until_ns != 0 &&
        (proxy_idle(server->proxy) || server->drain_until_ns <= now_ns)) {
        uv_stop(&server->loop);
    }
}

static void on_reload(uv_timer_t *timer)
{
    struct server *server = timer->data;
    struct err err = {0};
    bool failed = false;
    struct config *config =
        server->setup->reload(server->setup->reload_context, &failed, &err);
    if (config == NULL && !failed) {
        return;
    }
    const bool applied =
        config != NULL && fleet_apply(server->fleet, now(), config, &err);
    if (!applied) {
        config_delete(config);
        (void)fprintf(stderr, "stackrouter: the old configuration stays: %s\n",
                      err.text);
    } else {
        (void)fprintf(stderr, "stackrouter: configuration %" PRIu64 " is in force\n",
                      fleet_generation(server->fleet));
    }
    proxy_note_reload(server->proxy, applied);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (number == SIGHUP) {
        if (server->setup->reload != NULL) {
            on_reload(&server->reload);
        }
        return;
    }
    if (server->drain_until_ns != 0) {
        uv_stop(&server->loop);
        return;
    }
    (void)fprintf(stderr, "stackrouter: draining\n");
    server->drain_until_ns = now() + server->setup->drain_ns;
    uv_close((uv_handle_t *)&server->listener, NULL);
    proxy_drain(server->proxy, now());
}

static void start_loop(struct server *server)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        (void)uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        (void)uv_signal_start(&server->signals[i], on_signal, NUMBERS[i]);
    }
    (void)uv_check_init(&server->loop, &server->check);
    server->check.data = server;
    (void)uv_check_start(&server->check, on_check);
    (void)uv_idle_init(&server->loop, &server->idle);
    (void)uv_timer_init(&server->loop, &server->tick);
    server->tick.data = server;
    (void)uv_timer_start(&server->tick, on_tick, tick_ms, tick_ms);
    (void)uv_timer_init(&server->loop, &server->reload);
    server->reload.data = server;
    if (server->setup->reload != NULL) {
        const uint64_t every_ms = (uint64_t)server->setup->reload_interval_ns / 1000000;
        (void)uv_timer_start(&server->reload, on_reload, every_ms, every_ms);
    }
}

static int64_t wall_offset_ns(void)
{
    uv_timeval64_t wall;
    (void)uv_gettimeofday(&wall);
    return wall.tv_sec * 1000000000 + (int64_t)wall.tv_usec * 1000 - now();
}

static bool make_proxy(struct server *server, struct err *err)
{
    const struct server_setup *setup = server->setup;
    server->rim = (struct proxy_rim){.context = server,
                                     .send = rim_send,
                                     .read = rim_read,
                                     .close = rim_close,
                                     .connect = rim_connect,
                                     .log = rim_log};
    struct fleet_setup fleet = setup->fleet;
    fleet.unix_offset_ns = wall_offset_ns();
    fleet.sinks = (struct fleet_sinks){
        .context = server,
        .decision = server->decision_log != NULL ? on_decision_line : NULL,
        .record = server->record_log != NULL ? on_record_line : NULL,
        .wants_scores = setup->decision_scores,
    };
    server->fleet = fleet_new(&fleet);
    if (!fleet_apply(server->fleet, now(), setup->config, err)) {
        config_delete(setup->config);
        return false;
    }
    struct proxy_setup proxy = setup->proxy;
    proxy.rim = &server->rim;
    proxy.fleet = server->fleet;
    proxy.unix_offset_ns = fleet.unix_offset_ns;
    proxy.access_log = server->access_log != NULL;
    server->proxy = proxy_new(&proxy, now());
    return true;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    struct server *server = context;
    if (uv_is_closing(handle)) {
        return;
    }
    for (struct link *link = server->links; link != NULL; link = link->next) {
        if ((uv_handle_t *)&link->tcp == handle) {
            detach(link);
            link_close(link);
            return;
        }
    }
    uv_close(handle, NULL);
}

static void stop(struct server *server)
{
    proxy_delete(server->proxy);
    fleet_delete(server->fleet);
    uv_walk(&server->loop, close_handle, server);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    const int code = uv_loop_close(&server->loop);
    CHECK(code == 0, "uv_loop_close: %s", uv_strerror(code));
    tls_context_delete(server->tls_listen);
    tls_context_delete(server->tls_engines);
    logfile_close(server->decision_log);
    logfile_close(server->record_log);
    logfile_close(server->access_log);
    mem_free(server->link_of);
    mem_free(server->read_buffer);
    mem_free(server);
}

bool server_run(const struct server_setup *setup, struct err *err)
{
    struct server *server = mem_alloc(1, sizeof *server);
    server->setup = setup;
    server->read_buffer = mem_alloc(READ_BYTES, 1);
    const int code = uv_loop_init(&server->loop);
    CHECK(code == 0, "uv_loop_init: %s", uv_strerror(code));
    (void)signal(SIGPIPE, SIG_IGN);
    bool good = open_logs(server, err) &&
                tls_context_new(&server->tls_listen, &setup->tls_listen, err) &&
                make_proxy(server, err) && listen_on(server, err);
    if (good) {
        start_loop(server);
        say_listening(server);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    }
    stop(server);
    return good;
}
