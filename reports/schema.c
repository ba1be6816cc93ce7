/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.c: the current version of the store, as the SQL that a reader sees with
 * `.schema`.
 *
 * Released versions are frozen: a change is a new version and a step in migrate.c. No
 * index but the primary keys, since each one would halve the speed of writing, and no
 * STRICT tables, since the SQLite of many Python installations is older than them.
 * 64-bit numbers without a sign (ids, seeds) are stored as their two's complement.
 */
#include "reports/schema.h"

#include "base/text.h"
#include "reports/run.h"
#include "reports/store.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

static const char *const statements[] = {
    "CREATE TABLE run (\n"
    "  run_id INTEGER PRIMARY KEY,\n"
    "  name TEXT NOT NULL,\n"
    "  scenario_name TEXT NOT NULL,\n"
    "  scenario_yaml TEXT NOT NULL,\n"
    "  scenario_dir TEXT NOT NULL, -- where its relative paths start\n"
    "  policy TEXT NOT NULL,\n"
    "  compat TEXT NOT NULL,\n"
    "  cost_model TEXT NOT NULL,\n"
    "  workload_origin TEXT NOT NULL,\n"
    "  notes TEXT NOT NULL,\n"
    "  program_commit TEXT NOT NULL,\n"
    "  started_utc TEXT NOT NULL,\n"
    "  warmup TEXT NOT NULL,        -- the rule: none, auto, 30s, 1000 requests\n"
    "  warmup_requests INTEGER NOT NULL, -- that the metrics leave out\n"
    "  warmup_settled INTEGER NOT NULL,  -- 0: auto found no end of it\n"
    "  counted_from_ns INTEGER,     -- arrivals from then on count; NULL: all\n"
    "  seed INTEGER NOT NULL,\n"
    "  digest TEXT NOT NULL,\n"
    "  engine_count INTEGER NOT NULL,\n"
    "  slo_ttft_ns INTEGER NOT NULL,\n"
    "  slo_tpot_ns INTEGER NOT NULL,\n"
    "  slo_e2e_ns INTEGER NOT NULL,\n"
    "  sample_interval_ns INTEGER NOT NULL,\n"
    "  wall_s REAL NOT NULL,\n"
    "  requests INTEGER NOT NULL,\n"
    "  completed INTEGER NOT NULL,\n"
    "  refused INTEGER NOT NULL,\n"
    "  rejected INTEGER NOT NULL,\n"
    "  cancelled INTEGER NOT NULL,\n"
    "  unfinished INTEGER NOT NULL,\n"
    "  shed INTEGER NOT NULL,\n"
    "  timed_out INTEGER NOT NULL,\n"
    "  failed INTEGER NOT NULL,\n"
    "  events INTEGER NOT NULL,\n"
    "  steps INTEGER NOT NULL,\n"
    "  prompt_tokens INTEGER NOT NULL,\n"
    "  output_tokens INTEGER NOT NULL,\n"
    "  prefix_query_tokens INTEGER NOT NULL,\n"
    "  prefix_hit_tokens INTEGER NOT NULL,\n"
    "  policy_bytes INTEGER NOT NULL,\n"
    "  first_arrival_ns INTEGER NOT NULL,\n"
    "  end_ns INTEGER NOT NULL,\n"
    "  total_preemptions INTEGER NOT NULL, -- with those of the warm-up\n"
    "  total_recomputed_tokens INTEGER NOT NULL,\n"
    "  ttft_ms_mean REAL, ttft_ms_p50 REAL, ttft_ms_p90 REAL, ttft_ms_p95 REAL,\n"
    "  ttft_ms_p99 REAL, ttft_ms_max REAL,\n"
    "  tpot_ms_mean REAL, tpot_ms_p50 REAL, tpot_ms_p90 REAL, tpot_ms_p95 REAL,\n"
    "  tpot_ms_p99 REAL, tpot_ms_max REAL,\n"
    "  e2e_ms_mean REAL, e2e_ms_p50 REAL, e2e_ms_p90 REAL, e2e_ms_p95 REAL,\n"
    "  e2e_ms_p99 REAL, e2e_ms_max REAL,\n"
    "  queue_ms_mean REAL, queue_ms_p50 REAL, queue_ms_p90 REAL, queue_ms_p95 REAL,\n"
    "  queue_ms_p99 REAL, queue_ms_max REAL,\n"
    "  duration_s REAL, requests_per_s REAL, output_tokens_per_s REAL,\n"
    "  goodput_per_s REAL, slo_ratio REAL, prefix_hit_ratio REAL,\n"
    "  load_imbalance REAL, preemptions INTEGER, recomputed_tokens INTEGER,\n"
    "  completed_ratio REAL, fairness_jain REAL, gpu_hours REAL,\n"
    "  usd_per_million_tokens_low REAL, usd_per_million_tokens_high REAL,\n"
    "  energy_kwh REAL, joules_per_token REAL\n"
    ")",

    "CREATE TABLE engine (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  engine INTEGER NOT NULL,\n"
    "  pool TEXT NOT NULL,\n"
    "  description TEXT NOT NULL,\n"
    "  requests INTEGER NOT NULL,\n"
    "  steps INTEGER NOT NULL,\n"
    "  preemptions INTEGER NOT NULL,\n"
    "  prefix_query_tokens INTEGER NOT NULL,\n"
    "  prefix_hit_tokens INTEGER NOT NULL,\n"
    "  busy_ns INTEGER NOT NULL,\n"
    "  gpus INTEGER NOT NULL,      -- 0: unknown\n"
    "  power_w REAL,               -- of one GPU at work\n"
    "  power_idle_w REAL,\n"
    "  price_per_hour_low_usd REAL, -- of one GPU\n"
    "  price_per_hour_high_usd REAL,\n"
    "  PRIMARY KEY (run_id, engine)\n"
    ") WITHOUT ROWID",

    "CREATE TABLE engine_counter (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  engine INTEGER NOT NULL,\n"
    "  name TEXT NOT NULL,         -- of features that a run has; zeros are left out\n"
    "  value INTEGER NOT NULL,\n"
    "  PRIMARY KEY (run_id, engine, name)\n"
    ") WITHOUT ROWID",

    "CREATE TABLE tenant (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  tenant INTEGER NOT NULL,    -- in order of first request\n"
    "  name TEXT NOT NULL,\n"
    "  requests INTEGER NOT NULL,\n"
    "  completed INTEGER NOT NULL,\n"
    "  turned_away INTEGER NOT NULL,\n"
    "  prompt_tokens INTEGER NOT NULL,\n"
    "  output_tokens INTEGER NOT NULL,\n"
    "  ttft_sum_ns INTEGER NOT NULL,\n"
    "  waited_ns INTEGER NOT NULL,\n"
    "  let_in_tokens REAL NOT NULL,\n"
    "  PRIMARY KEY (run_id, tenant)\n"
    ") WITHOUT ROWID",

    "CREATE TABLE fleet_event (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  number INTEGER NOT NULL, -- in order of time\n"
    "  time_ns INTEGER NOT NULL,\n"
    "  warning INTEGER NOT NULL, -- 1, else Normal\n"
    "  reason TEXT NOT NULL,\n"
    "  object TEXT NOT NULL,\n"
    "  message TEXT NOT NULL,\n"
    "  PRIMARY KEY (run_id, number)\n"
    ") WITHOUT ROWID",

    "CREATE TABLE pool_size (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  number INTEGER NOT NULL, -- in order of time\n"
    "  time_ns INTEGER NOT NULL, -- from then on\n"
    "  pool TEXT NOT NULL,\n"
    "  desired INTEGER NOT NULL, -- replicas that it should have\n"
    "  held_engines INTEGER NOT NULL, -- whose pods hold their GPUs\n"
    "  ready INTEGER NOT NULL, -- pods\n"
    "  PRIMARY KEY (run_id, number)\n"
    ") WITHOUT ROWID",

    "CREATE TABLE request_status (\n"
    "  status INTEGER PRIMARY KEY,\n"
    "  name TEXT NOT NULL,\n"
    "  help TEXT NOT NULL\n"
    ")",

    "CREATE TABLE request (\n"
    "  row_id INTEGER PRIMARY KEY, -- run_id << 40 | number within the run\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  request_id INTEGER NOT NULL,\n"
    "  session_id INTEGER NOT NULL,\n"
    "  turn INTEGER NOT NULL,\n"
    "  status INTEGER NOT NULL REFERENCES request_status (status),\n"
    "  engine INTEGER,             -- NULL: none\n"
    "  arrival_ns INTEGER NOT NULL,\n"
    "  queued_ns INTEGER,          -- times are NULL when it did not happen\n"
    "  scheduled_ns INTEGER,\n"
    "  first_token_ns INTEGER,\n"
    "  end_ns INTEGER,\n"
    "  prompt_tokens INTEGER NOT NULL,\n"
    "  output_tokens INTEGER NOT NULL,\n"
    "  cached_tokens INTEGER NOT NULL,\n"
    "  preemptions INTEGER NOT NULL,\n"
    "  recomputed_tokens INTEGER NOT NULL\n"
    ")",

    "CREATE TABLE handover (\n"
    "  row_id INTEGER PRIMARY KEY, -- of the request whose prompt and output were\n"
    "                              -- computed apart\n"
    "  prefill_engine INTEGER NOT NULL,\n"
    "  prefill_end_ns INTEGER,     -- times are NULL when it did not happen\n"
    "  kv_asked_ns INTEGER,\n"
    "  kv_here_ns INTEGER\n"
    ")",

    "CREATE TABLE engine_sample (\n"
    "  row_id INTEGER PRIMARY KEY, -- run_id << 40 | number within the run\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  time_ns INTEGER NOT NULL,\n"
    "  engine INTEGER NOT NULL,\n"
    "  running_requests INTEGER NOT NULL,\n"
    "  waiting_requests INTEGER NOT NULL,\n"
    "  kv_used_blocks INTEGER NOT NULL,\n"
    "  kv_total_blocks INTEGER NOT NULL\n"
    ")",

    "CREATE TABLE sweep (\n"
    "  sweep_id INTEGER PRIMARY KEY CHECK (sweep_id = 1), -- a store holds one at "
    "most\n"
    "  name TEXT NOT NULL,\n"
    "  plan_yaml TEXT NOT NULL,\n"
    "  digest TEXT NOT NULL,       -- of all that decides the runs\n"
    "  run_count INTEGER NOT NULL\n"
    ")",

    "CREATE TABLE sweep_run (\n"
    "  run_id INTEGER PRIMARY KEY, -- planned; in `run`, too, once it is done\n"
    "  name TEXT NOT NULL UNIQUE\n"
    ")",

    "CREATE TABLE sweep_key (\n"
    "  run_id INTEGER NOT NULL REFERENCES sweep_run (run_id),\n"
    "  place INTEGER NOT NULL,     -- of the key in the sweep's file\n"
    "  key TEXT NOT NULL,\n"
    "  value TEXT NOT NULL,\n"
    "  number REAL,                -- the value where it is one, to order by\n"
    "  PRIMARY KEY (run_id, key)\n"
    ") WITHOUT ROWID",
};

/* Made anew by every migration: they hold nothing. */
static const char *const views[] = {
    "CREATE VIEW v_run AS SELECT\n"
    "  run_id, name AS run, scenario_name AS scenario, policy, seed, engine_count,\n"
    "  requests, completed, ttft_ms_mean, ttft_ms_p50, ttft_ms_p99, tpot_ms_mean,\n"
    "  tpot_ms_p99, e2e_ms_mean, e2e_ms_p99, requests_per_s, output_tokens_per_s,\n"
    "  goodput_per_s, prefix_hit_ratio, load_imbalance, preemptions, warmup,\n"
    "  warmup_requests, usd_per_million_tokens_low, usd_per_million_tokens_high,\n"
    "  energy_kwh, wall_s\n"
    "FROM run",

    "CREATE VIEW v_latency AS SELECT\n"
    "  q.run_id, r.name AS run, r.policy, q.request_id, q.session_id, q.turn,\n"
    "  q.engine, q.prompt_tokens, q.output_tokens, q.cached_tokens, q.preemptions,\n"
    "  q.arrival_ns / 1e9 AS arrival_s,\n"
    "  (q.scheduled_ns - q.arrival_ns) / 1e6 AS queue_ms,\n"
    "  (q.first_token_ns - q.arrival_ns) / 1e6 AS ttft_ms,\n"
    "  CASE WHEN q.output_tokens > 1 THEN\n"
    "    (q.end_ns - q.first_token_ns) / 1e6 / (q.output_tokens - 1) END AS tpot_ms,\n"
    "  (q.end_ns - q.arrival_ns) / 1e6 AS e2e_ms,\n"
    "  r.counted_from_ns IS NULL OR q.arrival_ns >= r.counted_from_ns AS counted\n"
    "FROM request q JOIN run r USING (run_id) WHERE q.status = 0",

    "CREATE VIEW v_goodput AS SELECT\n"
    "  l.run_id, l.run, l.policy, count(*) AS completed,\n"
    "  sum((r.slo_ttft_ns = 0 OR l.ttft_ms <= r.slo_ttft_ns / 1e6)\n"
    "    AND (r.slo_tpot_ns = 0 OR coalesce(l.tpot_ms, 0) <= r.slo_tpot_ns / 1e6)\n"
    "    AND (r.slo_e2e_ns = 0 OR l.e2e_ms <= r.slo_e2e_ns / 1e6)) AS within_slo\n"
    "FROM v_latency l JOIN run r USING (run_id) WHERE l.counted GROUP BY l.run_id",

    "CREATE VIEW v_status AS SELECT\n"
    "  q.run_id, r.name AS run, s.name AS status, count(*) AS requests, s.help\n"
    "FROM request q JOIN run r USING (run_id) JOIN request_status s USING (status)\n"
    "GROUP BY q.run_id, q.status",

    "CREATE VIEW v_engine_load AS SELECT\n"
    "  s.run_id, r.name AS run, r.policy, s.engine, s.time_ns / 1e9 AS time_s,\n"
    "  s.running_requests + s.waiting_requests AS in_flight_requests,\n"
    "  s.running_requests, s.waiting_requests,\n"
    "  s.kv_used_blocks * 1.0 / s.kv_total_blocks AS kv_used_ratio\n"
    "FROM engine_sample s JOIN run r USING (run_id)",

    "CREATE VIEW v_tenant AS SELECT\n"
    "  t.run_id, r.name AS run, r.policy, t.name AS tenant, t.requests, t.completed,\n"
    "  t.turned_away, t.prompt_tokens, t.output_tokens,\n"
    "  CASE WHEN t.completed > 0 THEN t.ttft_sum_ns / 1e6 / t.completed END\n"
    "    AS ttft_ms_mean,\n"
    "  t.waited_ns / 1e9 AS waited_s,\n"
    "  CASE WHEN t.waited_ns > 0 THEN t.let_in_tokens * 1e9 / t.waited_ns END\n"
    "    AS let_in_tokens_per_s\n"
    "FROM tenant t JOIN run r USING (run_id)",

    "CREATE VIEW v_fleet_event AS SELECT\n"
    "  e.run_id, r.name AS run, e.time_ns / 1e9 AS time_s,\n"
    "  CASE WHEN e.warning THEN 'Warning' ELSE 'Normal' END AS type,\n"
    "  e.reason, e.object, e.message\n"
    "FROM fleet_event e JOIN run r USING (run_id)",

    "CREATE VIEW v_pool_size AS SELECT\n"
    "  s.run_id, r.name AS run, s.time_ns / 1e9 AS time_s, s.pool, s.desired,\n"
    "  s.held_engines, s.ready\n"
    "FROM pool_size s JOIN run r USING (run_id)",

    "CREATE VIEW v_engine AS SELECT\n"
    "  e.run_id, r.name AS run, r.policy, e.engine, e.pool, e.requests, e.steps,\n"
    "  e.preemptions, e.busy_ns / 1e9 AS busy_s,\n"
    "  e.busy_ns / 1e9 / r.duration_s AS busy_ratio,\n"
    "  CASE WHEN e.prefix_query_tokens > 0 THEN\n"
    "    e.prefix_hit_tokens * 1.0 / e.prefix_query_tokens END AS prefix_hit_ratio\n"
    "FROM engine e JOIN run r USING (run_id)",

    "CREATE VIEW v_engine_counter AS SELECT\n"
    "  c.run_id, r.name AS run, r.policy, c.engine, e.pool, c.name, c.value\n"
    "FROM engine_counter c JOIN run r USING (run_id)\n"
    "  JOIN engine e USING (run_id, engine)",

    "CREATE VIEW v_sweep AS SELECT\n"
    "  s.run_id, s.name AS run, r.run_id IS NOT NULL AS done,\n"
    "  (SELECT group_concat(key || '=' || value, ' ') FROM (SELECT key, value FROM\n"
    "    sweep_key k WHERE k.run_id = s.run_id ORDER BY place)) AS keys,\n"
    "  r.policy, r.seed, r.ttft_ms_mean, r.ttft_ms_p50, r.ttft_ms_p99, "
    "r.tpot_ms_mean,\n"
    "  r.tpot_ms_p99, r.e2e_ms_mean, r.e2e_ms_p99, r.requests_per_s,\n"
    "  r.output_tokens_per_s, r.goodput_per_s, r.slo_ratio\n"
    "FROM sweep_run s LEFT JOIN run r USING (run_id)",
};

enum {
    STATEMENT_COUNT = sizeof statements / sizeof statements[0],
    VIEW_COUNT = sizeof views / sizeof views[0],
};

static bool add_statuses(struct sql *sql, struct err *err)
{
    static const char *const help[] = {
#define X(id, name, text) text,
        REQUEST_STATUSES(X)
#undef X
    };
    struct sql_statement *insert;
    if (!sql_prepare(sql,
                     "INSERT INTO request_status VALUES (?, ?, ?) ON CONFLICT (status)"
                     " DO UPDATE SET name = excluded.name, help = excluded.help",
                     &insert, err)) {
        return false;
    }
    bool fine = true;
    for (int64_t i = 0; fine && i < REQUEST_STATUS_COUNT; i++) {
        sql_bind_i64(insert, 1, i);
        sql_bind_text(insert, 2, request_status_name((enum request_status)i));
        sql_bind_text(insert, 3, help[i]);
        fine = sql_step(insert, err);
    }
    sql_statement_delete(insert);
    return fine;
}

static bool run_all(struct sql *sql, const char *const *texts, size_t count,
                    struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!sql_run(sql, texts[i], err)) {
            return false;
        }
    }
    return true;
}

bool schema_make(struct sql *sql, struct err *err)
{
    struct text pragmas = {0};
    text_printf(&pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
    const bool fine = sql_run(sql, text_str(&pragmas), err);
    text_fini(&pragmas);
    return fine && run_all(sql, statements, STATEMENT_COUNT, err) &&
           schema_make_views(sql, err);
}

bool schema_make_views(struct sql *sql, struct err *err)
{
    return run_all(sql, views, VIEW_COUNT, err) && add_statuses(sql, err);
}

bool schema_check(struct sql *sql, const char *path, int64_t *found, struct err *err)
{
    int64_t application_id = 0;
    int64_t version = 0;
    int64_t objects = 0;
    if (!sql_get_i64(sql, "PRAGMA application_id", &application_id, err) ||
        !sql_get_i64(sql, "PRAGMA user_version", &version, err) ||
        !sql_get_i64(sql, "SELECT count(*) FROM sqlite_master", &objects, err)) {
        return false;
    }
    *found = version;
    if (application_id == 0 && version == 0 && objects == 0) {
        return true;
    }
    if (application_id != STORE_APPLICATION_ID) {
        return err_set(err, ERR_INPUT,
                       "%s: an SQLite database, but not a stacksim store; name another "
                       "file",
                       path);
    }
    if (version < 1) {
        return err_set(err, ERR_INPUT,
                       "%s: a store without a version; restore it from a copy", path);
    }
    if (version > STORE_SCHEMA_VERSION) {
        return err_set(err, ERR_INPUT,
                       "%s: written by a newer stacksim (schema %" PRId64
                       ", this program knows %d); use that version, or name another "
                       "file",
                       path, version, STORE_SCHEMA_VERSION);
    }
    return true;
}
