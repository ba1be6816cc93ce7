/* SPDX-License-Identifier: Apache-2.0
 *
 * reply.c: answers in the router's own words.
 */
#include "router/proxy_state.h"

#include <string.h>

void reply_head(const struct proxy *proxy, struct exchange *exchange, unsigned status,
                struct text *out)
{
    if (proxy->draining) {
        exchange->keep_alive = false;
    }
    text_printf(out, "HTTP/1.1 %u %s\r\nX-Request-Id: %s\r\n", status,
                http_reason(status), exchange->id);
    if (!exchange->keep_alive) {
        text_add(out, "Connection: close\r\n");
    } else if (exchange->http10) {
        text_add(out, "Connection: keep-alive\r\n");
    }
}

void reply_send(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                const struct reply *reply)
{
    struct client *client = exchange->client;
    struct text head = {0};
    exchange->status = reply->status;
    exchange->answer_bytes = reply->body_bytes;
    reply_head(proxy, exchange, reply->status, &head);
    text_printf(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", reply->type,
                reply->body_bytes, reply->extra != NULL ? reply->extra : "");
    conn_write(proxy, &client->conn, head.bytes, head.length);
    conn_write(proxy, &client->conn, reply->body, reply->body_bytes);
    text_fini(&head);
    exchange_finish(proxy, now_ns, exchange, ATTEMPT_ABORTED);
    client_answered(proxy, now_ns, client, exchange->keep_alive);
}
