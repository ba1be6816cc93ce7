/* SPDX-License-Identifier: Apache-2.0
 *
 * server_events.c: hears what engines publish about their KV caches, and what workers
 * of LMCache push to their controller.
 *
 * A socket for each backend that publishes, kept equal to the members of the fleet at
 * every tick: ZeroMQ connects, and connects again, by itself. A message of vLLM has
 * three parts: topic, number (8 bytes, big end first), batch. Each part of LMCache's is
 * a message of its own.
 */
#include "base/mem.h"
#include "router/bus.h"
#include "router/server_state.h"

#include <string.h>

enum { MESSAGES_MAX = 256 /* in one turn, so that nobody else starves */ };

struct ear {
    uv_poll_t poll;
    struct server *server;
    struct ear *next;
    struct backend *backend; /* held; NULL: workers of LMCache */
    struct bus_socket *socket;
    uint32_t part; /* of the message under way */
    uint64_t number;
    bool wanted;
    bool more; /* may lie ready though the descriptor is silent */
};

static uint64_t read_number(const struct text *part)
{
    uint64_t number = 0;
    for (size_t i = 0; i < part->length && i < 8; i++) {
        number = number << 8 | (unsigned char)part->bytes[i];
    }
    return number;
}

/* One part. False: nothing has come. */
static bool take_part(struct ear *ear)
{
    struct server *server = ear->server;
    bool last = false;
    if (!bus_next(ear->socket, &server->part, &last)) {
        return false;
    }
    if (ear->backend == NULL) {
        proxy_on_lmcache(server->proxy, server_now(), text_str(&server->part),
                         server->part.length);
    } else if (ear->part == 1) {
        ear->number = read_number(&server->part);
    } else if (ear->part == 2) {
        const struct kv_batch batch = {ear->number, text_str(&server->part),
                                       server->part.length};
        proxy_on_kv_batch(server->proxy, server_now(), ear->backend, &batch);
    }
    ear->part = last ? 0 : ear->part + 1;
    return true;
}

static void listen_now(struct ear *ear)
{
    ear->more = true;
    for (int i = 0; i < MESSAGES_MAX && ear->more; i++) {
        ear->more = take_part(ear);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    listen_now(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct ear *ear = handle->data;
    bus_close(ear->socket);
    mem_free(ear);
}

static bool add(struct server *server, struct backend *backend, const char *endpoint,
                struct err *err)
{
    const enum bus_kind kind = backend != NULL ? BUS_SUBSCRIBE : BUS_PULL;
    struct bus_socket *socket = NULL;
    if (server->bus == NULL) {
        server->bus = bus_new();
    }
    if (!bus_open(&socket, server->bus, kind, endpoint, err)) {
        return false;
    }
    struct ear *ear = mem_alloc(1, sizeof *ear);
    ear->socket = socket;
    ear->server = server;
    ear->backend = backend;
    ear->wanted = true;
    if (backend != NULL) {
        backend_take(backend);
    }
    (void)uv_poll_init(&server->loop, &ear->poll, bus_fd(ear->socket));
    ear->poll.data = ear;
    (void)uv_poll_start(&ear->poll, UV_READABLE, on_readable);
    ear->next = server->ears;
    server->ears = ear;
    listen_now(ear); /* the descriptor tells of changes only */
    return true;
}

bool events_start(struct server *server, struct err *err)
{
    char endpoint[32];
    if (server->setup->lmcache_port == 0) {
        return true;
    }
    (void)snprintf(endpoint, sizeof endpoint, "tcp://0.0.0.0:%u",
                   (unsigned)server->setup->lmcache_port);
    return add(server, NULL, endpoint, err);
}

static void drop(struct server *server, struct ear **place)
{
    struct ear *ear = *place;
    *place = ear->next;
    if (ear->backend != NULL) {
        fleet_give(server->fleet, ear->backend);
    }
    uv_close((uv_handle_t *)&ear->poll, on_closed);
}

/* tcp://HOST:PORT of a backend that does not say it; NULL: it does not publish. */
static const char *endpoint_of(const struct server *server,
                               const struct backend *backend, struct text *out)
{
    if (backend->kv_events != NULL) {
        return backend->kv_events;
    }
    if (server->setup->kv_events_port == 0) {
        return NULL;
    }
    const char *host = backend->origin->host;
    const bool v6 = strchr(host, ':') != NULL;
    out->length = 0;
    text_printf(out, "tcp://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                (unsigned)server->setup->kv_events_port);
    return out->bytes;
}

static struct ear *find(struct server *server, const struct backend *backend)
{
    struct ear *ear = server->ears;
    while (ear != NULL && ear->backend != backend) {
        ear = ear->next;
    }
    return ear;
}

static void match_fleet(struct server *server)
{
    struct text text = {0};
    for (struct ear *ear = server->ears; ear != NULL; ear = ear->next) {
        ear->wanted = ear->backend == NULL || ear->backend->member;
    }
    for (struct ear **place = &server->ears; *place != NULL;) {
        if ((*place)->wanted) {
            place = &(*place)->next;
        } else {
            drop(server, place);
        }
    }
    for (size_t i = 0; i < fleet_count(server->fleet); i++) {
        struct backend *backend = fleet_at(server->fleet, i);
        const char *endpoint = endpoint_of(server, backend, &text);
        struct err err = {0};
        if (endpoint != NULL && !backend->deaf && find(server, backend) == NULL &&
            !add(server, backend, endpoint, &err)) {
            backend->deaf = true;
            (void)fprintf(stderr, "stackrouter: KV events of %s: %s\n", backend->url,
                          err.text);
        }
    }
    text_fini(&text);
}

void events_on_tick(struct server *server)
{
    const uint64_t generation = fleet_generation(server->fleet);
    if (generation != server->heard_generation) {
        server->heard_generation = generation;
        match_fleet(server);
    }
    for (struct ear *ear = server->ears; ear != NULL; ear = ear->next) {
        if (ear->more) {
            listen_now(ear);
        }
    }
}

void events_stop(struct server *server)
{
    while (server->ears != NULL) {
        drop(server, &server->ears);
    }
}

void events_fini(struct server *server)
{
    bus_delete(server->bus);
    text_fini(&server->part);
}
