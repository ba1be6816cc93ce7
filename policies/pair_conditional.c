/* SPDX-License-Identifier: Apache-2.0
 *
 * pair_conditional.c: remote prefill only for what is worth it: too long for the
 * decoding engine by count or by part, and no queue where it would go (NVIDIA Dynamo;
 * spec/policies.md P53). With uncached_ratio 0 and prefill_queue_max 2 it is the older
 * rule: more than 1,000 tokens and a short queue.
 */
#include "policies/registry.h"

enum { PARAM_UNCACHED, PARAM_RATIO, PARAM_QUEUE };

static bool conditional_split(const double *values, const struct pair_view *view)
{
    const double uncached = view->prompt_tokens - view->cached_tokens;
    const double ratio = uncached / view->prompt_tokens;
    const bool small = uncached < values[PARAM_UNCACHED] &&
                       (values[PARAM_RATIO] == 0 || ratio < values[PARAM_RATIO]);
    const bool busy =
        values[PARAM_QUEUE] > 0 && view->prefill_queue >= values[PARAM_QUEUE];
    return !small && !busy;
}

static const struct policy_param params[] = {
    [PARAM_UNCACHED] =
        {
            .name = "uncached_tokens",
            .kind = PARAM_U64,
            .default_value = 2048,
            .max = 1U << 24,
            .help = "fewer uncached tokens may stay on the decoding engine; tokens",
        },
    [PARAM_RATIO] =
        {
            .name = "uncached_ratio",
            .kind = PARAM_F64,
            .default_value = 0.7,
            .max = 1,
            .help = "if they are also less than this part of the prompt; 0 = any part",
        },
    [PARAM_QUEUE] =
        {
            .name = "prefill_queue_max",
            .kind = PARAM_U64,
            .max = 1U << 20,
            .help = "all stay when every engine that prefills has so many requests "
                    "without a first token; requests, 0 = no bound",
        },
    {.name = NULL},
};

const struct pair_policy pair_conditional = {
    .name = "pd_conditional",
    .help =
        "Two engines for prompts of which much is not cached, if there is no queue.",
    .source = "ai-dynamo/dynamo: lib/llm, disaggregated router",
    .breaks = "thresholds fit one model and GPU: set too high, long prompts stall the "
              "decodes beside them",
    .params = params,
    .decode_first = true,
    .split = conditional_split,
};
