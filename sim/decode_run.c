/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_run.c: many equal decode steps as one event.
 *
 * A run is a promise: `ahead` more steps will be formed exactly like the last one. It
 * is kept by planning no further than the first thing that could break it (a member's
 * last step, free blocks, the cost model's regime; an eviction, when somebody wants to
 * know when it was), and by cutting it when an arrival could. Nothing is booked until
 * the run is over; the gauges are read in closed form meanwhile.
 */
#include "base/check.h"
#include "sim/replica_state.h"

#include <math.h>

/* End of the count-th step from the one under way, while a run lasts. */
static int64_t run_end_fx(const struct replica *replica, uint64_t count)
{
    const int64_t n = (int64_t)count;
    return n * replica->run.first_fx + replica->run.grow_fx * (n * (n - 1) / 2);
}

int64_t run_end_ns(const struct replica *replica, uint64_t count)
{
    const int64_t end_fx =
        replica->ahead == 0 ? replica->steps[0].length_fx : run_end_fx(replica, count);
    return replica->start_ns + (replica->start_rest + end_fx) / COST_FX_PER_NS;
}

/* Most steps whose sum stays far from overflow. */
static uint64_t run_steps_max(const struct decode_cost *run)
{
    CHECK(run->valid_steps > 0, "a cost model promised no step");
    uint64_t steps = run->valid_steps;
    const double limit = 4.0e18;
    while (steps > 1) {
        const double n = (double)steps;
        const double sum =
            n * (double)run->first_fx + (double)run->grow_fx * n * n / 2.0;
        if (sum < limit) {
            break;
        }
        steps /= 2;
    }
    return steps;
}

void run_plan(struct replica *replica)
{
    replica->ahead = 0;
    const struct decode_set *set = &replica->decodes;
    const bool wanted =
        (replica->waiting.count > 0 && !replica->head_stuck) || replica->ready > 0;
    const bool admits = wanted && replica->running.count < replica->engine.max_num_seqs;
    if (replica->setup.step_by_step || replica->slow != 1.0 ||
        replica->engine.speculation.tokens > 0 ||
        replica->step_count < replica->depth || set->count == 0 || admits ||
        replica->cancelling) {
        return;
    }
    for (uint32_t i = 0; i < replica->step_count; i++) {
        const struct step *step = &replica->steps[i];
        /* A step may have left members out without changing the set since. */
        if (!step->decode_only || step->slowed || step->version != set->version ||
            step->decodes != set->count || step->stall_ns > 0) {
            return;
        }
    }
    const struct step *now = &replica->steps[0];
    const struct decode_cost run =
        cost_decode_beside(replica->setup.cost, now->extra_fx, now->decodes,
                           now->context, now->context_max);
    const uint64_t until_last = decode_set_first(set)->last_step - set->formed;
    uint64_t most = run_steps_max(&run) - 1;
    most = most < until_last ? most : until_last;
    replica->run = run;
    replica->ahead =
        decode_set_steps_within(set, kvpool_blank_blocks(replica->pool), most);
}

/* Where the sum of n steps reaches sum_fx: the root of its quadratic, as good as a
 * double can tell. */
static uint64_t run_steps_guess(const struct replica *replica, int64_t sum_fx)
{
    const double half = (double)replica->run.grow_fx / 2.0;
    const double first = (double)replica->run.first_fx - half;
    const double sum = (double)sum_fx;
    const double steps = 2.0 * sum / (first + sqrt(first * first + 4.0 * half * sum));
    return steps > 0.0 ? (uint64_t)steps : 0;
}

uint64_t run_ended(const struct replica *replica, int64_t time_ns, bool strict)
{
    /* A step has ended when its end, cut to whole ns, is below bound_ns. */
    const int64_t bound_ns = strict ? time_ns : time_ns + 1;
    const uint64_t most = replica->ahead;
    if (most == 0 || run_end_ns(replica, most) < bound_ns) {
        return most;
    }
    if (bound_ns <= replica->start_ns) {
        return 0;
    }
    const int64_t bound_fx =
        (bound_ns - replica->start_ns) * COST_FX_PER_NS - replica->start_rest;
    uint64_t steps = run_steps_guess(replica, bound_fx);
    steps = steps < most ? steps : most;
    while (steps > 0 && run_end_fx(replica, steps) >= bound_fx) {
        steps--;
    }
    while (run_end_fx(replica, steps + 1) < bound_fx) {
        steps++; /* ends before `most`, which has not ended */
    }
    return steps;
}

void run_cut(struct replica *replica, int64_t time_ns)
{
    replica->ahead = run_ended(replica, time_ns, false);
}

void run_settle(struct replica *replica)
{
    struct decode_set *set = &replica->decodes;
    const uint64_t ahead = replica->ahead;
    if (ahead == 0) {
        return;
    }
    const int64_t before_fx = replica->start_rest + run_end_fx(replica, ahead);
    replica->stats.busy_ns += before_fx / COST_FX_PER_NS;
    replica->start_ns += before_fx / COST_FX_PER_NS;
    replica->start_rest = before_fx % COST_FX_PER_NS;
    kvpool_take(replica->pool, (uint32_t)decode_set_blocks(set, ahead));
    decode_set_advance(set, ahead);
    replica->stats.steps += ahead;
    for (uint32_t i = 0; i < replica->step_count; i++) {
        struct step *step = &replica->steps[i];
        step->index += ahead;
        step->context += ahead * step->decodes;
        step->context_max += replica->decodes.knows_longest ? (uint32_t)ahead : 0;
        step->length_fx =
            cost_decode_beside(replica->setup.cost, step->extra_fx, step->decodes,
                               step->context, step->context_max)
                .first_fx;
    }
    replica->returned = replica->steps[0].index - 1;
    replica->ahead = 0;
    step_retire_decodes(replica);
}
