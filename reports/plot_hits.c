/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_hits.c: does the prefix cache warm up, and does it stay warm?
 *
 * Drawn from the rows of requests: an engine is asked for a prefix when it first puts a
 * request in a batch.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>

enum { BINS = 60, AREA_PX = 180, TITLE_PX = 16 };

struct span {
    double start_s;
    double end_s;
};

static bool is_counted(const struct request_row *row)
{
    return row->scheduled_ns != RUN_TIME_NONE && row->prompt_tokens > 0;
}

static void extend(struct span *span, const struct run_record *run, bool *has_hits)
{
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *const row = &run->requests[i];
        if (is_counted(row)) {
            span->start_s = fmin(span->start_s, (double)row->scheduled_ns * 1e-9);
            span->end_s = fmax(span->end_s, (double)row->scheduled_ns * 1e-9);
            *has_hits = *has_hits || row->cached_tokens > 0;
        }
    }
}

/* Returns the lines added: bins in which nothing began are left out. */
static size_t add_rows(const struct run_record *run, const char *name, struct span span,
                       double *largest, struct text *csv)
{
    double hit[BINS] = {0.0};
    double asked[BINS] = {0.0};
    const double unit_s = plot_time_unit(span.end_s - span.start_s).seconds;
    const double bin_s = fmax((span.end_s - span.start_s) / BINS, 1e-3);
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *const row = &run->requests[i];
        if (is_counted(row)) {
            const double at = ((double)row->scheduled_ns * 1e-9 - span.start_s) / bin_s;
            const size_t bin = at < BINS - 1 ? (size_t)at : BINS - 1;
            hit[bin] += row->cached_tokens;
            asked[bin] += row->prompt_tokens;
        }
    }
    size_t lines = 0;
    for (size_t bin = 0; bin < BINS; bin++) {
        if (asked[bin] > 0.0) {
            plot_add_field(csv, name);
            text_printf(csv, ",%.6g,%.5g\n",
                        (span.start_s + ((double)bin + 0.5) * bin_s) / unit_s,
                        hit[bin] / asked[bin]);
            *largest = fmax(*largest, hit[bin] / asked[bin]);
            lines++;
        }
    }
    return lines;
}

static void add_script(const struct plot_runs *runs, struct span span,
                       struct plot_time_unit unit, struct plot_script *script)
{
    struct text *const out = &script->body;
    plot_add_runs_below(script, runs);
    text_printf(&script->above, "%d", AREA_PX + TITLE_PX);
    plot_add_place(out, 0, AREA_PX);
    text_printf(out, "set xrange [%.9g:%.9g]\nset xlabel 'simulated time (%s)'\n",
                span.start_s / unit.seconds,
                fmax(span.end_s, span.start_s + BINS * 1e-3) / unit.seconds, unit.name);
    text_add(out, "set ylabel 'found (%)'\nset format x '%g'\n" PLOT_MARGINS PLOT_KEY);
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    struct span span = {(double)INFINITY, -(double)INFINITY};
    bool has_hits = false;
    for (size_t i = 0; i < runs->count; i++) {
        extend(&span, runs->at[i], &has_hits);
    }
    if (!has_hits) {
        return false;
    }
    const struct plot_time_unit unit = plot_time_unit(span.end_s - span.start_s);
    add_script(runs, span, unit, script);
    text_printf(csv, "run,time_%s,prefix_hit_ratio\n", unit.name);
    size_t line = 1; /* after the header */
    double largest = 0.0;
    struct text lines = {0};
    for (size_t i = 0; i < runs->count; i++) {
        const size_t added = add_rows(runs->at[i], runs->names[i], span, &largest, csv);
        if (added == 0) {
            continue;
        }
        text_printf(&lines,
                    "%sdata using 2:(100*$3) every ::%zu::%zu with lines lw 1.8 dt %s "
                    "lc rgb '%s' title ",
                    lines.length == 0 ? "plot " : ", ", line, line + added - 1,
                    plot_dash(i), plot_colour(i));
        plot_add_quoted(&lines, runs->names[i]);
        line += added;
    }
    plot_add_value_axis(&script->body, "y", 0.0, 100.0 * largest);
    text_add(&script->body, text_str(&lines));
    text_fini(&lines);
    text_add(&script->body, "\n");
    return true;
}

const struct plot_kind plot_hits = {
    .name = "hits",
    .title = "Prefix cache over time",
    .caption =
        "Share of prompt tokens that an engine found in its prefix cache, by the "
        "time at which requests began. It climbs while caches warm up; a policy "
        "that sends a session to the engine that knows it climbs higher.",
    .make = make,
};
