/* SPDX-License-Identifier: Apache-2.0
 *
 * route_session.c: the stack's "session": a session key always goes to the same engine.
 *
 * The key is hashed onto a consistent-hash ring of the candidates; a request without a
 * key goes to the endpoint with the fewest recent arrivals. An empty key is a key. The
 * ring knows nothing of load: sessions of unequal weight, and the ring's own shares
 * (hottest over mean 1.11 at 8 engines), stay as they are. Release 0.1.3 and head route
 * alike; where the key comes from (header, at head also the body) is the host's
 * business (spec/production-stack.md 1.2).
 */
#include "policies/hash_ring.h"
#include "policies/qps_fallback.h"
#include "policies/registry.h"

struct session {
    struct hash_ring ring;
};

static bool session_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct session *self = state;
    hash_ring_init(&self->ring, &setup->memory);
    return true;
}

static void session_fini(void *state)
{
    struct session *self = state;
    hash_ring_fini(&self->ring);
}

static struct route_decision session_pick(void *state, const struct cluster_view *view,
                                          const struct request_view *request)
{
    struct session *self = state;
    if (request->session_key == NULL) {
        return qps_fallback(view);
    }
    return (struct route_decision){
        .endpoint = (int32_t)hash_ring_pick(&self->ring, view, request->session_key),
        .reason = REASON_RING,
        .candidates = view->count,
    };
}

static void session_on_endpoint_change(void *state, enum endpoint_change change,
                                       const struct endpoint_view *endpoint)
{
    struct session *self = state;
    if (change == ENDPOINT_JOINED) {
        hash_ring_add(&self->ring, endpoint->url, endpoint->id);
    } else if (change == ENDPOINT_LEFT) {
        hash_ring_remove(&self->ring, endpoint->id);
    }
}

static size_t session_memory_bytes(const void *state)
{
    const struct session *self = state;
    return hash_ring_bytes(&self->ring);
}

const struct route_policy route_session = {
    .name = "session",
    .help = "Consistent hashing of the session key; without a key, the endpoint with "
            "the fewest recent arrivals.",
    .source = "vllm-project/production-stack:src/vllm_router/routers/routing_logic.py, "
              "uhashring 2.3",
    .breaks = "unequal keys: a hot session stays where it is, and the ring itself is "
              "uneven (1.11 times the mean at 8 endpoints)",
    .needs = NEED_SESSION_KEY | NEED_REQUEST_STATS,
    .state_bytes = sizeof(struct session),
    .init = session_init,
    .fini = session_fini,
    .pick = session_pick,
    .on_endpoint_change = session_on_endpoint_change,
    .memory_bytes = session_memory_bytes,
};
