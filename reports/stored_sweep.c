/* SPDX-License-Identifier: Apache-2.0
 *
 * stored_sweep.c: a plan to rows and back.
 */
#include "reports/stored_sweep.h"

#include "base/mem.h"
#include "base/text.h"
#include "reports/sql.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stored_sweep_delete(struct stored_sweep *sweep)
{
    if (sweep == NULL) {
        return;
    }
    for (size_t i = 0; i < sweep->run_count; i++) {
        struct stored_sweep_run *run = &sweep->runs[i];
        for (size_t k = 0; k < run->key_count; k++) {
            mem_free(run->keys[k].key);
            mem_free(run->keys[k].value);
        }
        mem_free(run->keys);
        mem_free(run->name);
    }
    mem_free(sweep->runs);
    mem_free(sweep->name);
    mem_free(sweep->plan_yaml);
    mem_free(sweep);
}

static void add_name(struct text *name, const struct stored_key *key)
{
    const char *dot = strrchr(key->key, '.');
    const bool is_number =
        dot != NULL && strspn(dot + 1, "0123456789") == strlen(dot + 1);
    const char *shown = dot == NULL || is_number ? key->key : dot + 1;
    if (strcmp(key->key, "policy") == 0) {
        text_add(name, key->value);
    } else {
        text_printf(name, "%s %s", shown, key->value);
    }
}

void stored_sweep_name(const struct stored_key *keys, size_t count, const char *without,
                       struct text *name)
{
    const size_t before = name->length;
    for (size_t i = 0; i < count; i++) {
        if (without == NULL || strcmp(keys[i].key, without) != 0) {
            text_add(name, name->length == before ? "" : ", ");
            add_name(name, &keys[i]);
        }
    }
}

/* ---- to rows --------------------------------------------------------------------- */

static bool insert_sweep(struct sql *sql, const struct stored_sweep *sweep,
                         struct err *err)
{
    struct sql_statement *insert = NULL;
    char digest[20];
    if (!sql_prepare(sql, "INSERT INTO sweep VALUES (1, ?, ?, ?, ?)", &insert, err)) {
        return false;
    }
    snprintf(digest, sizeof digest, "%016" PRIx64, sweep->digest);
    sql_bind_text(insert, 1, sweep->name);
    sql_bind_text(insert, 2, sweep->plan_yaml);
    sql_bind_text(insert, 3, digest);
    sql_bind_i64(insert, 4, (int64_t)sweep->run_count);
    const bool ok = sql_step(insert, err);
    sql_statement_delete(insert);
    return ok;
}

double stored_key_number(const char *value)
{
    char *end = NULL;
    if (value[strspn(value, "0123456789.eE+-")] != '\0') {
        return (double)NAN;
    }
    const double number = strtod(value, &end);
    return end != value && *end == '\0' && isfinite(number) ? number : (double)NAN;
}

static bool insert_keys(struct sql_statement *insert, size_t index,
                        const struct stored_sweep_run *run, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < run->key_count; i++) {
        sql_bind_i64(insert, 1, (int64_t)index + 1);
        sql_bind_i64(insert, 2, (int64_t)i);
        sql_bind_text(insert, 3, run->keys[i].key);
        sql_bind_text(insert, 4, run->keys[i].value);
        sql_bind_f64(insert, 5, stored_key_number(run->keys[i].value));
        ok = sql_step(insert, err);
    }
    return ok;
}

bool stored_sweep_insert(struct sql *sql, const struct stored_sweep *sweep,
                         struct err *err)
{
    struct sql_statement *runs = NULL;
    struct sql_statement *keys = NULL;
    bool ok =
        insert_sweep(sql, sweep, err) &&
        sql_prepare(sql, "INSERT INTO sweep_run VALUES (?, ?)", &runs, err) &&
        sql_prepare(sql, "INSERT INTO sweep_key VALUES (?, ?, ?, ?, ?)", &keys, err);
    for (size_t i = 0; ok && i < sweep->run_count; i++) {
        sql_bind_i64(runs, 1, (int64_t)i + 1);
        sql_bind_text(runs, 2, sweep->runs[i].name);
        ok = sql_step(runs, err) && insert_keys(keys, i, &sweep->runs[i], err);
    }
    sql_statement_delete(runs);
    sql_statement_delete(keys);
    return ok;
}

/* ---- and back -------------------------------------------------------------------- */

static bool select_sweep(struct sql *sql, struct stored_sweep **out, struct err *err)
{
    struct sql_statement *select = NULL;
    bool row = false;
    if (!sql_prepare(sql, "SELECT name, plan_yaml, digest FROM sweep", &select, err)) {
        return false;
    }
    const bool ok = sql_next(select, &row, err);
    if (ok && row) {
        struct stored_sweep *sweep = mem_alloc(1, sizeof *sweep);
        sweep->name = mem_strdup(sql_text(select, 0));
        sweep->plan_yaml = mem_strdup(sql_text(select, 1));
        sweep->digest = strtoull(sql_text(select, 2), NULL, 16);
        *out = sweep;
    }
    sql_statement_delete(select);
    return ok;
}

/* Rows must be numbered 1, 2, 3 ...; the first gap ends the list. */
static bool select_runs(struct sql *sql, struct stored_sweep *sweep, struct err *err)
{
    struct sql_statement *select = NULL;
    int64_t count = 0;
    bool row = false;
    if (!sql_get_i64(sql, "SELECT count(*) FROM sweep_run", &count, err) ||
        !sql_prepare(sql, "SELECT run_id, name FROM sweep_run ORDER BY run_id", &select,
                     err)) {
        return false;
    }
    sweep->runs = mem_alloc((size_t)count, sizeof *sweep->runs);
    bool ok = sql_next(select, &row, err);
    while (ok && row && sweep->run_count < (size_t)count &&
           sql_i64(select, 0) == (int64_t)sweep->run_count + 1) {
        sweep->runs[sweep->run_count++].name = mem_strdup(sql_text(select, 1));
        ok = sql_next(select, &row, err);
    }
    sql_statement_delete(select);
    return ok;
}

static void add_key(struct stored_sweep_run *run, const char *key, const char *value)
{
    run->keys = mem_resize(run->keys, run->key_count + 1, sizeof *run->keys);
    run->keys[run->key_count++] =
        (struct stored_key){.key = mem_strdup(key), .value = mem_strdup(value)};
}

static bool select_keys(struct sql *sql, struct stored_sweep *sweep, struct err *err)
{
    struct sql_statement *select = NULL;
    bool row = false;
    if (!sql_prepare(sql,
                     "SELECT run_id, key, value FROM sweep_key ORDER BY run_id, place",
                     &select, err)) {
        return false;
    }
    bool ok = sql_next(select, &row, err);
    while (ok && row) {
        const int64_t run_id = sql_i64(select, 0);
        if (run_id >= 1 && run_id <= (int64_t)sweep->run_count) {
            add_key(&sweep->runs[run_id - 1], sql_text(select, 1), sql_text(select, 2));
        }
        ok = sql_next(select, &row, err);
    }
    sql_statement_delete(select);
    return ok;
}

bool stored_sweep_select(struct sql *sql, struct stored_sweep **out, struct err *err)
{
    *out = NULL;
    if (!select_sweep(sql, out, err)) {
        return false;
    }
    if (*out != NULL &&
        (!select_runs(sql, *out, err) || !select_keys(sql, *out, err))) {
        stored_sweep_delete(*out);
        *out = NULL;
        return false;
    }
    return true;
}
