/* SPDX-License-Identifier: Apache-2.0
 *
 * row_writer.h: rows of one run into its store while the run goes on.
 *
 * A thread of its own writes what it is handed, in the order in which it is handed:
 * which thread is faster shows in no row. Between the two lie at most ROW_WRITER_CHUNKS
 * chunks of rows (some 3 MB); then the run waits. What the store says when it fails (a
 * full disk) is kept for the run to find, and rows that come later are dropped.
 */
#ifndef STACKSIM_CLI_ROW_WRITER_H
#define STACKSIM_CLI_ROW_WRITER_H

#include "base/err.h"

#include <stdbool.h>

struct engine_sample_row;
struct request_row;
struct run_record;
struct row_writer;
struct store_writer;

enum { ROW_WRITER_ROWS = 4096, ROW_WRITER_CHUNKS = 8 };

/* Begins a run in store, which belongs to the thread until row_writer_end or
 * row_writer_delete. Without requests only samples are written. */
NODISCARD bool row_writer_new(struct row_writer **out, struct store_writer *store,
                              bool requests, struct err *err);
/* Stops where it is; the run stays begun. NULL is legal. */
void row_writer_delete(struct row_writer *writer);

void row_writer_request(struct row_writer *writer, const struct request_row *row);
void row_writer_sample(struct row_writer *writer, const struct engine_sample_row *row);

/* Whether writing has failed so far; err then says why. */
bool row_writer_failed(struct row_writer *writer, struct err *err);
/* Waits until all rows are in the store and ends the run there. Once. */
NODISCARD bool row_writer_end(struct row_writer *writer, const struct run_record *run,
                              struct err *err);

#endif
