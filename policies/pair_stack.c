/* SPDX-License-Identifier: Apache-2.0
 *
 * pair_stack.c: the stack's "disaggregated_prefill": one fixed pair of engines.
 *
 * Release 0.1.3 sends the request as it came to the first engine that prefills and
 * throws its copy with max_tokens 1 away: the whole answer is generated there, read and
 * discarded, before the first engine that decodes sees the request (the switch
 * full_generation). It takes the leg with max_tokens 1 for the prefill leg, even if
 * that is what the client asked for (one_token_stays). Later releases prefill with one
 * token; they keep one client for each role, of the endpoint that was discovered last,
 * which is as fixed (spec/production-stack.md 1.5).
 */
#include "policies/registry.h"

enum { PARAM_FULL_GENERATION, PARAM_ONE_TOKEN_STAYS };

static bool stack_in_full(const double *values)
{
    return values[PARAM_FULL_GENERATION] != 0;
}

static bool stack_one_token_stays(const double *values)
{
    return values[PARAM_ONE_TOKEN_STAYS] != 0;
}

static const struct policy_param params[] = {
    [PARAM_FULL_GENERATION] =
        {
            .name = "full_generation",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: the prefilling engine produces the whole answer, which is "
                    "thrown away (release 0.1.3); 0: one token",
            .defect = true,
        },
    [PARAM_ONE_TOKEN_STAYS] =
        {
            .name = "one_token_stays",
            .kind = PARAM_BOOL,
            .max = 1,
            .help =
                "1: who asks for one token at most is sent to the prefilling engine "
                "twice, since max_tokens tells the legs apart (release 0.1.3)",
            .defect = true,
        },
    {.name = NULL},
};

static const char *const aliases[] = {"disaggregated-prefill", NULL};

const struct pair_policy pair_stack = {
    .name = "disaggregated_prefill",
    .aliases = aliases,
    .help = "One fixed engine prefills, one decodes; all others idle.",
    .source = "vllm-project/production-stack:src/vllm_router/services/request_service/"
              "request.py",
    .breaks = "more than one engine of a role: the rest get nothing; with "
              "full_generation TTFT is a whole answer",
    .params = params,
    .route = "first_endpoint",
    .in_full = stack_in_full,
    .one_token_stays = stack_one_token_stays,
};
