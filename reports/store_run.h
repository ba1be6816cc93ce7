/* SPDX-License-Identifier: Apache-2.0
 *
 * store_run.h: between a row of table run and a run_record; used by the store alone.
 */
#ifndef STACKSIM_REPORTS_STORE_RUN_H
#define STACKSIM_REPORTS_STORE_RUN_H

#include "base/err.h"
#include "reports/run.h"
#include "reports/sql.h"

NODISCARD bool store_run_insert(struct sql *sql, int64_t run_id,
                                const struct run_record *run, struct err *err);
/* A new record with info, totals and metrics, but no rows. */
NODISCARD bool store_run_select(struct sql *sql, int64_t run_id,
                                struct run_record **out, struct err *err);

#endif
