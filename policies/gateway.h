/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway.h: the host of a routing policy: endpoints, counters, window, decision log.
 *
 * The very same object runs in the simulator and in the real router. Whoever owns it
 * reports what happened, with times; it keeps the in-flight counters and the request
 * statistics, calls the policy's callbacks in their order, and decides. It reads no
 * clock and does no I/O.
 *
 * Every gateway_route that returns an endpoint is matched by exactly one gateway_end
 * with the same request id (CHECK).
 */
#ifndef STACKSIM_POLICIES_GATEWAY_H
#define STACKSIM_POLICIES_GATEWAY_H

#include "policies/policy.h"

struct gateway;

struct gateway_setup {
    const struct route_policy *policy;
    enum compat compat;
    const char *const *param_names; /* given parameters; unknown names are errors */
    const double *param_values;
    size_t param_count;
    uint64_t seed;
    uint64_t replica;        /* which of several gateways: each has its own chance */
    int64_t stats_window_ns; /* 0 = 60 s */
    uint32_t endpoints_max;  /* 0 = 4096 */
    bool resets;             /* gateway_reset will be called */
    /* Of a simulation, borrowed; NULL in a router, where a policy that needs it is
     * refused. */
    const struct oracle *oracle;
};

/* One decision, before it changes any counter; valid during the call. */
struct decision_row {
    int64_t now_ns;
    const struct request_view *request;
    const struct route_policy *policy;
    struct route_decision decision;
    const struct endpoint_view *endpoint; /* NULL when nobody accepted */
    const struct cluster_view
        *view; /* with scores if wanted; NULL without candidates */
};
struct decision_sink {
    void *context;
    void (*on_decision)(void *context, const struct decision_row *row);
    bool wants_scores; /* of every candidate: costs a word for each */
};

NODISCARD bool gateway_new(struct gateway **out, const struct gateway_setup *setup,
                           struct err *err);
void gateway_delete(struct gateway *gateway);
/* sink NULL: no log. Borrowed until replaced. */
void gateway_log_to(struct gateway *gateway, const struct decision_sink *sink);

/* Copies url and model; returns the endpoint's id. New endpoints accept. The url must
 * not be a member already (CHECK). A url that left and comes back gets its old id, so
 * that a policy's knowledge of it survives as in the stack's router, which keys by url.
 * When all endpoints_max ids were used, the url that left first (and has nothing in
 * flight) is forgotten and its id used again; with no such id this is a CHECK failure.
 */
uint32_t gateway_join(struct gateway *gateway, const char *url, const char *model,
                      double weight);
void gateway_leave(struct gateway *gateway, uint32_t endpoint_id);
/* Requests for this model (a LoRA adapter has the name of one) go to these endpoints
 * from now on, as far as they accept; ids that were given out, ascending, at least one.
 * The name is nobody's yet (CHECK). Names of the same endpoints cost no more than one.
 */
void gateway_serve(struct gateway *gateway, const char *model,
                   const uint32_t *endpoint_ids, uint32_t count);
void gateway_set_accepting(struct gateway *gateway, uint32_t endpoint_id,
                           bool accepting);
/* One that has left, with nothing in flight, will not come back: the next url that is
 * new gets its id. At most one at a time (CHECK). */
void gateway_forget(struct gateway *gateway, uint32_t endpoint_id);
/* Stays valid, and its counters current, until gateway_delete. */
const struct endpoint_view *gateway_endpoint(const struct gateway *gateway,
                                             uint32_t endpoint_id);

/* What the policy reads, so that the host fills request_view sparingly. */
unsigned gateway_needs(const struct gateway *gateway);

/* Decides and commits: counters, window and callbacks are done on return. The endpoint
 * id is filled in *endpoint_id when the decision has one. A request that names no model
 * goes to any endpoint; else to endpoints that joined with that name or serve it
 * (gateway_serve). Times must not go back from call to call (CHECK). */
struct route_decision gateway_route(struct gateway *gateway, int64_t now_ns,
                                    const struct request_view *request,
                                    uint32_t *endpoint_id);
/* The router's configuration was read anew: the policy starts from nothing, knows the
 * endpoints of now and never hears of requests that were routed before. Counters,
 * statistics and chance go on. */
void gateway_reset(struct gateway *gateway);
/* The same among all but these endpoints, which failed this request before: the policy
 * sees a smaller set and is told of no change. Those that do not accept may be named.
 */
struct route_except {
    const uint32_t *endpoints;
    uint32_t count;
};
struct route_decision gateway_route_except(struct gateway *gateway, int64_t now_ns,
                                           const struct request_view *request,
                                           const struct route_except *except,
                                           uint32_t *endpoint_id);
void gateway_first_token(struct gateway *gateway, int64_t now_ns, uint64_t request_id,
                         uint32_t endpoint_id, uint32_t prompt_tokens);
/* end->had_first_token: whether gateway_first_token was called for this attempt. */
void gateway_end(struct gateway *gateway, int64_t now_ns,
                 const struct attempt_end *end);
void gateway_scraped(struct gateway *gateway, uint32_t endpoint_id,
                     const struct endpoint_metrics *metrics);
/* An engine told about its cache. Of an endpoint that has left it is ignored. */
void gateway_kv_event(struct gateway *gateway, int64_t now_ns, uint32_t endpoint_id,
                      const struct kv_event *event);
/* The window, for logs and metrics; NULL unless NEED_REQUEST_STATS. */
const struct request_stats *gateway_stats(const struct gateway *gateway);
/* The endpoints among which a request for this model would be routed now; NULL when
 * there is none. Valid until the next call. */
const struct cluster_view *gateway_view(struct gateway *gateway, int64_t now_ns,
                                        const char *model);
/* State of the policy, all memory it holds included. */
size_t gateway_policy_bytes(const struct gateway *gateway);

#endif
