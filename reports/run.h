/* SPDX-License-Identifier: Apache-2.0
 *
 * run.h: all that one run left behind, simulated or measured alike.
 *
 * A run_record is filled by its recorder (the simulator's, later a log reader's), or by
 * store_run_read, and is then read by metrics, comparisons, plots and the report page.
 * Times are nanoseconds from the start of the run; RUN_TIME_NONE = did not happen.
 */
#ifndef STACKSIM_REPORTS_RUN_H
#define STACKSIM_REPORTS_RUN_H

#include "base/err.h"
#include "reports/engine_counters.h"
#include "reports/summary.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define RUN_TIME_NONE   INT64_MIN
#define RUN_ENGINE_NONE UINT32_MAX

/* How a request ended. The numbers are stored: only append. */
#define REQUEST_STATUSES(X)                                                            \
    X(COMPLETED, "completed", "all tokens were produced")                              \
    X(REFUSED, "refused", "the prompt does not fit the model's context: HTTP 400")     \
    X(REJECTED, "rejected", "no endpoint accepted it: HTTP 503")                       \
    X(CANCELLED, "cancelled", "the client hung up")                                    \
    X(UNFINISHED, "unfinished", "the run's time limit came first")                     \
    X(SHED, "shed", "admission turned it away: HTTP 429")                              \
    X(TIMED_OUT, "timed_out", "waited at the gateway as long as it may: HTTP 503")     \
    X(FAILED, "failed",                                                                \
      "its engine was lost, and nobody tried again: HTTP 500, a broken stream")

enum request_status {
#define X(id, name, help) REQUEST_##id,
    REQUEST_STATUSES(X)
#undef X
        REQUEST_STATUS_COUNT
};

/* One request, at its end. */
struct request_row {
    uint64_t request_id;
    uint64_t session_id;
    int64_t arrival_ns;
    int64_t queued_ns;    /* the engine took it from its input queue */
    int64_t scheduled_ns; /* first put in a batch */
    int64_t first_token_ns;
    int64_t end_ns;
    uint32_t turn;
    enum request_status status;
    uint32_t engine; /* index over all pools; RUN_ENGINE_NONE = none */
    uint32_t prompt_tokens;
    uint32_t output_tokens; /* produced */
    uint32_t cached_tokens; /* prefix hit at the first admission */
    uint32_t preemptions;
    uint32_t recomputed_tokens;
};
static_assert(sizeof(struct request_row) == 88, "a run holds millions of them");

/* The way between two engines of a request whose prompt and output were computed apart:
 * its row says where the prompt queued and where the output was computed. */
struct handover_row {
    uint32_t request; /* index of its row */
    uint32_t prefill_engine;
    int64_t prefill_end_ns;
    int64_t kv_asked_ns; /* the second engine had blocks and asked for the KV */
    int64_t kv_here_ns;
};

/* One engine at one moment. Rows come in order of time, then engine. */
struct engine_sample_row {
    int64_t time_ns;
    uint32_t engine;
    uint32_t running_requests;
    uint32_t waiting_requests;
    uint32_t kv_used_blocks;
    uint32_t kv_total_blocks;
};

/* One engine over the whole run; the i-th row is engine i. */
struct engine_row {
    const char *pool;        /* copied by run_add_engine */
    const char *description; /* "H100-SXM x Llama-3.1-8B, TP 1"; copied */
    uint64_t requests;       /* ended there */
    uint64_t steps;
    uint64_t preemptions;
    uint64_t prefix_query_tokens;
    uint64_t prefix_hit_tokens;
    int64_t busy_ns;
    uint32_t gpus;             /* that it takes; 0 = unknown */
    double power_w;            /* of one GPU at work, its data sheet's; 0 = unknown */
    double power_idle_w;       /* of one GPU without work */
    double price_per_hour_low; /* of one GPU, US dollars; 0 = unknown */
    double price_per_hour_high;
    uint64_t counters[ENGINE_COUNTER_COUNT]; /* 0 without the feature */
};

/* One tenant over the whole run, where there was admission; in order of first request.
 */
struct tenant_row {
    const char *name; /* copied by run_add_tenant; "" = requests that named none */
    uint64_t requests;
    uint64_t completed;
    uint64_t turned_away;   /* shed or timed out */
    uint64_t prompt_tokens; /* of completed requests */
    uint64_t output_tokens;
    int64_t ttft_sum_ns; /* of completed requests */
    int64_t waited_ns;   /* it had somebody waiting at the gateway */
    double
        let_in_tokens; /* from that queue; a prompt token counts 1, an output token 2 */
};

/* What happened to the fleet: faults, starts, what controllers did; in order of time.
 */
struct event_row {
    int64_t time_ns;
    bool warning;       /* else Normal */
    const char *reason; /* "FailedScheduling"; strings are copied by run_add_event */
    const char *object; /* "pod/pool0-3" */
    const char *message;
};

/* How large a pool is from then on, where fleets change; in order of time. */
struct pool_size_row {
    int64_t time_ns;
    const char *pool;      /* copied by run_add_pool_size */
    uint32_t desired;      /* replicas that it should have */
    uint32_t held_engines; /* whose pods hold their GPUs */
    uint32_t ready;        /* pods */
};

/* What was run, and on what the result rests. Strings are copied; NULL reads as "". */
struct run_info {
    const char *name; /* unique among the runs of a comparison */
    const char *scenario_name;
    const char *scenario_yaml; /* effective scenario, complete */
    const char *scenario_dir;  /* where its relative paths start */
    const char *policy;
    const char *compat;
    const char *cost_model; /* description with calibration status, one per line */
    const char *workload_origin;
    const char *notes;          /* one per line: skipped rows, limits */
    const char *program_commit; /* of the program that ran it */
    const char *started_utc;    /* "2025-01-31T12:00:00Z", or "" (wall clock) */
    const char *warmup;         /* rule of warmup.h; "" = none */
    uint64_t seed;
    uint64_t digest;
    int64_t slo_ttft_ns; /* 0 = no target */
    int64_t slo_tpot_ns;
    int64_t slo_e2e_ns;
    int64_t sample_interval_ns; /* 0 = no samples */
    double wall_s;              /* the run took on the machine; 0 = unknown */
};

/* Totals counted by the engine itself; where request rows exist, metrics_compute
 * checks against them. */
struct run_totals {
    uint64_t requests;
    uint64_t status_count[REQUEST_STATUS_COUNT];
    uint64_t events;
    uint64_t steps;
    uint64_t prompt_tokens; /* of completed requests */
    uint64_t output_tokens;
    uint64_t prefix_query_tokens;
    uint64_t prefix_hit_tokens;
    uint64_t preemptions;
    uint64_t recomputed_tokens;
    uint64_t policy_bytes;
    int64_t first_arrival_ns;
    int64_t end_ns;
    double load_imbalance; /* largest over mean of requests in flight per engine,
                              averaged over time; NaN = unknown */
    double fairness_jain;  /* of the rates at which tenants that waited were served;
                              NaN = unknown */
};

/* What the metrics leave out: requests that arrived before this moment. */
struct run_warmup {
    int64_t counted_from_ns; /* RUN_TIME_NONE = every request counts */
    uint64_t requests;       /* left out */
    bool settled; /* false: the rule was to find the end of a warm-up, and there is none
                   */
};

struct run_record {
    struct run_info info; /* owned strings, never NULL */
    struct run_totals totals;
    struct run_warmup warmup;
    struct metrics metrics;
    struct metric_intervals *intervals; /* NULL = not asked for */
    struct request_row *requests;
    size_t request_count;
    size_t request_capacity;
    struct handover_row *handovers; /* in order of `request` */
    size_t handover_count;
    size_t handover_capacity;
    struct engine_sample_row *samples;
    size_t sample_count;
    size_t sample_capacity;
    struct engine_row *engines;
    size_t engine_count;
    size_t engine_capacity;
    struct tenant_row *tenants;
    size_t tenant_count;
    size_t tenant_capacity;
    struct event_row *events;
    size_t event_count;
    size_t event_capacity;
    struct pool_size_row *sizes;
    size_t size_count;
    size_t size_capacity;
};

enum {
    RUN_REQUESTS_MAX = 1 << 28, /* ceilings of the three arrays */
    RUN_SAMPLES_MAX = 1 << 28,
    RUN_ENGINES_MAX = 1 << 16,
    RUN_TENANTS_MAX = 1 << 16,
    RUN_EVENTS_MAX = 1 << 22,
    RUN_SIZES_MAX = 1 << 22,
};

struct run_record *run_record_new(const struct run_info *info);
void run_record_delete(struct run_record *run); /* NULL is legal */
/* Replaces all of info, e.g. when digest and wall_s are known at the end. Strings of
 * the old info may be given again. */
void run_set_info(struct run_record *run, const struct run_info *info);

/* False when the ceiling is reached (the row is then dropped). */
bool run_add_request(struct run_record *run, const struct request_row *row);
/* Of the request added last. */
bool run_add_handover(struct run_record *run, const struct handover_row *row);
bool run_add_sample(struct run_record *run, const struct engine_sample_row *row);
bool run_add_engine(struct run_record *run, const struct engine_row *row);
bool run_add_tenant(struct run_record *run, const struct tenant_row *row);
/* From now on metrics_compute fills intervals, too. */
void run_want_intervals(struct run_record *run);
bool run_add_event(struct run_record *run, const struct event_row *row);
bool run_add_pool_size(struct run_record *run, const struct pool_size_row *row);
/* Drops rows that only cost memory once metrics are known (--no-requests). */
void run_drop_requests(struct run_record *run);

const char *request_status_name(enum request_status status);

#endif
