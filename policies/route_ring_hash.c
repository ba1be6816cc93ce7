/* SPDX-License-Identifier: Apache-2.0
 *
 * route_ring_hash.c: consistent hashing of a request's key, and nothing else.
 *
 * SGLang's consistent_hashing has 150 points for each worker at blake3(url # i); Envoy
 * and SkyServe have rings of XXH64. The hash decides nothing but who is unlucky, so
 * ours is the XXH64 ring that chwbl has, too. Differs from session in the hash, the
 * number of points and what becomes of a request without a session key.
 */
#include "policies/affinity_key.h"
#include "policies/hash_ring.h"
#include "policies/registry.h"

enum { PARAM_KEY, PARAM_PREFIX_CHUNKS, PARAM_POINTS };

struct ring_hash {
    struct affinity_rule rule;
    struct hash_ring ring;
};

static bool ring_hash_init(void *state, const struct policy_setup *setup,
                           struct err *err)
{
    (void)err;
    struct ring_hash *self = state;
    self->rule = (struct affinity_rule){
        .by = (enum affinity_by)setup->values[PARAM_KEY],
        .prefix_chunks = (uint32_t)setup->values[PARAM_PREFIX_CHUNKS],
    };
    hash_ring_init_xxh64(&self->ring, &setup->memory,
                         (uint32_t)setup->values[PARAM_POINTS]);
    return true;
}

static void ring_hash_fini(void *state)
{
    struct ring_hash *self = state;
    hash_ring_fini(&self->ring);
}

static struct route_decision ring_hash_pick(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    struct ring_hash *self = state;
    const struct affinity_key key = affinity_key_of(&self->rule, request);
    size_t at = hash_ring_seek(&self->ring, key.hash);
    uint32_t index = view->index_of_id[hash_ring_owner(&self->ring, at)];
    while (index == NOT_A_CANDIDATE) {
        at = hash_ring_next(&self->ring, at);
        index = view->index_of_id[hash_ring_owner(&self->ring, at)];
    }
    return (struct route_decision){
        .endpoint = (int32_t)index,
        .reason = REASON_RING,
        .candidates = view->count,
    };
}

static void ring_hash_on_endpoint_change(void *state, enum endpoint_change change,
                                         const struct endpoint_view *endpoint)
{
    struct ring_hash *self = state;
    if (change == ENDPOINT_JOINED) {
        hash_ring_add(&self->ring, endpoint->url, endpoint->id);
    } else if (change == ENDPOINT_LEFT) {
        hash_ring_remove(&self->ring, endpoint->id);
    }
}

static size_t ring_hash_memory_bytes(const void *state)
{
    const struct ring_hash *self = state;
    return hash_ring_bytes(&self->ring);
}

static const char *const aliases[] = {"consistent_hashing", NULL};

static const struct policy_param params[] = {
    [PARAM_KEY] = AFFINITY_BY_PARAM(AFFINITY_SESSION),
    [PARAM_PREFIX_CHUNKS] = AFFINITY_CHUNKS_PARAM,
    [PARAM_POINTS] = {.name = "points",
                      .kind = PARAM_U64,
                      .default_value = 150,
                      .min = 1,
                      .max = 1024,
                      .help = "on the ring for each endpoint; more make shares more "
                              "equal: a share deviates by about 1 / sqrt(points) of "
                              "the mean"},
    {.name = NULL},
};

const struct route_policy route_ring_hash = {
    .name = "ring_hash",
    .aliases = aliases,
    .help = "Consistent hashing of the session key or the prefix (extension).",
    .source = "sgl-project/sglang:sgl-model-gateway/src/policies/consistent_hashing.rs",
    .breaks = "unequal keys: a hot key stays where it is",
    .needs = AFFINITY_NEEDS,
    .params = params,
    .state_bytes = sizeof(struct ring_hash),
    .init = ring_hash_init,
    .fini = ring_hash_fini,
    .pick = ring_hash_pick,
    .on_endpoint_change = ring_hash_on_endpoint_change,
    .memory_bytes = ring_hash_memory_bytes,
};
