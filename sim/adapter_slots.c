/* SPDX-License-Identifier: Apache-2.0
 *
 * adapter_slots.c: two short lists searched from end to end: slots are few, and they
 * are looked through only when something has to be loaded.
 *
 * A decode run is one formed step for many: all of them use the same adapters, so that
 * the order of use is the same as if each had been formed.
 */
#include "sim/adapter_slots.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/cost/fx.h"

#include <math.h>

struct place {
    uint64_t used;     /* number of the step that used it last; 0 = none */
    uint64_t step;     /* number of the step that it is in */
    uint32_t decoding; /* requests that decode with it */
    uint32_t decoding_at;
    bool on_gpu;
    bool in_host;
    bool on_disk; /* of the engine, where its source is remote */
};

/* Adapters at one level. */
struct level {
    uint32_t *adapters;
    uint32_t count;
    uint32_t capacity;
};

struct adapter_slots {
    const struct adapter_costs *costs;
    struct place *place; /* by adapter */
    struct level gpu;
    struct level host;
    uint32_t *decoding; /* adapters with requests that decode, in no order */
    uint32_t decoding_count;
    uint64_t number; /* of the step being formed */
    uint32_t *step;  /* its adapters, in no order */
    uint32_t step_count;
    uint64_t step_rank_tokens;
};

struct adapter_slots *adapter_slots_new(const struct lora_config *lora,
                                        const struct adapter_costs *costs)
{
    struct adapter_slots *slots = mem_alloc(1, sizeof(*slots));
    slots->costs = costs;
    slots->place = mem_alloc(costs->count, sizeof *slots->place);
    slots->gpu.capacity = lora->max_loras;
    slots->host.capacity = lora->max_cpu_loras;
    slots->gpu.adapters = mem_alloc(lora->max_loras, sizeof(uint32_t));
    slots->host.adapters = mem_alloc(lora->max_cpu_loras, sizeof(uint32_t));
    slots->decoding = mem_alloc(costs->count, sizeof(uint32_t));
    slots->step = mem_alloc(lora->max_loras, sizeof(uint32_t));
    slots->number = 1;
    return slots;
}

void adapter_slots_delete(struct adapter_slots *slots)
{
    if (slots != NULL) {
        mem_free(slots->place);
        mem_free(slots->gpu.adapters);
        mem_free(slots->host.adapters);
        mem_free(slots->decoding);
        mem_free(slots->step);
        mem_free(slots);
    }
}

static struct place *place_of(const struct adapter_slots *slots, uint32_t adapter)
{
    CHECK(adapter < slots->costs->count, "adapter %u of %u", adapter,
          slots->costs->count);
    return &slots->place[adapter];
}

/* ---- levels ---------------------------------------------------------------------- */

static void level_remove(struct level *level, uint32_t adapter)
{
    uint32_t at = 0;
    while (level->adapters[at] != adapter) {
        at++;
    }
    level->adapters[at] = level->adapters[--level->count];
}

/* Used longest ago, and not in the step. */
static uint32_t level_oldest(const struct adapter_slots *slots,
                             const struct level *level)
{
    uint32_t oldest = ADAPTER_NONE;
    for (uint32_t i = 0; i < level->count; i++) {
        const uint32_t adapter = level->adapters[i];
        const uint64_t used = slots->place[adapter].used;
        if (used == slots->number) {
            continue;
        }
        if (oldest == ADAPTER_NONE || used < slots->place[oldest].used ||
            (used == slots->place[oldest].used && adapter < oldest)) {
            oldest = adapter;
        }
    }
    CHECK(oldest != ADAPTER_NONE, "a step has more adapters than there are slots");
    return oldest;
}

static void gpu_evict(struct adapter_slots *slots, uint32_t adapter)
{
    slots->place[adapter].on_gpu = false;
    level_remove(&slots->gpu, adapter);
}

static void host_enter(struct adapter_slots *slots, uint32_t adapter)
{
    if (slots->host.count == slots->host.capacity) {
        const uint32_t oldest = level_oldest(slots, &slots->host);
        slots->place[oldest].in_host = false;
        level_remove(&slots->host, oldest);
        if (slots->place[oldest].on_gpu) {
            gpu_evict(slots, oldest);
        }
    }
    slots->host.adapters[slots->host.count++] = adapter;
    slots->place[adapter].in_host = true;
}

static void gpu_enter(struct adapter_slots *slots, uint32_t adapter)
{
    if (slots->gpu.count == slots->gpu.capacity) {
        gpu_evict(slots, level_oldest(slots, &slots->gpu));
    }
    slots->gpu.adapters[slots->gpu.count++] = adapter;
    slots->place[adapter].on_gpu = true;
}

/* It is marked as used. Returns what that took. */
static int64_t load_ns(struct adapter_slots *slots, uint32_t adapter, bool *cold)
{
    const struct adapter_cost *cost = &slots->costs->adapter[adapter];
    struct place *place = &slots->place[adapter];
    int64_t time_ns = cost->warm_ns;
    *cold = !place->in_host;
    if (*cold) {
        time_ns = (place->on_disk ? 0 : cost->fetch_ns) + cost->read_ns + cost->copy_ns;
        place->on_disk = true;
        host_enter(slots, adapter);
    }
    gpu_enter(slots, adapter);
    return time_ns;
}

void adapter_slots_preload(struct adapter_slots *slots, uint32_t adapter)
{
    bool cold = false;
    slots->number++;
    place_of(slots, adapter)->used = slots->number;
    if (!slots->place[adapter].on_gpu) {
        (void)load_ns(slots, adapter, &cold);
    }
}

/* ---- those that decode ------------------------------------------------------------
 */

void adapter_slots_join(struct adapter_slots *slots, uint32_t adapter)
{
    struct place *place = place_of(slots, adapter);
    if (place->decoding++ == 0) {
        place->decoding_at = slots->decoding_count;
        slots->decoding[slots->decoding_count++] = adapter;
    }
}

void adapter_slots_leave(struct adapter_slots *slots, uint32_t adapter)
{
    struct place *place = place_of(slots, adapter);
    CHECK(place->decoding > 0, "nobody decodes with adapter %u", adapter);
    if (--place->decoding == 0) {
        const uint32_t last = slots->decoding[--slots->decoding_count];
        slots->decoding[place->decoding_at] = last;
        slots->place[last].decoding_at = place->decoding_at;
    }
}

/* ---- the step -------------------------------------------------------------------- */

void adapter_step_begin(struct adapter_slots *slots)
{
    slots->number++;
    slots->step_count = 0;
    slots->step_rank_tokens = 0;
}

void adapter_step_add(struct adapter_slots *slots, uint32_t adapter, uint32_t tokens)
{
    struct place *place = place_of(slots, adapter);
    if (place->step != slots->number) {
        CHECK(slots->step_count < slots->gpu.capacity,
              "a step has more than %u adapters", slots->gpu.capacity);
        place->step = slots->number;
        slots->step[slots->step_count++] = adapter;
    }
    slots->step_rank_tokens += (uint64_t)tokens * slots->costs->adapter[adapter].rank;
}

void adapter_step_add_decodes(struct adapter_slots *slots)
{
    for (uint32_t i = 0; i < slots->decoding_count; i++) {
        const uint32_t adapter = slots->decoding[i];
        adapter_step_add(slots, adapter, slots->place[adapter].decoding);
    }
}

bool adapter_step_admits(const struct adapter_slots *slots, uint32_t adapter)
{
    return slots->step_count < slots->gpu.capacity ||
           place_of(slots, adapter)->step == slots->number;
}

/* Insertion sort: the set is small, and mostly in order already. */
static void step_sort(struct adapter_slots *slots)
{
    for (uint32_t i = 1; i < slots->step_count; i++) {
        const uint32_t adapter = slots->step[i];
        uint32_t at = i;
        for (; at > 0 && slots->step[at - 1] > adapter; at--) {
            slots->step[at] = slots->step[at - 1];
        }
        slots->step[at] = adapter;
    }
}

int64_t adapter_step_load_ns(struct adapter_slots *slots, struct adapter_stats *stats)
{
    int64_t stall_ns = 0;
    bool missing = false;
    for (uint32_t i = 0; i < slots->step_count; i++) {
        struct place *place = &slots->place[slots->step[i]];
        place->used = slots->number;
        missing = missing || !place->on_gpu;
    }
    if (!missing) {
        return 0;
    }
    step_sort(slots);
    for (uint32_t i = 0; i < slots->step_count; i++) {
        const uint32_t adapter = slots->step[i];
        if (slots->place[adapter].on_gpu) {
            continue;
        }
        bool cold = false;
        stall_ns += load_ns(slots, adapter, &cold);
        stats->loads++;
        stats->cold_loads += cold ? 1 : 0;
    }
    stats->stall_ns += stall_ns;
    return stall_ns;
}

int64_t adapter_step_extra_fx(const struct adapter_slots *slots)
{
    const struct adapter_costs *costs = slots->costs;
    uint64_t bytes = 0;
    if (slots->step_count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < slots->step_count; i++) {
        bytes += costs->adapter[slots->step[i]].gpu_bytes;
    }
    const double memory_s = costs->byte_s * (double)bytes;
    const double compute_s = costs->rank_token_s * (double)slots->step_rank_tokens;
    return cost_fx_of_s(costs->launch_s + fmax(memory_s, compute_s));
}

bool adapter_slots_on_gpu(const struct adapter_slots *slots, uint32_t adapter)
{
    return place_of(slots, adapter)->on_gpu;
}
