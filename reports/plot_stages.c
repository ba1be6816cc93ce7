/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_stages.c: where requests spend their time, and when that changes.
 *
 * A bin of time holds the mean number of requests in each stage during it, exactly: of
 * bins that a stage fills in part it gets that part. Shares are drawn, since a fleet
 * that drowns has more requests than any common scale could show beside one that does
 * not.
 */
#include "base/mem.h"
#include "reports/plot.h"
#include "reports/plot_kind.h"

#include <math.h>
#include <string.h>

enum { BINS = 120 };

enum stage {
    STAGE_GATEWAY,
    STAGE_WAITING,
    STAGE_PREFILL,
    STAGE_HAND_OVER,
    STAGE_DECODE,
    STAGES,
};

static const struct {
    const char *column;
    const char *title;
    unsigned colour; /* of plot_colour */
} stage_infos[STAGES] = {
    {"gateway", "before the engine", 6},
    {"waiting", "waiting", 1},
    {"prefill", "prefill", 0},
    {"hand_over", "KV transfer", 3},
    {"decode", "decode", 2},
};

struct span {
    double start_s;
    double end_s;
};

/* Mean number of requests, [stage][bin]. */
struct occupancy {
    double at[STAGES][BINS];
    double mean[STAGES]; /* over the run's own time */
};

static bool happened(int64_t time_ns)
{
    return time_ns != RUN_TIME_NONE;
}

static void extend(struct span *span, const struct run_record *run)
{
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *const row = &run->requests[i];
        if (happened(row->end_ns)) {
            span->start_s = fmin(span->start_s, (double)row->arrival_ns * 1e-9);
            span->end_s = fmax(span->end_s, (double)row->end_ns * 1e-9);
        }
    }
}

/* In bins since the start of the span. */
static void add_stay(double bins[BINS], double from, double until)
{
    const size_t first = from < BINS - 1 ? (size_t)from : BINS - 1;
    for (size_t bin = first; bin < BINS && (double)bin < until; bin++) {
        const double begin = fmax(from, (double)bin);
        const double end = fmin(until, (double)bin + 1.0);
        bins[bin] += fmax(end - begin, 0.0);
    }
}

/* When each stage begins; RUN_TIME_NONE: never. */
static void find_begins(const struct request_row *row,
                        const struct handover_row *handover, int64_t begins[STAGES])
{
    begins[STAGE_GATEWAY] = row->arrival_ns;
    begins[STAGE_WAITING] = row->queued_ns;
    begins[STAGE_PREFILL] = row->scheduled_ns;
    begins[STAGE_HAND_OVER] =
        handover == NULL ? RUN_TIME_NONE : handover->prefill_end_ns;
    begins[STAGE_DECODE] = row->first_token_ns;
}

static void add_request(struct occupancy *occupancy, const struct request_row *row,
                        const struct handover_row *handover, const struct span *span)
{
    int64_t begins[STAGES];
    const double bin_s = (span->end_s - span->start_s) / BINS;
    int64_t until_ns = row->end_ns;
    find_begins(row, handover, begins);
    for (size_t stage = STAGES; stage-- > 0;) {
        if (happened(begins[stage]) && begins[stage] <= until_ns) {
            add_stay(occupancy->at[stage],
                     ((double)begins[stage] * 1e-9 - span->start_s) / bin_s,
                     ((double)until_ns * 1e-9 - span->start_s) / bin_s);
            until_ns = begins[stage];
        }
    }
}

static void fill(struct occupancy *occupancy, const struct run_record *run,
                 const struct span *span)
{
    struct span own = {(double)INFINITY, -(double)INFINITY};
    size_t next = 0; /* handovers are in order of their requests */
    *occupancy = (struct occupancy){0};
    for (size_t i = 0; i < run->request_count; i++) {
        const struct handover_row *handover = NULL;
        if (next < run->handover_count && run->handovers[next].request == i) {
            handover = &run->handovers[next++];
        }
        if (happened(run->requests[i].end_ns)) {
            add_request(occupancy, &run->requests[i], handover, span);
        }
    }
    extend(&own, run);
    const double bins =
        BINS * (own.end_s - own.start_s) / (span->end_s - span->start_s);
    for (size_t stage = 0; stage < STAGES; stage++) {
        for (size_t bin = 0; bin < BINS; bin++) {
            occupancy->mean[stage] += occupancy->at[stage][bin] / bins;
        }
    }
}

/* Bins before the first and after the last request are left out. Returns the lines. */
static size_t add_rows(const struct occupancy *occupancy, const char *name,
                       const struct span *span, struct text *csv)
{
    const double unit_s = plot_time_unit(span->end_s - span->start_s).seconds;
    const double bin_s = (span->end_s - span->start_s) / BINS;
    size_t lines = 0;
    for (size_t bin = 0; bin < BINS; bin++) {
        double all = 0.0;
        for (size_t stage = 0; stage < STAGES; stage++) {
            all += occupancy->at[stage][bin];
        }
        if (all > 0.0) {
            plot_add_field(csv, name);
            text_printf(csv, ",%.6g",
                        (span->start_s + ((double)bin + 0.5) * bin_s) / unit_s);
            for (size_t stage = 0; stage < STAGES; stage++) {
                text_printf(csv, ",%.5g", occupancy->at[stage][bin]);
            }
            text_add(csv, "\n");
            lines++;
        }
    }
    return lines;
}

/* The sum of some of the columns of stages, as gnuplot says it. */
static void add_sum(struct text *out, size_t stages)
{
    enum { FIRST_COLUMN = 3 };
    text_add(out, "(0");
    for (size_t stage = 0; stage < stages; stage++) {
        text_printf(out, "+$%zu", FIRST_COLUMN + stage);
    }
    text_add(out, ")");
}

static void add_plot(struct text *out, const bool used[STAGES], size_t first_line,
                     size_t lines, bool has_key)
{
    const char *lead = "plot ";
    for (size_t stage = 0; stage < STAGES; stage++) {
        if (!used[stage]) {
            continue;
        }
        text_printf(out, "%sdata using 2:(100.*", lead);
        add_sum(out, stage);
        text_add(out, "/");
        add_sum(out, STAGES);
        text_add(out, "):(100.*");
        add_sum(out, stage + 1);
        text_add(out, "/");
        add_sum(out, STAGES);
        text_printf(out,
                    ") every ::%zu::%zu with filledcurves fs solid 0.8 noborder lc rgb "
                    "'%s' ",
                    first_line, first_line + lines - 1,
                    plot_colour(stage_infos[stage].colour));
        if (has_key) {
            text_printf(out, "title '%s'", stage_infos[stage].title);
        } else {
            text_add(out, "notitle");
        }
        lead = ", ";
    }
    text_add(out, "\n");
}

/* "chwbl: 12.3 in flight, 71 % decode" */
static void add_title(struct text *out, const struct occupancy *occupancy,
                      const char *name)
{
    struct text title = {0};
    double all = 0.0;
    size_t most = 0;
    for (size_t stage = 0; stage < STAGES; stage++) {
        all += occupancy->mean[stage];
        most = occupancy->mean[stage] > occupancy->mean[most] ? stage : most;
    }
    text_printf(&title, "%s: %.*f in flight, %.0f %% %s", name, all < 100.0 ? 1 : 0,
                all, 100.0 * occupancy->mean[most] / all, stage_infos[most].title);
    text_add(out, "set title ");
    plot_add_quoted(out, text_str(&title));
    text_add(out, " offset 0,-0.6\n");
    text_fini(&title);
}

static void begin(struct plot_script *script, const struct plot_panels *layout,
                  const bool used[STAGES], const struct span *span)
{
    const struct plot_time_unit unit = plot_time_unit(span->end_s - span->start_s);
    size_t entries = 0;
    for (size_t stage = 0; stage < STAGES; stage++) {
        entries += used[stage] ? 1 : 0;
    }
    /* gnuplot gives the legend one column where panels leave no room for two. */
    plot_add_below(script, entries,
                   layout->columns > 1 ? PLOT_WIDE_PX : strlen(stage_infos[0].title));
    plot_panels_begin(script, layout);
    text_printf(&script->body,
                "set xrange [%.9g:%.9g]\nset yrange [0:100]\nset ytics 25\n"
                "set xlabel 'simulated time (%s)'\nset ylabel 'in flight (%%)'\n",
                span->start_s / unit.seconds, span->end_s / unit.seconds, unit.name);
}

static void add_all(const struct plot_runs *runs, const struct occupancy *occupancies,
                    const struct span *span, struct text *csv,
                    struct plot_script *script)
{
    struct plot_panels layout = {
        .columns = 2, .left_px = 74, .gap_px = 74, .area_px = 130, .title_px = 30};
    bool used[STAGES] = {false};
    size_t drawn = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double all = 0.0;
        for (size_t stage = 0; stage < STAGES; stage++) {
            used[stage] = used[stage] || occupancies[i].mean[stage] > 0.0;
            all += occupancies[i].mean[stage];
        }
        layout.count += all > 0.0 ? 1 : 0;
    }
    layout.columns = layout.count < 2 ? 1 : 2;
    begin(script, &layout, used, span);
    text_printf(csv, "run,time_%s", plot_time_unit(span->end_s - span->start_s).name);
    for (size_t stage = 0; stage < STAGES; stage++) {
        text_printf(csv, ",%s_requests", stage_infos[stage].column);
    }
    text_add(csv, "\n");
    size_t line = 1; /* after the header */
    for (size_t i = 0; i < runs->count; i++) {
        const size_t lines = add_rows(&occupancies[i], runs->names[i], span, csv);
        if (lines == 0) {
            continue;
        }
        const bool is_last = drawn + 1 == layout.count;
        plot_panels_place(&script->body, &layout, drawn++);
        add_title(&script->body, &occupancies[i], runs->names[i]);
        text_add(&script->body, is_last ? PLOT_KEY : "unset key\n");
        add_plot(&script->body, used, line, lines, is_last);
        line += lines;
    }
    text_add(&script->body, "unset multiplot\n");
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    struct span span = {(double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < runs->count; i++) {
        extend(&span, runs->at[i]);
    }
    if (!(span.end_s > span.start_s)) {
        return false;
    }
    struct occupancy *occupancies = mem_alloc(runs->count, sizeof *occupancies);
    for (size_t i = 0; i < runs->count; i++) {
        fill(&occupancies[i], runs->at[i], &span);
    }
    add_all(runs, occupancies, &span, csv, script);
    mem_free(occupancies);
    return true;
}

const struct plot_kind plot_stages = {
    .name = "stages",
    .title = "Stages of requests",
    .caption =
        "Of the requests that were somewhere in the system, which part was in which "
        "stage. Decode should have most of them; a share of waiting that grows is a "
        "queue, and a wide band of prefill means long prompts, or none in caches.",
    .make = make,
};
