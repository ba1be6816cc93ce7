/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.h: one request's life: where it went, why, and where the time was lost.
 *
 * Runs are deterministic, so nothing has to be stored for it: the run is simulated
 * again until the request has ended, and only its own events are kept.
 */
#ifndef STACKSIM_CLI_EXPLAIN_H
#define STACKSIM_CLI_EXPLAIN_H

#include "base/text.h"
#include "sim/observer.h"

/* What the policy saw of one candidate when it decided. */
struct explain_candidate {
    char *url;     /* owned */
    double score;  /* NaN = not weighed */
    double weight; /* of the endpoint */
    uint32_t endpoint_id;
    uint32_t inflight_requests;
    uint32_t inflight_prefill;
    uint64_t inflight_prompt_tokens;
    struct endpoint_metrics metrics;
};

struct explain {
    uint64_t request_id; /* set by the caller */
    bool routed;
    bool ended;
    int64_t routed_ns;
    uint64_t decisions; /* attempts; the last one is kept */
    const struct route_policy *policy;
    struct route_decision decision;
    struct explain_candidate *candidates; /* in discovery order */
    uint32_t candidate_count;
    struct request_outcome outcome;
};

/* Callbacks that write into explain, which must outlive the run. */
void explain_observe(struct explain *explain, struct observer *observer);
void explain_fini(struct explain *explain);

/* For people, and as one JSON object. label: "demo, seed 1". */
void explain_print(const struct explain *explain, const char *label, struct text *out);
void explain_print_json(const struct explain *explain, struct text *out);

#endif
