/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_net.h: a network of one proxy, clients and engines, on a clock of its own.
 *
 * Bytes lie in queues between the two ends of a connection until the test, or chance,
 * delivers some of them. Engines speak HTTP by a script that their host's name says:
 *
 *   ok      a JSON answer that names the engine and repeats the request's body
 *   sse     five events, chunked
 *   eof     an answer that ends with the connection
 *   refuse  no connection can be made
 *   reset   the connection breaks when a request arrived
 *   cut     the connection breaks in the middle of an event stream
 *   hang    nothing ever comes
 *   mute    connects, never answers to the connection attempt
 *   twice   an answer and the beginning of one that nobody asked for
 *   early   an interim answer, then as ok
 *   junk    no HTTP
 *   busy    503 with a body
 *   kv      as ok; to a prefill request with kv_transfer_params, some of its own
 *   lora    as ok; lists the adapter "ad" of its model, and sleeps when told
 */
#ifndef STACKSIM_TESTS_DST_FAKE_NET_H
#define STACKSIM_TESTS_DST_FAKE_NET_H

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "router/http.h"
#include "router/proxy.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { NET_CONNS_MAX = 4096, NET_ENDS_MAX = 65536 };

struct net_engine {
    struct http_parser *parser;
    struct text body;
    struct text seen; /* all requests, as they came */
    char script[16];
    char name[64];
    bool speaks_once; /* the script has been played */
};

/* One connection, from its first event to its last. */
struct net_end {
    uint32_t conn; /* the proxy's number while `alive` */
    bool engine;
    bool alive; /* the proxy knows it */
    bool connected;
    bool connect_due;
    bool close_due; /* the peer closed once `to_proxy` is delivered */
    bool reading;
    bool graceful;
    bool over;
    size_t unread_max; /* 0 = the peer takes everything at once */
    struct text to_proxy;
    size_t to_proxy_at;
    struct text from_proxy; /* what the peer took */
    struct text queued;     /* sent, not taken */
    struct net_engine script;
};

struct net {
    struct proxy *proxy;
    struct fleet *fleet;
    struct proxy_rim rim;
    struct text decisions;
    struct text record;
    struct text access;
    struct rng rng;
    int64_t now_ns;
    struct net_end *ends[NET_ENDS_MAX];
    size_t end_count;
    struct net_end *of_conn[NET_CONNS_MAX * 8];
    uint64_t connects;
    uint64_t requests_at_engines;
};

static inline struct net_end *net_end_of(struct net *net, uint32_t conn)
{
    struct net_end *end = net->of_conn[conn];
    CHECK(end != NULL && end->alive, "the proxy acts on connection %u, which is gone",
          conn);
    return end;
}

/* --- engines ---------------------------------------------------------------------- */

static inline void net_answer(struct net_end *end, const char *body, size_t byte_count,
                              unsigned status)
{
    text_printf(&end->to_proxy,
                "HTTP/1.1 %u X\r\nContent-Type: application/json\r\nServer: uvicorn\r\n"
                "Content-Length: %zu\r\n\r\n",
                status, byte_count);
    text_add_bytes(&end->to_proxy, body, byte_count);
}

static inline void net_stream(struct net_end *end, int events)
{
    text_add(&end->to_proxy, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < events; i++) {
        char event[64];
        const int length = snprintf(event, sizeof event, "data: %d\n\n", i);
        text_printf(&end->to_proxy, "%x\r\n%s\r\n", (unsigned)length, event);
    }
}

static inline bool net_plays(const struct net_end *end, const char *script)
{
    return strcmp(end->script.script, script) == 0;
}

static inline void net_ok(struct net_end *end)
{
    struct text body = {0};
    text_printf(&body, "{\"engine\":\"%s\",\"got\":", end->script.name);
    text_add_bytes(&body, text_str(&end->script.body), end->script.body.length);
    text_add(&body, ",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2}}");
    net_answer(end, body.bytes, body.length, 200);
    text_fini(&body);
}

/* Every prompt is the ids 0 to 255; "untok" never says so. */
static inline void net_tokenizer(struct net_end *end)
{
    struct text body = {0};
    const char *target = http_target(http_parser_head(end->script.parser));
    if (strcmp(target, "/tokenize") != 0) {
        net_ok(end);
    } else if (net_plays(end, "tok")) {
        text_add(&body, "{\"count\":256,\"tokens\":[");
        for (int i = 0; i < 256; i++) {
            text_printf(&body, "%s%d", i == 0 ? "" : ",", i);
        }
        text_add(&body, "]}");
        net_answer(end, body.bytes, body.length, 200);
    }
    text_fini(&body);
}

/* A whole request arrived. */
static inline void net_play(struct net *net, struct net_end *end)
{
    net->requests_at_engines++;
    if (net_plays(end, "ok")) {
        net_ok(end);
    } else if (net_plays(end, "early")) {
        text_add(&end->to_proxy, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        net_ok(end);
    } else if (net_plays(end, "sse")) {
        net_stream(end, 5);
        text_add(&end->to_proxy, "0\r\n\r\n");
    } else if (net_plays(end, "eof")) {
        text_add(&end->to_proxy, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
        end->close_due = true;
    } else if (net_plays(end, "reset")) {
        end->close_due = true;
    } else if (net_plays(end, "cut")) {
        net_stream(end, 3);
        end->close_due = true;
    } else if (net_plays(end, "twice")) {
        net_answer(end, "{}", 2, 200);
        text_add(&end->to_proxy, "HTTP/1.1 200 OK\r\nContent-Le");
    } else if (net_plays(end, "junk")) {
        text_add(&end->to_proxy, "SSH-2.0-OpenSSH\r\n\r\n");
    } else if (net_plays(end, "kv")) {
        static const char PARAMS[] = "{\"kv_transfer_params\":{\"remote_engine_id\":"
                                     "\"e\",\"remote_host\":null,\"remote_port\":7}}";
        if (strstr(text_str(&end->script.body), "do_remote_decode") != NULL) {
            net_answer(end, PARAMS, sizeof PARAMS - 1, 200);
        } else {
            net_ok(end);
        }
    } else if (net_plays(end, "lora")) {
        static const char LIST[] = "{\"data\":[{\"id\":\"m\",\"parent\":null},"
                                   "{\"id\":\"ad\",\"parent\":\"m\"}]}";
        const char *target = http_target(http_parser_head(end->script.parser));
        if (strcmp(target, "/v1/models") == 0) {
            net_answer(end, LIST, sizeof LIST - 1, 200);
        } else if (strcmp(target, "/is_sleeping") == 0) {
            net_answer(end, "{\"is_sleeping\": false}", 22, 200);
        } else {
            net_ok(end);
        }
    } else if (net_plays(end, "tok") || net_plays(end, "untok")) {
        net_tokenizer(end);
    } else if (net_plays(end, "busy")) {
        net_answer(end, "{\"detail\":\"busy\"}", 17, 503);
    }
}

static inline void net_engine_takes(struct net *net, struct net_end *end,
                                    const char *bytes, size_t byte_count)
{
    struct net_engine *engine = &end->script;
    text_add_bytes(&engine->seen, bytes, byte_count);
    struct http_result result = {.event = HTTP_GOT_HEAD};
    while (result.event != HTTP_MORE) {
        const size_t used = http_step(engine->parser, bytes, byte_count, &result);
        bytes += used;
        byte_count -= used;
        CHECK(result.event != HTTP_FAULT,
              "the proxy sent an engine what is no HTTP: %s", result.what);
        if (result.event == HTTP_GOT_HEAD) {
            engine->body.length = 0;
        } else if (result.event == HTTP_GOT_BODY) {
            text_add_bytes(&engine->body, result.body, result.body_bytes);
        } else if (result.event == HTTP_GOT_END) {
            net_play(net, end);
        }
    }
}

/* --- the rim ---------------------------------------------------------------------- */

/* The peer takes what it can. */
static inline void net_take(struct net *net, struct net_end *end)
{
    size_t most = end->queued.length;
    if (end->unread_max > 0 && most > end->unread_max) {
        most = end->unread_max;
    }
    if (most == 0) {
        return;
    }
    if (end->engine) {
        net_engine_takes(net, end, end->queued.bytes, most);
    } else {
        text_add_bytes(&end->from_proxy, end->queued.bytes, most);
    }
    memmove(end->queued.bytes, end->queued.bytes + most, end->queued.length - most);
    end->queued.length -= most;
}

static inline size_t net_send(void *context, uint32_t conn, const char *bytes,
                              size_t byte_count)
{
    struct net_end *end = net_end_of(context, conn);
    text_add_bytes(&end->queued, bytes, byte_count);
    if (end->unread_max == 0) {
        net_take(context, end);
    }
    return end->queued.length;
}

static inline void net_read(void *context, uint32_t conn, bool wanted)
{
    net_end_of(context, conn)->reading = wanted;
}

static inline void net_close(void *context, uint32_t conn, bool graceful)
{
    struct net *net = context;
    struct net_end *end = net_end_of(net, conn);
    end->alive = false;
    end->over = true;
    end->graceful = graceful;
    net->of_conn[conn] = NULL;
    if (graceful) {
        end->unread_max = 0;
        net_take(net, end);
    }
}

static inline struct net_end *net_add(struct net *net, uint32_t conn, bool engine)
{
    struct net_end *end = mem_alloc(1, sizeof *end);
    CHECK(net->end_count < NET_ENDS_MAX, "too many connections for the test");
    net->ends[net->end_count++] = end;
    net->of_conn[conn] = end;
    end->conn = conn;
    end->engine = engine;
    end->alive = true;
    end->reading = true;
    end->script.parser = http_parser_new(engine, 65536);
    return end;
}

/* http://SCRIPT-NAME:PORT */
static inline void net_connect(void *context, uint32_t conn, struct origin *origin)
{
    struct net *net = context;
    struct net_end *end = net_add(net, conn, true);
    net->connects++;
    end->connect_due = true;
    (void)snprintf(end->script.name, sizeof end->script.name, "%s", origin->host);
    (void)snprintf(end->script.script, sizeof end->script.script, "%.*s",
                   (int)strcspn(origin->host, "-"), origin->host);
}

static inline void net_log(void *context, enum proxy_log kind, const char *line,
                           size_t byte_count)
{
    struct net *net = context;
    if (kind == PROXY_LOG_ACCESS) {
        text_add_bytes(&net->access, line, byte_count);
    }
}

static inline void net_on_decision(void *context, const char *line, size_t byte_count)
{
    text_add_bytes(&((struct net *)context)->decisions, line, byte_count);
}
static inline void net_on_record(void *context, const char *line, size_t byte_count)
{
    text_add_bytes(&((struct net *)context)->record, line, byte_count);
}

/* --- delivery --------------------------------------------------------------------- */

static inline void net_lose(struct net *net, struct net_end *end, const char *why)
{
    end->alive = false;
    end->over = true;
    net->of_conn[end->conn] = NULL;
    proxy_on_closed(net->proxy, net->now_ns, end->conn, why);
}

/* At most byte_count bytes of what lies ready, or a connection, or an end. Returns
 * whether something happened. */
static inline bool net_deliver(struct net *net, struct net_end *end, size_t byte_count)
{
    if (!end->alive) {
        return false;
    }
    if (end->connect_due) {
        if (net_plays(end, "mute")) {
            return false;
        }
        end->connect_due = false;
        if (net_plays(end, "refuse")) {
            net_lose(net, end, "connection refused");
            return true;
        }
        end->connected = true;
        proxy_on_connected(net->proxy, net->now_ns, end->conn);
        return true;
    }
    if (end->queued.length > 0 && end->unread_max > 0) {
        net_take(net, end);
        if (end->queued.length == 0) {
            proxy_on_drained(net->proxy, net->now_ns, end->conn);
        }
        return true;
    }
    const size_t ready = end->to_proxy.length - end->to_proxy_at;
    if (ready > 0 && end->reading) {
        const size_t count = ready < byte_count ? ready : byte_count;
        const char *bytes = end->to_proxy.bytes + end->to_proxy_at;
        /* A copy of exactly this size, so that reading too far is seen. */
        char *piece = mem_resize(NULL, count, 1);
        memcpy(piece, bytes, count);
        end->to_proxy_at += count;
        proxy_on_bytes(net->proxy, net->now_ns, end->conn, piece, count);
        mem_free(piece);
        return true;
    }
    if (ready == 0 && end->close_due && end->reading) {
        net_lose(net, end, "closed by the peer");
        return true;
    }
    return false;
}

/* Until nothing moves any more; pieces of byte_count. */
static inline void net_settle(struct net *net, size_t byte_count)
{
    bool moved = true;
    for (int rounds = 0; moved; rounds++) {
        CHECK(rounds < 10000000, "the network does not come to rest");
        moved = false;
        for (size_t i = 0; i < net->end_count; i++) {
            moved = net_deliver(net, net->ends[i], byte_count) || moved;
        }
    }
}

static inline void net_wait(struct net *net, int64_t ns)
{
    const int64_t until_ns = net->now_ns + ns;
    while (net->now_ns < until_ns) {
        net->now_ns += PROXY_TICK_NS;
        proxy_on_tick(net->proxy, net->now_ns);
        net_settle(net, 65536);
    }
}

/* --- the test's side -------------------------------------------------------------- */

struct net_setup {
    const char *backends;
    const char *models;
    const char *policy;
    const char *session_key;
    const char *aliases;
    const char *types;
    const char *labels; /* for disaggregated prefill, with p and d */
    bool lists_adapters;
    struct sentry *sentry;
    bool takes_kv_events;
    bool tokenizes;
    bool access_log;
    struct proxy_limits limits; /* zeros take the defaults below */
    uint64_t seed;
    bool tag; /* behaves as release 0.1.3 */
    bool record;
};

static inline void net_defaults(struct proxy_limits *limits)
{
    static const int64_t second_ns = 1000000000;
#define DEFAULT(field, value) limits->field = limits->field != 0 ? limits->field : value
    DEFAULT(clients_max, 1024);
    DEFAULT(requests_max, 1024);
    DEFAULT(queue_max, 64);
    DEFAULT(idle_engine_conns_max, 64);
    DEFAULT(head_bytes_max, 8192);
    DEFAULT(body_bytes_max, 65536);
    DEFAULT(buffer_bytes_max, 1 << 20);
    DEFAULT(stream_bytes_max, 1024);
    DEFAULT(head_ns, 10 * second_ns);
    DEFAULT(body_ns, 10 * second_ns);
    DEFAULT(keep_alive_ns, 20 * second_ns);
    DEFAULT(send_ns, 10 * second_ns);
    DEFAULT(queue_ns, 5 * second_ns);
    DEFAULT(connect_ns, 2 * second_ns);
    DEFAULT(first_byte_ns, 30 * second_ns);
    DEFAULT(stream_gap_ns, 30 * second_ns);
    DEFAULT(engine_idle_ns, 4 * second_ns);
    DEFAULT(retries_max, 2);
    DEFAULT(retry_ratio, 1);
#undef DEFAULT
}

static inline enum compat net_compat(const struct net_setup *setup)
{
    return setup->tag ? COMPAT_TAG : COMPAT_HEAD;
}

static inline struct config *net_config(const struct net_setup *setup)
{
    struct config *config = NULL;
    struct err err = {0};
    const struct config_world world = {.compat = net_compat(setup)};
    const struct config_text text = {
        .static_backends = setup->backends,
        .static_models = setup->models,
        .static_aliases = setup->aliases,
        .static_model_types = setup->types,
        .health_checks = setup->types != NULL,
        .health_interval_s = 1,
        .health_timeout_s = 1,
        .routing_logic = setup->policy != NULL ? setup->policy : "round_robin",
        .session_key = setup->session_key,
        .static_model_labels = setup->labels,
        .prefill_model_labels = setup->labels != NULL ? "p" : NULL,
        .decode_model_labels = setup->labels != NULL ? "d,e" : NULL,
    };
    REQUIRE_OK(config_new(&config, &text, &world, &err), &err);
    return config;
}

static inline struct net *net_new(const struct net_setup *setup)
{
    struct net *net = mem_alloc(1, sizeof *net);
    struct err err = {0};
    net->now_ns = 1000000000;
    rng_init(&net->rng, setup->seed, "fake-net", 0);
    net->rim =
        (struct proxy_rim){net, net_send, net_read, net_close, net_connect, net_log};
    const struct fleet_setup fleet = {
        .sinks = {.context = net,
                  .decision = net_on_decision,
                  .record = setup->record ? net_on_record : NULL},
        .seed = 1,
        .stats_window_ns = 60000000000,
        .ejection_failures = 3,
        .ejection_ns = 5000000000,
        .ejection_ns_max = 60000000000,
    };
    net->fleet = fleet_new(&fleet);
    REQUIRE_OK(fleet_apply(net->fleet, net->now_ns, net_config(setup), &err), &err);
    struct proxy_setup proxy = {
        .rim = &net->rim,
        .fleet = net->fleet,
        .limits = setup->limits,
        .compat = net_compat(setup),
        .seed = 1,
        .root_path = "",
        .version = "test",
        .access_log = setup->access_log,
        .sentry = setup->sentry,
        .takes_kv_events = setup->takes_kv_events,
        .tokenizes = setup->tokenizes,
        .lists_adapters = setup->lists_adapters,
        .scrape_interval_ns = setup->lists_adapters ? 1000000000 : 0,
    };
    net_defaults(&proxy.limits);
    net->proxy = proxy_new(&proxy, net->now_ns);
    return net;
}

static inline void net_delete(struct net *net)
{
    proxy_delete(net->proxy);
    fleet_delete(net->fleet);
    for (size_t i = 0; i < net->end_count; i++) {
        struct net_end *end = net->ends[i];
        http_parser_delete(end->script.parser);
        text_fini(&end->script.body);
        text_fini(&end->script.seen);
        text_fini(&end->to_proxy);
        text_fini(&end->from_proxy);
        text_fini(&end->queued);
        mem_free(end);
    }
    text_fini(&net->decisions);
    text_fini(&net->record);
    text_fini(&net->access);
    mem_free(net);
}

/* NULL when the proxy refuses the connection. */
static inline struct net_end *net_client(struct net *net)
{
    const uint32_t conn = proxy_accept(net->proxy, net->now_ns);
    return conn == PROXY_NO_CONN ? NULL : net_add(net, conn, false);
}

static inline void net_post(struct net_end *client, const char *path, const char *body)
{
    text_printf(&client->to_proxy,
                "POST %s HTTP/1.1\r\nHost: router\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                path, strlen(body), body);
}

/* What the client got so far, as "200 body;404 body;", "..." for an answer that is not
 * complete. */
static inline void net_answers(const struct net_end *client, struct text *out)
{
    struct http_parser *parser = http_parser_new(false, 65536);
    const char *bytes = text_str(&client->from_proxy);
    size_t byte_count = client->from_proxy.length;
    struct http_result result = {.event = HTTP_GOT_HEAD};
    out->length = 0;
    text_add(out, "");
    bool open = false;
    while (result.event != HTTP_MORE && result.event != HTTP_FAULT) {
        const size_t used = http_step(parser, bytes, byte_count, &result);
        bytes += used;
        byte_count -= used;
        if (result.event == HTTP_GOT_HEAD) {
            text_printf(out, "%u ", http_parser_head(parser)->status);
            open = true;
        } else if (result.event == HTTP_GOT_BODY) {
            text_add_bytes(out, result.body, result.body_bytes);
        } else if (result.event == HTTP_GOT_END) {
            text_add(out, ";");
            open = false;
        }
    }
    CHECK(result.event != HTTP_FAULT, "the proxy sent a client what is no HTTP: %s\n%s",
          result.what, text_str(&client->from_proxy));
    if (open && client->over) {
        http_finish(parser, &result);
        if (result.event == HTTP_GOT_END) {
            text_add(out, ";");
            open = false;
        }
    }
    text_add(out, open ? "..." : "");
    http_parser_delete(parser);
}

#endif
