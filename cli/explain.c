/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.c: keeps what belongs to one request.
 */
#include "cli/explain.h"

#include "base/mem.h"

#include <math.h>

static void candidates_clear(struct explain *explain)
{
    for (uint32_t i = 0; i < explain->candidate_count; i++) {
        mem_free(explain->candidates[i].url);
    }
    mem_free(explain->candidates);
    explain->candidates = NULL;
    explain->candidate_count = 0;
}

static void keep_candidates(struct explain *explain, const struct cluster_view *view)
{
    candidates_clear(explain);
    explain->candidates = mem_alloc(view->count, sizeof *explain->candidates);
    explain->candidate_count = view->count;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_view *endpoint = view->endpoints[i];
        explain->candidates[i] = (struct explain_candidate){
            .url = mem_strdup(endpoint->url),
            .score = view->scores[i],
            .weight = endpoint->weight,
            .endpoint_id = endpoint->id,
            .inflight_requests = endpoint->inflight_requests,
            .inflight_prefill = endpoint->inflight_prefill,
            .inflight_prompt_tokens = endpoint->inflight_prompt_tokens,
            .metrics = endpoint->metrics,
        };
    }
}

static void saw_decision(void *context, const struct decision_row *row)
{
    struct explain *explain = context;
    if (row->request->request_id != explain->request_id) {
        return;
    }
    explain->routed = true;
    explain->routed_ns = row->now_ns;
    explain->decisions++;
    explain->policy = row->policy;
    explain->decision = row->decision;
    if (row->view != NULL) {
        keep_candidates(explain, row->view);
    }
}

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct explain *explain = context;
    if (outcome->request_id == explain->request_id) {
        explain->ended = true;
        explain->outcome = *outcome;
    }
}

void explain_observe(struct explain *explain, struct observer *observer)
{
    *observer = (struct observer){
        .context = explain,
        .on_outcome = saw_outcome,
        .on_decision = saw_decision,
        .wants_scores = true,
    };
}

void explain_fini(struct explain *explain)
{
    candidates_clear(explain);
}
