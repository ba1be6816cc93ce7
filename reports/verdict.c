/* SPDX-License-Identifier: Apache-2.0
 *
 * verdict.c: what may be said about the difference between runs, in words.
 *
 * The second half of compare.h. Differences below 1 % are called equal in practice
 * whatever their interval, and no difference is called real whose interval holds zero.
 */
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "reports/compare.h"
#include "reports/warmup.h"
#include "stats/bootstrap.h"
#include "stats/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fewer pairs say nothing of the slowest hundredth. */
enum { PAIRED_BLOCKS = 100, P99_PAIRS_MIN = 1000 };

struct pair {
    int64_t arrival_ns;
    uint64_t request_id;
    double base_ns;
    double difference_ns;
};

static int compare_pairs(const void *left, const void *right)
{
    const struct pair *const a = left;
    const struct pair *const b = right;
    if (a->arrival_ns != b->arrival_ns) {
        return a->arrival_ns < b->arrival_ns ? -1 : 1;
    }
    return (a->request_id > b->request_id) - (a->request_id < b->request_id);
}

static bool latency_ns(const struct request_row *row, enum paired_metric what,
                       int64_t *out)
{
    if (row->status != REQUEST_COMPLETED || row->first_token_ns == RUN_TIME_NONE) {
        return false;
    }
    *out = (what == PAIRED_TTFT ? row->first_token_ns : row->end_ns) - row->arrival_ns;
    return true;
}

/* Fills pairs in the order of base's arrivals. A request of another length under the
 * same id means that these are different workloads: no pairs at all. */
static size_t make_pairs(const struct run_record *base, const struct run_record *other,
                         enum paired_metric what, struct pair *pairs)
{
    struct map *const by_id = map_new(other->request_count, other->request_count + 1);
    for (size_t i = 0; i < other->request_count; i++) {
        map_put(by_id, other->requests[i].request_id, (uint32_t)i);
    }
    size_t count = 0;
    bool is_same = true;
    for (size_t i = 0; is_same && i < base->request_count; i++) {
        const struct request_row *const mine = &base->requests[i];
        uint32_t at;
        if (!map_get(by_id, mine->request_id, &at)) {
            continue;
        }
        const struct request_row *const theirs = &other->requests[at];
        is_same = mine->prompt_tokens == theirs->prompt_tokens;
        if (mine->arrival_ns < base->warmup.counted_from_ns ||
            theirs->arrival_ns < other->warmup.counted_from_ns) {
            continue;
        }
        int64_t mine_ns;
        int64_t theirs_ns;
        if (latency_ns(mine, what, &mine_ns) && latency_ns(theirs, what, &theirs_ns)) {
            pairs[count++] =
                (struct pair){mine->arrival_ns, mine->request_id, (double)mine_ns,
                              (double)(theirs_ns - mine_ns)};
        }
    }
    map_delete(by_id);
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    return is_same ? count : 0;
}

struct paired compare_paired(const struct run_record *base,
                             const struct run_record *other, enum paired_metric what)
{
    const double unknown = (double)NAN;
    struct paired paired = {0, unknown, unknown, {unknown, unknown}};
    struct pair *const pairs = mem_alloc(base->request_count, sizeof *pairs);
    paired.pairs = make_pairs(base, other, what, pairs);
    double *const differences_ms = mem_alloc(paired.pairs, sizeof *differences_ms);
    double base_sum_ms = 0.0;
    for (size_t i = 0; i < paired.pairs; i++) {
        differences_ms[i] = pairs[i].difference_ns * 1e-6;
        base_sum_ms += pairs[i].base_ns * 1e-6;
    }
    if (paired.pairs > 0) {
        paired.base_mean_ms = base_sum_ms / (double)paired.pairs;
        paired.difference_mean_ms = mean_of(differences_ms, paired.pairs);
        paired.difference_ms = bootstrap_mean(differences_ms, paired.pairs,
                                              PAIRED_BLOCKS, 0.95, base->info.seed);
    }
    mem_free(differences_ms);
    mem_free(pairs);
    return paired;
}

/* p99 of other - p99 of base over the same requests: the difference and its interval.
 */
static struct paired compare_p99(const struct run_record *base,
                                 const struct run_record *other,
                                 enum paired_metric what)
{
    const double unknown = (double)NAN;
    struct paired paired = {0, unknown, unknown, {unknown, unknown}};
    struct pair *const pairs = mem_alloc(base->request_count, sizeof *pairs);
    const size_t count = make_pairs(base, other, what, pairs);
    int64_t *const from_ns = mem_alloc(count + 1, sizeof *from_ns);
    int64_t *const to_ns = mem_alloc(count + 1, sizeof *to_ns);
    for (size_t i = 0; i < count; i++) {
        from_ns[i] = (int64_t)pairs[i].base_ns;
        to_ns[i] = from_ns[i] + (int64_t)pairs[i].difference_ns;
    }
    if (count >= P99_PAIRS_MIN) {
        const struct bootstrap how = {PAIRED_BLOCKS, 0.95, base->info.seed};
        const struct interval found =
            bootstrap_quantile_difference(from_ns, to_ns, count, 0.99, &how);
        paired.pairs = count;
        paired.difference_ms = (struct interval){found.low * 1e-6, found.high * 1e-6};
        quantile_sort(from_ns, count);
        quantile_sort(to_ns, count);
        paired.base_mean_ms = quantile_of_sorted(from_ns, count, 0.99) * 1e-6;
        paired.difference_mean_ms =
            quantile_of_sorted(to_ns, count, 0.99) * 1e-6 - paired.base_mean_ms;
    }
    mem_free(from_ns);
    mem_free(to_ns);
    mem_free(pairs);
    return paired;
}

/* The runs that know a metric, ranked: best, next to it, worst. */
struct ranking {
    size_t known;
    size_t best;
    size_t next;
    size_t worst;
};

static bool is_before(enum metric metric, const struct run_record *left,
                      const struct run_record *right)
{
    const double a = left->metrics.value[metric];
    const double b = right->metrics.value[metric];
    return metric_info(metric)->better == METRIC_LOWER ? a < b : a > b;
}

static void rank_one(struct ranking *ranking, enum metric metric,
                     const struct run_record *const *runs, size_t at)
{
    if (ranking->known == 0) {
        ranking->best = ranking->next = ranking->worst = at;
    } else if (is_before(metric, runs[at], runs[ranking->best])) {
        ranking->next = ranking->best;
        ranking->best = at;
    } else if (ranking->known == 1 ||
               is_before(metric, runs[at], runs[ranking->next])) {
        ranking->next = at;
    }
    if (is_before(metric, runs[ranking->worst], runs[at])) {
        ranking->worst = at;
    }
    ranking->known++;
}

static struct ranking rank_runs(enum metric metric,
                                const struct run_record *const *runs, size_t count)
{
    struct ranking ranking = {0};
    for (size_t i = 0; i < count; i++) {
        if (!isnan(runs[i]->metrics.value[metric])) {
            rank_one(&ranking, metric, runs, i);
        }
    }
    return ranking;
}

/* "12 % below", from 2 on "a factor of 3.4 below", beyond 1000 or against zero "far
 * below": what one gains by moving from the other to the best. */
static void add_gap(struct text *out, const struct run_record *best,
                    const struct run_record *other, enum metric metric)
{
    const double from = other->metrics.value[metric];
    const double to = best->metrics.value[metric];
    const char *const side =
        metric_info(metric)->better == METRIC_LOWER ? "below" : "above";
    const double factor = fmax(from, to) / fmin(from, to);
    if (factor < 2.0) {
        text_printf(out, "%.0f %% %s", fabs(to - from) / from * 100.0, side);
    } else if (factor < 1000.0) { /* false for infinity and NaN, too */
        text_printf(out, "a factor of %.3g %s", factor, side);
    } else {
        text_printf(out, "far %s", side);
    }
}

static bool are_equal(const struct run_record *left, const struct run_record *right,
                      enum metric metric)
{
    return compare_equal_in_practice(left->metrics.value[metric],
                                     right->metrics.value[metric]);
}

static void add_value(struct text *out, const struct run_record *run,
                      enum metric metric)
{
    char shown[400];
    metric_format(metric, run->metrics.value[metric], shown, sizeof shown);
    text_printf(out, "%s %s", shown, metric_info(metric)->unit);
}

/* "a has the lowest mean TTFT: 312.4 ms, 12 % below b (355.0 ms) and 38 % below c
 * (503.9 ms)." */
static void add_ranking(struct text *out, enum metric metric, const char *noun,
                        const struct run_record *const *runs, size_t count)
{
    const struct ranking ranking = rank_runs(metric, runs, count);
    if (ranking.known < 2) {
        return;
    }
    const struct run_record *const best = runs[ranking.best];
    const struct run_record *const next = runs[ranking.next];
    const struct run_record *const worst = runs[ranking.worst];
    const bool is_lower = metric_info(metric)->better == METRIC_LOWER;
    if (are_equal(best, worst, metric)) {
        text_printf(out, "In %s all runs are equal in practice (within 1 %%): ", noun);
        add_value(out, best, metric);
        text_add(out, ".\n");
        return;
    }
    text_printf(out, "%s has the %s %s: ", best->info.name,
                is_lower ? "lowest" : "highest", noun);
    add_value(out, best, metric);
    text_add(out, ", ");
    if (are_equal(best, next, metric)) {
        text_add(out, "equal in practice to");
    } else {
        add_gap(out, best, next, metric);
    }
    text_printf(out, " %s (", next->info.name);
    add_value(out, next, metric);
    text_add(out, ")");
    if (ranking.known > 2) {
        text_add(out, " and ");
        add_gap(out, best, worst, metric);
        text_printf(out, " %s (", worst->info.name);
        add_value(out, worst, metric);
        text_add(out, ")");
    }
    text_add(out, ".\n");
}

/* Best against next, request by request. */
static void add_paired(struct text *out, enum metric metric, enum paired_metric what,
                       const struct run_record *const *runs, size_t count)
{
    const struct ranking ranking = rank_runs(metric, runs, count);
    if (ranking.known < 2) {
        return;
    }
    const struct run_record *const best = runs[ranking.best];
    const struct run_record *const next = runs[ranking.next];
    const struct paired paired = compare_paired(next, best, what);
    if (paired.pairs == 0 || isnan(paired.difference_ms.low)) {
        return;
    }
    const char *const mean = what == PAIRED_TTFT ? "mean TTFT" : "mean E2E latency";
    if (fabs(paired.difference_ms.low) < 0.05 &&
        fabs(paired.difference_ms.high) < 0.05) {
        text_printf(
            out,
            "Request by request (%zu completed in both), %s and %s do not differ "
            "in %s.\n",
            paired.pairs, best->info.name, next->info.name, mean);
        return;
    }
    const struct interval faster_ms = {-paired.difference_ms.high,
                                       -paired.difference_ms.low};
    text_printf(out,
                "Request by request (%zu completed in both), %s is %.1f ms faster than "
                "%s in %s, 95 %% interval %.1f to %.1f ms%s.\n",
                paired.pairs, best->info.name, -paired.difference_mean_ms,
                next->info.name, mean, faster_ms.low, faster_ms.high,
                faster_ms.low > 0.0
                    ? ""
                    : "; it includes zero: no detectable difference on this workload");
}

static void add_p99(struct text *out, const struct run_record *const *runs,
                    size_t count)
{
    const struct ranking ranking = rank_runs(METRIC_TTFT_MS_P99, runs, count);
    if (ranking.known < 2) {
        return;
    }
    const struct run_record *const best = runs[ranking.best];
    const struct run_record *const next = runs[ranking.next];
    const struct paired paired = compare_p99(next, best, PAIRED_TTFT);
    if (paired.pairs == 0 || isnan(paired.difference_ms.low) ||
        (fabs(paired.difference_ms.low) < 0.05 &&
         fabs(paired.difference_ms.high) < 0.05)) {
        return;
    }
    text_printf(out, "p99 of TTFT over the same requests: %s is %.1f ms below %s",
                best->info.name, -paired.difference_mean_ms, next->info.name);
    text_printf(out, ", 95 %% interval %.1f to %.1f ms by bootstrap%s.\n",
                -paired.difference_ms.high, -paired.difference_ms.low,
                paired.difference_ms.high < 0
                    ? ""
                    : "; it includes zero: no detectable difference on this workload");
}

/* Runs that leave nothing out although it would show, and such as never settle. */
static void add_warmup(struct text *out, const struct run_record *const *runs,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text advice = {0};
        warmup_advise(runs[i], &advice);
        if (advice.length > 0) {
            text_printf(out, "Caution: %s", text_str(&advice));
        }
        text_fini(&advice);
        if (!runs[i]->warmup.settled) {
            text_printf(out,
                        "Caution: %s never settles: its latencies go on changing, so "
                        "they depend on how long it ran.\n",
                        runs[i]->info.name);
        }
    }
}

static void add_cautions(struct text *out, const struct run_record *const *runs,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double completed = runs[i]->metrics.value[METRIC_COMPLETED_RATIO];
        if (completed < 1.0) {
            text_printf(out,
                        "Caution: %s completed %.2f %% of its requests; its latencies "
                        "leave the others out, which flatters it.\n",
                        runs[i]->info.name, completed * 100.0);
        }
    }
    add_warmup(out, runs, count);
    if (count > 1) {
        text_add(out, "Caution: one seed per run. Intervals cover the spread within "
                      "this workload, not between seeds; repeat with other seeds "
                      "before deciding on a small difference.\n");
    }
}

static bool all_completed(const struct run_totals *totals)
{
    return totals->requests > 0 &&
           totals->status_count[REQUEST_COMPLETED] == totals->requests;
}

static bool same_work(const struct run_record *left, const struct run_record *right)
{
    if (all_completed(&left->totals) && all_completed(&right->totals)) {
        return left->totals.requests == right->totals.requests &&
               left->totals.prompt_tokens == right->totals.prompt_tokens;
    }
    return strcmp(left->info.scenario_name, right->info.scenario_name) == 0 &&
           strcmp(left->info.workload_origin, right->info.workload_origin) == 0;
}

bool compare_same_work(const struct run_record *const *runs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (!same_work(runs[0], runs[i])) {
            return false;
        }
    }
    return true;
}

static void add_other_work(struct text *out, const struct run_record *const *runs,
                           size_t count)
{
    size_t other = 1;
    while (other + 1 < count && same_work(runs[0], runs[other])) {
        other++;
    }
    text_printf(out,
                "Caution: the runs served different requests (%s: scenario %s, seed "
                "%" PRIu64 "; %s: scenario %s, seed %" PRIu64 "), so none of them is "
                "the better one.\n",
                runs[0]->info.name, runs[0]->info.scenario_name, runs[0]->info.seed,
                runs[other]->info.name, runs[other]->info.scenario_name,
                runs[other]->info.seed);
}

void compare_verdict(const struct run_record *const *runs, size_t count,
                     struct text *out)
{
    CHECK(count > 0, "no runs");
    if (count == 1) {
        text_printf(out, "%s: one run, nothing to compare it with.\n",
                    runs[0]->info.name);
    }
    if (!compare_same_work(runs, count)) {
        add_other_work(out, runs, count);
        add_cautions(out, runs, count);
        return;
    }
    add_ranking(out, METRIC_TTFT_MS_MEAN, "mean TTFT", runs, count);
    add_paired(out, METRIC_TTFT_MS_MEAN, PAIRED_TTFT, runs, count);
    add_p99(out, runs, count);
    add_ranking(out, METRIC_E2E_MS_MEAN, "mean E2E latency", runs, count);
    add_paired(out, METRIC_E2E_MS_MEAN, PAIRED_E2E, runs, count);
    add_ranking(out, METRIC_TPOT_MS_MEAN, "mean TPOT", runs, count);
    add_ranking(out, METRIC_GOODPUT_PER_S, "goodput", runs, count);
    add_ranking(out, METRIC_OUTPUT_TOKENS_PER_S, "output rate", runs, count);
    add_cautions(out, runs, count);
}
