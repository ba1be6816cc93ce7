/* SPDX-License-Identifier: Apache-2.0
 *
 * scales.h: the two factors of a GPU: found on one run, kept in a file.
 */
#ifndef STACKSIM_CLI_VALIDATE_SCALES_H
#define STACKSIM_CLI_VALIDATE_SCALES_H

#include "cli/validate/score.h"

struct autoscale_result {
    struct validate_scales scales;
    uint32_t simulations;
    double error_pct; /* root mean square of the 15 errors and 3 per-request errors */
};

/* Searches the two factors that bring the run's figures closest, from 0.5 to 2.
 * Deterministic. */
NODISCARD bool autoscale(struct autoscale_result *out, const struct validate_case *run,
                         struct err *err);

/* YAML: scale_decode, scale_mixed, and where they come from. */
NODISCARD bool scales_read(struct validate_scales *scales, const char *path,
                           struct err *err);
void scales_write(struct text *out, const struct validate_case *run,
                  const struct autoscale_result *found);

enum { SCALE_MAX = 8 };

#endif
