/* SPDX-License-Identifier: Apache-2.0
 *
 * naive_adapters.h: what naive_engine.h does about LoRA adapters: two lists in order of
 * use, longest ago first, as spec/vllm-engine.md 3.2 tells it. Adapters are named "a0",
 * "a1", ...
 */
#ifndef STACKSIM_TESTS_PROP_NAIVE_ADAPTERS_H
#define STACKSIM_TESTS_PROP_NAIVE_ADAPTERS_H

#include "sim/adapters.h"
#include "sim/cost.h"
#include "traces/record.h"

#include <math.h>
#include <stdlib.h>

enum { NAIVE_ADAPTERS = 8 };

struct naive_adapters {
    const struct adapter_costs *costs; /* NULL: none */
    uint32_t gpu[NAIVE_ADAPTERS];
    uint32_t gpu_count;
    uint32_t host[NAIVE_ADAPTERS];
    uint32_t host_count;
    bool fetched[NAIVE_ADAPTERS];
    uint64_t loads;
    int64_t stall_ns;
};

/* Tokens of each adapter in a step. */
struct naive_mix {
    uint32_t tokens[NAIVE_ADAPTERS];
    bool in[NAIVE_ADAPTERS];
};

static inline uint32_t naive_adapter(const struct trace_record *record)
{
    return record->adapter == NULL ? ADAPTER_NONE
                                   : (uint32_t)strtoul(record->adapter + 1, NULL, 10);
}

static inline void naive_mix_add(struct naive_mix *mix,
                                 const struct trace_record *record, uint32_t tokens)
{
    if (record->adapter != NULL) {
        mix->tokens[naive_adapter(record)] += tokens;
        mix->in[naive_adapter(record)] = true;
    }
}

static inline bool naive_slot_free(const struct naive_mix *mix,
                                   const struct trace_record *record,
                                   uint32_t max_loras)
{
    uint32_t distinct = 0;
    if (record->adapter == NULL || mix->in[naive_adapter(record)]) {
        return true;
    }
    for (uint32_t i = 0; i < NAIVE_ADAPTERS; i++) {
        distinct += mix->in[i] ? 1 : 0;
    }
    return distinct < max_loras;
}

static inline bool naive_within(const uint32_t *list, uint32_t count, uint32_t adapter)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == adapter) {
            return true;
        }
    }
    return false;
}

static inline void naive_out(uint32_t *list, uint32_t *count, uint32_t adapter)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (list[i] != adapter) {
            list[kept++] = list[i];
        }
    }
    *count = kept;
}

/* Makes room for one more: who was used longest ago goes, but nobody of the mix. */
static inline uint32_t naive_room(uint32_t *list, uint32_t *count, uint32_t capacity,
                                  const struct naive_mix *mix)
{
    for (uint32_t i = 0; *count == capacity && i < *count; i++) {
        const uint32_t oldest = list[i];
        if (!mix->in[oldest]) {
            naive_out(list, count, oldest);
            return oldest;
        }
    }
    return ADAPTER_NONE;
}

static inline void naive_use(uint32_t *list, uint32_t *count, uint32_t adapter)
{
    if (naive_within(list, *count, adapter)) {
        naive_out(list, count, adapter);
        list[(*count)++] = adapter;
    }
}

static inline int64_t naive_load(struct naive_adapters *all,
                                 const struct lora_config *lora,
                                 const struct naive_mix *mix, uint32_t adapter)
{
    const struct adapter_cost *cost = &all->costs->adapter[adapter];
    int64_t time_ns = cost->warm_ns;
    if (!naive_within(all->host, all->host_count, adapter)) {
        const uint32_t gone =
            naive_room(all->host, &all->host_count, lora->max_cpu_loras, mix);
        naive_out(all->gpu, &all->gpu_count, gone);
        all->host[all->host_count++] = adapter;
        time_ns = cost->read_ns + cost->copy_ns;
        time_ns += all->fetched[adapter] ? 0 : cost->fetch_ns;
        all->fetched[adapter] = true;
    }
    (void)naive_room(all->gpu, &all->gpu_count, lora->max_loras, mix);
    all->gpu[all->gpu_count++] = adapter;
    all->loads++;
    all->stall_ns += time_ns;
    return time_ns;
}

static inline int64_t naive_activate(struct naive_adapters *all,
                                     const struct lora_config *lora,
                                     const struct naive_mix *mix)
{
    int64_t stall_ns = 0;
    for (uint32_t i = 0; i < NAIVE_ADAPTERS; i++) {
        if (mix->in[i] && !naive_within(all->gpu, all->gpu_count, i)) {
            stall_ns += naive_load(all, lora, mix, i);
        }
    }
    for (uint32_t i = 0; i < NAIVE_ADAPTERS; i++) {
        if (mix->in[i]) {
            naive_use(all->gpu, &all->gpu_count, i);
            naive_use(all->host, &all->host_count, i);
        }
    }
    return stall_ns;
}

static inline int64_t naive_extra_fx(const struct naive_adapters *all,
                                     const struct naive_mix *mix)
{
    uint64_t bytes = 0;
    uint64_t work = 0;
    for (uint32_t i = 0; i < NAIVE_ADAPTERS; i++) {
        if (mix->in[i]) {
            bytes += all->costs->adapter[i].gpu_bytes;
            work += (uint64_t)mix->tokens[i] * all->costs->adapter[i].rank;
        }
    }
    if (bytes == 0) {
        return 0;
    }
    const double seconds =
        all->costs->launch_s + fmax(all->costs->byte_s * (double)bytes,
                                    all->costs->rank_token_s * (double)work);
    return llround(seconds * 1e9 * COST_FX_PER_NS);
}

#endif
