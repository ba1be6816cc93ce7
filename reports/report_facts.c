/* SPDX-License-Identifier: Apache-2.0
 *
 * report_facts.c: engines, events, scenarios, provenance and limits: what a reader
 * looks up who doubts the figures.
 */
#include "reports/report_facts.h"

#include "base/unit.h"
#include "reports/event_table.h"
#include "reports/html.h"
#include "reports/page.h"
#include "reports/warmup.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* More lines than this are of no use to a reader. */
enum { ENGINE_ROWS_MAX = 256 };
/* Where every run has a line of its own, more lines than this are folded away. */
enum { LINES_OPEN = 6 };

static void put_engine(struct table *table, const struct run_record *run, size_t at)
{
    const struct engine_row *const engine = &run->engines[at];
    const double unknown = (double)NAN;
    const double queried = (double)engine->prefix_query_tokens;
    table_put_text(table, run->info.name);
    table_put_u64(table, at);
    table_put_text(table, engine->description);
    table_put_u64(table, engine->requests);
    table_put_f64(
        table, (double)engine->busy_ns * 1e-7 / run->metrics.value[METRIC_DURATION_S],
        1, NULL);
    table_put_f64(table,
                  queried > 0.0 ? (double)engine->prefix_hit_tokens * 100.0 / queried
                                : unknown,
                  1, NULL);
    table_put_u64(table, engine->preemptions);
    table_put_u64(table, engine->steps);
}

void report_add_engines(const struct report *report, struct text *out)
{
    static const struct table_column columns[] = {
        {"run", "run", NULL, "name of the run", true},
        {"engine", "engine", NULL, "number of the engine", false},
        {"description", "what", NULL, "pool, GPU and model", true},
        {"requests", "requests", NULL, "requests that ended there", false},
        {"busy", "busy", "%", "share of the run in which a step was running", false},
        {"hits", "prefix hits", "%", "prompt tokens found in its prefix cache", false},
        {"preemptions", "preemptions", NULL, "requests thrown out of a batch", false},
        {"steps", "steps", NULL, "batch iterations", false},
    };
    size_t rows = 0;
    for (size_t i = 0; i < report->run_count; i++) {
        rows += report->runs[i]->engine_count;
    }
    if (rows == 0 || rows > ENGINE_ROWS_MAX) {
        return;
    }
    struct table *const table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < report->run_count; i++) {
        for (size_t at = 0; at < report->runs[i]->engine_count; at++) {
            put_engine(table, report->runs[i], at);
        }
    }
    text_printf(out,
                "<h2>Engines</h2>\n<details>\n<summary>Every engine of every "
                "run%s</summary>\n",
                report->seeds != NULL ? " of the first seed" : "");
    page_add_table(out, table, "Engines");
    text_add(out, "</details>\n");
    table_delete(table);
}

void report_add_events(const struct report *report, struct text *out)
{
    enum { SHOWN_MAX = 500 };
    static const struct table_column columns[] = {
        {"run", "run", NULL, "name of the run", true},
        {"time_s", "time", "s", "since the run's start", false},
        {"type", "type", NULL, "Normal or Warning", true},
        {"reason", "reason", NULL, "as Kubernetes calls it, where it does", true},
        {"object", "object", NULL, "whom it befell", true},
        {"message", "message", NULL, "in words", true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    size_t left_out = 0;
    for (size_t i = 0; i < report->run_count; i++) {
        const struct run_record *run = report->runs[i];
        for (size_t j = 0; j < run->event_count; j++) {
            if (table_rows(table) >= SHOWN_MAX) {
                left_out++;
                continue;
            }
            event_table_put(table, run, &run->events[j]);
        }
    }
    if (table_rows(table) > 0) {
        text_add(out, "<h2>What happened to the fleet</h2>\n");
        page_add_table(out, table, "Events of the fleet");
        if (left_out > 0) {
            text_printf(out, "<p>%zu more: <code>stacksim events</code></p>\n",
                        left_out);
        }
    }
    table_delete(table);
}

static void add_fact(struct text *out, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    text_printf(out, "<dt>%s</dt><dd>", name);
    html_add(out, value);
    text_add(out, "</dd>\n");
}

/* A value per run, out of the way until asked for. */
static void add_folded_fact(struct text *out, const char *name, const char *lines,
                            size_t count)
{
    text_printf(out,
                "<dt>%s</dt><dd><details class=\"plain\"><summary>one for each of %zu "
                "runs</summary>",
                name, count);
    html_add(out, lines);
    text_add(out, "</details></dd>\n");
}

typedef const char *string_of(const struct run_record *run, struct text *room);

/* One value when all runs agree, else one line per run. */
static void add_shared_fact(struct text *out, const struct report *report,
                            const char *name, string_of *value)
{
    struct text all = {0};
    bool is_same = true;
    struct text first = {0};
    const char *const expected = value(report->runs[0], &first);
    for (size_t i = 0; i < report->run_count; i++) {
        struct text room = {0};
        const char *const here = value(report->runs[i], &room);
        is_same = is_same && strcmp(here, expected) == 0;
        text_printf(&all, "%s%s: %s", i == 0 ? "" : "\n", report->runs[i]->info.name,
                    here);
        text_fini(&room);
    }
    if (is_same || report->run_count <= LINES_OPEN) {
        add_fact(out, name, is_same ? expected : text_str(&all));
    } else {
        add_folded_fact(out, name, text_str(&all), report->run_count);
    }
    text_fini(&all);
    text_fini(&first);
}

static const char *commit_of(const struct run_record *run, struct text *room)
{
    (void)room;
    return run->info.program_commit;
}

static const char *cost_of(const struct run_record *run, struct text *room)
{
    (void)room;
    return run->info.cost_model;
}

static const char *workload_of(const struct run_record *run, struct text *room)
{
    (void)room;
    return run->info.workload_origin;
}

static const char *notes_of(const struct run_record *run, struct text *room)
{
    const char *const notes = run->info.notes;
    size_t length = strlen(notes);
    while (length > 0 && notes[length - 1] == '\n') {
        length--;
    }
    text_add_bytes(room, notes, length);
    return text_str(room);
}

static const char *compat_of(const struct run_record *run, struct text *room)
{
    (void)room;
    return run->info.compat;
}

static const char *seed_of(const struct run_record *run, struct text *room)
{
    text_printf(room, "%" PRIu64, run->info.seed);
    return text_str(room);
}

static const char *digest_of(const struct run_record *run, struct text *room)
{
    text_printf(room, "%016" PRIx64, run->info.digest);
    return text_str(room);
}

static void add_target(struct text *room, const char *name, int64_t target_ns)
{
    if (target_ns != 0) {
        char shown[32];
        unit_format_ns(shown, sizeof shown, target_ns);
        text_printf(room, "%s%s within %s", room->length == 0 ? "" : ", ", name, shown);
    }
}

static const char *slo_of(const struct run_record *run, struct text *room)
{
    add_target(room, "TTFT", run->info.slo_ttft_ns);
    add_target(room, "TPOT", run->info.slo_tpot_ns);
    add_target(room, "E2E", run->info.slo_e2e_ns);
    return room->length == 0 ? "none given" : text_str(room);
}

static const char *wall_of(const struct run_record *run, struct text *room)
{
    if (run->info.wall_s <= 0.0) {
        return "";
    }
    text_printf(room, "%.2f s for %" PRIu64 " events and %" PRIu64 " engine steps",
                run->info.wall_s, run->totals.events, run->totals.steps);
    return text_str(room);
}

static const char *warmup_of(const struct run_record *run, struct text *room)
{
    warmup_describe(run, room);
    if (run->warmup.counted_from_ns == RUN_TIME_NONE) {
        text_add(room, ": every request counts from the first arrival on, so the "
                       "filling of empty engines and cold prefix caches is part of the "
                       "figures");
    }
    return text_str(room);
}

static void add_seeds(const struct replicated *seeds, struct text *out)
{
    struct text list = {0};
    for (size_t i = 0; i < seeds->seeds; i++) {
        text_printf(&list, "%s%" PRIu64, i == 0 ? "" : ", ", seeds->runs[i]->info.seed);
    }
    add_fact(out, "seeds", text_str(&list));
    text_fini(&list);
}

void report_add_provenance(const struct report *report, struct text *out)
{
    text_add(out, "<h2>What this rests on</h2>\n<dl>\n");
    add_shared_fact(out, report, "workload", workload_of);
    add_shared_fact(out, report, "cost model", cost_of);
    add_shared_fact(out, report, "router behaviour", compat_of);
    add_shared_fact(out, report, "targets (SLO)", slo_of);
    if (report->seeds != NULL) {
        add_seeds(report->seeds, out);
    } else {
        add_shared_fact(out, report, "seed", seed_of);
    }
    add_shared_fact(out, report, "warm-up", warmup_of);
    add_shared_fact(out, report, "notes", notes_of);
    add_shared_fact(out, report, "program commit", commit_of);
    add_shared_fact(out, report, "digest of outcomes", digest_of);
    add_shared_fact(out, report, "took", wall_of);
    add_fact(out, "command", report->command);
    add_fact(out, "rows", report->store_path);
    text_add(out, "</dl>\n");
}

void report_add_limits(const struct report *report, struct text *out)
{
    text_add(
        out,
        "<h3>Known limits</h3>\n<ul>\n"
        "<li>Times are computed by the cost model above, not measured. Where it is "
        "not calibrated, trust the order of runs more than the milliseconds.</li>\n");
    text_add(out, report->seeds != NULL
                      ? "<li>Intervals cover what other seeds would bring under this "
                        "scenario, not what another day or another mix would.</li>\n"
                      : "<li>One seed per run: intervals cover the spread of requests "
                        "within the run, not what another seed or another day would "
                        "bring.</li>\n");
    text_add(
        out,
        "<li>Network time between client, router and engines is only as good as the "
        "scenario states it.</li>\n</ul>\n");
}

void report_add_scenarios(const struct report *report, struct text *out)
{
    const bool is_folded = report->run_count > LINES_OPEN;
    text_add(out, "<h2>Scenarios in full</h2>\n");
    if (is_folded) {
        text_printf(out, "<details class=\"plain\">\n<summary>%zu runs</summary>\n",
                    report->run_count);
    }
    for (size_t i = 0; i < report->run_count; i++) {
        const struct run_info *const info = &report->runs[i]->info;
        text_add(out, "<details>\n<summary>");
        html_add(out, info->name);
        text_add(out, "</summary>\n<pre tabindex=\"0\">");
        html_add(out, info->scenario_yaml);
        text_add(out, "</pre>\n</details>\n");
    }
    text_add(out, is_folded ? "</details>\n" : "");
}
