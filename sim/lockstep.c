/* SPDX-License-Identifier: Apache-2.0
 *
 * lockstep.c: gives every rank's step the length of the group's, and lets the ranks go
 * on as engines do.
 */
#include "sim/lockstep.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/replica_state.h"

struct lockstep {
    uint32_t count;
    struct replica **ranks;
    struct batch_shape *shapes; /* scratch */
    const struct cost *cost;
    bool running;       /* a step is under way */
    int64_t start_ns;   /* of it */
    int64_t start_rest; /* and 2^-16 ns beyond it */
    int64_t length_fx;
};

struct lockstep *lockstep_new(struct replica *const *ranks, uint32_t count,
                              const struct cost *cost)
{
    struct lockstep *group = mem_alloc(1, sizeof(*group));
    group->count = count;
    group->cost = cost;
    group->ranks = mem_alloc(count, sizeof(struct replica *));
    group->shapes = mem_alloc(count, sizeof(struct batch_shape));
    for (uint32_t i = 0; i < count; i++) {
        CHECK(ranks[i]->setup.lockstep && ranks[i]->setup.step_by_step,
              "engine %u cannot be a rank", ranks[i]->setup.id);
        group->ranks[i] = ranks[i];
    }
    return group;
}

void lockstep_delete(struct lockstep *group)
{
    if (group != NULL) {
        mem_free(group->ranks);
        mem_free(group->shapes);
        mem_free(group);
    }
}

/* All ranks have formed what they will run next, from start_ns on. */
static void step_begin(struct lockstep *group)
{
    group->running = false;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct replica *rank = group->ranks[i];
        const bool works = rank->step_count > 0;
        group->shapes[i] = works ? rank->steps[0].shape : (struct batch_shape){0};
        group->running = group->running || works;
        CHECK(!works || (rank->start_ns == group->start_ns &&
                         rank->start_rest == group->start_rest),
              "rank %u has left the lock-step", rank->setup.id);
    }
    if (!group->running) {
        return;
    }
    group->length_fx = cost_group_fx(group->cost, group->shapes, group->count);
    const struct replica *slowest = group->ranks[0]; /* the others wait for it */
    for (uint32_t i = 1; i < group->count; i++) {
        slowest = group->ranks[i]->slow > slowest->slow ? group->ranks[i] : slowest;
    }
    group->length_fx = replica_slowed(slowest, group->length_fx);
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->ranks[i]->step_count > 0) {
            group->ranks[i]->steps[0].length_fx = group->length_fx;
        }
    }
}

int64_t lockstep_next_ns(const struct lockstep *group)
{
    return group->running ? group->start_ns +
                                (group->start_rest + group->length_fx) / COST_FX_PER_NS
                          : INT64_MAX;
}

/* A rank that ran a dummy, or was just woken, starts with the others. */
static void rank_join(const struct lockstep *group, struct replica *rank)
{
    rank->start_ns = group->start_ns;
    rank->start_rest = group->start_rest;
    if (rank->waiting.count > 0 || rank->cancelling) {
        replica_boundary(rank, group->start_ns);
    }
}

void lockstep_step_done(struct lockstep *group)
{
    CHECK(group->running, "a group of %u ranks has no step under way", group->count);
    const int64_t end_fx = group->start_rest + group->length_fx;
    group->start_ns += end_fx / COST_FX_PER_NS;
    group->start_rest = end_fx % COST_FX_PER_NS;
    for (uint32_t i = 0; i < group->count; i++) {
        struct replica *rank = group->ranks[i];
        if (rank->step_count > 0) {
            replica_step_done(rank);
        } else {
            rank_join(group, rank);
        }
    }
    step_begin(group);
}

void lockstep_submit(struct lockstep *group, uint32_t rank, struct request *request,
                     int64_t now_ns)
{
    CHECK(rank < group->count, "rank %u of %u", rank, group->count);
    struct replica *replica = group->ranks[rank];
    if (!group->running) {
        group->start_ns = now_ns;
        group->start_rest = 0;
        replica_submit(replica, request, now_ns);
        step_begin(group);
        return;
    }
    if (replica->step_count > 0) {
        replica_submit(replica, request, now_ns);
        return;
    }
    request_move(request, REQUEST_WAITING);
    request->engine = replica->setup.id;
    request->queued_ns = lockstep_next_ns(group);
    running_queue(replica, request, false);
}
