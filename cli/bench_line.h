/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_line.h: what every measurement's line of JSON has in common.
 */
#ifndef STACKSIM_CLI_BENCH_LINE_H
#define STACKSIM_CLI_BENCH_LINE_H

#include <stddef.h>

struct json;

/* Sorts in place; of an even number the mean of the two in the middle. count >= 1. */
double bench_median(double *values, size_t count);
/* Adds commit, compiler, cpu and, where the system tells, load_1min. */
void bench_line_host(struct json *object);

#endif
