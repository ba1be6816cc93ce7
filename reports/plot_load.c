/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_load.c: latency and throughput against the load, one line per arm of a sweep.
 *
 * Bands are 95 % intervals over seeds; of a single seed there is no band, as nothing is
 * known of other seeds.
 */
#include "reports/load_curves.h"
#include "reports/plot_kind.h"

#include <math.h>
#include <string.h>

struct load_panel {
    const char *title;
    const char *axis; /* "s" turns to "ms" where all is shorter than one */
    enum metric metric;
    double scale; /* of the metric's own unit, which the CSV has */
};

static const struct load_panel all_panels[] = {
    {"time to first token, mean", "s", METRIC_TTFT_MS_MEAN, 1e-3},
    {"time to first token, p99", "s", METRIC_TTFT_MS_P99, 1e-3},
    {"time per output token, mean", "ms", METRIC_TPOT_MS_MEAN, 1.0},
    {"arrival to last token, mean", "s", METRIC_E2E_MS_MEAN, 1e-3},
    {"throughput", "requests/s", METRIC_REQUESTS_PER_S, 1.0},
    {"goodput: within all targets", "requests/s", METRIC_GOODPUT_PER_S, 1.0},
};
enum { PANELS_MAX = sizeof all_panels / sizeof all_panels[0] };

static struct plot_span add_rows(const struct load_curves *load,
                                 const struct load_panel *panel, struct text *csv)
{
    struct plot_span span = plot_span_empty();
    for (size_t i = 0; i < load->line_count; i++) {
        for (size_t at = 0; at < load->lines[i].point_count; at++) {
            const struct load_point *const point = &load->lines[i].points[at];
            const struct estimate value = load_point_estimate(point, panel->metric);
            /* A latency is never negative, whatever Student says. */
            const double low = fmax(value.interval.low, 0.0);
            plot_add_field(csv, load->lines[i].name);
            text_printf(csv, ",%s,%.9g,%zu,%.6g,%.6g,%.6g\n",
                        metric_info(panel->metric)->name, point->x, value.count,
                        value.mean, isnan(value.interval.low) ? (double)NAN : low,
                        value.interval.high);
            plot_span_widen(&span, value.mean * panel->scale);
        }
    }
    return span;
}

static void add_panel(const struct load_curves *load, const struct load_panel *panel,
                      size_t line, bool has_key, struct text *out)
{
    size_t first = line;
    const char *lead = "plot ";
    for (size_t i = 0; i < load->line_count; i++) {
        const size_t last = first + load->lines[i].point_count - 1;
        text_printf(
            out,
            "%sdata using 3:(%g*$6):(%g*$7) every ::%zu::%zu with filledcurves fs "
            "transparent solid 0.18 noborder lc rgb '%s' notitle",
            lead, panel->scale, panel->scale, first, last, plot_colour(i));
        lead = ", ";
        first = last + 1;
    }
    first = line;
    for (size_t i = 0; i < load->line_count; i++) {
        const size_t last = first + load->lines[i].point_count - 1;
        text_printf(
            out,
            ", data using 3:(%g*$5) every ::%zu::%zu with linespoints lw 2 pt 7 ps "
            "0.5 dt %s lc rgb '%s' ",
            panel->scale, first, last, plot_dash(i), plot_colour(i));
        if (has_key) {
            text_add(out, "title ");
            plot_add_quoted(out, load->lines[i].name);
        } else {
            text_add(out, "notitle");
        }
        first = last + 1;
    }
    text_add(out, "\n");
}

static size_t known_panels(const struct load_curves *load,
                           struct load_panel known[PANELS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < PANELS_MAX; i++) {
        struct text ignored = {0};
        const struct plot_span span = add_rows(load, &all_panels[i], &ignored);
        text_fini(&ignored);
        if (span.low <= span.high) {
            struct load_panel *panel = &known[count++];
            *panel = all_panels[i];
            if (strcmp(panel->axis, "s") == 0 && span.high < 1.0) {
                panel->axis = "ms";
                panel->scale *= 1e3;
            }
        }
    }
    return count;
}

static void add_axis(const struct load_curves *load, struct text *out)
{
    struct plot_span span = plot_span_empty();
    for (size_t i = 0; i < load->line_count; i++) {
        for (size_t at = 0; at < load->lines[i].point_count; at++) {
            plot_span_widen(&span, load->lines[i].points[at].x);
        }
    }
    plot_add_value_axis(out, "x", span.low, span.high);
    text_add(out, "set xlabel ");
    plot_add_quoted(out, load->key);
    text_add(out, "\n");
}

static void begin(const struct load_curves *load, struct plot_script *script,
                  const struct plot_panels *layout)
{
    size_t longest = 0;
    for (size_t i = 0; i < load->line_count; i++) {
        const size_t length = strlen(load->lines[i].name);
        longest = length > longest ? length : longest;
    }
    plot_add_below(script, load->line_count, longest);
    plot_panels_begin(script, layout);
    add_axis(load, &script->body);
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    const struct load_curves *const load = runs->load;
    struct load_panel panels[PANELS_MAX];
    const size_t count = load == NULL ? 0 : known_panels(load, panels);
    if (count == 0) {
        return false;
    }
    const struct plot_panels layout = {.count = count,
                                       .columns = 2,
                                       .left_px = 70,
                                       .gap_px = 70,
                                       .area_px = 170,
                                       .title_px = 30};
    begin(load, script, &layout);
    text_printf(csv, "arm,metric,%s,seeds,mean,low,high\n", "x");
    size_t line = 1;
    for (size_t i = 0; i < count; i++) {
        struct text *const out = &script->body;
        const struct plot_span span = add_rows(load, &panels[i], csv);
        plot_panels_place(out, &layout, i);
        text_printf(out, "set title '%s' offset 0,-0.6\nset ylabel '%s'\n",
                    panels[i].title, panels[i].axis);
        plot_add_value_axis(out, "y", span.low, span.high);
        text_add(out, i + 1 == count ? PLOT_KEY : "unset key\n");
        add_panel(load, &panels[i], line, i + 1 == count, out);
        for (size_t at = 0; at < load->line_count; at++) {
            line += load->lines[at].point_count;
        }
    }
    text_add(&script->body, "unset multiplot\n");
    return true;
}

const struct plot_kind plot_load = {
    .name = "load",
    .title = "Against the load",
    .caption =
        "Each point is a run, or the mean over its seeds; bands are 95 % "
        "intervals of that mean. Where a line of latency turns upwards the fleet "
        "is full: an arm that turns later serves more with the same engines.",
    .all_runs = true,
    .make = make,
};
