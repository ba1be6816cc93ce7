/* SPDX-License-Identifier: Apache-2.0
 *
 * candidates.c: parallel arrays, shifted at a change.
 *
 * The set's hash is the sum of the hashes of its urls: it does not depend on the order
 * of joining and changes by one addition.
 */
#include "policies/candidates.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

struct candidates {
    struct cluster_view view;
    const struct endpoint_view **endpoints;
    uint32_t *by_url;
    uint32_t *url_rank;
    uint32_t *index_of_id;
    uint32_t *inflight;
};

struct candidates *candidates_new(uint32_t endpoints_max)
{
    struct candidates *set = mem_alloc(1, sizeof *set);
    set->endpoints = mem_alloc(endpoints_max, sizeof(struct endpoint_view *));
    set->by_url = mem_alloc(endpoints_max, sizeof *set->by_url);
    set->url_rank = mem_alloc(endpoints_max, sizeof *set->url_rank);
    set->index_of_id = mem_alloc(endpoints_max, sizeof *set->index_of_id);
    set->inflight = mem_alloc(endpoints_max, sizeof *set->inflight);
    for (uint32_t id = 0; id < endpoints_max; id++) {
        set->index_of_id[id] = NOT_A_CANDIDATE;
    }
    set->view = (struct cluster_view){
        .endpoints = set->endpoints,
        .id_count = endpoints_max,
        .by_url = set->by_url,
        .url_rank = set->url_rank,
        .index_of_id = set->index_of_id,
        .inflight = set->inflight,
    };
    return set;
}

void candidates_delete(struct candidates *set)
{
    if (set != NULL) {
        mem_free(set->inflight);
        mem_free(set->index_of_id);
        mem_free(set->url_rank);
        mem_free(set->by_url);
        mem_free(set->endpoints);
        mem_free(set);
    }
}

uint32_t candidates_count(const struct candidates *set)
{
    return set->view.count;
}

const struct cluster_view *candidates_view(struct candidates *set, int64_t now_ns,
                                           const struct request_stats *stats)
{
    set->view.now_ns = now_ns;
    set->view.stats = stats;
    return &set->view;
}

static uint64_t url_hash(const char *url)
{
    return hash_mix(hash_xxh64(url, strlen(url), 0));
}

/* Members whose id is below; endpoints mostly join in order, so from the end. */
static uint32_t index_for(const struct candidates *set, uint32_t id)
{
    uint32_t index = set->view.count;
    while (index > 0 && set->endpoints[index - 1]->id > id) {
        index--;
    }
    return index;
}

static uint32_t rank_for(const struct candidates *set, const char *url)
{
    uint32_t low = 0;
    uint32_t high = set->view.count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = strcmp(set->endpoints[set->by_url[middle]]->url, url);
        CHECK(order != 0, "two candidates of the url %s", url);
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void index_from(struct candidates *set, uint32_t index)
{
    for (uint32_t i = index; i < set->view.count; i++) {
        set->index_of_id[set->endpoints[i]->id] = i;
    }
}

static void rank_all(struct candidates *set)
{
    for (uint32_t rank = 0; rank < set->view.count; rank++) {
        set->url_rank[set->by_url[rank]] = rank;
    }
}

void candidates_add(struct candidates *set, const struct endpoint_view *endpoint)
{
    CHECK(set->index_of_id[endpoint->id] == NOT_A_CANDIDATE,
          "endpoint %u is a candidate already", endpoint->id);
    const uint32_t count = set->view.count;
    const uint32_t index = index_for(set, endpoint->id);
    const uint32_t rank = rank_for(set, endpoint->url);
    const size_t moved = count - index;
    memmove(set->endpoints + index + 1, set->endpoints + index,
            moved * sizeof(struct endpoint_view *));
    memmove(set->inflight + index + 1, set->inflight + index,
            moved * sizeof *set->inflight);
    for (uint32_t i = 0; i < count; i++) {
        set->by_url[i] += set->by_url[i] >= index;
    }
    memmove(set->by_url + rank + 1, set->by_url + rank,
            (size_t)(count - rank) * sizeof *set->by_url);
    set->endpoints[index] = endpoint;
    set->inflight[index] = endpoint->inflight_requests;
    set->by_url[rank] = index;
    set->view.count++;
    set->view.set_hash += url_hash(endpoint->url);
    index_from(set, index);
    rank_all(set);
}

void candidates_remove(struct candidates *set, const struct endpoint_view *endpoint)
{
    const uint32_t index = set->index_of_id[endpoint->id];
    CHECK(index != NOT_A_CANDIDATE, "endpoint %u is no candidate", endpoint->id);
    const uint32_t rank = set->url_rank[index];
    const uint32_t count = --set->view.count;
    const size_t moved = count - index;
    memmove(set->endpoints + index, set->endpoints + index + 1,
            moved * sizeof(struct endpoint_view *));
    memmove(set->inflight + index, set->inflight + index + 1,
            moved * sizeof *set->inflight);
    memmove(set->by_url + rank, set->by_url + rank + 1,
            (size_t)(count - rank) * sizeof *set->by_url);
    for (uint32_t i = 0; i < count; i++) {
        set->by_url[i] -= set->by_url[i] > index;
    }
    set->index_of_id[endpoint->id] = NOT_A_CANDIDATE;
    set->view.set_hash -= url_hash(endpoint->url);
    index_from(set, index);
    rank_all(set);
}

void candidates_update(struct candidates *set, const struct endpoint_view *endpoint)
{
    const uint32_t index = set->index_of_id[endpoint->id];
    if (index != NOT_A_CANDIDATE) {
        set->inflight[index] = endpoint->inflight_requests;
    }
}
