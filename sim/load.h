/* SPDX-License-Identifier: Apache-2.0
 *
 * load.h: requests in flight per engine, and how unevenly they lie over time.
 *
 * Imbalance at one moment is the largest over the mean; it is averaged over the time in
 * which any request was in flight. 1 = perfectly even, n = all on one of n engines.
 */
#ifndef STACKSIM_SIM_LOAD_H
#define STACKSIM_SIM_LOAD_H

#include <stdint.h>

struct load {
    uint32_t engines;
    uint32_t *inflight;   /* by engine */
    uint32_t *engines_at; /* how many engines have this many in flight */
    uint32_t levels;      /* allocated length of engines_at */
    uint32_t largest;
    uint64_t total;
    int64_t changed_ns;
    int64_t busy_ns;    /* time with any request in flight */
    double weighted_ns; /* integral of imbalance over that time */
};

void load_init(struct load *load, uint32_t engines);
void load_fini(struct load *load);
void load_add(struct load *load, uint32_t engine, int64_t now_ns);
/* How many engines there are now, of those that load_init named: for the mean. */
void load_set_engines(struct load *load, uint32_t engines, int64_t now_ns);
void load_remove(struct load *load, uint32_t engine, int64_t now_ns);
/* Over the time so far; 0 when nothing was ever in flight. */
double load_imbalance(const struct load *load);

#endif
