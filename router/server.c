/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c: the loop around the proxy core: listening, signals, clocks, log files. With
 * server_link.c and server_events.c the only user of <uv.h>.
 *
 * One thread runs everything but name look-ups, which libuv gives to its own.
 */
#include "router/server.h"

#include "base/check.h"
#include "base/mem.h"
#include "policies/decision_log.h"
#include "router/server_state.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { BACKLOG = 4096 };
static const uint64_t tick_ms = PROXY_TICK_NS / 1000000;

/* --- accepting -------------------------------------------------------------------- */

static void refuse(struct link *link)
{
    const char *text = proxy_refusal();
    if (link->tls == NULL) {
        const uv_buf_t buffer = link_lend(text, strlen(text));
        (void)uv_try_write((uv_stream_t *)&link->tcp, &buffer, 1);
    }
    link_linger(link, server_now() + LINGER_NS);
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
    const uint32_t conn = proxy_accept(server->proxy, server_now());
    if (conn == PROXY_NO_CONN) {
        refuse(link);
        return;
    }
    link_bind(link, conn);
    link_start_reading(link);
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
    const int64_t now_ns = server_now();
    proxy_on_tick(server->proxy, now_ns);
    events_on_tick(server);
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
        config != NULL && fleet_apply(server->fleet, server_now(), config, &err);
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
    server->drain_until_ns = server_now() + server->setup->drain_ns;
    uv_close((uv_handle_t *)&server->listener, NULL);
    proxy_drain(server->proxy, server_now());
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
    (void)uv_check_start(&server->check, link_on_check);
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
    return wall.tv_sec * 1000000000 + (int64_t)wall.tv_usec * 1000 - server_now();
}

static bool make_proxy(struct server *server, struct err *err)
{
    const struct server_setup *setup = server->setup;
    link_fill_rim(server, &server->rim);
    server->rim.log = rim_log;
    struct fleet_setup fleet = setup->fleet;
    fleet.unix_offset_ns = wall_offset_ns();
    fleet.sinks = (struct fleet_sinks){
        .context = server,
        .decision = server->decision_log != NULL ? on_decision_line : NULL,
        .record = server->record_log != NULL ? on_record_line : NULL,
        .wants_scores = setup->decision_scores,
    };
    server->fleet = fleet_new(&fleet);
    if (!fleet_apply(server->fleet, server_now(), server->config, err)) {
        return false;
    }
    server->config = NULL;
    struct proxy_setup proxy = setup->proxy;
    proxy.rim = &server->rim;
    proxy.fleet = server->fleet;
    proxy.unix_offset_ns = fleet.unix_offset_ns;
    proxy.access_log = server->access_log != NULL;
    server->proxy = proxy_new(&proxy, server_now());
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
            link_detach(link);
            link_close(link);
            return;
        }
    }
    uv_close(handle, NULL);
}

static void stop(struct server *server)
{
    proxy_delete(server->proxy);
    events_stop(server);
    fleet_delete(server->fleet);
    config_delete(server->config);
    uv_walk(&server->loop, close_handle, server);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    const int code = uv_loop_close(&server->loop);
    CHECK(code == 0, "uv_loop_close: %s", uv_strerror(code));
    events_fini(server);
    tls_context_delete(server->tls_listen);
    tls_context_delete(server->tls_engines);
    tls_context_delete(server->tls_cluster);
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
    server->config = setup->config;
    server->read_buffer = mem_alloc(READ_BYTES, 1);
    const int code = uv_loop_init(&server->loop);
    CHECK(code == 0, "uv_loop_init: %s", uv_strerror(code));
    (void)signal(SIGPIPE, SIG_IGN);
    bool good = open_logs(server, err) &&
                tls_context_new(&server->tls_listen, &setup->tls_listen, err) &&
                make_proxy(server, err) && listen_on(server, err) &&
                events_start(server, err);
    if (good) {
        start_loop(server);
        say_listening(server);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    }
    stop(server);
    return good;
}
