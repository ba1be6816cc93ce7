/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c: a client's connection: one request at a time, in the order they came.
 *
 * While a request is being answered, what the client sends behind it is kept, up to
 * PIPELINE_BYTES_MAX, and reading goes on so that a client that leaves is noticed at
 * once. Whatever is wrong with a request's framing ends the connection after the
 * answer: where the next request would begin is anybody's guess.
 */
#include "base/check.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <string.h>
#include <strings.h>

void client_free(struct proxy *proxy, struct client *client)
{
    proxy->client_count--;
    http_parser_delete(client->parser);
    text_fini(&client->input);
    text_fini(&client->conn.out);
    mem_free(client);
}

static struct exchange *begin_exchange(struct proxy *proxy, int64_t now_ns,
                                       struct client *client)
{
    struct exchange *exchange = exchange_new(proxy, now_ns, EXCHANGE_PROXY);
    exchange->client = client;
    client->exchange = exchange;
    client->requests++;
    proxy->counters.requests++;
    return exchange;
}

/* An answer to what could not be read as a request. */
static void refuse_unread(struct proxy *proxy, int64_t now_ns, struct client *client,
                          unsigned status, const char *text)
{
    struct exchange *exchange = client->exchange;
    if (exchange == NULL) {
        exchange = begin_exchange(proxy, now_ns, client);
    }
    exchange->keep_alive = false;
    exchange_refuse(proxy, now_ns, exchange, status, text);
}

static void on_fault(struct proxy *proxy, int64_t now_ns, struct client *client,
                     const struct http_result *result)
{
    switch (result->fault) {
    case HTTP_TARGET_TOO_LONG:
        proxy->counters.requests_head_too_large++;
        refuse_unread(proxy, now_ns, client, 414, "The request target is too long.");
        return;
    case HTTP_HEAD_TOO_LARGE:
        proxy->counters.requests_head_too_large++;
        refuse_unread(proxy, now_ns, client, 431,
                      "The request header fields are too large.");
        return;
    case HTTP_AMBIGUOUS_LENGTH:
    case HTTP_MALFORMED:
        break;
    }
    proxy->counters.requests_malformed++;
    refuse_unread(proxy, now_ns, client, 400, "The request is not valid HTTP/1.1.");
}

/* --- heads ------------------------------------------------------------------------ */

/* What belongs to one hop, and what we write ourselves. */
static bool is_ours(const char *name)
{
    static const char *const NAMES[] = {"host",        "connection",
                                        "keep-alive",  "proxy-connection",
                                        "upgrade",     "te",
                                        "trailer",     "transfer-encoding",
                                        "expect",      "content-length",
                                        "x-request-id"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcasecmp(name, NAMES[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void keep_fields(const struct http_head *head, struct exchange *exchange)
{
    const char *connection = http_field(head, "connection");
    for (size_t i = 0; i < head->field_count; i++) {
        const char *name = head->bytes.bytes + head->fields[i].name_at;
        const char *value = head->bytes.bytes + head->fields[i].value_at;
        if (!is_ours(name) && !http_list_has(connection, name)) {
            text_add(&exchange->fields, name);
            text_add(&exchange->fields, ": ");
            text_add(&exchange->fields, value);
            text_add(&exchange->fields, "\r\n");
        }
    }
}

static bool is_plain_id(const char *value)
{
    const size_t length = strlen(value);
    if (length == 0 || length >= REQUEST_ID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (value[i] <= ' ' || value[i] > '~') {
            return false;
        }
    }
    return true;
}

static void keep_id(const struct http_head *head, struct exchange *exchange)
{
    const char *id = http_field(head, "x-request-id");
    if (id != NULL && is_plain_id(id)) {
        memcpy(exchange->id, id, strlen(id) + 1);
    }
}

static void keep_extras(struct proxy *proxy, const struct http_head *head,
                        struct exchange *exchange)
{
    const struct config *config = fleet_config(proxy->fleet);
    const char *type = http_field(head, "content-type");
    const char *session =
        config->session_key != NULL ? http_field(head, config->session_key) : NULL;
    char pin[64];
    if (type != NULL) {
        exchange->form_type = mem_strdup(type);
    }
    if (session != NULL) {
        exchange->session_field = mem_strdup(session);
    }
    if (path_query(text_str(&exchange->target), "id", pin, sizeof pin)) {
        exchange->pin = mem_strdup(pin);
    }
}

/* Path without --root-path; NULL when it is not below it. */
static const char *below_root(const struct proxy *proxy, const char *target)
{
    const char *root = proxy->setup.root_path;
    const size_t length = strlen(root);
    if (length == 0) {
        return target;
    }
    return strncmp(target, root, length) == 0 && target[length] == '/' ? target + length
                                                                       : NULL;
}

static bool find_path(struct proxy *proxy, int64_t now_ns, struct client *client,
                      const char *target)
{
    struct exchange *exchange = client->exchange;
    const char *path = below_root(proxy, target);
    const enum path_answer answer =
        path == NULL ? PATH_UNKNOWN
                     : path_find(path, exchange->method,
                                 proxy->setup.compat == COMPAT_HEAD, &exchange->path);
    if (answer == PATH_FOUND) {
        text_add(&exchange->target, path);
        return true;
    }
    /* As FastAPI, which the stack's router is made with. */
    const bool unknown = answer == PATH_UNKNOWN;
    const char *body =
        unknown ? "{\"detail\":\"Not Found\"}" : "{\"detail\":\"Method Not Allowed\"}";
    struct text allow = {0};
    if (!unknown) {
        text_printf(&allow, "Allow: %s\r\n", exchange->path->method);
    }
    exchange->keep_alive = false; /* its body was not read */
    proxy->counters.requests_refused++;
    reply_send(proxy, now_ns, exchange,
               &(struct reply){.status = unknown ? 404 : 405,
                               .type = "application/json",
                               .body = body,
                               .body_bytes = strlen(body),
                               .extra = unknown ? NULL : text_str(&allow)});
    text_fini(&allow);
    return false;
}

static bool take_head(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    const struct http_head *head = http_parser_head(client->parser);
    struct exchange *exchange = begin_exchange(proxy, now_ns, client);
    client->state = CLIENT_BODY;
    client->conn.deadline_ns = now_ns + proxy->setup.limits.body_ns;
    memcpy(exchange->method, head->method, sizeof exchange->method);
    exchange->http10 = head->minor == 0;
    exchange->keep_alive = head->keep_alive && !proxy->draining;
    keep_id(head, exchange);
    const bool has_body = head->chunked || head->content_length > 0;
    if (!find_path(proxy, now_ns, client, http_target(head))) {
        return false;
    }
    keep_fields(head, exchange);
    keep_extras(proxy, head, exchange);
    if (head->content_length > (int64_t)proxy->setup.limits.body_bytes_max) {
        proxy->counters.requests_body_too_large++;
        refuse_unread(proxy, now_ns, client, 413, "The request body is too large.");
        return false;
    }
    if (has_body && head->minor > 0 &&
        http_list_has(http_field(head, "expect"), "100-continue")) {
        static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
        conn_write(proxy, &client->conn, CONTINUE, sizeof CONTINUE - 1);
    }
    return true;
}

static bool take_body(struct proxy *proxy, int64_t now_ns, struct client *client,
                      const struct http_result *result)
{
    struct exchange *exchange = client->exchange;
    CHECK(exchange != NULL, "a body without a request on %u", client->conn.id);
    const struct proxy_limits *limits = &proxy->setup.limits;
    if (exchange->body.length + result->body_bytes > limits->body_bytes_max) {
        proxy->counters.requests_body_too_large++;
        refuse_unread(proxy, now_ns, client, 413, "The request body is too large.");
        return false;
    }
    if (proxy->buffered_bytes + result->body_bytes > limits->buffer_bytes_max) {
        proxy->counters.requests_no_buffer++;
        refuse_unread(proxy, now_ns, client, 503,
                      "The router holds too many request bodies. Please try again.");
        return false;
    }
    proxy->buffered_bytes += result->body_bytes;
    exchange->buffered_bytes += result->body_bytes;
    text_add_bytes(&exchange->body, result->body, result->body_bytes);
    client->conn.deadline_ns = now_ns + limits->body_ns;
    return true;
}

static void take_end(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    struct exchange *exchange = client->exchange;
    CHECK(exchange != NULL, "the end of no request on %u", client->conn.id);
    client->state = CLIENT_BUSY;
    client->conn.deadline_ns = INT64_MAX;
    if (exchange->path->kind == PATH_PROXY) {
        exchange_start(proxy, now_ns, exchange);
    } else {
        local_answer(proxy, now_ns, exchange);
    }
}

/* --- input ------------------------------------------------------------------------ */

/* One step of the parser over the input; false when there is nothing more to do. */
static bool take_step(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    struct http_result result;
    client->input_at +=
        http_step(client->parser, text_str(&client->input) + client->input_at,
                  client->input.length - client->input_at, &result);
    switch (result.event) {
    case HTTP_MORE:
        if (client->state == CLIENT_IDLE && !http_parser_idle(client->parser)) {
            client->state = CLIENT_HEAD;
            client->conn.deadline_ns = now_ns + proxy->setup.limits.head_ns;
        }
        return false;
    case HTTP_GOT_HEAD:
        return take_head(proxy, now_ns, client);
    case HTTP_GOT_BODY:
        return take_body(proxy, now_ns, client, &result);
    case HTTP_GOT_END:
        take_end(proxy, now_ns, client);
        return true;
    case HTTP_FAULT:
        on_fault(proxy, now_ns, client, &result);
        return false;
    }
    return false;
}

static void take_input(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    bool more = true;
    client->taking = true;
    while (more && !client->conn.closed && client->state != CLIENT_BUSY) {
        more = take_step(proxy, now_ns, client);
    }
    client->taking = false;
    if (client->conn.closed) {
        return;
    }
    if (client->input_at == client->input.length) {
        client->input.length = 0;
        client->input_at = 0;
    }
    conn_pause(proxy, &client->conn,
               client->input.length - client->input_at > PIPELINE_BYTES_MAX);
}

void client_on_bytes(struct proxy *proxy, int64_t now_ns, struct client *client,
                     const char *bytes, size_t byte_count)
{
    if (client->input_at > 0) {
        client->input.length -= client->input_at;
        memmove(client->input.bytes, client->input.bytes + client->input_at,
                client->input.length);
        client->input_at = 0;
    }
    text_add_bytes(&client->input, bytes, byte_count);
    if (client->state == CLIENT_BUSY) {
        conn_pause(proxy, &client->conn, client->input.length > PIPELINE_BYTES_MAX);
        return;
    }
    take_input(proxy, now_ns, client);
}

void client_answered(struct proxy *proxy, int64_t now_ns, struct client *client,
                     bool keep_alive)
{
    client->exchange = NULL;
    if (!keep_alive || client->state != CLIENT_BUSY || proxy->draining) {
        proxy_drop_conn(proxy, &client->conn, true, true);
        return;
    }
    client->state = CLIENT_IDLE;
    client->conn.deadline_ns = now_ns + proxy->setup.limits.keep_alive_ns;
    if (!client->taking) {
        take_input(proxy, now_ns, client);
    }
}

void client_abort(struct proxy *proxy, struct client *client)
{
    client->exchange = NULL;
    proxy_drop_conn(proxy, &client->conn, true, true);
}

static void let_go(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    struct exchange *exchange = client->exchange;
    client->exchange = NULL;
    if (exchange != NULL) {
        exchange->client = NULL;
        proxy->counters.clients_gone++;
        exchange_client_gone(proxy, now_ns, exchange);
    }
}

void client_on_closed(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    let_go(proxy, now_ns, client);
    proxy_drop_conn(proxy, &client->conn, false, false);
}

void client_on_tick(struct proxy *proxy, int64_t now_ns, struct client *client)
{
    const struct conn *conn = &client->conn;
    if (conn->stalled_ns != 0 &&
        now_ns - conn->stalled_ns > proxy->setup.limits.send_ns) {
        proxy->counters.clients_timed_out++;
        let_go(proxy, now_ns, client);
        proxy_drop_conn(proxy, &client->conn, true, false);
        return;
    }
    if (conn->deadline_ns > now_ns) {
        return;
    }
    proxy->counters.clients_timed_out++;
    if (client->state == CLIENT_HEAD || client->state == CLIENT_BODY) {
        refuse_unread(proxy, now_ns, client, 408, "The request came too slowly.");
        return;
    }
    proxy_drop_conn(proxy, &client->conn, true, true);
}
