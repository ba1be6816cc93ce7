/* SPDX-License-Identifier: Apache-2.0
 *
 * route_first_endpoint.c: always the same endpoint: the first one discovered, as the
 * stack's disaggregated prefill takes of each role in release 0.1.3, or the last one,
 * as it does later (spec/production-stack.md 1.5).
 */
#include "policies/registry.h"

enum { PARAM_FIRST };

struct first_endpoint {
    bool first;
};

static bool first_endpoint_init(void *state, const struct policy_setup *setup,
                                struct err *err)
{
    (void)err;
    struct first_endpoint *self = state;
    self->first = setup->compat != COMPAT_HEAD || setup->values[PARAM_FIRST] != 0;
    return true;
}

static struct route_decision first_endpoint_pick(void *state,
                                                 const struct cluster_view *view,
                                                 const struct request_view *request)
{
    (void)request;
    const struct first_endpoint *self = state;
    return (struct route_decision){
        .endpoint = self->first ? 0 : (int32_t)view->count - 1,
        .reason = REASON_FIXED,
        .candidates = view->count,
    };
}

static const struct policy_param params[] = {
    [PARAM_FIRST] =
        {
            .name = "first",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: the first endpoint discovered, as up to release 0.1.3; 0: the "
                    "last one, at compat head",
        },
    {.name = NULL},
};

const struct route_policy route_first_endpoint = {
    .name = "first_endpoint",
    .help = "Always the endpoint that was discovered first (at head: last).",
    .source = "vllm-project/production-stack:src/vllm_router/routers/routing_logic.py",
    .breaks = "more than one endpoint: all but one are idle",
    .params = params,
    .state_bytes = sizeof(struct first_endpoint),
    .init = first_endpoint_init,
    .pick = first_endpoint_pick,
};
