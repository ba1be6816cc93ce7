/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h: one self-contained HTML page about one or more runs.
 */
#ifndef STACKSIM_REPORTS_REPORT_H
#define STACKSIM_REPORTS_REPORT_H

#include "base/err.h"
#include "reports/plot.h"
#include "reports/replicated.h"
#include "reports/run.h"

struct report {
    const char *title; /* NULL: made from the scenario's name */
    const struct run_record *const *runs;
    size_t run_count;
    const struct plot_set *plots; /* NULL = no pictures */
    const char *command;          /* that repeats it; NULL = unknown */
    const char *store_path;       /* where the rows are; NULL = nowhere */
    const char *verdict;          /* lines; NULL = what follows from these runs alone */
    /* All seeds of the arms, whose first seed `runs` are: figures are means over them.
     * NULL: one seed. */
    const struct replicated *seeds;
    /* Of a sweep, whose arms `runs` are; NULL: no sweep over a load. */
    const struct load_curves *load;
};

/* Writes the page whole or not at all. SVGs are read from plots and put inline. */
NODISCARD bool report_write_html(const struct report *report, const char *path,
                                 struct err *err);

#endif
