/* SPDX-License-Identifier: Apache-2.0
 *
 * replicate.c: see the header.
 */
#include "stats/replicate.h"

#include "base/check.h"
#include "base/mem.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct interval unknown_interval(void)
{
    return (struct interval){(double)NAN, (double)NAN};
}

struct estimate estimate_mean(const double *values, size_t count, double level)
{
    struct estimate estimate = {count, (double)NAN, (double)NAN, unknown_interval()};
    if (count == 0) {
        return estimate;
    }
    estimate.mean = gsl_stats_mean(values, 1, count);
    if (count < 2) {
        return estimate;
    }
    estimate.sd = gsl_stats_sd_m(values, 1, count, estimate.mean);
    const double t = gsl_cdf_tdist_Pinv((1 + level) / 2, (double)(count - 1));
    const double half = t * estimate.sd / sqrt((double)count);
    estimate.interval = (struct interval){estimate.mean - half, estimate.mean + half};
    return estimate;
}

struct contrast contrast_paired(const double *base, const double *other, size_t count,
                                double level)
{
    double *differences = mem_alloc(count + 1, sizeof *differences);
    for (size_t i = 0; i < count; i++) {
        differences[i] = other[i] - base[i];
    }
    const struct estimate mean = estimate_mean(differences, count, level);
    mem_free(differences);
    struct contrast contrast = {
        .pairs = count,
        .difference = mean.mean,
        .interval = mean.interval,
        .p = (double)NAN,
        .effect = (double)NAN,
    };
    if (count < 2) {
        return contrast;
    }
    if (mean.sd <= 0) {
        contrast.p = mean.mean == 0 ? 1 : 0;
        contrast.effect = mean.mean == 0 ? 0 : copysign((double)INFINITY, mean.mean);
        return contrast;
    }
    const double t = fabs(mean.mean) / mean.sd * sqrt((double)count);
    contrast.p = 2 * gsl_cdf_tdist_Q(t, (double)(count - 1));
    contrast.effect = mean.mean / mean.sd;
    return contrast;
}

/* Index of the least p that is not done yet; count = none. */
static size_t least_left(const double *p, const bool *done, size_t count)
{
    size_t least = count;
    for (size_t i = 0; i < count; i++) {
        if (!done[i] && !isnan(p[i]) && (least == count || p[i] < p[least])) {
            least = i;
        }
    }
    return least;
}

void adjust_holm(double *p, size_t count)
{
    bool *done = mem_alloc(count + 1, sizeof *done);
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        left += isnan(p[i]) ? 0 : 1;
    }
    double most = 0;
    for (; left > 0; left--) {
        const size_t at = least_left(p, done, count);
        most = fmax(most, fmin(1, p[at] * (double)left));
        p[at] = most;
        done[at] = true;
    }
    mem_free(done);
}

static int descending(const void *left, const void *right)
{
    const double a = **(const double *const *)left;
    const double b = **(const double *const *)right;
    return (a < b) - (a > b);
}

void adjust_fdr(double *p, size_t count)
{
    double **order = mem_alloc(count + 1, sizeof(double *));
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isnan(p[i])) {
            order[known++] = &p[i];
        }
    }
    qsort(order, known, sizeof(double *), descending);
    double least = 1;
    for (size_t i = 0; i < known; i++) {
        least = fmin(least, *order[i] * ((double)known / (double)(known - i)));
        *order[i] = least;
    }
    mem_free(order);
}

size_t warmup_mser5(const double *values, size_t count, bool *settled)
{
    enum { GROUP = 5 };
    const size_t groups = count / GROUP;
    *settled = true;
    if (groups < 2) {
        return 0;
    }
    /* From the end: sums of the group means behind each possible cut. */
    double sum = 0;
    double squares = 0;
    double least = (double)INFINITY;
    size_t best = 0;
    const double origin = gsl_stats_mean(values, 1, count); /* against cancellation */
    for (size_t cut = groups; cut-- > 0;) {
        const double mean = gsl_stats_mean(values + cut * GROUP, 1, GROUP) - origin;
        sum += mean;
        squares += mean * mean;
        const double kept = (double)(groups - cut);
        if (cut > groups / 2) {
            continue;
        }
        const double spread = (squares - sum * sum / kept) / (kept * kept);
        if (spread <= least) {
            least = spread;
            best = cut;
        }
    }
    *settled = best < groups / 2 || best == 0;
    return *settled ? best * GROUP : 0;
}
