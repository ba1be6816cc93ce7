/* SPDX-License-Identifier: Apache-2.0
 *
 * route_power_of_d.c: the least loaded of d endpoints drawn at random.
 *
 * Two choices bring the longest queue from log n down to log log n, and a third adds
 * little (Mitzenmacher 2001). With stale loads it holds where the plain minimum herds:
 * at most a part d/n of the arrivals sees the same favourite. Here the loads are this
 * gateway's own, so the sample buys cheap decisions and less of a rush to an endpoint
 * that is new or fails fast. Ties go to the first drawn, as in AIBrix and SGLang.
 */
#include "policies/policy.h"
#include "policies/registry.h"

enum { PARAM_D, PARAM_TOKENS };
enum { D_MAX = 64 };

struct power_of_d {
    struct rng *rng;
    uint32_t d;
    bool tokens;
};

static bool power_of_d_init(void *state, const struct policy_setup *setup,
                            struct err *err)
{
    (void)err;
    struct power_of_d *self = state;
    self->rng = setup->rng;
    self->d = (uint32_t)setup->values[PARAM_D];
    self->tokens = setup->values[PARAM_TOKENS] != 0;
    return true;
}

/* An index that is not among those drawn before, which stand in ascending order; enters
 * it there. Each is equally likely: the draw counts those that are left. */
static uint32_t draw_another(struct rng *rng, uint32_t count, uint32_t *drawn,
                             uint32_t drawn_count)
{
    uint32_t index = (uint32_t)rng_below(rng, count - drawn_count);
    uint32_t at = 0;
    while (at < drawn_count && drawn[at] <= index) {
        index++;
        at++;
    }
    for (uint32_t i = drawn_count; i > at; i--) {
        drawn[i] = drawn[i - 1];
    }
    drawn[at] = index;
    return index;
}

static uint64_t load_of(const struct power_of_d *self, const struct cluster_view *view,
                        uint32_t index)
{
    return self->tokens ? view->endpoints[index]->inflight_prompt_tokens
                        : view->inflight[index];
}

static struct route_decision power_of_d_pick(void *state,
                                             const struct cluster_view *view,
                                             const struct request_view *request)
{
    (void)request;
    const struct power_of_d *self = state;
    const uint32_t d = self->d < view->count ? self->d : view->count;
    uint32_t drawn[D_MAX];
    uint32_t best = draw_another(self->rng, view->count, drawn, 0);
    for (uint32_t i = 1; i < d; i++) {
        const uint32_t index = draw_another(self->rng, view->count, drawn, i);
        best = load_of(self, view, index) < load_of(self, view, best) ? index : best;
    }
    for (uint32_t i = 0; view->scores != NULL && i < d; i++) {
        view->scores[drawn[i]] = (double)load_of(self, view, drawn[i]);
    }
    return (struct route_decision){
        .endpoint = (int32_t)best,
        .reason = REASON_SAMPLED,
        .candidates = d,
        .score = (double)load_of(self, view, best),
    };
}

static const char *const aliases[] = {"power_of_two", "power-of-two", NULL};

static const struct policy_param params[] = {
    [PARAM_D] =
        {
            .name = "d",
            .kind = PARAM_U64,
            .default_value = 2,
            .min = 1,
            .max = D_MAX,
            .help = "endpoints drawn for each decision, without repetition",
        },
    [PARAM_TOKENS] =
        {
            .name = "tokens",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: load is prompt tokens without a first token; 0: requests in "
                    "flight",
        },
    {.name = NULL},
};

const struct route_policy route_power_of_d = {
    .name = "power_of_d",
    .aliases = aliases,
    .help = "The least loaded of d endpoints drawn at random.",
    .source = "vllm-project/aibrix:pkg/plugins/gateway/algorithms/power_of_two.go, "
              "sgl-project/sglang:sgl-model-gateway/src/policies/power_of_two.rs",
    .breaks = "shared prefixes: it knows nothing of caches",
    .score_help = "load of those drawn, the least wins",
    .params = params,
    .state_bytes = sizeof(struct power_of_d),
    .init = power_of_d_init,
    .pick = power_of_d_pick,
};
