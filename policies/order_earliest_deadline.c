/* SPDX-License-Identifier: Apache-2.0
 *
 * order_earliest_deadline.c: earliest deadline first: best while all deadlines can be
 * met (Liu and Layland 1973).
 *
 * A deadline is the arrival plus the target of the request's class, which its priority
 * tells, plus a time for each prompt token. Targets are the engine's parameters, since
 * requests carry none.
 */
#include "policies/registry.h"

enum { PARAM_URGENT_S, PARAM_TARGET_S, PARAM_RELAXED_S, PARAM_PROMPT_TOKEN_US };

static double deadline_ns(const double *values, const struct order_view *view)
{
    const double target_s = view->priority < 0   ? values[PARAM_URGENT_S]
                            : view->priority > 0 ? values[PARAM_RELAXED_S]
                                                 : values[PARAM_TARGET_S];
    return (double)view->arrival_ns + target_s * 1e9 +
           values[PARAM_PROMPT_TOKEN_US] * 1e3 * view->prompt_tokens;
}

static bool earlier_before(const double *values, const struct order_view *a,
                           const struct order_view *b)
{
    const double a_ns = deadline_ns(values, a);
    const double b_ns = deadline_ns(values, b);
    return a_ns != b_ns ? a_ns < b_ns : order_by_arrival(a, b);
}

static const char *const aliases[] = {"edf", "earliest-deadline-first", NULL};

static const struct policy_param params[] = {
    [PARAM_URGENT_S] = {.name = "urgent_s",
                        .kind = PARAM_F64,
                        .default_value = 1,
                        .max = 1e6,
                        .help = "seconds from arrival to the deadline of a request of "
                                "priority below 0"},
    [PARAM_TARGET_S] = {.name = "target_s",
                        .kind = PARAM_F64,
                        .default_value = 5,
                        .max = 1e6,
                        .help = "of priority 0"},
    [PARAM_RELAXED_S] = {.name = "relaxed_s",
                         .kind = PARAM_F64,
                         .default_value = 60,
                         .max = 1e6,
                         .help = "of priority above 0"},
    [PARAM_PROMPT_TOKEN_US] = {.name = "prompt_token_us",
                               .kind = PARAM_F64,
                               .max = 1e6,
                               .help = "microseconds more for each prompt token"},
    {.name = NULL},
};

const struct order_policy order_earliest_deadline = {
    .name = "earliest_deadline",
    .aliases = aliases,
    .help = "Earliest deadline first; targets by class of priority.",
    .source = "Liu and Layland, JACM 20(1), 1973; llm-d flow control (edf)",
    .breaks = "overload: requests whose deadline has passed go before those that could "
              "still meet theirs, and all miss",
    .params = params,
    .before = earlier_before,
};
