/* SPDX-License-Identifier: Apache-2.0
 *
 * outfile.h: files that appear whole or not at all (STYLE 12.2).
 *
 * Opened before the work as a temporary file beside the target, renamed onto it by
 * outfile_commit after a successful flush and fsync. "-" writes to stdout.
 */
#ifndef STACKSIM_BASE_OUTFILE_H
#define STACKSIM_BASE_OUTFILE_H

#include "base/err.h"

#include <stdio.h>

struct outfile;

NODISCARD bool outfile_open(struct outfile **out, const char *path, struct err *err);
/* Borrowed; write with stdio. */
FILE *outfile_stream(struct outfile *file);
/* Frees file in every case. On false the target is as it was. */
NODISCARD bool outfile_commit(struct outfile *file, struct err *err);
/* Removes the temporary file. file may be NULL. */
void outfile_abort(struct outfile *file);

/* Path of the temporary file, for libraries that open files themselves (SQLite). */
const char *outfile_temp_path(const struct outfile *file);

#endif
