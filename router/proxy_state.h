/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy_state.h: what the files of the proxy core share; nobody else includes it.
 *
 *   client ---- exchange ---- engine_conn        one request on its way
 *   client.c    exchange.c    engine.c
 *
 * Each of the three may end first. Ends are noted (closed, done) and objects are freed
 * at the end of the event (proxy_finish_event), so that no loop walks freed memory.
 */
#ifndef STACKSIM_ROUTER_PROXY_STATE_H
#define STACKSIM_ROUTER_PROXY_STATE_H

#include "base/rng.h"
#include "router/body.h"
#include "router/counters.h"
#include "router/http.h"
#include "router/lmcache.h"
#include "router/paths.h"
#include "router/proxy.h"

enum {
    REQUEST_ID_BYTES = 128,
    TAIL_BYTES = 4096,          /* of an answer, where its usage stands */
    PIPELINE_BYTES_MAX = 65536, /* of later requests, read while one is answered */
    TRIED_MAX = FLEET_TRIED_MAX,
    REQUEST_BLOCK_TOKENS = 16, /* of a block hash */
    INTERNAL_ANSWER_BYTES_MAX = 8 * 1024 * 1024,
};

enum conn_kind { CONN_CLIENT, CONN_ENGINE };

struct conn {
    uint32_t id;
    enum conn_kind kind;
    bool closed;
    bool paused;         /* the rim does not read it */
    bool dirty;          /* has bytes in `out` */
    int64_t deadline_ns; /* INT64_MAX = none */
    size_t queued_bytes; /* as the rim said last */
    int64_t stalled_ns;  /* since when queued_bytes did not fall; 0 = not queued */
    struct text out;     /* sent at the end of the event */
    struct conn *next_dirty;
    struct conn *next_dead;
};

struct exchange;

enum client_state {
    CLIENT_IDLE, /* between requests */
    CLIENT_HEAD,
    CLIENT_BODY,
    CLIENT_BUSY, /* a request is being answered; later bytes wait in `input` */
};
struct client {
    struct conn conn;
    enum client_state state;
    struct http_parser *parser;
    struct text input;
    size_t input_at;
    struct exchange *exchange;
    uint64_t requests;
    bool taking; /* inside its input loop: an answer must not start another */
};

enum engine_state { ENGINE_CONNECTING, ENGINE_IDLE, ENGINE_BUSY };
struct engine_conn {
    struct conn conn;
    enum engine_state state;
    struct http_parser *parser;
    struct origin *origin;
    struct exchange *exchange;
    uint32_t next_idle; /* conn ids; UINT32_MAX ends the list */
    uint32_t previous_idle;
    bool reused;    /* answered a request before */
    bool got_bytes; /* of the answer under way */
    bool spoiled;   /* sent more than was asked for */
};

enum exchange_kind {
    EXCHANGE_PROXY,    /* a client's request, routed by the policy */
    EXCHANGE_PREFILL,  /* first leg of a disaggregated request: routed, kept here */
    EXCHANGE_PROBE,    /* health of a backend */
    EXCHANGE_SCRAPE,   /* metrics of a backend */
    EXCHANGE_LIST,     /* models and adapters of a backend */
    EXCHANGE_REPORT,   /* an error, to Sentry */
    EXCHANGE_TOKENIZE, /* a prompt's token ids, before its request is routed */
    EXCHANGE_CLUSTER,  /* the Kubernetes API, or one of its pods */
    EXCHANGE_ADMIN,    /* sleep and wake: forwarded to one backend, answered by us */
};

/* Of a disaggregated request: which backends it may go to. */
enum exchange_leg { LEG_ANY, LEG_PREFILL, LEG_DECODE };

enum exchange_state {
    EXCHANGE_READING, /* the client still sends */
    EXCHANGE_QUEUED,  /* requests_max are under way */
    EXCHANGE_BACKOFF, /* before another try */
    EXCHANGE_CONNECTING,
    EXCHANGE_WAITING, /* sent; no head of an answer yet */
    EXCHANGE_STREAMING,
    EXCHANGE_DONE,
};

/* How an internal exchange ended: status 0 = no answer. */
struct exchange_answer {
    unsigned status;
    const char *body;
    size_t body_bytes;
};

struct exchange {
    struct exchange *previous;
    struct exchange *next;
    struct exchange *next_dead;
    struct exchange *next_queued;
    struct exchange *parent; /* whom this one is a leg of */
    struct exchange *child;
    enum exchange_kind kind;
    enum exchange_state state;
    uint64_t number; /* the policy's request id */
    char id[REQUEST_ID_BYTES];
    struct client *client; /* NULL once it is gone, and for internal kinds */
    struct engine_conn *engine;
    const struct path *path;
    struct text target;
    char method[24];
    struct text fields; /* header lines for the engine, without the framing ones */
    struct text body;
    uint64_t buffered_bytes; /* counted in proxy.buffered_bytes */
    char *form_type;         /* Content-Type, for multipart forms */
    char *session_field;     /* of the header named by --session-key */
    char *pin;               /* ?id= */
    char *model;             /* the engine's name for it */
    char *adapter; /* the client asked for this adapter of the model, or NULL */
    enum exchange_leg leg;
    char *session_key;
    uint64_t *hashes; /* chunks, then blocks */
    uint32_t chunk_count;
    uint32_t block_count;
    uint32_t prompt_tokens;
    uint32_t output_tokens_max;
    int32_t priority;
    uint32_t block_tokens; /* of a block hash */
    bool wants_ids;        /* of its prompt, which is text */
    bool wants_stream;
    bool http10;     /* the client speaks HTTP/1.0 */
    bool keep_alive; /* of the client's connection, after this */
    bool counted;    /* among requests_max */
    bool fresh_conn; /* the next try must not reuse a connection */
    struct attempt attempt;
    struct backend *backend;          /* of internal kinds; held */
    struct backend *tried[TRIED_MAX]; /* held */
    uint32_t tried_count;
    uint32_t tries;
    int64_t arrival_ns;
    int64_t routed_ns; /* of the last try */
    int64_t first_byte_ns;
    int64_t deadline_ns;     /* of the state */
    int64_t end_deadline_ns; /* of the whole */
    unsigned status;         /* of the answer; 0 = none yet */
    bool answer_chunked;     /* towards the client */
    bool answer_to_close;    /* the answer ends with the connection */
    bool answer_sse;
    bool answer_encoded;
    uint32_t cached_tokens; /* as the engine reported */
    uint64_t answer_bytes;
    uint64_t answer_events; /* of an event stream */
    bool last_was_newline;
    struct text answer; /* internal kinds: the body; else its tail */
    char *pod;          /* EXCHANGE_CLUSTER: who is asked, and about which state */
    uint64_t pod_serial;
    /* Of an answer without an end: takes whole pieces out of `answer`; or NULL. */
    void (*piece)(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);
    void (*done)(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                 const struct exchange_answer *answer);
};

struct proxy {
    struct proxy_setup setup;
    const struct proxy_rim *rim;
    struct fleet *fleet;
    struct body_reader *reader;
    struct lmcache *lmcache;
    bool lmcache_babbles; /* somebody sent its controller what is no message */
    struct rng rng;
    struct conn **conns;
    uint32_t conn_capacity;
    uint32_t free_hint;
    uint32_t client_count;
    uint32_t engine_count;
    struct conn *dirty;
    struct conn *dead_conns;
    struct exchange *exchanges; /* newest first */
    struct exchange *dead_exchanges;
    struct exchange *queue_first;
    struct exchange *queue_last;
    uint32_t exchange_count;
    uint32_t queued_count;
    uint32_t active_count;
    uint64_t buffered_bytes;
    uint64_t next_number;
    double retry_tokens;
    struct counters counters;
    int64_t stats_at_ns;
    int64_t started_ns;
    int64_t now_ns; /* of the last event */
    bool draining;
    uint64_t reloads_failed;
    struct text scratch;
};

/* --- proxy.c --- */
struct conn *proxy_conn(const struct proxy *proxy, uint32_t id);
/* PROXY_NO_CONN when the table is full. */
uint32_t proxy_add_conn(struct proxy *proxy, struct conn *conn);
/* tell_rim: false when the rim told us. */
void proxy_drop_conn(struct proxy *proxy, struct conn *conn, bool tell_rim,
                     bool graceful);
void conn_write(struct proxy *proxy, struct conn *conn, const char *bytes,
                size_t byte_count);
void conn_pause(struct proxy *proxy, struct conn *conn, bool paused);
void proxy_warn(struct proxy *proxy, const char *format, ...) PRINTF_LIKE(2, 3);
int64_t unix_s(const struct proxy *proxy, int64_t now_ns);

/* --- client.c --- */
void client_on_bytes(struct proxy *proxy, int64_t now_ns, struct client *client,
                     const char *bytes, size_t byte_count);
void client_on_closed(struct proxy *proxy, int64_t now_ns, struct client *client);
void client_on_tick(struct proxy *proxy, int64_t now_ns, struct client *client);
/* The answer is complete: next request, or close. */
void client_answered(struct proxy *proxy, int64_t now_ns, struct client *client,
                     bool keep_alive);
/* The answer broke off: nothing may look as if it were complete. */
void client_abort(struct proxy *proxy, struct client *client);
void client_free(struct proxy *proxy, struct client *client);

/* --- exchange.c --- */
struct exchange *exchange_new(struct proxy *proxy, int64_t now_ns,
                              enum exchange_kind kind);
/* The client's request is complete. */
void exchange_start(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);
/* An internal exchange to this backend; target, method, body and done are filled in. */
void exchange_start_internal(struct proxy *proxy, int64_t now_ns,
                             struct exchange *exchange, struct backend *backend);
void exchange_client_gone(struct proxy *proxy, int64_t now_ns,
                          struct exchange *exchange);
/* The request's body is needed no more. */
void exchange_release_body(struct proxy *proxy, struct exchange *exchange);
/* Ends an internal exchange, or a leg, and calls its `done`; status 0 = no answer. */
void exchange_tell_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                        unsigned status);
void exchange_connected(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);
/* The connection broke before the end. */
void exchange_failed(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                     const char *why);
/* --- answer.c: what the engine's connection says --- */
void exchange_on_head(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const struct http_head *head);
void exchange_on_body(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const char *bytes, size_t byte_count);
void exchange_on_end(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);
void exchange_on_tick(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);
void exchange_free(struct proxy *proxy, struct exchange *exchange);
/* Requests of the queue, as far as there is room now. */
void exchange_admit_waiting(struct proxy *proxy, int64_t now_ns);
/* Ends it here: books the attempt, lets the engine's connection go, frees its place. */
void exchange_finish(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                     enum attempt_how how);
/* Answers the client in our own words, {"error": text}, and ends the exchange. */
void exchange_refuse(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                     unsigned status, const char *text);

/* Asks the policy and sends it on its way; an exchange without a client is told of
 * failure by `done`. */
void exchange_try(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);

/* A request that was held up before its first try goes on. */
void exchange_go_on(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);

/* --- tokenize.c --- */
/* False: there is nobody to ask. Else exchange_go_on follows, later or at once. */
bool tokenize_start(struct proxy *proxy, int64_t now_ns, struct exchange *parent);

/* --- disagg.c --- */
/* The prefill leg of this request; its decode leg follows by exchange_try. */
void disagg_start(struct proxy *proxy, int64_t now_ns, struct exchange *parent);

/* --- request.c --- */
/* Fills the exchange from its body. False: refused, the answer is on its way. */
bool request_read(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);
/* The prompt's token ids are these: hashes and length, anew. */
void request_hash_ids(const struct proxy *proxy, struct exchange *exchange,
                      const uint32_t *ids, size_t count);
void request_view_of(const struct exchange *exchange, struct request_view *view);
/* Head and framing for the engine, into out. */
void request_write_head(const struct proxy *proxy, const struct exchange *exchange,
                        const struct origin *origin, struct text *out);

/* --- engine.c --- */
/* An idle connection or a new one. */
void engine_attach(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                   struct origin *origin);
/* keep: the answer was complete and the connection may serve again. */
void engine_detach(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                   bool keep);
void engine_on_connected(struct proxy *proxy, int64_t now_ns,
                         struct engine_conn *engine);
void engine_on_bytes(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine,
                     const char *bytes, size_t byte_count);
void engine_on_closed(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine,
                      const char *why);
void engine_on_tick(struct proxy *proxy, int64_t now_ns, struct engine_conn *engine);
void engine_free(struct proxy *proxy, struct engine_conn *engine);

/* --- reply.c --- */
/* A whole answer of ours. */
struct reply {
    unsigned status;
    const char *type;
    const char *body;
    size_t body_bytes;
    const char *extra; /* header lines, or NULL */
};
void reply_send(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                const struct reply *reply);
void reply_head(const struct proxy *proxy, struct exchange *exchange, unsigned status,
                struct text *out);

/* --- kv_events.c --- */
void kv_events_answer(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);

/* --- local.c --- */
/* Answers a path of our own, or starts the exchange that will. */
void local_answer(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);

/* --- probe.c --- */
void probe_on_tick(struct proxy *proxy, int64_t now_ns);
/* False when a scrape is not the text of an engine's metrics. */
bool scrape_read(const char *text, size_t byte_count, struct endpoint_metrics *metrics,
                 double *hit_rate);
/* The backend named by ?id= is put to sleep or woken, then the client is answered. */
void probe_admin(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                 struct backend *backend);

/* --- metrics.c --- */
/* The log record of --log-stats. */
void metrics_log_stats(struct proxy *proxy, int64_t now_ns);

/* --- access.c --- */
/* Books the end of an exchange: counters, and a line of the access log. */
void access_log(struct proxy *proxy, int64_t now_ns, struct exchange *exchange);

#endif
