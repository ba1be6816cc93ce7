/* SPDX-License-Identifier: Apache-2.0
 *
 * summary.c: rows are turned into one array per latency, sorted and read off.
 */
#include "reports/summary.h"

#include "base/check.h"
#include "base/mem.h"
#include "reports/run.h"
#include "stats/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct metric_info metric_infos[METRIC_COUNT] = {
#define X(id, name, heading, unit, better, decimals, help, rank)                       \
    {name, heading, unit, METRIC_##better, decimals, help, METRIC_##rank},
    METRICS(X)
#undef X
};

const struct metric_info *metric_info(enum metric metric)
{
    CHECK(metric < METRIC_COUNT, "metric %d", (int)metric);
    return &metric_infos[metric];
}

enum metric metric_by_name(const char *name)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (strcmp(metric_infos[i].name, name) == 0) {
            return (enum metric)i;
        }
    }
    return METRIC_COUNT;
}

void metric_format(enum metric metric, double value, char *out, size_t out_bytes)
{
    const struct metric_info *const info = metric_info(metric);
    if (isnan(value)) {
        (void)snprintf(out, out_bytes, "-");
        return;
    }
    const double shown = strcmp(info->unit, "%") == 0 ? value * 100.0 : value;
    /* Five digits say enough. */
    const int decimals = fabs(shown) >= 1e4 ? 0 : (int)info->decimals;
    (void)snprintf(out, out_bytes, "%.*f", decimals, shown);
}

/* One array per latency; capacity is the number of requests. */
struct latencies {
    int64_t *ttft_ns;
    int64_t *tpot_ns;
    int64_t *e2e_ns;
    int64_t *queue_ns;
    size_t completed;
    size_t tpot_count;
    size_t queue_count;
    uint64_t within_slo;
};

static bool within(int64_t value_ns, int64_t target_ns)
{
    return target_ns == 0 || value_ns <= target_ns;
}

/* TPOT is rounded to whole ns: 1 ns in some 10 ms is far below any claim of ours. */
static int64_t tpot_ns_of(const struct request_row *row)
{
    const int64_t gaps = (int64_t)row->output_tokens - 1;
    return (row->end_ns - row->first_token_ns + gaps / 2) / gaps;
}

static void latencies_add(struct latencies *all, const struct request_row *row,
                          const struct run_info *info)
{
    if (row->status != REQUEST_COMPLETED || row->first_token_ns == RUN_TIME_NONE) {
        return;
    }
    const size_t at = all->completed++;
    all->ttft_ns[at] = row->first_token_ns - row->arrival_ns;
    all->e2e_ns[at] = row->end_ns - row->arrival_ns;
    bool met = within(all->ttft_ns[at], info->slo_ttft_ns) &&
               within(all->e2e_ns[at], info->slo_e2e_ns);
    if (row->output_tokens > 1) {
        const int64_t tpot_ns = tpot_ns_of(row);
        all->tpot_ns[all->tpot_count++] = tpot_ns;
        met = met && within(tpot_ns, info->slo_tpot_ns);
    }
    if (row->scheduled_ns != RUN_TIME_NONE) {
        all->queue_ns[all->queue_count++] = row->scheduled_ns - row->arrival_ns;
    }
    all->within_slo += met ? 1 : 0;
}

/* first: the ..._MEAN metric; the others follow it in the order of METRICS_LATENCY. */
static void put_spread(struct metrics *metrics, enum metric first, int64_t *values_ns,
                       size_t count)
{
    const struct spread spread = spread_of(values_ns, count);
    const double ms_per_ns = 1e-6;
    double *const value = &metrics->value[first];
    value[0] = spread.mean * ms_per_ns;
    value[1] = spread.p50 * ms_per_ns;
    value[2] = spread.p90 * ms_per_ns;
    value[3] = spread.p95 * ms_per_ns;
    value[4] = spread.p99 * ms_per_ns;
    value[5] = spread.max * ms_per_ns;
}

static double ratio(double part, double whole)
{
    return whole > 0.0 ? part / whole : (double)NAN;
}

static void put_totals(struct metrics *metrics, const struct run_totals *totals)
{
    double *const value = metrics->value;
    const double completed = (double)totals->status_count[REQUEST_COMPLETED];
    const double duration_s =
        totals->requests == 0
            ? (double)NAN
            : (double)(totals->end_ns - totals->first_arrival_ns) * 1e-9;
    value[METRIC_DURATION_S] = duration_s;
    value[METRIC_REQUESTS_PER_S] = ratio(completed, duration_s);
    value[METRIC_OUTPUT_TOKENS_PER_S] =
        ratio((double)totals->output_tokens, duration_s);
    value[METRIC_PREFIX_HIT_RATIO] =
        ratio((double)totals->prefix_hit_tokens, (double)totals->prefix_query_tokens);
    value[METRIC_LOAD_IMBALANCE] = totals->load_imbalance;
    value[METRIC_FAIRNESS_JAIN] = totals->fairness_jain;
    value[METRIC_PREEMPTIONS] = (double)totals->preemptions;
    value[METRIC_RECOMPUTED_TOKENS] = (double)totals->recomputed_tokens;
    value[METRIC_COMPLETED_RATIO] = ratio(completed, (double)totals->requests);
}

static bool totals_agree(const struct run_record *run, struct err *err)
{
    const struct run_totals *const totals = &run->totals;
    uint64_t counted[REQUEST_STATUS_COUNT] = {0};
    for (size_t i = 0; i < run->request_count; i++) {
        counted[run->requests[i].status]++;
    }
    for (size_t status = 0; status < REQUEST_STATUS_COUNT; status++) {
        if (counted[status] != totals->status_count[status]) {
            return err_set(err, ERR_RUN,
                           "run %s: %" PRIu64 " rows of %s requests, but the engine "
                           "counted %" PRIu64 "; the rows are incomplete",
                           run->info.name, counted[status],
                           request_status_name((enum request_status)status),
                           totals->status_count[status]);
        }
    }
    return true;
}

static void put_latencies(struct run_record *run)
{
    const size_t count = run->request_count;
    struct latencies all = {
        .ttft_ns = mem_alloc(count, sizeof(int64_t)),
        .tpot_ns = mem_alloc(count, sizeof(int64_t)),
        .e2e_ns = mem_alloc(count, sizeof(int64_t)),
        .queue_ns = mem_alloc(count, sizeof(int64_t)),
    };
    for (size_t i = 0; i < count; i++) {
        latencies_add(&all, &run->requests[i], &run->info);
    }
    struct metrics *const metrics = &run->metrics;
    put_spread(metrics, METRIC_TTFT_MS_MEAN, all.ttft_ns, all.completed);
    put_spread(metrics, METRIC_TPOT_MS_MEAN, all.tpot_ns, all.tpot_count);
    put_spread(metrics, METRIC_E2E_MS_MEAN, all.e2e_ns, all.completed);
    put_spread(metrics, METRIC_QUEUE_MS_MEAN, all.queue_ns, all.queue_count);
    const struct run_info *const info = &run->info;
    if (info->slo_ttft_ns != 0 || info->slo_tpot_ns != 0 || info->slo_e2e_ns != 0) {
        metrics->value[METRIC_GOODPUT_PER_S] =
            ratio((double)all.within_slo, metrics->value[METRIC_DURATION_S]);
        metrics->value[METRIC_SLO_RATIO] =
            ratio((double)all.within_slo, (double)run->totals.requests);
    }
    mem_free(all.ttft_ns);
    mem_free(all.tpot_ns);
    mem_free(all.e2e_ns);
    mem_free(all.queue_ns);
}

bool metrics_compute(struct run_record *run, struct err *err)
{
    if (run->request_count > 0 && !totals_agree(run, err)) {
        return false;
    }
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        run->metrics.value[i] = (double)NAN;
    }
    put_totals(&run->metrics, &run->totals);
    if (run->request_count > 0) {
        put_latencies(run);
    }
    return true;
}
