/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep_table.h: what a sweep's store holds, one line per arm.
 */
#ifndef STACKSIM_CLI_SWEEP_TABLE_H
#define STACKSIM_CLI_SWEEP_TABLE_H

#include "base/err.h"
#include "base/text.h"
#include "reports/table.h"

/* An arm is all runs that differ in `seed` alone; of several, means are shown, with
 * half of their 95 % interval where people read. csv and json hold every metric. */
NODISCARD bool sweep_table(const char *store_path, enum table_format format,
                           struct text *out, struct err *err);

#endif
