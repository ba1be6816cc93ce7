/* SPDX-License-Identifier: Apache-2.0
 *
 * route_random.c: any endpoint, each equally likely; the baseline of most papers.
 *
 * A Kubernetes service (kube-proxy on iptables) draws once for each connection, and a
 * client that keeps its connection keeps its endpoint: `per_connection` takes the
 * session key for the connection. The draw is then the highest hash of a salt, the key
 * and the endpoint, so that nothing has to be remembered, a connection stays while its
 * endpoint lives, and only those of a dead endpoint are drawn anew. (A connection
 * would not move to an endpoint that joins; here one in n does.)
 */
#include "base/hash.h"
#include "policies/choose.h"
#include "policies/registry.h"

#include <string.h>

enum { PARAM_PER_CONNECTION };

struct random_state {
    struct rng *rng;
    uint64_t salt;
    bool per_connection;
};

static bool random_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct random_state *self = state;
    self->rng = setup->rng;
    self->per_connection = setup->values[PARAM_PER_CONNECTION] != 0;
    self->salt = self->per_connection ? rng_next(self->rng) : 0;
    return true;
}

static struct route_decision pick_connection(const struct random_state *self,
                                             const struct cluster_view *view,
                                             const char *key)
{
    const uint64_t connection = hash_xxh64(key, strlen(key), self->salt);
    uint64_t highest = 0;
    uint32_t index = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const uint64_t hash = hash_pair(connection, view->endpoints[i]->id);
        index = hash > highest ? i : index;
        highest = hash > highest ? hash : highest;
    }
    return (struct route_decision){
        .endpoint = (int32_t)index, .reason = REASON_RANDOM, .candidates = view->count};
}

static struct route_decision random_pick(void *state, const struct cluster_view *view,
                                         const struct request_view *request)
{
    const struct random_state *self = state;
    if (self->per_connection && request->session_key != NULL) {
        return pick_connection(self, view, request->session_key);
    }
    return choose_random(view, self->rng, REASON_RANDOM);
}

static const struct policy_param params[] = {
    [PARAM_PER_CONNECTION] =
        {
            .name = "per_connection",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: one draw for each session key, as kube-proxy draws for each "
                    "connection; 0: one draw for each request",
        },
    {.name = NULL},
};

const struct route_policy route_random = {
    .name = "random",
    .help = "Any endpoint, each equally likely.",
    .source = "vllm-project/aibrix:pkg/plugins/gateway/algorithms/random.go",
    .breaks = "any load that is not many equal requests: the busiest of n endpoints "
              "gets the mean plus about its root times log n",
    .needs = NEED_SESSION_KEY,
    .params = params,
    .state_bytes = sizeof(struct random_state),
    .init = random_init,
    .pick = random_pick,
};
