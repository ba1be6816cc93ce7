/* SPDX-License-Identifier: Apache-2.0
 *
 * pipeline.h: what the scheduler does differently with pipeline stages
 * (spec/vllm-engine.md 4.1).
 *
 * Steps are batches that follow each other through the stages (sim/stages.h). A request
 * whose token is under way is in no other batch: the scheduler passes it over. Engines
 * of compat head with asynchronous scheduling schedule it again as many places of the
 * batch queue later as there are stages, where a turn that found nobody ready takes a
 * place, too; the batch waits until its token has been sampled.
 *
 * Only steps formed one by one: the ends of batches are maxima of sums, and in a run of
 * growing decode steps of several batches nothing says which one wins.
 */
#ifndef STACKSIM_SIM_PIPELINE_H
#define STACKSIM_SIM_PIPELINE_H

#include "sim/replica_state.h"

/* Batches that may be formed and not ended. */
uint32_t pipeline_depth(const struct engine_config *engine);

/* Whether a decoding request may be in the batch that is being formed. */
bool pipeline_ready(const struct replica *replica, const struct request *request);
/* Whether a token of this waiting request, which was preempted, is under way: it is not
 * admitted again before that has come. */
bool pipeline_awaited(const struct replica *replica, const struct request *request);
/* Batches that have formed and not ended after `ended` and make a token of it. */
uint64_t pipeline_flying(const struct request *request, uint64_t ended);

/* The step being formed, of this index, makes a token of the request. */
void pipeline_take(struct replica *replica, struct request *request, uint64_t index);
/* No decoding request is in the step being formed. */
void pipeline_skip_all(struct replica *replica);
/* The step's length (sim/stages.h). What it waits for, adapters and KV of tiers, keeps
 * the first stage. */
int64_t pipeline_length_fx(struct replica *replica, const struct batch_shape *shape,
                           int64_t stall_fx);

/* Nobody was ready, or nobody fits: true when this takes a place, false when the engine
 * waits for its oldest batch. */
bool pipeline_pass(struct replica *replica);
/* Drops empty places in front of the queue. */
void pipeline_drop_empty(struct replica *replica);

#endif
