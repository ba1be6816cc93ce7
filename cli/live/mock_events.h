/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_events.h: publishes what a mock engine's prefix cache stores and forgets, as
 * vLLM does (spec/vllm-engine.md 2.5): over ZeroMQ, one batch for a step, in
 * MessagePack, with the token ids of every stored block.
 */
#ifndef STACKSIM_CLI_LIVE_MOCK_EVENTS_H
#define STACKSIM_CLI_LIVE_MOCK_EVENTS_H

#include "base/err.h"
#include "cli/live/prompt_blocks.h"
#include "sim/kvpool.h"

struct mock_events;

/* endpoint: tcp://HOST:PORT or ipc://PATH, bound. */
NODISCARD bool mock_events_new(struct mock_events **out, const char *endpoint,
                               uint32_t block_tokens, struct err *err);
void mock_events_delete(struct mock_events *events);
/* Where ids of blocks are known; needed before the first change. */
void mock_events_ids(struct mock_events *events, const struct prompt_blocks *blocks);
/* To be given to the engine. */
const struct kv_listener *mock_events_listener(const struct mock_events *events);
/* Sends what has changed since the last call, if anything has. Until somebody has
 * subscribed changes are kept, 32 MB of them: a subscriber that comes late would know
 * no beginning of any prompt (vLLM has its replay endpoint for that). */
void mock_events_flush(struct mock_events *events, double unix_s);

#endif
