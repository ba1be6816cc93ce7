/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy.h: the router without its sockets: bytes and times in, bytes and actions out.
 *
 * The rim (router/server.c, or a fake network in a test) tells what happened on
 * connections that are numbered here; the proxy acts through the table of the rim. No
 * action may call back into the proxy before it returned. Times never go back.
 *
 * One thread and one order: a request is decided when its last byte was read.
 */
#ifndef STACKSIM_ROUTER_PROXY_H
#define STACKSIM_ROUTER_PROXY_H

#include "base/text.h"
#include "router/discovery.h"
#include "router/fleet.h"
#include "router/sentry.h"

struct proxy;

#define PROXY_NO_CONN UINT32_MAX

enum proxy_log {
    PROXY_LOG_ACCESS,
    PROXY_LOG_STATS,
    PROXY_LOG_WARNING,
    PROXY_LOG_DEBUG
};

struct proxy_rim {
    void *context;
    /* Queues bytes; returns how many of the connection's bytes the kernel has not taken
     * yet. proxy_on_drained is due when that falls to half of what made us pause. */
    size_t (*send)(void *context, uint32_t conn, const char *bytes, size_t byte_count);
    /* Starts or stops reading. Connections start out reading. */
    void (*read)(void *context, uint32_t conn, bool wanted);
    /* No event follows for this number, which may be used again at once. graceful: what
     * is queued is sent first, and what the peer still sends is read for a while and
     * dropped, so that no reset overtakes our last words. */
    void (*close)(void *context, uint32_t conn, bool graceful);
    /* proxy_on_connected or proxy_on_closed follows, later. */
    void (*connect)(void *context, uint32_t conn, struct origin *origin);
    void (*log)(void *context, enum proxy_log kind, const char *line,
                size_t byte_count);
};

/* 0 means "no limit" where the comment says so. */
struct proxy_limits {
    uint32_t clients_max;           /* connections */
    uint32_t requests_max;          /* proxied at a time */
    uint32_t queue_max;             /* waiting for one of those to end */
    uint32_t idle_engine_conns_max; /* kept open to each backend */
    uint64_t head_bytes_max;
    uint64_t body_bytes_max;   /* of a request */
    uint64_t buffer_bytes_max; /* of all request bodies together */
    uint64_t stream_bytes_max; /* unsent bytes of an answer that pause its engine */
    int64_t head_ns;           /* from a request's first byte to the end of its head */
    int64_t body_ns;           /* between pieces of a body */
    int64_t keep_alive_ns;     /* idle client connections */
    int64_t send_ns;           /* a client that takes nothing */
    int64_t queue_ns;          /* in the queue */
    int64_t connect_ns;
    int64_t
        first_byte_ns; /* from the request sent to the answer's head; 0 = no limit */
    int64_t stream_gap_ns;  /* between pieces of an answer; 0 = no limit */
    int64_t request_ns;     /* all of a request; 0 = no limit */
    int64_t engine_idle_ns; /* idle connections to backends */
    uint32_t retries_max;   /* other backends tried for one request */
    double retry_ratio;     /* retries may be this share of requests */
};

struct proxy_setup {
    const struct proxy_rim *rim; /* borrowed for ever */
    struct fleet *fleet;         /* borrowed for ever */
    struct proxy_limits limits;
    enum compat compat;
    uint64_t seed;              /* of request ids */
    int64_t unix_offset_ns;     /* wall clock minus now_ns */
    int64_t scrape_interval_ns; /* 0 = never */
    int64_t stats_interval_ns;  /* of --log-stats; 0 = never */
    const char *root_path;      /* prefix of every path, "" = none */
    const char *version;
    const char *api_key;   /* for our own requests to engines, or NULL; borrowed */
    struct sentry *sentry; /* NULL = errors are reported to nobody; borrowed */
    struct discovery *discovery; /* NULL = no pods are watched; borrowed */
    bool access_log;
    bool takes_kv_events; /* POST /kv_events */
    bool tokenizes; /* asks an engine for token ids where the policy wants blocks */
    bool lmcache;   /* prompts are hashed as LMCache does, and its messages are taken */
    bool lists_adapters;        /* asks engines for their LoRA adapters, too */
    const char *dynamic_config; /* path shown in /health, or NULL; borrowed */
};

struct proxy *proxy_new(const struct proxy_setup *setup, int64_t now_ns);
/* Every connection must be closed or is dropped without a word to the rim. */
void proxy_delete(struct proxy *proxy);

/* A client connected. PROXY_NO_CONN: refused, since there are clients_max; send
 * proxy_refusal and close. */
uint32_t proxy_accept(struct proxy *proxy, int64_t now_ns);
const char *proxy_refusal(void);
void proxy_on_connected(struct proxy *proxy, int64_t now_ns, uint32_t conn);
void proxy_on_bytes(struct proxy *proxy, int64_t now_ns, uint32_t conn,
                    const char *bytes, size_t byte_count);
/* The peer closed or the connection broke or could not be made; why is for logs. The
 * number is free afterwards and the rim forgets it; proxy will not call close. */
void proxy_on_closed(struct proxy *proxy, int64_t now_ns, uint32_t conn,
                     const char *why);
void proxy_on_drained(struct proxy *proxy, int64_t now_ns, uint32_t conn);
/* Call about every PROXY_TICK_NS: all waiting is measured in these. */
#define PROXY_TICK_NS INT64_C(50000000)
void proxy_on_tick(struct proxy *proxy, int64_t now_ns);

/* A batch that an engine published (router/engine_events.h). What is none is counted,
 * and said once for each backend. */
void proxy_on_kv_batch(struct proxy *proxy, int64_t now_ns, struct backend *backend,
                       const struct kv_batch *batch);
/* A frame that a worker of LMCache pushed (router/lmcache.h); the same. */
void proxy_on_lmcache(struct proxy *proxy, int64_t now_ns, const char *bytes,
                      size_t byte_count);

/* No new connections or requests from now on; proxy_idle once all requests ended. */
void proxy_drain(struct proxy *proxy, int64_t now_ns);
bool proxy_idle(const struct proxy *proxy);
/* For /health after a reload. */
void proxy_note_reload(struct proxy *proxy, bool applied);

/* What the access log begins with. */
void access_log_header(struct text *out);

/* The text of GET /metrics. */
void proxy_metrics(struct proxy *proxy, int64_t now_ns, struct text *out);
/* Objects alive, for leak tests. */
struct proxy_census {
    uint32_t clients;
    uint32_t engine_conns;
    uint32_t exchanges;
    uint64_t buffered_bytes;
};
void proxy_count(const struct proxy *proxy, struct proxy_census *census);

#endif
