/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_overview.c: many runs in one picture: a line from median to p99 for each, the
 * best on top. Distributions of more than a handful of runs cannot be told apart.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>

enum { RUNS_MIN = 5 };

struct sorted {
    const struct run_record **runs;
    const char **names;
    size_t count;
};

/* By p99 of TTFT; what is unknown comes last, equals in the order of the runs. */
static bool comes_before(const struct run_record *a, const struct run_record *b)
{
    const double left = a->metrics.value[METRIC_TTFT_MS_P99];
    const double right = b->metrics.value[METRIC_TTFT_MS_P99];
    return isnan(right) ? !isnan(left) : left < right;
}

static void sort_runs(struct sorted *sorted, const struct plot_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        size_t at = i;
        while (at > 0 && comes_before(runs->at[i], sorted->runs[at - 1])) {
            sorted->runs[at] = sorted->runs[at - 1];
            sorted->names[at] = sorted->names[at - 1];
            at--;
        }
        sorted->runs[at] = runs->at[i];
        sorted->names[at] = runs->names[i];
    }
}

static void add_csv(const struct sorted *sorted, struct text *csv)
{
    static const enum metric metrics[] = {
        METRIC_TTFT_MS_P50, METRIC_TTFT_MS_P90, METRIC_TTFT_MS_P99,
        METRIC_TPOT_MS_P50, METRIC_TPOT_MS_P90, METRIC_TPOT_MS_P99,
    };
    const size_t metric_count = sizeof metrics / sizeof metrics[0];
    text_add(csv, "run");
    for (size_t i = 0; i < metric_count; i++) {
        text_printf(csv, ",%s", metric_info(metrics[i])->name);
    }
    text_add(csv, "\n");
    for (size_t run = 0; run < sorted->count; run++) {
        plot_add_field(csv, sorted->names[run]);
        for (size_t i = 0; i < metric_count; i++) {
            text_printf(csv, ",%.6g", sorted->runs[run]->metrics.value[metrics[i]]);
        }
        text_add(csv, "\n");
    }
}

/* What to draw and where it stands. */
struct panel {
    const char *axis;  /* "TTFT (s)" */
    unsigned column;   /* of the median in the CSV; p90 and p99 follow it */
    const char *scale; /* of the CSV's value: "/1000" */
    const char *colour;
};

static void add_points(const struct panel *panel, unsigned offset, const char *style,
                       struct text *out)
{
    text_printf(out,
                ", data using ($%u%s):(-$0) skip 1 with points %s lc rgb '%s' notitle",
                panel->column + offset, panel->scale, style, panel->colour);
}

static void add_panel(const struct panel *panel, struct text *out)
{
    const unsigned column = panel->column;
    text_printf(out, "set xlabel '%s: median, p90, p99'\n", panel->axis);
    text_printf(out,
                "plot data using ($%u%s):(-$0):(($%u-$%u)%s):(0) skip 1 with vectors "
                "nohead lw 2 lc rgb '%s' notitle",
                column, panel->scale, column + 2, column, panel->scale, panel->colour);
    add_points(panel, 0, "pt 7 ps 0.8", out);
    add_points(panel, 1, "pt 5 ps 0.8", out);
    add_points(panel, 2, "pt 9 ps 1.1", out);
    text_add(out, "\n");
}

/* From the least median to the largest p99. */
static void add_range(const struct sorted *sorted, enum metric low, enum metric high,
                      double scale, struct text *out)
{
    double least = (double)INFINITY;
    double most = 0.0;
    for (size_t i = 0; i < sorted->count; i++) {
        least = fmin(least, sorted->runs[i]->metrics.value[low] * scale);
        most = fmax(most, sorted->runs[i]->metrics.value[high] * scale);
    }
    plot_add_value_axis(out, "x", least, most);
}

static void add_all(const struct sorted *sorted, struct plot_script *script)
{
    const struct plot_panels layout =
        plot_rows_begin(script, sorted->names, sorted->count, 2);
    struct text *const out = &script->body;
    plot_rows_place(out, &layout, sorted->names, sorted->count, 0);
    add_range(sorted, METRIC_TTFT_MS_P50, METRIC_TTFT_MS_P99, 1e-3, out);
    add_panel(&(struct panel){"TTFT (s)", 2, "/1000", "#0072b2"}, out);
    plot_rows_place(out, &layout, sorted->names, sorted->count, 1);
    add_range(sorted, METRIC_TPOT_MS_P50, METRIC_TPOT_MS_P99, 1.0, out);
    add_panel(&(struct panel){"TPOT (ms)", 5, "", "#d55e00"}, out);
    text_add(out, "unset multiplot\n");
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    if (runs->count < RUNS_MIN || runs->seeds != NULL) {
        return false;
    }
    struct sorted sorted = {
        .runs = mem_alloc(runs->count, sizeof(struct run_record *)),
        .names = mem_alloc(runs->count, sizeof(char *)),
        .count = runs->count,
    };
    sort_runs(&sorted, runs);
    add_csv(&sorted, csv);
    add_all(&sorted, script);
    mem_free(sorted.runs);
    mem_free(sorted.names);
    return true;
}

const struct plot_kind plot_overview = {
    .name = "overview",
    .title = "All runs",
    .caption = "Each line goes from the median (dot) over p90 (square) to p99 "
               "(triangle); runs are in order of their p99 of "
               "TTFT. Further left is better; a long line means that some requests "
               "fare much worse than others.",
    .all_runs = true,
    .make = make,
};
