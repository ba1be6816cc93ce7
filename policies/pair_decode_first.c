/* SPDX-License-Identifier: Apache-2.0
 *
 * pair_decode_first.c: the engine that decodes is chosen first; only when it lacks
 * enough of the prompt does another one prefill (llm-d; spec/policies.md P52).
 */
#include "policies/registry.h"

enum { PARAM_UNCACHED };

static bool decode_first_split(const double *values, const struct pair_view *view)
{
    return view->prompt_tokens - view->cached_tokens >= values[PARAM_UNCACHED];
}

static const struct policy_param params[] = {
    [PARAM_UNCACHED] =
        {
            .name = "uncached_tokens",
            .kind = PARAM_U64,
            .default_value = 16,
            .max = 1U << 24,
            .help =
                "prompts with fewer tokens that the decoding engine has not got are "
                "computed there; tokens, 0 = none",
        },
    {.name = NULL},
};

const struct pair_policy pair_decode_first = {
    .name = "pd_decode_first",
    .help = "The decoding engine first; another one prefills when it lacks enough.",
    .source = "llm-d/llm-d-inference-scheduler: pd-profile-handler",
    .breaks = "a threshold too low for the load: every short turn queues twice behind "
              "few engines that prefill",
    .params = params,
    .decode_first = true,
    .split = decode_first_split,
};
