/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_overview.c: many runs in one picture: a line from median to p99 for each, the
 * best on top. Distributions of more than a handful of runs cannot be told apart.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BETWEEN 0.05 /* panels, of the width */
enum { RUNS_MIN = 5, ROW_PX = 19, GAP_PX = 16 };

/* By p99 of TTFT; what is unknown comes last, equals in the order of the runs. */
static bool comes_before(const struct run_record *a, const struct run_record *b)
{
    const double left = a->metrics.value[METRIC_TTFT_MS_P99];
    const double right = b->metrics.value[METRIC_TTFT_MS_P99];
    return isnan(right) ? !isnan(left) : left < right;
}

static void sort_runs(const struct run_record **sorted, const struct plot_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        size_t at = i;
        while (at > 0 && comes_before(runs->at[i], sorted[at - 1])) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = runs->at[i];
    }
}

static size_t longest_name(const struct plot_runs *runs)
{
    size_t longest = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const size_t length = strlen(runs->at[i]->info.name);
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void add_csv(const struct run_record *const *sorted, size_t count,
                    struct text *csv)
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
    for (size_t run = 0; run < count; run++) {
        plot_add_field(csv, sorted[run]->info.name);
        for (size_t i = 0; i < metric_count; i++) {
            text_printf(csv, ",%.6g", sorted[run]->metrics.value[metrics[i]]);
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

/* Without names: only the lines of the grid. */
static void add_rows(const struct run_record *const *sorted, size_t count, bool named,
                     struct text *out)
{
    text_add(out, "set ytics (");
    for (size_t i = 0; i < count; i++) {
        text_add(out, i == 0 ? "" : ", ");
        plot_add_quoted(out, named ? sorted[i]->info.name : "");
        text_printf(out, " -%zu", i);
    }
    text_add(out, ")\n");
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    if (runs->count < RUNS_MIN) {
        return false;
    }
    const struct run_record **sorted =
        mem_alloc(runs->count, sizeof(struct run_record *));
    sort_runs(sorted, runs);
    struct text *const out = &script->body;
    const unsigned area_px = (unsigned)runs->count * ROW_PX + ROW_PX;
    script->width_px = PLOT_WIDTH_PX;
    script->height_px = area_px + PLOT_AXIS_PX + GAP_PX;
    add_csv(sorted, runs->count, csv);
    plot_add_place(out, script, PLOT_AXIS_PX, PLOT_AXIS_PX + area_px);
    const size_t chars = longest_name(runs);
    const double left =
        fmin(0.5, (20 + 8.0 * (double)(chars < 8 ? 8 : chars)) / PLOT_WIDTH_PX);
    const double half = (0.98 - left - BETWEEN) / 2;
    text_printf(out,
                "set logscale x\nset format x '%%g'\nunset ylabel\nunset key\n"
                "set yrange [-%zu.5:0.5]\nset multiplot\n",
                runs->count - 1);
    text_printf(out, "set lmargin at screen %.4f\nset rmargin at screen %.4f\n", left,
                left + half);
    add_rows(sorted, runs->count, true, out);
    add_panel(&(struct panel){"TTFT (s)", 2, "/1000", "#0072b2"}, out);
    text_printf(out, "set lmargin at screen %.4f\nset rmargin at screen 0.98\n",
                left + half + BETWEEN);
    add_rows(sorted, runs->count, false, out);
    add_panel(&(struct panel){"TPOT (ms)", 5, "", "#d55e00"}, out);
    text_add(out, "unset multiplot\n");
    mem_free(sorted);
    return true;
}

const struct plot_kind plot_overview = {
    .name = "overview",
    .title = "All runs",
    .caption = "Each line goes from the median (dot) over p90 (square) to p99 "
               "(triangle), on logarithmic axes; runs are in order of their p99 of "
               "TTFT. Further left is better; a long line means that some requests "
               "fare much worse than others.",
    .all_runs = true,
    .make = make,
};
