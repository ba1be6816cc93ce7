/* SPDX-License-Identifier: Apache-2.0
 *
 * counters.h: what GET /metrics counts beside the gauges that are read when asked.
 */
#ifndef STACKSIM_ROUTER_COUNTERS_H
#define STACKSIM_ROUTER_COUNTERS_H

#include "base/text.h"

#include <stdint.h>

#define COUNTERS(X)                                                                    \
    X(clients_accepted, "client connections accepted")                                 \
    X(clients_refused, "client connections refused: --max-connections")                \
    X(clients_timed_out, "client connections closed: too slow or idle")                \
    X(clients_gone, "clients that left before their answer was complete")              \
    X(requests, "requests read, those answered by the router itself included")         \
    X(requests_refused, "requests answered with an error by the router")               \
    X(requests_malformed,                                                              \
      "requests that were not HTTP/1 or could be read in two ways")                    \
    X(requests_head_too_large, "requests above --max-header-bytes")                    \
    X(requests_body_too_large, "requests above --max-body-bytes")                      \
    X(requests_no_buffer, "requests refused: --max-buffer-bytes")                      \
    X(requests_queued, "requests that had to wait: --max-requests")                    \
    X(requests_queue_full, "requests refused: --max-queue")                            \
    X(requests_queue_timed_out, "requests refused after --queue-timeout")              \
    X(requests_timed_out,                                                              \
      "requests ended by --request-timeout, --first-byte-timeout or --stream-timeout") \
    X(requests_unrouted, "requests for a model that no backend accepts")               \
    X(answers_cut, "answers that an engine did not finish")                            \
    X(retries, "tries at another backend")                                             \
    X(retries_refused, "retries that the budget did not allow")                        \
    X(reconnects, "requests sent again because an idle connection had closed")         \
    X(engine_conns_opened, "connections to engines")                                   \
    X(engine_conns_reused, "requests sent over a connection that was open")            \
    X(engine_conns_failed, "connections to engines that could not be made or broke")   \
    X(engine_pauses, "times an engine waited for a slow client")                       \
    X(probes, "health probes sent")                                                    \
    X(probes_failed, "health probes that failed")                                      \
    X(scrapes, "engine metrics asked for")                                             \
    X(scrapes_failed, "engine metrics that could not be had")                          \
    X(kv_events, "events of engines' KV caches heard")                                 \
    X(kv_batches_unreadable, "messages about KV caches that could not be read")        \
    X(kv_blocks_unplaced, "blocks stored behind ones that were never heard of")        \
    X(kv_events_unmapped, "events of engines that are no backend")                     \
    X(kv_lookup_hit, "requests routed to who has their KV")                            \
    X(kv_lookup_miss, "requests whose KV nobody has")                                  \
    X(kv_lookup_below_threshold, "requests of whose KV too little is anywhere")        \
    X(kv_lookup_unmapped, "requests whose KV is with no backend of theirs")            \
    X(tokenizations, "prompts that an engine tokenised for us")                        \
    X(tokenizations_failed, "prompts that no engine tokenised")                        \
    X(reloads, "dynamic configurations applied")                                       \
    X(reloads_failed, "dynamic configurations refused")

enum { COUNTER_MODELS_MAX = 256, COUNTER_BUCKETS = 12, COUNTER_STATUSES = 8 };

/* Of one model name or one backend and model; names are owned. */
struct counter_model {
    char *model;
    uint64_t requests;
};
struct counter_server {
    char *server;
    char *model;
    uint64_t input_tokens;
    uint64_t output_tokens;
    struct {
        unsigned status;
        uint64_t buckets[COUNTER_BUCKETS];
        uint64_t count;
        double sum_s;
    } statuses[COUNTER_STATUSES];
    uint64_t errors_connect;
    uint64_t errors_timeout;
    uint64_t errors_cut;
};
struct counters {
#define X(name, help) uint64_t name;
    COUNTERS(X)
#undef X
    struct counter_model models[COUNTER_MODELS_MAX];
    size_t model_count;
    struct counter_server *servers;
    size_t server_count;
    size_t server_capacity;
};

void counters_fini(struct counters *counters);
/* Names beyond COUNTER_MODELS_MAX count as "other". */
void counters_incoming(struct counters *counters, const char *model);
/* Of the backend in this slot; another name than before starts from zero. */
struct counter_server *counters_server(struct counters *counters, uint32_t slot,
                                       const char *server, const char *model);
void counters_latency(struct counter_server *server, unsigned status, double seconds);
/* A backend that left takes its series along. */
void counters_forget(struct counters *counters, uint32_t slot);
void counters_print(const struct counters *counters, struct text *out);
/* "# HELP" and "# TYPE" of one family. */
void counters_family(struct text *out, const char *name, const char *type,
                     const char *help);
/* A label's value, escaped as Prometheus wants it. */
void counters_label(struct text *out, const char *value);

#endif
