/* SPDX-License-Identifier: Apache-2.0
 *
 * order.h: what a waiting order is: in which order an engine admits those in its queue.
 *
 * Not a decision of the gateway but of the engine's scheduler; the same kind of table
 * all the same, so that it is listed, documented and tested like the others. An order
 * is a comparison of two requests by facts that do not change while they wait, so that
 * a queue can be kept sorted. One file policies/order_<name>.c and one line
 * ORDER(<name>) in policies/registry.def make one.
 */
#ifndef STACKSIM_POLICIES_ORDER_H
#define STACKSIM_POLICIES_ORDER_H

#include "policies/policy.h"

struct order_view {
    uint64_t request_id; /* unique: the last resort */
    int64_t arrival_ns;  /* at the gateway */
    int32_t priority;    /* lower is more urgent */
    uint32_t prompt_tokens;
};

enum { ORDER_PARAMS_MAX = 8 };

struct order_policy {
    const char *name;
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *help;
    const char *source;
    const char *breaks;                /* under which load it fails, and how */
    const struct policy_param *params; /* at most ORDER_PARAMS_MAX, or NULL */
    /* Whether a is admitted before b: a strict total order for different ids. values:
     * one per parameter. NULL: in the order in which they came to this engine. */
    bool (*before)(const double *values, const struct order_view *a,
                   const struct order_view *b);
    /* Preempted requests take their place by `before`; false: ahead of all that were
     * never admitted, the last preempted first. */
    bool preempted_in_order;
    /* Who is preempted: the last of the running ones by `before`; false: the one that
     * was admitted last. */
    bool victim_by_order;
};

/* By name or alias; NULL when unknown. */
const struct order_policy *order_policy_find(const char *name);
/* i-th of the registry in its order, NULL past the end. */
const struct order_policy *order_policy_at(size_t index);

/* The comparison with which orders end: by arrival, then by id. */
static inline bool order_by_arrival(const struct order_view *a,
                                    const struct order_view *b)
{
    return a->arrival_ns != b->arrival_ns ? a->arrival_ns < b->arrival_ns
                                          : a->request_id < b->request_id;
}

#endif
