/* SPDX-License-Identifier: Apache-2.0
 *
 * The failure-mode matrix of spec/policies.md 13.9 as far as a run of engines shows it:
 * what is expected to break, breaks; what is expected to hold, holds. A stress is a
 * scenario and one figure of its run; a row is a policy under it. Floods of low
 * priority are in analytic_admission.c, changes of the fleet in
 * analytic_failure_fleet.c.
 *
 * A policy that is added later adds its rows. The figures are far from their bounds:
 * this is about collapse, not about a few percent.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

static double ttft_mean_ms(const struct published_run *run)
{
    return 1e3 * published_ttft_mean_s(run, 0);
}

static double drained_s(const struct published_run *run)
{
    return (double)run->summary.end_ns / 1e9;
}

static double policy_megabytes(const struct published_run *run)
{
    return (double)run->summary.policy_bytes / 1e6;
}

static double preemptions(const struct published_run *run)
{
    return (double)run->summary.preemptions;
}

enum stress_id {
    SCRAPE_AGE,
    HOT_PREFIX,
    ONE_SHOT_PREFIXES,
    LONG_DECODE,
    FOUR_ROUTERS,
    EVENT_LOSS,
    STRESSES
};

static const struct stress {
    const char *file;
    const char *figure;
    double (*measure)(const struct published_run *run);
    double holds_to;    /* at most so much */
    double breaks_from; /* at least so much */
    const char *calm;   /* without the stress: the figure is over that of this run */
} stresses[STRESSES] = {
    [SCRAPE_AGE] = {"failure-modes/scrape-age.yaml", "mean TTFT in ms", ttft_mean_ms,
                    50, 200, NULL},
    /* Arrivals end after 30 s. */
    [HOT_PREFIX] = {"failure-modes/hot-prefix.yaml", "end of the last request in s",
                    drained_s, 36, 50, NULL},
    [ONE_SHOT_PREFIXES] = {"failure-modes/one-shot-prefixes.yaml",
                           "memory of the policy in MB", policy_megabytes, 1.5, 8,
                           NULL},
    [LONG_DECODE] = {"failure-modes/long-decode.yaml", "preemptions", preemptions, 80,
                     200, NULL},
    [FOUR_ROUTERS] = {"failure-modes/four-routers.yaml", "mean TTFT over one router's",
                      ttft_mean_ms, 1.4, 2.2, "routing.replicas=1"},
    [EVENT_LOSS] = {"failure-modes/event-loss.yaml", "mean TTFT over that without loss",
                    ttft_mean_ms, 1.1, 1.4, "routing.kv_events.loss=0"},
};

enum expectation { HOLDS, BREAKS };

static const struct row {
    enum stress_id stress;
    enum expectation expected;
    struct published_arm arm;
} rows[] = {
    {SCRAPE_AGE, BREAKS, {.policy = "least_kv"}},
    {SCRAPE_AGE,
     HOLDS,
     {.policy = "least_kv", .sets = {"routing.scrape_interval=10ms"}}},
    {SCRAPE_AGE,
     HOLDS,
     {.policy = "least_kv", .sets = {"routing.params.correct=true"}}},
    {SCRAPE_AGE, HOLDS, {.policy = "least_request"}},
    {SCRAPE_AGE, HOLDS, {.policy = "least_work"}},
    {SCRAPE_AGE, HOLDS, {.policy = "power_of_d"}},
    {SCRAPE_AGE, HOLDS, {.policy = "cache_aware"}},
    {SCRAPE_AGE, HOLDS, {.policy = "sticky_until_saturated"}},
    {SCRAPE_AGE, HOLDS, {.policy = "lmetric"}},
    {SCRAPE_AGE, HOLDS, {.policy = "predicted_latency"}},
    {SCRAPE_AGE, HOLDS, {.policy = "preble_e2"}},
    {SCRAPE_AGE, HOLDS, {.policy = "dynamo_kv"}},
    {SCRAPE_AGE, HOLDS, {.policy = "weighted_sum"}}, /* its queue is of now */

    {HOT_PREFIX, BREAKS, {.policy = "session"}},
    {HOT_PREFIX, BREAKS, {.policy = "ring_hash"}},
    {HOT_PREFIX, BREAKS, {.policy = "rendezvous"}},
    {HOT_PREFIX, BREAKS, {.policy = "maglev"}},
    {HOT_PREFIX, BREAKS, {.policy = "prefix_aware"}},
    {HOT_PREFIX,
     HOLDS,
     {.policy = "prefix_aware", .sets = {"routing.params.pinning=false"}}},
    {HOT_PREFIX, HOLDS, {.policy = "chwbl"}},
    {HOT_PREFIX, HOLDS, {.policy = "lmetric"}},
    {HOT_PREFIX, HOLDS, {.policy = "predicted_latency"}},
    {HOT_PREFIX, HOLDS, {.policy = "prefix_stddev"}},
    {HOT_PREFIX, HOLDS, {.policy = "preble_e2"}},
    {HOT_PREFIX, HOLDS, {.policy = "dynamo_kv"}},
    /* What waits to be prefilled counts against its owner with the same weight, so that
     * no weight makes it break. */
    {HOT_PREFIX,
     HOLDS,
     {.policy = "dynamo_kv", .sets = {"routing.params.prefill_weight=100"}}},
    {HOT_PREFIX, /* never passes a prefix on */
     BREAKS,
     {.policy = "preble_e2", .sets = {"routing.params.high_load_ratio=1000000"}}},
    /* Up to the absolute gap all of a prefix follows one tenant: harmless while that
     * gap fits the batch of 128. */
    {HOT_PREFIX, HOLDS, {.policy = "cache_aware"}},
    {HOT_PREFIX,
     BREAKS,
     {.policy = "cache_aware", .sets = {"routing.params.balance_abs=1000"}}},
    /* Weights 3, 2, 2: prefix 2.9 and an idle cache's 2 outweigh 2 for the queue and 2
     * for the cache elsewhere. Load terms help when together they outweigh the prefix.
     */
    {HOT_PREFIX, BREAKS, {.policy = "weighted_sum"}},
    {HOT_PREFIX,
     HOLDS,
     {.policy = "weighted_sum",
      .sets = {"routing.params.prefix_weight=1", "routing.params.queue_weight=1",
               "routing.params.kv_weight=1"}}},
    /* Holders are left after 18 s of prefill by default, which is the length of this
     * stress; and only prefill saturates them, not the decode batch that fills first.
     */
    {HOT_PREFIX, BREAKS, {.policy = "sticky_until_saturated"}},
    {HOT_PREFIX,
     HOLDS,
     {.policy = "sticky_until_saturated", .sets = {"routing.params.release_s=1"}}},

    {ONE_SHOT_PREFIXES, BREAKS, {.policy = "prefix_aware"}},
    {ONE_SHOT_PREFIXES,
     HOLDS,
     {.policy = "prefix_aware", .sets = {"routing.params.max_bytes=1000000"}}},
    {ONE_SHOT_PREFIXES, BREAKS, {.policy = "cache_aware"}},
    {ONE_SHOT_PREFIXES, /* the bound of SGLang's library */
     HOLDS,
     {.policy = "cache_aware", .sets = {"routing.params.tree_chars_max=10000"}}},
    {ONE_SHOT_PREFIXES, HOLDS, {.policy = "least_request"}},
    {ONE_SHOT_PREFIXES, HOLDS, {.policy = "least_work"}},
    {ONE_SHOT_PREFIXES, HOLDS, {.policy = "power_of_d"}},
    {ONE_SHOT_PREFIXES, HOLDS, {.policy = "chwbl"}},

    {LONG_DECODE, BREAKS, {.policy = "least_request"}},
    {LONG_DECODE, BREAKS, {.policy = "lmetric"}},
    {LONG_DECODE, BREAKS, {.policy = "power_of_d"}},
    {LONG_DECODE, BREAKS, {.policy = "preble_e2"}},
    {LONG_DECODE, BREAKS, {.policy = "dynamo_kv"}},
    {LONG_DECODE, HOLDS, {.policy = "least_work"}},
    {LONG_DECODE, /* without predictions */
     BREAKS,
     {.policy = "least_work", .sets = {"routing.params.output_weight=0"}}},
    {LONG_DECODE,
     HOLDS,
     {.policy = "least_kv", .sets = {"routing.scrape_interval=100ms"}}},

    {FOUR_ROUTERS, BREAKS, {.policy = "cache_aware"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "sticky_until_saturated"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "lmetric"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "prefix_stddev"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "preble_e2"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "predicted_latency"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "weighted_sum"}},
    {FOUR_ROUTERS, BREAKS, {.policy = "prefix_aware"}},
    {FOUR_ROUTERS,
     BREAKS,
     {.policy = "dynamo_kv",
      .sets = {"routing.params.prefill_weight=20", "routing.params.events=false"}}},
    {FOUR_ROUTERS, /* events tell every router the same */
     HOLDS,
     {.policy = "dynamo_kv", .sets = {"routing.params.prefill_weight=20"}}},
    {FOUR_ROUTERS, HOLDS, {.policy = "session"}},
    {FOUR_ROUTERS, HOLDS, {.policy = "ring_hash"}},
    {FOUR_ROUTERS, HOLDS, {.policy = "rendezvous"}},
    {FOUR_ROUTERS, HOLDS, {.policy = "maglev"}},
    {FOUR_ROUTERS, HOLDS, {.policy = "chwbl"}}, /* its bounds are of its own requests */
    {FOUR_ROUTERS, HOLDS, {.policy = "kv_aware"}}, /* every router is told the same */
    {FOUR_ROUTERS, HOLDS, {.policy = "power_of_d"}},

    {EVENT_LOSS,
     BREAKS,
     {.policy = "weighted_sum"}}, /* precise, as the scenario says */
    {EVENT_LOSS,
     HOLDS,
     {.policy = "weighted_sum", .sets = {"routing.kv_events.loss=0.01"}}},
    {EVENT_LOSS, /* what it sent itself */
     HOLDS,
     {.policy = "weighted_sum",
      .sets = {"routing.params.prefix_weight=3", "routing.params.precise_weight=0"}}},
    {EVENT_LOSS,
     HOLDS,
     {.policy = "dynamo_kv",
      .sets = {"routing.params.prefill_weight=20", "routing.params.events=false"}}},
    {EVENT_LOSS, HOLDS, {.policy = "cache_aware"}},
    {EVENT_LOSS, HOLDS, {.policy = "lmetric"}},
};

/* The arm with one setting more. */
static double measure(const struct stress *stress, const struct published_arm *arm,
                      const char *set)
{
    struct published_arm more = *arm;
    struct published_run run;
    size_t sets = 0;
    while (more.sets[sets] != NULL) {
        sets++;
    }
    REQUIRE(sets + 1 < PUBLISHED_SETS_MAX);
    more.sets[sets] = set;
    more.label = more.policy;
    published_simulate(&run, stress->file, &more);
    const double figure = stress->measure(&run);
    published_fini(&run);
    return figure;
}

static void run_rows(enum stress_id id)
{
    const struct stress *stress = &stresses[id];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        if (row->stress != id) {
            continue;
        }
        double got = measure(stress, &row->arm, NULL);
        if (stress->calm != NULL) {
            got /= measure(stress, &row->arm, stress->calm);
        }
        printf("%-36s %-23s %-38s %s: %.4g\n", stress->file, row->arm.policy,
               row->arm.sets[0] != NULL ? row->arm.sets[0] : "", stress->figure, got);
        harness_note("%s %s: %g", row->arm.policy,
                     row->expected == BREAKS ? "should break" : "should hold", got);
        EXPECT(row->expected == BREAKS ? got >= stress->breaks_from
                                       : got <= stress->holds_to);
    }
}

static void old_metrics_break_who_lives_by_them(void)
{
    run_rows(SCRAPE_AGE);
}

static void a_hot_prefix_breaks_affinity_without_load(void)
{
    run_rows(HOT_PREFIX);
}

static void prompts_seen_once_fill_what_has_no_bound(void)
{
    run_rows(ONE_SHOT_PREFIXES);
}

static void long_outputs_break_who_counts_requests(void)
{
    run_rows(LONG_DECODE);
}

static void routers_that_share_nothing_cache_everything_twice(void)
{
    run_rows(FOUR_ROUTERS);
}

static void lost_reports_break_who_knows_only_by_them(void)
{
    run_rows(EVENT_LOSS);
}

HARNESS_MAIN("analytic.failure_modes_slow", TEST(old_metrics_break_who_lives_by_them),
             TEST(a_hot_prefix_breaks_affinity_without_load),
             TEST(prompts_seen_once_fill_what_has_no_bound),
             TEST(long_outputs_break_who_counts_requests),
             TEST(routers_that_share_nothing_cache_everything_twice),
             TEST(lost_reports_break_who_knows_only_by_them))
