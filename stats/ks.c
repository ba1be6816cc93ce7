/* SPDX-License-Identifier: Apache-2.0
 *
 * ks.c: distances between samples, by sorting copies.
 */
#include "stats/ks.h"

#include "base/mem.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <string.h>

static double *sorted_copy(const double *values, size_t count)
{
    double *const copy = mem_alloc(count, sizeof(*copy));
    memcpy(copy, values, count * sizeof(*copy));
    gsl_sort(copy, 1, count);
    return copy;
}

double ks_distance(const double *a, size_t a_count, const double *b, size_t b_count)
{
    if (a_count == 0 || b_count == 0) {
        return (double)NAN;
    }
    double *const left = sorted_copy(a, a_count);
    double *const right = sorted_copy(b, b_count);
    double distance = 0;
    size_t i = 0;
    size_t j = 0;
    while (i < a_count && j < b_count) {
        /* Step over all equal values at once, or ties would count as distance. */
        const double at = left[i] < right[j] ? left[i] : right[j];
        while (i < a_count && left[i] <= at) {
            i++;
        }
        while (j < b_count && right[j] <= at) {
            j++;
        }
        const double gap =
            fabs((double)i / (double)a_count - (double)j / (double)b_count);
        distance = gap > distance ? gap : distance;
    }
    mem_free(left);
    mem_free(right);
    return distance;
}

double ks_level_5(size_t a_count, size_t b_count)
{
    const double a = (double)a_count;
    const double b = (double)b_count;
    return 1.358 * sqrt((a + b) / (a * b));
}

double ks_spearman(const double *a, const double *b, size_t count)
{
    if (count < 2) {
        return (double)NAN;
    }
    double *const work = mem_alloc(2 * count, sizeof(*work));
    const double rho = gsl_stats_spearman(a, 1, b, 1, count, work);
    mem_free(work);
    return rho;
}
