/* SPDX-License-Identifier: Apache-2.0
 *
 * alternate.c: a routing policy of one's own, outside the tree.
 *
 *     cc -std=c17 -shared -fPIC -I PREFIX/include/stacksim alternate.c -o alternate.so
 *     stacksim compare demo --policy-plugin ./alternate.so --policies
 * round_robin,alternate
 *
 * Long prompts go to the endpoint with the fewest prompt tokens that still wait for
 * their first token, short ones to the endpoint with the fewest requests in flight: a
 * prompt that takes a second of prefill shall not stand before one that takes ten
 * milliseconds.
 */
#include "policies/plugin.h"

enum { PARAM_LONG_TOKENS };

struct alternate {
    uint32_t long_tokens;
};

static bool alternate_init(void *state, const struct policy_setup *setup,
                           struct err *err)
{
    (void)err; /* a policy that cannot be set up says why with err_set */
    struct alternate *self = state;
    self->long_tokens = (uint32_t)setup->values[PARAM_LONG_TOKENS];
    return true;
}

static uint64_t load_of(const struct alternate *self, const struct cluster_view *view,
                        const struct request_view *request, uint32_t index)
{
    return request->prompt_tokens >= self->long_tokens
               ? view->endpoints[index]->inflight_prompt_tokens
               : view->inflight[index];
}

/* Candidates come in discovery order; equals go to the first, so that equal runs give
 * equal bytes without a draw. */
static struct route_decision alternate_pick(void *state,
                                            const struct cluster_view *view,
                                            const struct request_view *request)
{
    const struct alternate *self = state;
    uint32_t best = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const uint64_t load = load_of(self, view, request, i);
        if (view->scores != NULL) {
            view->scores[i] = (double)load; /* for the decision log */
        }
        best = load < load_of(self, view, request, best) ? i : best;
    }
    return (struct route_decision){
        .endpoint = (int32_t)best,
        .reason = REASON_LEAST_LOADED,
        .candidates = view->count,
        .score = (double)load_of(self, view, request, best),
    };
}

static const struct policy_param params[] = {
    [PARAM_LONG_TOKENS] = {.name = "long_tokens",
                           .kind = PARAM_U64,
                           .default_value = 2048,
                           .max = 1e9,
                           .help = "prompts of this many tokens or more are long"},
    {.name = NULL},
};

static const struct route_policy route_alternate = {
    .name = "alternate",
    .help = "Long prompts to the least prefill, short ones to the fewest requests.",
    .source = "example of a plug-in",
    .score_help = "load, the least wins",
    .params = params,
    .state_bytes = sizeof(struct alternate),
    .init = alternate_init,
    .pick = alternate_pick,
};

static const struct route_policy *const policies[] = {&route_alternate, NULL};
STACKSIM_POLICY_PLUGIN(policies);
