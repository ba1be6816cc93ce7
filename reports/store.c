/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c: prepared statements inside one transaction per opening.
 *
 * A rollback journal in its default mode guards an existing store. A new one needs no
 * guard before its rename, so it is written without waiting for the disk and without a
 * file for its journal, which a full disk would leave behind; outfile.h
 * flushes it once before it takes its name. Plain bind and step reach a million rows of
 * 17 columns per second; multi-row INSERTs and a virtual table were not worth their
 * code.
 */
#include "reports/store.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/text.h"
#include "reports/schema.h"
#include "reports/sql.h"
#include "reports/store_run.h"
#include "reports/stored_sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

struct store_writer {
    char *path;
    struct outfile *file; /* of a new store, else NULL */
    struct sql *sql;
    struct sql_statement *insert_request;
    struct sql_statement *insert_sample;
    struct sql_statement *insert_engine;
    struct sql_statement *insert_tenant;
    struct sql_statement *insert_counter;
    struct sql_statement *insert_event;
    struct sql_statement *insert_size;
    struct sql_statement *insert_handover;
    int64_t run_id_next;
    int64_t run_id; /* being written, 0 = none */
    int64_t request_row_next;
    int64_t sample_row_next;
};

static const char insert_request_sql[] =
    "INSERT INTO request (row_id, run_id, request_id, session_id, turn, status,"
    " engine, arrival_ns, queued_ns, scheduled_ns, first_token_ns, end_ns,"
    " prompt_tokens, output_tokens, cached_tokens, preemptions, recomputed_tokens)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
static const char insert_sample_sql[] =
    "INSERT INTO engine_sample (row_id, run_id, time_ns, engine, running_requests,"
    " waiting_requests, kv_used_blocks, kv_total_blocks) VALUES (?,?,?,?,?,?,?,?)";
static const char insert_engine_sql[] =
    "INSERT INTO engine (run_id, engine, pool, description, requests, steps,"
    " preemptions, prefix_query_tokens, prefix_hit_tokens, busy_ns, gpus, power_w,"
    " power_idle_w, price_per_hour_low_usd, price_per_hour_high_usd)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

static const char insert_counter_sql[] =
    "INSERT INTO engine_counter (run_id, engine, name, value) VALUES (?,?,?,?)";

static const char insert_handover_sql[] =
    "INSERT INTO handover (row_id, prefill_engine, prefill_end_ns, kv_asked_ns,"
    " kv_here_ns) VALUES (?,?,?,?,?)";

static const char insert_tenant_sql[] =
    "INSERT INTO tenant (run_id, tenant, name, requests, completed, turned_away,"
    " prompt_tokens, output_tokens, ttft_sum_ns, waited_ns, let_in_tokens)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?)";

static const char insert_event_sql[] =
    "INSERT INTO fleet_event (run_id, number, time_ns, warning, reason, object,"
    " message) VALUES (?,?,?,?,?,?,?)";

static const char insert_size_sql[] =
    "INSERT INTO pool_size (run_id, number, time_ns, pool, desired, held_engines,"
    " ready) VALUES (?,?,?,?,?,?,?)";

static bool path_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static bool open_file(struct store_writer *store, struct err *err)
{
    if (strcmp(store->path, "-") == 0) {
        return err_set(err, ERR_USAGE,
                       "a store cannot be written to stdout; name a file");
    }
    if (path_exists(store->path)) {
        return sql_open(&store->sql, store->path, store->path, err);
    }
    return outfile_open(&store->file, store->path, err) &&
           sql_open(&store->sql, outfile_temp_path(store->file), store->path, err) &&
           sql_run(store->sql, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY",
                   err);
}

static bool prepare(struct store_writer *store, struct err *err)
{
    int64_t version = 0;
    int64_t run_id_max = 0;
    int64_t planned_max = 0;
    if (!sql_run(store->sql, "BEGIN IMMEDIATE", err) ||
        !schema_check(store->sql, store->path, &version, err) ||
        !(version == 0 ? schema_make(store->sql, err)
                       : schema_migrate(store->sql, version, err)) ||
        !sql_get_i64(store->sql, "SELECT max(run_id) FROM run", &run_id_max, err) ||
        !sql_get_i64(store->sql, "SELECT max(run_id) FROM sweep_run", &planned_max,
                     err)) {
        return false;
    }
    store->run_id_next = (run_id_max > planned_max ? run_id_max : planned_max) + 1;
    return sql_prepare(store->sql, insert_request_sql, &store->insert_request, err) &&
           sql_prepare(store->sql, insert_sample_sql, &store->insert_sample, err) &&
           sql_prepare(store->sql, insert_engine_sql, &store->insert_engine, err) &&
           sql_prepare(store->sql, insert_tenant_sql, &store->insert_tenant, err) &&
           sql_prepare(store->sql, insert_counter_sql, &store->insert_counter, err) &&
           sql_prepare(store->sql, insert_event_sql, &store->insert_event, err) &&
           sql_prepare(store->sql, insert_size_sql, &store->insert_size, err) &&
           sql_prepare(store->sql, insert_handover_sql, &store->insert_handover, err);
}

bool store_create_or_extend(struct store_writer **out, const char *path,
                            struct err *err)
{
    struct store_writer *const store = mem_alloc(1, sizeof *store);
    store->path = mem_strdup(path);
    if (!open_file(store, err) || !prepare(store, err)) {
        store_abort(store);
        return false;
    }
    *out = store;
    return true;
}

bool store_extend_patiently(struct store_writer **out, const char *path,
                            struct err *err)
{
    struct store_writer *const store = mem_alloc(1, sizeof *store);
    store->path = mem_strdup(path);
    bool ok = sql_open(&store->sql, path, path, err);
    if (ok) {
        sql_wait(store->sql, PATIENCE_MS);
        ok = prepare(store, err);
    }
    if (!ok) {
        store_abort(store);
        return false;
    }
    *out = store;
    return true;
}

bool store_put_sweep(struct store_writer *store, const struct stored_sweep *sweep,
                     struct err *err)
{
    CHECK(store->run_id_next == 1, "the store holds runs");
    store->run_id_next = (int64_t)sweep->run_count + 1;
    return stored_sweep_insert(store->sql, sweep, err);
}

bool store_begin_run(struct store_writer *store, struct err *err)
{
    if (store->run_id_next > STORE_RUNS_MAX) {
        return err_set(err, ERR_RUN, "%s: holds %d runs, the most; name another file",
                       store->path, STORE_RUNS_MAX);
    }
    return store_begin_run_as(store, store->run_id_next++, err);
}

/* Looked for here, because the row of the run itself comes last. */
static bool is_free(struct store_writer *store, int64_t run_id, struct err *err)
{
    struct sql_statement *select = NULL;
    bool row = false;
    if (!sql_prepare(store->sql, "SELECT 1 FROM run WHERE run_id = ?", &select, err)) {
        return false;
    }
    sql_bind_i64(select, 1, run_id);
    const bool ok = sql_next(select, &row, err);
    sql_statement_delete(select);
    return ok && (!row || err_set(err, ERR_RUN,
                                  "%s: run %" PRId64 " is there already; another "
                                  "program wrote it",
                                  store->path, run_id));
}

bool store_begin_run_as(struct store_writer *store, int64_t run_id, struct err *err)
{
    CHECK(store->run_id == 0, "run %" PRId64 " has not ended", store->run_id);
    if (!is_free(store, run_id, err)) {
        return false;
    }
    store->run_id = run_id;
    store->request_row_next = store->run_id << SCHEMA_ROW_BITS;
    store->sample_row_next = store->run_id << SCHEMA_ROW_BITS;
    return true;
}

static bool add_request(struct store_writer *store, const struct request_row *row,
                        struct err *err)
{
    struct sql_statement *const insert = store->insert_request;
    sql_bind_i64(insert, 1, store->request_row_next++);
    sql_bind_i64(insert, 2, store->run_id);
    sql_bind_i64(insert, 3, (int64_t)row->request_id);
    sql_bind_i64(insert, 4, (int64_t)row->session_id);
    sql_bind_i64(insert, 5, row->turn);
    sql_bind_i64(insert, 6, (int64_t)row->status);
    sql_bind_time(insert, 7,
                  row->engine == RUN_ENGINE_NONE ? RUN_TIME_NONE : row->engine);
    sql_bind_time(insert, 8, row->arrival_ns);
    sql_bind_time(insert, 9, row->queued_ns);
    sql_bind_time(insert, 10, row->scheduled_ns);
    sql_bind_time(insert, 11, row->first_token_ns);
    sql_bind_time(insert, 12, row->end_ns);
    sql_bind_i64(insert, 13, row->prompt_tokens);
    sql_bind_i64(insert, 14, row->output_tokens);
    sql_bind_i64(insert, 15, row->cached_tokens);
    sql_bind_i64(insert, 16, row->preemptions);
    sql_bind_i64(insert, 17, row->recomputed_tokens);
    return sql_step(insert, err);
}

bool store_add_requests(struct store_writer *store, const struct request_row *rows,
                        size_t count, struct err *err)
{
    CHECK(store->run_id != 0, "no run was begun");
    for (size_t i = 0; i < count; i++) {
        if (!add_request(store, &rows[i], err)) {
            return false;
        }
    }
    return true;
}

bool store_add_samples(struct store_writer *store, const struct engine_sample_row *rows,
                       size_t count, struct err *err)
{
    CHECK(store->run_id != 0, "no run was begun");
    struct sql_statement *const insert = store->insert_sample;
    for (size_t i = 0; i < count; i++) {
        const struct engine_sample_row *const row = &rows[i];
        sql_bind_i64(insert, 1, store->sample_row_next++);
        sql_bind_i64(insert, 2, store->run_id);
        sql_bind_i64(insert, 3, row->time_ns);
        sql_bind_i64(insert, 4, row->engine);
        sql_bind_i64(insert, 5, row->running_requests);
        sql_bind_i64(insert, 6, row->waiting_requests);
        sql_bind_i64(insert, 7, row->kv_used_blocks);
        sql_bind_i64(insert, 8, row->kv_total_blocks);
        if (!sql_step(insert, err)) {
            return false;
        }
    }
    return true;
}

/* 0 = unknown */
static void bind_known(struct sql_statement *insert, int at, double value)
{
    sql_bind_f64(insert, at, value > 0 ? value : (double)NAN);
}

static bool add_counters(struct store_writer *store, size_t index,
                         const struct engine_row *row, struct err *err)
{
    struct sql_statement *const insert = store->insert_counter;
    for (unsigned i = 0; i < ENGINE_COUNTER_COUNT; i++) {
        if (row->counters[i] == 0) {
            continue;
        }
        sql_bind_i64(insert, 1, store->run_id);
        sql_bind_i64(insert, 2, (int64_t)index);
        sql_bind_text(insert, 3, engine_counter_name((enum engine_counter)i));
        sql_bind_i64(insert, 4, (int64_t)row->counters[i]);
        if (!sql_step(insert, err)) {
            return false;
        }
    }
    return true;
}

static bool add_engine(struct store_writer *store, size_t index,
                       const struct engine_row *row, struct err *err)
{
    struct sql_statement *const insert = store->insert_engine;
    sql_bind_i64(insert, 1, store->run_id);
    sql_bind_i64(insert, 2, (int64_t)index);
    sql_bind_text(insert, 3, row->pool);
    sql_bind_text(insert, 4, row->description);
    sql_bind_i64(insert, 5, (int64_t)row->requests);
    sql_bind_i64(insert, 6, (int64_t)row->steps);
    sql_bind_i64(insert, 7, (int64_t)row->preemptions);
    sql_bind_i64(insert, 8, (int64_t)row->prefix_query_tokens);
    sql_bind_i64(insert, 9, (int64_t)row->prefix_hit_tokens);
    sql_bind_i64(insert, 10, row->busy_ns);
    sql_bind_i64(insert, 11, row->gpus);
    bind_known(insert, 12, row->power_w);
    bind_known(insert, 13, row->power_idle_w);
    bind_known(insert, 14, row->price_per_hour_low);
    bind_known(insert, 15, row->price_per_hour_high);
    return sql_step(insert, err) && add_counters(store, index, row, err);
}

/* Of the requests whose rows are there. */
static bool add_handovers(struct store_writer *store, const struct run_record *run,
                          struct err *err)
{
    struct sql_statement *const insert = store->insert_handover;
    const int64_t first = store->run_id << SCHEMA_ROW_BITS;
    for (size_t i = 0; i < run->handover_count; i++) {
        const struct handover_row *const row = &run->handovers[i];
        if (first + row->request >= store->request_row_next) {
            break;
        }
        sql_bind_i64(insert, 1, first + row->request);
        sql_bind_i64(insert, 2, row->prefill_engine);
        sql_bind_time(insert, 3, row->prefill_end_ns);
        sql_bind_time(insert, 4, row->kv_asked_ns);
        sql_bind_time(insert, 5, row->kv_here_ns);
        if (!sql_step(insert, err)) {
            return false;
        }
    }
    return true;
}

static bool add_tenant(struct store_writer *store, size_t index,
                       const struct tenant_row *row, struct err *err)
{
    struct sql_statement *const insert = store->insert_tenant;
    sql_bind_i64(insert, 1, store->run_id);
    sql_bind_i64(insert, 2, (int64_t)index);
    sql_bind_text(insert, 3, row->name);
    sql_bind_i64(insert, 4, (int64_t)row->requests);
    sql_bind_i64(insert, 5, (int64_t)row->completed);
    sql_bind_i64(insert, 6, (int64_t)row->turned_away);
    sql_bind_i64(insert, 7, (int64_t)row->prompt_tokens);
    sql_bind_i64(insert, 8, (int64_t)row->output_tokens);
    sql_bind_i64(insert, 9, row->ttft_sum_ns);
    sql_bind_i64(insert, 10, row->waited_ns);
    sql_bind_f64(insert, 11, row->let_in_tokens);
    return sql_step(insert, err);
}

static bool add_event(struct store_writer *store, size_t index,
                      const struct event_row *row, struct err *err)
{
    struct sql_statement *const insert = store->insert_event;
    sql_bind_i64(insert, 1, store->run_id);
    sql_bind_i64(insert, 2, (int64_t)index);
    sql_bind_i64(insert, 3, row->time_ns);
    sql_bind_i64(insert, 4, row->warning ? 1 : 0);
    sql_bind_text(insert, 5, row->reason);
    sql_bind_text(insert, 6, row->object);
    sql_bind_text(insert, 7, row->message);
    return sql_step(insert, err);
}

static bool add_size(struct store_writer *store, size_t index,
                     const struct pool_size_row *row, struct err *err)
{
    struct sql_statement *const insert = store->insert_size;
    sql_bind_i64(insert, 1, store->run_id);
    sql_bind_i64(insert, 2, (int64_t)index);
    sql_bind_i64(insert, 3, row->time_ns);
    sql_bind_text(insert, 4, row->pool);
    sql_bind_i64(insert, 5, row->desired);
    sql_bind_i64(insert, 6, row->held_engines);
    sql_bind_i64(insert, 7, row->ready);
    return sql_step(insert, err);
}

bool store_end_run(struct store_writer *store, const struct run_record *run,
                   struct err *err)
{
    CHECK(store->run_id != 0, "no run was begun");
    for (size_t i = 0; i < run->engine_count; i++) {
        if (!add_engine(store, i, &run->engines[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < run->tenant_count; i++) {
        if (!add_tenant(store, i, &run->tenants[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < run->event_count; i++) {
        if (!add_event(store, i, &run->events[i], err)) {
            return false;
        }
    }
    for (size_t i = 0; i < run->size_count; i++) {
        if (!add_size(store, i, &run->sizes[i], err)) {
            return false;
        }
    }
    if (!add_handovers(store, run, err) ||
        !store_run_insert(store->sql, store->run_id, run, err)) {
        return false;
    }
    store->run_id = 0;
    return true;
}

bool store_add_run(struct store_writer *store, const struct run_record *run,
                   struct err *err)
{
    return store_begin_run(store, err) &&
           store_add_requests(store, run->requests, run->request_count, err) &&
           store_add_samples(store, run->samples, run->sample_count, err) &&
           store_end_run(store, run, err);
}

static void close_sql(struct store_writer *store)
{
    sql_statement_delete(store->insert_request);
    sql_statement_delete(store->insert_sample);
    sql_statement_delete(store->insert_engine);
    sql_statement_delete(store->insert_tenant);
    sql_statement_delete(store->insert_handover);
    sql_statement_delete(store->insert_counter);
    sql_statement_delete(store->insert_event);
    sql_statement_delete(store->insert_size);
    sql_close(store->sql);
    store->insert_request = store->insert_sample = NULL;
    store->insert_engine = store->insert_tenant = store->insert_counter = NULL;
    store->insert_event = NULL;
    store->insert_size = NULL;
    store->insert_handover = NULL;
    store->sql = NULL;
}

static void free_store(struct store_writer *store)
{
    mem_free(store->path);
    mem_free(store);
}

bool store_commit(struct store_writer *store, struct err *err)
{
    CHECK(store->run_id == 0, "run %" PRId64 " has not ended", store->run_id);
    if (!sql_run(store->sql, "COMMIT", err)) {
        store_abort(store);
        return false;
    }
    close_sql(store);
    struct outfile *const file = store->file;
    bool fine = true;
    if (file != NULL && path_exists(store->path)) {
        /* Renaming over it would lose what another program just put there. */
        outfile_abort(file);
        fine = err_set(err, ERR_IO,
                       "%s: another program made this file during the run; run again "
                       "to extend it",
                       store->path);
    } else if (file != NULL) {
        fine = outfile_commit(file, err);
    }
    free_store(store);
    return fine;
}

void store_abort(struct store_writer *store)
{
    if (store == NULL) {
        return;
    }
    close_sql(store);
    outfile_abort(store->file);
    free_store(store);
}
