/* SPDX-License-Identifier: Apache-2.0
 *
 * load.c: the largest is tracked by a histogram of levels: since levels change by one,
 * the largest does too, and no engine is ever searched.
 */
#include "sim/load.h"

#include "base/check.h"
#include "base/mem.h"

void load_init(struct load *load, uint32_t engines)
{
    *load = (struct load){.engines = engines, .levels = 1024};
    load->inflight = mem_alloc(engines, sizeof(uint32_t));
    load->engines_at = mem_alloc(load->levels, sizeof(uint32_t));
    load->engines_at[0] = engines;
}

void load_fini(struct load *load)
{
    mem_free(load->inflight);
    mem_free(load->engines_at);
    *load = (struct load){0};
}

static void account(struct load *load, int64_t now_ns)
{
    const int64_t span_ns = now_ns - load->changed_ns;
    if (load->total > 0 && span_ns != 0) { /* waves come in one instant */
        CHECK(span_ns >= 0, "INV-3: the clock goes back by %lld ns",
              (long long)-span_ns);
        const double mean = (double)load->total / (double)load->engines;
        load->weighted_ns += (double)span_ns * ((double)load->largest / mean);
        load->busy_ns += span_ns;
    }
    load->changed_ns = now_ns;
}

void load_add(struct load *load, uint32_t engine, int64_t now_ns)
{
    account(load, now_ns);
    const uint32_t level = load->inflight[engine]++;
    if (level + 1 == load->levels) {
        load->engines_at =
            mem_resize(load->engines_at, 2 * (size_t)load->levels, sizeof(uint32_t));
        for (uint32_t i = load->levels; i < 2 * load->levels; i++) {
            load->engines_at[i] = 0;
        }
        load->levels *= 2;
    }
    load->engines_at[level]--;
    load->engines_at[level + 1]++;
    load->largest = level + 1 > load->largest ? level + 1 : load->largest;
    load->total++;
}

void load_remove(struct load *load, uint32_t engine, int64_t now_ns)
{
    account(load, now_ns);
    CHECK(load->inflight[engine] > 0, "engine %u has nothing in flight", engine);
    const uint32_t level = load->inflight[engine]--;
    load->engines_at[level]--;
    load->engines_at[level - 1]++;
    if (level == load->largest && load->engines_at[level] == 0) {
        load->largest--;
    }
    load->total--;
}

void load_set_engines(struct load *load, uint32_t engines, int64_t now_ns)
{
    account(load, now_ns);
    load->engines = engines > 0 ? engines : 1;
}

double load_imbalance(const struct load *load)
{
    return load->busy_ns == 0 ? 0.0 : load->weighted_ns / (double)load->busy_ns;
}
