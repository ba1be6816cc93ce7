/* SPDX-License-Identifier: Apache-2.0
 *
 * scale.h: what an autoscaler is: from metrics of a pool to the replicas it should
 * have.
 *
 * A scale policy is a const struct of functions over a block of state, without clock,
 * chance or memory of its own: its host asks when it wants to look next, hands it what
 * the metrics pipeline knows by then (which may be old, or nothing), and does what it
 * says. min and max are kept by the host. One file policies/scale_<name>.c and one line
 * SCALE(<name>) in policies/registry.def make one.
 */
#ifndef STACKSIM_POLICIES_SCALE_H
#define STACKSIM_POLICIES_SCALE_H

#include "policies/policy.h"

#include <math.h>

/* Where a value comes from: a gauge of every pod, read at a scrape; a figure of the
 * whole pool; a rate or a mean over a window. */
enum scale_source { SCALE_POD, SCALE_POOL, SCALE_RATE, SCALE_MEAN };

#define SCALE_METRICS(X)                                                               \
    X(RUNNING, "running", POD, "requests in a batch: vllm:num_requests_running")       \
    X(WAITING, "waiting", POD,                                                         \
      "requests in the engine's queue: "                                               \
      "vllm:num_requests_waiting")                                                     \
    X(KV_USED, "kv_used", POD,                                                         \
      "part of the KV cache that is taken, 0 to 1: "                                   \
      "vllm:gpu_cache_usage_perc")                                                     \
    X(BUSY, "busy", POD, "1 when the GPU has work, else 0: DCGM_FI_DEV_GPU_UTIL")      \
    X(IN_FLIGHT, "in_flight", POOL,                                                    \
      "requests sent to the pool or held for it, "                                     \
      "averaged over time: concurrency")                                               \
    X(QUEUED, "queued", POOL, "requests that wait at the gateway")                     \
    X(SEEN, "seen", POOL,                                                              \
      "1 when a request came to the router within the window, "                        \
      "else 0: rate(vllm:num_incoming_requests_total) > bool 0")                       \
    X(REQUESTS, "requests", RATE, "requests that came to the router, per second")      \
    X(PROMPT_TOKENS, "prompt_tokens", RATE,                                            \
      "prompt tokens that were computed, per "                                         \
      "second: vllm:prompt_tokens_total")                                              \
    X(OUTPUT_TOKENS, "output_tokens", RATE,                                            \
      "output tokens of requests that ended, "                                         \
      "per second")                                                                    \
    X(PROMPT_MEAN, "prompt_mean", MEAN, "prompt tokens of a request")                  \
    X(OUTPUT_MEAN, "output_mean", MEAN, "output tokens of a request")                  \
    X(TTFT, "ttft", MEAN, "seconds to the first token")                                \
    X(ITL, "itl", MEAN, "seconds from one token to the next")

enum scale_metric {
#define X(id, name, source, help) SCALE_##id,
    SCALE_METRICS(X)
#undef X
        SCALE_METRIC_COUNT
};
const char *scale_metric_name(enum scale_metric metric); /* "waiting" */
/* "waiting above target". */
const char *scale_metric_above(enum scale_metric metric);
const char *scale_metric_help(enum scale_metric metric);
enum scale_source scale_metric_source(enum scale_metric metric);

/* How a value is held against its target. */
enum scale_target_kind {
    TARGET_PODS,    /* mean over the ready pods: HPA type Pods */
    TARGET_AVERAGE, /* sum, shared out over the pods: AverageValue */
    TARGET_VALUE,   /* sum, whoever there is: Value */
};

struct scale_target {
    enum scale_metric metric;
    enum scale_target_kind kind;
    double target; /* > 0 */
    int64_t window_ns;
    double activation; /* of what is more, somebody wants a first replica */
};

/* window 0: the last value. */
struct scale_query {
    enum scale_metric metric;
    int64_t window_ns;
};

struct scale_reading {
    double sum;    /* over pods that have a value; of SCALE_POOL and later, the value */
    uint32_t pods; /* SCALE_POD: ready ones that have a value */
    uint32_t missing; /* ready ones that have none */
    uint32_t unready; /* not ready yet */
    bool known;       /* false: there is no value yet */
};

enum { SCALE_TARGETS_MAX = 8, SCALE_QUERIES_MAX = 8 };

struct scale_view {
    int64_t now_ns;
    uint32_t replicas; /* that the pool should have */
    uint32_t pods;     /* that there are, those that end left out */
    uint32_t ready;
    bool woken;                           /* a request waits for the first replica */
    const struct scale_reading *readings; /* one per query, in their order */
};

struct scale_decision {
    uint32_t replicas;
    const char *reason; /* in words, static; NULL = nothing to say */
    const char *event;  /* what Kubernetes calls it; NULL = SuccessfulRescale */
    bool idle;          /* none at all, whatever min is */
    bool failed;        /* no metric to decide by: replicas is what it was */
};

/* What an engine can do, as a profile of it says; for policies that plan. */
struct scale_profile {
    const void *context;
    double (*prefill_s)(const void *context, double prompt_tokens);
    /* Seconds per token of each of `batch` requests. */
    double (*itl_s)(const void *context, double batch, double context_tokens);
    double batch_max; /* requests that an engine runs at a time */
};

enum scale_role { SCALE_BOTH, SCALE_PREFILL, SCALE_DECODE };

struct scale_setup {
    const double *values; /* one per parameter */
    uint32_t min;
    uint32_t max;
    const struct scale_target *targets; /* borrowed for the call */
    uint32_t target_count;
    enum scale_role role;                /* what the pool's engines do */
    const struct scale_profile *profile; /* lives as long as the policy */
};

struct scale_policy {
    const char *name;
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *help;
    const char *source;
    const char *breaks; /* under which load it fails, and how */
    const struct policy_param *params;
    size_t state_bytes;
    const char *object;   /* of its events: "horizontalpodautoscaler" */
    uint32_t targets_min; /* how many it needs and takes */
    uint32_t targets_max;
    /* Those that a target may have, and that it gets when it names none. */
    unsigned kinds; /* 1 << TARGET_* */
    enum scale_target_kind kind;
    /* A request that finds no replica makes it look at once. */
    bool wakes;
    /* The gateway holds requests while there is no replica; else it refuses them. */
    bool holds;
    /* The pool may have no replicas. */
    bool to_zero;
    int64_t scrape_ns; /* how often its metrics are read, unless the scenario says */
    /* state arrives zeroed. */
    bool (*init)(void *state, const struct scale_setup *setup, struct err *err);
    /* What it wants to know at its next look; returns how many. */
    uint32_t (*queries)(const void *state,
                        struct scale_query queries[SCALE_QUERIES_MAX]);
    int64_t (*next_ns)(const void *state);
    /* At next_ns, or before when it was woken. */
    struct scale_decision (*decide)(void *state, const struct scale_view *view);
};

/* A parameter in seconds. */
static inline int64_t scale_ns(double seconds)
{
    return (int64_t)llround(seconds * 1e9);
}

/* Knative's panic: from a look that is over its threshold until none was for a whole
 * stable window. */
struct scale_panic {
    bool on;
    int64_t since_ns; /* the last look that was over */
};
static inline void scale_panic_update(struct scale_panic *panic, int64_t now_ns,
                                      bool over, int64_t stable_ns)
{
    if (over) {
        *panic = (struct scale_panic){true, now_ns};
    } else if (panic->on && panic->since_ns + stable_ns < now_ns) {
        panic->on = false;
    }
}

/* By name or alias; NULL when unknown. */
const struct scale_policy *scale_policy_find(const char *name);
/* i-th of the registry in its order, NULL past the end. */
const struct scale_policy *scale_policy_at(size_t index);

#endif
