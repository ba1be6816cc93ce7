/* SPDX-License-Identifier: Apache-2.0
 *
 * store_run.c: one list of columns serves INSERT and SELECT, so that they cannot drift.
 *
 * Metrics need no line here: their columns are named by METRICS (reports/summary.h).
 * Totals that are metrics whatever the warm-up (imbalance, fairness) are stored once,
 * as metrics.
 */
#include "reports/store_run.h"

#include "base/check.h"
#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column_kind {
    COLUMN_TEXT,
    COLUMN_I64,
    COLUMN_HEX,
    COLUMN_F64,
    COLUMN_TIME,
    COLUMN_BOOL
};

struct run_column {
    const char *name;
    enum column_kind kind;
    size_t offset;
};

static_assert(sizeof(size_t) == sizeof(int64_t), "engine_count is read as int64_t");

#define INFO(kind, field)                                                              \
    {                                                                                  \
#field, kind, offsetof(struct run_record, info.field)                          \
    }
#define TOTAL(field)                                                                   \
    {                                                                                  \
#field, COLUMN_I64, offsetof(struct run_record, totals.field)                  \
    }
#define STATUS(id, name, help)                                                         \
    {name, COLUMN_I64,                                                                 \
     offsetof(struct run_record, totals.status_count) +                                \
         sizeof(uint64_t) * REQUEST_##id},

static const struct run_column run_columns[] = {
    INFO(COLUMN_TEXT, name),
    INFO(COLUMN_TEXT, scenario_name),
    INFO(COLUMN_TEXT, scenario_yaml),
    INFO(COLUMN_TEXT, scenario_dir),
    INFO(COLUMN_TEXT, policy),
    INFO(COLUMN_TEXT, compat),
    INFO(COLUMN_TEXT, cost_model),
    INFO(COLUMN_TEXT, workload_origin),
    INFO(COLUMN_TEXT, notes),
    INFO(COLUMN_TEXT, program_commit),
    INFO(COLUMN_TEXT, started_utc),
    INFO(COLUMN_TEXT, warmup),
    {"warmup_requests", COLUMN_I64, offsetof(struct run_record, warmup.requests)},
    {"warmup_settled", COLUMN_BOOL, offsetof(struct run_record, warmup.settled)},
    {"counted_from_ns", COLUMN_TIME,
     offsetof(struct run_record, warmup.counted_from_ns)},
    INFO(COLUMN_I64, seed),
    INFO(COLUMN_HEX, digest),
    {"engine_count", COLUMN_I64, offsetof(struct run_record, engine_count)},
    INFO(COLUMN_I64, slo_ttft_ns),
    INFO(COLUMN_I64, slo_tpot_ns),
    INFO(COLUMN_I64, slo_e2e_ns),
    INFO(COLUMN_I64, sample_interval_ns),
    INFO(COLUMN_F64, wall_s),
    TOTAL(requests),
    REQUEST_STATUSES(STATUS) TOTAL(events),
    TOTAL(steps),
    TOTAL(prompt_tokens),
    TOTAL(output_tokens),
    TOTAL(prefix_query_tokens),
    TOTAL(prefix_hit_tokens),
    TOTAL(policy_bytes),
    TOTAL(first_arrival_ns),
    TOTAL(end_ns),
    {"total_preemptions", COLUMN_I64, offsetof(struct run_record, totals.preemptions)},
    {"total_recomputed_tokens", COLUMN_I64,
     offsetof(struct run_record, totals.recomputed_tokens)},
};

enum { RUN_COLUMN_COUNT = sizeof run_columns / sizeof run_columns[0] };

static void add_columns(struct text *sql)
{
    for (size_t i = 0; i < RUN_COLUMN_COUNT; i++) {
        text_printf(sql, ", %s", run_columns[i].name);
    }
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        text_printf(sql, ", %s", metric_info((enum metric)i)->name);
    }
}

/* hex: room for the digest's text, borrowed by the statement until it has run. */
static void bind_column(struct sql_statement *statement, int at,
                        const struct run_column *column, const struct run_record *run,
                        char hex[static 17])
{
    const char *const field = (const char *)run + column->offset;
    const char *text;
    int64_t whole;
    bool flag;
    double number;
    switch (column->kind) {
    case COLUMN_TEXT:
        memcpy(&text, field, sizeof text);
        sql_bind_text(statement, at, text);
        break;
    case COLUMN_I64:
        memcpy(&whole, field, sizeof whole);
        sql_bind_i64(statement, at, whole);
        break;
    case COLUMN_TIME:
        memcpy(&whole, field, sizeof whole);
        sql_bind_time(statement, at, whole);
        break;
    case COLUMN_BOOL:
        memcpy(&flag, field, sizeof flag);
        sql_bind_i64(statement, at, flag ? 1 : 0);
        break;
    case COLUMN_HEX:
        memcpy(&whole, field, sizeof whole);
        (void)snprintf(hex, 17, "%016" PRIx64, (uint64_t)whole);
        sql_bind_text(statement, at, hex);
        break;
    case COLUMN_F64:
        memcpy(&number, field, sizeof number);
        sql_bind_f64(statement, at, number);
        break;
    }
}

bool store_run_insert(struct sql *sql, int64_t run_id, const struct run_record *run,
                      struct err *err)
{
    struct text text = {0};
    text_add(&text, "INSERT INTO run (run_id");
    add_columns(&text);
    text_add(&text, ") VALUES (?");
    for (size_t i = 0; i < RUN_COLUMN_COUNT + METRIC_COUNT; i++) {
        text_add(&text, ", ?");
    }
    text_add(&text, ")");
    struct sql_statement *statement;
    const bool prepared = sql_prepare(sql, text_str(&text), &statement, err);
    text_fini(&text);
    if (!prepared) {
        return false;
    }
    char hex[17];
    int at = 1;
    sql_bind_i64(statement, at++, run_id);
    for (size_t i = 0; i < RUN_COLUMN_COUNT; i++) {
        bind_column(statement, at++, &run_columns[i], run, hex);
    }
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        sql_bind_f64(statement, at++, run->metrics.value[i]);
    }
    const bool fine = sql_step(statement, err);
    sql_statement_delete(statement);
    return fine;
}

static void read_column(const struct sql_statement *statement, int at,
                        const struct run_column *column, struct run_record *run)
{
    char *const field = (char *)run + column->offset;
    const char *text;
    int64_t whole;
    bool flag;
    double number;
    switch (column->kind) {
    case COLUMN_TEXT:
        text = sql_text(statement, at);
        memcpy(field, &text, sizeof text);
        break;
    case COLUMN_I64:
        whole = sql_i64(statement, at);
        memcpy(field, &whole, sizeof whole);
        break;
    case COLUMN_TIME:
        whole = sql_time(statement, at);
        memcpy(field, &whole, sizeof whole);
        break;
    case COLUMN_BOOL:
        flag = sql_i64(statement, at) != 0;
        memcpy(field, &flag, sizeof flag);
        break;
    case COLUMN_HEX:
        whole = (int64_t)strtoull(sql_text(statement, at), NULL, 16);
        memcpy(field, &whole, sizeof whole);
        break;
    case COLUMN_F64:
        number = sql_f64(statement, at);
        memcpy(field, &number, sizeof number);
        break;
    }
}

/* The statement stands on the row. */
static struct run_record *record_of_row(const struct sql_statement *statement)
{
    struct run_record row = {0}; /* borrows its strings from the statement */
    int at = 1;                  /* after run_id */
    for (size_t i = 0; i < RUN_COLUMN_COUNT; i++) {
        read_column(statement, at++, &run_columns[i], &row);
    }
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        row.metrics.value[i] = sql_f64(statement, at++);
    }
    row.totals.load_imbalance = row.metrics.value[METRIC_LOAD_IMBALANCE];
    row.totals.fairness_jain = row.metrics.value[METRIC_FAIRNESS_JAIN];
    struct run_record *const run = run_record_new(&row.info);
    run->totals = row.totals;
    run->metrics = row.metrics;
    run->warmup = row.warmup;
    return run;
}

bool store_run_select(struct sql *sql, int64_t run_id, struct run_record **out,
                      struct err *err)
{
    struct text text = {0};
    text_add(&text, "SELECT run_id");
    add_columns(&text);
    text_add(&text, " FROM run WHERE run_id = ?");
    struct sql_statement *statement;
    const bool prepared = sql_prepare(sql, text_str(&text), &statement, err);
    text_fini(&text);
    if (!prepared) {
        return false;
    }
    sql_bind_i64(statement, 1, run_id);
    bool row;
    const bool fine = sql_next(statement, &row, err);
    if (fine) {
        CHECK(row, "run %" PRId64 " was there a moment ago", run_id);
        *out = record_of_row(statement);
    }
    sql_statement_delete(statement);
    return fine;
}
