/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.h: tables and views of a store (docs/results.md).
 */
#ifndef STACKSIM_REPORTS_SCHEMA_H
#define STACKSIM_REPORTS_SCHEMA_H

#include "base/err.h"
#include "reports/sql.h"

/* A row_id is run_id << SCHEMA_ROW_BITS | number of the row within its run, so rows of
 * one run lie together and need no index of their own. */
#define SCHEMA_ROW_BITS 40

/* Makes the current version in an empty file. */
NODISCARD bool schema_make(struct sql *sql, struct err *err);
/* Fails when the file is not a store of the current version. *empty: it holds nothing
 * yet, not even a schema (a file of zero bytes). path is for messages. */
NODISCARD bool schema_check(struct sql *sql, const char *path, bool *empty,
                            struct err *err);

#endif
