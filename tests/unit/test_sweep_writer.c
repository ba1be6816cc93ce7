/* SPDX-License-Identifier: Apache-2.0
 *
 * Many threads, one store, one lock.
 */
#include "base/mem.h"
#include "cli/jobs.h"
#include "cli/lock_file.h"
#include "cli/sweep_writer.h"
#include "reports/store.h"
#include "reports/stored_sweep.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS = 60, THREADS = 8, ROWS = 30 };

static void make_store(const char *path)
{
    struct stored_sweep *const sweep = mem_alloc(1, sizeof *sweep);
    struct store_writer *store;
    struct err err;
    sweep->name = mem_strdup("many");
    sweep->plan_yaml = mem_strdup("");
    sweep->runs = mem_alloc(RUNS, sizeof *sweep->runs);
    sweep->run_count = RUNS;
    for (size_t i = 0; i < RUNS; i++) {
        char name[32];
        snprintf(name, sizeof name, "run %zu", i);
        sweep->runs[i].name = mem_strdup(name);
    }
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(store_put_sweep(store, sweep, &err), &err);
    REQUIRE_OK(store_commit(store, &err), &err);
    stored_sweep_delete(sweep);
}

struct putting {
    struct sweep_writer *writer;
    atomic_int failed;
    int64_t run_id; /* of all, when not 0 */
};

static void put_one(void *context, size_t index)
{
    struct putting *const putting = context;
    const struct sample sample = {
        .name = "any", .seed = index + 1, .requests = ROWS, .engines = 2};
    struct run_record *const run = sample_run(&sample);
    struct err err = {0};
    if (!metrics_compute(run, &err) ||
        !sweep_writer_put(putting->writer,
                          putting->run_id != 0 ? putting->run_id : (int64_t)index + 1,
                          run, &err)) {
        atomic_fetch_add(&putting->failed, 1);
    }
}

static void watch_nothing(void *context)
{
    (void)context;
}

static void put_all(struct putting *putting, size_t count)
{
    const struct jobs jobs = {
        .count = count,
        .threads_max = THREADS,
        .context = putting,
        .work = put_one,
        .watch = watch_nothing,
    };
    jobs_run(&jobs);
}

static void what_many_threads_put_is_all_there_under_its_id(void)
{
    const char *const path = harness_temp("many.db");
    struct store_reader *reader;
    struct err err;
    make_store(path);
    struct putting putting = {.writer = sweep_writer_new(path, 2, false)};
    put_all(&putting, RUNS);
    EXPECT_I64(atomic_load(&putting.failed), 0);
    EXPECT_U64(sweep_writer_written(putting.writer), RUNS);
    sweep_writer_delete(putting.writer);
    REQUIRE_OK(store_open(&reader, path, &err), &err);
    REQUIRE(store_run_count(reader) == RUNS);
    for (size_t i = 0; i < RUNS; i += 7) {
        struct run_record *run;
        REQUIRE_OK(store_read_run(reader, i, &run, &err), &err);
        EXPECT_I64(store_run_id(reader, i), (int64_t)i + 1);
        EXPECT_U64(run->info.seed, i + 1);
        EXPECT_U64(run->request_count, ROWS);
        run_record_delete(run);
    }
    store_close(reader);
}

static void after_a_failure_nothing_is_written_and_somebody_is_told(void)
{
    const char *const path = harness_temp("twice.db");
    make_store(path);
    struct putting putting = {.writer = sweep_writer_new(path, 2, true), .run_id = 7};
    put_all(&putting, RUNS); /* all of them claim to be run 7 */
    EXPECT(atomic_load(&putting.failed) > 0);
    EXPECT(sweep_writer_written(putting.writer) <= 1);
    put_one(&putting, 3);
    EXPECT(sweep_writer_written(putting.writer) <= 1);
    sweep_writer_delete(putting.writer);
}

static void a_lock_is_held_once_and_ends_with_its_holder(void)
{
    const char *const path = harness_temp("locked.db");
    const char *const name = harness_temp("locked.db.lock");
    struct lock_file *lock = NULL;
    struct lock_file *second = NULL;
    struct stat status;
    struct err err;
    harness_temp_file("locked.db.lock", "left by a kill", 14);
    REQUIRE_OK(lock_file_take(&lock, path, &err), &err);
    EXPECT_FAILS(lock_file_take(&second, path, &err), &err,
                 "locked.db: another sweep is writing to it");
    EXPECT(stat(name, &status) == 0);
    lock_file_release(lock);
    EXPECT(stat(name, &status) != 0);
    REQUIRE_OK(lock_file_take(&second, path, &err), &err);
    lock_file_release(second);
    EXPECT_FAILS(lock_file_take(&lock, harness_temp("no/where.db"), &err), &err,
                 "check that its folder");
}

HARNESS_MAIN("sweep_writer", TEST(what_many_threads_put_is_all_there_under_its_id),
             TEST(after_a_failure_nothing_is_written_and_somebody_is_told),
             TEST(a_lock_is_held_once_and_ends_with_its_holder))
