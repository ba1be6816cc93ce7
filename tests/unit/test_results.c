/* SPDX-License-Identifier: Apache-2.0
 *
 * docs/results.md: its SQL runs on a store, and the views agree with the metrics.
 */
#include "base/text.h"
#include "reports/sql.h"
#include "reports/store.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <stdio.h>
#include <string.h>

static struct run_record *computed(const char *name, int64_t extra_ttft_ns)
{
    const struct sample sample = {.name = name,
                                  .seed = 1,
                                  .requests = 500,
                                  .engines = 3,
                                  .extra_ttft_ns = extra_ttft_ns};
    struct run_record *const run = sample_run(&sample);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    return run;
}

/* Opens a store of two runs, which the caller deletes. */
static struct sql *open_store(const char *name, struct run_record *runs[2])
{
    const char *const path = harness_temp(name);
    runs[0] = computed("first", 0);
    runs[1] = computed("second", SAMPLE_S / 10);
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_add_run(store, runs[0], &err), &err);
    REQUIRE_OK(store_add_run(store, runs[1], &err), &err);
    REQUIRE_OK(store_commit(store, &err), &err);
    struct sql *sql;
    REQUIRE_OK(sql_open(&sql, path, path, &err), &err);
    return sql;
}

static void close_store(struct sql *sql, struct run_record *runs[2])
{
    sql_close(sql);
    run_record_delete(runs[0]);
    run_record_delete(runs[1]);
}

static void read_text(const char *path, struct text *out)
{
    FILE *const file = fopen(path, "r");
    REQUIRE(file != NULL);
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) {
        text_add_bytes(out, buffer, got);
    }
    (void)fclose(file);
}

static void run_example(struct sql *sql, const char *statement)
{
    struct sql_statement *select;
    struct err err;
    harness_note("%.200s", statement);
    if (!EXPECT_OK(sql_prepare(sql, statement, &select, &err), &err)) {
        return;
    }
    bool row = false;
    EXPECT_OK(sql_next(select, &row, &err), &err);
    /* This store is of no sweep; cli.sql_examples runs those on one. */
    EXPECT(row || strstr(statement, "sweep") != NULL);
    sql_statement_delete(select);
}

static void every_example_of_the_manual_runs(void)
{
    static const char fence[] = "```sql\n";
    struct run_record *runs[2];
    struct sql *const sql = open_store("manual.db", runs);
    struct text manual = {0};
    read_text(harness_source("docs/results.md"), &manual);
    size_t examples = 0;
    const char *at = strstr(text_str(&manual), fence);
    while (at != NULL) {
        const char *const begin = at + strlen(fence);
        const char *const end = strstr(begin, "```");
        EXPECT(end != NULL);
        if (end == NULL) {
            break;
        }
        struct text statement = {0};
        text_add_bytes(&statement, begin, (size_t)(end - begin));
        run_example(sql, text_str(&statement));
        text_fini(&statement);
        examples++;
        at = strstr(end + 3, fence);
    }
    EXPECT(examples >= 10);
    text_fini(&manual);
    close_store(sql, runs);
}

static double number(struct sql *sql, const char *statement)
{
    struct sql_statement *select;
    struct err err;
    REQUIRE_OK(sql_prepare(sql, statement, &select, &err), &err);
    bool row = false;
    REQUIRE_OK(sql_next(select, &row, &err), &err);
    REQUIRE(row);
    const double value = sql_f64(select, 0);
    sql_statement_delete(select);
    return value;
}

static void views_agree_with_the_metrics(void)
{
    struct run_record *runs[2];
    struct sql *const sql = open_store("views.db", runs);
    const double *const value = runs[1]->metrics.value;
    EXPECT_CLOSE(number(sql, "SELECT avg(ttft_ms) FROM v_latency WHERE run_id = 2"),
                 value[METRIC_TTFT_MS_MEAN], 1e-9);
    EXPECT_CLOSE(number(sql, "SELECT avg(tpot_ms) FROM v_latency WHERE run_id = 2"),
                 value[METRIC_TPOT_MS_MEAN], 1e-6);
    EXPECT_CLOSE(number(sql, "SELECT max(e2e_ms) FROM v_latency WHERE run_id = 2"),
                 value[METRIC_E2E_MS_MAX], 1e-9);
    EXPECT_CLOSE(number(sql, "SELECT avg(queue_ms) FROM v_latency WHERE run_id = 2"),
                 value[METRIC_QUEUE_MS_MEAN], 1e-9);
    EXPECT_CLOSE(number(sql, "SELECT within_slo FROM v_goodput WHERE run_id = 2"),
                 value[METRIC_SLO_RATIO] * 500.0, 1e-9);
    EXPECT_NEAR(number(sql, "SELECT requests FROM v_status WHERE run_id = 2 AND "
                            "status = 'rejected'"),
                20.0, 0.0);
    EXPECT_NEAR(number(sql,
                       "SELECT count(*) FROM request WHERE run_id = 2 AND engine IS "
                       "NULL AND first_token_ns IS NULL AND status = 2"),
                20.0, 0.0);
    EXPECT_CLOSE(number(sql, "SELECT ttft_ms_p99 FROM v_run WHERE run = 'second'"),
                 value[METRIC_TTFT_MS_P99], 0.0);
    close_store(sql, runs);
}

/* What the manual says about finding the rows of one run. */
static void rows_of_a_run_lie_together(void)
{
    struct run_record *runs[2];
    struct sql *const sql = open_store("rows.db", runs);
    EXPECT_NEAR(number(sql, "SELECT count(*) FROM request WHERE row_id BETWEEN 2 << 40 "
                            "AND (2 << 40) + 1099511627775 AND run_id = 2"),
                500.0, 0.0);
    close_store(sql, runs);
}

/* Every metric has a column, so that INSERT and schema cannot drift apart. */
static void every_metric_is_a_column(void)
{
    struct run_record *runs[2];
    struct sql *const sql = open_store("columns.db", runs);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        char statement[128];
        const char *const name = metric_info((enum metric)i)->name;
        (void)snprintf(
            statement, sizeof statement,
            "SELECT count(*) FROM pragma_table_info('run') WHERE name = '%s'", name);
        harness_note("metric %s", name);
        EXPECT_NEAR(number(sql, statement), 1.0, 0.0);
    }
    close_store(sql, runs);
}

HARNESS_MAIN("results", TEST(every_example_of_the_manual_runs),
             TEST(views_agree_with_the_metrics), TEST(rows_of_a_run_lie_together),
             TEST(every_metric_is_a_column))
