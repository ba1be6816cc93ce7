/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_engine_load.c: is the load spread evenly, and when is it not?
 *
 * One panel per run, all on the same scales so that they can be compared: a heat map
 * with a row per engine, as lines of more than two cannot be told apart.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>

enum { LINES_MAX = 2, LINE_BINS = 160, MAP_BINS = 240, MAP_ROWS = 64 };
enum { TITLE_PX = 34, LINES_PX = 110, SCALE_PX = 52 };
/* Height of one engine's row in a map, and bounds of the whole. */
enum { ROW_PX = 16, MAP_PX_MIN = 48, MAP_PX_MAX = 130 };

struct panels {
    const struct plot_runs *runs;
    struct load_grid **grids; /* NULL where a run has no samples */
    bool is_map;
    unsigned area_px; /* of one panel */
    struct plot_counts in_flight;
    double start_s;
    double end_s;
};

static void add_grid(const struct load_grid *grid, const char *name,
                     struct plot_time_unit unit, struct text *csv)
{
    for (size_t row = 0; row < grid->row_count; row++) {
        for (size_t bin = 0; bin < grid->bin_count; bin++) {
            plot_add_field(csv, name);
            const double middle_s = grid->start_s + ((double)bin + 0.5) * grid->bin_s;
            text_printf(csv, ",%zu,%.6g,%.4g\n", row * grid->engines_per_row,
                        middle_s / unit.seconds,
                        grid->in_flight[row * grid->bin_count + bin]);
        }
    }
}

static void add_lines(const struct panels *panels, const struct load_grid *grid,
                      size_t first_line, bool has_key, struct text *out)
{
    text_add(out, "plot ");
    for (size_t row = 0; row < grid->row_count; row++) {
        const size_t first = first_line + row * grid->bin_count;
        text_printf(out, "%sdata using 3:", row == 0 ? "" : ", ");
        plot_add_counts_column(out, &panels->in_flight, 4);
        text_printf(out, " every ::%zu::%zu with lines lw 1.3 lc rgb '%s' ", first,
                    first + grid->bin_count - 1, plot_colour(row));
        if (has_key) {
            text_printf(out, "title 'engine %zu'", row);
        } else {
            text_add(out, "notitle");
        }
    }
    text_add(out, "\n");
}

static void add_map(const struct panels *panels, const struct load_grid *grid,
                    size_t first_line, struct text *out)
{
    const size_t last = first_line + grid->row_count * grid->bin_count - 1;
    const double per_row = (double)grid->engines_per_row;
    const double rows = (double)grid->row_count;
    text_printf(out, "set yrange [-%g:%g]\nset ytics %g\n", 0.5 * per_row,
                (rows - 0.5) * per_row, fmax(1.0, plot_step(rows * per_row, 4.0)));
    text_add(out, "plot data using 3:2:");
    plot_add_counts_column(out, &panels->in_flight, 4);
    text_printf(out, " every ::%zu::%zu with image notitle\n", first_line, last);
}

static void add_panel(const struct panels *panels, size_t panels_below,
                      struct plot_script *script)
{
    struct text *const out = &script->body;
    const unsigned bottom_px = (unsigned)panels_below * (panels->area_px + TITLE_PX);
    plot_add_place(out, bottom_px, bottom_px + panels->area_px);
    text_add(out, panels_below == 0 ? "set xlabel time_label\nset format x '%g'\n"
                                    : "unset xlabel\nset format x ''\n");
    text_add(out, panels_below == 0 && !panels->is_map ? PLOT_KEY : "unset key\n");
}

static void add_scales(const struct panels *panels, struct plot_time_unit unit,
                       struct text *out)
{
    text_printf(out, "time_label = 'simulated time (%s)'\n", unit.name);
    text_printf(out, "set xrange [%.9g:%.9g]\n", panels->start_s / unit.seconds,
                panels->end_s / unit.seconds);
    text_add(out, PLOT_MARGINS);
    plot_add_counts_axis(out, panels->is_map ? "cb" : "y", &panels->in_flight, 6.0);
    text_add(out, panels->is_map
                      ? "set ylabel 'engine'\nunset grid\n"
                        "set colorbox horizontal user origin screen 0.5-90./W,40./H "
                        "size screen 180./W,10./H noborder\n"
                        "set cblabel 'requests in flight' offset 0,0.4\n"
                        "set cbtics offset 0,0.4 scale 0\n"
                        "set palette defined (0 '#f7fbff', 1 '#c6dbef', 2 '#6baed6', "
                        "3 '#2171b5', 4 '#08306b')\n"
                      : "set ylabel 'in flight'\n");
}

static unsigned area_px_of(const struct panels *panels)
{
    size_t rows = 0;
    for (size_t i = 0; i < panels->runs->count; i++) {
        const struct load_grid *const grid = panels->grids[i];
        rows = grid != NULL && grid->row_count > rows ? grid->row_count : rows;
    }
    const unsigned px = (unsigned)rows * ROW_PX;
    return px < MAP_PX_MIN ? MAP_PX_MIN : px > MAP_PX_MAX ? MAP_PX_MAX : px;
}

static void add_all(const struct panels *panels, struct text *csv,
                    struct plot_script *script)
{
    size_t panel_count = 0;
    for (size_t i = 0; i < panels->runs->count; i++) {
        panel_count += panels->grids[i] != NULL;
    }
    const struct plot_time_unit unit = plot_time_unit(panels->end_s - panels->start_s);
    struct text *const out = &script->body;
    plot_add_below(script, panels->is_map ? 0 : LINES_MAX, sizeof "engine 0" - 1);
    text_printf(&script->below, " + %d", panels->is_map ? SCALE_PX : 0);
    text_printf(&script->above, "%zu", panel_count * (panels->area_px + TITLE_PX));
    text_printf(csv, "run,engine,time_%s,in_flight_requests\n", unit.name);
    add_scales(panels, unit, out);
    text_add(out, "set multiplot\n");
    size_t line = 1; /* after the header */
    size_t panel = 0;
    for (size_t i = 0; i < panels->runs->count; i++) {
        const struct load_grid *const grid = panels->grids[i];
        if (grid == NULL) {
            continue;
        }
        const char *const name = panels->runs->names[i];
        add_grid(grid, name, unit, csv);
        text_add(out, "set title ");
        plot_add_quoted(out, name);
        text_add(out, " offset 0,-0.6\n");
        add_panel(panels, panel_count - 1 - panel, script);
        text_add(out, panel == 1 && panels->is_map ? "unset colorbox\n"
                                                   : ""); /* one is enough */
        if (panels->is_map) {
            add_map(panels, grid, line, out);
        } else {
            add_lines(panels, grid, line, panel + 1 == panel_count, out);
        }
        line += grid->row_count * grid->bin_count;
        panel++;
    }
    text_add(out, "unset multiplot\n");
}

static void include_grid(struct panels *panels, const struct load_grid *grid)
{
    double in_flight_max = 0.0;
    for (size_t i = 0; i < grid->row_count * grid->bin_count; i++) {
        in_flight_max = fmax(in_flight_max, grid->in_flight[i]);
    }
    plot_counts_add(&panels->in_flight, in_flight_max);
    const double end_s = grid->start_s + (double)grid->bin_count * grid->bin_s;
    panels->start_s = fmin(panels->start_s, grid->start_s);
    panels->end_s = fmax(panels->end_s, end_s);
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    struct panels panels = {.runs = runs,
                            .in_flight = {0.0, (double)INFINITY, false},
                            .start_s = (double)INFINITY};
    for (size_t i = 0; i < runs->count; i++) {
        panels.is_map = panels.is_map || runs->at[i]->engine_count > LINES_MAX;
    }
    panels.grids = mem_alloc(runs->count, sizeof(struct load_grid *));
    bool has_samples = false;
    for (size_t i = 0; i < runs->count; i++) {
        panels.grids[i] =
            load_grid_new(runs->at[i], panels.is_map ? MAP_BINS : LINE_BINS, MAP_ROWS);
        if (panels.grids[i] != NULL) {
            has_samples = true;
            include_grid(&panels, panels.grids[i]);
        }
    }
    if (has_samples) {
        panels.area_px = panels.is_map ? area_px_of(&panels) : LINES_PX;
        add_all(&panels, csv, script);
    }
    for (size_t i = 0; i < runs->count; i++) {
        load_grid_delete(panels.grids[i]);
    }
    mem_free(panels.grids);
    return has_samples;
}

const struct plot_kind plot_engine_load = {
    .name = "engine_load",
    .title = "Load per engine",
    .caption = "Requests in flight (running and waiting) on each engine over time, on "
               "one scale for all runs (a logarithmic one where they differ greatly). "
               "A row that stays darker than the others is an engine that has too much "
               "to do: its users wait while capacity idles elsewhere.",
    .make = make,
};
