/* SPDX-License-Identifier: Apache-2.0
 *
 * pair_stack.c: the stack's "disaggregated_prefill": one fixed pair of engines.
 *
 * Release 0.1.3 sends the request as it came to the first engine that prefills and
 * throws its copy with max_tokens 1 away: the whole answer is generated there, read and
 * discarded, before the first engine that decodes sees the request (the switch
 * full_generation). Later releases prefill with one token; they keep one client for
 * each role, of the endpoint that was discovered last, which is as fixed
 * (spec/production-stack.md 1.5).
 */
#include "policies/registry.h"

enum { PARAM_FULL_GENERATION };

static bool stack_in_full(const double *values)
{
    return values[PARAM_FULL_GENERATION] != 0;
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
};
