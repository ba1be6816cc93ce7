/* SPDX-License-Identifier: Apache-2.0
 *
 * speculation.h: decoding with drafts (spec/vllm-engine.md 7).
 *
 * A decoding request is scheduled for one token and its drafts; a step gives it as many
 * tokens as drafts were right, and one more. The simulator draws that number when it
 * forms the step, from a stream of its own: whether the draft at an output position is
 * right depends on the request and the position alone. The scheduler must not know it
 * before the step ends: under asynchronous scheduling it forms the next step as if all
 * drafts were right, which costs blocks, and a place in the batch for requests that
 * have ended by then.
 *
 * No two steps of a batch are alike, so there are no decode runs: every step is formed.
 * The functions are called only where engine.speculation.tokens > 0.
 */
#ifndef STACKSIM_SIM_SPECULATION_H
#define STACKSIM_SIM_SPECULATION_H

#include "sim/forming.h"

/* Drafts of `drafts` that are right, for the request's tokens from output position
 * `produced` on. key: speculation_key. */
uint32_t speculation_draw(const struct speculation_config *config, uint64_t key,
                          uint64_t record_id, uint32_t produced, uint32_t drafts);
uint64_t speculation_key(uint64_t seed);

/* Tokens that a running request is scheduled for; 0: none of this step's. */
uint32_t speculation_wanted(const struct replica *replica,
                            const struct request *request, uint32_t budget);
/* Blocks that it lacks for so many tokens and the drafts after them. */
uint32_t speculation_need(const struct replica *replica, const struct request *request,
                          uint32_t tokens);
/* It has got them. */
void speculation_take(struct replica *replica, struct request *request,
                      uint32_t tokens);
/* There is budget left, so whoever decodes and was not scheduled had no room for more
 * drafts before max_model_len: its adapter keeps its slot, for it will be back. (vLLM
 * forgets it and may then meet one adapter more than it has slots.) */
void speculation_keep_slots(struct replica *replica);
/* Phase 1 is over: what was scheduled, in step_tokens, becomes part of the step. */
void speculation_commit(struct replica *replica, struct forming *forming);
/* Nobody who decodes was scheduled for the step. */
void speculation_skip(struct replica *replica);
/* A prompt ends in the step that is being formed. */
void speculation_first_token(struct replica *replica, struct request *request);

/* Output tokens of it that are in steps after `ended`. */
uint32_t speculation_flying(const struct request *request, uint64_t ended);
/* As for running.c: tokens whose blocks others may find. */
uint32_t speculation_registrable(const struct replica *replica,
                                 const struct request *request);

/* The drafter's time in the step, 2^-16 ns. */
int64_t speculation_extra_fx(const struct replica *replica,
                             const struct forming *forming);

#endif
