/* SPDX-License-Identifier: Apache-2.0
 *
 * score.c: one table for both sides, so that no metric is defined twice.
 */
#include "cli/validate/score.h"

#include "base/mem.h"
#include "stats/pairs.h"
#include "stats/summary.h"

#include <math.h>

static const double ns_per_ms = 1e6;
static const double ns_per_s = 1e9;

/* The times of one request on one clock. */
struct times {
    int64_t arrival_ns; /* INT64_MIN: not known */
    int64_t queued_ns;
    int64_t first_token_ns;
    int64_t last_token_ns;
    uint32_t output_tokens;
};

static struct times times_measured(const struct validate_case *run, size_t request,
                                   int64_t offset_ns)
{
    const struct measured_request *at = &run->measured.requests[request];
    return (struct times){
        .arrival_ns =
            at->arrival_ns == INT64_MIN ? INT64_MIN : at->arrival_ns + offset_ns,
        .queued_ns = at->queued_ns,
        .first_token_ns = at->first_token_ns,
        .last_token_ns = at->last_token_ns,
        .output_tokens = at->output_tokens,
    };
}

static struct times times_simulated(const struct simulated *simulated, size_t request)
{
    const struct request_outcome *at = &simulated->outcomes[request];
    return (struct times){
        .arrival_ns = at->arrival_ns,
        .queued_ns = at->queued_ns,
        .first_token_ns = at->first_token_ns,
        .last_token_ns = at->end_ns,
        .output_tokens = at->output_tokens,
    };
}

static const double absent = -1.0;

static double value_of(enum score_metric metric, const struct times *at)
{
    const int64_t from_ns =
        metric >= SCORE_METRICS_ENGINE ? at->arrival_ns : at->queued_ns;
    if (from_ns == INT64_MIN) {
        return absent;
    }
    switch (metric) {
    case SCORE_TTFT:
    case SCORE_TTFT_CLIENT:
        return (double)(at->first_token_ns - from_ns);
    case SCORE_E2E:
    case SCORE_E2E_CLIENT:
        return (double)(at->last_token_ns - from_ns);
    case SCORE_TPOT:
        return at->output_tokens < 2
                   ? absent
                   : (double)(at->last_token_ns - at->first_token_ns) /
                         (double)(at->output_tokens - 1);
    case SCORE_METRICS_ALL:
        break;
    }
    return absent;
}

/* Values of both sides, of the requests that have them; room for all. */
struct pairs {
    double *measured;
    double *simulated;
    int64_t *sorted;
    size_t count;
};

static void spread_ms(const struct pairs *pairs, const double *values,
                      double out[SCORE_STATISTICS_ALL])
{
    for (size_t i = 0; i < pairs->count; i++) {
        pairs->sorted[i] = llround(values[i]);
    }
    const struct spread spread = spread_of(pairs->sorted, pairs->count);
    out[SCORE_MEAN] = mean_of(values, pairs->count) / ns_per_ms;
    out[SCORE_P50] = spread.p50 / ns_per_ms;
    out[SCORE_P90] = spread.p90 / ns_per_ms;
    out[SCORE_P95] = spread.p95 / ns_per_ms;
    out[SCORE_P99] = spread.p99 / ns_per_ms;
}

static void row_of(struct score_row *row, const struct pairs *pairs)
{
    double measured[SCORE_STATISTICS_ALL];
    double simulated[SCORE_STATISTICS_ALL];
    spread_ms(pairs, pairs->measured, measured);
    spread_ms(pairs, pairs->simulated, simulated);
    for (size_t i = 0; i < SCORE_STATISTICS_ALL; i++) {
        row->figures[i] = (struct score_figure){
            .measured_ms = measured[i],
            .simulated_ms = simulated[i],
            .error_pct = 100.0 * (simulated[i] / measured[i] - 1.0),
        };
    }
    row->count = pairs->count;
    row->mape_pct = 100.0 * pairs_mape(pairs->measured, pairs->simulated, pairs->count);
    row->correlation =
        pairs_correlation(pairs->measured, pairs->simulated, pairs->count);
}

static void rows_fill(struct score *score, const struct validate_case *run,
                      const struct simulated *simulated)
{
    const size_t count = run->measured.count;
    int64_t offset_ns = 0;
    score->has_client = measured_run_clock_offset(&run->measured, &offset_ns);
    struct pairs pairs = {
        .measured = mem_alloc(count, sizeof(double)),
        .simulated = mem_alloc(count, sizeof(double)),
        .sorted = mem_alloc(count, sizeof(int64_t)),
    };
    for (enum score_metric metric = 0; metric < SCORE_METRICS_ALL; metric++) {
        pairs.count = 0;
        for (size_t i = 0; i < count; i++) {
            const struct times real = times_measured(run, i, offset_ns);
            const struct times ours = times_simulated(simulated, i);
            const double value = value_of(metric, &real);
            if (value > absent) {
                pairs.measured[pairs.count] = value;
                pairs.simulated[pairs.count++] = value_of(metric, &ours);
            }
        }
        row_of(&score->rows[metric], &pairs);
    }
    mem_free(pairs.measured);
    mem_free(pairs.simulated);
    mem_free(pairs.sorted);
}

static void worst_find(struct score *score)
{
    for (enum score_metric metric = 0; metric < SCORE_METRICS_ENGINE; metric++) {
        for (enum score_statistic at = 0; at < SCORE_STATISTICS_ALL; at++) {
            const double error = fabs(score->rows[metric].figures[at].error_pct);
            if (error > score->worst_abs_error_pct) {
                score->worst_abs_error_pct = error;
                score->worst_metric = metric;
                score->worst_statistic = at;
            }
        }
    }
}

/* ---- over time --------------------------------------------------------------------
 */

static double gauge_of(const struct engine_sample *sample, enum score_gauge gauge)
{
    switch (gauge) {
    case SCORE_RUNNING:
        return sample->running;
    case SCORE_WAITING:
        return sample->waiting;
    case SCORE_KV_USED:
        return 100.0 * sample->kv_used_blocks / sample->kv_total_blocks;
    case SCORE_GAUGES:
        break;
    }
    return 0.0;
}

double score_gauge_at(const struct simulated *simulated, enum score_gauge gauge,
                      double t_s)
{
    const size_t engines = simulated->engines;
    const size_t moments = simulated->sample_count / engines;
    const double place = floor(t_s * ns_per_s / (double)SIMULATED_SAMPLE_NS + 1e-6);
    if (place < 0.0 || place >= (double)moments) {
        return 0.0; /* the run is over: nothing runs */
    }
    const struct engine_sample *at = &simulated->samples[(size_t)place * engines];
    double sum = 0.0;
    for (size_t i = 0; i < engines; i++) {
        sum += gauge_of(&at[i], gauge);
    }
    return gauge == SCORE_KV_USED ? sum / (double)engines : sum;
}

static double gauge_measured(const struct measured_window *window,
                             enum score_gauge gauge)
{
    switch (gauge) {
    case SCORE_RUNNING:
        return window->running;
    case SCORE_WAITING:
        return window->waiting;
    case SCORE_KV_USED:
        return window->kv_used_pct;
    case SCORE_GAUGES:
        break;
    }
    return 0.0;
}

static void gauges_fill(struct score *score, const struct validate_case *run,
                        const struct simulated *simulated)
{
    const size_t count = run->series.count;
    score->windows = count;
    score->has_kv = run->series.has_kv;
    double *real = mem_alloc(count, sizeof(double));
    double *ours = mem_alloc(count, sizeof(double));
    for (enum score_gauge gauge = 0; gauge < SCORE_GAUGES; gauge++) {
        for (size_t i = 0; i < count; i++) {
            real[i] = gauge_measured(&run->series.windows[i], gauge);
            ours[i] = score_gauge_at(simulated, gauge, run->series.windows[i].t_s);
        }
        score->gauges[gauge] = (struct score_series){
            .measured_mean = mean_of(real, count),
            .simulated_mean = mean_of(ours, count),
            .mean_abs_difference = pairs_mean_abs_error(real, ours, count),
            .correlation = pairs_correlation(real, ours, count),
        };
    }
    mem_free(real);
    mem_free(ours);
}

static void makespans_fill(struct score *score, const struct validate_case *run,
                           const struct simulated *simulated)
{
    int64_t first_ns = INT64_MAX;
    int64_t last_ns = INT64_MIN;
    int64_t start_ns = INT64_MAX;
    for (size_t i = 0; i < run->measured.count; i++) {
        const struct measured_request *at = &run->measured.requests[i];
        const int64_t queued_ns = simulated->outcomes[i].queued_ns;
        first_ns = at->queued_ns < first_ns ? at->queued_ns : first_ns;
        last_ns = at->last_token_ns > last_ns ? at->last_token_ns : last_ns;
        start_ns = queued_ns < start_ns ? queued_ns : start_ns;
    }
    score->makespan_measured_s = (double)(last_ns - first_ns) / ns_per_s;
    score->makespan_simulated_s =
        (double)(simulated->summary.end_ns - start_ns) / ns_per_s;
}

void score_of(struct score *score, const struct validate_case *run,
              const struct simulated *simulated)
{
    *score = (struct score){0};
    rows_fill(score, run, simulated);
    worst_find(score);
    makespans_fill(score, run, simulated);
    gauges_fill(score, run, simulated);
}

/* ---- names ------------------------------------------------------------------------
 */

const char *score_metric_name(enum score_metric metric)
{
    static const char *const names[] = {
#define X(id, name, help) [SCORE_##id] = (name),
        SCORE_METRICS(X)
#undef X
    };
    return names[metric];
}

const char *score_metric_help(enum score_metric metric)
{
    static const char *const helps[] = {
#define X(id, name, help) [SCORE_##id] = (help),
        SCORE_METRICS(X)
#undef X
    };
    return helps[metric];
}

const char *score_statistic_name(enum score_statistic statistic)
{
    static const char *const names[] = {
#define X(id, name) [SCORE_##id] = (name),
        SCORE_STATISTICS(X)
#undef X
    };
    return names[statistic];
}

const char *score_gauge_name(enum score_gauge gauge)
{
    static const char *const names[] = {
#define X(id, name) [SCORE_##id] = (name),
        SCORE_SERIES(X)
#undef X
    };
    return names[gauge];
}
