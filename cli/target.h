/* SPDX-License-Identifier: Apache-2.0
 *
 * target.h: the result store of a command: opened before the run, there whole after it.
 *
 * Without append an existing store is replaced, so that a command given twice leaves
 * what it left the first time. A file that is not a store is never replaced.
 */
#ifndef STACKSIM_CLI_TARGET_H
#define STACKSIM_CLI_TARGET_H

#include "base/err.h"

struct run_record;
struct store_writer;
struct target;

NODISCARD bool target_open(struct target **out, const char *path, bool append,
                           struct err *err);
/* Without requests: summaries, engines and samples only. */
NODISCARD bool target_add(struct target *target, const struct run_record *run,
                          bool requests, struct err *err);
/* To write in pieces; borrowed. */
struct store_writer *target_store(struct target *target);
/* Frees target in every case. On false the file is as it was before. */
NODISCARD bool target_commit(struct target *target, struct err *err);
void target_abort(struct target *target); /* NULL is legal */

/* Makes the folder and those above it; an existing one is fine. */
NODISCARD bool target_make_folder(const char *path, struct err *err);

#endif
