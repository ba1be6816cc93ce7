/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_queue_kv.c: does work pile up, and is memory the reason?
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>

enum { BINS = 240, AREA_PX = 150, TITLE_PX = 34 };

struct series {
    struct load_grid *grid; /* NULL: no samples */
    size_t first_line;      /* in the CSV */
};

struct extent {
    double start_s;
    double end_s;
    struct plot_counts waiting;
};

static void extend(struct extent *extent, const struct load_grid *grid)
{
    extent->start_s = fmin(extent->start_s, grid->start_s);
    extent->end_s =
        fmax(extent->end_s, grid->start_s + (double)grid->bin_count * grid->bin_s);
    double waiting_max = 0.0;
    for (size_t bin = 0; bin < grid->bin_count; bin++) {
        waiting_max = fmax(waiting_max, grid->waiting[bin]);
    }
    plot_counts_add(&extent->waiting, waiting_max);
}

static void add_rows(const struct load_grid *grid, const char *name,
                     struct plot_time_unit unit, struct text *csv)
{
    for (size_t bin = 0; bin < grid->bin_count; bin++) {
        const double middle_s = grid->start_s + ((double)bin + 0.5) * grid->bin_s;
        plot_add_field(csv, name);
        text_printf(csv, ",%.6g,%.6g,%.4g\n", middle_s / unit.seconds,
                    grid->waiting[bin], grid->kv_used_ratio[bin]);
    }
}

static void add_plot(const struct plot_runs *runs, const struct series *series,
                     const char *using, struct text *out)
{
    bool is_first = true;
    text_add(out, "plot ");
    for (size_t i = 0; i < runs->count; i++) {
        if (series[i].grid == NULL) {
            continue;
        }
        text_printf(out,
                    "%sdata using %s every ::%zu::%zu with lines lw 1.6 "
                    "lc rgb '%s' title ",
                    is_first ? "" : ", ", using, series[i].first_line,
                    series[i].first_line + series[i].grid->bin_count - 1,
                    plot_colour(i));
        plot_add_quoted(out, runs->names[i]);
        is_first = false;
    }
    text_add(out, "\n");
}

static void add_script(const struct plot_runs *runs, const struct series *series,
                       const struct extent *extent, struct plot_script *script)
{
    const struct plot_time_unit unit = plot_time_unit(extent->end_s - extent->start_s);
    const unsigned upper_px = AREA_PX + TITLE_PX;
    struct text *const out = &script->body;
    plot_add_runs_below(script, runs);
    text_printf(&script->above, "%u", upper_px + AREA_PX + TITLE_PX);
    text_printf(out, "set xrange [%.9g:%.9g]\n", extent->start_s / unit.seconds,
                extent->end_s / unit.seconds);
    text_add(out, "set multiplot\n" PLOT_MARGINS
                  "set title 'requests waiting in the engines, whole fleet' "
                  "offset 0,-0.6\n"
                  "set ylabel 'requests'\nset format x ''\nunset key\n");
    plot_add_counts_axis(out, "y", &extent->waiting, 5.0);
    plot_add_place(out, upper_px, upper_px + AREA_PX);
    struct text using = {0};
    text_add(&using, "2:");
    plot_add_counts_column(&using, &extent->waiting, 3);
    add_plot(runs, series, text_str(&using), out);
    text_fini(&using);
    text_add(out, "set title 'KV blocks in use, whole fleet' offset 0,-0.6\n"
                  "set ylabel 'used (%)'\nset yrange [0:100]\nset ytics 20\n"
                  "set format x '%g'\n" PLOT_KEY);
    text_printf(out, "set xlabel 'simulated time (%s)'\n", unit.name);
    plot_add_place(out, 0, AREA_PX);
    add_plot(runs, series, "2:(100*$4)", out);
    text_add(out, "unset multiplot\n");
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    struct series *const series = mem_alloc(runs->count, sizeof *series);
    struct extent extent = {.start_s = (double)INFINITY,
                            .end_s = -(double)INFINITY,
                            .waiting = {0.0, (double)INFINITY, false}};
    bool has_samples = false;
    for (size_t i = 0; i < runs->count; i++) {
        series[i].grid = load_grid_new(runs->at[i], BINS, 1);
        if (series[i].grid != NULL) {
            has_samples = true;
            extend(&extent, series[i].grid);
        }
    }
    const struct plot_time_unit unit = plot_time_unit(extent.end_s - extent.start_s);
    text_printf(csv, "run,time_%s,waiting_requests,kv_used_ratio\n", unit.name);
    size_t line = 1; /* after the header */
    for (size_t i = 0; i < runs->count; i++) {
        series[i].first_line = line;
        if (series[i].grid != NULL) {
            add_rows(series[i].grid, runs->names[i], unit, csv);
            line += series[i].grid->bin_count;
        }
    }
    if (has_samples) {
        add_script(runs, series, &extent, script);
    }
    for (size_t i = 0; i < runs->count; i++) {
        load_grid_delete(series[i].grid);
    }
    mem_free(series);
    return has_samples;
}

const struct plot_kind plot_queue_kv = {
    .name = "queue_kv",
    .title = "Queue and KV memory",
    .caption = "Above: requests that an engine has but does not run yet. A queue that "
               "keeps growing (the scale is logarithmic where runs differ greatly) "
               "means that the fleet is too small for the load. Below: KV "
               "blocks that live requests hold; near 100 % engines preempt.",
    .make = make,
};
