/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_dynamo_sla.c: Dynamo's planner (spec/policies.md S7): every three minutes, from
 * the load of the last interval and a profile of the engine, the engines that would
 * keep two targets. What was observed over what the profile says corrects the profile.
 *
 * The load is predicted to stay (Dynamo's `constant`). Engines that do both parts need
 * the sum of what each part takes of one.
 */
#include "policies/registry.h"

#include <math.h>

enum { PARAM_INTERVAL_S, PARAM_ITL_S, PARAM_CORRECT };
enum {
    QUERY_REQUESTS,
    QUERY_PROMPT,
    QUERY_OUTPUT,
    QUERY_TTFT,
    QUERY_ITL,
    QUERY_IN_FLIGHT,
    QUERIES
};

struct sla {
    const struct scale_profile *profile;
    enum scale_role role;
    double itl_s; /* target */
    bool corrects;
    int64_t interval_ns;
    int64_t next_ns;
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    (void)err;
    struct sla *self = state;
    self->profile = setup->profile;
    self->role = setup->role;
    self->itl_s = setup->values[PARAM_ITL_S];
    self->corrects = setup->values[PARAM_CORRECT] != 0;
    self->interval_ns = scale_ns(setup->values[PARAM_INTERVAL_S]);
    self->next_ns = self->interval_ns;
    return true;
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    static const enum scale_metric metrics[QUERIES] = {
        [QUERY_REQUESTS] = SCALE_REQUESTS,
        [QUERY_PROMPT] = SCALE_PROMPT_MEAN,
        [QUERY_OUTPUT] = SCALE_OUTPUT_MEAN,
        [QUERY_TTFT] = SCALE_TTFT,
        [QUERY_ITL] = SCALE_ITL,
        [QUERY_IN_FLIGHT] = SCALE_IN_FLIGHT,
    };
    const struct sla *self = state;
    for (uint32_t i = 0; i < QUERIES; i++) {
        out[i] = (struct scale_query){metrics[i], self->interval_ns};
    }
    return QUERIES;
}

static int64_t next_ns(const void *state)
{
    return ((const struct sla *)state)->next_ns;
}

static double value_of(const struct scale_view *view, uint32_t query, double otherwise)
{
    const struct scale_reading *reading = &view->readings[query];
    return reading->known ? reading->sum : otherwise;
}

/* Observed over expected; 1 while one of them is unknown. */
static double correction(const struct sla *self, double observed, double expected)
{
    return self->corrects && observed > 0 && expected > 0 ? observed / expected : 1;
}

/* Engines' worth of prompts. A first token that came late for want of engines is no
 * reason to believe the engine slower: the correction only ever lowers. */
static double prefill_need(const struct sla *self, const struct scale_view *view,
                           double requests_per_s, double prompt)
{
    const double alone_s = self->profile->prefill_s(self->profile->context, prompt);
    const double factor = correction(self, value_of(view, QUERY_TTFT, 0), alone_s);
    return requests_per_s * alone_s * fmin(1, factor);
}

/* The largest batch that keeps the target, by halves; 1 when none does. */
static double batch_within(const struct sla *self, double itl_s, double context)
{
    const struct scale_profile *profile = self->profile;
    double low = 1;
    double high = profile->batch_max;
    if (profile->itl_s(profile->context, high, context) <= itl_s) {
        return high;
    }
    while (high - low > 1) {
        const double middle = floor((low + high) / 2);
        if (profile->itl_s(profile->context, middle, context) <= itl_s) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static double decode_need(const struct sla *self, const struct scale_view *view,
                          double requests_per_s, double prompt, double output)
{
    const struct scale_profile *profile = self->profile;
    const double context = prompt + output / 2;
    const double ready = view->ready > 0 ? view->ready : 1;
    const double batch =
        fmin(fmax(value_of(view, QUERY_IN_FLIGHT, 1) / ready, 1), profile->batch_max);
    const double expected_s = profile->itl_s(profile->context, batch, context);
    const double target_s =
        self->itl_s / correction(self, value_of(view, QUERY_ITL, 0), expected_s);
    const double best = batch_within(self, target_s, context);
    const double tokens_per_s = best / profile->itl_s(profile->context, best, context);
    return requests_per_s * output / tokens_per_s;
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct sla *self = state;
    struct scale_decision decision = {.replicas = view->replicas};
    self->next_ns = view->now_ns + self->interval_ns;
    const double requests_per_s = value_of(view, QUERY_REQUESTS, 0);
    const double prompt = value_of(view, QUERY_PROMPT, 0);
    const double output = value_of(view, QUERY_OUTPUT, 0);
    const bool idle = requests_per_s <= 0 || prompt <= 0;
    if (idle || (output <= 0 && self->role != SCALE_PREFILL)) {
        decision.failed = true; /* Dynamo's planner does nothing without traffic */
        decision.reason = "no traffic in the last interval";
        return decision;
    }
    double need = 0;
    if (self->role != SCALE_DECODE) {
        need += prefill_need(self, view, requests_per_s, prompt);
    }
    if (self->role != SCALE_PREFILL) {
        need += decode_need(self, view, requests_per_s, prompt, output);
    }
    decision.replicas = (uint32_t)fmin(ceil(need), 1e9);
    decision.replicas = decision.replicas > 0 ? decision.replicas : 1;
    decision.reason = "load of the last interval over the profile's capacity";
    return decision;
}

static const struct policy_param params[] = {
    [PARAM_INTERVAL_S] = {.name = "interval_s",
                          .kind = PARAM_F64,
                          .default_value = 180,
                          .min = 1,
                          .max = 3600,
                          .help = "seconds between two looks, and of load looked at"},
    [PARAM_ITL_S] = {.name = "itl_s",
                     .kind = PARAM_F64,
                     .default_value = 0.05,
                     .min = 0.0001,
                     .max = 100,
                     .help = "target from token to token, seconds"},
    [PARAM_CORRECT] = {.name = "correct",
                       .kind = PARAM_BOOL,
                       .default_value = 1,
                       .max = 1,
                       .help = "1: correct the profile by what was observed"},
    {.name = NULL},
};

const struct scale_policy scale_dynamo_sla = {
    .name = "dynamo_sla",
    .aliases = (const char *const[]){"sla", NULL},
    .help = "Dynamo's planner: engines that would have kept the targets under the last "
            "three minutes' load, by a profile of the engine.",
    .source = "ai-dynamo/dynamo:components/planner/src/dynamo/planner/utils/"
              "planner_core.py",
    .breaks = "three minutes late and then right; plans for means: a burst within the "
              "interval, or a few long prompts, go unseen",
    .params = params,
    .object = "planner",
    .state_bytes = sizeof(struct sla),
    .scrape_ns = INT64_C(5000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
