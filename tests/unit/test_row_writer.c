/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows written beside a run: all of them, in their order, and a failure that is told.
 */
#include "cli/row_writer.h"
#include "reports/store.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

/* More than the ring holds, so that it turns, and a rest in either kind of chunk. */
enum { REQUESTS = ROW_WRITER_ROWS * (ROW_WRITER_CHUNKS + 3) + 17 };

static struct run_record *sample(void)
{
    const struct sample made = {
        .name = "rows", .seed = 5, .requests = REQUESTS, .engines = 3};
    struct run_record *run = sample_run(&made);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    return run;
}

/* Requests and samples by turns, as a run leaves them. */
static void hand_all(struct row_writer *writer, const struct run_record *run)
{
    size_t samples = 0;
    for (size_t i = 0; i < run->request_count; i++) {
        row_writer_request(writer, &run->requests[i]);
        while (samples * run->request_count < i * run->sample_count) {
            row_writer_sample(writer, &run->samples[samples++]);
        }
    }
    while (samples < run->sample_count) {
        row_writer_sample(writer, &run->samples[samples++]);
    }
}

static void read_back(const char *path, struct run_record **run)
{
    struct store_reader *reader;
    struct err err;
    REQUIRE_OK(store_open(&reader, path, &err), &err);
    REQUIRE(store_run_count(reader) == 1);
    REQUIRE_OK(store_read_run(reader, 0, run, &err), &err);
    store_close(reader);
}

static void every_row_arrives_in_its_order(void)
{
    struct run_record *run = sample();
    for (int requests = 0; requests < 2; requests++) {
        const char *path = harness_temp(requests == 1 ? "with.db" : "without.db");
        struct store_writer *store;
        struct row_writer *writer;
        struct run_record *back;
        struct err err;
        REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
        REQUIRE_OK(row_writer_new(&writer, store, requests == 1, &err), &err);
        hand_all(writer, run);
        REQUIRE_OK(row_writer_end(writer, run, &err), &err);
        row_writer_delete(writer);
        REQUIRE_OK(store_commit(store, &err), &err);
        read_back(path, &back);
        EXPECT_U64(back->request_count, requests == 1 ? run->request_count : 0);
        EXPECT_U64(back->sample_count, run->sample_count);
        for (size_t i = 0; i < back->sample_count; i++) {
            const struct engine_sample_row *a = &back->samples[i];
            const struct engine_sample_row *b = &run->samples[i];
            harness_note("sample %zu", i);
            EXPECT(a->time_ns == b->time_ns && a->engine == b->engine &&
                   a->running_requests == b->running_requests);
        }
        for (size_t i = 0; i < back->request_count; i++) {
            const struct request_row *a = &back->requests[i];
            const struct request_row *b = &run->requests[i];
            harness_note("row %zu", i);
            EXPECT(a->request_id == b->request_id && a->arrival_ns == b->arrival_ns &&
                   a->end_ns == b->end_ns && a->status == b->status);
        }
        run_record_delete(back);
    }
    run_record_delete(run);
}

static void a_run_that_is_given_up_leaves_nothing(void)
{
    struct run_record *run = sample();
    const char *path = harness_temp("given-up.db");
    struct store_writer *store;
    struct store_reader *reader;
    struct row_writer *writer;
    struct err err;
    REQUIRE_OK(store_create_or_extend(&store, path, &err), &err);
    REQUIRE_OK(row_writer_new(&writer, store, true, &err), &err);
    hand_all(writer, run);
    row_writer_delete(writer);
    store_abort(store);
    EXPECT_FAILS(store_open(&reader, path, &err), &err, "No such file");
    row_writer_delete(NULL);
    run_record_delete(run);
}

static void a_full_disk_is_found_out_and_told(void)
{
    struct run_record *run = sample();
    struct store_writer *store;
    struct row_writer *writer;
    struct rlimit before;
    struct err err = {0};
    struct err told = {0};
    REQUIRE_OK(store_create_or_extend(&store, harness_temp("full.db"), &err), &err);
    REQUIRE_OK(row_writer_new(&writer, store, true, &err), &err);
    (void)signal(SIGXFSZ, SIG_IGN);
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const struct rlimit small = {1 << 16, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    for (int i = 0; i < 10; i++) { /* far beyond SQLite's cache of pages */
        hand_all(writer, run);
    }
    const bool ended = row_writer_end(writer, run, &err);
    const bool failed = row_writer_failed(writer, &told);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    EXPECT(!ended);
    EXPECT(failed);
    EXPECT_HAS(err.text, "full.db");
    EXPECT_STR(told.text, err.text);
    EXPECT_U64(err.kind, ERR_IO);
    row_writer_delete(writer);
    store_abort(store);
    run_record_delete(run);
}

HARNESS_MAIN("unit.row_writer", TEST(every_row_arrives_in_its_order),
             TEST(a_run_that_is_given_up_leaves_nothing),
             TEST(a_full_disk_is_found_out_and_told))
