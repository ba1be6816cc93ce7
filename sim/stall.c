/* SPDX-License-Identifier: Apache-2.0
 *
 * stall.c: scrapes, health checks and reconciles go on for ever, also when all engines
 * are gone and nobody limits how long requests wait. Such a run has to end.
 */
#include "sim/sim_state.h"

enum { STALLED_EVENTS = 1000 };
/* An autoscaler may still bring engines: longer than any window or cooldown of one. */
static const int64_t scaled_ns = 7200000000000;

/* Nothing but what repeats itself is ahead. */
static bool idles(const struct sim *sim)
{
    const bool scrapes = front_needs_metrics(&sim->fronts[0]) && !sim->fresh_metrics;
    const size_t repeated = scrapes ? sim->front_count : 0;
    const size_t ahead = evq_count(sim->events);
    if (sim->life == NULL) {
        return ahead == repeated;
    }
    return ahead <= repeated + 1 && sim_life_settled(sim);
}

bool sim_stalled(struct sim *sim)
{
    const bool nobody = sim->releases == 0 && sim->retries.paused == 0 &&
                        sim_requests_live(sim) == 0 && sim->probes.live == 0;
    const bool waits = sim->scaling != NULL ? !sim_life_acts(sim) : idles(sim);
    sim->stalled = nobody && waits ? sim->stalled + 1 : 0;
    if (sim->stalled == 1) {
        sim->stalled_ns = sim->now_ns;
    }
    return sim->stalled > STALLED_EVENTS &&
           (sim->scaling == NULL || sim->now_ns - sim->stalled_ns > scaled_ns);
}
