/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_cdf.c: distributions as quantiles at fixed shares.
 *
 * The CSV has one row per share and one column per run, so a million requests make a
 * picture of 320 points per line, and the tail keeps its detail.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"
#include "stats/quantile.h"

#include <math.h>

/* Every half per cent, then finer and finer towards 1. */
enum { COARSE = 180, MIDDLE = 90, FINE = 50, SHARES = COARSE + MIDDLE + FINE + 1 };
enum { AREA_PX = 300 };

static double share_at(size_t index)
{
    if (index < COARSE) {
        return 0.9 * (double)index / COARSE;
    }
    if (index < COARSE + MIDDLE) {
        return 0.9 + 0.09 * (double)(index - COARSE) / MIDDLE;
    }
    return 0.99 + 0.01 * (double)(index - COARSE - MIDDLE) / FINE;
}

struct line {
    const char *name;   /* borrowed */
    int64_t *sorted_ns; /* NULL when the run has no values */
    size_t count;
};

static struct line line_of(const struct plot_cdf *cdf, const struct run_record *run)
{
    struct line line = {0};
    int64_t *const values = mem_alloc(run->request_count, sizeof *values);
    for (size_t i = 0; i < run->request_count; i++) {
        line.count += cdf->value_ns(&run->requests[i], &values[line.count]) ? 1 : 0;
    }
    quantile_sort(values, line.count);
    line.sorted_ns = values;
    return line;
}

struct range {
    double low;
    double high;
};

static void widen(struct range *range, double value)
{
    range->low = value > 0.0 && value < range->low ? value : range->low;
    range->high = value > range->high ? value : range->high;
}

/* Returns what the values span, in the unit of the axis. */
static struct range add_rows(const struct line *lines, size_t line_count,
                             double per_unit, struct text *csv)
{
    struct range range = {(double)INFINITY, 0.0};
    for (size_t at = 0; at < SHARES; at++) {
        text_printf(csv, "%.5f", share_at(at));
        for (size_t i = 0; i < line_count; i++) {
            const double value =
                quantile_of_sorted(lines[i].sorted_ns, lines[i].count, share_at(at)) /
                per_unit;
            text_printf(csv, ",%.6g", value);
            widen(&range, value);
        }
        text_add(csv, "\n");
    }
    return range;
}

static void add_axes(const struct plot_cdf *cdf, struct range range, struct text *out)
{
    text_printf(out, "set xlabel '%s (%s)'\n", cdf->axis, cdf->is_in_s ? "s" : "ms");
    text_add(out, "set ylabel 'share of requests'\n"
                  "set yrange [0:1]\n"
                  "set ytics ('0 %%' 0, '25 %%' 0.25, '50 %%' 0.5, '75 %%' 0.75, "
                  "'90 %%' 0.9, '99 %%' 0.99)\n" PLOT_MARGINS PLOT_KEY);
    plot_add_value_axis(out, "x", range.low, range.high);
}

static void add_lines(const struct line *lines, size_t line_count, struct text *out)
{
    text_add(out, "plot ");
    const char *comma = "";
    for (size_t i = 0; i < line_count; i++) {
        if (lines[i].count == 0) {
            continue;
        }
        text_printf(
            out, "%sdata using %zu:1 skip 1 with lines lw 2 dt %s lc rgb '%s' title ",
            comma, i + 2, plot_dash(i), plot_colour(i));
        plot_add_quoted(out, lines[i].name);
        comma = ", ";
    }
    text_add(out, "\n");
}

bool plot_cdf_make(const struct plot_cdf *cdf, const struct plot_runs *runs,
                   struct text *csv, struct plot_script *script)
{
    struct line *const lines = mem_alloc(runs->count, sizeof *lines);
    bool has_values = false;
    text_add(csv, "share");
    for (size_t i = 0; i < runs->count; i++) {
        lines[i] = line_of(cdf, runs->at[i]);
        lines[i].name = runs->names[i];
        has_values = has_values || lines[i].count > 0;
        text_add(csv, ",");
        plot_add_field(csv, lines[i].name);
    }
    text_add(csv, "\n");
    if (has_values) {
        const double per_unit = cdf->is_in_s ? 1e9 : 1e6;
        const struct range range = add_rows(lines, runs->count, per_unit, csv);
        plot_add_runs_below(script, runs);
        text_printf(&script->above, "%d", AREA_PX + 16);
        plot_add_place(&script->body, 0, AREA_PX);
        add_axes(cdf, range, &script->body);
        add_lines(lines, runs->count, &script->body);
    }
    for (size_t i = 0; i < runs->count; i++) {
        mem_free(lines[i].sorted_ns);
    }
    mem_free(lines);
    return has_values;
}
