/* SPDX-License-Identifier: Apache-2.0
 *
 * outlook.h: what would become of a request that came to an engine now.
 *
 * An estimate from the engine's true state, for oracles: the rest of the steps under
 * way, all prefill that is ahead, in steps of the token budget, the wait for blocks and
 * places, then decoding in the batch that follows. Nobody else arrives. The same in
 * both modes of the engine, provided that somebody listens to its cache (kvpool.h), for
 * only then evictions are booked when they happen.
 */
#ifndef STACKSIM_SIM_OUTLOOK_H
#define STACKSIM_SIM_OUTLOOK_H

#include "sim/replica.h"

struct outlook_question {
    int64_t now_ns;
    uint32_t prompt_tokens;
    uint32_t output_tokens;       /* true ones, >= 1 */
    const struct block_run *runs; /* of the prompt */
    uint32_t run_count;
};

struct outlook {
    int64_t first_token_ns; /* from now */
    int64_t end_ns;         /* from now */
    int64_t delay_ns;       /* of all requests there, summed */
    uint32_t cached_tokens;
};

struct outlook replica_outlook(const struct replica *replica,
                               const struct outlook_question *question);

#endif
