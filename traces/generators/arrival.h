/* SPDX-License-Identifier: Apache-2.0
 *
 * arrival.h: when requests or sessions of a population arrive (spec/traces.md 4.1).
 */
#ifndef STACKSIM_TRACES_GENERATORS_ARRIVAL_H
#define STACKSIM_TRACES_GENERATORS_ARRIVAL_H

#include "base/conf.h"
#include "base/rng.h"
#include "base/text.h"

#include <stdint.h>

struct arrival;

#define ARRIVAL_NEVER INT64_MAX

/* Reads an `arrival:` map (docs/workloads.md). Times begin at start_ns, which may be
 * negative: a warm-up before time 0. */
NODISCARD bool arrival_open(struct arrival **out, const struct conf_node *map,
                            int64_t start_ns, struct err *err);
/* The rate rate_per_s + slope_per_s2 * t of a Poisson stream, without a map. */
NODISCARD bool arrival_open_linear(struct arrival **out, double rate_per_s,
                                   double slope_per_s2, int64_t start_ns,
                                   struct err *err);
void arrival_close(struct arrival *arrival); /* NULL is legal */

/* The next time; never falls. ARRIVAL_NEVER: the rate has come to an end. */
int64_t arrival_next(struct arrival *arrival, struct rng *rng);

/* Appends a few words: "poisson 448/s". */
void arrival_describe(const struct arrival *arrival, struct text *out);

#endif
