/* SPDX-License-Identifier: Apache-2.0
 *
 * regress.h: whether a candidate made anything worse than its baseline.
 *
 * Runs are matched by scenario and name; runs that differ in the seed alone
 * ("session@7") are one arm. A metric of an arm is worse when it moved to the bad side
 * by more than the rules allow and, where both sides have the same two seeds or more,
 * the difference is not chance (paired t over seeds, adjusted for all that was asked).
 */
#ifndef STACKSIM_REPORTS_REGRESS_H
#define STACKSIM_REPORTS_REGRESS_H

#include "base/err.h"
#include "base/text.h"
#include "reports/run.h"

/* How far a metric may move to its bad side: the larger of both. */
struct regress_limit {
    double ratio; /* of the baseline */
    double by;    /* in the metric's unit */
    bool ignored;
};

struct regress_rules {
    struct regress_limit limits[METRIC_COUNT];
    double significance; /* adjusted p below which a difference is not chance */
};

/* 1 % on every headline metric that has a better side; significance 5 %. */
void regress_rules_default(struct regress_rules *rules);
/* docs/regress.md has the file. Starts from the defaults. */
NODISCARD bool regress_rules_load(struct regress_rules *rules, const char *path,
                                  struct err *err);

enum regress_verdict {
    REGRESS_SAME,    /* within the limit, or nothing but chance */
    REGRESS_BETTER,  /* beyond the limit on the good side */
    REGRESS_WORSE,   /* beyond the limit on the bad side */
    REGRESS_MISSING, /* the candidate lacks the arm or the metric: counts as worse */
    REGRESS_NEW,     /* the baseline lacks the arm */
};

struct regress_row {
    const char *scenario; /* borrowed from the runs */
    char *arm;            /* owned */
    enum metric metric;   /* METRIC_COUNT: of the whole arm (MISSING, NEW) */
    enum regress_verdict verdict;
    size_t seeds; /* that both sides have */
    double baseline;
    double candidate;
    double change_ratio; /* candidate / baseline - 1; NaN against zero */
    double allowed;      /* in the metric's unit */
    double p;            /* NaN with fewer than two seeds in common */
    double p_adjusted;   /* over all figures of all arms (adjust_fdr) */
};

struct regress_result {
    struct regress_row *rows; /* arms in the baseline's order, metrics in theirs */
    size_t count;
    size_t capacity;
    size_t arms;
    size_t counts[REGRESS_NEW + 1];
};

struct regress_side {
    struct run_record *const *runs;
    size_t count;
};

void regress_compare(struct regress_result *result, const struct regress_side *baseline,
                     const struct regress_side *candidate,
                     const struct regress_rules *rules);
void regress_result_fini(struct regress_result *result);
/* Worse or missing. */
bool regress_failed(const struct regress_result *result);

#define REGRESS_FORMATS(X)                                                             \
    X(TABLE, "table", "for a terminal: what moved, and one line on the rest")          \
    X(MD, "md", "Markdown, for the comment of a pull request")                         \
    X(JSON, "json", "every figure")                                                    \
    X(JUNIT, "junit", "JUnit XML: one test case per arm and metric")                   \
    X(CSV, "csv", "every figure")

enum regress_format {
#define X(id, name, help) REGRESS_FORMAT_##id,
    REGRESS_FORMATS(X)
#undef X
};
NODISCARD bool regress_format_parse(const char *name, enum regress_format *format,
                                    struct err *err);
void regress_print(const struct regress_result *result, enum regress_format format,
                   struct text *out);

#endif
