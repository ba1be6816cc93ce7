/* SPDX-License-Identifier: Apache-2.0
 *
 * pairs.h: how well one list of numbers follows another, item by item.
 */
#ifndef STACKSIM_STATS_PAIRS_H
#define STACKSIM_STATS_PAIRS_H

#include <stddef.h>

/* Mean of |guess - truth| / truth, over the pairs whose truth is above 0; NaN when
 * there are none. */
double pairs_mape(const double *truth, const double *guess, size_t count);

/* Mean of |guess - truth|; NaN when count is 0. */
double pairs_mean_abs_error(const double *truth, const double *guess, size_t count);

/* Pearson's r; NaN with fewer than two pairs or when one side is constant. */
double pairs_correlation(const double *truth, const double *guess, size_t count);

#endif
