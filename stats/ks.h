/* SPDX-License-Identifier: Apache-2.0
 *
 * ks.h: how far two samples lie apart.
 */
#ifndef STACKSIM_STATS_KS_H
#define STACKSIM_STATS_KS_H

#include <stddef.h>

/* Two-sample Kolmogorov-Smirnov distance: the largest difference of the two empirical
 * distribution functions, in [0, 1]. Ties are exact. The samples are left as they are;
 * NaN when one is empty. */
double ks_distance(const double *a, size_t a_count, const double *b, size_t b_count);

/* The distance that two samples of one distribution exceed in 5 % of all cases. */
double ks_level_5(size_t a_count, size_t b_count);

/* Spearman's rank correlation of count pairs; NaN below two pairs. */
double ks_spearman(const double *a, const double *b, size_t count);

#endif
