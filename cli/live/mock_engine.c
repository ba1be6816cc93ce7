/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_engine.c: routes and the clock.
 *
 * Engine time = time since the start times the scale. A turn waits for sockets until
 * the engine's next step would end. Tokens leave with the step that made them, all of a
 * request's new ones in one event, as vLLM's front end merges what it finds.
 */
#include "cli/live/mock_engine.h"

#include "base/hash.h"
#include "base/mem.h"
#include "cli/clock.h"
#include "cli/live/live_engine.h"
#include "cli/live/mock_adapters.h"
#include "cli/live/mock_ask.h"
#include "cli/live/mock_events.h"
#include "cli/live/mock_metrics.h"
#include "cli/live/openai.h"
#include "cli/live/web.h"
#include "traces/token_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    BODY_BYTES_MAX = 64 << 20,
    CONNECTIONS_MAX = 16384,
    NAME_BYTES = 128,
};
/* So that a signal is heard soon. */
static const int64_t turn_ns_max = 100000000;

/* One completion under way. */
struct answer {
    struct answer *previous;
    struct answer *next;
    struct mock_engine *mock;
    struct web_exchange *exchange;
    struct openai_answer facts;
    char id[NAME_BYTES];
    char *model;
    struct mock_adapter *adapter; /* NULL = the base model */
    struct text transfer;         /* kv_transfer_params, JSON; empty = null */
    struct text whole;            /* of an answer that is not streamed */
    uint64_t output_id;
    uint32_t handle;
    int64_t told_ns; /* engine time of the last tokens */
    bool stream;
    bool include_usage;
    bool by_length;
};

struct mock_engine {
    struct mock_engine_setup setup;
    struct mock_limits limits;
    struct web *web;
    struct live_engine *engine;
    struct mock_events *events; /* NULL = published nowhere */
    struct body_reader *reader;
    struct mock_metrics metrics;
    struct mock_ask ask; /* scratch */
    struct text scratch;
    struct mock_adapters adapters;
    char engine_id[NAME_BYTES];
    int64_t start_ns;
    int64_t created_unix_s;
    uint64_t answer_count;
    struct answer *answers; /* under way */
};

/* --- time ------------------------------------------------------------------------- */

static int64_t engine_now_ns(const struct mock_engine *mock)
{
    return (int64_t)((double)(clock_wall_ns() - mock->start_ns) *
                     mock->setup.time_scale);
}

static int64_t wait_ns(const struct mock_engine *mock)
{
    const int64_t next_ns = live_engine_next_ns(mock->engine);
    if (next_ns == INT64_MAX) {
        return turn_ns_max;
    }
    const double left_ns =
        (double)(next_ns - engine_now_ns(mock)) / mock->setup.time_scale;
    return left_ns < 0                     ? 0
           : left_ns < (double)turn_ns_max ? (int64_t)left_ns + 1
                                           : turn_ns_max;
}

/* --- small answers ---------------------------------------------------------------- */

static void reply_text(struct web_exchange *exchange, const char *type,
                       const struct text *text)
{
    const struct web_answer answer = {200, type, text_str(text), text->length};
    web_reply(exchange, &answer);
}

static void reply_error(struct mock_engine *mock, struct web_exchange *exchange,
                        unsigned status, const char *message)
{
    static const char NOT_FOUND[] = "NotFoundError";
    mock->scratch.length = 0;
    openai_error(&mock->scratch, status, status == 404 ? NOT_FOUND : "BadRequestError",
                 message, !mock->setup.flat_errors);
    const struct web_answer answer = {status, "application/json", mock->scratch.bytes,
                                      mock->scratch.length};
    web_reply(exchange, &answer);
}

/* --- adapters --------------------------------------------------------------------- */

static void adapters_reply(struct mock_engine *mock, struct web_exchange *exchange,
                           bool loads)
{
    size_t byte_count = 0;
    struct text said = {0};
    const char *body = web_body(exchange, &byte_count);
    const unsigned status =
        loads ? mock_adapters_load(&mock->adapters, body, byte_count, &said)
              : mock_adapters_unload(&mock->adapters, body, byte_count, &said);
    if (status == 200) {
        reply_text(exchange, "text/plain; charset=utf-8", &said);
    } else {
        reply_error(mock, exchange, status, text_str(&said));
    }
    text_fini(&said);
}

static void on_load_adapter(struct mock_engine *mock, struct web_exchange *exchange)
{
    adapters_reply(mock, exchange, true);
}

static void on_unload_adapter(struct mock_engine *mock, struct web_exchange *exchange)
{
    adapters_reply(mock, exchange, false);
}

/* --- completions ------------------------------------------------------------------ */

static void answer_delete(struct answer *answer)
{
    if (answer->previous != NULL) {
        answer->previous->next = answer->next;
    } else {
        answer->mock->answers = answer->next;
    }
    if (answer->next != NULL) {
        answer->next->previous = answer->previous;
    }
    if (answer->adapter != NULL) {
        answer->adapter->in_flight--;
    }
    text_fini(&answer->transfer);
    text_fini(&answer->whole);
    mem_free(answer->model);
    mem_free(answer);
}

/* Digits behind the last dash of an id of ours name the record whose answer this is;
 * other ids (hex of a UUID) do not begin with this word. */
static uint64_t output_id_of(const char *request_id)
{
    static const char PREFIX[] = "stacksim-";
    uint64_t value = 0;
    if (strncmp(request_id, PREFIX, sizeof PREFIX - 1) != 0) {
        return 0;
    }
    for (const char *at = request_id + sizeof PREFIX - 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || value > SEGMENT_ID_MAX / 10) {
            return 0;
        }
        value = value * 10 + (uint64_t)(*at - '0');
    }
    return value <= SEGMENT_ID_MAX ? value : 0;
}

static struct answer *answer_new(struct mock_engine *mock,
                                 struct web_exchange *exchange, bool chat)
{
    struct answer *answer = mem_alloc(1, sizeof *answer);
    const char *given = http_field(web_head(exchange), "X-Request-Id");
    const struct mock_ask *ask = &mock->ask;
    const bool named = given != NULL && given[0] != '\0' && strlen(given) < 100;
    const char *prefix = chat ? "chatcmpl" : "cmpl";
    if (named) {
        (void)snprintf(answer->id, sizeof answer->id, "%s-%s", prefix, given);
    } else {
        (void)snprintf(answer->id, sizeof answer->id, "%s-%016" PRIx64, prefix,
                       hash_pair(mock->limits.port, mock->answer_count));
    }
    mock->answer_count++;
    answer->mock = mock;
    answer->next = mock->answers;
    if (answer->next != NULL) {
        answer->next->previous = answer;
    }
    mock->answers = answer;
    answer->exchange = exchange;
    answer->model =
        mem_strdup(ask->model.length > 0 ? text_str(&ask->model) : mock->setup.model);
    answer->facts =
        (struct openai_answer){chat, answer->id, answer->model, clock_unix_s()};
    answer->output_id = named ? output_id_of(given) : 0;
    answer->stream = ask->stream;
    answer->include_usage = ask->include_usage;
    answer->by_length = ask->ends_by_length;
    text_add_bytes(&answer->transfer, text_str(&ask->kv_transfer_params),
                   ask->kv_transfer_params.length);
    web_tie(exchange, answer);
    return answer;
}

static void submit(struct mock_engine *mock, struct answer *answer)
{
    const struct mock_ask *ask = &mock->ask;
    const char *name = answer->adapter != NULL ? answer->adapter->name : "";
    const struct live_order order = {
        .owner = answer,
        .prompt = {.ids = ask->ids,
                   .count = ask->id_count,
                   .salt = ask->cache_salt ^ hash_xxh64(name, strlen(name), 0),
                   .apart = ask->cache_salt != 0 || answer->adapter != NULL},
        .output_id = answer->output_id,
        .output_tokens = ask->output_tokens,
        .remote_tokens = ask->remote_tokens,
        .priority = ask->priority,
    };
    answer->handle = live_engine_submit(mock->engine, engine_now_ns(mock), &order,
                                        &answer->output_id);
}

static void complete(struct mock_engine *mock, struct web_exchange *exchange, bool chat)
{
    struct mock_ask *ask = &mock->ask;
    struct mock_body body = {.chat = chat};
    body.bytes = web_body(exchange, &body.byte_count);
    if (!mock_ask_read(ask, mock->reader, &body, &mock->limits)) {
        reply_error(mock, exchange, 400, text_str(&ask->refusal));
        return;
    }
    const char *model = text_str(&ask->model);
    struct mock_adapter *adapter = mock_adapters_find(&mock->adapters, model);
    if (ask->model.length > 0 && adapter == NULL &&
        strcmp(model, mock->setup.model) != 0) {
        struct text message = {0};
        text_printf(&message, "The model `%s` does not exist.", model);
        reply_error(mock, exchange, 404, text_str(&message));
        text_fini(&message);
        return;
    }
    if (!mock_ask_fit(ask, &mock->limits)) {
        reply_error(mock, exchange, 400, text_str(&ask->refusal));
        return;
    }
    struct answer *answer = answer_new(mock, exchange, chat);
    answer->adapter = adapter;
    if (adapter != NULL) {
        adapter->in_flight++;
    }
    submit(mock, answer);
}

static void on_completion(struct mock_engine *mock, struct web_exchange *exchange)
{
    complete(mock, exchange, false);
}

static void on_chat(struct mock_engine *mock, struct web_exchange *exchange)
{
    complete(mock, exchange, true);
}

static void stream_tokens(struct answer *answer, const struct live_tokens *tokens,
                          const struct openai_text *piece,
                          const struct openai_usage *usage)
{
    struct text *out = &answer->mock->scratch;
    out->length = 0;
    if (tokens->before == 0) {
        web_stream_begin(answer->exchange, "text/event-stream; charset=utf-8");
        if (answer->facts.chat) {
            openai_stream_role(out, &answer->facts);
        }
    }
    openai_stream_text(out, &answer->facts, piece);
    if (tokens->ended) {
        if (answer->include_usage) {
            openai_stream_usage(out, &answer->facts, usage);
        }
        openai_stream_done(out);
    }
    web_stream_add(answer->exchange, out->bytes, out->length);
    if (tokens->ended) {
        web_stream_end(answer->exchange);
    }
}

static void reply_whole(struct answer *answer, const char *finish_reason,
                        const struct openai_usage *usage)
{
    struct text *out = &answer->mock->scratch;
    const struct openai_text text = {answer->whole.bytes, answer->whole.length,
                                     finish_reason};
    out->length = 0;
    openai_whole(out, &answer->facts, &text, usage,
                 answer->transfer.length > 0 ? answer->transfer.bytes : NULL);
    reply_text(answer->exchange, "application/json", out);
}

static void on_tokens(void *context, void *owner, const struct live_tokens *tokens)
{
    struct mock_engine *mock = context;
    struct answer *answer = owner;
    const struct segment made = {.stream =
                                     segment_stream(SEGMENT_OUTPUT, answer->output_id),
                                 .offset = tokens->before,
                                 .tokens = tokens->tokens};
    const struct openai_usage usage = {tokens->request->prompt_tokens,
                                       tokens->before + tokens->tokens,
                                       tokens->request->cached_tokens};
    const char *finish_reason = answer->by_length ? "length" : "stop";
    mock_metrics_tokens(&mock->metrics, tokens, tokens->now_ns - answer->told_ns);
    answer->told_ns = tokens->now_ns;
    if (answer->stream) {
        struct text piece = {0};
        token_text_add(&piece, &made, 1);
        const struct openai_text text = {piece.bytes, piece.length,
                                         tokens->ended ? finish_reason : NULL};
        stream_tokens(answer, tokens, &text, &usage);
        text_fini(&piece);
    } else {
        token_text_add(&answer->whole, &made, 1);
        if (tokens->ended) {
            reply_whole(answer, finish_reason, &usage);
        }
    }
    if (tokens->ended) {
        mock_metrics_end(&mock->metrics, tokens, answer->by_length);
        answer_delete(answer);
    }
}

/* --- other routes ----------------------------------------------------------------- */

static void on_models(struct mock_engine *mock, struct web_exchange *exchange)
{
    struct text *out = &mock->scratch;
    struct openai_card card = {
        .id = mock->setup.model,
        .root = mock->setup.model,
        .created_unix_s = mock->created_unix_s,
        .max_model_len = mock->limits.max_model_len,
    };
    out->length = 0;
    text_add(out, "{\"object\":\"list\",\"data\":[");
    openai_model_card(out, &card);
    for (size_t i = 0; i < MOCK_ADAPTERS_MAX; i++) {
        const struct mock_adapter *adapter = &mock->adapters.places[i];
        if (adapter->name != NULL) {
            card.id = adapter->name;
            card.root = adapter->path;
            card.parent = mock->setup.model;
            card.max_model_len = 0;
            text_add(out, ",");
            openai_model_card(out, &card);
        }
    }
    text_add(out, "]}");
    reply_text(exchange, "application/json", out);
}

static void on_health(struct mock_engine *mock, struct web_exchange *exchange)
{
    const struct text empty = {0};
    (void)mock;
    reply_text(exchange, NULL, &empty);
}

static void on_version(struct mock_engine *mock, struct web_exchange *exchange)
{
    static const char *const VERSIONS[] = {[ENGINE_V085] = "0.8.5",
                                           [ENGINE_V010] = "0.10.1",
                                           [ENGINE_V019] = "0.19.0",
                                           [ENGINE_HEAD] = "0.19.1"};
    mock->scratch.length = 0;
    text_printf(&mock->scratch, "{\"version\":\"%s+stacksim\"}",
                VERSIONS[mock->setup.pool->engine.compat]);
    reply_text(exchange, "application/json", &mock->scratch);
}

static void on_metrics(struct mock_engine *mock, struct web_exchange *exchange)
{
    struct mock_gauges gauges = {
        .model = mock->setup.model,
        .pool = mock->setup.pool,
        .stats = live_engine_stats(mock->engine),
    };
    struct text adapters = {0};
    mock_adapters_running(&mock->adapters, &adapters);
    gauges.running_adapters = adapters.length > 0 ? adapters.bytes : NULL;
    live_engine_advance(mock->engine, engine_now_ns(mock));
    live_engine_peek(mock->engine, &gauges.sample);
    mock->scratch.length = 0;
    mock_metrics_print(&mock->metrics, &gauges, &mock->scratch);
    reply_text(exchange, "text/plain; version=0.0.4; charset=utf-8", &mock->scratch);
    text_fini(&adapters);
}

static void on_tokenize(struct mock_engine *mock, struct web_exchange *exchange)
{
    struct mock_ask *ask = &mock->ask;
    struct mock_body body = {0};
    struct text *out = &mock->scratch;
    body.bytes = web_body(exchange, &body.byte_count);
    body.chat = strstr(body.bytes, "\"messages\"") != NULL;
    if (!mock_ask_read(ask, mock->reader, &body, &mock->limits)) {
        reply_error(mock, exchange, 400, text_str(&ask->refusal));
        return;
    }
    out->length = 0;
    text_printf(out, "{\"count\":%zu,\"max_model_len\":%" PRIu32 ",\"tokens\":[",
                ask->id_count, mock->limits.max_model_len);
    for (size_t i = 0; i < ask->id_count; i++) {
        text_printf(out, "%s%" PRIu32, i == 0 ? "" : ",", ask->ids[i]);
    }
    text_add(out, "]}");
    reply_text(exchange, "application/json", out);
}

/* --- routes ----------------------------------------------------------------------- */

struct route {
    const char *method;
    const char *path;
    void (*serve)(struct mock_engine *mock, struct web_exchange *exchange);
};
static const struct route ROUTES[] = {
    {"POST", "/v1/completions", on_completion},
    {"POST", "/v1/chat/completions", on_chat},
    {"GET", "/v1/models", on_models},
    {"GET", "/health", on_health},
    {"GET", "/ping", on_health},
    {"POST", "/ping", on_health},
    {"GET", "/version", on_version},
    {"GET", "/metrics", on_metrics},
    {"POST", "/tokenize", on_tokenize},
    {"POST", "/v1/load_lora_adapter", on_load_adapter},
    {"POST", "/v1/unload_lora_adapter", on_unload_adapter},
};

static bool path_is(const char *target, const char *path)
{
    const size_t length = strlen(path);
    return strncmp(target, path, length) == 0 &&
           (target[length] == '\0' || target[length] == '?' ||
            strcmp(target + length, "/") == 0);
}

static void on_request(void *context, struct web_exchange *exchange)
{
    struct mock_engine *mock = context;
    const struct http_head *head = web_head(exchange);
    bool known = false;
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        if (path_is(http_target(head), ROUTES[i].path)) {
            known = true;
            if (strcmp(head->method, ROUTES[i].method) == 0) {
                ROUTES[i].serve(mock, exchange);
                return;
            }
        }
    }
    /* FastAPI's own words. */
    const char *detail =
        known ? "{\"detail\":\"Method Not Allowed\"}" : "{\"detail\":\"Not Found\"}";
    const struct web_answer answer = {known ? 405 : 404, "application/json", detail,
                                      strlen(detail)};
    web_reply(exchange, &answer);
}

static void on_gone(void *context, struct web_exchange *exchange)
{
    struct mock_engine *mock = context;
    struct answer *answer = web_owner(exchange);
    mock->metrics.finished_abort++;
    live_engine_cancel(mock->engine, engine_now_ns(mock), answer->handle);
    answer_delete(answer);
}

/* --- life ------------------------------------------------------------------------- */

bool mock_engine_new(struct mock_engine **out, const struct mock_engine_setup *setup,
                     struct err *err)
{
    struct mock_engine *mock = mem_alloc(1, sizeof *mock);
    mock->setup = *setup;
    const struct web_setup web = {
        .host = setup->host,
        .port = setup->port,
        .handler = {mock, on_request, on_gone},
        .body_bytes_max = BODY_BYTES_MAX,
        .connections_max = CONNECTIONS_MAX,
    };
    if (!web_open(&mock->web, &web, err)) {
        mem_free(mock);
        return false;
    }
    if (setup->kv_events != NULL &&
        !mock_events_new(&mock->events, setup->kv_events,
                         setup->pool->engine.block_tokens, err)) {
        web_close(mock->web);
        mem_free(mock);
        return false;
    }
    const struct live_setup live = {
        .pool = setup->pool,
        .events = {mock, on_tokens},
        .listener = mock->events != NULL ? mock_events_listener(mock->events) : NULL,
        .kv_bytes_per_s = setup->kv_bytes_per_s,
    };
    mock->engine = live_engine_new(&live);
    if (mock->events != NULL) {
        mock_events_ids(mock->events, live_engine_blocks(mock->engine));
    }
    mock->reader = body_reader_new();
    mock->start_ns = clock_wall_ns();
    mock->created_unix_s = clock_unix_s();
    (void)snprintf(mock->engine_id, sizeof mock->engine_id, "mock-%u",
                   (unsigned)web_port(mock->web));
    mock->limits = (struct mock_limits){
        .max_model_len = setup->pool->engine.max_model_len,
        .answer_tokens = setup->answer_tokens,
        .block_tokens = setup->pool->engine.block_tokens,
        .engine_id = mock->engine_id,
        .port = web_port(mock->web),
    };
    *out = mock;
    return true;
}

void mock_engine_delete(struct mock_engine *mock)
{
    if (mock == NULL) {
        return;
    }
    while (mock->answers != NULL) {
        answer_delete(mock->answers);
    }
    web_close(mock->web);
    live_engine_delete(mock->engine);
    mock_events_delete(mock->events);
    body_reader_delete(mock->reader);
    mock_ask_fini(&mock->ask);
    text_fini(&mock->scratch);
    mock_adapters_fini(&mock->adapters);
    mem_free(mock);
}

uint16_t mock_engine_port(const struct mock_engine *mock)
{
    return web_port(mock->web);
}

bool mock_engine_turn(struct mock_engine *mock, struct err *err)
{
    live_engine_advance(mock->engine, engine_now_ns(mock));
    if (mock->events != NULL) {
        mock_events_flush(mock->events, (double)clock_unix_s());
    }
    return web_turn(mock->web, wait_ns(mock), err);
}
