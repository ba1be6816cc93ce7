/* SPDX-License-Identifier: Apache-2.0
 *
 * print.h: a validation for people and for programs.
 */
#ifndef STACKSIM_CLI_VALIDATE_PRINT_H
#define STACKSIM_CLI_VALIDATE_PRINT_H

#include "cli/validate/scales.h"

#include <stdio.h>

struct validation {
    const struct validate_case *run;
    const struct simulated *simulated;
    const struct score *score;
    struct validate_scales scales;
    const char *scales_source; /* "none", "given", "found on this run", ... */
    const struct autoscale_result *found; /* NULL without --autoscale */
};

void validation_print_table(const struct validation *validation, struct text *out);
/* One object with every figure; times in ms. */
void validation_print_json(const struct validation *validation, struct text *out);
/* CSV, one line per request. */
void validation_write_requests(const struct validation *validation, FILE *file);

#endif
