/* SPDX-License-Identifier: Apache-2.0
 *
 * fast_engine.c: an engine that answers at once, to measure what stands before it.
 *
 *   fast_engine EVENTS
 *
 * Prints the port it took on loopback and serves until it is killed. A request is
 * answered with one JSON object; with "stream":true in its body with EVENTS events and
 * [DONE], each in a chunk and a write of its own, as vLLM's server writes them. Just
 * enough of HTTP for a proxy: a head, Content-Length, a body, requests pipelined or
 * not. Not stacksim's mock engine: that one takes the time a model takes, this one
 * none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNS_MAX = 4096, INPUT_BYTES_MAX = 65536, READY_MAX = 256, EVENTS_MAX = 10000 };

/* As long as the answers of vLLM 0.19 to a request for one token. */
#define ANSWER                                                                         \
    "{\"id\":\"cmpl-0123456789abcdef\",\"object\":\"text_completion\",\"created\":1,"  \
    "\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\" Paris\",\"logprobs\":null," \
    "\"finish_reason\":\"length\",\"stop_reason\":null}],\"usage\":{"                  \
    "\"prompt_tokens\":8,\"total_tokens\":9,\"completion_tokens\":1}}"
#define EVENT                                                                          \
    "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\"" \
    ",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":" \
    "\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
#define LAST "data: [DONE]\n\n"
#define STREAM_HEAD                                                                    \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"            \
    "Transfer-Encoding: chunked\r\n\r\n"

struct conn {
    size_t length;
    char input[INPUT_BYTES_MAX + 1]; /* ends with NUL for strstr */
};

struct engine {
    int poller;
    int events;
    struct conn *conns[CONNS_MAX]; /* by descriptor */
};

static void die(const char *what)
{
    (void)fprintf(stderr, "fast_engine: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Loopback takes what proxies under test leave unread for a moment; what does not fit
 * is waited for. */
static void send_all(int fd, const char *bytes, size_t byte_count)
{
    while (byte_count > 0) {
        const ssize_t sent = send(fd, bytes, byte_count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* reading will tell */
        }
        bytes += sent;
        byte_count -= (size_t)sent;
    }
}

static void send_chunk(int fd, const char *data)
{
    char chunk[512];
    const int length =
        snprintf(chunk, sizeof chunk, "%zx\r\n%s\r\n", strlen(data), data);
    send_all(fd, chunk, (size_t)length);
}

static void answer(const struct engine *engine, int fd, const char *body)
{
    if (strstr(body, "\"stream\":true") == NULL) {
        char whole[1024];
        const int length =
            snprintf(whole, sizeof whole,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     sizeof ANSWER - 1, ANSWER);
        send_all(fd, whole, (size_t)length);
        return;
    }
    send_all(fd, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    for (int i = 0; i < engine->events; i++) {
        send_chunk(fd, EVENT);
    }
    send_chunk(fd, LAST);
    send_all(fd, "0\r\n\r\n", 5);
}

/* Answers every whole request that lies in the buffer. */
static void serve(const struct engine *engine, int fd, struct conn *conn)
{
    for (;;) {
        const char *end = strstr(conn->input, "\r\n\r\n");
        if (end == NULL) {
            return;
        }
        const char *length = strcasestr(conn->input, "\r\ncontent-length:");
        const size_t head_bytes = (size_t)(end - conn->input) + 4;
        const size_t bytes =
            head_bytes +
            (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
        if (bytes > conn->length) {
            return;
        }
        const char after = conn->input[bytes];
        conn->input[bytes] = '\0';
        answer(engine, fd, conn->input + head_bytes);
        conn->input[bytes] = after;
        memmove(conn->input, conn->input + bytes, conn->length - bytes + 1);
        conn->length -= bytes;
    }
}

static void drop(struct engine *engine, int fd)
{
    free(engine->conns[fd]);
    engine->conns[fd] = NULL;
    (void)close(fd);
}

static void take_input(struct engine *engine, int fd)
{
    struct conn *conn = engine->conns[fd];
    const ssize_t count =
        recv(fd, conn->input + conn->length, INPUT_BYTES_MAX - conn->length, 0);
    if (count <= 0) {
        drop(engine, fd);
        return;
    }
    conn->length += (size_t)count;
    conn->input[conn->length] = '\0';
    serve(engine, fd, conn);
}

static void take_connection(struct engine *engine, int listener)
{
    const int on = 1;
    const int fd = accept(listener, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= CONNS_MAX) {
        die("cannot take a connection");
    }
    engine->conns[fd] = calloc(1, sizeof *engine->conns[fd]);
    if (engine->conns[fd] == NULL ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        epoll_ctl(engine->poller, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("cannot serve a connection");
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) != 0) {
        die("cannot listen");
    }
    (void)printf("%d\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return listener;
}

int main(int argc, char **argv)
{
    struct engine *engine = calloc(1, sizeof *engine);
    const long events = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (engine == NULL || events < 1 || events > EVENTS_MAX) {
        (void)fprintf(stderr, "usage: fast_engine EVENTS\n");
        free(engine);
        return 2;
    }
    const int listener = listen_on_loopback();
    struct epoll_event first = {.events = EPOLLIN, .data.fd = listener};
    engine->events = (int)events;
    engine->poller = epoll_create1(0);
    if (engine->poller < 0 ||
        epoll_ctl(engine->poller, EPOLL_CTL_ADD, listener, &first) != 0) {
        die("cannot poll");
    }
    for (;;) {
        struct epoll_event ready[READY_MAX];
        const int count = epoll_wait(engine->poller, ready, READY_MAX, -1);
        for (int i = 0; i < count; i++) {
            const int fd = ready[i].data.fd;
            if (fd == listener) {
                take_connection(engine, listener);
            } else {
                take_input(engine, fd);
            }
        }
    }
}
