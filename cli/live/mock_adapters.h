/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_adapters.h: LoRA adapters of a mock engine, by their names (spec/vllm-engine.md
 * 3.4).
 */
#ifndef STACKSIM_CLI_LIVE_MOCK_ADAPTERS_H
#define STACKSIM_CLI_LIVE_MOCK_ADAPTERS_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOCK_ADAPTERS_MAX = 64 };

struct mock_adapter {
    char *name; /* NULL = not loaded */
    char *path;
    uint32_t in_flight; /* requests; the place is not used again before they ended */
};
/* Zeroed: none are loaded. */
struct mock_adapters {
    struct mock_adapter places[MOCK_ADAPTERS_MAX];
};
void mock_adapters_fini(struct mock_adapters *adapters);

struct mock_adapter *mock_adapters_find(struct mock_adapters *adapters,
                                        const char *name);

/* The body of /v1/load_lora_adapter or /v1/unload_lora_adapter. Returns the HTTP status
 * and appends what is to be said. */
unsigned mock_adapters_load(struct mock_adapters *adapters, const char *body,
                            size_t byte_count, struct text *said);
/* Requests under way go on, as in vLLM: only the name goes. */
unsigned mock_adapters_unload(struct mock_adapters *adapters, const char *body,
                              size_t byte_count, struct text *said);
/* "sql,chat": those with requests under way. */
void mock_adapters_running(const struct mock_adapters *adapters, struct text *out);

#endif
