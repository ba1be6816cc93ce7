/* SPDX-License-Identifier: Apache-2.0
 *
 * observer.h: what happened, when; the only way out of the core (STYLE 1.1).
 */
#ifndef STACKSIM_SIM_OBSERVER_H
#define STACKSIM_SIM_OBSERVER_H

#include "policies/gateway.h"

#include <stdint.h>

#define OUTCOME_STATUSES(X)                                                            \
    X(COMPLETED, "all tokens were produced")                                           \
    X(REFUSED, "the prompt does not fit the model's context: HTTP 400")                \
    X(REJECTED, "no endpoint accepted it: HTTP 503")                                   \
    X(CANCELLED, "the client hung up")                                                 \
    X(UNFINISHED, "the run's time limit came first")                                   \
    X(SHED, "admission turned it away: HTTP 429")                                      \
    X(TIMED_OUT, "it waited at the gateway as long as it may: HTTP 503")               \
    X(FAILED, "its engine was lost, and nobody tried again: HTTP 500, a broken "       \
              "stream")

enum outcome_status {
#define X(name, help) OUTCOME_##name,
    OUTCOME_STATUSES(X)
#undef X
};
const char *outcome_status_name(enum outcome_status status); /* "completed" */

#define OUTCOME_TIME_NONE INT64_MIN

/* One per request, when it ends; each request has exactly one. */
struct request_outcome {
    uint64_t request_id;
    uint64_t session;
    uint32_t turn;
    enum outcome_status status;
    int64_t arrival_ns;   /* at the gateway */
    int64_t queued_ns;    /* the engine took it from its input queue */
    int64_t scheduled_ns; /* first put in a batch */
    int64_t first_token_ns;
    int64_t end_ns;
    uint32_t engine; /* index over all pools; UINT32_MAX = none */
    uint32_t prompt_tokens;
    uint32_t output_tokens; /* produced */
    uint32_t cached_tokens; /* prefix hit at the first admission */
    uint32_t preemptions;
    uint32_t recomputed_tokens; /* tokens computed again after preemptions */
    int64_t aside_ns;           /* set aside: all slots were other adapters' */
    uint32_t
        tier_tokens; /* loaded from tiers behind the cache at the first admission */
    /* Prompt and output computed apart: then queued, scheduled and cached are of the
     * engine that prefilled, engine and first token of the one that decoded. */
    uint32_t prefill_engine; /* UINT32_MAX = none: one engine did it all */
    int64_t prefill_end_ns;
    int64_t kv_asked_ns; /* the decoding engine had blocks and asked for the KV */
    int64_t kv_here_ns;
    uint32_t attempts; /* at engines; 1 where nothing failed */
};

/* What happened to the fleet, as `kubectl get events` tells it; strings are borrowed.
 */
struct fleet_event {
    int64_t time_ns;
    bool warning; /* else Normal */
    const char *reason;
    const char *object; /* "pod/pool0-3" */
    const char *message;
};

/* How large a pool is from now on; only where the fleet changes. */
struct pool_size {
    int64_t time_ns;
    uint32_t pool;
    uint32_t desired;      /* replicas that it should have */
    uint32_t held_engines; /* those whose pods have their GPUs */
    uint32_t ready;        /* pods */
};

struct engine_sample {
    int64_t time_ns;
    uint32_t engine;
    uint32_t running;
    uint32_t waiting;
    uint32_t kv_used_blocks;  /* referenced by live requests */
    uint32_t kv_total_blocks; /* usable: without the null block */
};

struct observer {
    void *context;
    void (*on_outcome)(void *context, const struct request_outcome *outcome);
    void (*on_sample)(void *context, const struct engine_sample *sample);
    void (*on_decision)(void *context, const struct decision_row *row);
    void (*on_event)(void *context, const struct fleet_event *event);
    void (*on_size)(void *context, const struct pool_size *size);
    bool wants_scores; /* decisions come with the score of every candidate */
};                     /* any function may be NULL */

#endif
