/* SPDX-License-Identifier: Apache-2.0
 *
 * route_least_request.c: the endpoint with the fewest requests in flight.
 *
 * Counts what this gateway itself sent and did not see end, so the number is never
 * stale; several gateways each balance their own share. Not in the stack (an
 * extension); known as JSQ, LOR and least_load elsewhere (spec/policies.md P04). It
 * counts requests, not work, and an endpoint that fails fast looks idle.
 *
 * Three passes over a column of numbers (least, how many, which) beat a heap up to
 * thousands of endpoints and need no upkeep; ties stay uniformly random.
 */
#include "policies/policy.h"
#include "policies/registry.h"

enum { PARAM_FIRST_ON_TIE };
enum { BLOCK = 64 };

struct least_request {
    struct rng *rng;
    bool first_on_tie;
};

static bool least_request_init(void *state, const struct policy_setup *setup,
                               struct err *err)
{
    (void)err;
    struct least_request *self = state;
    self->rng = setup->rng;
    self->first_on_tie = setup->values[PARAM_FIRST_ON_TIE] != 0;
    return true;
}

static uint32_t least_of(const uint32_t *values, uint32_t count)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        least = values[i] < least ? values[i] : least;
    }
    return least;
}

static uint32_t count_of(const uint32_t *values, uint32_t count, uint32_t value)
{
    uint32_t equal = 0;
    for (uint32_t i = 0; i < count; i++) {
        equal += values[i] == value;
    }
    return equal;
}

/* Index of the n-th of the equal ones; whole blocks before it are only counted. */
static uint32_t nth_of(const uint32_t *values, uint32_t count, uint32_t value,
                       uint64_t n)
{
    uint32_t at = 0;
    while (at + BLOCK <= count) {
        const uint32_t equal = count_of(values + at, BLOCK, value);
        if (n < equal) {
            break;
        }
        n -= equal;
        at += BLOCK;
    }
    while (values[at] != value || n-- > 0) {
        at++;
    }
    return at;
}

static struct route_decision least_request_pick(void *state,
                                                const struct cluster_view *view,
                                                const struct request_view *request)
{
    (void)request;
    struct least_request *self = state;
    const uint32_t least = least_of(view->inflight, view->count);
    uint64_t n = 0;
    if (!self->first_on_tie) {
        n = rng_below(self->rng, count_of(view->inflight, view->count, least));
    }
    for (uint32_t i = 0; view->scores != NULL && i < view->count; i++) {
        view->scores[i] = view->inflight[i];
    }
    return (struct route_decision){
        .endpoint = (int32_t)nth_of(view->inflight, view->count, least, n),
        .reason = REASON_LEAST_LOADED,
        .candidates = view->count,
        .score = (double)least,
    };
}

static const struct policy_param params[] = {
    [PARAM_FIRST_ON_TIE] =
        {
            .name = "first_on_tie",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: the first in discovery order among equals; 0: one at random",
        },
    {.name = NULL},
};

const struct route_policy route_least_request = {
    .name = "least_request",
    .help = "The endpoint with the fewest requests in flight (extension).",
    .source = "vllm-project/aibrix:pkg/plugins/gateway/algorithms/least_request.go",
    .breaks = "unequal requests: it counts them, not their work; an endpoint that "
              "fails fast looks idle and attracts everything",
    .score_help = "requests in flight, the fewest win",
    .params = params,
    .state_bytes = sizeof(struct least_request),
    .init = least_request_init,
    .pick = least_request_pick,
};
