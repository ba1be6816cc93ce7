/* SPDX-License-Identifier: Apache-2.0
 *
 * factors.h: factors on parts of a base's step times, found through simulations.
 *
 * Each is searched in [1/2, 2]. One whose 95 % interval is wider than +-15 % is not
 * determined: it goes back to 1 and the others are searched again.
 */
#ifndef STACKSIM_CLI_CALIBRATE_FACTORS_H
#define STACKSIM_CLI_CALIBRATE_FACTORS_H

#include "base/text.h"

#include <stdint.h>

enum { FACTORS_MAX = 4 };

struct factor {
    const char *name; /* of the key, "scale_decode" */
    const char *help; /* what it multiplies */
    double value;     /* 1 when it is not determined */
    double low;       /* 95 % interval; 0 and infinity: not known */
    double high;
    bool determined;
};

struct factor_search {
    struct factor factors[FACTORS_MAX]; /* name and help are given */
    size_t count;
    size_t rows; /* of residuals */
    const uint32_t *blocks;
    uint32_t block_count;
    void *context;
    /* One value for each factor; false ends the search. */
    bool (*residuals)(void *context, const double *values, double *out);
    double rms_start; /* all factors 1 */
    double rms_end;
    uint32_t simulations;
};

/* False when a residual failed. */
bool factors_find(struct factor_search *search);

/* A table for people, and what is not determined. */
void factors_report(const struct factor_search *search, struct text *out);
/* "scale_decode 0.948 [0.944, 0.952], ..." in one line. */
void factors_line(const struct factor_search *search, struct text *out);

/* A residual that a few wild requests cannot rule: as it is when small, at most 0.5. */
double factors_soften(double residual);

#endif
