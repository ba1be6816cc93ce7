/* SPDX-License-Identifier: Apache-2.0
 *
 * The store against real SQLite files: what goes in comes out, and a failure of any
 * kind leaves what was there before.
 */
#include "base/mem.h"
#include "reports/sql.h"
#include "reports/store.h"
#include "reports/stored_sweep.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct run_record *computed(const char *name, uint64_t seed, size_t requests)
{
    const struct sample sample = {
        .name = name, .seed = seed, .requests = requests, .engines = 3, .warmup = "3s"};
    struct run_record *const run = sample_run(&sample);
    struct err err;
    for (uint32_t i = 0; i < requests; i += 7) { /* the fourth one lost its transfer */
        const struct handover_row row = {
            .request = i,
            .prefill_engine = i % 3,
            .prefill_end_ns = run->requests[i].arrival_ns + 5,
            .kv_asked_ns = run->requests[i].arrival_ns + 6,
            .kv_here_ns = i == 21 ? RUN_TIME_NONE : run->requests[i].arrival_ns + 9,
        };
        REQUIRE(run_add_handover(run, &row));
    }
    REQUIRE_OK(metrics_compute(run, &err), &err);
    return run;
}

static void write_runs(const char *path, const struct run_record *const *runs,
                       size_t count)
{
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    for (size_t i = 0; i < count; i++) {
        REQUIRE_OK(store_add_run(store, runs[i], &err), &err);
    }
    REQUIRE_OK(store_commit(store, &err), &err);
}

static void write_one(const char *path, const char *name)
{
    struct run_record *const run = computed(name, 1, 40);
    const struct run_record *const runs[] = {run};
    write_runs(path, runs, 1);
    run_record_delete(run);
}

static size_t count_runs(const char *path)
{
    struct store_reader *store;
    struct err err;
    if (!EXPECT_OK(store_open(&store, path, &err), &err)) {
        return SIZE_MAX;
    }
    const size_t count = store_run_count(store);
    store_close(store);
    return count;
}

/* A new handle on the file, so also: nobody holds a lock. */
static void expect_sound(const char *path, size_t runs)
{
    struct sql *sql;
    struct err err;
    EXPECT_U64(count_runs(path), runs);
    REQUIRE_OK(sql_open(&sql, path, path, &err), &err);
    struct sql_statement *check;
    REQUIRE_OK(sql_prepare(sql, "PRAGMA integrity_check", &check, &err), &err);
    bool row = false;
    REQUIRE_OK(sql_next(check, &row, &err), &err);
    EXPECT_STR(sql_text(check, 0), "ok");
    sql_statement_delete(check);
    sql_close(sql);
}

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static void expect_same_info(const struct run_info *got,
                             const struct run_info *expected)
{
    EXPECT_STR(got->name, expected->name);
    EXPECT_STR(got->scenario_name, expected->scenario_name);
    EXPECT_STR(got->scenario_yaml, expected->scenario_yaml);
    EXPECT_STR(got->scenario_dir, expected->scenario_dir);
    EXPECT_STR(got->policy, expected->policy);
    EXPECT_STR(got->compat, expected->compat);
    EXPECT_STR(got->cost_model, expected->cost_model);
    EXPECT_STR(got->workload_origin, expected->workload_origin);
    EXPECT_STR(got->notes, expected->notes);
    EXPECT_STR(got->program_commit, expected->program_commit);
    EXPECT_STR(got->started_utc, expected->started_utc);
    EXPECT_STR(got->warmup, expected->warmup);
    EXPECT_U64(got->seed, expected->seed);
    EXPECT_U64(got->digest, expected->digest);
    EXPECT_I64(got->slo_ttft_ns, expected->slo_ttft_ns);
    EXPECT_I64(got->slo_tpot_ns, expected->slo_tpot_ns);
    EXPECT_I64(got->slo_e2e_ns, expected->slo_e2e_ns);
    EXPECT_I64(got->sample_interval_ns, expected->sample_interval_ns);
    EXPECT_NEAR(got->wall_s, expected->wall_s, 0.0);
}

static void expect_same_metrics(const struct run_record *got,
                                const struct run_record *expected)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        harness_note("metric %s", metric_info((enum metric)i)->name);
        const double value = expected->metrics.value[i];
        if (isnan(value)) {
            EXPECT(isnan(got->metrics.value[i]));
        } else {
            EXPECT_NEAR(got->metrics.value[i], value, 0.0);
        }
    }
}

static void expect_same_requests(const struct run_record *got,
                                 const struct run_record *expected)
{
    if (!EXPECT_U64(got->request_count, expected->request_count)) {
        return;
    }
    for (size_t i = 0; i < got->request_count; i++) {
        harness_note("request %zu", i);
        const struct request_row *const a = &got->requests[i];
        const struct request_row *const b = &expected->requests[i];
        EXPECT_U64(a->request_id, b->request_id);
        EXPECT_U64(a->session_id, b->session_id);
        EXPECT_U64(a->turn, b->turn);
        EXPECT_U64(a->status, b->status);
        EXPECT_U64(a->engine, b->engine);
        EXPECT_I64(a->arrival_ns, b->arrival_ns);
        EXPECT_I64(a->queued_ns, b->queued_ns);
        EXPECT_I64(a->scheduled_ns, b->scheduled_ns);
        EXPECT_I64(a->first_token_ns, b->first_token_ns);
        EXPECT_I64(a->end_ns, b->end_ns);
        EXPECT_U64(a->prompt_tokens, b->prompt_tokens);
        EXPECT_U64(a->output_tokens, b->output_tokens);
        EXPECT_U64(a->cached_tokens, b->cached_tokens);
        EXPECT_U64(a->preemptions, b->preemptions);
        EXPECT_U64(a->recomputed_tokens, b->recomputed_tokens);
    }
}

static void expect_same_handovers(const struct run_record *got,
                                  const struct run_record *expected)
{
    if (!EXPECT_U64(got->handover_count, expected->handover_count)) {
        return;
    }
    for (size_t i = 0; i < expected->handover_count; i++) {
        const struct handover_row *const a = &got->handovers[i];
        const struct handover_row *const b = &expected->handovers[i];
        EXPECT_U64(a->request, b->request);
        EXPECT_U64(a->prefill_engine, b->prefill_engine);
        EXPECT_I64(a->prefill_end_ns, b->prefill_end_ns);
        EXPECT_I64(a->kv_asked_ns, b->kv_asked_ns);
        EXPECT_I64(a->kv_here_ns, b->kv_here_ns);
    }
}

static void expect_same_tenants(const struct run_record *got,
                                const struct run_record *expected)
{
    if (!EXPECT_U64(got->tenant_count, expected->tenant_count)) {
        return;
    }
    for (size_t i = 0; i < expected->tenant_count; i++) {
        const struct tenant_row *const a = &got->tenants[i];
        const struct tenant_row *const b = &expected->tenants[i];
        EXPECT_STR(a->name, b->name);
        EXPECT_U64(a->requests, b->requests);
        EXPECT_U64(a->completed, b->completed);
        EXPECT_U64(a->turned_away, b->turned_away);
        EXPECT_U64(a->prompt_tokens, b->prompt_tokens);
        EXPECT_U64(a->output_tokens, b->output_tokens);
        EXPECT_I64(a->ttft_sum_ns, b->ttft_sum_ns);
        EXPECT_I64(a->waited_ns, b->waited_ns);
        EXPECT_NEAR(a->let_in_tokens, b->let_in_tokens, 0);
    }
}

static void expect_same_engines(const struct run_record *got,
                                const struct run_record *expected)
{
    if (!EXPECT_U64(got->sample_count, expected->sample_count) ||
        !EXPECT_U64(got->engine_count, expected->engine_count)) {
        return;
    }
    for (size_t i = 0; i < expected->sample_count; i++) {
        const struct engine_sample_row *const a = &got->samples[i];
        const struct engine_sample_row *const b = &expected->samples[i];
        EXPECT_I64(a->time_ns, b->time_ns);
        EXPECT_U64(a->engine, b->engine);
        EXPECT_U64(a->running_requests, b->running_requests);
        EXPECT_U64(a->waiting_requests, b->waiting_requests);
        EXPECT_U64(a->kv_used_blocks, b->kv_used_blocks);
        EXPECT_U64(a->kv_total_blocks, b->kv_total_blocks);
    }
    for (size_t i = 0; i < expected->engine_count; i++) {
        EXPECT_STR(got->engines[i].pool, expected->engines[i].pool);
        EXPECT_STR(got->engines[i].description, expected->engines[i].description);
        EXPECT_U64(got->engines[i].requests, expected->engines[i].requests);
        EXPECT_U64(got->engines[i].steps, expected->engines[i].steps);
        EXPECT_U64(got->engines[i].preemptions, expected->engines[i].preemptions);
        EXPECT_I64(got->engines[i].busy_ns, expected->engines[i].busy_ns);
        EXPECT_U64(got->engines[i].prefix_hit_tokens,
                   expected->engines[i].prefix_hit_tokens);
        EXPECT_U64(got->engines[i].prefix_query_tokens,
                   expected->engines[i].prefix_query_tokens);
        for (size_t k = 0; k < ENGINE_COUNTER_COUNT; k++) {
            EXPECT_U64(got->engines[i].counters[k], expected->engines[i].counters[k]);
        }
        EXPECT_U64(got->engines[i].gpus, expected->engines[i].gpus);
        EXPECT_NEAR(got->engines[i].power_w, expected->engines[i].power_w, 0);
        EXPECT_NEAR(got->engines[i].power_idle_w, expected->engines[i].power_idle_w, 0);
        EXPECT_NEAR(got->engines[i].price_per_hour_low,
                    expected->engines[i].price_per_hour_low, 0);
        EXPECT_NEAR(got->engines[i].price_per_hour_high,
                    expected->engines[i].price_per_hour_high, 0);
    }
}

static void expect_same_run(const struct run_record *got,
                            const struct run_record *expected)
{
    expect_same_info(&got->info, &expected->info);
    EXPECT_BYTES(&got->totals, &expected->totals, sizeof got->totals);
    EXPECT_I64(got->warmup.counted_from_ns, expected->warmup.counted_from_ns);
    EXPECT_U64(got->warmup.requests, expected->warmup.requests);
    EXPECT(got->warmup.settled == expected->warmup.settled);
    expect_same_metrics(got, expected);
    expect_same_requests(got, expected);
    expect_same_handovers(got, expected);
    expect_same_engines(got, expected);
    expect_same_tenants(got, expected);
}

static void what_goes_in_comes_out(void)
{
    const char *const path = harness_temp("round.db");
    struct run_record *const first = computed("first", UINT64_MAX, 200);
    struct run_record *const second = computed("second", 7, 0);
    const struct run_record *const runs[] = {first, second};
    write_runs(path, runs, 2);
    struct store_reader *store;
    struct err err;
    REQUIRE_OK(store_open(&store, path, &err), &err);
    REQUIRE(store_run_count(store) == 2);
    for (size_t i = 0; i < 2; i++) {
        struct run_record *back;
        REQUIRE_OK(store_read_run(store, i, &back, &err), &err);
        expect_same_run(back, runs[i]);
        run_record_delete(back);
    }
    store_close(store);
    run_record_delete(first);
    run_record_delete(second);
}

static void an_existing_store_is_extended(void)
{
    const char *const path = harness_temp("extend.db");
    write_one(path, "one");
    write_one(path, "two");
    struct store_reader *store;
    struct err err;
    REQUIRE_OK(store_open(&store, path, &err), &err);
    REQUIRE(store_run_count(store) == 2);
    struct run_record *run;
    REQUIRE_OK(store_read_run(store, 1, &run, &err), &err);
    EXPECT_STR(run->info.name, "two");
    EXPECT_U64(run->request_count, 40);
    run_record_delete(run);
    store_close(store);
    expect_sound(path, 2);
}

static void an_empty_file_becomes_a_store(void)
{
    const char *const path = harness_temp_file("empty.db", "", 0);
    write_one(path, "one");
    expect_sound(path, 1);
}

static void an_aborted_store_leaves_no_file(void)
{
    const char *const path = harness_temp("aborted.db");
    struct run_record *const run = computed("one", 1, 40);
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_add_run(store, run, &err), &err);
    EXPECT(!exists(path));
    store_abort(store);
    EXPECT(!exists(path));
    run_record_delete(run);
}

static void an_aborted_extension_leaves_the_old_runs(void)
{
    const char *const path = harness_temp("kept.db");
    write_one(path, "one");
    struct run_record *const run = computed("two", 2, 5000);
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_add_run(store, run, &err), &err);
    store_abort(store);
    expect_sound(path, 1);
    run_record_delete(run);
}

/* Runs write_big in a child that may write files of so many bytes at most. */
static bool fails_with_file_limit(const char *path, rlim_t bytes)
{
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {bytes, bytes};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        struct run_record *const run = computed("big", 3, 50000);
        struct store_writer *store;
        struct err err = {.text = ""};
        bool fine = store_create_or_extend(&store, path, &err);
        if (fine && !store_add_run(store, run, &err)) {
            store_abort(store);
            fine = false;
        } else if (fine) {
            fine = store_commit(store, &err);
        }
        /* 0: refused, and the message names the file and what to do. */
        const bool is_told =
            strstr(err.text, path) != NULL && strstr(err.text, "disk space") != NULL;
        _exit(fine ? 1 : is_told ? 0 : 2);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void a_full_disk_leaves_no_new_store(void)
{
    const char *const path = harness_temp("full_new.db");
    EXPECT(fails_with_file_limit(path, 1 << 20));
    EXPECT(!exists(path));
}

static void a_full_disk_leaves_the_old_runs(void)
{
    const char *const path = harness_temp("full_old.db");
    write_one(path, "one");
    EXPECT(fails_with_file_limit(path, 1 << 20));
    expect_sound(path, 1);
}

/* The child dies with half a transaction written into the file itself. */
static void a_killed_writer_leaves_the_old_runs(void)
{
    const char *const path = harness_temp("killed.db");
    write_one(path, "one");
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct run_record *const run = computed("big", 3, 100000);
        struct store_writer *store;
        struct err err;
        if (store_create_or_extend(&store, path, &err) &&
            store_add_run(store, run, &err)) {
            (void)kill(getpid(), SIGKILL);
        }
        _exit(1);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    EXPECT(WIFSIGNALED(status));
    expect_sound(path, 1);
    write_one(path, "two");
    expect_sound(path, 2);
}

static void a_second_writer_is_refused(void)
{
    const char *const path = harness_temp("busy.db");
    write_one(path, "one");
    struct store_writer *first;
    struct store_writer *second;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&first, path, &err), &err);
    EXPECT_FAILS(store_create_or_extend(&second, path, &err), &err,
                 "another program is writing to it");
    REQUIRE_OK(store_commit(first, &err), &err);
    expect_sound(path, 1);
}

static void a_store_made_meanwhile_is_not_overwritten(void)
{
    const char *const path = harness_temp("race.db");
    struct run_record *const run = computed("slow", 1, 40);
    struct store_writer *slow;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&slow, path, &err), &err);
    REQUIRE_OK(store_add_run(slow, run, &err), &err);
    write_one(path, "fast");
    EXPECT_FAILS(store_commit(slow, &err), &err, "run again to extend it");
    expect_sound(path, 1);
    run_record_delete(run);
}

static void what_is_no_store_is_refused_and_kept(void)
{
    static const char content[] = "rows,of,a,table\n1,2,3,4\n";
    const char *const path =
        harness_temp_file("table.csv", content, sizeof content - 1);
    struct store_writer *writer;
    struct store_reader *reader;
    struct err err;
    EXPECT_FAILS(store_create_or_extend(&writer, path, &err), &err, "not a database");
    EXPECT_U64(err.kind, ERR_INPUT);
    EXPECT_FAILS(store_open(&reader, path, &err), &err, "not a database");
    char back[sizeof content] = "";
    FILE *const file = fopen(path, "r");
    REQUIRE(file != NULL);
    EXPECT_U64(fread(back, 1, sizeof back, file), sizeof content - 1);
    (void)fclose(file);
    EXPECT_STR(back, content);
}

static void change(const char *path, const char *statement)
{
    struct sql *sql;
    struct err err;
    REQUIRE_OK(sql_open(&sql, path, path, &err), &err);
    REQUIRE_OK(sql_run(sql, statement, &err), &err);
    sql_close(sql);
}

static void a_database_of_another_program_is_refused(void)
{
    const char *const path = harness_temp_file("other.db", "", 0);
    change(path, "CREATE TABLE birds (name TEXT)");
    struct store_writer *writer;
    struct err err;
    EXPECT_FAILS(store_create_or_extend(&writer, path, &err), &err,
                 "not a stacksim store");
}

static void a_newer_schema_is_refused(void)
{
    const char *const path = harness_temp("newer.db");
    write_one(path, "one");
    change(path, "PRAGMA user_version = 3");
    struct store_writer *writer;
    struct store_reader *reader;
    struct err err;
    EXPECT_FAILS(store_create_or_extend(&writer, path, &err), &err,
                 "schema 3, this program knows 2");
    EXPECT_FAILS(store_open(&reader, path, &err), &err,
                 "schema 3, this program knows 2");
}

static void paths_that_cannot_be_written_say_why(void)
{
    struct store_writer *writer;
    struct err err;
    EXPECT_FAILS(
        store_create_or_extend(&writer, harness_temp("no/such/folder.db"), &err), &err,
        "No such file");
    EXPECT_U64(err.kind, ERR_IO);
    EXPECT_FAILS(store_create_or_extend(&writer, "/", &err), &err,
                 "not a regular file");
    EXPECT_FAILS(store_create_or_extend(&writer, "-", &err), &err, "name a file");
    EXPECT_U64(err.kind, ERR_USAGE);
}

static void a_missing_store_cannot_be_read(void)
{
    struct store_reader *reader;
    struct err err;
    EXPECT_FAILS(store_open(&reader, harness_temp("missing.db"), &err), &err,
                 "No such file");
    EXPECT_FAILS(store_open(&reader, harness_temp_file("void.db", "", 0), &err), &err,
                 "holds no runs");
}

static void a_row_that_makes_no_sense_is_an_error_of_the_file(void)
{
    const char *const path = harness_temp("edited.db");
    write_one(path, "one");
    change(path, "UPDATE request SET status = 99 WHERE request_id = 5");
    struct store_reader *reader;
    struct run_record *run;
    struct err err;
    REQUIRE_OK(store_open(&reader, path, &err), &err);
    EXPECT_FAILS(store_read_run(reader, 0, &run, &err), &err, "table request");
    EXPECT_U64(err.kind, ERR_INPUT);
    store_close(reader);
}

static void rows_may_come_in_pieces(void)
{
    const char *const path = harness_temp("pieces.db");
    struct run_record *const run = computed("one", 1, 100);
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_begin_run(store, &err), &err);
    for (size_t i = 0; i < run->request_count; i += 10) {
        REQUIRE_OK(store_add_requests(store, &run->requests[i], 10, &err), &err);
    }
    REQUIRE_OK(store_add_samples(store, run->samples, run->sample_count, &err), &err);
    REQUIRE_OK(store_end_run(store, run, &err), &err);
    REQUIRE_OK(store_commit(store, &err), &err);
    struct store_reader *reader;
    struct run_record *back;
    REQUIRE_OK(store_open(&reader, path, &err), &err);
    REQUIRE_OK(store_read_run(reader, 0, &back, &err), &err);
    expect_same_run(back, run);
    run_record_delete(back);
    store_close(reader);
    run_record_delete(run);
}

/* Two runs of two keys, on the heap as stored_sweep_delete wants it. */
static struct stored_sweep *sample_sweep(void)
{
    struct stored_sweep *const sweep = mem_alloc(1, sizeof *sweep);
    sweep->name = mem_strdup("grid");
    sweep->plan_yaml = mem_strdup("scenario: demo\n");
    sweep->digest = UINT64_C(0xfedcba9876543210);
    sweep->run_count = 2;
    sweep->runs = mem_alloc(2, sizeof *sweep->runs);
    for (size_t i = 0; i < 2; i++) {
        struct stored_sweep_run *const run = &sweep->runs[i];
        run->name = mem_strdup(i == 0 ? "random, rate 0.5" : "random, rate 2");
        run->key_count = 2;
        run->keys = mem_alloc(2, sizeof *run->keys);
        run->keys[0].key = mem_strdup("policy");
        run->keys[0].value = mem_strdup("random");
        run->keys[1].key = mem_strdup("rate");
        run->keys[1].value = mem_strdup(i == 0 ? "0.5" : "2");
    }
    return sweep;
}

static void write_sweep(const char *path)
{
    struct stored_sweep *const sweep = sample_sweep();
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_put_sweep(store, sweep, &err), &err);
    REQUIRE_OK(store_commit(store, &err), &err);
    stored_sweep_delete(sweep);
}

static void add_as(const char *path, int64_t run_id)
{
    struct run_record *const run = computed("any", 1, 20);
    struct store_writer *store;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_begin_run_as(store, run_id, &err), &err);
    REQUIRE_OK(store_end_run(store, run, &err), &err);
    REQUIRE_OK(store_commit(store, &err), &err);
    run_record_delete(run);
}

static void a_sweep_comes_out_as_it_went_in(void)
{
    const char *const path = harness_temp("sweep.db");
    struct store_reader *reader;
    struct stored_sweep *back;
    struct err err;
    write_sweep(path);
    REQUIRE_OK(store_open(&reader, path, &err), &err);
    EXPECT_U64(store_run_count(reader), 0);
    REQUIRE_OK(store_read_sweep(reader, &back, &err), &err);
    REQUIRE(back != NULL);
    EXPECT_STR(back->name, "grid");
    EXPECT_STR(back->plan_yaml, "scenario: demo\n");
    EXPECT_U64(back->digest, UINT64_C(0xfedcba9876543210));
    REQUIRE(back->run_count == 2);
    EXPECT_STR(back->runs[1].name, "random, rate 2");
    REQUIRE(back->runs[0].key_count == 2);
    EXPECT_STR(back->runs[0].keys[1].key, "rate");
    EXPECT_STR(back->runs[0].keys[1].value, "0.5");
    stored_sweep_delete(back);
    store_close(reader);
    write_one(harness_temp("plain.db"), "one");
    REQUIRE_OK(store_open(&reader, harness_temp("plain.db"), &err), &err);
    REQUIRE_OK(store_read_sweep(reader, &back, &err), &err);
    EXPECT(back == NULL);
    store_close(reader);
}

static void runs_of_a_sweep_keep_their_ids_whatever_comes_first(void)
{
    const char *const path = harness_temp("ids.db");
    struct store_reader *reader;
    struct store_writer *writer;
    struct err err;
    write_sweep(path);
    add_as(path, 2);
    write_one(path, "beside"); /* an id of its own, beyond the plan */
    add_as(path, 1);
    REQUIRE_OK(store_open(&reader, path, &err), &err);
    REQUIRE(store_run_count(reader) == 3);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_I64(store_run_id(reader, i), (int64_t)i + 1);
    }
    store_close(reader);
    REQUIRE_OK(store_create_or_extend(&writer, path, &err), &err);
    EXPECT_FAILS(store_begin_run_as(writer, 2, &err), &err, "run 2 is there already");
    store_abort(writer);
}

HARNESS_MAIN(
    "store", TEST(what_goes_in_comes_out), TEST(an_existing_store_is_extended),
    TEST(an_empty_file_becomes_a_store), TEST(an_aborted_store_leaves_no_file),
    TEST(an_aborted_extension_leaves_the_old_runs),
    TEST(a_full_disk_leaves_no_new_store), TEST(a_full_disk_leaves_the_old_runs),
    TEST(a_killed_writer_leaves_the_old_runs), TEST(a_second_writer_is_refused),
    TEST(a_store_made_meanwhile_is_not_overwritten),
    TEST(what_is_no_store_is_refused_and_kept),
    TEST(a_database_of_another_program_is_refused), TEST(a_newer_schema_is_refused),
    TEST(paths_that_cannot_be_written_say_why), TEST(a_missing_store_cannot_be_read),
    TEST(a_row_that_makes_no_sense_is_an_error_of_the_file),
    TEST(rows_may_come_in_pieces), TEST(a_sweep_comes_out_as_it_went_in),
    TEST(runs_of_a_sweep_keep_their_ids_whatever_comes_first))
