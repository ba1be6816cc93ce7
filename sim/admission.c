/* SPDX-License-Identifier: Apache-2.0
 *
 * admission.c: copies of records around a flow.
 */
#include "sim/admission.h"

#include "base/mem.h"
#include "sim/adapters.h"

#include <string.h>

struct admission {
    struct flow *flow;
};

bool admission_new(struct admission **out, const struct scenario *scenario,
                   struct gateway *gateway, uint32_t replica, struct err *err)
{
    const struct scenario_admission *config = &scenario->admission;
    const struct flow_setup setup = {
        .policy = config->policy,
        .compat = scenario->compat,
        .param_names = config->param_names,
        .param_values = config->param_values,
        .param_count = config->param_count,
        .seed = scenario->seed,
        .replica = replica,
        .gateway = gateway,
    };
    struct flow *flow = NULL;
    if (!flow_new(&flow, &setup, err)) {
        return false;
    }
    *out = mem_alloc(1, sizeof **out);
    (*out)->flow = flow;
    return true;
}

void admission_delete(struct admission *admission)
{
    if (admission != NULL) {
        struct flow_item item;
        while (flow_take_any(admission->flow, &item)) {
            admission_drop(item.owner);
        }
        flow_delete(admission->flow);
        mem_free(admission);
    }
}

static char *name_copy(const char *name)
{
    return name != NULL ? mem_strdup(name) : NULL;
}

struct parked *parked_new(const struct trace_record *record, int64_t arrival_ns)
{
    struct parked *parked = mem_alloc(1, sizeof *parked);
    parked->segments = mem_alloc(record->segment_count, sizeof *parked->segments);
    memcpy(parked->segments, record->segments,
           record->segment_count * sizeof *parked->segments);
    parked->model = name_copy(record->model);
    parked->tenant = name_copy(record->tenant);
    parked->adapter = name_copy(record->adapter);
    parked->record = *record;
    parked->record.segments = parked->segments;
    parked->record.model = parked->model;
    parked->record.tenant = parked->tenant;
    parked->record.adapter = parked->adapter;
    parked->arrival_ns = arrival_ns;
    parked->timer = UINT32_MAX;
    return parked;
}

void admission_drop(struct parked *parked)
{
    mem_free(parked->segments);
    mem_free(parked->model);
    mem_free(parked->tenant);
    mem_free(parked->adapter);
    mem_free(parked);
}

struct admit_decision admission_arrive(struct admission *admission, int64_t now_ns,
                                       const struct trace_record *record,
                                       uint64_t number, struct parked **parked)
{
    const struct request_view view = {
        .request_id = number,
        .arrival_ns = now_ns,
        .model = record->adapter != NULL ? record->adapter : record->model,
        .prompt_tokens = record->prompt_tokens,
        .output_tokens_max = record->output_tokens_max,
        .output_tokens_guess = record->output_tokens_guess,
        .priority = record->priority,
        .tenant = record->tenant,
        .adapter = adapter_id(record->adapter),
    };
    struct parked *place = parked_new(record, now_ns);
    place->number = number;
    const struct admit_decision decision =
        flow_arrive(admission->flow, now_ns, &view, place);
    if (decision.verdict != ADMIT_QUEUE) {
        admission_drop(place);
        place = NULL;
    }
    *parked = place;
    return decision;
}

struct parked *admission_next(struct admission *admission, int64_t now_ns)
{
    struct flow_item item;
    return flow_next(admission->flow, now_ns, &item) ? item.owner : NULL;
}

struct parked *admission_expired(struct admission *admission, int64_t now_ns)
{
    struct flow_item item;
    return flow_take_expired(admission->flow, now_ns, &item) ? item.owner : NULL;
}

struct parked *admission_any(struct admission *admission)
{
    struct flow_item item;
    return flow_take_any(admission->flow, &item) ? item.owner : NULL;
}

void admission_cancel(struct admission *admission, const struct parked *parked)
{
    flow_cancel(admission->flow, parked->number);
}

void admission_saw_tokens(struct admission *admission, uint64_t number,
                          uint32_t output_tokens)
{
    flow_saw_tokens(admission->flow, number, output_tokens);
}

bool admission_wants_tokens(const struct admission *admission)
{
    return flow_wants_tokens(admission->flow);
}

void admission_ended(struct admission *admission, uint64_t number,
                     uint32_t output_tokens)
{
    flow_ended(admission->flow, number, output_tokens);
}

int64_t admission_deadline_ns(const struct admission *admission)
{
    return flow_deadline_ns(admission->flow);
}

uint32_t admission_waiting(const struct admission *admission)
{
    return flow_waiting(admission->flow);
}

bool admission_needs_metrics(const struct admission *admission)
{
    return (flow_needs(admission->flow) & NEED_METRICS) != 0;
}
