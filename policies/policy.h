/* SPDX-License-Identifier: Apache-2.0
 *
 * policy.h: what a routing policy is (STYLE 7.1) and the registry of all of them.
 *
 * A policy is a const struct of functions over a block of state. It is pure: time comes
 * in the view, chance from its host's stream, memory from its host's allocator. It must
 * not know whether it is being simulated. One file policies/route_<name>.c and one line
 * in policies/registry.def make a policy.
 */
#ifndef STACKSIM_POLICIES_POLICY_H
#define STACKSIM_POLICIES_POLICY_H

#include "base/err.h"
#include "base/rng.h"
#include "policies/view.h"

#include <stddef.h>

/* What a policy reads; the host computes nothing else. */
enum policy_need {
    NEED_SESSION_KEY = 1 << 0,
    NEED_CHUNK_HASHES = 1 << 1,
    NEED_BLOCK_HASHES = 1 << 2,
    NEED_METRICS = 1 << 3,       /* scraped engine metrics */
    NEED_REQUEST_STATS = 1 << 4, /* the sliding window of the stack's router */
};

/* Why an endpoint was chosen; the decision log carries the name. */
#define ROUTE_REASONS(X)                                                               \
    X(NONE, "no endpoint accepts this model")                                          \
    X(ROUND_ROBIN, "next in turn")                                                     \
    X(RING, "consistent hash ring")                                                    \
    X(QPS_FALLBACK, "fewest arrivals in the window")                                   \
    X(TRIE_MATCH, "longest known prefix")                                              \
    X(TRIE_RANDOM, "no known prefix: at random")                                       \
    X(LEAST_LOADED, "fewest requests in flight")                                       \
    X(SCORED, "highest score")

enum route_reason {
#define X(name, help) REASON_##name,
    ROUTE_REASONS(X)
#undef X
};
const char *route_reason_name(enum route_reason reason); /* "ring" */

struct route_decision {
    int32_t endpoint; /* index into cluster_view.endpoints; -1 = no candidate */
    enum route_reason reason;
    uint32_t candidates;     /* how many were considered last */
    uint32_t matched_length; /* of the prefix, in the policy's unit (characters, tokens) */
    double score;            /* of the chosen one, 0 where the policy has none */
};

enum param_kind { PARAM_U64, PARAM_F64, PARAM_BOOL };
struct policy_param {
    const char *name; /* NULL ends the table */
    enum param_kind kind;
    double default_value;
    double min;
    double max;
    const char *help; /* with unit */
};

/* Memory of the host. resize(NULL, n) allocates, resize(p, 0) frees; never NULL for
 * n > 0; not zeroed. */
struct policy_memory {
    void *context;
    void *(*resize)(void *context, void *memory, size_t bytes);
};

struct policy_setup {
    enum compat compat;
    const double *values; /* one per entry of the parameter table */
    struct policy_memory memory;
    struct rng *rng; /* the policy's own stream; lives as long as the policy */
};

enum endpoint_change { ENDPOINT_JOINED, ENDPOINT_LEFT, ENDPOINT_HEALTH };
enum request_end { REQUEST_COMPLETED, REQUEST_ABORTED, REQUEST_REFUSED };

struct route_policy {
    const char *name;
    const char *const *aliases; /* NULL-terminated spellings of the stack, or NULL */
    const char *help;
    const char *source;
    unsigned needs; /* bits of enum policy_need */
    const struct policy_param *params; /* or NULL */
    size_t state_bytes;
    /* state arrives zeroed. Optional: NULL when there is nothing to set up. */
    bool (*init)(void *state, const struct policy_setup *setup, struct err *err);
    void (*fini)(void *state);
    /* view->count >= 1. May be repeated for a retry: changes only cursors and chance. */
    struct route_decision (*pick)(void *state, const struct cluster_view *view,
                                  const struct request_view *request);
    /* Optional callbacks, in guaranteed order per request: on_route once per attempt,
     * on_first_token at most once, on_end exactly once per on_route. */
    void (*on_route)(void *state, const struct cluster_view *view,
                     const struct request_view *request,
                     const struct route_decision *decision);
    void (*on_first_token)(void *state, int64_t now_ns, uint64_t request_id,
                           uint32_t endpoint_id);
    void (*on_end)(void *state, int64_t now_ns, uint64_t request_id,
                   uint32_t endpoint_id, enum request_end how, uint32_t cached_tokens);
    void (*on_endpoint_change)(void *state, enum endpoint_change change,
                               const struct endpoint_view *endpoint);
    /* Bytes held now, for the memory bound tests and reports. Optional. */
    size_t (*memory_bytes)(const void *state);
};

/* By name or alias; NULL when unknown. */
const struct route_policy *route_policy_find(const char *name);
/* i-th of the registry in its order, NULL past the end. */
const struct route_policy *route_policy_at(size_t index);

#endif
