/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_write.h: any workload as a file of our own format (docs/traces.md).
 *
 * Only columns that are used appear, so the rows wait in a temporary file until the
 * last one is known. The target appears whole or not at all.
 */
#ifndef STACKSIM_TRACES_TRACE_WRITE_H
#define STACKSIM_TRACES_TRACE_WRITE_H

#include "base/err.h"
#include "traces/workload.h"

struct trace_writer;

/* "-" is stdout. block_tokens: of recorded blocks (workload_block_tokens), or 0.
 * source: where the records come from, one line, or NULL. */
NODISCARD bool trace_writer_open(struct trace_writer **out, const char *path,
                                 uint32_t block_tokens, const char *source,
                                 struct err *err);
/* Records come in order of arrival, as workload_next gives them. */
NODISCARD bool trace_writer_add(struct trace_writer *writer,
                                const struct trace_record *record, struct err *err);
/* Both free the writer; abort(NULL) is legal. */
NODISCARD bool trace_writer_commit(struct trace_writer *writer, struct err *err);
void trace_writer_abort(struct trace_writer *writer);

/* All that is left of a workload. *rows, if not NULL, gets their number. */
NODISCARD bool trace_write_all(struct workload *workload, const char *path,
                               uint64_t *rows, struct err *err);

#endif
