/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_engine.h: a vLLM server without a GPU: its HTTP API in front of the simulator's
 * engine, in real time.
 */
#ifndef STACKSIM_CLI_LIVE_MOCK_ENGINE_H
#define STACKSIM_CLI_LIVE_MOCK_ENGINE_H

#include "base/err.h"

#include <stdint.h>

struct scenario_pool;
struct mock_engine;

struct mock_engine_setup {
    const struct scenario_pool *pool; /* borrowed for ever */
    const char *host;
    uint16_t port;          /* 0 = any free one */
    const char *model;      /* served name, no quotes or backslashes */
    double time_scale;      /* engine time runs this many times as fast; > 0 */
    uint32_t answer_tokens; /* of answers that end by themselves */
    bool flat_errors;       /* as vLLM up to 0.10.0 */
    double kv_bytes_per_s;  /* at which KV comes from other engines; > 0 */
    const char *kv_events;  /* endpoint where they are published, or NULL */
};

/* Listens when it returns true. */
NODISCARD bool mock_engine_new(struct mock_engine **out,
                               const struct mock_engine_setup *setup, struct err *err);
void mock_engine_delete(struct mock_engine *mock);
uint16_t mock_engine_port(const struct mock_engine *mock);
/* A short while of serving; ask again. */
NODISCARD bool mock_engine_turn(struct mock_engine *mock, struct err *err);

#endif
