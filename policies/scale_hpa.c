/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_hpa.c: Kubernetes' HorizontalPodAutoscaler (spec/policies.md S1): one loop over
 * any metrics, of pods or of the whole pool.
 */
#include "policies/hpa.h"
#include "policies/registry.h"

#include <math.h>
#include <string.h>

struct hpa_state {
    struct hpa hpa;
    struct scale_target targets[SCALE_TARGETS_MAX];
    uint32_t target_count;
    int64_t sync_ns;
    int64_t next_ns;
};

static bool init(void *state, const struct scale_setup *setup, struct err *err)
{
    struct hpa_state *self = state;
    self->target_count = setup->target_count;
    memcpy(self->targets, setup->targets, setup->target_count * sizeof *setup->targets);
    self->sync_ns = scale_ns(setup->values[HPA_SYNC_S]);
    self->next_ns = self->sync_ns;
    return hpa_init(&self->hpa, setup->values, setup->min, setup->max, err);
}

static uint32_t queries(const void *state, struct scale_query out[SCALE_QUERIES_MAX])
{
    const struct hpa_state *self = state;
    for (uint32_t i = 0; i < self->target_count; i++) {
        out[i] =
            (struct scale_query){self->targets[i].metric, self->targets[i].window_ns};
    }
    return self->target_count;
}

static int64_t next_ns(const void *state)
{
    return ((const struct hpa_state *)state)->next_ns;
}

static struct scale_decision decide(void *state, const struct scale_view *view)
{
    struct hpa_state *self = state;
    self->next_ns = view->now_ns + self->sync_ns;
    return hpa_decide(&self->hpa, view, self->targets, self->target_count,
                      view->readings);
}

static const struct policy_param params[] = {
    HPA_PARAM_ENTRIES{.name = NULL},
};

const struct scale_policy scale_hpa = {
    .name = "hpa",
    .help = "Kubernetes' HorizontalPodAutoscaler: replicas times value over target, "
            "the most of all metrics, grown at once and shrunk after five minutes.",
    .source = "kubernetes/kubernetes:pkg/controller/podautoscaler",
    .breaks = "a queue's length says nothing until engines are full, then too much: "
              "bang-bang; a GPU's utilisation is at 100 % with one request; KV use "
              "does not fall while the prefix cache keeps blocks; it cannot leave 0 "
              "replicas",
    .params = params,
    .object = "horizontalpodautoscaler",
    .state_bytes = sizeof(struct hpa_state),
    .targets_min = 1,
    .targets_max = SCALE_TARGETS_MAX,
    .kinds = 1U << TARGET_PODS | 1U << TARGET_AVERAGE | 1U << TARGET_VALUE,
    .kind = TARGET_PODS,
    .scrape_ns = INT64_C(15000000000),
    .init = init,
    .queries = queries,
    .next_ns = next_ns,
    .decide = decide,
};
