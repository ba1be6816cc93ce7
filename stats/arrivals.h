/* SPDX-License-Identifier: Apache-2.0
 *
 * arrivals.h: how bursty a stream of arrivals is, in constant memory.
 *
 * The coefficient of variation of the gaps says what happens from one arrival to the
 * next; the dispersion of counts (variance over mean per window) says how the rate
 * wanders over longer times, and queues feel the latter. A Poisson stream has 1 for
 * both, at every window.
 */
#ifndef STACKSIM_STATS_ARRIVALS_H
#define STACKSIM_STATS_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

struct arrivals;

enum { ARRIVALS_WINDOWS_MAX = 8 };

/* Windows begin at the first arrival; only whole windows count. */
struct arrivals *arrivals_new(const int64_t *window_ns, size_t window_count);
void arrivals_delete(struct arrivals *arrivals);

/* Times must not fall. */
void arrivals_add(struct arrivals *arrivals, int64_t time_ns);

/* NaN below two gaps, or when all gaps are zero. */
double arrivals_gap_cv(const struct arrivals *arrivals);
/* Of window i, with the variance of the population; NaN below two whole windows. */
double arrivals_dispersion(const struct arrivals *arrivals, size_t window);

#endif
