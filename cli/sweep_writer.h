/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep_writer.h: finished runs of many threads into one store.
 *
 * A transaction waits for the disk, and more cores would wait behind each other. So the
 * thread that comes while nobody writes writes all that has been left meanwhile, in one
 * transaction, and the others go back to simulating.
 */
#ifndef STACKSIM_CLI_SWEEP_WRITER_H
#define STACKSIM_CLI_SWEEP_WRITER_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct run_record;
struct sweep_writer;

/* The store exists. waiting_max: runs that may wait for the disk before threads do. */
struct sweep_writer *sweep_writer_new(const char *store_path, size_t waiting_max,
                                      bool no_requests);
void sweep_writer_delete(struct sweep_writer *writer); /* NULL is legal */

/* From any thread. Takes the run. True: it is written or somebody else is about to.
 * False: that or an earlier transaction failed, and nothing is written any more. When
 * all calls have returned, all is written or one of them has told why not. */
NODISCARD bool sweep_writer_put(struct sweep_writer *writer, int64_t run_id,
                                struct run_record *run, struct err *err);
/* Runs in the store by now, of those put; from any thread. */
size_t sweep_writer_written(struct sweep_writer *writer);

#endif
