/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_print.h: the result of `stacksim plan` on standard output.
 */
#ifndef STACKSIM_CLI_PLAN_PRINT_H
#define STACKSIM_CLI_PLAN_PRINT_H

#include "base/err.h"
#include "reports/table.h"

struct capacity_result;

/* People (table, md) get the cheapest fleet, the best of each group, the front and a
 * reason for each group without one; programs (csv, json) every candidate. */
NODISCARD bool plan_print(const struct capacity_result *result,
                          enum table_format format, double attain_percent,
                          struct err *err);

#endif
