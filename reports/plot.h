/* SPDX-License-Identifier: Apache-2.0
 *
 * plot.h: pictures of runs, drawn by gnuplot at run time.
 *
 * Each plot of reports/registry.def leaves STEM_name.csv and STEM_name.gp, and, when
 * gnuplot is found in $PATH, STEM_name.svg, STEM_name_narrow.svg (for phones) and
 * STEM_name.png drawn from these two. The script draws itself again with
 * `gnuplot STEM_name.gp` in its folder.
 */
#ifndef STACKSIM_REPORTS_PLOT_H
#define STACKSIM_REPORTS_PLOT_H

#include "base/err.h"
#include "reports/load_curves.h"
#include "reports/replicated.h"
#include "reports/run.h"

#include <stddef.h>

enum { PLOTS_MAX = 32, PLOT_PATH_BYTES = 4096 };
/* Of more runs than this, plots of single runs show so many: the first one and the best
 * of the others. */
enum { PLOT_RUNS_MAX = 8, PLOT_RUNS_CHOSEN = 6 };
enum { PLOT_WIDE_PX = 760, PLOT_NARROW_PX = 380 };

struct plot_file {
    const char *name;    /* "ttft_cdf" (static) */
    const char *title;   /* static */
    const char *caption; /* what to look at (static) */
    bool drawn;          /* svgs and png exist; else only csv and gp */
    char svg_path[PLOT_PATH_BYTES];
    char narrow_path[PLOT_PATH_BYTES];
    char png_path[PLOT_PATH_BYTES];
    char csv_path[PLOT_PATH_BYTES];
    char gp_path[PLOT_PATH_BYTES];
};

struct plot_set {
    struct plot_file files[PLOTS_MAX];
    size_t count;
    /* Why nothing was drawn ("gnuplot was not found in $PATH; install it ..."), or "".
     * Not an error: the report is made without pictures. */
    char note[ERR_TEXT_BYTES];
};

struct plot_input {
    const struct run_record *const *runs;
    size_t run_count;
    /* All seeds of the arms whose first seed `runs` are; NULL: one seed. */
    const struct replicated *seeds;
    const struct load_curves *load; /* of a sweep; NULL: none */
};

/* stem: "out/compare" gives out/compare_ttft_cdf.svg and so on. Plots for which the
 * input holds no data are left out. Fails when a file cannot be written or gnuplot
 * itself fails. Files of a failed call may stay behind. */
NODISCARD bool plot_write(const struct plot_input *input, const char *stem,
                          struct plot_set *out, struct err *err);

#endif
