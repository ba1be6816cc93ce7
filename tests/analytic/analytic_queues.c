/* SPDX-License-Identifier: Apache-2.0
 *
 * analytic_queues.c: an engine that serves one request at a time, with a linear cost
 * model, is a queue with a textbook answer. Accepted by the 99 % confidence interval of
 * the mean over independent seeds, not by a magic percentage.
 */
#include "sim/sim.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <math.h>

enum { SEEDS = 20, REQUESTS = 10000 };
/* Student's t for 19 degrees of freedom, two-sided 99 %. */
static const double t_99 = 2.861;

struct record {
    double system_s; /* sum of times in the system */
    uint64_t ended;
    int64_t first_ns;
    int64_t last_ns;
    double sampled; /* sum over ticks of requests in the system */
    uint64_t ticks;
};

static void saw_outcome(void *context, const struct request_outcome *outcome)
{
    struct record *record = context;
    record->system_s += (double)(outcome->end_ns - outcome->arrival_ns) / 1e9;
    record->ended++;
    record->last_ns = outcome->end_ns;
}

static void saw_sample(void *context, const struct engine_sample *sample)
{
    struct record *record = context;
    record->sampled += sample->running + sample->waiting;
    record->ticks++;
}

/* One engine, one request at a time; a step takes 10 us, whatever is in it. So a
 * request of k output tokens is served for k steps. */
static void run(uint64_t seed, const char *output, double rate_per_s,
                struct record *record)
{
    struct text yaml = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    text_printf(&yaml,
                "seed: %" PRIu64 "\n"
                "workload:\n  generate:\n    - requests: %d\n"
                "      arrival: {kind: poisson, rate_per_s: %g}\n"
                "      input: {kind: const, value: 1}\n      output: %s\n"
                "cluster:\n  pools:\n    - gpu: h100_sxm\n      model: opt_125m\n"
                "      engine: {max_num_seqs: 1, max_num_batched_tokens: 64, "
                "max_model_len: 2000, prefix_caching: false, "
                "compat: v085, cpu_step: 0s, cpu_sequence: 0s}\n"
                "      cost: {model: linear, step: 10us}\n"
                "sample_interval: 7ms\n",
                seed, REQUESTS, rate_per_s, output);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    REQUIRE_OK(scenario_parse(&scenario, "queue.yaml", text_str(&yaml), yaml.length,
                              &options, &err),
               &err);
    REQUIRE_OK(workload_open_conf(&workload, scenario->workload, seed, ".", &err),
               &err);
    *record = (struct record){0};
    const struct observer observer = {
        .context = record, .on_outcome = saw_outcome, .on_sample = saw_sample};
    const struct sim_options how = {0};
    REQUIRE_OK(sim_new(&sim, scenario, workload, &observer, &how, &err), &err);
    enum sim_state state = SIM_RUNNING;
    while (state == SIM_RUNNING) {
        state = sim_run(sim, UINT64_MAX, &err);
    }
    REQUIRE_OK(state == SIM_DONE, &err);
    EXPECT_U64(record->ended, REQUESTS);
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    text_fini(&yaml);
}

static void expect_mean(const double *values, double expected)
{
    double mean = 0.0;
    for (int i = 0; i < SEEDS; i++) {
        mean += values[i] / SEEDS;
    }
    double variance = 0.0;
    for (int i = 0; i < SEEDS; i++) {
        variance += (values[i] - mean) * (values[i] - mean) / (SEEDS - 1);
    }
    EXPECT_NEAR(mean, expected, t_99 * sqrt(variance / SEEDS));
}

/* 100 tokens of one 10 us step each. Who waits, waits for a step boundary anyway. */
static const double service_s = 100 * 10e-6;

static void one_at_a_time_with_exponential_lengths_is_m_m_1(void)
{
    double values[SEEDS];
    const double load = 0.7;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct record record;
        harness_note("seed %" PRIu64, seed);
        run(seed, "{kind: exponential, mean: 100, min: 1, max: 1900}", load / service_s,
            &record);
        values[seed - 1] = record.system_s / REQUESTS;
    }
    /* Whole tokens, and at least one, move both moments by less than 0.01 %. */
    expect_mean(values, service_s / (1.0 - load));
}

static void one_at_a_time_with_equal_lengths_is_m_d_1(void)
{
    double values[SEEDS];
    const double load = 0.8;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct record record;
        harness_note("seed %" PRIu64, seed);
        run(seed, "{kind: const, value: 100}", load / service_s, &record);
        values[seed - 1] = record.system_s / REQUESTS;
    }
    /* Pollaczek-Khinchine. */
    expect_mean(values, service_s * (1.0 + load / (2.0 * (1.0 - load))));
}

static void littles_law_holds_in_every_run(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct record record;
        run(seed, "{kind: uniform, min: 1, max: 200}", 0.9 / service_s, &record);
        const double span_s = (double)record.last_ns / 1e9;
        const double in_system = record.sampled / (double)record.ticks;
        harness_note("seed %" PRIu64, seed);
        /* Ticks every 7 ms sample the integral; their error is far below 1 %. */
        EXPECT_CLOSE(in_system, record.system_s / span_s, 0.01);
    }
}

HARNESS_MAIN("queues", TEST(one_at_a_time_with_exponential_lengths_is_m_m_1),
             TEST(one_at_a_time_with_equal_lengths_is_m_d_1),
             TEST(littles_law_holds_in_every_run))
