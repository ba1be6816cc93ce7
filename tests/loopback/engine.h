/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h: a small engine on a real socket, in a thread of its own.
 *
 * Answers GET /metrics with two gauges, GET /v1/models with the model "m", any POST
 * with what it got, or, when the body has "stream":true, with "max_tokens" events, one
 * every gap_ms, and [DONE]. Just enough of HTTP for what the router sends: a head,
 * Content-Length, a body.
 */
#ifndef STACKSIM_TESTS_LOOPBACK_ENGINE_H
#define STACKSIM_TESTS_LOOPBACK_ENGINE_H

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ENGINE_CONNS_MAX = 4096, ENGINE_TICK_MS = 5 };

struct engine_stream {
    int fd; /* -1 = free */
    struct text in;
    int events_left; /* of a stream; 0 = none under way */
    int64_t next_ms;
};

struct engine {
    pthread_t thread;
    int listener;
    int port;
    int gap_ms;
    atomic_bool stop;
    atomic_int requests;
    struct engine_stream streams[ENGINE_CONNS_MAX];
    struct pollfd polls[ENGINE_CONNS_MAX + 1];
};

static inline int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void engine_send(struct engine_stream *stream, const char *bytes,
                               size_t byte_count)
{
    while (byte_count > 0) {
        const ssize_t sent = send(stream->fd, bytes, byte_count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* reading will tell */
        }
        bytes += sent;
        byte_count -= (size_t)sent;
    }
}

static inline void engine_event(struct engine_stream *stream, const char *data)
{
    char chunk[256];
    char event[128];
    const int length = snprintf(event, sizeof event, "data: %s\n\n", data);
    const int total =
        snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)length, event);
    engine_send(stream, chunk, (size_t)total);
}

static inline void engine_answer(struct engine *engine, struct engine_stream *stream,
                                 const char *head, const char *body)
{
    struct text out = {0};
    if (strncmp(head, "GET /metrics", 12) == 0) {
        body = "vllm:num_requests_running{model_name=\"m\"} 3.0\n"
               "vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25\n";
    } else if (strncmp(head, "GET /v1/models", 14) == 0) {
        body = "{\"data\":[{\"id\":\"m\"}]}";
    } else {
        atomic_fetch_add(&engine->requests, 1);
    }
    if (strstr(body, "\"stream\":true") != NULL) {
        const char *most = strstr(body, "\"max_tokens\":");
        stream->events_left = most != NULL ? (int)strtol(most + 13, NULL, 10) : 3;
        stream->next_ms = wall_ms() + engine->gap_ms;
        text_add(&out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        text_printf(&out,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    "X-Engine: %d\r\nContent-Length: %zu\r\n\r\n%s",
                    engine->port, strlen(body), body);
    }
    engine_send(stream, out.bytes, out.length);
    text_fini(&out);
}

/* Answers every whole request that lies in the buffer. */
static inline void engine_take(struct engine *engine, struct engine_stream *stream)
{
    while (stream->events_left == 0) {
        const char *text = text_str(&stream->in);
        const char *end = strstr(text, "\r\n\r\n");
        if (end == NULL) {
            return;
        }
        const char *length = strstr(text, "Content-Length: ");
        const size_t body =
            length != NULL && length < end ? (size_t)strtol(length + 16, NULL, 10) : 0;
        const size_t head = (size_t)(end - text) + 4;
        if (stream->in.length < head + body) {
            return;
        }
        char *copy = mem_alloc(body + 1, 1);
        memcpy(copy, end + 4, body);
        engine_answer(engine, stream, text, copy);
        mem_free(copy);
        memmove(stream->in.bytes, stream->in.bytes + head + body,
                stream->in.length - head - body);
        stream->in.length -= head + body;
        stream->in.bytes[stream->in.length] = '\0';
    }
}

static inline void engine_drop(struct engine_stream *stream)
{
    (void)close(stream->fd);
    stream->fd = -1;
    stream->events_left = 0;
    text_fini(&stream->in);
}

static inline void engine_read(struct engine *engine, struct engine_stream *stream)
{
    char bytes[65536];
    const ssize_t count = recv(stream->fd, bytes, sizeof bytes, 0);
    if (count <= 0) {
        engine_drop(stream);
        return;
    }
    text_add_bytes(&stream->in, bytes, (size_t)count);
    engine_take(engine, stream);
}

static inline void engine_tick(struct engine *engine, struct engine_stream *stream,
                               int64_t now_ms)
{
    while (stream->fd >= 0 && stream->events_left > 0 && stream->next_ms <= now_ms) {
        engine_event(stream, "{\"choices\":[{\"text\":\"x\"}]}");
        stream->next_ms += engine->gap_ms;
        if (--stream->events_left == 0) {
            engine_event(stream, "[DONE]");
            engine_send(stream, "0\r\n\r\n", 5);
            engine_take(engine, stream);
        }
    }
}

static inline void engine_accept(struct engine *engine)
{
    const int fd = accept(engine->listener, NULL, NULL);
    for (size_t i = 0; fd >= 0 && i < ENGINE_CONNS_MAX; i++) {
        if (engine->streams[i].fd < 0) {
            engine->streams[i].fd = fd;
            return;
        }
    }
    CHECK(fd < 0, "too many connections for the engine");
}

static inline void *engine_run(void *context)
{
    struct engine *engine = context;
    while (!atomic_load(&engine->stop)) {
        nfds_t count = 1;
        size_t of[ENGINE_CONNS_MAX + 1];
        engine->polls[0] = (struct pollfd){.fd = engine->listener, .events = POLLIN};
        for (size_t i = 0; i < ENGINE_CONNS_MAX; i++) {
            if (engine->streams[i].fd >= 0) {
                of[count] = i;
                engine->polls[count++] =
                    (struct pollfd){.fd = engine->streams[i].fd, .events = POLLIN};
            }
        }
        (void)poll(engine->polls, count, ENGINE_TICK_MS);
        const int64_t now_ms = wall_ms();
        for (nfds_t i = 1; i < count; i++) {
            struct engine_stream *stream = &engine->streams[of[i]];
            if (engine->polls[i].revents != 0) {
                engine_read(engine, stream);
            }
            engine_tick(engine, stream, now_ms);
        }
        if (engine->polls[0].revents != 0) {
            engine_accept(engine);
        }
    }
    for (size_t i = 0; i < ENGINE_CONNS_MAX; i++) {
        if (engine->streams[i].fd >= 0) {
            engine_drop(&engine->streams[i]);
        }
    }
    (void)close(engine->listener);
    return NULL;
}

/* port 0 = any free one. host: 127.0.0.host. */
static inline struct engine *engine_new_at(int host, int port, int gap_ms)
{
    struct engine *engine = mem_alloc(1, sizeof *engine);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr =
                                      htonl(0x7F000000U + (uint32_t)host)};
    socklen_t length = sizeof address;
    const int yes = 1;
    engine->gap_ms = gap_ms;
    for (size_t i = 0; i < ENGINE_CONNS_MAX; i++) {
        engine->streams[i].fd = -1;
    }
    engine->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(engine->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const bool bound =
        bind(engine->listener, (const struct sockaddr *)&address, sizeof address) ==
            0 &&
        listen(engine->listener, 1024) == 0 &&
        getsockname(engine->listener, (struct sockaddr *)&address, &length) == 0;
    CHECK(bound, "no port for the engine: %s", strerror(errno));
    engine->port = ntohs(address.sin_port);
    const int code = pthread_create(&engine->thread, NULL, engine_run, engine);
    CHECK(code == 0, "no thread for the engine: %s", strerror(code));
    return engine;
}

static inline struct engine *engine_new(int port, int gap_ms)
{
    return engine_new_at(1, port, gap_ms);
}

/* All its connections break. */
static inline void engine_delete(struct engine *engine)
{
    atomic_store(&engine->stop, true);
    (void)pthread_join(engine->thread, NULL);
    mem_free(engine);
}

#endif
