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
    NEED_ADAPTERS = 1 << 5,      /* loaded adapters, with the engine metrics */
    NEED_KV_EVENTS = 1 << 6,     /* what engines tell about their prefix caches */
    NEED_ORACLE = 1 << 7,        /* the truth, which only a simulation knows */
};

/* Why an endpoint was chosen; the decision log carries the name. */
#define ROUTE_REASONS(X)                                                               \
    X(NONE, "none", "no endpoint accepts this model")                                  \
    X(ROUND_ROBIN, "round_robin", "next in turn")                                      \
    X(RING, "ring", "consistent hash ring")                                            \
    X(QPS_FALLBACK, "qps_fallback", "fewest arrivals in the window")                   \
    X(TRIE_MATCH, "trie_match", "longest known prefix")                                \
    X(TRIE_RANDOM, "trie_random", "no known prefix: at random")                        \
    X(TRIE_SPILL, "trie_spill", "holders of the prefix are overloaded")                \
    X(LEAST_LOADED, "least_loaded", "fewest requests in flight")                       \
    X(SCORED, "scored", "highest score")                                               \
    X(RANDOM, "random", "at random")                                                   \
    X(LEAST_WORK, "least_work", "fewest tokens outstanding")                           \
    X(SAMPLED, "sampled", "least loaded of a random sample")                           \
    X(RING_SPILL, "ring_spill", "owner on the ring is too loaded: the next one")       \
    X(RENDEZVOUS, "rendezvous", "highest hash of key and endpoint")                    \
    X(MAGLEV, "maglev", "slot of the key in the table")                                \
    X(ADAPTER, "adapter", "has the adapter, or room for it")                           \
    X(LEAST_KV, "least_kv", "least KV cache in use")                                   \
    X(NO_METRICS, "no_metrics", "no endpoint has the metric: at random")               \
    X(IMBALANCED, "imbalanced", "loads lie too far apart for affinity")                \
    X(PREFIX, "prefix", "holds enough of the prefix")                                  \
    X(NO_PREFIX, "no_prefix", "no endpoint holds enough of the prefix")                \
    X(SATURATED, "saturated", "holders of the prefix are saturated")                   \
    X(KV_HIT, "kv_hit", "says that it has enough of the prompt's KV")                  \
    X(KV_NO_HIT, "kv_no_hit", "nobody says that it has any of the prompt's KV")        \
    X(KV_BELOW_THRESHOLD, "kv_below_threshold", "the owner has too little of the KV")  \
    X(KV_UNMAPPED, "kv_unmapped", "the owner of the KV is no endpoint any more")       \
    X(FAILED, "failed", "the policy itself fails, as the stack's does")                \
    X(PREDICTED, "predicted", "lowest predicted latency")                              \
    X(HEADROOM, "headroom", "predicted to keep its targets")                           \
    X(NO_HEADROOM, "no_headroom", "nobody is predicted to keep the targets")           \
    X(REBALANCED, "rebalanced", "its holder carries too much: the least loaded")       \
    X(FIXED, "fixed", "always this one")

enum route_reason {
#define X(name, text, help) REASON_##name,
    ROUTE_REASONS(X)
#undef X
};
const char *route_reason_name(enum route_reason reason); /* "ring" */
const char *route_reason_help(enum route_reason reason); /* one line */

struct route_decision {
    /* Index into cluster_view.endpoints; -1 = no candidate, or (KV_UNMAPPED, FAILED)
     * the request fails as it would in the stack, with status 500. */
    int32_t endpoint;
    enum route_reason reason;
    uint32_t candidates; /* how many were considered last */
    uint32_t
        matched_length; /* of the prefix, in the policy's unit (characters, tokens) */
    double score;       /* of the chosen one, 0 where the policy has none */
};

enum param_kind { PARAM_U64, PARAM_F64, PARAM_BOOL };
struct policy_param {
    const char *name; /* NULL ends the table */
    enum param_kind kind;
    /* A behaviour that the stack's specification calls a defect: a switch (PARAM_BOOL)
     * that release 0.1.3 has on, so that its cost can be measured. */
    bool defect;
    double default_value; /* at compat head; for a defect: tag 1, tag-fixed 0 */
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
    const struct oracle *oracle; /* policies/oracle.h; there if NEED_ORACLE */
};

/* JOINED precedes the first view that holds the endpoint. LEFT may be followed by
 * JOINED of the same url under the same id. FORGOTTEN (only after LEFT, nothing in
 * flight): the url will not come back and its id goes to another one; drop all that is
 * kept for it. */
enum endpoint_change {
    ENDPOINT_JOINED,
    ENDPOINT_LEFT,
    ENDPOINT_HEALTH, /* endpoint->accepting changed */
    ENDPOINT_FORGOTTEN,
};
enum attempt_how { ATTEMPT_COMPLETED, ATTEMPT_ABORTED, ATTEMPT_REFUSED };

/* The end of one attempt; exactly one per on_route. */
struct attempt_end {
    uint64_t request_id;
    uint32_t endpoint_id;
    uint32_t prompt_tokens; /* as in the request_view */
    uint32_t cached_tokens; /* found in the prefix cache, as the engine reported it */
    enum attempt_how how;
    bool had_first_token;
    uint32_t output_tokens; /* produced, as the engine reported it; 0 = unknown */
};

/* What an engine told about its prefix cache (vLLM: BlockStored, BlockRemoved,
 * AllBlocksCleared). Late, and not all of it arrives. The hashes are those of
 * request_view.block_hashes when router and engine agree on how to make them. */
enum kv_event_kind { KV_EVENT_STORED, KV_EVENT_REMOVED, KV_EVENT_CLEARED };
struct kv_event {
    enum kv_event_kind kind;
    uint64_t message; /* number of the engine's message; a gap = lost ones. One message
                         may hold several events */
    uint64_t parent;  /* hash of the block before the first; 0 = it starts a prompt */
    const uint64_t *blocks; /* consecutive in one prompt; CLEARED: none */
    uint32_t block_count;
};

struct route_policy {
    const char *name;
    const char *const *aliases; /* NULL-terminated spellings of the stack, or NULL */
    const char *help;
    const char *source;
    unsigned needs;                    /* bits of enum policy_need */
    const struct policy_param *params; /* or NULL */
    size_t state_bytes;
    /* state arrives zeroed. Optional: NULL when there is nothing to set up. */
    bool (*init)(void *state, const struct policy_setup *setup, struct err *err);
    void (*fini)(void *state);
    /* view->count >= 1. May be repeated for a retry: changes only cursors and chance.
     */
    struct route_decision (*pick)(void *state, const struct cluster_view *view,
                                  const struct request_view *request);
    /* Optional callbacks, in guaranteed order per request: on_route once per attempt,
     * on_first_token at most once, on_end exactly once per on_route. */
    void (*on_route)(void *state, const struct cluster_view *view,
                     const struct request_view *request,
                     const struct route_decision *decision);
    void (*on_first_token)(void *state, int64_t now_ns, uint64_t request_id,
                           uint32_t endpoint_id);
    void (*on_end)(void *state, int64_t now_ns, const struct attempt_end *end);
    void (*on_endpoint_change)(void *state, enum endpoint_change change,
                               const struct endpoint_view *endpoint);
    /* A scrape landed: endpoint->metrics are new (NEED_METRICS). Optional. */
    void (*on_metrics)(void *state, const struct endpoint_view *endpoint);
    /* What a score of the decision log is and which one wins: "requests in flight, the
     * fewest win". NULL = the policy weighs nothing. */
    const char *score_help;
    const char
        *match_unit; /* of matched_length: "characters"; NULL = matches nothing */
    /* An engine's message came in (NEED_KV_EVENTS). Optional. */
    void (*on_kv_event)(void *state, int64_t now_ns,
                        const struct endpoint_view *endpoint,
                        const struct kv_event *event);
    /* What of `needs` it reads with these values of its parameters; NULL = all. */
    unsigned (*needs_with)(const double *values);
    /* Bytes held now beyond state_bytes, for the memory bound tests and reports.
     * Optional. */
    size_t (*memory_bytes)(const void *state);
    const char *breaks; /* under which load it fails, and how; NULL = not said */
};

/* By name or alias; NULL when unknown. */
const struct route_policy *route_policy_find(const char *name);
/* i-th of the registry in its order, NULL past the end. */
const struct route_policy *route_policy_at(size_t index);

/* Policies of every kind have a name and a table of parameters. */
struct policy_table {
    const char *name;
    const struct policy_param *params; /* or NULL */
};
bool policy_answers_to(const char *name, const char *const *aliases, const char *asked);

enum { POLICY_PARAMS_MAX = 32 };
size_t policy_param_count(const struct policy_param *params);
size_t route_policy_param_count(const struct route_policy *policy);
/* Fills values[i] for every entry of the policy's table: the given value, else the
 * default of this compat level. Unknown names, values out of range and fractions where
 * whole numbers are due are errors that name what is allowed. */
struct policy_given {
    const char *const *names;
    const double *values;
    size_t count;
};
NODISCARD bool policy_params_resolve(const struct policy_table *table,
                                     enum compat compat,
                                     const struct policy_given *given,
                                     double values[POLICY_PARAMS_MAX], struct err *err);
NODISCARD bool route_policy_resolve(const struct route_policy *policy,
                                    enum compat compat,
                                    const struct policy_given *given,
                                    double values[POLICY_PARAMS_MAX], struct err *err);

#endif
