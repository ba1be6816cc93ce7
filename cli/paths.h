/* SPDX-License-Identifier: Apache-2.0
 *
 * paths.h: no command writes a file that it reads, or one file twice.
 */
#ifndef STACKSIM_CLI_PATHS_H
#define STACKSIM_CLI_PATHS_H

#include "base/err.h"

#include <stddef.h>

struct path_use {
    const char *name; /* as the user knows it: "--out", "the scenario" */
    const char *path; /* NULL and "-" are passed over */
    bool written;
};

/* Fails (ERR_USAGE) on the first file that is written and has another use. Links and
 * different spellings of one file are seen through. */
NODISCARD bool paths_check(const struct path_use *uses, size_t count, struct err *err);

#endif
