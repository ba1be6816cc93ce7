/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_kind.h: what a plot of reports/registry.def is, and what plots share.
 */
#ifndef STACKSIM_REPORTS_PLOT_KIND_H
#define STACKSIM_REPORTS_PLOT_KIND_H

#include "base/text.h"
#include "reports/run.h"

#include <stddef.h>

struct plot_runs {
    const struct run_record *const *at;
    size_t count;
};

/* A picture in pixels of the page, and what gnuplot is to draw into it. */
struct plot_script {
    unsigned width_px;
    unsigned height_px;
    struct text body; /* reads `data`, the CSV file */
};

struct plot_kind {
    const char *name;
    const char *title;
    const char *caption; /* what to look at */
    bool all_runs;       /* else at most PLOT_RUNS_MAX, the first ones */
    /* Adds the CSV and the script; false: the runs hold nothing to draw. */
    bool (*make)(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script);
};

#define PLOT(name) extern const struct plot_kind plot_##name;
#include "reports/registry.def"
#undef PLOT

/* Colour of the index-th line: Okabe and Ito's palette, safe for colour blindness, its
 * yellow replaced because it cannot be read on white. */
const char *plot_colour(size_t index);
enum { PLOT_COLOURS = 8 };

/* Dash type of the index-th line, so that lines differ in print as well. */
const char *plot_dash(size_t index);
/* 1, 2 or 5 times a power of ten: distance of axis labels so that about `count` fit. */
double plot_step(double span, double count);

enum { PLOT_WIDTH_PX = 760, PLOT_AXIS_PX = 64 /* labels and title of a time axis */ };

/* An axis of counts from 0 on. Where the largest count of one run dwarfs that of
 * another it shows log10(1 + count), so that both can be read on one scale. */
struct plot_counts {
    double max;      /* of all runs */
    double smallest; /* of the runs' own maxima */
    bool is_log;
};
/* Start with {0, INFINITY, false}, add each run's maximum, then ask. */
void plot_counts_add(struct plot_counts *counts, double run_max);
/* axis: "y" or "cb". Adds range and labels, about `labels` of them when linear. */
void plot_add_counts_axis(struct text *out, const char *axis,
                          const struct plot_counts *counts, double labels);
/* What to plot of a column: "4", or its logarithm. */
void plot_add_counts_column(struct text *out, const struct plot_counts *counts,
                            unsigned column);

/* Room that a legend of so many entries needs below a plot. */
unsigned plot_key_px(size_t entries, size_t longest_chars);
unsigned plot_runs_key_px(const struct plot_runs *runs);
/* Places what is drawn next between two heights over the picture's lower edge. By hand,
 * as gnuplot would give a panel with legend or axis title less room than the others. */
void plot_add_place(struct text *out, const struct plot_script *script,
                    unsigned bottom_px, unsigned top_px);

/* Adds a string literal of gnuplot. */
void plot_add_quoted(struct text *out, const char *text);
/* Adds a CSV field; line ends become blanks, as gnuplot reads line by line. */
void plot_add_field(struct text *out, const char *text);

/* The cumulative distribution of a latency, one line per run. */
struct plot_cdf {
    const char *axis; /* "TTFT" */
    /* False: the request has no such latency. */
    bool (*value_ns)(const struct request_row *row, int64_t *out);
    bool is_in_s; /* else in ms */
};
bool plot_cdf_make(const struct plot_cdf *cdf, const struct plot_runs *runs,
                   struct text *csv, struct plot_script *script);

/* Engine samples averaged into a grid of engines by bins of time. */
struct load_grid {
    size_t bin_count;
    size_t row_count;       /* engines, or groups of neighbours when there are many */
    size_t engines_per_row; /* at most */
    double start_s;
    double bin_s;
    double *in_flight;     /* [row * bin_count + bin], requests per engine */
    double *waiting;       /* [bin], requests of the whole fleet */
    double *kv_used_ratio; /* [bin], of the whole fleet */
};
/* NULL when the run has no samples. */
struct load_grid *load_grid_new(const struct run_record *run, size_t bins_max,
                                size_t rows_max);
void load_grid_delete(struct load_grid *grid);

/* A unit of time in which numbers up to duration_s are easy to read. */
struct plot_time_unit {
    const char *name; /* "s", "min", "h" */
    double seconds;
};
struct plot_time_unit plot_time_unit(double duration_s);

#endif
