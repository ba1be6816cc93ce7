/* SPDX-License-Identifier: Apache-2.0
 *
 * headline.c: compare.h and replicated.h say everything there is to say; this says
 * what somebody remembers who has half a minute.
 */
#include "reports/headline.h"

#include "reports/compare.h"
#include "reports/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES = 64 };

static double value_of(const struct headline_arms *arms, size_t arm, enum metric metric)
{
    if (arms->seeds == NULL) {
        return arms->runs[arm]->metrics.value[metric];
    }
    const struct estimate all = replicated_estimate(arms->seeds, arm, metric);
    return all.count == 0 ? (double)NAN : all.mean;
}

static const char *name_of(const struct headline_arms *arms, size_t arm)
{
    return arms->seeds != NULL ? arms->seeds->names[arm] : arms->runs[arm]->info.name;
}

/* What can be said of the best arm and the one behind it. */
struct ranking {
    size_t known;
    size_t best;
    size_t next;
    double best_value;
    double next_value;
    double worst_value;
    bool
        is_sure; /* the best differs from the next by 1 % or more, in all seeds' eyes */
};

static bool is_better(enum metric metric, double left, double right)
{
    return metric_info(metric)->better == METRIC_LOWER ? left < right : left > right;
}

static void rank_arm(struct ranking *ranking, enum metric metric, size_t arm,
                     double value)
{
    if (ranking->known == 0 || is_better(metric, value, ranking->best_value)) {
        ranking->next = ranking->best;
        ranking->next_value = ranking->best_value;
        ranking->best = arm;
        ranking->best_value = value;
    } else if (ranking->known == 1 || is_better(metric, value, ranking->next_value)) {
        ranking->next = arm;
        ranking->next_value = value;
    }
    if (ranking->known == 0 || is_better(metric, ranking->worst_value, value)) {
        ranking->worst_value = value;
    }
    ranking->known++;
}

static struct ranking rank_arms(const struct headline_arms *arms, enum metric metric)
{
    struct ranking ranking = {0};
    for (size_t arm = 0; arm < arms->count; arm++) {
        const double value = value_of(arms, arm, metric);
        if (!isnan(value)) {
            rank_arm(&ranking, metric, arm, value);
        }
    }
    if (ranking.known < 2) {
        return ranking;
    }
    ranking.is_sure =
        !compare_equal_in_practice(ranking.best_value, ranking.next_value);
    if (ranking.is_sure && arms->seeds != NULL) {
        ranking.is_sure = replicated_p(arms->seeds, metric, ranking.next) < 0.05;
    }
    return ranking;
}

/* Number and unit apart: milliseconds become seconds where they are many. */
static const char *format_value(enum metric metric, double value,
                                char out[static VALUE_BYTES])
{
    const struct metric_info *const info = metric_info(metric);
    const bool is_ms = strcmp(info->unit, "ms") == 0;
    if (is_ms && value >= 1000.0) {
        const double s = value / 1000.0;
        (void)snprintf(out, VALUE_BYTES, "%.*f", s < 10.0 ? 2 : s < 100.0 ? 1 : 0, s);
        return "s";
    }
    if (is_ms) {
        (void)snprintf(out, VALUE_BYTES, "%.*f", value < 100.0 ? 1 : 0, value);
        return "ms";
    }
    metric_format(metric, value, out, VALUE_BYTES);
    return info->unit;
}

static void add_value(struct text *out, enum metric metric, double value)
{
    char shown[VALUE_BYTES];
    const char *const unit = format_value(metric, value, shown);
    text_printf(out, "%s\u00a0%s", shown, unit);
}

/* "11 % less than", "2.4 times more than": the better of two values beside the other.
 */
static void add_gap(struct text *out, enum metric metric, double best, double other)
{
    const bool is_lower = metric_info(metric)->better == METRIC_LOWER;
    const double factor = fmax(best, other) / fmin(best, other);
    if (factor < 2.0) {
        text_printf(out, "%.*f\u00a0%% %s than", factor < 1.1 ? 1 : 0,
                    fabs(best - other) / other * 100.0, is_lower ? "less" : "more");
    } else if (is_lower) {
        text_printf(out, factor < 1000.0 ? "%.2g\u00a0%% of" : "far less than",
                    100.0 / factor);
    } else {
        text_printf(out, factor < 1000.0 ? "%.3g times" : "far more than", factor);
    }
}

static void add_lead(struct text *out, const struct headline_arms *arms,
                     const struct ranking *ranking, enum metric metric)
{
    add_value(out, metric, ranking->best_value);
    text_add(out, ", ");
    add_gap(out, metric, ranking->best_value, ranking->next_value);
    text_printf(out, " %s", name_of(arms, ranking->next));
}

static void write_one(const struct run_record *run, struct text *out)
{
    text_printf(out, "%s", run->info.name);
    if (isnan(run->metrics.value[METRIC_TTFT_MS_MEAN])) {
        text_add(out, ": no request was completed.");
        return;
    }
    text_add(out, " gives the first token after ");
    add_value(out, METRIC_TTFT_MS_MEAN, run->metrics.value[METRIC_TTFT_MS_MEAN]);
    text_add(out, " on average and a whole answer after ");
    add_value(out, METRIC_E2E_MS_MEAN, run->metrics.value[METRIC_E2E_MS_MEAN]);
    if (!isnan(run->metrics.value[METRIC_SLO_RATIO])) {
        text_printf(out, "; %.1f\u00a0%% of the requests were within all targets",
                    100.0 * run->metrics.value[METRIC_SLO_RATIO]);
    }
    text_add(out, ".");
}

static void write_first_token(const struct headline_arms *arms,
                              const struct ranking *ranking, struct text *out)
{
    const char *const best = name_of(arms, ranking->best);
    if (compare_equal_in_practice(ranking->best_value, ranking->worst_value)) {
        text_add(out, "It makes no difference to the first token which is chosen (");
        add_value(out, METRIC_TTFT_MS_MEAN, ranking->best_value);
        text_add(out, " on average, all within 1\u00a0%)");
    } else if (!ranking->is_sure) {
        text_printf(out, "%s and %s give the first token soonest: ", best,
                    name_of(arms, ranking->next));
        add_value(out, METRIC_TTFT_MS_MEAN, ranking->best_value);
        text_add(out, " on average, with no difference between them to rely on");
    } else {
        text_printf(out, "%s gives the first token soonest: ", best);
        add_value(out, METRIC_TTFT_MS_MEAN, ranking->best_value);
        text_add(out, " on average, ");
        add_gap(out, METRIC_TTFT_MS_MEAN, ranking->best_value, ranking->next_value);
        text_printf(out, " %s", name_of(arms, ranking->next));
    }
}

void headline_write(const struct headline_arms *arms, struct text *out)
{
    if (arms->count == 1 && arms->seeds == NULL) {
        write_one(arms->runs[0], out);
        return;
    }
    if (arms->seeds == NULL && !compare_same_work(arms->runs, arms->count)) {
        text_add(out, "These runs served different requests: their figures stand side "
                      "by side, and none of them is the better one.");
        return;
    }
    const struct ranking first = rank_arms(arms, METRIC_TTFT_MS_MEAN);
    if (first.known < 2) {
        text_add(out, "Too few runs completed requests to compare them.");
        return;
    }
    write_first_token(arms, &first, out);
    const struct ranking whole = rank_arms(arms, METRIC_E2E_MS_MEAN);
    if (whole.known > 1 && whole.is_sure && whole.best != first.best) {
        text_printf(out, "; whole answers come soonest from %s (",
                    name_of(arms, whole.best));
        add_lead(out, arms, &whole, METRIC_E2E_MS_MEAN);
        text_add(out, ")");
    }
    text_add(out, ".");
}

/* ---- sweeps ---------------------------------------------------------------------- */

/* The lines of the lowest mean TTFT at a load. */
struct leaders {
    size_t known; /* lines that ran there */
    size_t first;
    size_t next;
    double first_ms;
    double next_ms;
};

static struct leaders leaders_at(const struct load_curves *load, double x)
{
    struct leaders leaders = {0, 0, 0, (double)INFINITY, (double)INFINITY};
    for (size_t i = 0; i < load->line_count; i++) {
        for (size_t at = 0; at < load->lines[i].point_count; at++) {
            const struct load_point *const point = &load->lines[i].points[at];
            const double mean = load_point_estimate(point, METRIC_TTFT_MS_MEAN).mean;
            if (isnan(mean) || fabs(point->x - x) > 0.0) {
                continue;
            }
            leaders.known++;
            if (mean < leaders.first_ms) {
                leaders.next = leaders.first;
                leaders.next_ms = leaders.first_ms;
                leaders.first = i;
                leaders.first_ms = mean;
            } else if (mean < leaders.next_ms) {
                leaders.next = i;
                leaders.next_ms = mean;
            }
        }
    }
    return leaders;
}

/* "2.1 s, 12 % less than round_robin" */
static void add_leader(const struct load_curves *load, const struct leaders *leaders,
                       struct text *out)
{
    add_value(out, METRIC_TTFT_MS_MEAN, leaders->first_ms);
    if (leaders->known < 2) {
        return;
    }
    text_add(out, ", ");
    if (compare_equal_in_practice(leaders->first_ms, leaders->next_ms)) {
        text_add(out, "hardly less than");
    } else {
        add_gap(out, METRIC_TTFT_MS_MEAN, leaders->first_ms, leaders->next_ms);
    }
    text_printf(out, " %s", load->lines[leaders->next].name);
}

static void find_ends(const struct load_curves *load, double *low, double *high)
{
    *low = (double)INFINITY;
    *high = -(double)INFINITY;
    for (size_t i = 0; i < load->line_count; i++) {
        for (size_t at = 0; at < load->lines[i].point_count; at++) {
            *low = fmin(*low, load->lines[i].points[at].x);
            *high = fmax(*high, load->lines[i].points[at].x);
        }
    }
}

void headline_write_load(const struct load_curves *load, struct text *out)
{
    double low;
    double high;
    find_ends(load, &low, &high);
    const struct leaders at_low = leaders_at(load, low);
    const struct leaders at_high = leaders_at(load, high);
    if (at_low.known == 0 || at_high.known == 0) {
        text_add(out, "The runs that are done do not suffice for a verdict yet.");
        return;
    }
    if (load->line_count == 1) {
        text_add(out, "The mean time to the first token goes from ");
        add_value(out, METRIC_TTFT_MS_MEAN, at_low.first_ms);
        text_printf(out, " at %s %g to ", load->key, low);
        add_value(out, METRIC_TTFT_MS_MEAN, at_high.first_ms);
        text_printf(out, " at %g.", high);
        return;
    }
    text_printf(out, "At the highest %s, %g, %s gives the first token soonest (",
                load->key, high, load->lines[at_high.first].name);
    add_leader(load, &at_high, out);
    text_printf(out, "); at the lowest, %g, ", low);
    text_printf(out, "%s (",
                at_low.first == at_high.first ? "it leads as well"
                                              : load->lines[at_low.first].name);
    add_leader(load, &at_low, out);
    text_add(out, ").");
}

/* ---- tiles ----------------------------------------------------------------------- */

static void add_tile(const struct headline_arms *arms, enum metric metric,
                     const char *what, struct text *out)
{
    const struct ranking ranking = rank_arms(arms, metric);
    if (ranking.known == 0) {
        return;
    }
    char shown[VALUE_BYTES];
    const char *const unit = format_value(metric, ranking.best_value, shown);
    text_printf(out, "<div class=\"tile\"><p class=\"what\">%s</p>", what);
    text_printf(out, "<p class=\"value\">%s <small>%s</small></p>", shown, unit);
    if (ranking.known > 1 &&
        compare_equal_in_practice(ranking.best_value, ranking.worst_value)) {
        text_add(out, "<p class=\"gap\">all within 1&nbsp;%</p>");
    } else if (ranking.known > 1) {
        struct text gap = {0};
        add_gap(&gap, metric, ranking.best_value, ranking.next_value);
        text_add(out, "<p class=\"who\">");
        html_add(out, name_of(arms, ranking.best));
        text_add(out, "</p><p class=\"gap\">");
        html_add(out, ranking.is_sure ? text_str(&gap) : "hardly different from");
        text_add(out, " ");
        html_add(out, name_of(arms, ranking.next));
        text_add(out, "</p>");
        text_fini(&gap);
    }
    text_add(out, "</div>\n");
}

void headline_add_tiles(const struct headline_arms *arms, struct text *out)
{
    text_add(out, "<div class=\"tiles\">\n");
    add_tile(arms, METRIC_TTFT_MS_MEAN, "First token, mean", out);
    add_tile(arms, METRIC_TTFT_MS_P99, "First token, p99", out);
    add_tile(arms, METRIC_E2E_MS_MEAN, "Whole answer, mean", out);
    const bool has_targets = rank_arms(arms, METRIC_GOODPUT_PER_S).known > 0;
    add_tile(arms, has_targets ? METRIC_GOODPUT_PER_S : METRIC_REQUESTS_PER_S,
             has_targets ? "Goodput" : "Throughput", out);
    text_add(out, "</div>\n");
}
