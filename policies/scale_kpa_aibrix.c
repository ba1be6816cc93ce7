/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_kpa_aibrix.c: AIBrix's version of KPA (spec/policies.md S4): any metric, a
 * tolerance around the target, and at most double or half in one look. Panic keeps the
 * largest of both windows and of what there is.
 */
#include "policies/registry.h"

#include <math.h>

enum {
    PARAM_TICK_S,
    PARAM_STABLE_S,
    PARAM_PANIC_S,
    PARAM_PANIC_THRESHOLD,
    PARAM_TOLERANCE,
    PARAM_UP_RATE,
    PARAM_DOWN_RATE,
};
enum { QUERY_STABLE, QUERY_PANIC, QUERIES };

struct aibrix {
    struct scale_target target;
    double panic_threshold;
    double tolerance;
    double up_rate;
    double down_rate;
    int64_t tick_ns;
    int64_t stable_ns;
    int64_t short_ns;
    int64_t next_ns;
    struct scale_panic panic;
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    (void)err;
    struct aibrix *self = state;
    const double *values = setup->values;
    self->target = setup->targets[0];
    self->panic_threshold = values[PARAM_PANIC_THRESHOLD];
    self->tolerance = values[PARAM_TOLERANCE];
    self->up_rate = values[PARAM_UP_RATE];
    self->down_rate = values[PARAM_DOWN_RATE];
    self->tick_ns = scale_ns(values[PARAM_TICK_S]);
    self->stable_ns = scale_ns(values[PARAM_STABLE_S]);
    self->short_ns = scale_ns(values[PARAM_PANIC_S]);
    self->next_ns = self->tick_ns;
    return true;
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    const struct aibrix *self = state;
    out[QUERY_STABLE] = (struct scale_query){self->target.metric, self->stable_ns};
    out[QUERY_PANIC] = (struct scale_query){self->target.metric, self->short_ns};
    return QUERIES;
}

static int64_t next_ns(const void *state)
{
    return ((const struct aibrix *)state)->next_ns;
}

static double wanted(const struct aibrix *self, const struct scale_view *view,
                     double value)
{
    const double n = view->replicas;
    const double ratio = n > 0 ? value / n / self->target.target : (double)INFINITY;
    if (fabs(ratio - 1) <= self->tolerance) {
        return n;
    }
    const double most = fmax(1, ceil(self->up_rate * n));
    const double least = floor(n / self->down_rate);
    return fmin(fmax(ceil(value / self->target.target), least), most);
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct aibrix *self = state;
    const struct scale_reading *stable = &view->readings[QUERY_STABLE];
    const struct scale_reading *panic = &view->readings[QUERY_PANIC];
    struct scale_decision decision = {.replicas = view->replicas};
    self->next_ns = view->now_ns + self->tick_ns;
    if (!stable->known || !panic->known) {
        decision.failed = true;
        decision.reason = "the metric has no value";
        return decision;
    }
    const double calm = wanted(self, view, stable->sum);
    const double urgent = wanted(self, view, panic->sum);
    const double ready = view->ready > 0 ? view->ready : 1;
    const bool over =
        ceil(panic->sum / self->target.target) / ready >= self->panic_threshold;
    scale_panic_update(&self->panic, view->now_ns, over, self->stable_ns);
    decision.reason =
        self->panic.on ? "value over the panic window" : "value over the stable window";
    const double most = fmax(fmax(calm, urgent), view->replicas);
    decision.replicas = (uint32_t)fmin(self->panic.on ? most : calm, 1e9);
    return decision;
}

static const struct policy_param params[] = {
    [PARAM_TICK_S] = {.name = "tick_s",
                      .kind = PARAM_F64,
                      .default_value = 10,
                      .min = 0.1,
                      .max = 600,
                      .help = "seconds between two looks"},
    [PARAM_STABLE_S] = {.name = "stable_s",
                        .kind = PARAM_F64,
                        .default_value = 180,
                        .min = 1,
                        .max = 3600,
                        .help = "seconds of the stable window"},
    [PARAM_PANIC_S] = {.name = "panic_s",
                       .kind = PARAM_F64,
                       .default_value = 60,
                       .min = 1,
                       .max = 3600,
                       .help = "seconds of the panic window"},
    [PARAM_PANIC_THRESHOLD] = {.name = "panic_threshold",
                               .kind = PARAM_F64,
                               .default_value = 2,
                               .min = 1,
                               .max = 1000,
                               .help = "panic when the short window wants so many "
                                       "times the ready pods"},
    [PARAM_TOLERANCE] = {.name = "tolerance",
                         .kind = PARAM_F64,
                         .default_value = 0.1,
                         .max = 1,
                         .help = "nothing is done within this of the target"},
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
    {.name = NULL},
};

const struct scale_policy scale_kpa_aibrix = {
    .name = "kpa_aibrix",
    .help = "AIBrix's KPA: value over target of two windows, at most double or half in "
            "one look.",
    .source = "vllm-project/aibrix:pkg/controller/podautoscaler/scaler/kpa.go",
    .breaks = "the short window is a minute: it panics late; doubles while starts are "
              "under way",
    .params = params,
    .object = "podautoscaler",
    .state_bytes = sizeof(struct aibrix),
    .targets_min = 1,
    .targets_max = 1,
    .kinds = 1U << TARGET_AVERAGE,
    .kind = TARGET_AVERAGE,
    .scrape_ns = INT64_C(10000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
