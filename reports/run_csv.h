/* SPDX-License-Identifier: Apache-2.0
 *
 * run_csv.h: metrics of runs from the CSV that `report` and `compare` print.
 *
 * A text file that a repository can hold: a baseline whose changes show in a diff.
 */
#ifndef STACKSIM_REPORTS_RUN_CSV_H
#define STACKSIM_REPORTS_RUN_CSV_H

#include "base/err.h"
#include "reports/run.h"

/* Records of name, scenario, policy, seed and metrics; no rows. The caller deletes the
 * runs and frees the array. Columns that are not known are ignored; run, scenario and
 * seed must be there. */
NODISCARD bool run_csv_read(struct run_record ***out, size_t *count, const char *path,
                            struct err *err);

#endif
