/* SPDX-License-Identifier: Apache-2.0
 *
 * score.h: measured against simulated: quantiles, single requests, queues over time.
 *
 * Errors are simulated / measured - 1, in percent. Times count from the moment at which
 * the engine core took the request from its input queue (queued); the last two metrics
 * count from the client's arrival instead.
 */
#ifndef STACKSIM_CLI_VALIDATE_SCORE_H
#define STACKSIM_CLI_VALIDATE_SCORE_H

#include "cli/validate/simulate.h"

#define SCORE_METRICS(X)                                                               \
    X(TTFT, "ttft", "first token - queued")                                            \
    X(TPOT, "tpot", "(last token - first token) / (output tokens - 1)")                \
    X(E2E, "e2e", "last token - queued")                                               \
    X(TTFT_CLIENT, "ttft_from_arrival", "first token - client's arrival")              \
    X(E2E_CLIENT, "e2e_from_arrival", "last token - client's arrival")

enum score_metric {
#define X(id, name, help) SCORE_##id,
    SCORE_METRICS(X)
#undef X
        SCORE_METRICS_ALL,
    SCORE_METRICS_ENGINE = SCORE_TTFT_CLIENT /* those of the engine's clock */
};

#define SCORE_STATISTICS(X)                                                            \
    X(MEAN, "mean")                                                                    \
    X(P50, "p50")                                                                      \
    X(P90, "p90")                                                                      \
    X(P95, "p95")                                                                      \
    X(P99, "p99")

enum score_statistic {
#define X(id, name) SCORE_##id,
    SCORE_STATISTICS(X)
#undef X
        SCORE_STATISTICS_ALL
};

struct score_figure {
    double measured_ms;
    double simulated_ms;
    double error_pct;
};

struct score_row {
    size_t count; /* requests that have this metric */
    struct score_figure figures[SCORE_STATISTICS_ALL];
    double mape_pct; /* mean over requests of their own absolute error */
    double correlation;
};

/* One of running, waiting, kv_used_pct over the windows of the time series. */
struct score_series {
    double measured_mean;
    double simulated_mean;
    double mean_abs_difference;
    double correlation;
};

#define SCORE_SERIES(X)                                                                \
    X(RUNNING, "running")                                                              \
    X(WAITING, "waiting")                                                              \
    X(KV_USED, "kv_used_pct")

enum score_gauge {
#define X(id, name) SCORE_##id,
    SCORE_SERIES(X)
#undef X
        SCORE_GAUGES
};

struct score {
    struct score_row rows[SCORE_METRICS_ALL];
    bool has_client;            /* the last two rows hold figures */
    double worst_abs_error_pct; /* of the 15 figures of the engine's clock */
    enum score_metric worst_metric;
    enum score_statistic worst_statistic;
    size_t windows; /* 0: no time series */
    bool has_kv;
    struct score_series gauges[SCORE_GAUGES];
    double makespan_measured_s; /* first queued to last token */
    double makespan_simulated_s;
};

void score_of(struct score *score, const struct validate_case *run,
              const struct simulated *simulated);

const char *score_metric_name(enum score_metric metric);
const char *score_metric_help(enum score_metric metric);
const char *score_statistic_name(enum score_statistic statistic);
const char *score_gauge_name(enum score_gauge gauge);

/* The simulator's gauge at the end of a window: the last sample not after it. */
double score_gauge_at(const struct simulated *simulated, enum score_gauge gauge,
                      double t_s);

#endif
