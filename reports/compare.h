/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.h: runs side by side, and what may be said about their difference.
 *
 * Pairing: two runs of the same workload hold the same request ids, so the difference
 * per request is free of the workload's own spread. Its interval is a bootstrap over
 * blocks of neighbouring arrivals (stats/summary.h). It covers this one workload and
 * seed only; it says nothing about other seeds.
 */
#ifndef STACKSIM_REPORTS_COMPARE_H
#define STACKSIM_REPORTS_COMPARE_H

#include "base/text.h"
#include "reports/run.h"
#include "reports/table.h"
#include "stats/quantile.h"

/* Machine formats get one row per run and every metric; for people the headline metrics
 * are turned, one line per metric and one column per run, so that they fit a terminal.
 * The best value of a metric is marked unless all runs are equal in practice. */
void compare_print(const struct run_record *const *runs, size_t count,
                   enum table_format format, struct text *out);

/* Which metrics a table holds; metrics that no run knows are left out. */
enum compare_part {
    COMPARE_ALL,     /* of every rank, with policy, engines and requests of each run */
    COMPARE_TOKENS,  /* headline latencies of tokens: TTFT, TPOT */
    COMPARE_ANSWERS, /* the other headline latencies: E2E, queue */
    COMPARE_FLEET,   /* the other headline metrics: rates, ratios, counts */
};

/* One row per run, one column per metric. The caller deletes it. */
struct table *compare_table(const struct run_record *const *runs, size_t count,
                            enum compare_part part);

/* Sentences, one per line: which run is best in what, by how much, and how far to trust
 * it. The first line is the verdict, the others qualify it. */
void compare_verdict(const struct run_record *const *runs, size_t count,
                     struct text *out);

/* Whether the runs served the same requests, as far as is known: where all of both were
 * completed their number and tokens tell, else scenario and workload as they are
 * called. Of other runs nobody can be the better one. */
bool compare_same_work(const struct run_record *const *runs, size_t count);

/* Within 1 % of the larger: no difference that anyone should act on. */
bool compare_equal_in_practice(double left, double right);

/* COMPARE_ALL takes every metric, the other parts headline metrics alone. */
bool compare_is_in_part(enum metric metric, enum compare_part part);

enum paired_metric { PAIRED_TTFT, PAIRED_E2E };

struct paired {
    size_t pairs;                  /* completed in both; 0 = other workloads */
    double base_mean_ms;           /* over the pairs */
    double difference_mean_ms;     /* other - base; negative = other is faster */
    struct interval difference_ms; /* 95 %; NaN when there are too few */
};

struct paired compare_paired(const struct run_record *base,
                             const struct run_record *other, enum paired_metric what);

#endif
