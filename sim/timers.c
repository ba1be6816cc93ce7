/* SPDX-License-Identifier: Apache-2.0
 *
 * timers.c: events of single requests, each with a source of its own in the queue.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/sim_state.h"

uint32_t sim_timer_new(struct sim *sim, const struct timer *timer)
{
    uint32_t slot = sim->timer_unused;
    if (slot != UINT32_MAX) {
        sim->timer_unused = sim->timers[slot].next_unused;
    } else {
        void *array = sim->timers;
        const bool grown = mem_grow(&array, &sim->timer_capacity, sim->timer_high + 1,
                                    sizeof(struct timer), UINT32_MAX / 2);
        CHECK(grown, "%zu timers", sim->timer_high);
        sim->timers = array;
        evq_grow(sim->events, sim->source_timers + (uint32_t)sim->timer_capacity);
        slot = (uint32_t)sim->timer_high++;
    }
    sim->timers[slot] = *timer;
    return slot;
}

void sim_timer_give(struct sim *sim, uint32_t slot)
{
    evq_clear(sim->events, sim->source_timers + slot);
    sim->timers[slot].hold = NULL;
    sim->timers[slot].parked = NULL;
    sim->timers[slot].next_unused = sim->timer_unused;
    sim->timer_unused = slot;
}

void sim_on_release(void *context, int64_t time_ns, uint32_t index)
{
    struct sim *sim = context;
    const struct timer timer = {.kind = EVENT_RELEASE, .index = index};
    const uint32_t slot = sim_timer_new(sim, &timer);
    sim->releases++;
    evq_set(sim->events, sim->source_timers + slot, time_ns,
            sim_rank(EVENT_RELEASE, replay_record(sim->replay, index)->id));
}
