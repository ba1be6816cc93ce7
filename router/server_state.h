/* SPDX-License-Identifier: Apache-2.0
 *
 * server_state.h: what the files around libuv share; nobody else includes it.
 */
#ifndef STACKSIM_ROUTER_SERVER_STATE_H
#define STACKSIM_ROUTER_SERVER_STATE_H

#include "router/logfile.h"
#include "router/server.h"

#include <uv.h>

enum { READ_BYTES = 64 * 1024, LINGER_NS = 1000000000 };

enum link_state { LINK_OPEN, LINK_LINGERING, LINK_CLOSING };

struct bus;
struct ear;
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
    struct config *config; /* the first, until the fleet takes it */
    struct link **link_of; /* proxy's connection number -> link */
    uint32_t link_capacity;
    struct link *links;
    struct link *failed;
    struct logfile *decision_log;
    struct logfile *record_log;
    struct logfile *access_log;
    struct tls_context *tls_listen;
    struct tls_context *tls_engines;
    struct tls_context *tls_cluster;
    char *read_buffer;
    struct bus *bus;  /* NULL until an engine publishes */
    struct ear *ears; /* of server_events.c */
    struct text part; /* scratch */
    uint64_t heard_generation;
    int64_t drain_until_ns; /* 0 = not draining */
    bool stopped;
};

int64_t server_now(void);

/* --- server_link.c --- */
struct link *link_new(struct server *server);
void link_close(struct link *link);
/* The proxy knows it under this number from now on, or no more. */
void link_bind(struct link *link, uint32_t conn);
void link_detach(struct link *link);
void link_start_reading(struct link *link);
/* What is queued goes out, then a FIN; the peer's is awaited for a while. */
void link_linger(struct link *link, int64_t until_ns);
uv_buf_t link_lend(const char *bytes, size_t byte_count);
/* Tells the proxy of links that failed inside its own actions. */
void link_on_check(uv_check_t *check);
void link_fill_rim(struct server *server, struct proxy_rim *rim);

/* --- server_events.c --- */
bool events_start(struct server *server, struct err *err);
void events_on_tick(struct server *server);
/* While the loop still runs; before the fleet goes. */
void events_stop(struct server *server);
/* After the loop. */
void events_fini(struct server *server);

#endif
