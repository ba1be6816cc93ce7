/* SPDX-License-Identifier: Apache-2.0
 *
 * sample_run.h: made-up runs for the tests of reports/.
 */
#ifndef STACKSIM_TESTS_SAMPLE_RUN_H
#define STACKSIM_TESTS_SAMPLE_RUN_H

#include "base/rng.h"
#include "reports/run.h"

#include <string.h>

struct sample {
    const char *name;
    uint64_t seed;
    size_t requests;
    uint32_t engines;
    int64_t extra_ttft_ns; /* added to every request's TTFT */
    const char *warmup;    /* rule; NULL = none */
};

#define SAMPLE_S INT64_C(1000000000)

static inline struct run_info sample_info(const struct sample *sample)
{
    return (struct run_info){
        .name = sample->name,
        .scenario_name = "sample",
        .scenario_yaml = "name: sample\nseed: 1\n",
        .scenario_dir = "/tmp/scenarios",
        .policy = sample->name,
        .compat = "tag",
        .cost_model = "default: linear, uncalibrated",
        .workload_origin = "made up",
        .notes = "2 rows skipped",
        .program_commit = "0123456789ab",
        .started_utc = "2025-01-31T12:00:00Z",
        .warmup = sample->warmup,
        .seed = sample->seed,
        .digest = UINT64_C(0xfedcba9876543210),
        .slo_ttft_ns = 2 * SAMPLE_S,
        .sample_interval_ns = SAMPLE_S,
        .wall_s = 0.25,
    };
}

/* Equal seeds give equal arrivals and lengths, whatever the name. */
static inline struct request_row sample_request(struct rng *rng, size_t index,
                                                int64_t arrival_ns,
                                                const struct sample *sample)
{
    const int64_t ttft_ns = SAMPLE_S / 20 + (int64_t)rng_below(rng, SAMPLE_S / 2);
    const uint32_t output_tokens = 1 + (uint32_t)rng_below(rng, 300);
    struct request_row row = {
        .request_id = index,
        .session_id = UINT64_MAX - index / 4, /* needs all 64 bits */
        .arrival_ns = arrival_ns,
        .queued_ns = arrival_ns + 1000,
        .scheduled_ns = arrival_ns + ttft_ns / 3,
        .first_token_ns = arrival_ns + ttft_ns + sample->extra_ttft_ns,
        .turn = (uint32_t)(index % 4),
        .status = REQUEST_COMPLETED,
        .engine = (uint32_t)rng_below(rng, sample->engines),
        .prompt_tokens = 1 + (uint32_t)rng_below(rng, 4000),
        .output_tokens = output_tokens,
        .cached_tokens = (uint32_t)rng_below(rng, 500),
        .preemptions = index % 10 == 0,
        .recomputed_tokens = index % 10 == 0 ? 7 : 0,
    };
    row.end_ns = row.first_token_ns + (int64_t)(output_tokens - 1) * (SAMPLE_S / 100);
    if (index % 25 == 24) { /* some never reach an engine */
        row.status = REQUEST_REJECTED;
        row.engine = RUN_ENGINE_NONE;
        row.queued_ns = row.scheduled_ns = row.first_token_ns = RUN_TIME_NONE;
        row.end_ns = row.arrival_ns;
        row.output_tokens = row.cached_tokens = 0;
    }
    return row;
}

static inline void sample_count(struct run_totals *totals,
                                const struct request_row *row)
{
    totals->requests++;
    totals->status_count[row->status]++;
    totals->preemptions += row->preemptions;
    totals->recomputed_tokens += row->recomputed_tokens;
    if (row->status == REQUEST_COMPLETED) {
        totals->prompt_tokens += row->prompt_tokens;
        totals->output_tokens += row->output_tokens;
        totals->prefix_query_tokens += row->prompt_tokens;
        totals->prefix_hit_tokens += row->cached_tokens;
    }
    if (row->end_ns > totals->end_ns) {
        totals->end_ns = row->end_ns;
    }
}

static inline void sample_add_engines(struct run_record *run,
                                      const struct sample *sample, int64_t end_ns)
{
    struct rng rng;
    rng_init(&rng, sample->seed, "samples", 0);
    for (int64_t time_ns = 0; time_ns < end_ns; time_ns += SAMPLE_S) {
        for (uint32_t engine = 0; engine < sample->engines; engine++) {
            const struct engine_sample_row row = {
                .time_ns = time_ns,
                .engine = engine,
                .running_requests = (uint32_t)rng_below(&rng, 20),
                .waiting_requests = (uint32_t)rng_below(&rng, 5),
                .kv_used_blocks = (uint32_t)rng_below(&rng, 1000),
                .kv_total_blocks = 1000,
            };
            (void)run_add_sample(run, &row);
        }
    }
    for (uint32_t engine = 0; engine < sample->engines; engine++) {
        const struct engine_row row = {
            .pool = "default",
            .description = "H100-SXM x Llama-3.1-8B, TP 1",
            .requests = sample->requests / sample->engines,
            .steps = 1000 + engine,
            .preemptions = engine,
            .prefix_query_tokens = 2000,
            .prefix_hit_tokens = 500,
            .busy_ns = end_ns / 2,
            .gpus = 1 + engine,
            .power_w = 700,
            .power_idle_w = 70,
            .price_per_hour_low = engine == 0 ? 2 : 0, /* unknown */
            .price_per_hour_high = 5,
            .counters = {[COUNTER_ADAPTER_LOADS] = engine, /* 0 of the first one */
                         [COUNTER_ACCEPTED_TOKENS] = UINT64_C(1) << 40},
        };
        (void)run_add_engine(run, &row);
    }
    for (uint32_t tenant = 0; tenant < 3; tenant++) {
        static const char *const names[] = {"", "calm", "flood"};
        const struct tenant_row row = {
            .name = names[tenant],
            .requests = 10 + tenant,
            .completed = 5 + tenant,
            .turned_away = tenant,
            .prompt_tokens = UINT64_C(1000) * tenant,
            .output_tokens = 100,
            .ttft_sum_ns = 12345,
            .waited_ns = 6789,
            .let_in_tokens = 0.5 + tenant,
        };
        (void)run_add_tenant(run, &row);
    }
}

/* Without metrics. */
static inline struct run_record *sample_run(const struct sample *sample)
{
    const struct run_info info = sample_info(sample);
    struct run_record *const run = run_record_new(&info);
    struct rng rng;
    rng_init(&rng, sample->seed, "sample", 0);
    int64_t arrival_ns = 0;
    for (size_t i = 0; i < sample->requests; i++) {
        arrival_ns += (int64_t)rng_below(&rng, SAMPLE_S / 4);
        const struct request_row row = sample_request(&rng, i, arrival_ns, sample);
        (void)run_add_request(run, &row);
        sample_count(&run->totals, &row);
    }
    run->totals.first_arrival_ns =
        sample->requests == 0 ? 0 : run->requests[0].arrival_ns;
    run->totals.events = 4 * sample->requests;
    run->totals.steps = 20 * sample->requests;
    run->totals.policy_bytes = 4096;
    run->totals.load_imbalance = 1.25;
    sample_add_engines(run, sample, arrival_ns);
    return run;
}

#endif
