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
/* Views and the names of statuses, which every version says anew. */
NODISCARD bool schema_make_views(struct sql *sql, struct err *err);
/* *version: of the schema found, at most STORE_SCHEMA_VERSION; 0: the file holds
 * nothing yet (a file of zero bytes). Fails when it is not a store or of a newer
 * program. path is for messages. */
NODISCARD bool schema_check(struct sql *sql, const char *path, int64_t *version,
                            struct err *err);

/* Brings a store of an older version to the current one, in the transaction under way.
 * Rows are kept; views of ours are made anew, views and tables of others left alone. */
NODISCARD bool schema_migrate(struct sql *sql, int64_t version, struct err *err);

#endif
