/* SPDX-License-Identifier: Apache-2.0
 *
 * route_chwbl.c: consistent hashing with bounded loads, as KubeAI has it.
 *
 *     bound = load_ratio * (requests in flight + 1) / endpoints
 *     walk the ring from the key: the first endpoint within the bound
 *
 * (Mirrokni, Thorup, Zadimoghaddam 2018.) A hot key spills over to the same neighbour
 * every time, so that one warms up as well. With a ratio of 1 or more the least loaded
 * endpoint is within the bound, so somebody always is, unless adapters narrow the
 * choice: then the first that has the adapter, and if nobody has it the owner, who has
 * to load it. KubeAI hashes the first 100 characters of the first message of the user;
 * what a gateway sees here is the prompt, system prompt included, in chunks of 128
 * characters.
 */
#include "policies/adapters.h"
#include "policies/affinity_key.h"
#include "policies/hash_ring.h"
#include "policies/registry.h"

enum { PARAM_KEY, PARAM_PREFIX_CHUNKS, PARAM_POINTS, PARAM_LOAD_RATIO };

struct chwbl {
    struct affinity_rule rule;
    double load_ratio;
    struct hash_ring ring;
};

static bool chwbl_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct chwbl *self = state;
    self->rule = (struct affinity_rule){
        .by = (enum affinity_by)setup->values[PARAM_KEY],
        .prefix_chunks = (uint32_t)setup->values[PARAM_PREFIX_CHUNKS],
    };
    self->load_ratio = setup->values[PARAM_LOAD_RATIO];
    hash_ring_init_xxh64(&self->ring, &setup->memory,
                         (uint32_t)setup->values[PARAM_POINTS]);
    return true;
}

static void chwbl_fini(void *state)
{
    struct chwbl *self = state;
    hash_ring_fini(&self->ring);
}

static double bound_of(const struct chwbl *self, const struct cluster_view *view)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        total += view->inflight[i];
    }
    return self->load_ratio * (double)(total + 1) / view->count;
}

/* An endpoint that did not say which adapters it has may have this one. */
static bool may_serve(const struct endpoint_view *endpoint, uint64_t adapter)
{
    const struct endpoint_adapters *adapters =
        adapter != 0 ? adapters_of(endpoint) : NULL;
    return adapters == NULL ||
           adapters_hold(adapters->active, adapters->active_count, adapter);
}

/* Indices of the view met on a walk, NOT_A_CANDIDATE when there was none. */
struct walk {
    uint32_t owner;  /* the first candidate */
    uint32_t able;   /* the first that has the adapter */
    uint32_t within; /* the first that has it and is within the bound */
};

static struct walk walk_ring(struct chwbl *self, const struct cluster_view *view,
                             const struct request_view *request)
{
    const struct affinity_key key = affinity_key_of(&self->rule, request);
    const double bound = bound_of(self, view);
    const size_t start = hash_ring_seek(&self->ring, key.hash);
    struct walk walk = {NOT_A_CANDIDATE, NOT_A_CANDIDATE, NOT_A_CANDIDATE};
    size_t at = start;
    do {
        const uint32_t index = view->index_of_id[hash_ring_owner(&self->ring, at)];
        at = hash_ring_next(&self->ring, at);
        if (index == NOT_A_CANDIDATE) {
            continue;
        }
        walk.owner = walk.owner == NOT_A_CANDIDATE ? index : walk.owner;
        if (view->scores != NULL) {
            view->scores[index] = view->inflight[index];
        }
        if (!may_serve(view->endpoints[index], request->adapter)) {
            continue;
        }
        walk.able = walk.able == NOT_A_CANDIDATE ? index : walk.able;
        if (view->inflight[index] <= bound) {
            walk.within = index;
            break;
        }
    } while (at != start);
    return walk;
}

static struct route_decision chwbl_pick(void *state, const struct cluster_view *view,
                                        const struct request_view *request)
{
    const struct walk walk = walk_ring(state, view, request);
    uint32_t picked = walk.within;
    if (picked == NOT_A_CANDIDATE) {
        picked = walk.able != NOT_A_CANDIDATE ? walk.able : walk.owner;
    }
    return (struct route_decision){
        .endpoint = (int32_t)picked,
        .reason = picked == walk.owner ? REASON_RING : REASON_RING_SPILL,
        .candidates = view->count,
        .score = view->inflight[picked],
    };
}

static void chwbl_on_endpoint_change(void *state, enum endpoint_change change,
                                     const struct endpoint_view *endpoint)
{
    struct chwbl *self = state;
    if (change == ENDPOINT_JOINED) {
        hash_ring_add(&self->ring, endpoint->url, endpoint->id);
    } else if (change == ENDPOINT_LEFT) {
        hash_ring_remove(&self->ring, endpoint->id);
    }
}

static size_t chwbl_memory_bytes(const void *state)
{
    const struct chwbl *self = state;
    return hash_ring_bytes(&self->ring);
}

static const char *const aliases[] = {"prefix_hash", "PrefixHash", NULL};

static const struct policy_param params[] = {
    [PARAM_KEY] = AFFINITY_BY_PARAM(AFFINITY_PREFIX),
    [PARAM_PREFIX_CHUNKS] = AFFINITY_CHUNKS_PARAM,
    [PARAM_POINTS] = {.name = "points",
                      .kind = PARAM_U64,
                      .default_value = 256,
                      .min = 1,
                      .max = 1024,
                      .help = "on the ring for each endpoint"},
    [PARAM_LOAD_RATIO] = {.name = "load_ratio",
                          .kind = PARAM_F64,
                          .default_value = 1.25,
                          .min = 1,
                          .max = 1e6,
                          .help = "the bound on an endpoint's requests in flight, over "
                                  "(total + 1) / endpoints"},
    {.name = NULL},
};

const struct route_policy route_chwbl = {
    .name = "chwbl",
    .aliases = aliases,
    .help = "Consistent hashing with bounded loads: the first on the ring that is not "
            "overloaded (extension).",
    .source = "substratusai/kubeai:internal/loadbalancer/balance_chwbl.go",
    .breaks = "one key for all (prefix_chunks too small): the ring's order becomes "
              "the order of filling up; few requests in flight; unequal requests",
    .needs = AFFINITY_NEEDS | NEED_ADAPTERS,
    .params = params,
    .state_bytes = sizeof(struct chwbl),
    .init = chwbl_init,
    .fini = chwbl_fini,
    .pick = chwbl_pick,
    .on_endpoint_change = chwbl_on_endpoint_change,
    .score_help = "requests in flight; the first on the ring within the bound wins",
    .memory_bytes = chwbl_memory_bytes,
};
