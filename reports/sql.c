/* SPDX-License-Identifier: Apache-2.0
 *
 * sql.c: thin on purpose; a bind or a column is one call more than SQLite's own.
 */
#include "reports/sql.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

/* A second writer waits this long before it is refused. */
enum { BUSY_MS = 2000 };

struct sql {
    sqlite3 *db;
    char *shown_path;
};

struct sql_statement {
    struct sql *sql;
    sqlite3_stmt *stmt;
};

static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "free disk space and run again; earlier results are unchanged";
    case SQLITE_IOERR:
        return "check disk space, quota and the file system; earlier results are "
               "unchanged";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "check that the file and its folder are writable, or name another file";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program is writing to it; wait for it or name another file";
    case SQLITE_NOTADB:
        return "name another file, or a store made by this program";
    case SQLITE_CORRUPT:
        return "it is damaged; restore it from a copy or name another file";
    default:
        return "name another file";
    }
}

static bool fail(const struct sql *sql, struct err *err)
{
    const int code = sqlite3_extended_errcode(sql->db);
    const char *const text = sqlite3_errmsg(sql->db);
    CHECK((code & 0xff) != SQLITE_MISUSE, "%s: %s", sql->shown_path, text);
    const bool is_input =
        (code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_CORRUPT;
    (void)err_set(err, is_input ? ERR_INPUT : ERR_IO, "%s: %s; %s", sql->shown_path,
                  text, advice(code));
    return false;
}

/* SQLite's own words for a folder or a missing file are of no help. */
static bool is_regular(const char *path, const char *shown_path, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return err_set(err, ERR_INPUT, "%s: %s; check the name of the store",
                       shown_path, strerror(errno));
    }
    return S_ISREG(status.st_mode) ||
           err_set(err, ERR_INPUT, "%s: not a regular file; name a file for the store",
                   shown_path);
}

bool sql_open(struct sql **out, const char *path, const char *shown_path,
              struct err *err)
{
    if (!is_regular(path, shown_path, err)) {
        return false;
    }
    struct sql *const sql = mem_alloc(1, sizeof *sql);
    sql->shown_path = mem_strdup(shown_path);
    /* A write-protected file is opened for reading. No mutexes: a store belongs to one
     * thread at a time. */
    const int code = sqlite3_open_v2(path, &sql->db,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        (void)fail(sql, err);
        sql_close(sql);
        return false;
    }
    (void)sqlite3_busy_timeout(sql->db, BUSY_MS);
    *out = sql;
    return true;
}

void sql_close(struct sql *sql)
{
    if (sql == NULL) {
        return;
    }
    const int code = sqlite3_close(sql->db);
    CHECK(code == SQLITE_OK, "%s: a statement is still open", sql->shown_path);
    mem_free(sql->shown_path);
    mem_free(sql);
}

void sql_wait(struct sql *sql, int wait_ms)
{
    (void)sqlite3_busy_timeout(sql->db, wait_ms);
}

bool sql_run(struct sql *sql, const char *text, struct err *err)
{
    return sqlite3_exec(sql->db, text, NULL, NULL, NULL) == SQLITE_OK || fail(sql, err);
}

bool sql_get_i64(struct sql *sql, const char *text, int64_t *out, struct err *err)
{
    struct sql_statement *statement = NULL;
    if (!sql_prepare(sql, text, &statement, err)) {
        return false;
    }
    bool row;
    const bool fine = sql_next(statement, &row, err);
    if (fine) {
        *out = row ? sql_i64(statement, 0) : 0;
    }
    sql_statement_delete(statement);
    return fine;
}

bool sql_prepare(struct sql *sql, const char *text, struct sql_statement **out,
                 struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(sql->db, text, -1, &stmt, NULL) != SQLITE_OK) {
        (void)fail(sql, err);
        return false; /* said plainly: gcc -O3 follows callers from here */
    }
    struct sql_statement *const statement = mem_alloc(1, sizeof *statement);
    statement->sql = sql;
    statement->stmt = stmt;
    *out = statement;
    return true;
}

void sql_statement_delete(struct sql_statement *statement)
{
    if (statement != NULL) {
        (void)sqlite3_finalize(statement->stmt);
        mem_free(statement);
    }
}

void sql_bind_i64(struct sql_statement *statement, int at, int64_t value)
{
    const int code = sqlite3_bind_int64(statement->stmt, at, value);
    CHECK(code == SQLITE_OK, "parameter %d: code %d", at, code);
}

void sql_bind_time(struct sql_statement *statement, int at, int64_t time_ns)
{
    if (time_ns != INT64_MIN) {
        sql_bind_i64(statement, at, time_ns);
        return;
    }
    const int code = sqlite3_bind_null(statement->stmt, at);
    CHECK(code == SQLITE_OK, "parameter %d: code %d", at, code);
}

void sql_bind_f64(struct sql_statement *statement, int at, double value)
{
    const int code = sqlite3_bind_double(statement->stmt, at, value); /* NaN: NULL */
    CHECK(code == SQLITE_OK, "parameter %d: code %d", at, code);
}

void sql_bind_text(struct sql_statement *statement, int at, const char *value)
{
    const int code = sqlite3_bind_text(statement->stmt, at, value, -1, SQLITE_STATIC);
    CHECK(code == SQLITE_OK, "parameter %d: code %d", at, code);
}

bool sql_step(struct sql_statement *statement, struct err *err)
{
    const int code = sqlite3_step(statement->stmt);
    const bool fine = code == SQLITE_DONE || fail(statement->sql, err);
    (void)sqlite3_reset(statement->stmt); /* repeats the code of the step */
    return fine;
}

bool sql_next(struct sql_statement *statement, bool *row, struct err *err)
{
    const int code = sqlite3_step(statement->stmt);
    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE || fail(statement->sql, err);
}

int64_t sql_i64(const struct sql_statement *statement, int at)
{
    return sqlite3_column_int64(statement->stmt, at);
}

int64_t sql_time(const struct sql_statement *statement, int at)
{
    return sqlite3_column_type(statement->stmt, at) == SQLITE_NULL
               ? INT64_MIN
               : sql_i64(statement, at);
}

double sql_f64(const struct sql_statement *statement, int at)
{
    return sqlite3_column_type(statement->stmt, at) == SQLITE_NULL
               ? (double)NAN
               : sqlite3_column_double(statement->stmt, at);
}

const char *sql_text(const struct sql_statement *statement, int at)
{
    const unsigned char *const text = sqlite3_column_text(statement->stmt, at);
    return text == NULL ? "" : (const char *)text;
}
