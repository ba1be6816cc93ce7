/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_kubeai.c: KubeAI's autoscaler (spec/policies.md S6): the mean of requests in
 * flight over ten minutes. It shrinks when enough looks in a row wanted to, and its
 * proxy holds the first request of a pool at zero while a pod starts.
 */
#include "policies/registry.h"

#include <math.h>

enum { PARAM_TARGET, PARAM_TICK_S, PARAM_WINDOW_S, PARAM_DELAY_S };

struct kubeai {
    double target;
    int64_t tick_ns;
    int64_t window_ns;
    int64_t next_ns;
    uint32_t votes_needed; /* looks in a row that want fewer */
    uint32_t votes;
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    (void)err;
    struct kubeai *self = state;
    const double *values = setup->values;
    self->target = values[PARAM_TARGET];
    self->tick_ns = scale_ns(values[PARAM_TICK_S]);
    self->window_ns = scale_ns(values[PARAM_WINDOW_S]);
    self->votes_needed = (uint32_t)ceil(values[PARAM_DELAY_S] / values[PARAM_TICK_S]);
    self->next_ns = self->tick_ns;
    return true;
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    const struct kubeai *self = state;
    out[0] = (struct scale_query){SCALE_IN_FLIGHT, self->window_ns};
    return 1;
}

static int64_t next_ns(const void *state)
{
    return ((const struct kubeai *)state)->next_ns;
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct kubeai *self = state;
    struct scale_decision decision = {.replicas = view->replicas};
    if (view->woken) {
        decision.replicas = view->replicas > 0 ? view->replicas : 1;
        decision.reason = "a request waits";
        return decision;
    }
    self->next_ns = view->now_ns + self->tick_ns;
    if (!view->readings->known) {
        decision.failed = true;
        decision.reason = "no number of active requests is known";
        return decision;
    }
    const double wanted = ceil(view->readings->sum / self->target);
    if (wanted >= view->replicas) {
        self->votes = 0;
        decision.replicas = (uint32_t)fmin(wanted, 1e9);
        decision.reason = "mean of active requests";
    } else if (++self->votes >= self->votes_needed) {
        self->votes = 0;
        decision.replicas = (uint32_t)wanted;
        decision.reason = "mean of active requests, for long enough";
    }
    return decision;
}

static const struct policy_param params[] = {
    [PARAM_TARGET] = {.name = "target",
                      .kind = PARAM_F64,
                      .default_value = 100,
                      .min = 0.01,
                      .max = 1000000,
                      .help = "requests at a time that one pod should have"},
    [PARAM_TICK_S] = {.name = "tick_s",
                      .kind = PARAM_F64,
                      .default_value = 10,
                      .min = 0.1,
                      .max = 600,
                      .help = "seconds between two looks"},
    [PARAM_WINDOW_S] = {.name = "window_s",
                        .kind = PARAM_F64,
                        .default_value = 600,
                        .min = 1,
                        .max = 3600,
                        .help = "seconds over which the mean goes"},
    [PARAM_DELAY_S] = {.name = "delay_s",
                       .kind = PARAM_F64,
                       .default_value = 30,
                       .max = 86400,
                       .help = "it shrinks after so many seconds of looks that all "
                               "want fewer"},
    {.name = NULL},
};

const struct scale_policy scale_kubeai = {
    .name = "kubeai",
    .help = "KubeAI's: the mean of requests in flight over ten minutes over a target; "
            "from zero with the first request.",
    .source = "substratusai/kubeai:internal/modelautoscaler/autoscaler.go",
    .breaks = "a mean over ten minutes sees a jump ten minutes late",
    .params = params,
    .object = "model",
    .state_bytes = sizeof(struct kubeai),
    .wakes = true,
    .holds = true,
    .to_zero = true,
    .scrape_ns = INT64_C(1000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
