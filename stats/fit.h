/* SPDX-License-Identifier: Apache-2.0
 *
 * fit.h: weighted linear least squares that says what it does not know.
 *
 * A column that the data cannot tell from the others gets no value rather than an
 * arbitrary one; a coefficient that must not be negative and would be is held at 0 and
 * the others are fitted again.
 */
#ifndef STACKSIM_STATS_FIT_H
#define STACKSIM_STATS_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIT_COLUMNS_MAX = 16 };

struct fit_problem {
    size_t rows;
    size_t columns;        /* 1..FIT_COLUMNS_MAX */
    const double *x;       /* row by row */
    const double *y;       /* > 0: residuals are relative */
    const double *weight;  /* > 0; NULL: all 1 */
    uint32_t not_negative; /* bit i: coefficient i must be >= 0 */
};

enum fit_status {
    FIT_SURE,         /* its 95 % interval excludes 0 */
    FIT_UNSURE,       /* its interval holds 0 */
    FIT_HELD_AT_ZERO, /* it would have been negative */
    FIT_UNDETERMINED, /* no data for it: 0 */
};

struct fit_coefficient {
    double value;
    double standard_error;
    double low; /* 95 % interval, Student's t */
    double high;
    enum fit_status status;
};

struct fit_result {
    struct fit_coefficient coefficients[FIT_COLUMNS_MAX];
    size_t rows;
    size_t rank;           /* of the columns that were not held at 0 */
    double condition;      /* of the scaled and weighted columns that were fitted */
    double mean_abs_error; /* mean of |fit - y| / y */
    double worst_abs_error;
};

/* No rows at all: everything is undetermined. */
void fit_linear(struct fit_result *result, const struct fit_problem *problem);

const char *fit_status_name(enum fit_status status);

#endif
