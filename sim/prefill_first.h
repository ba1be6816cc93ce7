/* SPDX-License-Identifier: Apache-2.0
 *
 * prefill_first.h: an engine that never mixes: while prompts wait it computes prompts
 * alone, and decodes stand still; then all decode together. SGLang's default (no
 * --enable-mixed-chunk), for measured loads of that backend.
 *
 * A step of prompts takes them in order of arrival up to max_num_batched_tokens
 * (chunked_prefill_size there), the last one in part. A prompt starts when the KV cache
 * holds it with its whole output, so nobody is preempted. No prefix cache, no second
 * step formed ahead.
 */
#ifndef STACKSIM_SIM_PREFILL_FIRST_H
#define STACKSIM_SIM_PREFILL_FIRST_H

#include "sim/replica.h"

struct prefill_first;

/* Reads engine, cost, kv_blocks and events of the setup, which it borrows. */
struct prefill_first *prefill_first_new(const struct replica_setup *setup);
void prefill_first_delete(struct prefill_first *engine);

/* As replica_submit, replica_next_ns and replica_step_done. */
void prefill_first_submit(struct prefill_first *engine, struct request *request,
                          int64_t now_ns);
int64_t prefill_first_next_ns(const struct prefill_first *engine);
void prefill_first_step_done(struct prefill_first *engine);

#endif
