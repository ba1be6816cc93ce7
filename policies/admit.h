/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.h: what an admission policy is: who may go on to routing, who waits at the
 * gateway, who is turned away.
 *
 * As a routing policy it is a const struct of functions over a block of state, pure:
 * time comes in the view, chance and memory from its host (policies/flow.h), which also
 * owns the queues. One file policies/admit_<name>.c and one line ADMIT(<name>) in
 * policies/registry.def make one.
 *
 * Waiting requests stand in flows, one for each tenant and priority (spec/policies.md
 * A4). Within a flow the order is that of arrival; which flow is next is the policy's.
 * The endpoint is chosen only when a request leaves its flow (late binding).
 */
#ifndef STACKSIM_POLICIES_ADMIT_H
#define STACKSIM_POLICIES_ADMIT_H

#include "policies/policy.h"

/* Why a request was let in or turned away, and the HTTP status of those turned away. */
#define ADMIT_REASONS(X)                                                               \
    X(NONE, "none", 0, "there is room")                                                \
    X(WAITS, "waits", 0, "no room now")                                                \
    X(QUEUE_FULL, "queue_full", 429, "as many wait as may wait")                       \
    X(SATURATED, "saturated", 429, "sheddable, and the fleet is saturated")            \
    X(DRAWN, "drawn", 429, "sheddable, and drawn while saturation rises")              \
    X(TIMED_OUT, "timed_out", 503, "waited as long as it may")                         \
    X(RATE, "rate", 429, "beyond the rate that is allowed")

enum admit_reason {
#define X(name, text, http_status, help) ADMIT_REASON_##name,
    ADMIT_REASONS(X)
#undef X
};
const char *admit_reason_name(enum admit_reason reason); /* "queue_full" */
uint32_t admit_reason_http(enum admit_reason reason);    /* 429; 0 = not an error */

enum admit_verdict { ADMIT_PASS, ADMIT_QUEUE, ADMIT_REJECT };

struct admit_decision {
    enum admit_verdict verdict;
    enum admit_reason reason;
    int64_t timeout_ns; /* ADMIT_QUEUE: may wait so long; 0 = without end */
};

/* What admission sees of a request; a plain value, for it outlives the call. */
struct admit_request {
    uint64_t request_id;
    int64_t arrival_ns;
    uint32_t tenant;  /* dense; 0 = none */
    int32_t priority; /* lower is more urgent, as in vLLM; above 0 is sheddable */
    uint32_t prompt_tokens;
    uint32_t output_tokens_guess; /* of a predictor; 0 = none */
};

/* Requests of one tenant and priority that wait; never empty. */
struct flow_view {
    uint32_t tenant;
    int32_t priority;
    uint32_t waiting;
    struct admit_request head; /* the one that goes first */
};

/* One model's endpoints, and who waits for them. */
struct admit_view {
    int64_t now_ns;
    const struct cluster_view *cluster; /* at least one endpoint */
    /* Let in by this gateway and not ended: exact and of now. */
    uint32_t inflight_requests;
    uint64_t inflight_tokens; /* their prompts, and the outputs that were predicted */
    uint32_t waiting;         /* in all flows */
    uint32_t flow_count;
    const struct flow_view *flows; /* by priority, most urgent first; then by tenant */
};

struct admit_policy {
    const char *name;
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *help;
    const char *source;
    const char *breaks;                /* under which load it fails, and how */
    unsigned needs;                    /* bits of enum policy_need */
    const struct policy_param *params; /* or NULL */
    size_t state_bytes;
    /* state arrives zeroed. Optional. */
    bool (*init)(void *state, const struct policy_setup *setup, struct err *err);
    void (*fini)(void *state);
    /* Called once per request; it is in no flow yet. */
    struct admit_decision (*arrive)(void *state, const struct admit_view *view,
                                    const struct admit_request *request);
    /* The flow whose head may go on now: an index, or -1. flow_count >= 1. NULL when
     * arrive never answers ADMIT_QUEUE. May be called at any time: changes nothing. */
    int32_t (*next)(void *state, const struct admit_view *view);
    /* Optional callbacks, in this order per request that is let in: on_dispatch once,
     * on_tokens whenever output was seen to grow, on_end once. */
    void (*on_dispatch)(void *state, const struct admit_request *request);
    void (*on_tokens)(void *state, const struct admit_request *request,
                      uint32_t tokens);
    void (*on_end)(void *state, const struct admit_request *request,
                   uint32_t output_tokens);
    /* Bytes held now beyond state_bytes. Optional. */
    size_t (*memory_bytes)(const void *state);
};

/* By name or alias; NULL when unknown. */
const struct admit_policy *admit_policy_find(const char *name);
/* i-th of the registry in its order, NULL past the end. */
const struct admit_policy *admit_policy_at(size_t index);

#endif
