/* SPDX-License-Identifier: Apache-2.0
 *
 * front.h: one replica of the router as the simulator drives it: a gateway, its
 * admission, and what they see of a trace's record.
 *
 * Replicas share nothing: each counts what it sent itself, learns its own prefixes and
 * scrapes in its own time. A request belongs to the replica that it met.
 */
#ifndef STACKSIM_SIM_FRONT_H
#define STACKSIM_SIM_FRONT_H

#include "policies/gateway.h"
#include "sim/admission.h"
#include "sim/scenario.h"
#include "traces/record.h"

struct front {
    struct gateway *gateway;
    struct gateway *prefill;     /* of prefill legs; NULL = there are none */
    struct admission *admission; /* NULL = everybody may come in */
    const struct scenario *scenario;
    int64_t free_ns;  /* its process has dealt with all that it has */
    uint64_t *hashes; /* scratch of request_view */
    size_t hash_capacity;
    struct segment *segments; /* scratch: a prompt under its adapter */
    size_t segment_capacity;
    /* Endpoints that failed the request being routed; NULL = none. */
    const struct route_except *except;
};

/* What a front is tied to; borrowed. */
struct front_links {
    const struct decision_sink *sink; /* NULL = no decision log */
    const struct oracle *oracle;      /* answers about engines = endpoints */
};
NODISCARD bool front_init(struct front *front, const struct scenario *scenario,
                          uint32_t replica, const struct front_links *links,
                          struct err *err);
void front_fini(struct front *front); /* a zeroed front is legal */

/* Engines become endpoints in their order: endpoint id = engine. */
void front_join(struct front *front, uint32_t engine, const char *url,
                const char *model);
/* Which legs it may get; everything, unless this is called. */
void front_set_role(struct front *front, uint32_t engine, enum pool_role role);
/* Requests for this adapter go to these engines, ascending; gateway_serve. */
void front_serve(struct front *front, const char *adapter, const uint32_t *engines,
                 uint32_t count);
/* The prompt as engines see it: KV is an adapter's own. Valid until the next call. */
const struct segment *front_segments(struct front *front,
                                     const struct trace_record *record);
/* gateway_route for a record; *engine is filled when the decision has an endpoint. */
struct route_decision front_route(struct front *front, int64_t now_ns,
                                  const struct trace_record *record, int64_t arrival_ns,
                                  uint32_t *engine);
/* The same for a prefill leg. */
struct route_decision front_route_prefill(struct front *front, int64_t now_ns,
                                          const struct trace_record *record,
                                          int64_t arrival_ns, uint32_t *engine);
/* What its routing policies read. */
unsigned front_needs(const struct front *front);
/* Whether policy or admission read scraped metrics. */
bool front_needs_metrics(const struct front *front);
uint32_t front_waiting(const struct front *front); /* in its admission queue */

#endif
