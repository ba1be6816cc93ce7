/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_keda.c: KEDA's ScaledObject (spec/policies.md S2): its operator switches
 * between none and some by activation thresholds, and leaves the rest to an HPA that it
 * makes.
 *
 * A trigger on requests that the router has seen (metric `seen`, kind `value`, target
 * 1) is the production stack's keep-alive: it holds the pool up, and never makes it
 * larger.
 */
#include "policies/hpa.h"
#include "policies/registry.h"

#include <math.h>
#include <string.h>

enum {
    PARAM_POLL_S = HPA_PARAM_COUNT,
    PARAM_COOLDOWN_S,
    PARAM_INITIAL_COOLDOWN_S,
    PARAM_IDLE_TO_ZERO,
};

struct keda {
    struct hpa hpa;
    struct scale_target triggers[SCALE_TARGETS_MAX];
    uint32_t trigger_count;
    uint32_t min;
    uint32_t idle; /* replicas while nobody wants any */
    int64_t sync_ns;
    int64_t poll_ns;
    int64_t cooldown_ns;
    int64_t initial_ns;
    int64_t next_sync_ns;
    int64_t next_poll_ns;
    bool ever_active;
    int64_t active_ns; /* the last poll at which somebody wanted some */
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    struct keda *self = state;
    const double *values = setup->values;
    self->trigger_count = setup->target_count;
    memcpy(self->triggers, setup->targets,
           setup->target_count * sizeof *setup->targets);
    self->min = setup->min;
    self->idle = values[PARAM_IDLE_TO_ZERO] != 0 ? 0 : setup->min;
    self->sync_ns = scale_ns(values[HPA_SYNC_S]);
    self->poll_ns = scale_ns(values[PARAM_POLL_S]);
    self->cooldown_ns = scale_ns(values[PARAM_COOLDOWN_S]);
    self->initial_ns = scale_ns(values[PARAM_INITIAL_COOLDOWN_S]);
    self->next_sync_ns = self->sync_ns;
    self->next_poll_ns = self->poll_ns;
    return hpa_init(&self->hpa, values, setup->min, setup->max, err);
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    const struct keda *self = state;
    for (uint32_t i = 0; i < self->trigger_count; i++) {
        out[i] =
            (struct scale_query){self->triggers[i].metric, self->triggers[i].window_ns};
    }
    return self->trigger_count;
}

static int64_t next_ns(const void *state)
{
    const struct keda *self = state;
    return self->next_poll_ns < self->next_sync_ns ? self->next_poll_ns
                                                   : self->next_sync_ns;
}

/* The first trigger whose value is beyond its activation; NULL = none is. */
static const struct scale_target *active(const struct keda *self,
                                         const struct scale_view *view)
{
    for (uint32_t i = 0; i < self->trigger_count; i++) {
        if (view->readings[i].known &&
            view->readings[i].sum > self->triggers[i].activation) {
            return &self->triggers[i];
        }
    }
    return NULL;
}

/* The operator: up to the first replicas, down to those of an idle pool. */
static struct scale_decision poll(struct keda *self, const struct scale_view *view)
{
    struct scale_decision decision = {.replicas = view->replicas};
    const struct scale_target *wanting = active(self, view);
    const uint32_t first = self->min > 0 ? self->min : 1;
    if (wanting != NULL) {
        self->ever_active = true;
        self->active_ns = view->now_ns;
        if (view->replicas < first) {
            decision.replicas = first;
            decision.reason = scale_metric_above(wanting->metric);
            decision.event = "KEDAScaleTargetActivated";
        }
        return decision;
    }
    const bool cool = self->ever_active
                          ? view->now_ns > self->active_ns + self->cooldown_ns
                          : view->now_ns > self->initial_ns;
    if (self->idle == 0 && view->replicas > 0 && cool) {
        decision.replicas = 0;
        decision.idle = true;
        decision.reason = "no trigger is active";
        decision.event = "KEDAScaleTargetDeactivated";
    } else if (self->idle > 0 && view->replicas < self->min) {
        decision.replicas = self->min;
        decision.reason = "fewer than min";
    }
    return decision;
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct keda *self = state;
    if (view->now_ns >= self->next_poll_ns) {
        self->next_poll_ns = view->now_ns + self->poll_ns;
        const struct scale_decision decision = poll(self, view);
        if (decision.replicas != view->replicas) {
            /* What the HPA's loop sees next is the new size. */
            return decision;
        }
    }
    if (view->now_ns < self->next_sync_ns) {
        return (struct scale_decision){.replicas = view->replicas};
    }
    self->next_sync_ns = view->now_ns + self->sync_ns;
    return hpa_decide(&self->hpa, view, self->triggers, self->trigger_count,
                      view->readings);
}

static const struct policy_param params[] = {
    HPA_PARAM_ENTRIES[PARAM_POLL_S] =
        {.name = "poll_s",
         .kind = PARAM_F64,
         .default_value = 30,
         .min = 1,
         .max = 3600,
         .help = "seconds between two looks at whether any trigger is "
                 "active (the stack: 15)"},
    [PARAM_COOLDOWN_S] = {.name = "cooldown_s",
                          .kind = PARAM_F64,
                          .default_value = 300,
                          .max = 86400,
                          .help = "seconds without an active trigger before the pool "
                                  "goes idle (the stack's chart: 360, its operator: "
                                  "1800)"},
    [PARAM_INITIAL_COOLDOWN_S] = {.name = "initial_cooldown_s",
                                  .kind = PARAM_F64,
                                  .max = 86400,
                                  .help = "the same from the beginning, while no "
                                          "trigger has been active yet"},
    [PARAM_IDLE_TO_ZERO] = {.name = "idle_to_zero",
                            .kind = PARAM_BOOL,
                            .max = 1,
                            .help = "1: an idle pool has no replicas, though min is "
                                    "more (idleReplicaCount: 0)"},
    {.name = NULL},
};

const struct scale_policy scale_keda = {
    .name = "keda",
    .help = "KEDA's ScaledObject: none while no trigger is active, else an HPA of sum "
            "over threshold.",
    .source = "kedacore/keda:pkg/scaling/executor/scale_scaledobjects.go",
    .breaks = "a trigger on the engines' queues cannot wake a pool that has no engine; "
              "requests are refused from the first one until a poll, a start and the "
              "router's discovery have passed; a threshold in tokens per second means "
              "the largest size at once for long prompts",
    .params = params,
    .object = "scaledobject",
    .state_bytes = sizeof(struct keda),
    .targets_min = 1,
    .targets_max = SCALE_TARGETS_MAX,
    .kinds = 1U << TARGET_AVERAGE | 1U << TARGET_VALUE,
    .kind = TARGET_AVERAGE,
    .to_zero = true,
    .scrape_ns = INT64_C(15000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
