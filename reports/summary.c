/* SPDX-License-Identifier: Apache-2.0
 *
 * summary.c: rows are turned into one array per latency, sorted and read off.
 *
 * Without a warm-up the totals are the engine's own, as counted in the run; behind one
 * they are sums over the rows that count.
 */
#include "reports/summary.h"

#include "base/check.h"
#include "base/mem.h"
#include "reports/run.h"
#include "reports/warmup.h"
#include "stats/batches.h"
#include "stats/replicate.h"
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

/* ---- latencies ------------------------------------------------------------------- */

enum latency { TTFT, TPOT, E2E, QUEUE, LATENCIES };
static const enum metric mean_of_latency[LATENCIES] = {
    METRIC_TTFT_MS_MEAN, METRIC_TPOT_MS_MEAN, METRIC_E2E_MS_MEAN, METRIC_QUEUE_MS_MEAN};

struct latency_series {
    int64_t *values_ns;
    uint8_t *batch; /* NULL when no interval is wanted */
    size_t count;
};

/* One array per latency; capacity is the number of requests. */
struct latencies {
    struct latency_series series[LATENCIES];
    size_t *met; /* within the SLO, by batch; NULL as above */
    size_t *ended;
    uint64_t within_slo;
};

/* Of the requests that count. */
struct counted {
    uint64_t requests;
    uint64_t completed;
    uint64_t output_tokens;
    uint64_t prefix_query_tokens;
    uint64_t prefix_hit_tokens;
    uint64_t preemptions;
    uint64_t recomputed_tokens;
    int64_t from_ns;
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

static void series_add(struct latency_series *series, int64_t value_ns, uint8_t batch)
{
    series->values_ns[series->count] = value_ns;
    if (series->batch != NULL) {
        series->batch[series->count] = batch;
    }
    series->count++;
}

static void latencies_add(struct latencies *all, const struct request_row *row,
                          const struct run_info *info, uint8_t batch)
{
    if (all->ended != NULL) {
        all->ended[batch]++;
    }
    if (row->status != REQUEST_COMPLETED || row->first_token_ns == RUN_TIME_NONE) {
        return;
    }
    const int64_t ttft_ns = row->first_token_ns - row->arrival_ns;
    const int64_t e2e_ns = row->end_ns - row->arrival_ns;
    bool met = within(ttft_ns, info->slo_ttft_ns) && within(e2e_ns, info->slo_e2e_ns);
    series_add(&all->series[TTFT], ttft_ns, batch);
    series_add(&all->series[E2E], e2e_ns, batch);
    if (row->output_tokens > 1) {
        const int64_t tpot_ns = tpot_ns_of(row);
        series_add(&all->series[TPOT], tpot_ns, batch);
        met = met && within(tpot_ns, info->slo_tpot_ns);
    }
    if (row->scheduled_ns != RUN_TIME_NONE) {
        series_add(&all->series[QUEUE], row->scheduled_ns - row->arrival_ns, batch);
    }
    all->within_slo += met ? 1 : 0;
    if (met && all->met != NULL) {
        all->met[batch]++;
    }
}

static const double ms_per_ns = 1e-6;
static const double interval_level = 0.95;

static struct interval in_ms(struct interval ns)
{
    return (struct interval){ns.low * ms_per_ns, ns.high * ms_per_ns};
}

/* Of headline metrics. first: the ..._MEAN metric; the others follow it in the order of
 * METRICS_LATENCY. */
static void put_intervals(struct metric_intervals *intervals, enum metric first,
                          const struct batches *series, const int64_t *sorted)
{
    static const double all[] = {0.50, 0.90, 0.95, 0.99};
    enum { PARTS = sizeof all / sizeof all[0] };
    double parts[PARTS];
    enum metric metrics[PARTS];
    struct interval found[PARTS];
    struct batches_parts wanted = {parts, 0, interval_level};
    for (size_t i = 0; i < PARTS; i++) {
        const enum metric metric = (enum metric)(first + 1 + i);
        if (metric_info(metric)->rank == METRIC_HEADLINE) {
            metrics[wanted.count] = metric;
            parts[wanted.count++] = all[i];
        }
    }
    intervals->of[first] = in_ms(batches_mean(series, interval_level));
    batches_quantiles(series, sorted, &wanted, found);
    for (size_t i = 0; i < wanted.count; i++) {
        intervals->of[metrics[i]] = in_ms(found[i]);
    }
}

static void put_spread(struct run_record *run, enum metric first,
                       const struct latency_series *series)
{
    int64_t *unsorted = NULL;
    if (series->batch != NULL) {
        unsorted = mem_alloc(series->count + 1, sizeof *unsorted);
        memcpy(unsorted, series->values_ns, series->count * sizeof *unsorted);
    }
    const struct spread spread = spread_of(series->values_ns, series->count);
    double *const value = &run->metrics.value[first];
    value[0] = spread.mean * ms_per_ns;
    value[1] = spread.p50 * ms_per_ns;
    value[2] = spread.p90 * ms_per_ns;
    value[3] = spread.p95 * ms_per_ns;
    value[4] = spread.p99 * ms_per_ns;
    value[5] = spread.max * ms_per_ns;
    if (unsorted != NULL) {
        const struct batches batches = {unsorted, series->batch, series->count,
                                        METRIC_BATCHES};
        put_intervals(run->intervals, first, &batches, series->values_ns);
        mem_free(unsorted);
    }
}

static double ratio(double part, double whole)
{
    return whole > 0.0 ? part / whole : (double)NAN;
}

static bool counts(const struct run_record *run, const struct request_row *row)
{
    return row->arrival_ns >= run->warmup.counted_from_ns; /* NONE is the least */
}

/* The batch of each row, by its arrival; the caller frees them. Rows that do not count
 * are left at 0. */
static uint8_t *batches_of(const struct run_record *run)
{
    const size_t count = run->request_count;
    int64_t *arrival_ns = mem_alloc(count + 1, sizeof *arrival_ns);
    uint8_t *batch = mem_alloc(count + 1, sizeof *batch);
    uint8_t *of_row = mem_alloc(count + 1, sizeof *of_row);
    size_t counted = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts(run, &run->requests[i])) {
            arrival_ns[counted++] = run->requests[i].arrival_ns;
        }
    }
    batches_assign(arrival_ns, counted, METRIC_BATCHES, batch);
    counted = 0;
    for (size_t i = 0; i < count; i++) {
        of_row[i] = counts(run, &run->requests[i]) ? batch[counted++] : 0;
    }
    mem_free(arrival_ns);
    mem_free(batch);
    return of_row;
}

static void latencies_init(struct latencies *all, size_t count, bool intervals)
{
    *all = (struct latencies){0};
    for (size_t i = 0; i < LATENCIES; i++) {
        all->series[i].values_ns = mem_alloc(count, sizeof(int64_t));
        all->series[i].batch = intervals ? mem_alloc(count, 1) : NULL;
    }
    all->met = intervals ? mem_alloc(METRIC_BATCHES, sizeof *all->met) : NULL;
    all->ended = intervals ? mem_alloc(METRIC_BATCHES, sizeof *all->ended) : NULL;
}

static void latencies_fini(struct latencies *all)
{
    for (size_t i = 0; i < LATENCIES; i++) {
        mem_free(all->series[i].values_ns);
        mem_free(all->series[i].batch);
    }
    mem_free(all->met);
    mem_free(all->ended);
}

static struct interval slo_interval(const struct latencies *all)
{
    double parts[METRIC_BATCHES];
    for (size_t i = 0; i < METRIC_BATCHES; i++) {
        parts[i] = ratio((double)all->met[i], (double)all->ended[i]);
    }
    const struct interval found =
        estimate_mean(parts, METRIC_BATCHES, interval_level).interval;
    return isnan(found.low)
               ? found
               : (struct interval){fmax(0, found.low), fmin(1, found.high)};
}

static bool has_slo(const struct run_info *info)
{
    return info->slo_ttft_ns != 0 || info->slo_tpot_ns != 0 || info->slo_e2e_ns != 0;
}

static void put_latencies(struct run_record *run, const struct counted *counted)
{
    const size_t count = run->request_count;
    struct latencies all;
    uint8_t *batch = run->intervals == NULL ? NULL : batches_of(run);
    latencies_init(&all, count, batch != NULL);
    for (size_t i = 0; i < count; i++) {
        if (counts(run, &run->requests[i])) {
            latencies_add(&all, &run->requests[i], &run->info,
                          batch == NULL ? 0 : batch[i]);
        }
    }
    for (size_t i = 0; i < LATENCIES; i++) {
        put_spread(run, mean_of_latency[i], &all.series[i]);
    }
    double *const value = run->metrics.value;
    if (has_slo(&run->info)) {
        value[METRIC_GOODPUT_PER_S] =
            ratio((double)all.within_slo, value[METRIC_DURATION_S]);
        value[METRIC_SLO_RATIO] =
            ratio((double)all.within_slo, (double)counted->requests);
        if (batch != NULL) {
            run->intervals->of[METRIC_SLO_RATIO] = slo_interval(&all);
        }
    }
    latencies_fini(&all);
    mem_free(batch);
}

/* ---- totals ---------------------------------------------------------------------- */

static struct counted counted_all(const struct run_totals *totals)
{
    return (struct counted){
        .requests = totals->requests,
        .completed = totals->status_count[REQUEST_COMPLETED],
        .output_tokens = totals->output_tokens,
        .prefix_query_tokens = totals->prefix_query_tokens,
        .prefix_hit_tokens = totals->prefix_hit_tokens,
        .preemptions = totals->preemptions,
        .recomputed_tokens = totals->recomputed_tokens,
        .from_ns = totals->first_arrival_ns,
    };
}

/* From the rows. Without prefix caches nobody looked anything up. */
static struct counted counted_rows(struct run_record *run)
{
    struct counted counted = {.from_ns = INT64_MAX};
    run->warmup.requests = 0;
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *const row = &run->requests[i];
        if (!counts(run, row)) {
            run->warmup.requests++;
            continue;
        }
        counted.requests++;
        counted.from_ns =
            row->arrival_ns < counted.from_ns ? row->arrival_ns : counted.from_ns;
        counted.preemptions += row->preemptions;
        counted.recomputed_tokens += row->recomputed_tokens;
        if (row->scheduled_ns != RUN_TIME_NONE && run->totals.prefix_query_tokens > 0) {
            counted.prefix_query_tokens += row->prompt_tokens;
            counted.prefix_hit_tokens += row->cached_tokens;
        }
        if (row->status == REQUEST_COMPLETED) {
            counted.completed++;
            counted.output_tokens += row->output_tokens;
        }
    }
    return counted;
}

static void put_totals(struct run_record *run, const struct counted *counted)
{
    const struct run_totals *const totals = &run->totals;
    double *const value = run->metrics.value;
    const double completed = (double)counted->completed;
    const double duration_s = counted->requests == 0
                                  ? (double)NAN
                                  : (double)(totals->end_ns - counted->from_ns) * 1e-9;
    value[METRIC_DURATION_S] = duration_s;
    value[METRIC_REQUESTS_PER_S] = ratio(completed, duration_s);
    value[METRIC_OUTPUT_TOKENS_PER_S] =
        ratio((double)counted->output_tokens, duration_s);
    value[METRIC_PREFIX_HIT_RATIO] =
        ratio((double)counted->prefix_hit_tokens, (double)counted->prefix_query_tokens);
    value[METRIC_LOAD_IMBALANCE] = totals->load_imbalance;
    value[METRIC_FAIRNESS_JAIN] = totals->fairness_jain;
    value[METRIC_PREEMPTIONS] = (double)counted->preemptions;
    value[METRIC_RECOMPUTED_TOKENS] = (double)counted->recomputed_tokens;
    value[METRIC_COMPLETED_RATIO] = ratio(completed, (double)counted->requests);
}

/* Which part of the whole run an engine of this pool has its GPUs, on average over all
 * of the pool; all of it in a fleet that never changes. */
static double part_held(const struct run_record *run, const char *pool)
{
    const struct run_totals *const totals = &run->totals;
    double held_ns = 0;
    uint32_t held = 0;
    int64_t since_ns = totals->first_arrival_ns;
    size_t engines = 0;
    bool told = false;
    for (size_t i = 0; i < run->engine_count; i++) {
        engines += strcmp(run->engines[i].pool, pool) == 0 ? 1 : 0;
    }
    for (size_t i = 0; i < run->size_count; i++) {
        const struct pool_size_row *const row = &run->sizes[i];
        if (strcmp(row->pool, pool) == 0) {
            int64_t at_ns =
                row->time_ns < totals->end_ns ? row->time_ns : totals->end_ns;
            at_ns = at_ns > since_ns ? at_ns : since_ns;
            held_ns += (double)held * (double)(at_ns - since_ns);
            since_ns = at_ns;
            held = row->held_engines;
            told = true;
        }
    }
    held_ns += (double)held * (double)(totals->end_ns - since_ns);
    const double whole_ns = (double)(totals->end_ns - totals->first_arrival_ns);
    return told && whole_ns > 0 ? held_ns / ((double)engines * whole_ns) : 1;
}

/* A GPU of it, on average: stages that stand still for another one do not work. */
static double gpu_busy_s(const struct engine_row *engine)
{
    uint64_t stages = 0;
    for (unsigned i = COUNTER_STAGE_0_BUSY_NS; i <= COUNTER_STAGE_15_BUSY_NS; i++) {
        stages += engine->counters[i] > 0 ? 1 : 0;
    }
    const uint64_t bubble_ns = engine->counters[COUNTER_PIPELINE_BUBBLE_NS];
    const int64_t still_ns = stages > 0 ? (int64_t)(bubble_ns / stages) : 0;
    return (double)(engine->busy_ns - still_ns) * 1e-9;
}

/* GPUs cost while a pod has them, and draw their data sheet's power while they work: an
 * upper estimate, since decode leaves a card below it. */
static void put_cost(struct run_record *run)
{
    const struct run_totals *const totals = &run->totals;
    double *const value = run->metrics.value;
    const double whole_s = (double)(totals->end_ns - totals->first_arrival_ns) * 1e-9;
    double gpus = 0;
    double low = 0; /* US dollars per hour */
    double high = 0;
    double joules = 0;
    bool priced = run->engine_count > 0;
    bool powered = run->engine_count > 0;
    double part = 1;
    for (size_t i = 0; i < run->engine_count; i++) {
        const struct engine_row *const engine = &run->engines[i];
        const double busy_s = fmin(gpu_busy_s(engine), whole_s);
        if (i == 0 || strcmp(engine->pool, engine[-1].pool) != 0) {
            part = part_held(run, engine->pool);
        }
        gpus += engine->gpus * part;
        low += engine->gpus * part * engine->price_per_hour_low;
        high += engine->gpus * part * engine->price_per_hour_high;
        joules += engine->gpus * (engine->power_w * busy_s +
                                  engine->power_idle_w * (part * whole_s - busy_s));
        priced = priced && engine->gpus > 0 && engine->price_per_hour_low > 0;
        powered = powered && engine->gpus > 0 && engine->power_w > 0;
    }
    if (totals->requests == 0 || gpus <= 0) {
        return;
    }
    const double tokens = (double)totals->output_tokens;
    const double hours = whole_s / 3600;
    value[METRIC_GPU_HOURS] = gpus * hours;
    if (priced) {
        value[METRIC_USD_PER_MTOK_LOW] = ratio(low * hours * 1e6, tokens);
        value[METRIC_USD_PER_MTOK_HIGH] = ratio(high * hours * 1e6, tokens);
    }
    if (powered) {
        value[METRIC_ENERGY_KWH] = joules / 3.6e6;
        value[METRIC_JOULES_PER_TOKEN] = ratio(joules, tokens);
    }
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

void metrics_compute_from(struct run_record *run, int64_t counted_from_ns)
{
    run->warmup.counted_from_ns = counted_from_ns;
    run->warmup.requests = 0;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        run->metrics.value[i] = (double)NAN;
    }
    if (run->intervals != NULL) {
        run_want_intervals(run);
    }
    const struct counted counted = counted_from_ns == RUN_TIME_NONE
                                       ? counted_all(&run->totals)
                                       : counted_rows(run);
    put_totals(run, &counted);
    put_cost(run);
    if (run->request_count > 0) {
        put_latencies(run, &counted);
    }
}

bool metrics_compute(struct run_record *run, struct err *err)
{
    struct warmup_rule rule;
    if ((run->request_count > 0 && !totals_agree(run, err)) ||
        !warmup_parse(run->info.warmup, &rule, err)) {
        return false;
    }
    warmup_find(run, &rule, &run->warmup);
    metrics_compute_from(run, run->warmup.counted_from_ns);
    return true;
}
