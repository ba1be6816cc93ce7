/* SPDX-License-Identifier: Apache-2.0
 *
 * web.c: poll() around router/http.h.
 *
 * libuv is the router's; a mock engine has some hundred connections and one timer,
 * whose sub-millisecond precision (engine steps, sped up) libuv does not offer. Bytes
 * that the kernel does not take wait in the connection; nobody sends more than one
 * answer at a time, so what waits is bounded by the longest answer.
 */
#include "cli/live/web.h"

#include "base/check.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    HEAD_BYTES_MAX = 64 * 1024,
    AHEAD_BYTES_MAX = 256 * 1024, /* of pipelined requests */
    BACKLOG = 1024,
};

struct web_exchange {
    struct web *web;
    struct http_parser *parser;
    struct text in; /* read, not parsed yet */
    size_t in_at;
    struct text body;
    struct text out; /* not taken by the kernel yet */
    size_t out_at;
    void *owner;
    int fd;
    bool stepping;   /* the parser may know more without another byte */
    bool answering;  /* on_request was called, the answer is not complete */
    bool streaming;  /* its head was sent */
    bool closing;    /* after what waits in out */
    bool keep_alive; /* of the request under way */
};

struct web {
    struct web_setup setup;
    int listener;
    uint16_t port;
    struct web_exchange **conns;
    size_t count;
    size_t capacity;
    struct pollfd *polls; /* the listener, then conns in order */
    size_t poll_capacity;
    char *read_buffer;
};

/* --- making ----------------------------------------------------------------------- */

static bool listen_on(struct web *web, struct err *err)
{
    const struct web_setup *setup = &web->setup;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(setup->port)};
    if (inet_pton(AF_INET, setup->host, &address.sin_addr) != 1) {
        return err_set(err, ERR_USAGE, "--host: '%s' is no IPv4 address; try 127.0.0.1",
                       setup->host);
    }
    web->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (web->listener < 0) {
        return err_set(err, ERR_IO, "no socket: %s", strerror(errno));
    }
    const int on = 1;
    socklen_t length = sizeof address;
    (void)setsockopt(web->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(web->listener, (const struct sockaddr *)&address, length) != 0 ||
        listen(web->listener, BACKLOG) != 0 ||
        getsockname(web->listener, (struct sockaddr *)&address, &length) != 0) {
        return err_set(err, ERR_IO, "%s port %u: %s%s", setup->host,
                       (unsigned)setup->port, strerror(errno),
                       errno == EADDRINUSE ? "; another program listens there, choose "
                                             "another --port"
                                           : "");
    }
    web->port = ntohs(address.sin_port);
    return true;
}

bool web_open(struct web **out, const struct web_setup *setup, struct err *err)
{
    struct web *web = mem_alloc(1, sizeof *web);
    web->setup = *setup;
    web->listener = -1;
    web->read_buffer = mem_alloc(READ_BYTES, 1);
    if (!listen_on(web, err)) {
        web_close(web);
        return false;
    }
    *out = web;
    return true;
}

uint16_t web_port(const struct web *web)
{
    return web->port;
}

static void conn_delete(struct web_exchange *conn)
{
    (void)close(conn->fd);
    http_parser_delete(conn->parser);
    text_fini(&conn->in);
    text_fini(&conn->body);
    text_fini(&conn->out);
    mem_free(conn);
}

void web_close(struct web *web)
{
    if (web == NULL) {
        return;
    }
    for (size_t i = 0; i < web->count; i++) {
        conn_delete(web->conns[i]);
    }
    if (web->listener >= 0) {
        (void)close(web->listener);
    }
    mem_free(web->conns);
    mem_free(web->polls);
    mem_free(web->read_buffer);
    mem_free(web);
}

/* --- sending ---------------------------------------------------------------------- */

/* The client is gone or of no more use. Told once; the turn's end removes it. */
static void conn_drop(struct web_exchange *conn)
{
    const bool was_answering = conn->answering;
    conn->answering = false;
    conn->closing = true;
    conn->out.length = 0;
    conn->out_at = 0;
    if (was_answering) {
        const struct web_handler *handler = &conn->web->setup.handler;
        handler->on_gone(handler->context, conn);
    }
}

/* Never drops: a handler may be in the middle of an answer. The next turn finds out. */
static void flush(struct web_exchange *conn)
{
    while (conn->out_at < conn->out.length) {
        const ssize_t sent = send(conn->fd, conn->out.bytes + conn->out_at,
                                  conn->out.length - conn->out_at, MSG_NOSIGNAL);
        if (sent < 0) {
            return;
        }
        conn->out_at += (size_t)sent;
    }
    conn->out.length = 0;
    conn->out_at = 0;
}

static void add_head(struct web_exchange *conn, unsigned status, const char *type)
{
    text_printf(&conn->out, "HTTP/1.1 %u %s\r\n", status, http_reason(status));
    if (type != NULL) {
        text_printf(&conn->out, "Content-Type: %s\r\n", type);
    }
    if (!conn->keep_alive) {
        text_add(&conn->out, "Connection: close\r\n");
    }
}

static void finish(struct web_exchange *conn)
{
    conn->answering = false;
    conn->streaming = false;
    conn->owner = NULL;
    conn->closing = conn->closing || !conn->keep_alive;
    conn->body.length = 0;
    flush(conn);
}

void web_reply(struct web_exchange *exchange, const struct web_answer *answer)
{
    CHECK(!exchange->streaming, "a whole answer inside a stream");
    add_head(exchange, answer->status, answer->type);
    text_printf(&exchange->out, "Content-Length: %zu\r\n\r\n", answer->byte_count);
    text_add_bytes(&exchange->out, answer->bytes, answer->byte_count);
    finish(exchange);
}

void web_stream_begin(struct web_exchange *exchange, const char *type)
{
    add_head(exchange, 200, type);
    text_add(&exchange->out, "Transfer-Encoding: chunked\r\n\r\n");
    exchange->streaming = true;
    flush(exchange);
}

void web_stream_add(struct web_exchange *exchange, const char *bytes, size_t byte_count)
{
    CHECK(exchange->streaming, "a piece of no stream");
    if (byte_count > 0) {
        text_printf(&exchange->out, "%zx\r\n", byte_count);
        text_add_bytes(&exchange->out, bytes, byte_count);
        text_add(&exchange->out, "\r\n");
        flush(exchange);
    }
}

void web_stream_end(struct web_exchange *exchange)
{
    CHECK(exchange->streaming, "the end of no stream");
    text_add(&exchange->out, "0\r\n\r\n");
    finish(exchange);
}

/* --- receiving -------------------------------------------------------------------- */

const struct http_head *web_head(const struct web_exchange *exchange)
{
    return http_parser_head(exchange->parser);
}

const char *web_body(const struct web_exchange *exchange, size_t *byte_count)
{
    *byte_count = exchange->body.length;
    return text_str(&exchange->body);
}

void web_tie(struct web_exchange *exchange, void *owner)
{
    exchange->owner = owner;
}

void *web_owner(const struct web_exchange *exchange)
{
    return exchange->owner;
}

/* A refusal after which the connection is of no more use. */
static void refuse(struct web_exchange *conn, unsigned status, const char *what)
{
    conn->keep_alive = false;
    const struct web_answer answer = {status, "text/plain", what, strlen(what)};
    web_reply(conn, &answer);
}

static void on_head(struct web_exchange *conn)
{
    const struct http_head *head = web_head(conn);
    conn->keep_alive = head->keep_alive;
    const char *expect = http_field(head, "Expect");
    if (head->content_length > 0 &&
        (uint64_t)head->content_length > conn->web->setup.body_bytes_max) {
        refuse(conn, 413, "The body is larger than this server takes.\n");
    } else if (expect != NULL && strcmp(expect, "100-continue") == 0) {
        text_add(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
        flush(conn);
    }
}

/* One thing out of what was read; false when there is nothing more to do now. */
static bool parse_one(struct web_exchange *conn)
{
    const struct web_handler *handler = &conn->web->setup.handler;
    struct http_result result = {0};
    conn->in_at += http_step(conn->parser, conn->in.bytes + conn->in_at,
                             conn->in.length - conn->in_at, &result);
    conn->stepping = result.event != HTTP_MORE;
    switch (result.event) {
    case HTTP_MORE:
        return false;
    case HTTP_GOT_HEAD:
        on_head(conn);
        return true;
    case HTTP_GOT_BODY:
        if (conn->body.length + result.body_bytes > conn->web->setup.body_bytes_max) {
            refuse(conn, 413, "The body is larger than this server takes.\n");
            return false;
        }
        text_add_bytes(&conn->body, result.body, result.body_bytes);
        return true;
    case HTTP_GOT_END:
        conn->answering = true;
        handler->on_request(handler->context, conn);
        return true;
    case HTTP_FAULT:
        refuse(conn, result.fault == HTTP_MALFORMED ? 400 : 431,
               "This is no HTTP request.\n");
        return false;
    }
    return false;
}

static void parse(struct web_exchange *conn)
{
    while (!conn->answering && !conn->closing &&
           (conn->stepping || conn->in_at < conn->in.length) && parse_one(conn)) {
    }
    if (conn->in_at == conn->in.length) {
        conn->in.length = 0;
        conn->in_at = 0;
    }
}

static void receive(struct web_exchange *conn)
{
    char *buffer = conn->web->read_buffer;
    const ssize_t got = recv(conn->fd, buffer, READ_BYTES, 0);
    if (got > 0) {
        if (!conn->closing) {
            text_add_bytes(&conn->in, buffer, (size_t)got);
            parse(conn);
        }
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        conn_drop(conn);
    }
}

static void accept_all(struct web *web)
{
    while (web->count < web->setup.connections_max) {
        const int fd = accept4(web->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        void *array = web->conns;
        const bool grown = mem_grow(&array, &web->capacity, web->count + 1,
                                    sizeof(void *), web->setup.connections_max);
        CHECK(grown, "%zu connections", web->count);
        web->conns = array;
        struct web_exchange *conn = mem_alloc(1, sizeof *conn);
        conn->web = web;
        conn->fd = fd;
        conn->parser = http_parser_new(true, HEAD_BYTES_MAX);
        web->conns[web->count++] = conn;
    }
}

/* --- waiting ---------------------------------------------------------------------- */

static short wanted(const struct web_exchange *conn)
{
    short events = 0;
    if (conn->in.length - conn->in_at < AHEAD_BYTES_MAX) {
        events |= POLLIN;
    }
    if (conn->out_at < conn->out.length) {
        events |= POLLOUT;
    }
    return events;
}

static size_t arm(struct web *web)
{
    void *array = web->polls;
    const bool grown = mem_grow(&array, &web->poll_capacity, web->count + 1,
                                sizeof *web->polls, (size_t)UINT32_MAX + 1);
    CHECK(grown, "%zu sockets", web->count);
    web->polls = array;
    const bool room = web->count < web->setup.connections_max;
    web->polls[0] = (struct pollfd){.fd = room ? web->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < web->count; i++) {
        web->polls[i + 1] =
            (struct pollfd){.fd = web->conns[i]->fd, .events = wanted(web->conns[i])};
    }
    return web->count;
}

static void serve(struct web_exchange *conn, short events)
{
    if ((events & POLLOUT) != 0) {
        flush(conn);
    }
    if ((events & POLLIN) != 0) {
        receive(conn);
    } else if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        conn_drop(conn);
    }
}

/* Answers that became complete outside of a turn let pipelined requests follow. */
static void sweep(struct web *web)
{
    size_t kept = 0;
    for (size_t i = 0; i < web->count; i++) {
        struct web_exchange *conn = web->conns[i];
        parse(conn);
        if (conn->closing && !conn->answering && conn->out_at == conn->out.length) {
            conn_delete(conn);
        } else {
            web->conns[kept++] = conn;
        }
    }
    web->count = kept;
}

bool web_turn(struct web *web, int64_t wait_ns, struct err *err)
{
    sweep(web);
    const size_t armed = arm(web);
    const struct timespec wait = {.tv_sec = wait_ns / 1000000000,
                                  .tv_nsec = wait_ns % 1000000000};
    if (ppoll(web->polls, (nfds_t)(armed + 1), &wait, NULL) < 0) {
        if (errno != EINTR) {
            return err_set(err, ERR_IO, "poll: %s", strerror(errno));
        }
        return true;
    }
    for (size_t i = 0; i < armed; i++) {
        if (web->polls[i + 1].revents != 0) {
            serve(web->conns[i], web->polls[i + 1].revents);
        }
    }
    if (web->polls[0].revents != 0) {
        accept_all(web);
    }
    return true;
}
