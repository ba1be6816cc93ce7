/* SPDX-License-Identifier: Apache-2.0
 *
 * summary.h: the metrics of a run, one list for tables, store columns, JSON and HTML.
 *
 * A metric is a line of METRICS: id, column name with its unit, heading, unit, which
 * way is better, decimals, help. A value that is not known (no such request, no SLO) is
 * NaN and shows as "-" or NULL.
 *
 * Latencies are of completed requests and count from the arrival at the gateway:
 *   TTFT  = first token - arrival
 *   TPOT  = (E2E - TTFT) / (output tokens - 1), only with at least two output tokens
 *   E2E   = last token - arrival
 *   queue = first put in a batch - arrival
 * Rates are per second from the first arrival that counts to the last end. Requests
 * that arrived during the warm-up (reports/warmup.h; none by default) count nowhere,
 * but in load_imbalance, fairness_jain, cost and energy, which are of the whole run.
 */
#ifndef STACKSIM_REPORTS_SUMMARY_H
#define STACKSIM_REPORTS_SUMMARY_H

#include "base/err.h"
#include "stats/quantile.h"

#include <stddef.h>
#include <stdint.h>

enum metric_better { METRIC_NEUTRAL, METRIC_LOWER, METRIC_HIGHER };
enum metric_rank { METRIC_HEADLINE, METRIC_DETAIL };

/* The last word: HEADLINE metrics are in tables for people, DETAIL ones only in machine
 * formats and the store. */
#define METRICS_LATENCY(X, ID, name, label, text, rank)                                \
    X(ID##_MS_MEAN, name "_ms_mean", label " mean", "ms", LOWER, 1, text ", mean",     \
      HEADLINE)                                                                        \
    X(ID##_MS_P50, name "_ms_p50", label " p50", "ms", LOWER, 1, text ", median",      \
      rank)                                                                            \
    X(ID##_MS_P90, name "_ms_p90", label " p90", "ms", LOWER, 1, text ", p90", rank)   \
    X(ID##_MS_P95, name "_ms_p95", label " p95", "ms", LOWER, 1, text ", p95", DETAIL) \
    X(ID##_MS_P99, name "_ms_p99", label " p99", "ms", LOWER, 1, text ", p99",         \
      HEADLINE)                                                                        \
    X(ID##_MS_MAX, name "_ms_max", label " max", "ms", LOWER, 1, text ", largest",     \
      DETAIL)

#define METRICS(X)                                                                     \
    METRICS_LATENCY(X, TTFT, "ttft", "TTFT", "time to first token", HEADLINE)          \
    METRICS_LATENCY(X, TPOT, "tpot", "TPOT", "time per output token after the first",  \
                    HEADLINE)                                                          \
    METRICS_LATENCY(X, E2E, "e2e", "E2E", "arrival to last token", HEADLINE)           \
    METRICS_LATENCY(X, QUEUE, "queue", "queue", "arrival to first batch", DETAIL)      \
    X(DURATION_S, "duration_s", "duration", "s", NEUTRAL, 1,                           \
      "first arrival to last end, simulated", HEADLINE)                                \
    X(REQUESTS_PER_S, "requests_per_s", "throughput", "req/s", HIGHER, 2,              \
      "completed requests per second", HEADLINE)                                       \
    X(OUTPUT_TOKENS_PER_S, "output_tokens_per_s", "output", "tok/s", HIGHER, 0,        \
      "output tokens of completed requests per second", HEADLINE)                      \
    X(GOODPUT_PER_S, "goodput_per_s", "goodput", "req/s", HIGHER, 2,                   \
      "requests per second that met every target of the SLO", HEADLINE)                \
    X(SLO_RATIO, "slo_ratio", "within SLO", "%", HIGHER, 1,                            \
      "requests that met every target over all that ended", HEADLINE)                  \
    X(PREFIX_HIT_RATIO, "prefix_hit_ratio", "prefix hits", "%", HIGHER, 1,             \
      "prompt tokens found in a prefix cache over those looked up", HEADLINE)          \
    X(LOAD_IMBALANCE, "load_imbalance", "imbalance", "x", LOWER, 2,                    \
      "largest over mean of requests in flight per engine, averaged over time",        \
      HEADLINE)                                                                        \
    X(PREEMPTIONS, "preemptions", "preemptions", "", LOWER, 0,                         \
      "running requests thrown out of a batch for want of KV blocks", HEADLINE)        \
    X(RECOMPUTED_TOKENS, "recomputed_tokens", "recomputed", "tok", LOWER, 0,           \
      "tokens computed again after preemptions", DETAIL)                               \
    X(COMPLETED_RATIO, "completed_ratio", "completed", "%", HIGHER, 2,                 \
      "completed over all requests that ended", HEADLINE)                              \
    X(FAIRNESS_JAIN, "fairness_jain", "fairness", "", HIGHER, 3,                       \
      "Jain's index of the rates at which tenants that waited were served", HEADLINE)  \
    X(GPU_HOURS, "gpu_hours", "GPU time", "h", LOWER, 3,                               \
      "GPUs that engines have, times how long they have them in the whole run",        \
      DETAIL)                                                                          \
    X(USD_PER_MTOK_LOW, "usd_per_million_tokens_low", "cost, low price", "$/1M tok",   \
      LOWER, 3, "per million output tokens, at the low end of the GPUs' prices",       \
      DETAIL)                                                                          \
    X(USD_PER_MTOK_HIGH, "usd_per_million_tokens_high", "cost, high price",            \
      "$/1M tok", LOWER, 3,                                                            \
      "per million output tokens, at the high end of the GPUs' prices", DETAIL)        \
    X(ENERGY_KWH, "energy_kwh", "energy (estimate)", "kWh", LOWER, 3,                  \
      "GPUs at their data sheet's power while busy, at idle power else", DETAIL)       \
    X(JOULES_PER_TOKEN, "joules_per_token", "energy (estimate)", "J/tok", LOWER, 2,    \
      "energy over output tokens", DETAIL)

enum metric {
#define X(id, name, heading, unit, better, decimals, help, rank) METRIC_##id,
    METRICS(X)
#undef X
        METRIC_COUNT
};

struct metric_info {
    const char *name;    /* column, JSON key: "ttft_ms_p99" */
    const char *heading; /* "TTFT p99" */
    const char *unit;    /* shown; "%" values are ratios in `value` and in the store */
    enum metric_better better;
    unsigned decimals; /* as shown */
    const char *help;
    enum metric_rank rank;
};

struct metrics {
    double value[METRIC_COUNT];
};

const struct metric_info *metric_info(enum metric metric);
/* The metric with this column name, or METRIC_COUNT. */
enum metric metric_by_name(const char *name);
/* As people read it, without the unit: "12.3", "85.0" for the ratio 0.85, "-". */
void metric_format(enum metric metric, double value, char *out, size_t out_bytes);

/* 95 % intervals of one run alone, by batches of neighbouring arrivals
 * (stats/batches.h): of headline latencies and of slo_ratio; NaN elsewhere. */
struct metric_intervals {
    struct interval of[METRIC_COUNT];
};
enum { METRIC_BATCHES = 20 };

struct run_record; /* reports/run.h */

/* Finds the end of the warm-up by run->info.warmup and fills run->metrics from
 * run->requests (O(n)), run->info (SLO), run->totals and engines; run->intervals, too,
 * where wanted. Fails when rows and totals contradict each other. Without request rows
 * every latency is NaN and nothing is cut. */
NODISCARD bool metrics_compute(struct run_record *run, struct err *err);
/* The same for requests that arrived at counted_from_ns or later: runs that are
 * compared have to leave out the same ones. */
void metrics_compute_from(struct run_record *run, int64_t counted_from_ns);

#endif
