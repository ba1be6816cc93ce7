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
    const char *const *names;       /* as legends and titles call them */
    const struct replicated *seeds; /* all seeds of these arms; NULL: one */
    const struct load_curves *load; /* of a sweep; NULL: none */
};

/* What gnuplot is to draw. The same script draws a wide picture and a narrow one for
 * phones: it asks its variables W and H, width and height in pixels. `below` is what
 * labels, axis title and legend take under the lowest panel, and H = below + above. */
struct plot_script {
    struct text below; /* expressions of gnuplot in W */
    struct text above;
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
 * yellow replaced because it cannot be read on white. "#0072b2". */
const char *plot_colour(size_t index);
/* The same line on a dark page. */
const char *plot_colour_dark(size_t index);
enum { PLOT_COLOURS = 8 };

/* Dash type of the index-th line, so that lines differ in print as well. */
const char *plot_dash(size_t index);
/* Least and greatest of values; NaN is passed over. low > high: there was none. */
struct plot_span {
    double low;
    double high;
};
struct plot_span plot_span_empty(void);
void plot_span_widen(struct plot_span *span, double value);

/* 1, 2 or 5 times a power of ten: distance of axis labels so that about `count` fit. */
double plot_step(double span, double count);

enum { PLOT_AXIS_PX = 66 /* labels and title of an axis */ };

/* Panels side by side in `columns`, one below the other in a narrow picture. */
struct plot_panels {
    size_t count;
    unsigned columns;  /* in a wide picture */
    unsigned left_px;  /* of the first column, for its labels */
    unsigned gap_px;   /* between columns, with the labels of the right one */
    unsigned area_px;  /* height of one */
    unsigned title_px; /* above each */
};
/* Once, after script->below is known: heights and variables. */
void plot_panels_begin(struct plot_script *script, const struct plot_panels *panels);
/* Places the index-th panel; the variable `column` tells where it lies. */
void plot_panels_place(struct text *out, const struct plot_panels *panels,
                       size_t index);
/* A row per name from top to bottom, at y = 0, -1, -2 ... Begins panels and sets the
 * vertical axis; names stand at the leftmost panel. */
struct plot_panels plot_rows_begin(struct plot_script *script, const char *const *names,
                                   size_t count, size_t panel_count);
void plot_rows_place(struct text *out, const struct plot_panels *panels,
                     const char *const *names, size_t count, size_t index);
/* Adds "set logscale AXIS" when the values span a wide range, and labels for it. */
void plot_add_value_axis(struct text *out, const char *axis, double low, double high);

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

/* Adds to script->below the room of an axis and of a legend; 0 entries: no legend. */
void plot_add_below(struct plot_script *script, size_t entries, size_t longest_chars);
void plot_add_runs_below(struct plot_script *script, const struct plot_runs *runs);
size_t plot_longest_name(const struct plot_runs *runs);
/* Places what is drawn next between two heights over `below`, in pixels or expressions.
 * By hand, as gnuplot would give a panel with legend or axis title less room than the
 * others. */
void plot_add_place(struct text *out, unsigned bottom_px, unsigned top_px);
/* The legend, centred under everything. */
#define PLOT_KEY "set key at screen 0.52,(4./H) bottom center\n"
/* Margins of panels with an axis of numbers. */
#define PLOT_MARGINS "set lmargin at screen 74./W\nset rmargin at screen (W-14.)/W\n"

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
