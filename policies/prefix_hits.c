/* SPDX-License-Identifier: Apache-2.0
 *
 * prefix_hits.c: the index's list of hits, scattered over the candidates.
 */
#include "policies/prefix_hits.h"

#include <string.h>

enum { INDEX_BLOCKS_UNKNOWN = 31250 };

void prefix_hits_init(struct prefix_hits *hits, const struct policy_memory *memory,
                      uint32_t index_blocks)
{
    *hits = (struct prefix_hits){
        .memory = *memory,
        .index = prefix_index_new(memory),
        .index_blocks = index_blocks,
    };
}

void prefix_hits_fini(struct prefix_hits *hits)
{
    prefix_index_delete(hits->index);
    hits->memory.resize(hits->memory.context, hits->blocks, 0);
    hits->index = NULL;
    hits->blocks = NULL;
    hits->capacity = 0;
}

const uint32_t *prefix_hits_of(struct prefix_hits *hits,
                               const struct cluster_view *view,
                               const struct request_view *request)
{
    if (view->count > hits->capacity) {
        hits->blocks = hits->memory.resize(hits->memory.context, hits->blocks,
                                           view->count * sizeof *hits->blocks);
        hits->capacity = view->count;
    }
    memset(hits->blocks, 0, view->count * sizeof *hits->blocks);
    const struct index_hit *list = NULL;
    const uint32_t count = prefix_index_match(hits->index, request->block_hashes,
                                              request->block_count, &list);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t id = list[i].endpoint_id;
        const uint32_t index =
            id < view->id_count ? view->index_of_id[id] : NOT_A_CANDIDATE;
        if (index != NOT_A_CANDIDATE) {
            hits->blocks[index] = list[i].blocks;
        }
    }
    return hits->blocks;
}

void prefix_hits_on_route(struct prefix_hits *hits, const struct cluster_view *view,
                          const struct request_view *request,
                          const struct route_decision *decision)
{
    prefix_index_insert(hits->index, view->endpoints[decision->endpoint]->id,
                        request->block_hashes, request->block_count);
}

static void allow(struct prefix_hits *hits, const struct endpoint_view *endpoint)
{
    const struct endpoint_metrics *metrics = &endpoint->metrics;
    const bool known =
        (metrics->valid & METRIC_KV_TOTAL) != 0 && metrics->kv_total_blocks > 0;
    uint32_t blocks = hits->index_blocks;
    if (blocks == 0) {
        blocks = known ? metrics->kv_total_blocks : INDEX_BLOCKS_UNKNOWN;
    }
    prefix_index_allow(hits->index, endpoint->id, blocks);
}

void prefix_hits_on_endpoint_change(struct prefix_hits *hits,
                                    enum endpoint_change change,
                                    const struct endpoint_view *endpoint)
{
    if (change == ENDPOINT_JOINED) {
        allow(hits, endpoint);
    } else if (change == ENDPOINT_LEFT) {
        prefix_index_forget(hits->index, endpoint->id);
    }
}

void prefix_hits_on_metrics(struct prefix_hits *hits,
                            const struct endpoint_view *endpoint)
{
    allow(hits, endpoint);
}

size_t prefix_hits_bytes(const struct prefix_hits *hits)
{
    return prefix_index_bytes(hits->index) + hits->capacity * sizeof *hits->blocks;
}
