/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.c: tables of metrics by run.
 *
 * "Best" goes by what is shown: two values that print alike are equally good. Where all
 * runs lie within 1 % nobody is best, since a mark would pretend to a precision that
 * nobody has.
 */
#include "reports/compare.h"

#include "base/check.h"
#include "base/mem.h"
#include "reports/warmup.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Runs beside each other in a table for people; more go to a table below. */
enum { RUNS_BESIDE = 6, RUNS_BESIDE_WIDE = 4, SHOWN_BYTES = 400, WIDE_BYTES = 800 };

bool compare_equal_in_practice(double left, double right)
{
    const double practical_ratio = 0.01;
    return fabs(left - right) <= practical_ratio * fmax(fabs(left), fabs(right));
}

struct runs {
    const struct run_record *const *at;
    size_t count;
};

static double value_of(const struct runs *runs, size_t run, enum metric metric)
{
    return runs->at[run]->metrics.value[metric];
}

static bool is_known(const struct runs *runs, enum metric metric)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (!isnan(value_of(runs, i, metric))) {
            return true;
        }
    }
    return false;
}

static bool is_better(enum metric metric, double left, double right)
{
    return metric_info(metric)->better == METRIC_LOWER ? left < right : left > right;
}

/* Writes the best value as it is shown; "" when there is no best: the metric is
 * neutral, or the runs that know it are equal in practice. */
static void best_shown(const struct runs *runs, enum metric metric,
                       char out[static SHOWN_BYTES])
{
    double best = (double)NAN;
    double worst = (double)NAN;
    for (size_t i = 0; i < runs->count; i++) {
        const double value = value_of(runs, i, metric);
        if (isnan(value)) {
            continue;
        }
        best = isnan(best) || is_better(metric, value, best) ? value : best;
        worst = isnan(worst) || is_better(metric, worst, value) ? value : worst;
    }
    out[0] = '\0';
    if (!isnan(best) && metric_info(metric)->better != METRIC_NEUTRAL &&
        !compare_equal_in_practice(best, worst)) {
        metric_format(metric, best, out, SHOWN_BYTES);
    }
}

/* The interval of a run alone, where one was asked for and is known. */
static bool has_interval(const struct run_record *run, enum metric metric)
{
    return run->intervals != NULL && !isnan(run->intervals->of[metric].low);
}

/* "24.2 ± 0.4" */
static void show(const struct run_record *run, enum metric metric,
                 char out[static WIDE_BYTES])
{
    metric_format(metric, run->metrics.value[metric], out, SHOWN_BYTES);
    if (has_interval(run, metric)) {
        const struct interval *interval = &run->intervals->of[metric];
        const size_t length = strlen(out);
        const bool percent = strcmp(metric_info(metric)->unit, "%") == 0;
        const double half = (interval->high - interval->low) / 2 * (percent ? 100 : 1);
        const int decimals =
            strchr(out, '.') == NULL ? 0 : (int)metric_info(metric)->decimals;
        snprintf(out + length, WIDE_BYTES - length, " ± %.*f", decimals, half);
    }
}

static void put_metric(struct table *table, const struct runs *runs, size_t run,
                       enum metric metric)
{
    char shown[WIDE_BYTES];
    char plain[SHOWN_BYTES];
    char best[SHOWN_BYTES];
    const double value = value_of(runs, run, metric);
    metric_format(metric, value, plain, sizeof plain);
    show(runs->at[run], metric, shown);
    best_shown(runs, metric, best);
    table_put_f64(table, value, metric_info(metric)->decimals, shown);
    if (!isnan(value) && strcmp(best, plain) == 0) {
        table_mark(table);
    }
}

static const struct table_column fixed_columns[] = {
    {"run", "run", NULL, "name of the run", true},
    {"policy", "policy", NULL, "routing policy", true},
    {"scenario", "scenario", NULL, "name of the scenario", true},
    {"seed", "seed", NULL, "of every random stream", false},
    {"engines", "engines", NULL, "engines in the fleet", false},
    {"requests", "requests", NULL, "requests that ended, in whatever way", false},
    {"warmup", "warm-up", NULL, "rule by which the start was left out", true},
    {"warmup_requests", "left out", NULL, "requests that metrics leave out", false},
};
enum { FIXED_COLUMNS = sizeof fixed_columns / sizeof fixed_columns[0] };

/* Latencies are the first metrics of the list (reports/summary.h). */
bool compare_is_in_part(enum metric metric, enum compare_part part)
{
    if (part == COMPARE_ALL) {
        return true;
    }
    const enum compare_part own = metric < METRIC_E2E_MS_MEAN  ? COMPARE_TOKENS
                                  : metric < METRIC_DURATION_S ? COMPARE_ANSWERS
                                                               : COMPARE_FLEET;
    return metric_info(metric)->rank == METRIC_HEADLINE && own == part;
}

/* Appends the metrics of this part that any run knows; returns the new count. */
static size_t choose_metrics(const struct runs *runs, enum compare_part part,
                             enum metric chosen[static METRIC_COUNT], size_t count)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const enum metric metric = (enum metric)i;
        if (compare_is_in_part(metric, part) && is_known(runs, metric)) {
            chosen[count++] = metric;
        }
    }
    return count;
}

struct table *compare_table(const struct run_record *const *runs, size_t count,
                            enum compare_part part)
{
    const struct runs all = {runs, count};
    enum metric chosen[METRIC_COUNT];
    const size_t metric_count = choose_metrics(&all, part, chosen, 0);
    const size_t fixed_count = part == COMPARE_ALL ? FIXED_COLUMNS : 1;
    struct table_column columns[FIXED_COLUMNS + METRIC_COUNT];
    memcpy(columns, fixed_columns, sizeof fixed_columns);
    for (size_t i = 0; i < metric_count; i++) {
        const struct metric_info *const info = metric_info(chosen[i]);
        columns[fixed_count + i] = (struct table_column){info->name, info->heading,
                                                         info->unit, info->help, false};
    }
    struct table *const table = table_new(columns, fixed_count + metric_count);
    for (size_t run = 0; run < count; run++) {
        table_put_text(table, runs[run]->info.name);
        if (part == COMPARE_ALL) {
            table_put_text(table, runs[run]->info.policy);
            table_put_text(table, runs[run]->info.scenario_name);
            table_put_u64(table, runs[run]->info.seed);
            table_put_u64(table, runs[run]->engine_count);
            table_put_u64(table, runs[run]->totals.requests);
            table_put_text(table, runs[run]->info.warmup);
            table_put_u64(table, runs[run]->warmup.requests);
        }
        for (size_t i = 0; i < metric_count; i++) {
            put_metric(table, &all, run, chosen[i]);
        }
    }
    return table;
}

static bool have_intervals(const struct runs *runs)
{
    bool any = false;
    for (size_t i = 0; i < runs->count; i++) {
        any = any || has_interval(runs->at[i], METRIC_TTFT_MS_MEAN);
    }
    return any;
}

static size_t runs_beside(const struct runs *runs)
{
    return have_intervals(runs) ? RUNS_BESIDE_WIDE : RUNS_BESIDE;
}

/* first: of the runs beside each other in this table. Marks go by all runs. */
static struct table *turned_table(const struct runs *runs, size_t first)
{
    const size_t left = runs->count - first;
    const size_t most = runs_beside(runs);
    const size_t beside = left < most ? left : most;
    struct table_column columns[1 + RUNS_BESIDE] = {{"metric", "", NULL, NULL, true}};
    for (size_t i = 0; i < beside; i++) {
        const char *const name = runs->at[first + i]->info.name;
        columns[1 + i] = (struct table_column){name, name, NULL, NULL, false};
    }
    struct table *const table = table_new(columns, 1 + beside);
    enum metric chosen[METRIC_COUNT];
    size_t metric_count = choose_metrics(runs, COMPARE_TOKENS, chosen, 0);
    metric_count = choose_metrics(runs, COMPARE_ANSWERS, chosen, metric_count);
    metric_count = choose_metrics(runs, COMPARE_FLEET, chosen, metric_count);
    for (size_t i = 0; i < metric_count; i++) {
        const struct metric_info *const info = metric_info(chosen[i]);
        char name[SHOWN_BYTES];
        const bool has_unit = info->unit[0] != '\0';
        (void)snprintf(name, sizeof name, has_unit ? "%s (%s)" : "%s%s", info->heading,
                       info->unit);
        table_put_text(table, name);
        for (size_t run = first; run < first + beside; run++) {
            put_metric(table, runs, run, chosen[i]);
        }
    }
    table_put_text(table, "requests");
    for (size_t run = first; run < first + beside; run++) {
        table_put_u64(table, runs->at[run]->totals.requests);
    }
    return table;
}

void compare_print(const struct run_record *const *runs, size_t count,
                   enum table_format format, struct text *out)
{
    if (format != TABLE_TEXT && format != TABLE_MD) {
        struct table *const table = compare_table(runs, count, COMPARE_ALL);
        table_write(table, format, out);
        table_delete(table);
        return;
    }
    const struct runs all = {runs, count};
    const bool is_ranked = compare_same_work(runs, count);
    for (size_t first = 0; first < count; first += runs_beside(&all)) {
        text_add(out, first == 0 ? "" : "\n");
        struct table *const table = turned_table(&all, first);
        if (!is_ranked) {
            table_unmark(table);
        }
        table_write(table, format, out);
        table_delete(table);
    }
    if (count > 1 && is_ranked && format == TABLE_TEXT) {
        text_add(out, "* best of the runs\n");
    }
    if (have_intervals(&all)) {
        text_printf(out,
                    "%s± half of the 95 %% interval within one run, by %d batches of "
                    "its requests; another seed may differ by more\n",
                    format == TABLE_TEXT ? "" : "\n", METRIC_BATCHES);
    }
    if (count > 1) {
        text_add(out, format == TABLE_TEXT ? "" : "\n");
        warmup_describe_all(runs, count, out);
    }
}
