/* SPDX-License-Identifier: Apache-2.0
 *
 * router_process.c: a replica of the router is one process with one event loop: it
 * deals with one request at a time, in their order, and each takes the same time.
 * Replicas share nothing; a Service draws one for each request.
 *
 * The time stands for all that a request costs that process, its stream included, for
 * that is how it was measured (spec/production-stack.md 4.2). It lies before the
 * decision, so a router beyond its capacity delays first tokens without limit, as the
 * stack's does, and decides on what it knows then.
 */
#include "base/check.h"
#include "sim/sim_state.h"

void sim_router_enter(struct sim *sim, const struct incoming *incoming)
{
    const int64_t request_ns = sim->scenario->router_request_ns;
    struct front *front = &sim->fronts[incoming->front];
    if (request_ns == 0) {
        sim_router_decide(sim, incoming);
        return;
    }
    const int64_t begin_ns =
        front->free_ns > sim->now_ns ? front->free_ns : sim->now_ns;
    front->free_ns = begin_ns + request_ns;
    struct parked *parked = parked_new(incoming->record, incoming->arrival_ns);
    parked->front = incoming->front;
    parked->number = incoming->number;
    parked->attempt = incoming->attempt;
    const struct timer timer = {.kind = EVENT_ROUTED, .parked = parked};
    parked->timer = sim_timer_new(sim, &timer);
    const int64_t patience_ns = incoming->record->cancel_ns;
    int64_t due_ns = front->free_ns;
    if (patience_ns > 0 && incoming->arrival_ns + patience_ns < due_ns) {
        due_ns = incoming->arrival_ns + patience_ns;
        parked->client_gone = true;
    }
    CHECK(due_ns >= sim->now_ns, "a client hung up before it came");
    evq_set(sim->events, sim->source_timers + parked->timer, due_ns,
            sim_rank(EVENT_ROUTED, incoming->number));
    sim->in_router++;
}

static struct incoming incoming_of(const struct parked *parked)
{
    return (struct incoming){&parked->record, parked->arrival_ns, parked->number,
                             parked->front, parked->attempt};
}

/* Whose client has hung up has been read all the same: its turn is not given away. */
void sim_router_done(struct sim *sim, struct parked *parked)
{
    const struct incoming incoming = incoming_of(parked);
    sim->in_router--;
    if (parked->client_gone) {
        sim_request_drop(sim, &incoming, OUTCOME_CANCELLED);
    } else {
        sim_router_decide(sim, &incoming);
    }
    admission_drop(parked);
}

void sim_router_stop(struct sim *sim)
{
    for (size_t slot = 0; sim->in_router > 0 && slot < sim->timer_high; slot++) {
        struct parked *parked = sim->timers[slot].parked;
        if (sim->timers[slot].kind != EVENT_ROUTED || parked == NULL) {
            continue;
        }
        sim->timers[slot].parked = NULL;
        sim_timer_give(sim, (uint32_t)slot);
        sim->in_router--;
        const struct incoming incoming = incoming_of(parked);
        sim_request_drop(sim, &incoming, OUTCOME_UNFINISHED);
        admission_drop(parked);
    }
}
