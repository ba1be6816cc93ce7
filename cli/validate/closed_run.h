/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_run.h: `stacksim validate --closed-loop FILE`: read, predict, score, print.
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_RUN_H
#define STACKSIM_CLI_VALIDATE_CLOSED_RUN_H

#include "base/err.h"

struct closed_run_args {
    const char *path;
    const char *filter;     /* or NULL */
    const char *config_dir; /* or NULL */
    double jitter;          /* as in closed_predict.h */
    bool experts;           /* as there */
    const char *model; /* of step times: "roofline", "ops", or NULL: by the files */
    bool json;
    bool cross_validate; /* closed_fit.h */
};

NODISCARD bool closed_run(const struct closed_run_args *args, struct err *err);

#endif
