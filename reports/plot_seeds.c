/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_seeds.c: means over seeds with their intervals, and every seed as a dot, so that
 * a reader sees at once which differences the seeds could have made.
 */
#include "reports/plot_kind.h"
#include "reports/replicated.h"

#include <inttypes.h>
#include <math.h>

struct seeds_panel {
    const char *axis;
    enum metric metric;
    double scale; /* of a value */
    const char *colour;
};

static const struct seeds_panel panels[] = {
    {"mean TTFT (s)", METRIC_TTFT_MS_MEAN, 1e-3, "#0072b2"},
    {"p99 of TTFT (s)", METRIC_TTFT_MS_P99, 1e-3, "#56b4e9"},
    {"mean TPOT (ms)", METRIC_TPOT_MS_MEAN, 1.0, "#d55e00"},
};
enum { PANELS = sizeof panels / sizeof panels[0] };

/* A row per arm and seed: each seed's value beside the mean of all. */
static struct plot_span add_rows(const struct replicated *seeds,
                                 const struct seeds_panel *panel, struct text *csv)
{
    struct plot_span span = plot_span_empty();
    for (size_t arm = 0; arm < seeds->arms; arm++) {
        const struct estimate all = replicated_estimate(seeds, arm, panel->metric);
        const double mean = all.count == 0 ? (double)NAN : all.mean * panel->scale;
        const double low = all.interval.low * panel->scale;
        const double high = all.interval.high * panel->scale;
        for (size_t seed = 0; seed < seeds->seeds; seed++) {
            const struct run_record *const run = seeds->runs[arm * seeds->seeds + seed];
            const double value = run->metrics.value[panel->metric] * panel->scale;
            plot_add_field(csv, seeds->names[arm]);
            text_printf(csv, ",%s,%zu,%" PRIu64 ",%.6g,%.6g,%.6g,%.6g\n",
                        metric_info(panel->metric)->name, arm, run->info.seed, value,
                        mean, low, high);
            plot_span_widen(&span, value);
        }
        plot_span_widen(&span, mean);
        plot_span_widen(&span, high);
        plot_span_widen(&span, low > 0.0 ? low : (double)NAN);
    }
    return span;
}

static void add_panel(const struct seeds_panel *panel, const struct replicated *seeds,
                      size_t first_line, struct text *out)
{
    const size_t last = first_line + seeds->arms * seeds->seeds - 1;
    text_printf(out, "set xlabel '%s'\n", panel->axis);
    text_printf(out,
                "plot data using 5:(-$3) every ::%zu::%zu with points pt 7 ps 0.45 "
                "lc rgb '#999999' notitle, ",
                first_line, last);
    text_printf(out,
                "data using ($7 > 0 ? $7 : $6):(-$3):($8-($7 > 0 ? $7 : $6)):(0) every "
                "%zu::%zu::%zu with vectors nohead lw 3 lc rgb '%s' notitle, ",
                seeds->seeds, first_line, last, panel->colour);
    text_printf(out,
                "data using 6:(-$3) every %zu::%zu::%zu with points pt 7 ps 0.9 lc rgb "
                "'%s' notitle\n",
                seeds->seeds, first_line, last, panel->colour);
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    const struct replicated *const seeds = runs->seeds;
    if (seeds == NULL) {
        return false;
    }
    text_add(csv, "run,metric,row,seed,value,mean,low,high\n");
    const struct plot_panels layout =
        plot_rows_begin(script, seeds->names, seeds->arms, PANELS);
    bool has_values = false;
    for (size_t i = 0; i < PANELS; i++) {
        const struct plot_span span = add_rows(seeds, &panels[i], csv);
        if (span.high < span.low) {
            continue; /* nobody knows this metric */
        }
        has_values = true;
        plot_rows_place(&script->body, &layout, seeds->names, seeds->arms, i);
        plot_add_value_axis(&script->body, "x", span.low, span.high);
        add_panel(&panels[i], seeds, 1 + i * seeds->arms * seeds->seeds, &script->body);
    }
    text_add(&script->body, "unset multiplot\n");
    return has_values;
}

const struct plot_kind plot_seeds = {
    .name = "seeds",
    .title = "How sure the difference is",
    .caption =
        "Each grey dot is one seed, the large dot their mean, the bar its 95 % "
        "interval. Further left is better. Bars that lie apart differ; where they "
        "overlap, the verdict above compares seed by seed.",
    .all_runs = true,
    .make = make,
};
