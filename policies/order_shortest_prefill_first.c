/* SPDX-License-Identifier: Apache-2.0
 *
 * order_shortest_prefill_first.c: the shortest prompt first, which gives the least mean
 * time to first token where prefill is the bottleneck (LMCache, 2025-07-29).
 *
 * Whole prompts count: what the prefix cache holds is known only at admission, and
 * changes while a request waits. Waiting can be worth tokens: a request that came t
 * seconds earlier may be t * aging_tokens_per_s longer and still go first. Since all
 * age alike, that is a fixed key, tokens + rate * arrival.
 */
#include "policies/registry.h"

enum { PARAM_AGING };

static bool shortest_before(const double *values, const struct order_view *a,
                            const struct order_view *b)
{
    const double rate = values[PARAM_AGING] / 1e9;
    const double a_key = a->prompt_tokens + rate * (double)a->arrival_ns;
    const double b_key = b->prompt_tokens + rate * (double)b->arrival_ns;
    return a_key != b_key ? a_key < b_key : order_by_arrival(a, b);
}

static const char *const aliases[] = {"spf", "shortest-prefill-first", NULL};

static const struct policy_param params[] = {
    [PARAM_AGING] = {.name = "aging_tokens_per_s",
                     .kind = PARAM_F64,
                     .max = 1e9,
                     .help = "prompt tokens that a second of waiting makes up for; 0: "
                             "none"},
    {.name = NULL},
};

const struct order_policy order_shortest_prefill_first = {
    .name = "shortest_prefill_first",
    .aliases = aliases,
    .help = "The shortest prompt first.",
    .source = "https://blog.lmcache.ai/2025-07-29-shortest-prefill-first/",
    .breaks = "long prompts starve under steady load, unless waiting counts "
              "(aging_tokens_per_s)",
    .params = params,
    .before = shortest_before,
};
