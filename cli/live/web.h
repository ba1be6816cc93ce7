/* SPDX-License-Identifier: Apache-2.0
 *
 * web.h: a small HTTP/1.1 server for one thread, for programs that play an engine.
 *
 * Waits for sockets and for one point in time, in one call. Messages are read by
 * router/http.h. A connection answers one request after the other (pipelined ones
 * wait); while an answer is due, the client's leaving is noticed and told.
 */
#ifndef STACKSIM_CLI_LIVE_WEB_H
#define STACKSIM_CLI_LIVE_WEB_H

#include "base/err.h"
#include "router/http.h"

#include <stdint.h>

struct web;
struct web_exchange; /* one request and its answer; gone when the answer is complete */

struct web_handler {
    void *context;
    /* The request is complete. Answer now or later. */
    void (*on_request)(void *context, struct web_exchange *exchange);
    /* The client left before the answer was complete; the exchange is gone on return.
     */
    void (*on_gone)(void *context, struct web_exchange *exchange);
};

struct web_setup {
    const char *host; /* an IPv4 address */
    uint16_t port;    /* 0 = any free one */
    struct web_handler handler;
    uint64_t body_bytes_max;
    uint32_t connections_max; /* beyond it new ones wait for their turn */
};

NODISCARD bool web_open(struct web **out, const struct web_setup *setup,
                        struct err *err);
void web_close(struct web *web); /* NULL is legal; no callback comes */
uint16_t web_port(const struct web *web);

/* Waits for something to do, at most wait_ns, and does it. */
NODISCARD bool web_turn(struct web *web, int64_t wait_ns, struct err *err);

const struct http_head *web_head(const struct web_exchange *exchange);
/* Valid until the answer is complete; NUL-terminated. */
const char *web_body(const struct web_exchange *exchange, size_t *byte_count);
/* What the handler ties to the exchange; NULL at first. */
void web_tie(struct web_exchange *exchange, void *owner);
void *web_owner(const struct web_exchange *exchange);

/* A whole answer. */
struct web_answer {
    unsigned status;
    const char *type; /* of its content; NULL = none */
    const char *bytes;
    size_t byte_count;
};
void web_reply(struct web_exchange *exchange, const struct web_answer *answer);
/* An answer in pieces, ended by web_stream_end. */
void web_stream_begin(struct web_exchange *exchange, const char *type);
void web_stream_add(struct web_exchange *exchange, const char *bytes,
                    size_t byte_count);
void web_stream_end(struct web_exchange *exchange);

#endif
