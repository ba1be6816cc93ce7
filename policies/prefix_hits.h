/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix_hits.h: for every candidate, how many leading blocks of the prompt it was
 * sent.
 *
 * A prefix index that is as large as the engines' own caches, and its answer as one
 * number per candidate: what a policy needs that weighs hits against load. What was
 * sent is not what the engine still has (approximate); an endpoint that leaves is
 * forgotten, since whoever comes back has a cold cache.
 */
#ifndef STACKSIM_POLICIES_PREFIX_HITS_H
#define STACKSIM_POLICIES_PREFIX_HITS_H

#include "policies/prefix_index.h"

/* An entry of a parameter table, for prefix_hits_init. */
#define INDEX_BLOCKS_PARAM                                                             \
    {                                                                                  \
        .name = "index_blocks", .kind = PARAM_U64, .max = 1 << 30,                     \
        .help = "KV blocks remembered per endpoint; 0 = as many as it reports to "     \
                "have, 31250 until it does",                                           \
    }

struct prefix_hits {
    struct policy_memory memory;
    struct prefix_index *index;
    uint32_t index_blocks; /* per endpoint; 0 = what the engine says */
    uint32_t *blocks;      /* by index in the view */
    uint32_t capacity;
};

void prefix_hits_init(struct prefix_hits *hits, const struct policy_memory *memory,
                      uint32_t index_blocks);
void prefix_hits_fini(struct prefix_hits *hits);

/* Leading blocks of the request that candidate i was sent, in [i]; borrowed until the
 * next call. Needs NEED_BLOCK_HASHES. */
const uint32_t *prefix_hits_of(struct prefix_hits *hits,
                               const struct cluster_view *view,
                               const struct request_view *request);

/* To be called from the policy's callbacks of these names. */
void prefix_hits_on_route(struct prefix_hits *hits, const struct cluster_view *view,
                          const struct request_view *request,
                          const struct route_decision *decision);
void prefix_hits_on_endpoint_change(struct prefix_hits *hits,
                                    enum endpoint_change change,
                                    const struct endpoint_view *endpoint);
void prefix_hits_on_metrics(struct prefix_hits *hits,
                            const struct endpoint_view *endpoint);
size_t prefix_hits_bytes(const struct prefix_hits *hits);

/* Prompt tokens that a hit of so many blocks leaves to compute. A last block that is
 * not full counts as spread over the full ones, so a hit of all blocks leaves none. */
static inline double prefix_miss_tokens(const struct request_view *request,
                                        uint32_t hit_blocks)
{
    if (request->block_count == 0) {
        return request->prompt_tokens;
    }
    return (double)request->prompt_tokens *
           (double)(request->block_count - hit_blocks) / (double)request->block_count;
}

#endif
