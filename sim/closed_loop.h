/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_loop.h: a load test with a fixed number of users on one engine: each sends its
 * next request the moment its last one has ended. Two schedulers: vLLM's
 * (sim/replica.h), and prompts before decodes (sim/prefill_first.h).
 */
#ifndef STACKSIM_SIM_CLOSED_LOOP_H
#define STACKSIM_SIM_CLOSED_LOOP_H

#include "sim/cost.h"
#include "sim/engine_config.h"

#include <stdint.h>

struct closed_loop {
    const struct engine_config *engine;
    const struct cost *cost;
    uint32_t kv_blocks;         /* null block included */
    bool prefill_first;         /* SGLang's scheduler instead of vLLM's */
    uint32_t users;             /* >= 1: requests in flight, all from time 0 on */
    uint32_t requests_per_user; /* >= 1 measured ones */
    uint32_t warmup_per_user;   /* that come before them and do not count */
    uint32_t prompt_tokens;     /* >= 1; both together fit max_model_len */
    uint32_t output_tokens;     /* >= 1 */
    double jitter; /* lengths are uniform in [1 - jitter, 1] of these; [0, 1) */
    uint64_t seed;
};

/* Over the measured requests. */
struct closed_loop_result {
    uint64_t requests;
    double ttft_mean_s; /* from sending to the first token */
    double ttft_median_s;
    double tpot_mean_s; /* 0 when no request has a second token */
    double tpot_median_s;
    uint64_t preemptions; /* of the whole loop */
};

void closed_loop_run(struct closed_loop_result *result, const struct closed_loop *loop);

#endif
