/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_replicas.c: how large is the fleet, how large should it be, and what of it
 * serves?
 *
 * One panel per run, all pools together. Lines are steps: a size holds until the next.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>
#include <string.h>

enum { AREA_PX = 110, TITLE_PX = 34, LINES = 3, POOLS_MAX = 64 };

static const char *const line_names[LINES] = {"should be", "hold GPUs", "ready"};

struct panels {
    const struct plot_runs *runs;
    size_t *rows; /* by run: lines of the CSV */
    size_t panel_count;
    struct plot_counts sizes;
    double start_s;
    double end_s;
};

/* The sum over pools from a row on, of which `last` knows the newest size of each. */
struct pools {
    const struct pool_size_row *last[POOLS_MAX];
    size_t count;
};

static void sum_of(struct pools *pools, const struct pool_size_row *row,
                   uint32_t sum[LINES])
{
    size_t at = 0;
    while (at < pools->count && strcmp(pools->last[at]->pool, row->pool) != 0) {
        at++;
    }
    if (at < POOLS_MAX) {
        pools->last[at] = row;
        pools->count = at == pools->count ? at + 1 : pools->count;
    }
    memset(sum, 0, LINES * sizeof *sum);
    for (size_t i = 0; i < pools->count; i++) {
        sum[0] += pools->last[i]->desired;
        sum[1] += pools->last[i]->held_engines;
        sum[2] += pools->last[i]->ready;
    }
}

static void add_row(struct text *csv, const char *name, double time,
                    const uint32_t sum[LINES])
{
    plot_add_field(csv, name);
    text_printf(csv, ",%.9g,%u,%u,%u\n", time, sum[0], sum[1], sum[2]);
}

/* Of one moment only the last row counts. Returns how many lines it added. */
static size_t add_rows(const struct run_record *run, const char *name,
                       struct plot_time_unit unit, struct text *csv)
{
    struct pools pools = {.count = 0};
    uint32_t sum[LINES] = {0};
    size_t lines = 0;
    for (size_t i = 0; i < run->size_count; i++) {
        const struct pool_size_row *row = &run->sizes[i];
        sum_of(&pools, row, sum);
        if (i + 1 == run->size_count || row[1].time_ns != row->time_ns) {
            add_row(csv, name, (double)row->time_ns * 1e-9 / unit.seconds, sum);
            lines++;
        }
    }
    if (lines > 0) {
        add_row(csv, name, (double)run->totals.end_ns * 1e-9 / unit.seconds, sum);
        lines++;
    }
    return lines;
}

static void include(struct panels *panels, const struct run_record *run)
{
    double most = 0;
    struct pools pools = {.count = 0};
    for (size_t i = 0; i < run->size_count; i++) {
        uint32_t sum[LINES];
        sum_of(&pools, &run->sizes[i], sum);
        for (size_t j = 0; j < LINES; j++) {
            most = fmax(most, sum[j]);
        }
    }
    plot_counts_add(&panels->sizes, most);
    panels->end_s = fmax(panels->end_s, (double)run->totals.end_ns * 1e-9);
    panels->panel_count++;
}

static void add_lines(const struct panels *panels, size_t first_line, size_t lines,
                      bool has_key, struct text *out)
{
    text_add(out, "plot ");
    for (unsigned i = 0; i < LINES; i++) {
        text_printf(out, "%sdata using 2:", i == 0 ? "" : ", ");
        plot_add_counts_column(out, &panels->sizes, 3 + i);
        text_printf(out, " every ::%zu::%zu with steps lw 1.6 lc rgb '%s' dashtype %s ",
                    first_line, first_line + lines - 1, plot_colour(i), plot_dash(i));
        text_printf(out, has_key ? "title '%s'" : "notitle", line_names[i]);
    }
    text_add(out, "\n");
}

static void add_script(const struct panels *panels, struct plot_time_unit unit,
                       struct plot_script *script)
{
    struct text *const out = &script->body;
    plot_add_below(script, LINES, sizeof "hold GPUs" - 1);
    text_printf(&script->above, "%zu",
                panels->panel_count * (size_t)(AREA_PX + TITLE_PX));
    text_printf(out, "set xrange [0:%.9g]\n", panels->end_s / unit.seconds);
    text_add(out, PLOT_MARGINS "set ylabel 'replicas'\n");
    plot_add_counts_axis(out, "y", &panels->sizes, 5.0);
    text_add(out, "set multiplot\n");
    size_t line = 1; /* after the header */
    size_t below = panels->panel_count;
    for (size_t i = 0; i < panels->runs->count; i++) {
        if (panels->rows[i] == 0) {
            continue;
        }
        const unsigned bottom_px = (unsigned)--below * (AREA_PX + TITLE_PX);
        text_add(out, "set title ");
        plot_add_quoted(out, panels->runs->names[i]);
        text_add(out, " offset 0,-0.6\n");
        plot_add_place(out, bottom_px, bottom_px + AREA_PX);
        if (below == 0) {
            text_printf(
                out, "set xlabel 'simulated time (%s)'\nset format x '%%g'\n" PLOT_KEY,
                unit.name);
        } else {
            text_add(out, "unset xlabel\nset format x ''\nunset key\n");
        }
        add_lines(panels, line, panels->rows[i], below == 0, out);
        line += panels->rows[i];
    }
    text_add(out, "unset multiplot\n");
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    struct panels panels = {.runs = runs, .sizes = {0.0, (double)INFINITY, false}};
    panels.rows = mem_alloc(runs->count, sizeof *panels.rows);
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->at[i]->size_count > 0) {
            include(&panels, runs->at[i]);
        }
    }
    const bool any = panels.panel_count > 0;
    if (any) {
        const struct plot_time_unit unit = plot_time_unit(panels.end_s);
        text_printf(csv, "run,time_%s,desired,held_engines,ready\n", unit.name);
        for (size_t i = 0; i < runs->count; i++) {
            panels.rows[i] = add_rows(runs->at[i], runs->names[i], unit, csv);
        }
        add_script(&panels, unit, script);
    }
    mem_free(panels.rows);
    return any;
}

const struct plot_kind plot_replicas = {
    .name = "replicas",
    .title = "Size of the fleet",
    .caption = "Replicas that there should be, engines whose pods hold GPUs, and pods "
               "that are ready, over time. Between the second line and the third lie "
               "starts and drains: GPUs that are paid for and serve nobody.",
    .make = make,
};
