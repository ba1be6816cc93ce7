/* SPDX-License-Identifier: Apache-2.0
 *
 * live_engine.h: the simulator's engine as something that runs by itself: requests in,
 * tokens out as time goes by.
 *
 * A state machine: its owner tells what time it is, in the engine's own nanoseconds,
 * and is told which tokens have appeared. Scheduling, KV blocks, prefix cache and step
 * times are those of sim/replica.h; steps are taken singly.
 */
#ifndef STACKSIM_CLI_LIVE_LIVE_ENGINE_H
#define STACKSIM_CLI_LIVE_LIVE_ENGINE_H

#include "cli/live/prompt_blocks.h"
#include "sim/observer.h"
#include "sim/replica.h"
#include "sim/scenario.h"

struct live_engine;

/* Tokens of a request that appeared at the end of one step; ended with the last ones.
 * The facts are valid during the call. */
struct live_tokens {
    int64_t now_ns;
    uint32_t tokens; /* new ones; at least 1 */
    uint32_t before; /* that appeared earlier */
    bool ended;
    const struct request *request; /* its times and its cached tokens */
};
struct live_events {
    void *context;
    void (*on_tokens)(void *context, void *owner, const struct live_tokens *tokens);
};

struct live_order {
    void *owner; /* of the tokens; not NULL */
    struct prompt_ids prompt;
    uint64_t output_id;     /* of the stream that is the answer; 0 = one of its own */
    uint32_t output_tokens; /* that it will produce, at least 1 */
    uint32_t remote_tokens; /* of the prompt, whose KV another engine has */
    int32_t priority;
};

struct live_setup {
    const struct scenario_pool *pool;
    struct live_events events;
    const struct kv_listener *listener; /* of the prefix cache, or NULL */
    double kv_bytes_per_s;              /* at which KV comes from other engines; > 0 */
};

/* What the setup points to is borrowed for ever. */
struct live_engine *live_engine_new(const struct live_setup *given);
/* The prompts that came by, with their ids if there is a listener. */
const struct prompt_blocks *live_engine_blocks(const struct live_engine *engine);
void live_engine_delete(struct live_engine *engine);

/* Prompt and output must fit the context. Returns a handle for live_engine_cancel,
 * valid until the request ended, and fills *output_id. */
uint32_t live_engine_submit(struct live_engine *engine, int64_t now_ns,
                            const struct live_order *order, uint64_t *output_id);
/* No more is heard of it. */
void live_engine_cancel(struct live_engine *engine, int64_t now_ns, uint32_t handle);
/* Everything up to now happens; times never go back. */
void live_engine_advance(struct live_engine *engine, int64_t now_ns);
/* When the next step ends or KV has come; INT64_MAX while idle. */
int64_t live_engine_next_ns(const struct live_engine *engine);

/* Gauges and totals as of the last step. */
void live_engine_peek(const struct live_engine *engine, struct engine_sample *sample);
const struct replica_stats *live_engine_stats(const struct live_engine *engine);

#endif
