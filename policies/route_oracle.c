/* SPDX-License-Identifier: Apache-2.0
 *
 * route_oracle.c: the endpoint whose true state promises the best, as an upper bound.
 *
 * It asks what would become of the request at each endpoint (oracle.h) and takes the
 * least cost:
 *
 *     goal 0   time to its end, and the delay of all requests there: what the sum of
 *              latencies grows by
 *     goal 1   time to its end
 *     goal 2   time to its first token
 *
 * It knows caches, queues and output lengths as they are, but not who comes next: it is
 * the best of single decisions, not of all sequences of them, and its foresight is an
 * estimate, not a simulation within the simulation.
 */
#include "policies/choose.h"
#include "policies/oracle.h"
#include "policies/registry.h"

enum { PARAM_GOAL };
enum { GOAL_SUM, GOAL_END, GOAL_FIRST_TOKEN };

struct oracle_policy {
    const struct oracle *oracle; /* never NULL: the gateway refuses */
    struct tie_breaker breaker;
    uint32_t goal;
};

static bool oracle_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct oracle_policy *self = state;
    self->oracle = setup->oracle;
    self->breaker = (struct tie_breaker){.rule = TIE_RANDOM, .rng = setup->rng};
    self->goal = (uint32_t)setup->values[PARAM_GOAL];
    return true;
}

static double cost_of(uint32_t goal, const struct oracle_outlook *outlook)
{
    switch (goal) {
    case GOAL_END:
        return (double)outlook->end_ns;
    case GOAL_FIRST_TOKEN:
        return (double)outlook->first_token_ns;
    default:
        return (double)outlook->end_ns + (double)outlook->delay_ns;
    }
}

static struct route_decision oracle_pick(void *state, const struct cluster_view *view,
                                         const struct request_view *request)
{
    const struct oracle_policy *self = state;
    struct choice choice = choice_begin(&self->breaker, view);
    uint32_t cached_tokens = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        struct oracle_outlook outlook;
        self->oracle->ask(self->oracle->context, view->endpoints[i]->id, request,
                          &outlook);
        choice_offer(&choice, cost_of(self->goal, &outlook) / 1e6, i);
        cached_tokens = choice.index == i ? outlook.cached_tokens : cached_tokens;
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_SCORED,
        .candidates = view->count,
        .matched_length = cached_tokens,
        .score = choice.cost,
    };
}

static const struct policy_param params[] = {
    [PARAM_GOAL] = {.name = "goal",
                    .kind = PARAM_U64,
                    .max = GOAL_FIRST_TOKEN,
                    .help = "0: time to the end, and what all others there lose; 1: "
                            "time to the end; 2: time to the first token"},
    {.name = NULL},
};

const struct route_policy route_oracle = {
    .name = "oracle",
    .help = "The endpoint with the best true outlook; only in a simulation.",
    .source = "AKafakA/vidur_opt_scheduler:vidur/scheduler/global_scheduler, with an "
              "estimate in place of an inner simulation",
    .breaks = "nothing that it can see; it does not know who comes next",
    .score_help = "milliseconds of latency that the request would add, the least wins",
    .match_unit = "tokens",
    .needs = NEED_ORACLE,
    .params = params,
    .state_bytes = sizeof(struct oracle_policy),
    .init = oracle_init,
    .pick = oracle_pick,
};
