/* SPDX-License-Identifier: Apache-2.0
 *
 * exchange.c: one request and its answer, from the last byte read to the last byte
 * sent.
 *
 *     READING -> [QUEUED] -> CONNECTING -> WAITING -> STREAMING -> DONE
 *                               ^  failed: |
 *                               +- [BACKOFF] (another backend, before any byte)
 *
 * Before the answer's head a failure costs the client nothing but time: the policy is
 * asked again without the backends that failed. Afterwards nothing may be repeated: the
 * client's answer is broken off so that it cannot be taken for a complete one.
 */
#include "base/check.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const int64_t backoff_first_ns = 50000000;
static const double retry_tokens_max = 10;

static void make_uuid(struct rng *rng, char out[REQUEST_ID_BYTES])
{
    const uint64_t high = rng_next(rng);
    const uint64_t low = rng_next(rng);
    (void)snprintf(out, REQUEST_ID_BYTES, "%08x-%04x-4%03x-%04x-%012" PRIx64,
                   (unsigned)(high >> 32), (unsigned)(high >> 16) & 0xFFFFU,
                   (unsigned)high & 0xFFFU, 0x8000U | ((unsigned)(low >> 48) & 0x3FFFU),
                   low & UINT64_C(0xFFFFFFFFFFFF));
}

struct exchange *exchange_new(struct proxy *proxy, int64_t now_ns,
                              enum exchange_kind kind)
{
    struct exchange *exchange = mem_alloc(1, sizeof *exchange);
    exchange->kind = kind;
    exchange->arrival_ns = now_ns;
    exchange->deadline_ns = INT64_MAX;
    exchange->end_deadline_ns = INT64_MAX;
    exchange->number = proxy->next_number++;
    make_uuid(&proxy->rng, exchange->id);
    exchange->next = proxy->exchanges;
    if (proxy->exchanges != NULL) {
        proxy->exchanges->previous = exchange;
    }
    proxy->exchanges = exchange;
    proxy->exchange_count++;
    return exchange;
}

void exchange_release_body(struct proxy *proxy, struct exchange *exchange)
{
    proxy->buffered_bytes -= exchange->buffered_bytes;
    exchange->buffered_bytes = 0;
    text_fini(&exchange->body);
}

void exchange_free(struct proxy *proxy, struct exchange *exchange)
{
    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        proxy->exchanges = exchange->next;
    }
    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    proxy->exchange_count--;
    exchange_release_body(proxy, exchange);
    for (uint32_t i = 0; i < exchange->tried_count; i++) {
        fleet_give(proxy->fleet, exchange->tried[i]);
    }
    fleet_give(proxy->fleet, exchange->backend);
    text_fini(&exchange->target);
    text_fini(&exchange->fields);
    text_fini(&exchange->answer);
    mem_free(exchange->form_type);
    mem_free(exchange->session_field);
    mem_free(exchange->session_key);
    mem_free(exchange->pin);
    mem_free(exchange->model);
    mem_free(exchange->adapter);
    mem_free(exchange->hashes);
    mem_free(exchange->pod);
    mem_free(exchange);
}

/* --- the queue -------------------------------------------------------------------- */

static void enqueue(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    exchange->state = EXCHANGE_QUEUED;
    exchange->deadline_ns = now_ns + proxy->setup.limits.queue_ns;
    if (proxy->queue_last != NULL) {
        proxy->queue_last->next_queued = exchange;
    } else {
        proxy->queue_first = exchange;
    }
    proxy->queue_last = exchange;
    proxy->queued_count++;
    proxy->counters.requests_queued++;
}

static void dequeue(struct proxy *proxy, struct exchange *exchange)
{
    struct exchange *before = NULL;
    struct exchange *at = proxy->queue_first;
    while (at != exchange) {
        before = at;
        at = at->next_queued;
    }
    if (before != NULL) {
        before->next_queued = exchange->next_queued;
    } else {
        proxy->queue_first = exchange->next_queued;
    }
    if (proxy->queue_last == exchange) {
        proxy->queue_last = before;
    }
    exchange->next_queued = NULL;
    proxy->queued_count--;
}

void exchange_go_on(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    if (fleet_config(proxy->fleet)->disaggregation != DISAGGREGATION_NONE) {
        disagg_start(proxy, now_ns, exchange);
        return;
    }
    exchange_try(proxy, now_ns, exchange);
}

static void admit(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    proxy->active_count++;
    exchange->counted = true;
    if (proxy->retry_tokens < retry_tokens_max) {
        proxy->retry_tokens += proxy->setup.limits.retry_ratio;
    }
    if (!exchange->wants_ids || !tokenize_start(proxy, now_ns, exchange)) {
        exchange_go_on(proxy, now_ns, exchange);
    }
}

void exchange_admit_waiting(struct proxy *proxy, int64_t now_ns)
{
    while (proxy->queue_first != NULL &&
           proxy->active_count < proxy->setup.limits.requests_max) {
        struct exchange *first = proxy->queue_first;
        dequeue(proxy, first);
        admit(proxy, now_ns, first);
    }
}

/* --- the end ---------------------------------------------------------------------- */

/* A leg without a request has nobody to answer, a request without its leg is told by
 * the leg's `done`. */
static void part_from_family(int64_t now_ns, struct exchange *exchange)
{
    struct exchange *child = exchange->child;
    exchange->child = NULL;
    if (child != NULL) {
        child->parent = NULL;
        child->done = NULL;
        child->end_deadline_ns = now_ns; /* the next tick ends it */
    }
    if (exchange->parent != NULL) {
        exchange->parent->child = NULL;
    }
}

void exchange_finish(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                     enum attempt_how how)
{
    if (exchange->state == EXCHANGE_DONE) {
        return;
    }
    if (exchange->state == EXCHANGE_QUEUED) {
        dequeue(proxy, exchange);
    }
    if (exchange->engine != NULL) {
        engine_detach(proxy, now_ns, exchange, false);
    }
    exchange->state = EXCHANGE_DONE;
    part_from_family(now_ns, exchange);
    access_log(proxy, now_ns, exchange);
    fleet_end(proxy->fleet, now_ns, &exchange->attempt, how, exchange->cached_tokens);
    exchange->next_dead = proxy->dead_exchanges;
    proxy->dead_exchanges = exchange;
    if (exchange->counted) {
        exchange->counted = false;
        proxy->active_count--;
    }
}

void exchange_client_gone(struct proxy *proxy, int64_t now_ns,
                          struct exchange *exchange)
{
    exchange_finish(proxy, now_ns, exchange, ATTEMPT_ABORTED);
}

void exchange_refuse(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                     unsigned status, const char *text)
{
    struct text body = {0};
    text_add(&body, "{\"error\":");
    body_add_string(&body, text, strlen(text));
    text_add(&body, "}");
    proxy->counters.requests_refused++;
    const bool busy = status == 503 || status == 429;
    reply_send(proxy, now_ns, exchange,
               &(struct reply){.status = status,
                               .type = "application/json",
                               .body = body.bytes,
                               .body_bytes = body.length,
                               .extra = busy ? "Retry-After: 1\r\n" : NULL});
    text_fini(&body);
}

/* An internal exchange, or a leg, came to its end. */
void exchange_tell_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                        unsigned status)
{
    const struct exchange_answer answer = {
        .status = status,
        .body = text_str(&exchange->answer),
        .body_bytes = exchange->answer.length,
    };
    exchange_finish(proxy, now_ns, exchange,
                    status != 0 ? ATTEMPT_COMPLETED : ATTEMPT_ABORTED);
    if (exchange->done != NULL) {
        exchange->done(proxy, now_ns, exchange, &answer);
    }
}

static void report(struct proxy *proxy, int64_t now_ns, const struct backend *backend,
                   const char *what, unsigned status)
{
    sentry_report(proxy, now_ns,
                  &(struct sentry_event){
                      .what = what,
                      .server = backend != NULL ? backend->url : NULL,
                      .model = backend != NULL ? backend->model : NULL,
                      .status = status,
                  });
}

/* --- tries ------------------------------------------------------------------------ */

static void refuse_model(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct text text = {0};
    unsigned status = 400;
    const char *name = exchange->adapter != NULL ? exchange->adapter : exchange->model;
    proxy->counters.requests_unrouted++;
    if (proxy->setup.compat != COMPAT_HEAD) {
        text_printf(&text, "Model %s not found.", name);
    } else if (fleet_knew(proxy->fleet, name)) {
        status = 503;
        text_printf(&text,
                    "Model '%s' is temporarily unavailable. Please try again later.",
                    name);
    } else {
        status = 404;
        text_printf(&text,
                    "Model '%s' not found. Available models can be listed at "
                    "/v1/models.",
                    name);
    }
    exchange_refuse(proxy, now_ns, exchange, status, text_str(&text));
    text_fini(&text);
}

static bool is_tried(const struct exchange *exchange, const struct backend *backend)
{
    for (uint32_t i = 0; i < exchange->tried_count; i++) {
        if (exchange->tried[i] == backend) {
            return true;
        }
    }
    return false;
}

/* Backends that this request must not go to, whatever the policy thinks. */
static bool is_barred(const struct proxy *proxy, const struct exchange *exchange,
                      const struct backend *backend)
{
    const struct config *config = fleet_config(proxy->fleet);
    if (is_tried(exchange, backend) ||
        (exchange->pin != NULL && strcmp(exchange->pin, backend->engine_id) != 0) ||
        (exchange->adapter != NULL &&
         !backend_has_adapter(backend, exchange->adapter))) {
        return true;
    }
    if (exchange->leg == LEG_ANY) {
        return false;
    }
    const char *labels =
        exchange->leg == LEG_PREFILL ? config->prefill_labels : config->decode_labels;
    return !config_label_in(config, labels, backend->label);
}

static void count_lookup(struct counters *counters, enum route_reason reason)
{
    counters->kv_lookup_hit += reason == REASON_KV_HIT ? 1 : 0;
    counters->kv_lookup_miss += reason == REASON_KV_NO_HIT ? 1 : 0;
    counters->kv_lookup_below_threshold += reason == REASON_KV_BELOW_THRESHOLD ? 1 : 0;
    counters->kv_lookup_unmapped += reason == REASON_KV_UNMAPPED ? 1 : 0;
}

static bool ask_policy(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                       const struct fleet_question *question)
{
    const bool routed = fleet_route(proxy->fleet, now_ns, question, &exchange->attempt);
    count_lookup(&proxy->counters, exchange->attempt.reason);
    return routed;
}

static bool route(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct request_view view;
    request_view_of(exchange, &view);
    struct fleet_question question = {&view, exchange->tried, exchange->tried_count};
    if (exchange->pin == NULL && exchange->adapter == NULL &&
        exchange->leg == LEG_ANY) {
        return ask_policy(proxy, now_ns, exchange, &question);
    }
    const size_t count = fleet_count(proxy->fleet);
    struct backend **barred = mem_alloc(count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        struct backend *backend = fleet_at(proxy->fleet, i);
        barred[i] = is_barred(proxy, exchange, backend) ? backend : NULL;
    }
    question.tried = barred;
    question.tried_count = count;
    const bool routed = ask_policy(proxy, now_ns, exchange, &question);
    mem_free(barred);
    return routed;
}

static void refuse_unrouted(struct proxy *proxy, int64_t now_ns,
                            struct exchange *exchange)
{
    if (exchange->attempt.reason != REASON_NONE) {
        exchange_refuse(proxy, now_ns, exchange, 500, "Internal Server Error");
    } else if (exchange->tried_count > 0) {
        report(proxy, now_ns, exchange->tried[exchange->tried_count - 1],
               "no backend could be reached", 500);
        exchange_refuse(proxy, now_ns, exchange, 500, "No backend could be reached.");
    } else if (exchange->leg == LEG_DECODE) {
        exchange_refuse(proxy, now_ns, exchange, 503,
                        "DECODE_SERVICE_UNAVAILABLE: no backend decodes this model.");
    } else if (exchange->pin != NULL) {
        exchange_refuse(proxy, now_ns, exchange, 404,
                        "The engine named by ?id= does not serve this model.");
    } else {
        refuse_model(proxy, now_ns, exchange);
    }
}

void exchange_try(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    exchange->routed_ns = now_ns;
    exchange->tries++;
    if (route(proxy, now_ns, exchange)) {
        struct backend *backend = exchange->attempt.backend;
        if (exchange->kind == EXCHANGE_PREFILL) {
            backend_take(backend); /* its answer will be read when the try is over */
            exchange->backend = backend;
        }
        exchange->state = EXCHANGE_CONNECTING;
        engine_attach(proxy, now_ns, exchange, backend->origin);
    } else if (exchange->kind == EXCHANGE_PROXY) {
        refuse_unrouted(proxy, now_ns, exchange);
    } else {
        exchange_tell_done(proxy, now_ns, exchange, 0);
    }
}

void exchange_start(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    const struct proxy_limits *limits = &proxy->setup.limits;
    exchange->arrival_ns = now_ns;
    if (limits->request_ns > 0) {
        exchange->end_deadline_ns = now_ns + limits->request_ns;
    }
    if (!request_read(proxy, now_ns, exchange)) {
        return;
    }
    if (proxy->active_count < limits->requests_max && proxy->queue_first == NULL) {
        admit(proxy, now_ns, exchange);
        return;
    }
    if (proxy->queued_count >= limits->queue_max) {
        proxy->counters.requests_queue_full++;
        exchange_refuse(proxy, now_ns, exchange, 503,
                        "Too many requests are under way. Please try again later.");
        return;
    }
    enqueue(proxy, now_ns, exchange);
}

void exchange_start_internal(struct proxy *proxy, int64_t now_ns,
                             struct exchange *exchange, struct backend *backend)
{
    backend_take(backend);
    exchange->backend = backend;
    exchange->routed_ns = now_ns;
    exchange->state = EXCHANGE_CONNECTING;
    engine_attach(proxy, now_ns, exchange, backend->origin);
}

void exchange_connected(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct engine_conn *engine = exchange->engine;
    exchange->state = EXCHANGE_WAITING;
    exchange->deadline_ns = proxy->setup.limits.first_byte_ns > 0
                                ? now_ns + proxy->setup.limits.first_byte_ns
                                : INT64_MAX;
    proxy->scratch.length = 0;
    request_write_head(proxy, exchange, engine->origin, &proxy->scratch);
    conn_write(proxy, &engine->conn, proxy->scratch.bytes, proxy->scratch.length);
    conn_write(proxy, &engine->conn, text_str(&exchange->body), exchange->body.length);
}

/* --- failures --------------------------------------------------------------------- */

static struct counter_server *server_of(struct proxy *proxy,
                                        const struct exchange *exchange)
{
    const struct backend *backend = exchange->attempt.backend != NULL
                                        ? exchange->attempt.backend
                                        : exchange->backend;
    return backend == NULL ? NULL
                           : counters_server(&proxy->counters, backend->slot,
                                             backend->name, backend->model);
}

static bool may_retry(struct proxy *proxy, const struct exchange *exchange)
{
    if (exchange->tries > proxy->setup.limits.retries_max ||
        exchange->tried_count == TRIED_MAX || exchange->client == NULL) {
        return false;
    }
    if (proxy->retry_tokens < 1) {
        proxy->counters.retries_refused++;
        return false;
    }
    return true;
}

/* The attempt is over; the request goes to another backend or is refused. */
static void retry(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                  const char *why)
{
    struct backend *backend = exchange->attempt.backend;
    backend_take(backend);
    fleet_end(proxy->fleet, now_ns, &exchange->attempt, ATTEMPT_REFUSED, 0);
    if (!may_retry(proxy, exchange)) {
        proxy_warn(proxy, "%s: %s; request %s failed", backend->url, why, exchange->id);
        report(proxy, now_ns, backend, "the backend could not be reached", 500);
        fleet_give(proxy->fleet, backend);
        exchange_refuse(proxy, now_ns, exchange, 500,
                        "The backend could not be reached.");
        return;
    }
    exchange->tried[exchange->tried_count++] = backend;
    exchange->fresh_conn = false;
    proxy->retry_tokens -= 1;
    proxy->counters.retries++;
    if (exchange->tries == 1) {
        exchange_try(proxy, now_ns, exchange);
        return;
    }
    exchange->state = EXCHANGE_BACKOFF;
    exchange->deadline_ns = now_ns + (backoff_first_ns << (exchange->tries - 2));
}

/* The answer had begun: say so in the stream where the format allows it, then break. */
static void cut(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    static const char EVENT[] =
        "\n\ndata: {\"error\":{\"message\":\"The engine broke off its answer.\","
        "\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\n";
    struct client *client = exchange->client;
    proxy->counters.answers_cut++;
    report(proxy, now_ns, exchange->attempt.backend, "an answer broke off",
           exchange->status);
    exchange_finish(proxy, now_ns, exchange, ATTEMPT_ABORTED);
    if (client == NULL) {
        return;
    }
    if (exchange->answer_sse && exchange->answer_chunked && !exchange->answer_encoded) {
        char size[24];
        const int length = snprintf(size, sizeof size, "%zx\r\n", sizeof EVENT - 1);
        conn_write(proxy, &client->conn, size, (size_t)length);
        conn_write(proxy, &client->conn, EVENT, sizeof EVENT - 1);
        conn_write(proxy, &client->conn, "\r\n", 2);
    }
    client_abort(proxy, client);
}

static void blame(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct backend *backend = exchange->attempt.backend;
    if (backend != NULL) {
        fleet_blame(proxy->fleet, now_ns, backend);
    }
}

void exchange_failed(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                     const char *why)
{
    const struct engine_conn *engine = exchange->engine;
    const bool stale = exchange->state == EXCHANGE_WAITING && engine->reused &&
                       !engine->got_bytes && !exchange->fresh_conn;
    struct origin *origin = engine->origin;
    struct counter_server *server = server_of(proxy, exchange);
    engine_detach(proxy, now_ns, exchange, false);
    if (stale) {
        proxy->counters.reconnects++;
        exchange->fresh_conn = true;
        exchange->state = EXCHANGE_CONNECTING;
        engine_attach(proxy, now_ns, exchange, origin);
        return;
    }
    blame(proxy, now_ns, exchange);
    if (exchange->kind != EXCHANGE_PROXY) {
        exchange_tell_done(proxy, now_ns, exchange, 0);
        return;
    }
    if (exchange->state == EXCHANGE_STREAMING) {
        server->errors_cut++;
        cut(proxy, now_ns, exchange);
        return;
    }
    server->errors_connect++;
    retry(proxy, now_ns, exchange, why);
}

static void time_out(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct counter_server *server = server_of(proxy, exchange);
    if (exchange->kind != EXCHANGE_PROXY) {
        exchange_tell_done(proxy, now_ns, exchange, 0);
        return;
    }
    if (server != NULL) {
        server->errors_timeout++;
    }
    proxy->counters.requests_timed_out++;
    if (exchange->state == EXCHANGE_STREAMING) {
        cut(proxy, now_ns, exchange);
        return;
    }
    report(proxy, now_ns, exchange->attempt.backend, "a request took too long", 504);
    fleet_end(proxy->fleet, now_ns, &exchange->attempt, ATTEMPT_ABORTED, 0);
    exchange_refuse(proxy, now_ns, exchange, 504, "The request took too long.");
}

void exchange_on_tick(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_DONE || exchange->state == EXCHANGE_READING) {
        return;
    }
    if (exchange->end_deadline_ns <= now_ns) {
        time_out(proxy, now_ns, exchange);
        return;
    }
    if (exchange->deadline_ns > now_ns) {
        return;
    }
    if (exchange->state == EXCHANGE_QUEUED) {
        proxy->counters.requests_queue_timed_out++;
        exchange_refuse(proxy, now_ns, exchange, 503,
                        "The request waited too long for its turn.");
        return;
    }
    if (exchange->state == EXCHANGE_BACKOFF) {
        exchange->deadline_ns = INT64_MAX;
        exchange_try(proxy, now_ns, exchange);
        return;
    }
    if (exchange->state == EXCHANGE_CONNECTING) {
        exchange_failed(proxy, now_ns, exchange, "connection timed out");
        return;
    }
    if (exchange->state == EXCHANGE_STREAMING && exchange->engine != NULL &&
        exchange->engine->conn.paused) {
        exchange->deadline_ns = INT64_MAX; /* the client is slow, not the engine */
        return;
    }
    time_out(proxy, now_ns, exchange);
}
