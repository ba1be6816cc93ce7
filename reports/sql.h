/* SPDX-License-Identifier: Apache-2.0
 *
 * sql.h: SQLite with our errors (reports/sql.c is the only user of <sqlite3.h>).
 *
 * Every error text names the file, what SQLite said, and what to do about it. Misuse of
 * the interface is a CHECK failure: no user can cause it.
 */
#ifndef STACKSIM_REPORTS_SQL_H
#define STACKSIM_REPORTS_SQL_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct sql;
struct sql_statement;

/* The file must exist (it may be empty). `path` is opened, `shown_path` named in
 * messages. */
NODISCARD bool sql_open(struct sql **out, const char *path, const char *shown_path,
                        struct err *err);
/* Rolls back what is open. NULL is legal. */
void sql_close(struct sql *sql);
/* How long a busy file is waited for, 2 s at first. */
void sql_wait(struct sql *sql, int wait_ms);
/* One or more statements without results that matter. */
NODISCARD bool sql_run(struct sql *sql, const char *text, struct err *err);
/* The first column of the first row, e.g. of a PRAGMA; 0 without a row. */
NODISCARD bool sql_get_i64(struct sql *sql, const char *text, int64_t *out,
                           struct err *err);

/* Delete with sql_statement_delete before sql_close. */
NODISCARD bool sql_prepare(struct sql *sql, const char *text,
                           struct sql_statement **out, struct err *err);
void sql_statement_delete(struct sql_statement *statement); /* NULL is legal */

/* Parameters are numbered from 1. Text is borrowed until the statement is stepped to
 * its end or reset. NaN and (for _time) INT64_MIN are bound as NULL. */
void sql_bind_i64(struct sql_statement *statement, int at, int64_t value);
void sql_bind_time(struct sql_statement *statement, int at, int64_t time_ns);
void sql_bind_f64(struct sql_statement *statement, int at, double value);
void sql_bind_text(struct sql_statement *statement, int at, const char *value);

/* Runs a statement that returns no rows, and makes it ready for the next one. */
NODISCARD bool sql_step(struct sql_statement *statement, struct err *err);
/* Fetches the next row; *row is false after the last one. */
NODISCARD bool sql_next(struct sql_statement *statement, bool *row, struct err *err);

/* Columns of the current row, from 0. NULL reads as 0, INT64_MIN (_time), NaN, "". The
 * text is borrowed until the next sql_next. */
int64_t sql_i64(const struct sql_statement *statement, int at);
int64_t sql_time(const struct sql_statement *statement, int at);
double sql_f64(const struct sql_statement *statement, int at);
const char *sql_text(const struct sql_statement *statement, int at);

#endif
