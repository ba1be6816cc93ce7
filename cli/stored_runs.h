/* SPDX-License-Identifier: Apache-2.0
 *
 * stored_runs.h: the runs of a result store: summaries, and rows of those that are
 * asked for.
 *
 * A path that ends with .csv is what `report --format csv` printed: metrics without
 * rows.
 */
#ifndef STACKSIM_CLI_STORED_RUNS_H
#define STACKSIM_CLI_STORED_RUNS_H

#include "base/err.h"

#include <stddef.h>

struct run_record;
struct store_reader;

/* In the order in which they were added; owned. */
struct stored_runs {
    struct run_record **runs;
    size_t count;
    struct store_reader *reader; /* NULL of a CSV, and once it was closed */
};

/* Summaries: rows of requests and samples stay in the store. A store without a run is
 * an error. To be released in every case. */
NODISCARD bool stored_runs_read(struct stored_runs *stored, const char *path,
                                struct err *err);
/* Adds its rows to a run, which stays where it is. */
NODISCARD bool stored_runs_load(struct stored_runs *stored,
                                const struct run_record *run, struct err *err);
/* Nothing more will be loaded: lets the file go. */
void stored_runs_close(struct stored_runs *stored);
void stored_runs_fini(struct stored_runs *stored);

#endif
