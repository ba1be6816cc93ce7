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
    int64_t stats_window_ns;       /* 0 = 60 s */
    uint32_t endpoints_max;        /* 0 = 4096 */
};

/* One line of the decision log, valid during the call. */
struct decision_row {
    int64_t now_ns;
    uint64_t request_id;
    const char *policy;
    struct route_decision decision;
    const struct endpoint_view *endpoint; /* NULL when nobody accepted */
};
struct decision_sink {
    void *context;
    void (*on_decision)(void *context, const struct decision_row *row);
};

NODISCARD bool gateway_new(struct gateway **out, const struct gateway_setup *setup,
                           struct err *err);
void gateway_delete(struct gateway *gateway);
/* sink NULL: no log. Borrowed until replaced. */
void gateway_log_to(struct gateway *gateway, const struct decision_sink *sink);

/* Copies url and model; returns the endpoint's id. New endpoints accept. */
uint32_t gateway_join(struct gateway *gateway, const char *url, const char *model,
                      double weight);
void gateway_leave(struct gateway *gateway, uint32_t endpoint_id);
void gateway_set_accepting(struct gateway *gateway, uint32_t endpoint_id,
                           bool accepting);
const struct endpoint_view *gateway_endpoint(const struct gateway *gateway,
                                             uint32_t endpoint_id);

/* What the policy reads, so that the host fills request_view sparingly. */
unsigned gateway_needs(const struct gateway *gateway);

/* Decides and commits: counters, window and callbacks are done on return. The endpoint
 * id is filled in *endpoint_id when the decision has one. */
struct route_decision gateway_route(struct gateway *gateway, int64_t now_ns,
                                    const struct request_view *request,
                                    uint32_t *endpoint_id);
void gateway_first_token(struct gateway *gateway, int64_t now_ns, uint64_t request_id,
                         uint32_t endpoint_id, uint32_t prompt_tokens);
/* had_first_token: whether gateway_first_token was called for this attempt. */
void gateway_end(struct gateway *gateway, int64_t now_ns, uint64_t request_id,
                 uint32_t endpoint_id, uint32_t prompt_tokens, bool had_first_token,
                 enum request_end how, uint32_t cached_tokens);
void gateway_scraped(struct gateway *gateway, uint32_t endpoint_id,
                     const struct endpoint_metrics *metrics);
size_t gateway_policy_bytes(const struct gateway *gateway);

#endif
