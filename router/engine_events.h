/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_events.h: the KV events of one vLLM engine, in our block hashes.
 *
 * vLLM publishes a batch for each step (spec/vllm-engine.md 2.5): [time, events, rank],
 * an event being [tag, fields ...]. Its hashes are its own and seeded; what they stand
 * for follows from the token ids that it sends along, so the reader keeps the engine's
 * hash of every block beside ours (router/request.c) until the block is removed.
 */
#ifndef STACKSIM_ROUTER_ENGINE_EVENTS_H
#define STACKSIM_ROUTER_ENGINE_EVENTS_H

#include "base/err.h"
#include "policies/policy.h"

#include <stddef.h>

struct engine_events;

struct engine_events_sink {
    void *context;
    /* Lends the event for the call. */
    void (*on_event)(void *context, const struct kv_event *event);
};

/* block_tokens: of our hashes. The engine's blocks must be a multiple. */
struct engine_events *engine_events_new(uint32_t block_tokens);
void engine_events_delete(struct engine_events *events);

struct kv_batch {
    uint64_t sequence; /* number of the engine's message */
    const char *bytes; /* MessagePack; borrowed */
    size_t byte_count;
};

/* Blocks of adapters, of other media than the GPU, and behind blocks that
 * were stored before we listened are left out (engine_events_unplaced counts those). On
 * false the rest of the batch is lost. */
NODISCARD bool engine_events_take(struct engine_events *events,
                                  const struct kv_batch *batch,
                                  const struct engine_events_sink *sink,
                                  struct err *err);
uint64_t engine_events_unplaced(const struct engine_events *events);

#endif
