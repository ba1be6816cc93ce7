/* SPDX-License-Identifier: Apache-2.0
 *
 * forming.h: a step while it is being formed, shared by step_form.c and speculation.c.
 */
#ifndef STACKSIM_SIM_FORMING_H
#define STACKSIM_SIM_FORMING_H

#include "sim/replica_state.h"

struct forming {
    int64_t now_ns;
    uint64_t step; /* its index */
    int64_t
        here_ns; /* what it loads from tiers is here; now_ns when it loads nothing */
    int64_t save_ns; /* longer by so much for what it saves to them */
    uint32_t budget;
    struct batch_shape shape;
    uint32_t samplers; /* with speculation: requests that get tokens in it */
    bool any;
};

static inline void shape_add_decode(struct batch_shape *shape, uint32_t computed)
{
    shape->decodes++;
    shape->decode_context += computed;
    shape->decode_context_max =
        computed > shape->decode_context_max ? computed : shape->decode_context_max;
}

static inline void shape_add_chunk(struct batch_shape *shape, uint32_t tokens,
                                   uint32_t before)
{
    shape->chunks++;
    shape->chunk_tokens += tokens;
    shape->chunk_context += before;
    shape->chunk_pairs_twice += (uint64_t)tokens * (2 * (uint64_t)before + tokens);
    shape->chunk_squares += (uint64_t)tokens * tokens;
    if (tokens > shape->chunk_tokens_max) {
        shape->chunk_tokens_max = tokens;
    }
}

static inline uint32_t chunk_wanted(const struct replica *replica, uint32_t tokens,
                                    uint32_t budget)
{
    const uint32_t threshold = replica->engine.long_prefill_token_threshold;
    if (threshold > 0 && tokens > threshold) {
        tokens = threshold;
    }
    return tokens < budget ? tokens : budget;
}

static inline void step_note_adapter(struct replica *replica,
                                     const struct request *request, uint32_t tokens)
{
    if (request->adapter != ADAPTER_NONE) {
        adapter_step_add(replica->adapters, request->adapter, tokens);
    }
}

#endif
