/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_counters.h: what an engine counted of features that not every run has. Names
 * are stored: a feature adds its lines, and stores need no new columns.
 */
#ifndef STACKSIM_REPORTS_ENGINE_COUNTERS_H
#define STACKSIM_REPORTS_ENGINE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define ENGINE_COUNTERS(X)                                                             \
    X(ADAPTER_LOADS, "adapter_loads", "LoRA adapters loaded into a slot")              \
    X(ADAPTER_COLD_LOADS, "adapter_cold_loads", "of them not from host memory")        \
    X(ADAPTER_STALL_NS, "adapter_stall_ns", "the engine stood still for them")         \
    X(ADAPTER_ASIDES, "adapter_asides", "times a request was set aside for a slot")    \
    X(ADAPTER_ASIDE_NS, "adapter_aside_ns", "waited for one, summed over requests")    \
    X(DRAFTS, "drafts", "times a request got drafts to verify")                        \
    X(DRAFT_TOKENS, "draft_tokens", "drafts")                                          \
    X(ACCEPTED_TOKENS, "accepted_tokens", "drafts that were right")

enum engine_counter {
#define X(id, name, help) COUNTER_##id,
    ENGINE_COUNTERS(X)
#undef X
        ENGINE_COUNTER_COUNT
};

const char *engine_counter_name(enum engine_counter counter);
/* ENGINE_COUNTER_COUNT: nobody counts that. */
enum engine_counter engine_counter_find(const char *name);

#endif
