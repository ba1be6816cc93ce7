/* SPDX-License-Identifier: Apache-2.0
 *
 * scaled.h: the two factors on steps, written onto what they stand on: a fit with them
 * in it, or, on the data sheet, the two keys for `cost:`.
 */
#ifndef STACKSIM_CLI_CALIBRATE_SCALED_H
#define STACKSIM_CLI_CALIBRATE_SCALED_H

#include "base/conf.h"
#include "cli/calibrate/factors.h"

struct scaled {
    const char *gpu;
    const char *model;
    const char *what;       /* "a run of 300 requests" */
    const struct conf *fit; /* NULL: the data sheet's roofline */
    bool in_fit;            /* the fit holds the factors already: only say so */
};

/* The first two factors are scale_decode and scale_mixed, unless in_fit. */
NODISCARD bool scaled_write(const struct scaled *scaled,
                            const struct factor_search *found, struct text *out,
                            struct err *err);

#endif
