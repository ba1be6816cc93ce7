/* SPDX-License-Identifier: Apache-2.0
 *
 * disagg_loss.c: an engine goes down with KV that others wait for, or its card is slow
 * (spec/vllm-engine.md 5.6).
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/disagg_state.h"

#include <math.h>

/* Requests at other engines whose KV is at this one. */
struct readers {
    struct request **requests;
    size_t capacity;
    uint32_t count;
    uint32_t engine;
};

static void visit(void *context, struct request *request)
{
    struct readers *readers = context;
    if (request->leg != LEG_DECODE || request->split == NULL ||
        request->split->hold == NULL ||
        request->split->prefill_engine != readers->engine) {
        return;
    }
    void *array = readers->requests;
    const bool grown = mem_grow(&array, &readers->capacity, (size_t)readers->count + 1,
                                sizeof(struct request *), UINT32_MAX / 2);
    CHECK(grown, "%u requests wait for KV", readers->count);
    readers->requests = array;
    readers->requests[readers->count++] = request;
}

void sim_disagg_hang(struct sim *sim, struct request *request)
{
    struct split *split = request->split;
    disagg_timer_drop(sim, &split->timer);
    if (split->flow != NO_FLOW) {
        links_remove(sim->disagg->links, sim->now_ns, split->flow);
        split->flow = NO_FLOW;
        disagg_links_reschedule(sim);
    }
}

static void reader_lose(struct sim *sim, struct request *request)
{
    struct split *split = request->split;
    const bool asked = split->asked_ns != OUTCOME_TIME_NONE;
    disagg_timer_drop(sim, &split->lease);
    sim_disagg_hang(sim, request);
    split->hold = NULL;
    if (request->state == REQUEST_ENDED) {
        return; /* its own engine is gone already */
    }
    if (asked && split->blocks == 0) {
        split->here_ns = sim->now_ns; /* it had everything itself */
        return;
    }
    sim->summary.kv_lost++;
    replica_kv_failed(sim->engines[split->decode_engine], request,
                      sim->scenario->control->recompute, sim->now_ns);
    sim_engine_reschedule(sim, split->decode_engine);
}

/* KV that was to be freed at this engine is gone, too. */
static void frees_drop(struct sim *sim, uint32_t engine)
{
    for (uint32_t slot = 0; slot < sim->timer_high; slot++) {
        const struct timer *timer = &sim->timers[slot];
        if (timer->hold != NULL && timer->kind == EVENT_KV_FREED &&
            timer->index == engine) {
            sim_timer_give(sim, slot);
        }
    }
}

void sim_disagg_lose(struct sim *sim, uint32_t engine)
{
    struct readers readers = {.engine = engine};
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        if (i != engine) {
            replica_visit(sim->engines[i], visit, &readers);
        }
    }
    sim_hung_visit(sim, visit, &readers);
    for (uint32_t i = 0; i < readers.count; i++) {
        reader_lose(sim, readers.requests[i]);
    }
    mem_free(readers.requests);
    frees_drop(sim, engine);
}

void sim_disagg_slow(struct sim *sim, uint32_t engine, double factor)
{
    struct disagg *disagg = sim->disagg;
    const double bytes_per_s = isinf(factor) ? 0 : disagg->bytes_per_s[engine] / factor;
    links_set(disagg->links, sim->now_ns, engine, bytes_per_s);
    disagg_links_reschedule(sim);
}
