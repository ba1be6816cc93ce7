/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_copy.h: a workload into a file of the native format, watched.
 */
#ifndef STACKSIM_CLI_TRACE_COPY_H
#define STACKSIM_CLI_TRACE_COPY_H

#include <stdbool.h>

struct workload;

/* Shows progress, heeds SIGINT, prints notes and what was written, or the one error.
 * Returns the exit code. */
int trace_copy(struct workload *workload, const char *path, bool quiet);

#endif
