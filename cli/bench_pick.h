/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_pick.h: what `stacksim bench pick` times: one decision of every policy.
 */
#ifndef STACKSIM_CLI_BENCH_PICK_H
#define STACKSIM_CLI_BENCH_PICK_H

#include <stdbool.h>
#include <stddef.h>

/* Prints a line for each policy with the nanoseconds of a pick at 16, 256 and 4,096
 * endpoints (median of so many runs), or at 16 alone; then one line of JSON. */
void bench_pick(const char *target, size_t runs, bool smallest_only);

#endif
