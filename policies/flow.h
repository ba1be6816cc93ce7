/* SPDX-License-Identifier: Apache-2.0
 *
 * flow.h: the host of an admission policy: the gateway's queues.
 *
 * Stands in front of a gateway and runs in the simulator and in the real router alike.
 * Its owner reports what happened, with times that never go back, and acts on the
 * answers; the flow reads no clock and does no I/O. Owners call flow_next until it says
 * false after whatever may have made room: an arrival that was queued, an end, a
 * scrape, a change of endpoints.
 *
 * A request of which flow_arrive says ADMIT_PASS, or which flow_next hands out, is in
 * flight until flow_ended (CHECK), also when no endpoint was found for it.
 */
#ifndef STACKSIM_POLICIES_FLOW_H
#define STACKSIM_POLICIES_FLOW_H

#include "policies/admit.h"
#include "policies/gateway.h"

struct flow;

struct flow_setup {
    const struct admit_policy *policy;
    enum compat compat;
    const char *const *param_names;
    const double *param_values;
    size_t param_count;
    uint64_t seed;
    uint64_t replica;        /* which of several gateways */
    struct gateway *gateway; /* borrowed: its endpoints are looked at */
    /* Known by their names; those beyond share, by hash. 0 = 65,536. */
    uint32_t tenants_max;
    /* Of all flows, whatever the policy allows: one more is turned away as queue_full.
     * 0 = 2^20. */
    uint32_t waiting_max;
};

/* One that left its flow. */
struct flow_item {
    uint64_t request_id;
    void *owner; /* as given to flow_arrive */
};

NODISCARD bool flow_new(struct flow **out, const struct flow_setup *setup,
                        struct err *err);
void flow_delete(struct flow *flow);

/* A request came. It passes when no endpoint could take it, whatever the policy says:
 * the gateway then rejects it, and nobody waits for nobody. Ids of requests here must
 * be unique (CHECK). owner comes back when the request leaves its flow. */
struct admit_decision flow_arrive(struct flow *flow, int64_t now_ns,
                                  const struct request_view *request, void *owner);
/* Takes one that may go on to routing now. */
bool flow_next(struct flow *flow, int64_t now_ns, struct flow_item *item);
/* Takes one whose time in the queue was up at now_ns or before. */
bool flow_take_expired(struct flow *flow, int64_t now_ns, struct flow_item *item);
/* Takes anyone who waits, in order of deadline: the owner closes down. */
bool flow_take_any(struct flow *flow, struct flow_item *item);
/* When somebody's time will be up; INT64_MAX = nobody waits with an end. */
int64_t flow_deadline_ns(const struct flow *flow);
/* The client of a waiting request hung up. */
void flow_cancel(struct flow *flow, uint64_t request_id);
/* Output tokens of a request in flight so far: policies that charge for them learn it
 * early. Must not fall. */
void flow_saw_tokens(struct flow *flow, uint64_t request_id, uint32_t output_tokens);
/* output_tokens: all that were produced. */
void flow_ended(struct flow *flow, uint64_t request_id, uint32_t output_tokens);

unsigned flow_needs(const struct flow *flow);
/* Whether flow_saw_tokens is of any use to the policy. */
bool flow_wants_tokens(const struct flow *flow);
uint32_t flow_waiting(const struct flow *flow);
/* State of the policy and the queues. */
size_t flow_bytes(const struct flow *flow);

#endif
