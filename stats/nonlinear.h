/* SPDX-License-Identifier: Apache-2.0
 *
 * nonlinear.h: least squares where each residual is a whole computation away.
 *
 * Levenberg-Marquardt (GSL) with central differences of a stated step, because what is
 * behind the residuals may have small stairs that a finer step would fall into. The
 * best point that was seen is the answer. Intervals are a jackknife over blocks of rows
 * that err together, on the problem made linear at the answer.
 */
#ifndef STACKSIM_STATS_NONLINEAR_H
#define STACKSIM_STATS_NONLINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NONLINEAR_COLUMNS_MAX = 8 };

struct nonlinear_problem {
    size_t rows;    /* >= columns */
    size_t columns; /* 1..NONLINEAR_COLUMNS_MAX */
    void *context;
    /* Fills rows residuals; false ends the search with failure. */
    bool (*residuals)(void *context, const double *x, double *out);
    double difference;      /* > 0, of each coordinate */
    double bound;           /* > 0: |x| stays within */
    const uint32_t *blocks; /* of each row, below block_count */
    uint32_t block_count;   /* below 2: no intervals */
    uint32_t iterations_max;
};

struct nonlinear_result {
    double x[NONLINEAR_COLUMNS_MAX];
    double low[NONLINEAR_COLUMNS_MAX]; /* 95 % intervals; -+infinity: not known */
    double high[NONLINEAR_COLUMNS_MAX];
    bool moves[NONLINEAR_COLUMNS_MAX]; /* false: no residual depends on it */
    double rms_start;                  /* of the residuals, at x = 0 */
    double rms_end;
    uint32_t evaluations;
};

/* Starts at 0. Deterministic. */
bool nonlinear_fit(struct nonlinear_result *result,
                   const struct nonlinear_problem *problem);

#endif
