/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_kpa.c: Knative's pod autoscaler (spec/policies.md S3): mean concurrency of a
 * long window, and of a short one that takes over when load jumps. While it panics the
 * pool never shrinks. Knative's activator holds requests while there is no pod.
 */
#include "policies/registry.h"

#include <math.h>

enum {
    PARAM_TARGET,
    PARAM_UTILISATION,
    PARAM_TICK_S,
    PARAM_STABLE_S,
    PARAM_PANIC_PERCENT,
    PARAM_PANIC_THRESHOLD,
    PARAM_UP_RATE,
    PARAM_DOWN_RATE,
    PARAM_GRACE_S,
};
enum { QUERY_STABLE, QUERY_PANIC, QUERIES };

struct kpa {
    double target; /* requests of one pod, as much as it should have */
    double panic_threshold;
    double up_rate;
    double down_rate;
    int64_t tick_ns;
    int64_t stable_ns;
    int64_t short_ns;
    int64_t grace_ns;
    int64_t next_ns;
    struct scale_panic panic;
    double panic_pods; /* the most it wanted since then */
    bool idle;
    int64_t idle_ns; /* nobody wants any since then */
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    (void)err;
    struct kpa *self = state;
    const double *values = setup->values;
    self->target = values[PARAM_TARGET] * values[PARAM_UTILISATION];
    self->panic_threshold = values[PARAM_PANIC_THRESHOLD];
    self->up_rate = values[PARAM_UP_RATE];
    self->down_rate = values[PARAM_DOWN_RATE];
    self->tick_ns = scale_ns(values[PARAM_TICK_S]);
    self->stable_ns = scale_ns(values[PARAM_STABLE_S]);
    self->short_ns =
        scale_ns(values[PARAM_STABLE_S] * values[PARAM_PANIC_PERCENT] / 100);
    self->grace_ns = scale_ns(values[PARAM_GRACE_S]);
    self->next_ns = self->tick_ns;
    return true;
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    const struct kpa *self = state;
    out[QUERY_STABLE] = (struct scale_query){SCALE_IN_FLIGHT, self->stable_ns};
    out[QUERY_PANIC] = (struct scale_query){SCALE_IN_FLIGHT, self->short_ns};
    return QUERIES;
}

static int64_t next_ns(const void *state)
{
    return ((const struct kpa *)state)->next_ns;
}

/* The last pod goes after a grace period, in which the activator takes over. */
static uint32_t to_zero(struct kpa *self, const struct scale_view *view,
                        uint32_t wanted)
{
    if (wanted > 0 || view->replicas == 0) {
        self->idle = false;
        return wanted;
    }
    if (!self->idle) {
        self->idle = true;
        self->idle_ns = view->now_ns;
    }
    return view->now_ns - self->idle_ns >= self->grace_ns ? 0 : 1;
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct kpa *self = state;
    const struct scale_reading *stable = &view->readings[QUERY_STABLE];
    const struct scale_reading *panic = &view->readings[QUERY_PANIC];
    struct scale_decision decision = {.replicas = view->replicas};
    self->next_ns = view->now_ns + self->tick_ns;
    if (!stable->known || !panic->known) {
        decision.failed = true;
        decision.reason = "no concurrency is known";
        return decision;
    }
    const double ready = view->ready > 0 ? view->ready : 1;
    const double most = ceil(self->up_rate * ready);
    const double least = floor(ready / self->down_rate);
    const double stable_pods = ceil(stable->sum / self->target);
    const double panic_pods = ceil(panic->sum / self->target);
    double wanted = fmin(fmax(stable_pods, least), most);
    const bool panicked = self->panic.on;
    scale_panic_update(&self->panic, view->now_ns,
                       panic_pods / ready >= self->panic_threshold, self->stable_ns);
    self->panic_pods = panicked ? self->panic_pods : 0;
    decision.reason = "concurrency over the stable window";
    if (self->panic.on) {
        wanted = fmax(wanted, fmin(fmax(panic_pods, least), most));
        self->panic_pods = fmax(self->panic_pods, wanted);
        wanted = self->panic_pods;
        decision.reason = "concurrency over the panic window";
    }
    wanted = view->woken ? fmax(wanted, 1) : wanted; /* the activator pokes */
    decision.replicas = to_zero(self, view, (uint32_t)fmin(wanted, 1e9));
    return decision;
}

static const struct policy_param params[] = {
    [PARAM_TARGET] = {.name = "target",
                      .kind = PARAM_F64,
                      .default_value = 100,
                      .min = 0.01,
                      .max = 1000000,
                      .help = "requests at a time that one pod can have"},
    [PARAM_UTILISATION] = {.name = "utilisation",
                           .kind = PARAM_F64,
                           .default_value = 0.7,
                           .min = 0.01,
                           .max = 1,
                           .help = "part of the target that it should have"},
    [PARAM_TICK_S] = {.name = "tick_s",
                      .kind = PARAM_F64,
                      .default_value = 2,
                      .min = 0.1,
                      .max = 60,
                      .help = "seconds between two looks"},
    [PARAM_STABLE_S] = {.name = "stable_s",
                        .kind = PARAM_F64,
                        .default_value = 60,
                        .min = 6,
                        .max = 3600,
                        .help = "seconds of the stable window; panic ends so long "
                                "after the last look over its threshold"},
    [PARAM_PANIC_PERCENT] = {.name = "panic_percent",
                             .kind = PARAM_F64,
                             .default_value = 10,
                             .min = 1,
                             .max = 100,
                             .help = "the panic window, % of the stable one"},
    [PARAM_PANIC_THRESHOLD] = {.name = "panic_threshold",
                               .kind = PARAM_F64,
                               .default_value = 2,
                               .min = 1,
                               .max = 1000,
                               .help = "panic when the short window wants so many "
                                       "times the ready pods"},
    [PARAM_UP_RATE] = {.name = "up_rate",
                       .kind = PARAM_F64,
                       .default_value = 1000,
                       .min = 1,
                       .max = 1000000,
                       .help = "grow to so many times the ready pods at most"},
    [PARAM_DOWN_RATE] = {.name = "down_rate",
                         .kind = PARAM_F64,
                         .default_value = 2,
                         .min = 1.01,
                         .max = 1000000,
                         .help = "shrink to the ready pods over this at least"},
    [PARAM_GRACE_S] = {.name = "grace_s",
                       .kind = PARAM_F64,
                       .default_value = 30,
                       .max = 3600,
                       .help = "seconds that the last pod stays when nobody needs it"},
    {.name = NULL},
};

const struct scale_policy scale_kpa = {
    .name = "kpa",
    .help = "Knative's: mean concurrency over 60 s, over 6 s when load jumps; to and "
            "from zero.",
    .source = "knative/serving:pkg/autoscaler/scaling/autoscaler.go",
    .breaks = "panic waits for nothing, starts of minutes included: it asks again and "
              "again for pods that are on their way; concurrency says nothing of how "
              "long prompts are",
    .params = params,
    .object = "podautoscaler",
    .state_bytes = sizeof(struct kpa),
    .wakes = true,
    .holds = true,
    .to_zero = true,
    .scrape_ns = INT64_C(1000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
