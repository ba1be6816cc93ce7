/* SPDX-License-Identifier: Apache-2.0
 *
 * kube.h: as much of a Kubernetes API server as lists and watches pods, on a real TLS
 * socket, in a thread of its own. One connection at a time.
 *
 * GET .../pods answers with the list that the test has set, or with another status;
 * with watch=true it sends the lines that the test hands over, until the test cuts it.
 */
#ifndef STACKSIM_TESTS_LOOPBACK_KUBE_H
#define STACKSIM_TESTS_LOOPBACK_KUBE_H

#include "router/tls.h"
#include "tests/loopback/router.h"

struct kube {
    pthread_t thread;
    pthread_mutex_t lock; /* of all up to `seen` */
    bool stop;
    bool cut;     /* break the connection of the watch */
    int status;   /* of lists */
    int lists;    /* answered with 200 */
    int refusals; /* answered otherwise */
    int watches;  /* begun */
    struct text list;
    struct text lines; /* to be sent by the watch */
    struct text seen;  /* all requests */
    int listener;
    int port;
    struct tls_context *context;
    /* of the connection, for the thread alone */
    int fd;
    struct tls *tls;
    struct text in;
    bool watching;
};

static inline void kube_flush(struct kube *kube)
{
    const char *bytes = NULL;
    size_t count = 0;
    while (tls_outgoing(kube->tls, &bytes, &count)) {
        (void)send(kube->fd, bytes, count, MSG_NOSIGNAL); /* reading will tell */
        tls_sent(kube->tls, count);
    }
}

static inline void kube_send(struct kube *kube, const struct text *text)
{
    tls_write(kube->tls, text_str(text), text->length);
    kube_flush(kube);
}

/* Whole requests in `in`; the lock is held. */
static inline void kube_answer(struct kube *kube)
{
    const char *head = text_str(&kube->in);
    const char *end = strstr(head, "\r\n\r\n");
    if (end == NULL) {
        return;
    }
    struct text out = {0};
    const size_t length = (size_t)(end - head) + 4;
    const bool watch = memmem(head, length, "watch=true", 10) != NULL;
    text_add_bytes(&kube->seen, head, length);
    if (watch) {
        kube->watching = true;
        kube->watches++;
        text_add(&out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        const bool good = kube->status == 200;
        kube->lists += good ? 1 : 0;
        kube->refusals += good ? 0 : 1;
        text_printf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", kube->status,
                    kube->list.length);
        text_add_bytes(&out, text_str(&kube->list), kube->list.length);
    }
    kube_send(kube, &out);
    text_fini(&out);
    memmove(kube->in.bytes, kube->in.bytes + length, kube->in.length - length + 1);
    kube->in.length -= length;
}

/* What the test wants the watch to do; the lock is held. False: cut. */
static inline bool kube_watch(struct kube *kube)
{
    if (kube->lines.length > 0) {
        struct text out = {0};
        text_printf(&out, "%zx\r\n%s\r\n", kube->lines.length, text_str(&kube->lines));
        kube_send(kube, &out);
        text_fini(&out);
        clear(&kube->lines);
    }
    const bool cut = kube->cut;
    kube->cut = false;
    return !cut;
}

/* False at the end of the connection. */
static inline bool kube_read(struct kube *kube)
{
    char bytes[16384];
    struct pollfd ready = {.fd = kube->fd, .events = POLLIN};
    if (poll(&ready, 1, ENGINE_TICK_MS) == 0) {
        return true;
    }
    const ssize_t count = recv(kube->fd, bytes, sizeof bytes, 0);
    if (count <= 0) {
        return false;
    }
    const enum tls_state state = tls_read(kube->tls, bytes, (size_t)count);
    const char *plain = NULL;
    size_t plain_count = 0;
    while (tls_incoming(kube->tls, &plain, &plain_count)) {
        text_add_bytes(&kube->in, plain, plain_count);
    }
    kube_flush(kube);
    return state == TLS_HANDSHAKE || state == TLS_OPEN;
}

static inline void kube_serve(struct kube *kube)
{
    struct err err = {0};
    const bool made = tls_new(&kube->tls, kube->context, NULL, &err);
    CHECK(made, "%s", err.text);
    clear(&kube->in);
    kube->watching = false;
    bool goes_on = true;
    while (goes_on && kube_read(kube)) {
        (void)pthread_mutex_lock(&kube->lock);
        kube_answer(kube);
        goes_on = !kube->stop && (!kube->watching || kube_watch(kube));
        (void)pthread_mutex_unlock(&kube->lock);
    }
    tls_delete(kube->tls);
    (void)close(kube->fd);
}

static inline void *kube_run(void *context)
{
    struct kube *kube = context;
    for (;;) {
        struct pollfd ready = {.fd = kube->listener, .events = POLLIN};
        const int count = poll(&ready, 1, ENGINE_TICK_MS);
        (void)pthread_mutex_lock(&kube->lock);
        const bool stop = kube->stop;
        (void)pthread_mutex_unlock(&kube->lock);
        if (stop) {
            return NULL;
        }
        if (count > 0) {
            kube->fd = accept(kube->listener, NULL, NULL);
            kube_serve(kube);
        }
    }
}

static inline struct kube *kube_new(void)
{
    struct kube *kube = mem_alloc(1, sizeof *kube);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct err err = {0};
    char *cert = mem_strdup(harness_source("tests/loopback/tls/cert.pem"));
    char *key = mem_strdup(harness_source("tests/loopback/tls/key.pem"));
    const struct tls_setup setup = {.server = true, .cert_path = cert, .key_path = key};
    const bool trusted = tls_context_new(&kube->context, &setup, &err);
    CHECK(trusted, "%s", err.text);
    mem_free(cert);
    mem_free(key);
    kube->status = 200;
    (void)pthread_mutex_init(&kube->lock, NULL);
    kube->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool bound =
        bind(kube->listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(kube->listener, 16) == 0 &&
        getsockname(kube->listener, (struct sockaddr *)&address, &length) == 0;
    CHECK(bound, "no port for the API server: %s", strerror(errno));
    kube->port = ntohs(address.sin_port);
    const int code = pthread_create(&kube->thread, NULL, kube_run, kube);
    CHECK(code == 0, "no thread for the API server: %s", strerror(code));
    return kube;
}

static inline void kube_delete(struct kube *kube)
{
    (void)pthread_mutex_lock(&kube->lock);
    kube->stop = true;
    (void)pthread_mutex_unlock(&kube->lock);
    (void)pthread_join(kube->thread, NULL);
    (void)close(kube->listener);
    (void)pthread_mutex_destroy(&kube->lock);
    tls_context_delete(kube->context);
    text_fini(&kube->list);
    text_fini(&kube->lines);
    text_fini(&kube->seen);
    text_fini(&kube->in);
    mem_free(kube);
}

/* --- what the test says ----------------------------------------------------------- */

/* A pod as JSON: address 127.0.0.host, no address for 0. */
static inline void kube_pod(struct text *out, const char *name, int host, bool ready,
                            const char *metadata)
{
    text_printf(out, "{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"7\"%s},",
                name, metadata);
    text_add(out, "\"status\":{");
    if (host > 0) {
        text_printf(out, "\"podIP\":\"127.0.0.%d\",", host);
    }
    text_printf(out, "\"containerStatuses\":[{\"ready\":%s}]}}",
                ready ? "true" : "false");
}

/* items: pods separated by commas. */
static inline void kube_set_list(struct kube *kube, int status, const char *items)
{
    (void)pthread_mutex_lock(&kube->lock);
    clear(&kube->list);
    kube->status = status;
    text_printf(&kube->list,
                "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\"},"
                "\"items\":[%s]}",
                items);
    (void)pthread_mutex_unlock(&kube->lock);
}

static inline void kube_event(struct kube *kube, const char *type, const char *object)
{
    (void)pthread_mutex_lock(&kube->lock);
    text_printf(&kube->lines, "{\"type\":\"%s\",\"object\":%s}\n", type, object);
    (void)pthread_mutex_unlock(&kube->lock);
}

static inline void kube_cut(struct kube *kube)
{
    (void)pthread_mutex_lock(&kube->lock);
    kube->cut = true;
    (void)pthread_mutex_unlock(&kube->lock);
}

static inline int kube_count(struct kube *kube, const int *counter)
{
    (void)pthread_mutex_lock(&kube->lock);
    const int count = *counter;
    (void)pthread_mutex_unlock(&kube->lock);
    return count;
}

static inline void kube_seen(struct kube *kube, struct text *out)
{
    (void)pthread_mutex_lock(&kube->lock);
    clear(out);
    text_add_bytes(out, text_str(&kube->seen), kube->seen.length);
    (void)pthread_mutex_unlock(&kube->lock);
}

#endif
