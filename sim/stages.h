/* SPDX-License-Identifier: Apache-2.0
 *
 * stages.h: the pipeline of one engine whose layers are dealt out over stages (vLLM's
 * pipeline_parallel_size; spec/vllm-engine.md 4.1).
 *
 * Up to as many batches as there are stages are under way. Stage s starts on batch b
 * when it has ended b - 1 and the activations of b have come from stage s - 1. Nothing
 * balances batches: who is ready goes into the next one, and a stage that nobody has
 * work for stands still. All times are known when a batch is formed, so that a batch is
 * to the engine one step, whose length is the time from the end of the one before.
 */
#ifndef STACKSIM_SIM_STAGES_H
#define STACKSIM_SIM_STAGES_H

#include "sim/parallel.h"

#include <stdbool.h>
#include <stdint.h>

enum { STAGES_UNDER_WAY_MAX = PARALLEL_STAGES_MAX + 1 };

/* Times in 2^-16 ns from one instant on, which stages_end moves to the end of the batch
 * that has ended. */
struct stages {
    uint32_t count;
    uint32_t under_way;
    int64_t
        free_fx[PARALLEL_STAGES_MAX]; /* when the stage has ended all it was given */
    int64_t end_fx[STAGES_UNDER_WAY_MAX]; /* of batches under way, the oldest first */
    int64_t work_fx[STAGES_UNDER_WAY_MAX][PARALLEL_STAGES_MAX];
    /* Of batches that have ended. */
    int64_t busy_ns[PARALLEL_STAGES_MAX];
    int64_t busy_rest[PARALLEL_STAGES_MAX]; /* and 2^-16 ns beyond them */
};

/* The pipeline was empty and begins anew at this instant. */
void stages_wake(struct stages *stages);

/* A batch is formed at this instant. work: on each stage; send: after each, to the next
 * one. At most `count` batches are in stages: the one more that may be formed ahead
 * starts when the oldest has ended. Returns how long after the end of the batch before
 * (or after this instant) it ends. */
int64_t stages_add(struct stages *stages, const int64_t *work_fx,
                   const int64_t *send_fx);
/* A place in the queue of batches that nobody was ready to take. */
void stages_add_empty(struct stages *stages);

/* The oldest batch has ended: this instant. */
void stages_end(struct stages *stages);

#endif
