/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep.h: the runs of a plan into a store, on all cores, from where they stopped.
 *
 * Each run is committed when it ends, under the id that the plan gives it: what a store
 * holds says what is done, and its rows are the same in whatever order runs end.
 */
#ifndef STACKSIM_CLI_SWEEP_H
#define STACKSIM_CLI_SWEEP_H

#include "cli/runner.h"
#include "cli/sweep_plan.h"

struct sweep_setup {
    struct sweep_plan *plan;
    struct runner_setup base; /* scenario and policies; overrides are the plan's */
    const char *store_path;
    uint32_t threads;
    uint32_t shard; /* 0-based: runs whose number is shard modulo shards */
    uint32_t shards;
    bool no_requests;
    bool keep_going; /* a run that fails stops none of the others */
    bool quiet;
};

struct stored_sweep;
struct sweep;
enum sweep_end { SWEEP_DONE, SWEEP_FAILED, SWEEP_INTERRUPTED };

/* Locks and opens the store, or makes it, and checks the runs that remain. */
NODISCARD bool sweep_new(struct sweep **out, const struct sweep_setup *setup,
                         struct err *err);
void sweep_delete(struct sweep *sweep); /* NULL is legal */

/* Of this shard: all, and those that a store of earlier calls held. */
size_t sweep_count(const struct sweep *sweep);
size_t sweep_found(const struct sweep *sweep);
/* Now in the store. */
size_t sweep_finished(const struct sweep *sweep);

enum sweep_end sweep_run(struct sweep *sweep);
/* What failed, in the plan's order: call with *at = 0, again while it returns true. */
bool sweep_failure(const struct sweep *sweep, size_t *at, struct err *err);

/* The plan as a store would keep it, with its digest; loads the first run's scenario.
 * Borrowed from setup's plan. */
NODISCARD bool sweep_digest(const struct sweep_setup *setup,
                            const struct stored_sweep **out, struct err *err);

/* Whether a store that is there holds this plan; *done[i]: run i is in it. No store:
 * nothing is done. done has room for all runs of the plan. */
NODISCARD bool sweep_look(const char *store_path, const struct stored_sweep *stored,
                          bool *done, struct err *err);

#endif
