/* SPDX-License-Identifier: Apache-2.0
 *
 * view.h: all that a gateway can know when it decides, and nothing more (STYLE 1.3).
 *
 * The simulator and the real router fill the same structs. The true output length is
 * not in the types. Everything is borrowed for the call.
 */
#ifndef STACKSIM_POLICIES_VIEW_H
#define STACKSIM_POLICIES_VIEW_H

#include <stdbool.h>
#include <stdint.h>

/* Which behaviour of the stack's own router (spec/production-stack.md). */
enum compat {
    COMPAT_TAG,       /* release 0.1.3, bug for bug */
    COMPAT_TAG_FIXED, /* release 0.1.3 as it was meant */
    COMPAT_HEAD,      /* head of August 2026 */
};

/* What an engine reported at its last scrape; valid says which fields were there. */
enum endpoint_metric {
    METRIC_RUNNING = 1 << 0,
    METRIC_WAITING = 1 << 1,
    METRIC_KV_USED = 1 << 2,
    METRIC_PREFIX_HITS = 1 << 3,
    METRIC_KV_TOTAL = 1 << 4,
    METRIC_ADAPTERS = 1 << 5,
};

/* LoRA adapters of an engine. Whoever scrapes keeps the lists until the endpoint's next
 * scrape or its end. An adapter is the XXH64 of its name, never 0. */
struct endpoint_adapters {
    const uint64_t *active; /* in use by running requests, ascending */
    uint32_t active_count;
    const uint64_t *waiting; /* requests wait for them to be loaded, ascending */
    uint32_t waiting_count;
    uint32_t max; /* that can be active at a time */
};

struct endpoint_metrics {
    int64_t scraped_ns; /* when; older than now by the scrape age */
    uint32_t valid;     /* bits of enum endpoint_metric; missing is not zero */
    uint32_t running_requests;
    uint32_t waiting_requests;
    double kv_used_ratio; /* 0..1 */
    uint32_t
        kv_total_blocks; /* of the engine's prefix cache, the null block left out */
    uint64_t prefix_query_tokens;
    uint64_t prefix_hit_tokens;
    const struct endpoint_adapters *adapters;
};

struct endpoint_view {
    uint32_t id;         /* dense; belongs to the url as long as it is remembered */
    uint32_t generation; /* bumped whenever the id joins again */
    const char *url;     /* unique name */
    const char *model;   /* NULL = serves requests that name no model */
    double weight;       /* 1 by default */
    bool accepting;      /* joined, healthy, not draining */
    /* Counted by this gateway itself: exact and of now. */
    uint32_t inflight_requests;
    uint64_t inflight_prompt_tokens; /* of requests without a first token */
    uint32_t inflight_prefill;       /* requests without a first token */
    uint32_t inflight_decode;
    struct endpoint_metrics metrics;
};

#define NOT_A_CANDIDATE UINT32_MAX

/* The candidates of one decision: accepting endpoints of the request's model. An
 * "index" is a position in endpoints; the other arrays are kept beside it so that a
 * policy never has to sort, search or gather. */
struct cluster_view {
    int64_t now_ns;
    const struct endpoint_view *const *endpoints; /* ascending id = discovery order */
    uint32_t count;
    uint32_t id_count;                 /* every endpoint id is below this */
    const uint32_t *by_url;            /* indices in byte order of url */
    const uint32_t *url_rank;          /* the inverse: index -> position in by_url */
    const uint32_t *index_of_id;       /* endpoint id -> index, or NOT_A_CANDIDATE */
    const uint32_t *inflight;          /* index -> inflight_requests, side by side */
    uint64_t set_hash;                 /* equal sets of urls, equal hash */
    const struct request_stats *stats; /* NULL unless NEED_REQUEST_STATS */
    /* Index -> what a policy weighed there, for the decision log; NULL = nobody asks,
     * NaN = not weighed. Write only. */
    double *scores;
};

struct request_view {
    uint64_t request_id;
    int64_t arrival_ns;
    const char *session_key; /* NULL = the client sent none; may be "" */
    const char *model;       /* NULL = the only one */
    uint32_t prompt_tokens;
    uint32_t output_tokens_max;   /* 0 = the client named no cap */
    uint32_t output_tokens_guess; /* of a predictor; 0 = none */
    int32_t priority;
    /* Only when some policy declared the need (policies/policy.h): */
    const uint64_t
        *chunk_hashes; /* per 128 characters, last may be short; not chained */
    uint32_t chunk_count;
    const uint64_t *block_hashes; /* chained, one per full KV block */
    uint32_t block_count;
    uint32_t block_tokens; /* of a block; 0 = unknown */
    const char *tenant;    /* whose quota it counts against; NULL = none */
    uint64_t adapter;      /* XXH64 of its name; 0 = the base model */
};

#endif
