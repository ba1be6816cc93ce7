/* SPDX-License-Identifier: Apache-2.0
 *
 * pairs.c: sums in index order; the correlation is GSL's.
 */
#include "stats/pairs.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdbool.h>

double pairs_mape(const double *truth, const double *guess, size_t count)
{
    double sum = 0.0;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (truth[i] > 0.0) {
            sum += fabs(guess[i] - truth[i]) / truth[i];
            used++;
        }
    }
    return used == 0 ? (double)NAN : sum / (double)used;
}

double pairs_mean_abs_error(const double *truth, const double *guess, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += fabs(guess[i] - truth[i]);
    }
    return count == 0 ? (double)NAN : sum / (double)count;
}

static bool is_constant(const double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (values[i] < values[0] || values[i] > values[0]) {
            return false;
        }
    }
    return true;
}

double pairs_correlation(const double *truth, const double *guess, size_t count)
{
    if (count < 2 || is_constant(truth, count) || is_constant(guess, count)) {
        return (double)NAN;
    }
    return gsl_stats_correlation(truth, 1, guess, 1, count);
}
