/* SPDX-License-Identifier: Apache-2.0
 *
 * route_weighted_rr.c: in turn, in proportion to fixed weights, and smoothly.
 *
 * As in nginx: each pick adds every candidate's weight to its credit, takes the largest
 * credit and charges the winner the sum of the weights. Weights 5, 1, 1 give
 * a a b a c a a and not a a a a a b c. Ties go to the first in discovery order. The
 * weight is the endpoint's own (a GPU's tokens per second, say); when all are zero all
 * count as one.
 *
 * An endpoint that leaves and returns starts without credit, or it would be owed what
 * it did not serve.
 */
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/registry.h"

struct weighted_rr {
    struct id_table credits; /* double */
};

static bool weighted_rr_init(void *state, const struct policy_setup *setup,
                             struct err *err)
{
    (void)err;
    struct weighted_rr *self = state;
    id_table_init(&self->credits, &setup->memory, sizeof(double));
    return true;
}

static void weighted_rr_fini(void *state)
{
    struct weighted_rr *self = state;
    id_table_fini(&self->credits);
}

static double sum_of_weights(const struct cluster_view *view)
{
    double sum = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        sum += view->endpoints[i]->weight;
    }
    return sum;
}

static struct route_decision weighted_rr_pick(void *state,
                                              const struct cluster_view *view,
                                              const struct request_view *request)
{
    (void)request;
    struct weighted_rr *self = state;
    double *credits = id_table_items(&self->credits, view->id_count);
    const double sum = sum_of_weights(view);
    const struct tie_breaker first = {.rule = TIE_FIRST};
    struct choice choice = choice_begin(&first, view);
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_view *endpoint = view->endpoints[i];
        credits[endpoint->id] += sum > 0 ? endpoint->weight : 1;
        choice_offer(&choice, -credits[endpoint->id], i);
    }
    credits[view->endpoints[choice.index]->id] -= sum > 0 ? sum : view->count;
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_ROUND_ROBIN,
        .candidates = view->count,
        .score = -choice.cost,
    };
}

static void weighted_rr_on_endpoint_change(void *state, enum endpoint_change change,
                                           const struct endpoint_view *endpoint)
{
    struct weighted_rr *self = state;
    if (change == ENDPOINT_LEFT && endpoint->id < self->credits.count) {
        double *credits = self->credits.items;
        credits[endpoint->id] = 0;
    }
}

static size_t weighted_rr_memory_bytes(const void *state)
{
    const struct weighted_rr *self = state;
    return id_table_bytes(&self->credits);
}

static const char *const aliases[] = {"weighted_round_robin", NULL};

const struct route_policy route_weighted_rr = {
    .name = "weighted_rr",
    .aliases = aliases,
    .help = "Endpoints in turn, in proportion to their weights, evenly spaced.",
    .source = "nginx/nginx:src/http/ngx_http_upstream_round_robin.c",
    .breaks = "heavy-tailed lengths: equal counts are not equal work",
    .state_bytes = sizeof(struct weighted_rr),
    .init = weighted_rr_init,
    .fini = weighted_rr_fini,
    .pick = weighted_rr_pick,
    .on_endpoint_change = weighted_rr_on_endpoint_change,
    .memory_bytes = weighted_rr_memory_bytes,
};
