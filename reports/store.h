/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h: runs and their rows in one SQLite file (docs/results.md).
 *
 * Results appear whole. A new store is built in a temporary file in the same folder and
 * renamed by store_commit; an existing one is extended in a single transaction. After a
 * failure, an abort or a kill the file under the final name is as it was before. One
 * writer at a time: a second one is refused.
 *
 * Writing streams: rows of a begun run may come in pieces, from one thread at a time.
 */
#ifndef STACKSIM_REPORTS_STORE_H
#define STACKSIM_REPORTS_STORE_H

#include "base/err.h"
#include "reports/run.h"

#include <stddef.h>
#include <stdint.h>

enum { STORE_SCHEMA_VERSION = 2, STORE_RUNS_MAX = 1 << 20 };

/* PRAGMA application_id, "SSIM". */
#define STORE_APPLICATION_ID 0x5353494d

struct store_writer;
struct stored_sweep;

/* Opens before the work, so that a wrong path is known at once. */
NODISCARD bool store_create_or_extend(struct store_writer **out, const char *path,
                                      struct err *err);

/* An existing store, which others may be reading: waits up to a minute for them. */
NODISCARD bool store_extend_patiently(struct store_writer **out, const char *path,
                                      struct err *err);

/* One whole run: begin, all rows it holds, end. */
NODISCARD bool store_add_run(struct store_writer *store, const struct run_record *run,
                             struct err *err);

/* The same in pieces: begin, rows as they come, end. At the end info, totals, metrics
 * and engines of `run` are taken; its requests and samples are not read. */
NODISCARD bool store_begin_run(struct store_writer *store, struct err *err);
NODISCARD bool store_add_requests(struct store_writer *store,
                                  const struct request_row *rows, size_t count,
                                  struct err *err);
NODISCARD bool store_add_samples(struct store_writer *store,
                                 const struct engine_sample_row *rows, size_t count,
                                 struct err *err);
NODISCARD bool store_end_run(struct store_writer *store, const struct run_record *run,
                             struct err *err);

/* The plan of a sweep, into a store that holds nothing yet. Its runs have the ids 1 to
 * run_count, which no other run gets. */
NODISCARD bool store_put_sweep(struct store_writer *store,
                               const struct stored_sweep *sweep, struct err *err);
/* As store_begin_run for a planned run. False when it is there already. */
NODISCARD bool store_begin_run_as(struct store_writer *store, int64_t run_id,
                                  struct err *err);

/* Makes it all visible. Frees store in every case. A run begun but not ended is a
 * CHECK failure. */
NODISCARD bool store_commit(struct store_writer *store, struct err *err);
/* Forgets everything since opening. store may be NULL. */
void store_abort(struct store_writer *store);

struct store_reader;

NODISCARD bool store_open(struct store_reader **out, const char *path, struct err *err);
void store_close(struct store_reader *store); /* NULL is legal */
/* Runs in the order they were added. */
size_t store_run_count(const struct store_reader *store);
/* Its id in the file. */
int64_t store_run_id(const struct store_reader *store, size_t index);
/* The sweep that its runs belong to; *out NULL when there is none. The caller deletes
 * it. */
NODISCARD bool store_read_sweep(struct store_reader *store, struct stored_sweep **out,
                                struct err *err);
/* The index-th run with all its rows; the caller deletes it. */
NODISCARD bool store_read_run(struct store_reader *store, size_t index,
                              struct run_record **out, struct err *err);
/* The same without rows of requests and samples. */
NODISCARD bool store_read_summary(struct store_reader *store, size_t index,
                                  struct run_record **out, struct err *err);

#endif
