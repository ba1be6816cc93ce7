/* SPDX-License-Identifier: Apache-2.0
 *
 * route_round_robin.c: the stack's "roundrobin": endpoints in turn, in order of url.
 *
 * Release 0.1.3 has one counter for all models (the switch shared_counter): with models
 * A and B in strict alternation and two engines each, half of the engines starve. Head
 * counts per set of endpoints, at most 1024 sets; a new one beyond that clears them all
 * (spec/production-stack.md 1.1). Release as it was meant (tag-fixed) is taken to be
 * the repair that the stack made itself, that is, head.
 */
#include "policies/policy.h"
#include "policies/registry.h"

enum { SETS_MAX = 1024, SLOTS = 2048 };
enum { PARAM_SHARED_COUNTER };

struct turn {
    uint64_t set_hash;
    uint64_t picks; /* 0 = empty slot */
};

struct round_robin {
    bool shared;
    uint64_t shared_picks;
    uint32_t set_count;
    struct turn turns[SLOTS]; /* open addressing, at most half full */
};

static bool round_robin_init(void *state, const struct policy_setup *setup,
                             struct err *err)
{
    (void)err;
    struct round_robin *self = state;
    self->shared = setup->values[PARAM_SHARED_COUNTER] != 0;
    return true;
}

/* The set's slot, or the empty one where it would go. */
static struct turn *turn_of(struct round_robin *self, uint64_t set_hash)
{
    size_t at = set_hash % SLOTS;
    while (self->turns[at].picks != 0 && self->turns[at].set_hash != set_hash) {
        at = (at + 1) % SLOTS;
    }
    return &self->turns[at];
}

static uint64_t next_of_set(struct round_robin *self, uint64_t set_hash)
{
    struct turn *turn = turn_of(self, set_hash);
    if (turn->picks == 0) {
        if (self->set_count == SETS_MAX) {
            for (size_t i = 0; i < SLOTS; i++) {
                self->turns[i].picks = 0;
            }
            self->set_count = 0;
            turn = turn_of(self, set_hash);
        }
        turn->set_hash = set_hash;
        self->set_count++;
    }
    return turn->picks++;
}

static struct route_decision round_robin_pick(void *state,
                                              const struct cluster_view *view,
                                              const struct request_view *request)
{
    (void)request;
    struct round_robin *self = state;
    const uint64_t turn =
        self->shared ? self->shared_picks++ : next_of_set(self, view->set_hash);
    return (struct route_decision){
        .endpoint = (int32_t)view->by_url[turn % view->count],
        .reason = REASON_ROUND_ROBIN,
        .candidates = view->count,
    };
}

static const char *const aliases[] = {"roundrobin", NULL};

static const struct policy_param params[] = {
    [PARAM_SHARED_COUNTER] =
        {
            .name = "shared_counter",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: one counter for all models (release 0.1.3); "
                    "0: one for each set of endpoints",
            .defect = true,
        },
    {.name = NULL},
};

const struct route_policy route_round_robin = {
    .name = "round_robin",
    .aliases = aliases,
    .help = "Endpoints in turn, in order of their urls.",
    .source = "vllm-project/production-stack:src/vllm_router/routers/routing_logic.py",
    .breaks = "heavy-tailed lengths: equal counts are not equal work; with "
              "shared_counter two models in alternation starve half of the engines",
    .params = params,
    .state_bytes = sizeof(struct round_robin),
    .init = round_robin_init,
    .pick = round_robin_pick,
};
