/* SPDX-License-Identifier: Apache-2.0
 *
 * regress.c: matching of arms, and the verdict on each metric.
 */
#include "reports/regress.h"

#include "base/conf.h"
#include "base/mem.h"
#include "reports/arm.h"
#include "stats/replicate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 1 << 24 };

/* ---- rules ------------------------------------------------------------------------
 */

void regress_rules_default(struct regress_rules *rules)
{
    *rules = (struct regress_rules){.significance = 0.05};
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *info = metric_info((enum metric)i);
        rules->limits[i] = (struct regress_limit){
            .ratio = 0.01,
            .ignored = info->better == METRIC_NEUTRAL || info->rank != METRIC_HEADLINE,
        };
    }
}

static bool limit_read(struct regress_limit *limit, const struct conf_node *map,
                       struct err *err)
{
    double percent = limit->ratio * 100;
    bool ignored = limit->ignored;
    if (!conf_f64(map, "worse_percent", &percent, 0, 1e6, err) ||
        !conf_f64(map, "worse_by", &limit->by, 0, 1e18, err) ||
        !conf_bool(map, "ignore", &ignored, err)) {
        return false;
    }
    limit->ratio = percent / 100;
    limit->ignored = ignored;
    return true;
}

static bool metric_read(struct regress_rules *rules, const struct conf_node *metrics,
                        size_t index, struct err *err)
{
    const char *name = conf_key_at(metrics, index);
    const struct conf_node *map = conf_at(metrics, index);
    const enum metric metric = metric_by_name(name);
    if (metric == METRIC_COUNT) {
        return conf_fail(map, err,
                         "metrics: no metric %s; 'stacksim report FILE.db "
                         "--format csv' shows all names",
                         name);
    }
    if (metric_info(metric)->better == METRIC_NEUTRAL) {
        return conf_fail(map, err, "metrics: %s has no better side", name);
    }
    struct regress_limit *limit = &rules->limits[metric];
    limit->ignored = false; /* who names it wants it */
    return limit_read(limit, map, err);
}

static bool rules_read(struct regress_rules *rules, const struct conf_node *root,
                       struct err *err)
{
    const struct conf_node *every = NULL;
    const struct conf_node *metrics = NULL;
    if (!conf_f64(root, "significance", &rules->significance, 1e-9, 1, err) ||
        !conf_map(root, "default", &every, err) ||
        !conf_map(root, "metrics", &metrics, err)) {
        return false;
    }
    for (size_t i = 0; every != NULL && i < METRIC_COUNT; i++) {
        if (!rules->limits[i].ignored && !limit_read(&rules->limits[i], every, err)) {
            return false;
        }
    }
    for (size_t i = 0; i < conf_count(metrics); i++) {
        if (!metric_read(rules, metrics, i, err)) {
            return false;
        }
    }
    return conf_done(root, err);
}

bool regress_rules_load(struct regress_rules *rules, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    regress_rules_default(rules);
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    const bool ok = rules_read(rules, conf_root(conf), err);
    conf_delete(conf);
    return ok;
}

/* ---- arms -------------------------------------------------------------------------
 */

static bool in_arm(const struct run_info *info, const char *scenario, const char *arm)
{
    char own[ARM_NAME_MAX];
    arm_name(info, own);
    return strcmp(info->scenario_name, scenario) == 0 && strcmp(own, arm) == 0;
}

/* The last run of the arm with that seed: an appended one replaces those before. */
static const struct run_record *find(const struct regress_side *side,
                                     const char *scenario, const char *arm,
                                     const uint64_t *seed)
{
    for (size_t i = side->count; i > 0; i--) {
        const struct run_info *info = &side->runs[i - 1]->info;
        if (in_arm(info, scenario, arm) && (seed == NULL || info->seed == *seed)) {
            return side->runs[i - 1];
        }
    }
    return NULL;
}

/* Whether an earlier run of the side is of the same arm. */
static bool seen_before(const struct regress_side *side, size_t index)
{
    char arm[ARM_NAME_MAX];
    const struct run_info *info = &side->runs[index]->info;
    arm_name(info, arm);
    for (size_t i = 0; i < index; i++) {
        if (in_arm(&side->runs[i]->info, info->scenario_name, arm)) {
            return true;
        }
    }
    return false;
}

/* ---- one metric of one arm ---------------------------------------------------------
 */

struct pairs {
    const struct run_record **baseline;
    const struct run_record **candidate;
    size_t count; /* seeds that both sides have */
};

/* Each seed of the baseline's arm once, in order of its first run. */
static void pairs_fill(struct pairs *pairs, const struct regress_side *baseline,
                       const struct regress_side *candidate, const char *scenario,
                       const char *arm)
{
    for (size_t i = 0; i < baseline->count; i++) {
        const struct run_info *info = &baseline->runs[i]->info;
        if (!in_arm(info, scenario, arm) ||
            find(baseline, scenario, arm, &info->seed) != baseline->runs[i]) {
            continue;
        }
        const struct run_record *other = find(candidate, scenario, arm, &info->seed);
        if (other != NULL) {
            pairs->baseline[pairs->count] = baseline->runs[i];
            pairs->candidate[pairs->count++] = other;
        }
    }
}

static struct regress_row *row_add(struct regress_result *result,
                                   const struct regress_row *row)
{
    void *array = result->rows;
    const bool grown = mem_grow(&array, &result->capacity, result->count + 1,
                                sizeof *result->rows, ROWS_MAX);
    result->rows = array;
    if (!grown) {
        return NULL;
    }
    result->rows[result->count] = *row;
    return &result->rows[result->count++];
}

/* Positive when the candidate is on the bad side. */
static double worse_by(enum metric metric, double baseline, double candidate)
{
    return metric_info(metric)->better == METRIC_LOWER ? candidate - baseline
                                                       : baseline - candidate;
}

static enum regress_verdict verdict_of(const struct regress_row *row,
                                       double significance)
{
    const double worse = worse_by(row->metric, row->baseline, row->candidate);
    const bool chance = !isnan(row->p_adjusted) && row->p_adjusted >= significance;
    if (chance || fabs(worse) <= row->allowed) {
        return REGRESS_SAME;
    }
    return worse > 0 ? REGRESS_WORSE : REGRESS_BETTER;
}

static void metric_compare(struct regress_result *result, struct regress_row *row,
                           const struct pairs *pairs, const struct regress_rules *rules)
{
    double *before = mem_alloc(pairs->count + 1, sizeof *before);
    double *after = mem_alloc(pairs->count + 1, sizeof *after);
    size_t known = 0;
    size_t lost = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        before[known] = pairs->baseline[i]->metrics.value[row->metric];
        after[known] = pairs->candidate[i]->metrics.value[row->metric];
        lost += !isnan(before[known]) && isnan(after[known]) ? 1 : 0;
        known += !isnan(before[known]) && !isnan(after[known]) ? 1 : 0;
    }
    const struct regress_limit *limit = &rules->limits[row->metric];
    row->seeds = known;
    row->baseline = estimate_mean(before, known, 0.95).mean;
    row->candidate = estimate_mean(after, known, 0.95).mean;
    row->change_ratio =
        row->baseline != 0 ? row->candidate / row->baseline - 1 : (double)NAN;
    row->allowed = fmax(limit->ratio * fabs(row->baseline), limit->by);
    row->p = contrast_paired(before, after, known, 0.95).p;
    mem_free(before);
    mem_free(after);
    if (known > 0 || lost > 0) {
        row->verdict = lost > 0 ? REGRESS_MISSING : REGRESS_SAME; /* so far */
        row->arm = mem_strdup(row->arm);
        (void)row_add(result, row);
    }
}

static void arm_compare(struct regress_result *result, const struct regress_side *sides,
                        size_t index, const struct regress_rules *rules)
{
    char arm[ARM_NAME_MAX];
    const struct regress_side *baseline = &sides[0];
    const struct run_info *info = &baseline->runs[index]->info;
    arm_name(info, arm);
    struct pairs pairs = {
        .baseline = mem_alloc(baseline->count, sizeof(struct run_record *)),
        .candidate = mem_alloc(baseline->count, sizeof(struct run_record *)),
    };
    pairs_fill(&pairs, baseline, &sides[1], info->scenario_name, arm);
    result->arms++;
    if (pairs.count == 0) {
        (void)row_add(result, &(struct regress_row){.scenario = info->scenario_name,
                                                    .arm = mem_strdup(arm),
                                                    .metric = METRIC_COUNT,
                                                    .verdict = REGRESS_MISSING,
                                                    .p = (double)NAN,
                                                    .p_adjusted = (double)NAN});
    }
    for (size_t i = 0; pairs.count > 0 && i < METRIC_COUNT; i++) {
        if (!rules->limits[i].ignored) {
            struct regress_row row = {
                .scenario = info->scenario_name, .arm = arm, .metric = (enum metric)i};
            metric_compare(result, &row, &pairs, rules);
        }
    }
    mem_free(pairs.baseline);
    mem_free(pairs.candidate);
}

/* Of a hundred figures that did not change five are below 5 % by chance, so that a gate
 * that asks each by itself would cry at nothing. */
static void judge(struct regress_result *result, double significance)
{
    double *p = mem_alloc(result->count + 1, sizeof *p);
    for (size_t i = 0; i < result->count; i++) {
        p[i] = result->rows[i].p;
    }
    adjust_fdr(p, result->count);
    for (size_t i = 0; i < result->count; i++) {
        struct regress_row *row = &result->rows[i];
        row->p_adjusted = p[i];
        if (row->verdict == REGRESS_SAME) {
            row->verdict = verdict_of(row, significance);
        }
        result->counts[row->verdict]++;
    }
    mem_free(p);
}

void regress_compare(struct regress_result *result, const struct regress_side *baseline,
                     const struct regress_side *candidate,
                     const struct regress_rules *rules)
{
    const struct regress_side sides[2] = {*baseline, *candidate};
    *result = (struct regress_result){0};
    for (size_t i = 0; i < baseline->count; i++) {
        if (!seen_before(baseline, i)) {
            arm_compare(result, sides, i, rules);
        }
    }
    for (size_t i = 0; i < candidate->count; i++) {
        char arm[ARM_NAME_MAX];
        const struct run_info *info = &candidate->runs[i]->info;
        arm_name(info, arm);
        if (!seen_before(candidate, i) &&
            find(baseline, info->scenario_name, arm, NULL) == NULL) {
            (void)row_add(result, &(struct regress_row){.scenario = info->scenario_name,
                                                        .arm = mem_strdup(arm),
                                                        .metric = METRIC_COUNT,
                                                        .verdict = REGRESS_NEW,
                                                        .p = (double)NAN,
                                                        .p_adjusted = (double)NAN});
        }
    }
    judge(result, rules->significance);
}

void regress_result_fini(struct regress_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        mem_free(result->rows[i].arm);
    }
    mem_free(result->rows);
    *result = (struct regress_result){0};
}

bool regress_failed(const struct regress_result *result)
{
    return result->counts[REGRESS_WORSE] + result->counts[REGRESS_MISSING] > 0;
}
