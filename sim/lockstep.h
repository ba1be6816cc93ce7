/* SPDX-License-Identifier: Apache-2.0
 *
 * lockstep.h: data-parallel ranks of a model with experts, which meet in every layer.
 *
 * Each rank is an engine with its own queue, batch and KV blocks, but all share every
 * step boundary (spec/step-time.md 5a): a step lasts as long as that of the slowest
 * rank; a rank without work takes part with a dummy. So a request that reaches an idle
 * rank while others work waits for the boundary. There are no decode runs: the ranks'
 * sets change at different times, and the oracle's single steps are always right.
 */
#ifndef STACKSIM_SIM_LOCKSTEP_H
#define STACKSIM_SIM_LOCKSTEP_H

#include "sim/replica.h"

struct lockstep;

/* Borrows the engines, which were made with setup.lockstep and step_by_step. */
struct lockstep *lockstep_new(struct replica *const *ranks, uint32_t count,
                              const struct cost *cost);
void lockstep_delete(struct lockstep *group);

/* As replica_submit, for one of the ranks. */
void lockstep_submit(struct lockstep *group, uint32_t rank, struct request *request,
                     int64_t now_ns);
/* When lockstep_step_done is due; INT64_MAX while all ranks are idle. */
int64_t lockstep_next_ns(const struct lockstep *group);
/* The step of all ranks has ended, at lockstep_next_ns(). */
void lockstep_step_done(struct lockstep *group);

#endif
