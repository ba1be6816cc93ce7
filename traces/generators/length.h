/* SPDX-License-Identifier: Apache-2.0
 *
 * length.h: distributions as configurations name them, and token counts drawn from
 * them.
 */
#ifndef STACKSIM_TRACES_GENERATORS_LENGTH_H
#define STACKSIM_TRACES_GENERATORS_LENGTH_H

#include "base/conf.h"
#include "stats/dist.h"

#include <stdint.h>

/* A distribution, clamped to whole tokens in [min, max]. */
struct length {
    struct dist *dist;
    uint32_t min;
    uint32_t max;
    uint64_t drawn;
    uint64_t clamped; /* of them */
};

enum { LENGTH_MAX = 1 << 28 };

/* Reads a distribution: a bare number, or a map with `kind` and its parameters, or
 * `preset` (docs/workloads.md). The node must exist. */
NODISCARD bool length_open_dist(struct dist **out, const struct conf_node *node,
                                struct err *err);
/* The same with `min` (default 1) and `max` tokens. */
NODISCARD bool length_open(struct length *out, const struct conf_node *node,
                           struct err *err);
/* Of a fitted table by name, e.g. "moon-conv-first"; false: no such name. */
NODISCARD bool length_preset(struct dist **out, const char *name, struct err *err);
void length_close(struct length *length);

/* Rounds half to even, then clamps. */
uint32_t length_draw(struct length *length, struct rng *rng);
/* At rank p in (0, 1); wants dist_has_quantile. */
uint32_t length_at_rank(struct length *length, double p);

#endif
