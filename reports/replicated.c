/* SPDX-License-Identifier: Apache-2.0
 *
 * replicated.c: tables and sentences over seeds.
 */
#include "reports/replicated.h"

#include "base/mem.h"
#include "reports/compare.h"
#include "reports/warmup.h"

#include <math.h>
#include <stdio.h>

enum { ARMS_BESIDE = 4, SHOWN_BYTES = 400 };
/* More arms are not told one by one: nobody reads a sentence of thirty. */
enum { ARMS_TOLD = 6, NAMES_TOLD = 5 };
static const double level = 0.95;

static double value_of(const struct replicated *set, size_t arm, size_t seed,
                       enum metric metric)
{
    return set->runs[arm * set->seeds + seed]->metrics.value[metric];
}

struct estimate replicated_estimate(const struct replicated *set, size_t arm,
                                    enum metric metric)
{
    double *values = mem_alloc(set->seeds, sizeof *values);
    size_t count = 0;
    for (size_t seed = 0; seed < set->seeds; seed++) {
        const double value = value_of(set, arm, seed, metric);
        if (!isnan(value)) {
            values[count++] = value;
        }
    }
    const struct estimate estimate = estimate_mean(values, count, level);
    mem_free(values);
    return estimate;
}

struct contrast replicated_contrast(const struct replicated *set, size_t base,
                                    size_t other, enum metric metric)
{
    double *from = mem_alloc(set->seeds, sizeof *from);
    double *to = mem_alloc(set->seeds, sizeof *to);
    size_t count = 0;
    for (size_t seed = 0; seed < set->seeds; seed++) {
        const double before = value_of(set, base, seed, metric);
        const double after = value_of(set, other, seed, metric);
        if (!isnan(before) && !isnan(after)) {
            from[count] = before;
            to[count++] = after;
        }
    }
    const struct contrast contrast = contrast_paired(from, to, count, level);
    mem_free(from);
    mem_free(to);
    return contrast;
}

/* ---- ranking --------------------------------------------------------------------- */

static bool is_better(enum metric metric, double left, double right)
{
    return metric_info(metric)->better == METRIC_LOWER ? left < right : left > right;
}

/* Arm of the best mean; set->arms when nobody knows the metric. */
static size_t best_arm(const struct replicated *set, enum metric metric)
{
    size_t best = set->arms;
    double most = (double)NAN;
    for (size_t arm = 0; arm < set->arms; arm++) {
        const double mean = replicated_estimate(set, arm, metric).mean;
        if (!isnan(mean) && (isnan(most) || is_better(metric, mean, most))) {
            most = mean;
            best = arm;
        }
    }
    return best;
}

/* Best against every other arm; p is adjusted over them. */
static void contrasts_of(const struct replicated *set, enum metric metric, size_t best,
                         struct contrast *contrasts)
{
    double *p = mem_alloc(set->arms, sizeof *p);
    for (size_t arm = 0; arm < set->arms; arm++) {
        contrasts[arm] = replicated_contrast(set, best, arm, metric);
        p[arm] = arm == best ? (double)NAN : contrasts[arm].p;
    }
    adjust_holm(p, set->arms);
    for (size_t arm = 0; arm < set->arms; arm++) {
        contrasts[arm].p = p[arm];
    }
    mem_free(p);
}

/* ---- what verdicts speak of -------------------------------------------------------
 */

static const struct {
    enum metric metric;
    const char *noun;
} told[] = {
    {METRIC_TTFT_MS_MEAN, "mean TTFT"},
    {METRIC_TTFT_MS_P99, "p99 of TTFT"},
    {METRIC_E2E_MS_MEAN, "mean E2E latency"},
    {METRIC_TPOT_MS_MEAN, "mean TPOT"},
    {METRIC_GOODPUT_PER_S, "goodput"},
    {METRIC_OUTPUT_TOKENS_PER_S, "output rate"},
};
enum { TOLD = sizeof told / sizeof told[0] };

/* Best against every other arm, [told metric * arms + arm]. p is adjusted over all of
 * them: with six figures a verdict that asks each by itself finds some difference in a
 * quarter of all comparisons of an arm with itself. The caller frees it. */
static struct contrast *told_contrasts(const struct replicated *set)
{
    const size_t count = TOLD * set->arms;
    struct contrast *contrasts = mem_alloc(count, sizeof *contrasts);
    double *p = mem_alloc(count, sizeof *p);
    for (size_t which = 0; which < TOLD; which++) {
        const enum metric metric = told[which].metric;
        const size_t best = best_arm(set, metric);
        for (size_t arm = 0; arm < set->arms; arm++) {
            const size_t at = which * set->arms + arm;
            p[at] = (double)NAN;
            if (best < set->arms) {
                contrasts[at] = replicated_contrast(set, best, arm, metric);
                p[at] = arm == best ? (double)NAN : contrasts[at].p;
            }
        }
    }
    adjust_fdr(p, count);
    for (size_t i = 0; i < count; i++) {
        contrasts[i].p = p[i];
    }
    mem_free(p);
    return contrasts;
}

double replicated_p(const struct replicated *set, enum metric metric, size_t arm)
{
    struct contrast *contrasts = told_contrasts(set);
    double p = (double)NAN;
    for (size_t i = 0; i < TOLD; i++) {
        if (told[i].metric == metric) {
            p = contrasts[i * set->arms + arm].p;
        }
    }
    mem_free(contrasts);
    return p;
}

/* ---- tables ---------------------------------------------------------------------- */

static bool is_known(const struct replicated *set, enum metric metric)
{
    return best_arm(set, metric) < set->arms;
}

/* "24.2 ± 0.4" */
static void show(const struct estimate *estimate, enum metric metric,
                 char out[SHOWN_BYTES])
{
    char mean[SHOWN_BYTES / 2 - 8];
    metric_format(metric, estimate->mean, mean, sizeof mean);
    if (isnan(estimate->interval.low)) {
        snprintf(out, SHOWN_BYTES, "%s", mean);
        return;
    }
    char half[SHOWN_BYTES / 2 - 8];
    metric_format(metric, estimate->interval.high - estimate->mean, half, sizeof half);
    snprintf(out, SHOWN_BYTES, "%s ± %s", mean, half);
}

/* Nobody is best where all means are equal in practice, or where no side is better. */
static bool equal_all(const struct replicated *set, enum metric metric)
{
    const double best = replicated_estimate(set, best_arm(set, metric), metric).mean;
    for (size_t arm = 0; arm < set->arms; arm++) {
        const double mean = replicated_estimate(set, arm, metric).mean;
        if (!isnan(mean) && !compare_equal_in_practice(best, mean)) {
            return metric_info(metric)->better == METRIC_NEUTRAL;
        }
    }
    return true;
}

static void put_estimate(struct table *table, const struct replicated *set, size_t arm,
                         enum metric metric)
{
    char shown[SHOWN_BYTES];
    const struct estimate estimate = replicated_estimate(set, arm, metric);
    const size_t best = best_arm(set, metric);
    show(&estimate, metric, shown);
    table_put_f64(table, estimate.mean, metric_info(metric)->decimals, shown);
    if (arm == best && !equal_all(set, metric)) {
        table_mark(table);
    }
}

static struct table *table_beside(const struct replicated *set, size_t first)
{
    const size_t left = set->arms - first;
    const size_t beside = left < ARMS_BESIDE ? left : ARMS_BESIDE;
    struct table_column columns[1 + ARMS_BESIDE] = {{"metric", "", NULL, NULL, true}};
    for (size_t i = 0; i < beside; i++) {
        const char *name = set->names[first + i];
        columns[1 + i] = (struct table_column){name, name, NULL, NULL, false};
    }
    struct table *table = table_new(columns, 1 + beside);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const enum metric metric = (enum metric)i;
        const struct metric_info *info = metric_info(metric);
        if (info->rank != METRIC_HEADLINE || !is_known(set, metric)) {
            continue;
        }
        char name[SHOWN_BYTES];
        const bool has_unit = info->unit[0] != '\0';
        snprintf(name, sizeof name, has_unit ? "%s (%s)" : "%s%s", info->heading,
                 info->unit);
        table_put_text(table, name);
        for (size_t arm = first; arm < first + beside; arm++) {
            put_estimate(table, set, arm, metric);
        }
    }
    return table;
}

struct table *replicated_table(const struct replicated *set, enum compare_part part)
{
    struct table_column columns[1 + METRIC_COUNT] = {
        {"run", "run", NULL, "the arm, over all seeds", true}};
    enum metric chosen[METRIC_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const enum metric metric = (enum metric)i;
        if (compare_is_in_part(metric, part) && is_known(set, metric)) {
            const struct metric_info *info = metric_info(metric);
            chosen[count++] = metric;
            columns[count] = (struct table_column){info->name, info->heading,
                                                   info->unit, info->help, false};
        }
    }
    struct table *table = table_new(columns, 1 + count);
    for (size_t arm = 0; arm < set->arms; arm++) {
        table_put_text(table, set->names[arm]);
        for (size_t i = 0; i < count; i++) {
            put_estimate(table, set, arm, chosen[i]);
        }
    }
    return table;
}

static void put_number(struct table *table, double value)
{
    table_put_f64(table, value, 6, NULL);
}

static struct table *table_long(const struct replicated *set)
{
    static const struct table_column columns[] = {
        {"run", NULL, NULL, "the arm", true},
        {"metric", NULL, NULL, "as in the store", true},
        {"seeds", NULL, NULL, "that know the metric", false},
        {"mean", NULL, NULL, NULL, false},
        {"low", NULL, NULL, "of the 95 % interval of the mean", false},
        {"high", NULL, NULL, NULL, false},
        {"sd", NULL, NULL, "between seeds", false},
        {"best", NULL, NULL, "the arm of the best mean", true},
        {"difference", NULL, NULL, "to the best, in pairs of seeds", false},
        {"difference_low", NULL, NULL, "of its 95 % interval", false},
        {"difference_high", NULL, NULL, NULL, false},
        {"p_holm", NULL, NULL, "of no difference, adjusted over the arms", false},
        {"effect", NULL, NULL, "difference over the sd of differences (Cohen)", false},
        {"warmup", NULL, NULL, "rule by which the start was left out", true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    struct contrast *contrasts = mem_alloc(set->arms, sizeof *contrasts);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const enum metric metric = (enum metric)i;
        const size_t best = best_arm(set, metric);
        if (best == set->arms) {
            continue;
        }
        contrasts_of(set, metric, best, contrasts);
        for (size_t arm = 0; arm < set->arms; arm++) {
            const struct estimate estimate = replicated_estimate(set, arm, metric);
            table_put_text(table, set->names[arm]);
            table_put_text(table, metric_info(metric)->name);
            table_put_u64(table, estimate.count);
            put_number(table, estimate.mean);
            put_number(table, estimate.interval.low);
            put_number(table, estimate.interval.high);
            put_number(table, estimate.sd);
            table_put_text(table, set->names[best]);
            put_number(table, contrasts[arm].difference);
            put_number(table, contrasts[arm].interval.low);
            put_number(table, contrasts[arm].interval.high);
            put_number(table, contrasts[arm].p);
            put_number(table, contrasts[arm].effect);
            table_put_text(table, set->runs[arm * set->seeds]->info.warmup);
        }
    }
    mem_free(contrasts);
    return table;
}

void replicated_print(const struct replicated *set, enum table_format format,
                      struct text *out)
{
    if (format != TABLE_TEXT && format != TABLE_MD) {
        struct table *table = table_long(set);
        table_write(table, format, out);
        table_delete(table);
        return;
    }
    for (size_t first = 0; first < set->arms; first += ARMS_BESIDE) {
        text_add(out, first == 0 ? "" : "\n");
        struct table *table = table_beside(set, first);
        table_write(table, format, out);
        table_delete(table);
    }
    if (format == TABLE_TEXT) {
        text_printf(out,
                    "Means over %zu seeds ± half of their 95 %% interval; * best mean "
                    "of the arms\n",
                    set->seeds);
    }
    text_add(out, format == TABLE_TEXT ? "" : "\n");
    warmup_describe_all(set->runs, set->arms * set->seeds, out);
}

/* ---- sentences ------------------------------------------------------------------- */

enum finding { FOUND_EQUAL, FOUND_NOTHING, FOUND_DIFFERENCE };

/* What a contrast says about two arms of these means. */
static enum finding finding_of(const struct contrast *contrast, double best,
                               double other)
{
    if (!(contrast->p < 1 - level)) {
        return compare_equal_in_practice(best, other) ? FOUND_EQUAL : FOUND_NOTHING;
    }
    return compare_equal_in_practice(best, other) ? FOUND_EQUAL : FOUND_DIFFERENCE;
}

/* "12.3 % below", from 2 on "a factor of 3.4 below", beyond 1000 "far below". */
static void add_gap(struct text *out, double from, double to, const char *side)
{
    const double factor = fmax(from, to) / fmin(from, to);
    if (factor < 2) {
        text_printf(out, "%.1f %% %s", fabs(to - from) / fabs(from) * 100, side);
    } else if (factor < 1000) { /* false for infinity and NaN, too */
        text_printf(out, "a factor of %.3g %s", factor, side);
    } else {
        text_printf(out, "far %s", side);
    }
}

/* Relative to the other's mean; of a gain beyond doubling only that it is real. */
static void add_interval(struct text *out, const struct contrast *contrast,
                         double other)
{
    const double low = fabs(contrast->interval.low) / fabs(other) * 100;
    const double high = fabs(contrast->interval.high) / fabs(other) * 100;
    if (fmax(low, high) < 100) {
        text_printf(out, "95 %% interval %.1f to %.1f %%, ", fmin(low, high),
                    fmax(low, high));
    }
    if (contrast->p < 0.001) {
        text_add(out, "p < 0.001");
    } else {
        text_printf(out, "p = %.2g", contrast->p);
    }
}

static void add_against(struct text *out, const struct replicated *set,
                        enum metric metric, size_t arm, const struct contrast *contrast)
{
    const size_t best = best_arm(set, metric);
    const double from = replicated_estimate(set, arm, metric).mean;
    const double to = replicated_estimate(set, best, metric).mean;
    const char *side = metric_info(metric)->better == METRIC_LOWER ? "below" : "above";
    switch (finding_of(contrast, to, from)) {
    case FOUND_EQUAL:
        text_printf(out, "equal in practice to %s (within 1 %%)", set->names[arm]);
        break;
    case FOUND_NOTHING:
        text_printf(out, "no detectable difference from %s (%.1f %% %s, p = %.2g)",
                    set->names[arm], fabs(to - from) / fabs(from) * 100, side,
                    contrast->p);
        break;
    case FOUND_DIFFERENCE:
        add_gap(out, from, to, side);
        text_printf(out, " %s (", set->names[arm]);
        add_interval(out, contrast, from);
        text_add(out, ")");
        break;
    }
}

static void add_each(struct text *out, const struct replicated *set, enum metric metric,
                     size_t best, const struct contrast *contrasts)
{
    const char *separator = " ";
    for (size_t arm = 0; arm < set->arms; arm++) {
        if (arm != best && contrasts[arm].pairs > 0) {
            text_add(out, separator);
            add_against(out, set, metric, arm, &contrasts[arm]);
            separator = ", ";
        }
    }
}

/* The best arm among all others, in groups. */
struct field {
    const struct replicated *set;
    enum metric metric;
    size_t best;
    const struct contrast *contrasts;
};

static double mean_of(const struct field *field, size_t arm)
{
    return replicated_estimate(field->set, arm, field->metric).mean;
}

static bool is_found(const struct field *field, size_t arm, enum finding finding)
{
    const struct contrast *contrast = &field->contrasts[arm];
    return arm != field->best && contrast->pairs > 0 &&
           finding_of(contrast, mean_of(field, field->best), mean_of(field, arm)) ==
               finding;
}

static void add_names(struct text *out, const struct field *field, enum finding finding,
                      const char *lead)
{
    size_t count = 0;
    for (size_t arm = 0; arm < field->set->arms; arm++) {
        if (!is_found(field, arm, finding)) {
            continue;
        }
        if (count < NAMES_TOLD) {
            text_printf(out, "%s%s", count == 0 ? lead : ", ", field->set->names[arm]);
        }
        count++;
    }
    if (count > NAMES_TOLD) {
        text_printf(out, " and %zu more", count - NAMES_TOLD);
    }
}

/* The nearest and the furthest of the arms that are worse. */
static void add_worse(struct text *out, const struct field *field)
{
    const struct replicated *set = field->set;
    size_t count = 0;
    size_t nearest = 0;
    size_t furthest = 0;
    for (size_t arm = 0; arm < set->arms; arm++) {
        if (!is_found(field, arm, FOUND_DIFFERENCE)) {
            continue;
        }
        const double mean = mean_of(field, arm);
        if (count == 0 || is_better(field->metric, mean, mean_of(field, nearest))) {
            nearest = arm;
        }
        if (count == 0 || is_better(field->metric, mean_of(field, furthest), mean)) {
            furthest = arm;
        }
        count++;
    }
    if (count == 0) {
        return;
    }
    const double to = mean_of(field, field->best);
    const bool is_lower = metric_info(field->metric)->better == METRIC_LOWER;
    const char *side = is_lower ? "below" : "above";
    text_add(out, "; ");
    add_gap(out, mean_of(field, nearest), to, side);
    text_printf(out, " %s", set->names[nearest]);
    if (count > 1) {
        text_printf(out, ", the nearest of %zu others, and ", count);
        add_gap(out, mean_of(field, furthest), to, side);
        text_printf(out, " %s, the last", set->names[furthest]);
    }
    text_add(out, " (p < 0.05)");
}

/* contrasts: of this metric's best with every arm. */
static void add_metric(struct text *out, const struct replicated *set, size_t which,
                       const struct contrast *contrasts)
{
    const enum metric metric = told[which].metric;
    const size_t best = best_arm(set, metric);
    if (best == set->arms || set->arms < 2) {
        return;
    }
    char shown[SHOWN_BYTES];
    const struct estimate estimate = replicated_estimate(set, best, metric);
    show(&estimate, metric, shown);
    text_printf(out, "%s has the %s %s over %zu seeds: %s %s", set->names[best],
                metric_info(metric)->better == METRIC_LOWER ? "lowest" : "highest",
                told[which].noun, set->seeds, shown, metric_info(metric)->unit);
    if (set->arms <= ARMS_TOLD) {
        text_add(out, ";");
        add_each(out, set, metric, best, contrasts);
    } else {
        const struct field field = {set, metric, best, contrasts};
        add_names(out, &field, FOUND_EQUAL, "; equal in practice to ");
        add_names(out, &field, FOUND_NOTHING, "; no detectable difference from ");
        add_worse(out, &field);
    }
    text_add(out, ".\n");
}

/* An arm whose runs are all alike. */
static bool seeds_change_nothing(const struct replicated *set)
{
    for (size_t arm = 0; arm < set->arms; arm++) {
        if (replicated_estimate(set, arm, METRIC_E2E_MS_MEAN).sd <= 0) {
            return true;
        }
    }
    return false;
}

static void add_cautions(struct text *out, const struct replicated *set)
{
    for (size_t arm = 0; arm < set->arms; arm++) {
        const double completed =
            replicated_estimate(set, arm, METRIC_COMPLETED_RATIO).mean;
        if (completed < 1) {
            text_printf(out,
                        "Caution: %s completed %.2f %% of its requests; its latencies "
                        "leave the others out, which flatters it.\n",
                        set->names[arm], completed * 100);
        }
    }
    if (seeds_change_nothing(set)) {
        text_add(out,
                 "Caution: the seed changes nothing for some arms: the workload is "
                 "recorded, so intervals hold the chance of policies alone and say "
                 "nothing about other traffic. Generate the workload to vary it.\n");
    }
    if (set->seeds < 5) {
        text_printf(out,
                    "Caution: %zu seeds make wide intervals; 5 or more are better.\n",
                    set->seeds);
    }
}

void replicated_verdict(const struct replicated *set, struct text *out)
{
    if (set->arms == 1) {
        text_printf(out, "%s: one arm, nothing to compare it with.\n", set->names[0]);
    }
    struct contrast *contrasts = told_contrasts(set);
    for (size_t i = 0; i < TOLD; i++) {
        add_metric(out, set, i, &contrasts[i * set->arms]);
    }
    mem_free(contrasts);
    add_cautions(out, set);
}
