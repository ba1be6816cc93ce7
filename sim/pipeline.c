/* SPDX-License-Identifier: Apache-2.0
 *
 * pipeline.c: who may be in which batch, and the queue of batches.
 */
#include "sim/pipeline.h"

#include <string.h>

/* Schedules beyond the batch whose tokens it waits for. */
static bool looks_ahead(const struct engine_config *engine)
{
    return engine->compat == ENGINE_HEAD && engine->async_scheduling;
}

uint32_t pipeline_depth(const struct engine_config *engine)
{
    return plan_stages(&engine->parallel) + (looks_ahead(engine) ? 1 : 0);
}

bool pipeline_ready(const struct replica *replica, const struct request *request)
{
    if (!replica->pipelined || request->batch <= replica->returned) {
        return true;
    }
    return looks_ahead(&replica->engine) &&
           request->batch_place + replica->stages.count <= replica->places;
}

bool pipeline_awaited(const struct replica *replica, const struct request *request)
{
    return replica->pipelined && request->batch > replica->returned;
}

uint64_t pipeline_flying(const struct request *request, uint64_t ended)
{
    const uint64_t last = request->batch > ended ? 1 : 0;
    return request->batch_before > ended ? last + 1 : last;
}

void pipeline_take(struct replica *replica, struct request *request, uint64_t index)
{
    request->batch_before = request->batch;
    request->batch = index;
    request->batch_place = replica->places;
}

void pipeline_skip_all(struct replica *replica)
{
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state == REQUEST_DECODING) {
            decode_set_skip(&replica->decodes, at);
        }
    }
}

int64_t pipeline_length_fx(struct replica *replica, const struct batch_shape *shape,
                           int64_t stall_fx)
{
    int64_t work_fx[PARALLEL_STAGES_MAX];
    int64_t send_fx[PARALLEL_STAGES_MAX];
    cost_stage_times(replica->setup.cost, shape, work_fx, send_fx);
    for (uint32_t i = 0; i < replica->stages.count; i++) {
        work_fx[i] = replica_slowed(replica, work_fx[i]);
    }
    work_fx[0] += stall_fx;
    return stages_add(&replica->stages, work_fx, send_fx);
}

bool pipeline_pass(struct replica *replica)
{
    if (!replica->pipelined || !looks_ahead(&replica->engine) ||
        replica->step_count == 0) {
        return false;
    }
    replica->places++;
    stages_add_empty(&replica->stages);
    replica->steps[replica->step_count++] = (struct step){.empty = true};
    return true;
}

void pipeline_drop_empty(struct replica *replica)
{
    while (replica->step_count > 0 && replica->steps[0].empty) {
        stages_end(&replica->stages);
        replica->step_count--;
        memmove(replica->steps, replica->steps + 1,
                replica->step_count * sizeof replica->steps[0]);
    }
}
