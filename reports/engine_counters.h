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
    X(ACCEPTED_TOKENS, "accepted_tokens", "drafts that were right")                    \
    X(CPU_HIT_TOKENS, "cpu_hit_tokens", "loaded from this tier instead of computed")   \
    X(CPU_LOAD_BYTES, "cpu_load_bytes", "read from it")                                \
    X(CPU_LOAD_NS, "cpu_load_ns", "requests waited for it")                            \
    X(CPU_SAVE_BYTES, "cpu_save_bytes", "written to it")                               \
    X(CPU_EVICTIONS, "cpu_evictions", "chunks that left it")                           \
    X(DISK_HIT_TOKENS, "disk_hit_tokens", "loaded from this tier instead of computed") \
    X(DISK_LOAD_BYTES, "disk_load_bytes", "read from it")                              \
    X(DISK_LOAD_NS, "disk_load_ns", "requests waited for it")                          \
    X(DISK_SAVE_BYTES, "disk_save_bytes", "written to it")                             \
    X(DISK_EVICTIONS, "disk_evictions", "chunks that left it")                         \
    X(REMOTE_HIT_TOKENS, "remote_hit_tokens",                                          \
      "loaded from this tier instead of computed")                                     \
    X(REMOTE_LOAD_BYTES, "remote_load_bytes", "read from it")                          \
    X(REMOTE_LOAD_NS, "remote_load_ns", "requests waited for it")                      \
    X(REMOTE_EVICTIONS, "remote_evictions", "chunks that left it")                     \
    X(REMOTE_SAVE_BYTES, "remote_save_bytes", "written to it")                         \
    X(TIER_QUERY_TOKENS, "tier_query_tokens", "looked up in tiers")                    \
    X(TIER_DROPPED_CHUNKS, "tier_dropped_chunks", "not saved for want of room")        \
    X(TIER_STALL_NS, "tier_stall_ns", "the engine stood still for tiers")              \
    X(PIPELINE_BUBBLE_NS, "pipeline_bubble_ns",                                        \
      "stages stood still while another one worked, summed over stages")               \
    X(STAGE_0_BUSY_NS, "stage_0_busy_ns", "this pipeline stage worked")                \
    X(STAGE_1_BUSY_NS, "stage_1_busy_ns", "this pipeline stage worked")                \
    X(STAGE_2_BUSY_NS, "stage_2_busy_ns", "this pipeline stage worked")                \
    X(STAGE_3_BUSY_NS, "stage_3_busy_ns", "this pipeline stage worked")                \
    X(STAGE_4_BUSY_NS, "stage_4_busy_ns", "this pipeline stage worked")                \
    X(STAGE_5_BUSY_NS, "stage_5_busy_ns", "this pipeline stage worked")                \
    X(STAGE_6_BUSY_NS, "stage_6_busy_ns", "this pipeline stage worked")                \
    X(STAGE_7_BUSY_NS, "stage_7_busy_ns", "this pipeline stage worked")                \
    X(STAGE_8_BUSY_NS, "stage_8_busy_ns", "this pipeline stage worked")                \
    X(STAGE_9_BUSY_NS, "stage_9_busy_ns", "this pipeline stage worked")                \
    X(STAGE_10_BUSY_NS, "stage_10_busy_ns", "this pipeline stage worked")              \
    X(STAGE_11_BUSY_NS, "stage_11_busy_ns", "this pipeline stage worked")              \
    X(STAGE_12_BUSY_NS, "stage_12_busy_ns", "this pipeline stage worked")              \
    X(STAGE_13_BUSY_NS, "stage_13_busy_ns", "this pipeline stage worked")              \
    X(STAGE_14_BUSY_NS, "stage_14_busy_ns", "this pipeline stage worked")              \
    X(STAGE_15_BUSY_NS, "stage_15_busy_ns", "this pipeline stage worked")

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
