/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c: an engine's answer on its way to the client, piece by piece as it comes.
 */
#include "router/proxy_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_hop_field(const char *name)
{
    static const char *const NAMES[] = {
        "connection", "keep-alive",  "proxy-connection",  "upgrade",
        "te",         "trailer",     "transfer-encoding", "content-length",
        "server",     "x-request-id"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcasecmp(name, NAMES[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_body(const struct exchange *exchange)
{
    return exchange->status != 204 && exchange->status != 304;
}

/* Lengths are kept as the engine gave them; what has none is chunked for HTTP/1.1 and
 * ends with the connection for HTTP/1.0. */
static void frame(const struct http_head *head, struct exchange *exchange,
                  struct text *out)
{
    if (!has_body(exchange)) {
        return;
    }
    if (head->content_length >= 0) {
        text_printf(out, "Content-Length: %" PRId64 "\r\n", head->content_length);
    } else if (exchange->http10) {
        exchange->answer_to_close = true;
        exchange->keep_alive = false;
    } else {
        exchange->answer_chunked = true;
        text_add(out, "Transfer-Encoding: chunked\r\n");
    }
}

static void forward_head(struct proxy *proxy, struct exchange *exchange,
                         const struct http_head *head)
{
    struct text framing = {0};
    const char *type = http_field(head, "content-type");
    static const char SSE[] = "text/event-stream";
    frame(head, exchange, &framing);
    exchange->answer_sse = type != NULL && strncasecmp(type, SSE, sizeof SSE - 1) == 0;
    exchange->answer_encoded = http_field(head, "content-encoding") != NULL;
    struct text *out = &proxy->scratch;
    out->length = 0;
    reply_head(proxy, exchange, head->status, out);
    text_add_bytes(out, text_str(&framing), framing.length);
    const char *connection = http_field(head, "connection");
    for (size_t i = 0; i < head->field_count; i++) {
        const char *name = head->bytes.bytes + head->fields[i].name_at;
        if (!is_hop_field(name) && !http_list_has(connection, name)) {
            text_printf(out, "%s: %s\r\n", name,
                        head->bytes.bytes + head->fields[i].value_at);
        }
    }
    text_add(out, "\r\n");
    conn_write(proxy, &exchange->client->conn, out->bytes, out->length);
    text_fini(&framing);
}

/* A watch is silent for as long as nothing happens. */
static int64_t gap_deadline(const struct proxy *proxy, int64_t now_ns,
                            const struct exchange *exchange)
{
    const int64_t gap_ns = proxy->setup.limits.stream_gap_ns;
    return gap_ns > 0 && exchange->piece == NULL ? now_ns + gap_ns : INT64_MAX;
}

void exchange_on_head(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const struct http_head *head)
{
    exchange->state = EXCHANGE_STREAMING;
    exchange->deadline_ns = gap_deadline(proxy, now_ns, exchange);
    exchange->status = head->status;
    exchange_release_body(proxy, exchange);
    if (exchange->attempt.backend != NULL) {
        fleet_praise(proxy->fleet, now_ns, exchange->attempt.backend);
    }
    if (exchange->kind == EXCHANGE_PROXY) {
        forward_head(proxy, exchange, head);
    }
}

/* Events are separated by blank lines; a usage statement stands at the end. */
static void note_answer(struct exchange *exchange, const char *bytes, size_t byte_count)
{
    if (exchange->answer_sse && !exchange->answer_encoded) {
        for (const char *at = memchr(bytes, '\n', byte_count); at != NULL;
             at = memchr(at + 1, '\n', (size_t)(bytes + byte_count - at - 1))) {
            const bool blank = at > bytes ? at[-1] == '\n' : exchange->last_was_newline;
            exchange->answer_events += blank ? 1 : 0;
        }
        exchange->last_was_newline = bytes[byte_count - 1] == '\n';
    }
    if (byte_count >= TAIL_BYTES) {
        exchange->answer.length = 0;
        bytes += byte_count - TAIL_BYTES;
        byte_count = TAIL_BYTES;
    } else if (exchange->answer.length + byte_count > (size_t)2 * TAIL_BYTES) {
        const size_t kept = TAIL_BYTES;
        memmove(exchange->answer.bytes,
                exchange->answer.bytes + exchange->answer.length - kept, kept);
        exchange->answer.length = kept;
    }
    text_add_bytes(&exchange->answer, bytes, byte_count);
}

static void forward_body(struct proxy *proxy, struct exchange *exchange,
                         const char *bytes, size_t byte_count)
{
    struct conn *conn = &exchange->client->conn;
    exchange->answer_bytes += byte_count;
    note_answer(exchange, bytes, byte_count);
    if (!has_body(exchange)) {
        return;
    }
    if (!exchange->answer_chunked) {
        conn_write(proxy, conn, bytes, byte_count);
        return;
    }
    char size[24];
    const int length = snprintf(size, sizeof size, "%zx\r\n", byte_count);
    conn_write(proxy, conn, size, (size_t)length);
    conn_write(proxy, conn, bytes, byte_count);
    conn_write(proxy, conn, "\r\n", 2);
}

void exchange_on_body(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const char *bytes, size_t byte_count)
{
    if (byte_count == 0) {
        return;
    }
    if (exchange->first_byte_ns == 0) {
        exchange->first_byte_ns = now_ns;
        fleet_first_token(proxy->fleet, now_ns, &exchange->attempt);
    }
    exchange->deadline_ns = gap_deadline(proxy, now_ns, exchange);
    if (exchange->kind == EXCHANGE_PROXY) {
        forward_body(proxy, exchange, bytes, byte_count);
        return;
    }
    if (exchange->answer.length + byte_count > INTERNAL_ANSWER_BYTES_MAX) {
        exchange_tell_done(proxy, now_ns, exchange, 0);
        return;
    }
    text_add_bytes(&exchange->answer, bytes, byte_count);
    if (exchange->piece != NULL) {
        exchange->piece(proxy, now_ns, exchange);
    }
}

void exchange_on_end(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct client *client = exchange->client;
    if (exchange->kind != EXCHANGE_PROXY) {
        engine_detach(proxy, now_ns, exchange, true);
        exchange_tell_done(proxy, now_ns, exchange, exchange->status);
        return;
    }
    if (exchange->answer_chunked) {
        conn_write(proxy, &client->conn, "0\r\n\r\n", 5);
    }
    engine_detach(proxy, now_ns, exchange, true);
    exchange_finish(proxy, now_ns, exchange, ATTEMPT_COMPLETED);
    client_answered(proxy, now_ns, client, exchange->keep_alive);
}
