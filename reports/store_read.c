/* SPDX-License-Identifier: Apache-2.0
 *
 * store_read.c: the reading half of the store.
 *
 * A row of which the program could not have made sense of (an unknown status, say) is
 * an error of the file, not of ours: people edit stores with other tools.
 */
#include "base/check.h"
#include "base/mem.h"
#include "reports/schema.h"
#include "reports/sql.h"
#include "reports/store.h"
#include "reports/store_run.h"
#include "reports/stored_sweep.h"

#include <math.h>

struct store_reader {
    char *path;
    struct sql *sql;
    int64_t *run_ids;
    size_t run_count;
};

static bool read_run_ids(struct store_reader *store, struct err *err)
{
    int64_t count = 0;
    struct sql_statement *select;
    if (!sql_get_i64(store->sql, "SELECT count(*) FROM run", &count, err) ||
        !sql_prepare(store->sql, "SELECT run_id FROM run ORDER BY run_id", &select,
                     err)) {
        return false;
    }
    store->run_ids = mem_alloc((size_t)count, sizeof *store->run_ids);
    bool row = false;
    bool fine = sql_next(select, &row, err);
    while (fine && row && store->run_count < (size_t)count) {
        store->run_ids[store->run_count++] = sql_i64(select, 0);
        fine = sql_next(select, &row, err);
    }
    sql_statement_delete(select);
    return fine;
}

/* BEGIN: what is read later belongs to the runs listed now. An older store is brought
 * to the current version in a transaction that is never committed: reading changes no
 * file, though for that time nobody else can write to it. */
static bool begin(struct store_reader *store, struct err *err)
{
    int64_t version = 0;
    if (!sql_run(store->sql, "BEGIN", err) ||
        !schema_check(store->sql, store->path, &version, err)) {
        return false;
    }
    if (version == 0) {
        return err_set(err, ERR_INPUT, "%s: holds no runs; name another store",
                       store->path);
    }
    return schema_migrate(store->sql, version, err) &&
           sql_run(store->sql, "PRAGMA query_only = 1", err);
}

bool store_open(struct store_reader **out, const char *path, struct err *err)
{
    struct store_reader *const store = mem_alloc(1, sizeof *store);
    store->path = mem_strdup(path);
    if (!sql_open(&store->sql, path, path, err) || !begin(store, err) ||
        !read_run_ids(store, err)) {
        store_close(store);
        return false;
    }
    *out = store;
    return true;
}

void store_close(struct store_reader *store)
{
    if (store == NULL) {
        return;
    }
    sql_close(store->sql);
    mem_free(store->run_ids);
    mem_free(store->path);
    mem_free(store);
}

size_t store_run_count(const struct store_reader *store)
{
    return store->run_count;
}

int64_t store_run_id(const struct store_reader *store, size_t index)
{
    CHECK(index < store->run_count, "run %zu of %zu", index, store->run_count);
    return store->run_ids[index];
}

bool store_read_sweep(struct store_reader *store, struct stored_sweep **out,
                      struct err *err)
{
    return stored_sweep_select(store->sql, out, err);
}

static void request_of_row(const struct sql_statement *select, struct request_row *row)
{
    const int64_t engine = sql_time(select, 4);
    *row = (struct request_row){
        .request_id = (uint64_t)sql_i64(select, 0),
        .session_id = (uint64_t)sql_i64(select, 1),
        .turn = (uint32_t)sql_i64(select, 2),
        .status = (enum request_status)sql_i64(select, 3),
        .engine = engine == RUN_TIME_NONE ? RUN_ENGINE_NONE : (uint32_t)engine,
        .arrival_ns = sql_time(select, 5),
        .queued_ns = sql_time(select, 6),
        .scheduled_ns = sql_time(select, 7),
        .first_token_ns = sql_time(select, 8),
        .end_ns = sql_time(select, 9),
        .prompt_tokens = (uint32_t)sql_i64(select, 10),
        .output_tokens = (uint32_t)sql_i64(select, 11),
        .cached_tokens = (uint32_t)sql_i64(select, 12),
        .preemptions = (uint32_t)sql_i64(select, 13),
        .recomputed_tokens = (uint32_t)sql_i64(select, 14),
    };
}

/* Adds the row the statement stands on; false only at a ceiling or a broken value. */
static bool add_request(struct run_record *run, const struct sql_statement *select)
{
    struct request_row row;
    request_of_row(select, &row);
    return row.status < REQUEST_STATUS_COUNT && row.arrival_ns != RUN_TIME_NONE &&
           run_add_request(run, &row);
}

static bool add_sample(struct run_record *run, const struct sql_statement *select)
{
    const struct engine_sample_row row = {
        .time_ns = sql_i64(select, 0),
        .engine = (uint32_t)sql_i64(select, 1),
        .running_requests = (uint32_t)sql_i64(select, 2),
        .waiting_requests = (uint32_t)sql_i64(select, 3),
        .kv_used_blocks = (uint32_t)sql_i64(select, 4),
        .kv_total_blocks = (uint32_t)sql_i64(select, 5),
    };
    return run_add_sample(run, &row);
}

/* NULL is 0 in a row. */
static double known(const struct sql_statement *select, int at)
{
    const double value = sql_f64(select, at);
    return isnan(value) ? 0 : value;
}

static bool add_engine(struct run_record *run, const struct sql_statement *select)
{
    const struct engine_row row = {
        .pool = sql_text(select, 0),
        .description = sql_text(select, 1),
        .requests = (uint64_t)sql_i64(select, 2),
        .steps = (uint64_t)sql_i64(select, 3),
        .preemptions = (uint64_t)sql_i64(select, 4),
        .prefix_query_tokens = (uint64_t)sql_i64(select, 5),
        .prefix_hit_tokens = (uint64_t)sql_i64(select, 6),
        .busy_ns = sql_i64(select, 7),
        .gpus = (uint32_t)sql_i64(select, 8),
        .power_w = known(select, 9),
        .power_idle_w = known(select, 10),
        .price_per_hour_low = known(select, 11),
        .price_per_hour_high = known(select, 12),
    };
    return run_add_engine(run, &row);
}

/* Counters that a later program may know are left out. */
static bool add_counter(struct run_record *run, const struct sql_statement *select)
{
    const int64_t engine = sql_i64(select, 0);
    const enum engine_counter counter = engine_counter_find(sql_text(select, 1));
    if (engine < 0 || (uint64_t)engine >= run->engine_count) {
        return false;
    }
    if (counter < ENGINE_COUNTER_COUNT) {
        run->engines[engine].counters[counter] = (uint64_t)sql_i64(select, 2);
    }
    return true;
}

static bool add_tenant(struct run_record *run, const struct sql_statement *select)
{
    const struct tenant_row row = {
        .name = sql_text(select, 0),
        .requests = (uint64_t)sql_i64(select, 1),
        .completed = (uint64_t)sql_i64(select, 2),
        .turned_away = (uint64_t)sql_i64(select, 3),
        .prompt_tokens = (uint64_t)sql_i64(select, 4),
        .output_tokens = (uint64_t)sql_i64(select, 5),
        .ttft_sum_ns = sql_i64(select, 6),
        .waited_ns = sql_i64(select, 7),
        .let_in_tokens = sql_f64(select, 8),
    };
    return run_add_tenant(run, &row);
}

static bool add_event(struct run_record *run, const struct sql_statement *select)
{
    const struct event_row row = {
        .time_ns = sql_i64(select, 0),
        .warning = sql_i64(select, 1) != 0,
        .reason = sql_text(select, 2),
        .object = sql_text(select, 3),
        .message = sql_text(select, 4),
    };
    return run_add_event(run, &row);
}

static bool add_size(struct run_record *run, const struct sql_statement *select)
{
    const struct pool_size_row row = {
        .time_ns = sql_i64(select, 0),
        .pool = sql_text(select, 1),
        .desired = (uint32_t)sql_i64(select, 2),
        .held_engines = (uint32_t)sql_i64(select, 3),
        .ready = (uint32_t)sql_i64(select, 4),
    };
    return run_add_pool_size(run, &row);
}

static bool add_handover(struct run_record *run, const struct sql_statement *select)
{
    const int64_t request = sql_i64(select, 0) & ((INT64_C(1) << SCHEMA_ROW_BITS) - 1);
    const struct handover_row row = {
        .request = (uint32_t)request,
        .prefill_engine = (uint32_t)sql_i64(select, 1),
        .prefill_end_ns = sql_time(select, 2),
        .kv_asked_ns = sql_time(select, 3),
        .kv_here_ns = sql_time(select, 4),
    };
    return (uint64_t)request < run->request_count && run_add_handover(run, &row);
}

/* A table of rows: how they are asked for (parameters: first and last key) and kept. */
struct row_table {
    const char *name;
    const char *select;
    int64_t first;
    int64_t last;
    bool (*add)(struct run_record *run, const struct sql_statement *select);
};

static bool read_rows(struct store_reader *store, const struct row_table *table,
                      struct run_record *run, struct err *err)
{
    struct sql_statement *select;
    if (!sql_prepare(store->sql, table->select, &select, err)) {
        return false;
    }
    sql_bind_i64(select, 1, table->first);
    sql_bind_i64(select, 2, table->last);
    bool row = false;
    bool fine = sql_next(select, &row, err);
    while (fine && row) {
        fine = table->add(run, select) ||
               err_set(err, ERR_INPUT,
                       "%s: table %s of run %s holds a row that no run "
                       "leaves; restore the store from a copy",
                       store->path, table->name, run->info.name);
        fine = fine && sql_next(select, &row, err);
    }
    sql_statement_delete(select);
    return fine;
}

/* big: rows of requests and samples, too. */
static bool read_all_rows(struct store_reader *store, int64_t run_id, bool big,
                          struct run_record *run, struct err *err)
{
    enum { SMALL_TABLES = 5 };
    const int64_t first = run_id << SCHEMA_ROW_BITS;
    const int64_t last = first + ((INT64_C(1) << SCHEMA_ROW_BITS) - 1);
    const struct row_table tables[] = {
        {"engine",
         "SELECT pool, description, requests, steps, preemptions, prefix_query_tokens,"
         " prefix_hit_tokens, busy_ns, gpus, power_w, power_idle_w,"
         " price_per_hour_low_usd, price_per_hour_high_usd FROM engine"
         " WHERE run_id BETWEEN ? AND ?"
         " ORDER BY engine",
         run_id, run_id, add_engine},
        {"engine_counter",
         "SELECT engine, name, value FROM engine_counter"
         " WHERE run_id BETWEEN ? AND ? ORDER BY engine, name",
         run_id, run_id, add_counter},
        {"tenant",
         "SELECT name, requests, completed, turned_away, prompt_tokens, output_tokens,"
         " ttft_sum_ns, waited_ns, let_in_tokens FROM tenant"
         " WHERE run_id BETWEEN ? AND ? ORDER BY tenant",
         run_id, run_id, add_tenant},
        {"fleet_event",
         "SELECT time_ns, warning, reason, object, message FROM fleet_event"
         " WHERE run_id BETWEEN ? AND ? ORDER BY number",
         run_id, run_id, add_event},
        {"pool_size",
         "SELECT time_ns, pool, desired, held_engines, ready FROM pool_size"
         " WHERE run_id BETWEEN ? AND ? ORDER BY number",
         run_id, run_id, add_size},
        {"request",
         "SELECT request_id, session_id, turn, status, engine, arrival_ns, queued_ns,"
         " scheduled_ns, first_token_ns, end_ns, prompt_tokens, output_tokens,"
         " cached_tokens, preemptions, recomputed_tokens FROM request"
         " WHERE row_id BETWEEN ? AND ? ORDER BY row_id",
         first, last, add_request},
        {"handover",
         "SELECT row_id, prefill_engine, prefill_end_ns, kv_asked_ns, kv_here_ns"
         " FROM handover WHERE row_id BETWEEN ? AND ? ORDER BY row_id",
         first, last, add_handover},
        {"engine_sample",
         "SELECT time_ns, engine, running_requests, waiting_requests, kv_used_blocks,"
         " kv_total_blocks FROM engine_sample WHERE row_id BETWEEN ? AND ?"
         " ORDER BY row_id",
         first, last, add_sample},
    };
    const size_t count = big ? sizeof tables / sizeof tables[0] : SMALL_TABLES;
    for (size_t i = 0; i < count; i++) {
        if (!read_rows(store, &tables[i], run, err)) {
            return false;
        }
    }
    return true;
}

static bool read_run(struct store_reader *store, size_t index, bool big,
                     struct run_record **out, struct err *err)
{
    const int64_t run_id = store_run_id(store, index);
    struct run_record *run;
    if (!store_run_select(store->sql, run_id, &run, err)) {
        return false;
    }
    if (!read_all_rows(store, run_id, big, run, err)) {
        run_record_delete(run);
        return false;
    }
    *out = run;
    return true;
}

bool store_read_summary(struct store_reader *store, size_t index,
                        struct run_record **out, struct err *err)
{
    return read_run(store, index, false, out, err);
}

bool store_read_run(struct store_reader *store, size_t index, struct run_record **out,
                    struct err *err)
{
    return read_run(store, index, true, out, err);
}
