/* SPDX-License-Identifier: Apache-2.0
 *
 * migrate.c: from each version of the store to the next.
 *
 * A step is SQL that makes the tables of version n those of n + 1. Released steps are
 * frozen as released schemas are: they are all that reads an old store. Columns of a
 * table are named wherever it is read or written, so that added ones may come last.
 */
#include "base/text.h"
#include "reports/schema.h"
#include "reports/store.h"

#include <inttypes.h>

static const char *const steps[] = {
    /* 1 -> 2: warm-up, prices and power, counters, events, two engines */
    "ALTER TABLE run ADD COLUMN warmup TEXT NOT NULL DEFAULT 'none';\n"
    "ALTER TABLE run ADD COLUMN warmup_requests INTEGER NOT NULL DEFAULT 0;\n"
    "ALTER TABLE run ADD COLUMN warmup_settled INTEGER NOT NULL DEFAULT 1;\n"
    "ALTER TABLE run ADD COLUMN counted_from_ns INTEGER;\n"
    "ALTER TABLE run ADD COLUMN total_preemptions INTEGER NOT NULL DEFAULT 0;\n"
    "ALTER TABLE run ADD COLUMN total_recomputed_tokens INTEGER NOT NULL DEFAULT 0;\n"
    "UPDATE run SET total_preemptions = coalesce(preemptions, 0),\n"
    "  total_recomputed_tokens = coalesce(recomputed_tokens, 0);\n"
    "ALTER TABLE run ADD COLUMN gpu_hours REAL;\n"
    "ALTER TABLE run ADD COLUMN usd_per_million_tokens_low REAL;\n"
    "ALTER TABLE run ADD COLUMN usd_per_million_tokens_high REAL;\n"
    "ALTER TABLE run ADD COLUMN energy_kwh REAL;\n"
    "ALTER TABLE run ADD COLUMN joules_per_token REAL;\n"
    "ALTER TABLE run ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;\n"
    "ALTER TABLE engine ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;\n"
    "ALTER TABLE engine ADD COLUMN power_w REAL;\n"
    "ALTER TABLE engine ADD COLUMN power_idle_w REAL;\n"
    "ALTER TABLE engine ADD COLUMN price_per_hour_low_usd REAL;\n"
    "ALTER TABLE engine ADD COLUMN price_per_hour_high_usd REAL;\n"
    "CREATE TABLE fleet_event (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  number INTEGER NOT NULL, -- in order of time\n"
    "  time_ns INTEGER NOT NULL,\n"
    "  warning INTEGER NOT NULL, -- 1, else Normal\n"
    "  reason TEXT NOT NULL,\n"
    "  object TEXT NOT NULL,\n"
    "  message TEXT NOT NULL,\n"
    "  PRIMARY KEY (run_id, number)\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE handover (\n"
    "  row_id INTEGER PRIMARY KEY, -- of the request whose prompt and output were\n"
    "                              -- computed apart\n"
    "  prefill_engine INTEGER NOT NULL,\n"
    "  prefill_end_ns INTEGER,     -- times are NULL when it did not happen\n"
    "  kv_asked_ns INTEGER,\n"
    "  kv_here_ns INTEGER\n"
    ");\n"
    "CREATE TABLE pool_size (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  number INTEGER NOT NULL, -- in order of time\n"
    "  time_ns INTEGER NOT NULL, -- from then on\n"
    "  pool TEXT NOT NULL,\n"
    "  desired INTEGER NOT NULL, -- replicas that it should have\n"
    "  held_engines INTEGER NOT NULL, -- whose pods hold their GPUs\n"
    "  ready INTEGER NOT NULL, -- pods\n"
    "  PRIMARY KEY (run_id, number)\n"
    ") WITHOUT ROWID;\n"
    "CREATE TABLE engine_counter (\n"
    "  run_id INTEGER NOT NULL REFERENCES run (run_id),\n"
    "  engine INTEGER NOT NULL,\n"
    "  name TEXT NOT NULL,         -- of features that a run has; zeros are left out\n"
    "  value INTEGER NOT NULL,\n"
    "  PRIMARY KEY (run_id, engine, name)\n"
    ") WITHOUT ROWID;\n",
};

_Static_assert(sizeof steps / sizeof steps[0] == STORE_SCHEMA_VERSION - 1,
               "a new version of the schema needs a step that leads to it");

/* Of all versions so far. */
static const char drop_views[] =
    "DROP VIEW IF EXISTS v_run; DROP VIEW IF EXISTS v_latency;\n"
    "DROP VIEW IF EXISTS v_goodput; DROP VIEW IF EXISTS v_status;\n"
    "DROP VIEW IF EXISTS v_engine_load; DROP VIEW IF EXISTS v_tenant;\n"
    "DROP VIEW IF EXISTS v_engine; DROP VIEW IF EXISTS v_sweep;\n"
    "DROP VIEW IF EXISTS v_engine_counter; DROP VIEW IF EXISTS v_fleet_event;\n"
    "DROP VIEW IF EXISTS v_pool_size;\n";

bool schema_migrate(struct sql *sql, int64_t version, struct err *err)
{
    if (version == STORE_SCHEMA_VERSION) {
        return true;
    }
    if (!sql_run(sql, drop_views, err)) {
        return false;
    }
    for (int64_t i = version; i < STORE_SCHEMA_VERSION; i++) {
        if (!sql_run(sql, steps[i - 1], err)) {
            return false;
        }
    }
    struct text pragma = {0};
    text_printf(&pragma, "PRAGMA user_version = %d", STORE_SCHEMA_VERSION);
    const bool fine =
        schema_make_views(sql, err) && sql_run(sql, text_str(&pragma), err);
    text_fini(&pragma);
    return fine;
}
