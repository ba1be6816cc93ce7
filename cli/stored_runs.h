/* SPDX-License-Identifier: Apache-2.0
 *
 * stored_runs.h: all runs of a result store, in memory.
 *
 * A path that ends with .csv is what `report --format csv` printed: metrics without
 * rows.
 */
#ifndef STACKSIM_CLI_STORED_RUNS_H
#define STACKSIM_CLI_STORED_RUNS_H

#include "base/err.h"

#include <stddef.h>

struct run_record;

/* In the order in which they were added; owned. */
struct stored_runs {
    struct run_record **runs;
    size_t count;
};

/* Without rows those of requests and samples are left in the store. A store without a
 * run is an error. To be released in every case. */
NODISCARD bool stored_runs_read(struct stored_runs *stored, const char *path, bool rows,
                                struct err *err);
void stored_runs_fini(struct stored_runs *stored);

#endif
