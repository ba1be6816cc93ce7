/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_apa.c: AIBrix's APA (spec/policies.md S5): an HPA without windows, with a
 * tolerance of its own in each direction, at most double or half in one look, and a
 * pause after every change before it shrinks.
 */
#include "policies/registry.h"

#include <math.h>

enum {
    PARAM_TICK_S,
    PARAM_UP_TOLERANCE,
    PARAM_DOWN_TOLERANCE,
    PARAM_UP_RATE,
    PARAM_DOWN_RATE,
    PARAM_UP_COOLDOWN_S,
    PARAM_DOWN_COOLDOWN_S,
};

struct apa {
    struct scale_target target;
    double up_tolerance;
    double down_tolerance;
    double up_rate;
    double down_rate;
    int64_t tick_ns;
    int64_t up_cooldown_ns;
    int64_t down_cooldown_ns;
    int64_t next_ns;
    bool changed;
    int64_t changed_ns; /* last change of the size */
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    (void)err;
    struct apa *self = state;
    const double *values = setup->values;
    self->target = setup->targets[0];
    self->up_tolerance = values[PARAM_UP_TOLERANCE];
    self->down_tolerance = values[PARAM_DOWN_TOLERANCE];
    self->up_rate = values[PARAM_UP_RATE];
    self->down_rate = values[PARAM_DOWN_RATE];
    self->tick_ns = scale_ns(values[PARAM_TICK_S]);
    self->up_cooldown_ns = scale_ns(values[PARAM_UP_COOLDOWN_S]);
    self->down_cooldown_ns = scale_ns(values[PARAM_DOWN_COOLDOWN_S]);
    self->next_ns = self->tick_ns;
    return true;
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    const struct apa *self = state;
    out[0] = (struct scale_query){self->target.metric, self->target.window_ns};
    return 1;
}

static int64_t next_ns(const void *state)
{
    return ((const struct apa *)state)->next_ns;
}

static bool cool(const struct apa *self, int64_t now_ns, int64_t cooldown_ns)
{
    return !self->changed || now_ns - self->changed_ns >= cooldown_ns;
}

/* Mean of a pod over the target; false: nobody knows. */
static bool ratio_of(const struct apa *self, const struct scale_view *view,
                     double *ratio)
{
    const struct scale_reading *reading = view->readings;
    const bool of_pods = self->target.kind == TARGET_PODS;
    const uint32_t pods = of_pods ? reading->pods : view->ready;
    *ratio = pods > 0 ? reading->sum / pods / self->target.target : 0;
    return reading->known && pods > 0;
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct apa *self = state;
    struct scale_decision decision = {.replicas = view->replicas};
    double ratio = 0;
    self->next_ns = view->now_ns + self->tick_ns;
    if (!ratio_of(self, view, &ratio)) {
        decision.failed = true;
        decision.reason = "the metric has no value";
        return decision;
    }
    const double n = view->replicas;
    double replicas = n;
    if (ratio > 1 + self->up_tolerance &&
        cool(self, view->now_ns, self->up_cooldown_ns)) {
        replicas = fmin(ceil(n * ratio), ceil(n * self->up_rate));
        decision.reason = "value above target";
    } else if (ratio < 1 - self->down_tolerance &&
               cool(self, view->now_ns, self->down_cooldown_ns)) {
        replicas = fmax(ceil(n * ratio), floor(n / self->down_rate));
        decision.reason = "value below target";
    }
    decision.replicas = (uint32_t)fmin(replicas, 1e9);
    if (decision.replicas != view->replicas) {
        self->changed = true;
        self->changed_ns = view->now_ns;
    }
    return decision;
}

static const struct policy_param params[] = {
    [PARAM_TICK_S] = {.name = "tick_s",
                      .kind = PARAM_F64,
                      .default_value = 10,
                      .min = 0.1,
                      .max = 600,
                      .help = "seconds between two looks"},
    [PARAM_UP_TOLERANCE] = {.name = "up_tolerance",
                            .kind = PARAM_F64,
                            .default_value = 0.1,
                            .max = 10,
                            .help =
                                "grow when value over target is beyond 1 plus this"},
    [PARAM_DOWN_TOLERANCE] = {.name = "down_tolerance",
                              .kind = PARAM_F64,
                              .default_value = 0.1,
                              .max = 1,
                              .help = "shrink when it is below 1 minus this"},
    [PARAM_UP_RATE] = {.name = "up_rate",
                       .kind = PARAM_F64,
                       .default_value = 2,
                       .min = 1,
                       .max = 1000,
                       .help = "grow to so many times the replicas at most"},
    [PARAM_DOWN_RATE] = {.name = "down_rate",
                         .kind = PARAM_F64,
                         .default_value = 2,
                         .min = 1.01,
                         .max = 1000,
                         .help = "shrink to the replicas over this at least"},
    [PARAM_UP_COOLDOWN_S] = {.name = "up_cooldown_s",
                             .kind = PARAM_F64,
                             .max = 86400,
                             .help = "seconds after a change before it grows"},
    [PARAM_DOWN_COOLDOWN_S] = {.name = "down_cooldown_s",
                               .kind = PARAM_F64,
                               .default_value = 300,
                               .max = 86400,
                               .help = "seconds after a change before it shrinks"},
    {.name = NULL},
};

const struct scale_policy scale_apa = {
    .name = "apa",
    .help = "AIBrix's APA: replicas times value over target, at most double or half, "
            "and a pause before it shrinks.",
    .source = "vllm-project/aibrix:pkg/controller/podautoscaler/scaler/apa.go; arXiv "
              "2504.03648",
    .breaks = "looks every 10 s and waits for no start: with starts of minutes it "
              "doubles until the first new pod takes load",
    .params = params,
    .object = "podautoscaler",
    .state_bytes = sizeof(struct apa),
    .targets_min = 1,
    .targets_max = 1,
    .kinds = 1U << TARGET_PODS | 1U << TARGET_AVERAGE,
    .kind = TARGET_PODS,
    .scrape_ns = INT64_C(10000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
