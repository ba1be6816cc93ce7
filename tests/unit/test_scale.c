/* SPDX-License-Identifier: Apache-2.0
 *
 * test_scale.c: every autoscaler's formula by hand, without a simulation: views go in,
 * replicas come out.
 */
#include "base/mem.h"
#include "policies/hpa.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

static const int64_t second = 1000000000;

/* One policy, and what it sees. */
struct bench {
    const struct scale_policy *policy;
    void *state;
    struct scale_reading readings[SCALE_QUERIES_MAX];
    struct scale_view view;
    struct scale_target target;
};

struct given {
    const char *names[8];
    double values[8];
    size_t count;
};

static bool bench_try(struct bench *bench, const char *name, const struct given *given,
                      const struct scale_setup *how, struct err *err)
{
    double values[POLICY_PARAMS_MAX];
    bench->policy = scale_policy_find(name);
    REQUIRE(bench->policy != NULL);
    const struct policy_table table = {name, bench->policy->params};
    const struct policy_given params = {given->names, given->values, given->count};
    REQUIRE_OK(policy_params_resolve(&table, COMPAT_HEAD, &params, values, err), err);
    struct scale_setup setup = *how;
    setup.values = values;
    setup.targets = &bench->target;
    setup.target_count = bench->policy->targets_max > 0 ? 1 : 0;
    bench->state = mem_alloc(1, bench->policy->state_bytes);
    bench->view.readings = bench->readings;
    return bench->policy->init(bench->state, &setup, err);
}

static void bench_begin(struct bench *bench, const char *name, struct given given,
                        struct scale_setup setup)
{
    struct err err = {0};
    REQUIRE_OK(bench_try(bench, name, &given, &setup, &err), &err);
}

/* The size that it asks for at its next look, which is done. */
static uint32_t look(struct bench *bench)
{
    bench->view.now_ns = bench->policy->next_ns(bench->state);
    const struct scale_decision decision =
        bench->policy->decide(bench->state, &bench->view);
    bench->view.replicas = decision.replicas;
    bench->view.pods = decision.replicas;
    bench->view.ready = decision.replicas;
    bench->readings[0].pods = decision.replicas;
    return decision.replicas;
}

static void size_is(struct bench *bench, uint32_t replicas, double sum)
{
    bench->view.replicas = replicas;
    bench->view.pods = replicas;
    bench->view.ready = replicas;
    for (uint32_t i = 0; i < SCALE_QUERIES_MAX; i++) {
        bench->readings[i] =
            (struct scale_reading){.known = true, .sum = sum, .pods = replicas};
    }
}

static void bench_end(struct bench *bench)
{
    mem_free(bench->state);
}

/* ---- HPA: metrics ---------------------------------------------------------------- */

static uint32_t hpa_of(uint32_t replicas, enum scale_target_kind kind, double target,
                       struct scale_reading reading)
{
    const struct scale_view view = {
        .replicas = replicas, .pods = replicas, .ready = replicas};
    const struct scale_target what = {.kind = kind, .target = target};
    uint32_t wanted = 0;
    reading.known = true;
    EXPECT(hpa_metric_replicas(&view, &what, &reading, 0.1, &wanted));
    return wanted;
}

/* ceil(n * mean / target). */
static void hpa_scales_by_value_over_target(void)
{
    /* 30 on 3 pods: a mean of 10 over 5: ceil(2 * 3) = 6. */
    EXPECT_U64(hpa_of(3, TARGET_PODS, 5, (struct scale_reading){.sum = 30, .pods = 3}),
               6);
    /* 31 on 3: 31/15 = 2.067: ceil(6.2) = 7. */
    EXPECT_U64(hpa_of(3, TARGET_PODS, 5, (struct scale_reading){.sum = 31, .pods = 3}),
               7);
    /* 4 on 3: 4/15: ceil(0.8) = 1. */
    EXPECT_U64(hpa_of(3, TARGET_PODS, 5, (struct scale_reading){.sum = 4, .pods = 3}),
               1);
    EXPECT_U64(hpa_of(3, TARGET_PODS, 5, (struct scale_reading){.pods = 3}), 0);
}

static void hpa_tolerates_a_tenth(void)
{
    /* 10.9 / 10 stays, 11.1 / 10 does not: ceil(1.11 * 10) = 12. */
    EXPECT_U64(
        hpa_of(10, TARGET_PODS, 10, (struct scale_reading){.sum = 109, .pods = 10}),
        10);
    EXPECT_U64(
        hpa_of(10, TARGET_PODS, 10, (struct scale_reading){.sum = 111, .pods = 10}),
        12);
    EXPECT_U64(
        hpa_of(10, TARGET_PODS, 10, (struct scale_reading){.sum = 91, .pods = 10}), 10);
    EXPECT_U64(
        hpa_of(10, TARGET_PODS, 10, (struct scale_reading){.sum = 89, .pods = 10}), 9);
}

/* Missing: idle when there is too much to do, at the target when there is too little.
 */
static void hpa_takes_missing_pods_at_their_least(void)
{
    /* 20 on 2 of 3: 20/3/5 = 4/3: ceil(4/3 * 3) = 4, and not ceil(2 * 2) = 4 of 2. */
    EXPECT_U64(hpa_of(3, TARGET_PODS, 5,
                      (struct scale_reading){.sum = 20, .pods = 2, .missing = 1}),
               4);
    /* 20 on 2 of 4: 20/4/5 = 1: nothing is done. */
    EXPECT_U64(hpa_of(4, TARGET_PODS, 5,
                      (struct scale_reading){.sum = 20, .pods = 2, .missing = 2}),
               4);
    /* 2 on 2 of 4: (2 + 2 * 5) / 4 / 5 = 0.6: ceil(0.6 * 4) = 3. */
    EXPECT_U64(hpa_of(4, TARGET_PODS, 5,
                      (struct scale_reading){.sum = 2, .pods = 2, .missing = 2}),
               3);
}

static void hpa_counts_unready_pods_only_when_it_grows(void)
{
    /* 30 on 2 ready, 2 not: 30/4/5 = 1.5: 6, where ceil(3 * 2) would be 6 of 2. */
    EXPECT_U64(hpa_of(4, TARGET_PODS, 5,
                      (struct scale_reading){.sum = 30, .pods = 2, .unready = 2}),
               6);
    /* 20 on 2 ready, 3 not: 20/5/5 = 0.8, on the other side of 1: nothing is done. */
    EXPECT_U64(hpa_of(5, TARGET_PODS, 5,
                      (struct scale_reading){.sum = 20, .pods = 2, .unready = 3}),
               5);
    /* 2 on 2 ready: ceil(0.2 * 2) = 1, whoever is not ready. */
    EXPECT_U64(hpa_of(4, TARGET_PODS, 5,
                      (struct scale_reading){.sum = 2, .pods = 2, .unready = 2}),
               1);
}

static void hpa_shares_out_sums(void)
{
    /* ceil(23/5) = 5; of five pods 26/25 is within the tolerance. */
    EXPECT_U64(hpa_of(2, TARGET_AVERAGE, 5, (struct scale_reading){.sum = 23}), 5);
    EXPECT_U64(hpa_of(5, TARGET_AVERAGE, 5, (struct scale_reading){.sum = 26}), 5);
    EXPECT_U64(hpa_of(5, TARGET_AVERAGE, 5, (struct scale_reading){.sum = 28}), 6);
    /* The stack's tutorial: target 1 for the whole pool: ceil(2 * 3 / 1) = 6. */
    EXPECT_U64(hpa_of(2, TARGET_VALUE, 1, (struct scale_reading){.sum = 3}), 6);
}

/* ---- HPA: windows and limits ----------------------------------------------------- */

static const struct scale_setup one_to_hundred = {.min = 1, .max = 100};

static struct scale_target target_of(enum scale_target_kind kind, double target)
{
    return (struct scale_target){
        .metric = SCALE_WAITING, .kind = kind, .target = target};
}

/* Wanted 100: max(+100 %, +4) in 15 s: 1, 5, 10, 20, 40, 80, 100. */
static void hpa_doubles_or_adds_four(void)
{
    static const uint32_t expected[] = {5, 10, 20, 40, 80, 100, 100};
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 1)};
    bench_begin(&bench, "hpa", (struct given){.count = 0}, one_to_hundred);
    size_is(&bench, 1, 1000);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        EXPECT_U64(look(&bench), expected[i]);
        EXPECT_I64(bench.view.now_ns, (int64_t)(15 * (i + 1)) * second);
    }
    bench_end(&bench);
}

/* 8 wanted at 15 s for the last time, 2 from 30 s on. What was asked for later than
 * now - 300 s still counts: 8 until 300 s, 2 at 315 s. */
static void hpa_shrinks_to_the_most_of_five_minutes(void)
{
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 1)};
    bench_begin(&bench, "hpa", (struct given){.count = 0}, one_to_hundred);
    size_is(&bench, 8, 8);
    EXPECT_U64(look(&bench), 8);
    bench.readings[0].sum = 2;
    uint32_t replicas = 8;
    while (replicas == 8 && bench.view.now_ns < 1000 * second) {
        replicas = look(&bench);
    }
    EXPECT_U64(replicas, 2);
    EXPECT_I64(bench.view.now_ns, 315 * second);
    bench_end(&bench);
}

/* The operator's behaviour: one pod in 60 s, both ways: a change at 15 s, the next at
 * 75 s. */
static void hpa_keeps_to_pods_per_minute(void)
{
    const struct given given = {{"up_pods", "up_pods_period_s", "up_percent",
                                 "down_window_s", "down_pods", "down_pods_period_s",
                                 "down_percent"},
                                {1, 60, 0, 0, 1, 60, 0},
                                7};
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 1)};
    bench_begin(&bench, "hpa", given, one_to_hundred);
    size_is(&bench, 3, 9);
    EXPECT_U64(look(&bench), 4);
    for (int i = 0; i < 3; i++) {
        EXPECT_U64(look(&bench), 4);
    }
    EXPECT_U64(look(&bench), 5);
    EXPECT_I64(bench.view.now_ns, 75 * second);
    /* What was added within the minute may go, and one more: 5 - 1 + ... = 3. */
    bench.readings[0].sum = 1;
    EXPECT_U64(look(&bench), 3);
    bench_end(&bench);
}

static void hpa_that_may_not_shrink_stays(void)
{
    const struct given given = {
        {"down_percent", "down_pods", "down_window_s"}, {0, 0, 0}, 3};
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 1)};
    bench_begin(&bench, "hpa", given, one_to_hundred);
    size_is(&bench, 6, 1);
    EXPECT_U64(look(&bench), 6);
    bench_end(&bench);
}

static void hpa_waits_for_its_metrics(void)
{
    struct bench bench = {.target = target_of(TARGET_PODS, 1)};
    bench_begin(&bench, "hpa", (struct given){.count = 0}, one_to_hundred);
    size_is(&bench, 4, 0);
    bench.readings[0].known = false;
    bench.view.now_ns = 15 * second;
    const struct scale_decision decision =
        bench.policy->decide(bench.state, &bench.view);
    EXPECT(decision.failed);
    EXPECT_U64(decision.replicas, 4);
    bench_end(&bench);
}

/* Of two metrics the most; with one of them missing nobody shrinks. */
static void hpa_takes_the_most_of_all_metrics(void)
{
    struct hpa *hpa = mem_alloc(1, sizeof *hpa);
    *hpa = (struct hpa){.tolerance = 0.1, .min = 1, .max = 100};
    hpa->up = (struct hpa_rules){.percent = 1000, .percent_period_ns = second};
    hpa->down = (struct hpa_rules){.percent = 100, .percent_period_ns = second};
    const struct scale_target targets[] = {target_of(TARGET_AVERAGE, 10),
                                           target_of(TARGET_AVERAGE, 1)};
    struct scale_reading readings[] = {{.known = true, .sum = 20},
                                       {.known = true, .sum = 7}};
    const struct scale_view view = {
        .now_ns = second, .replicas = 4, .pods = 4, .ready = 4};
    EXPECT_U64(hpa_decide(hpa, &view, targets, 2, readings).replicas, 7);
    readings[1].known = false;
    EXPECT(hpa_decide(hpa, &view, targets, 2, readings).failed);
    mem_free(hpa);
}

static void a_window_of_too_many_looks_is_refused(void)
{
    const struct given given = {{"sync_s", "down_window_s"}, {0, 3600}, 2};
    struct given fine = given;
    fine.values[0] = 1;
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 1)};
    struct err err = {0};
    EXPECT_OK(bench_try(&bench, "hpa", &fine, &one_to_hundred, &err), &err);
    bench_end(&bench);
    double values[HPA_PARAM_COUNT] = {[HPA_SYNC_S] = 0.5, [HPA_DOWN_WINDOW_S] = 3600};
    struct hpa *hpa = mem_alloc(1, sizeof *hpa);
    EXPECT_FAILS(hpa_init(hpa, values, 1, 2, &err), &err, "raise sync_s");
    mem_free(hpa);
}

/* ---- KEDA ------------------------------------------------------------------------ */

/* Polls every 30 s, HPA every 15 s. Somebody waits at 30 s: 0 -> 1; nobody from 60 s
 * on: 300 s after the last active poll are over at the poll of 360 s, not at that of
 * 330. */
static void keda_wakes_and_sleeps_by_its_polls(void)
{
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 5)};
    bench_begin(&bench, "keda", (struct given){.count = 0},
                (struct scale_setup){.min = 0, .max = 10});
    size_is(&bench, 0, 1);
    EXPECT_U64(look(&bench), 0); /* 15 s: the HPA is off at 0 */
    EXPECT_U64(look(&bench), 1);
    EXPECT_I64(bench.view.now_ns, 30 * second);
    bench.readings[0].sum = 0;
    while (look(&bench) == 1 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_U64(bench.view.replicas, 0);
    EXPECT_I64(bench.view.now_ns, 360 * second);
    bench_end(&bench);
}

/* Between 1 and more it is an HPA: ceil(23/5) = 5 at the next sync. */
static void keda_scales_by_sum_over_threshold(void)
{
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 5)};
    bench_begin(&bench, "keda", (struct given){.count = 0},
                (struct scale_setup){.min = 0, .max = 10});
    size_is(&bench, 1, 23);
    EXPECT_U64(look(&bench), 5);
    EXPECT_I64(bench.view.now_ns, 15 * second);
    bench_end(&bench);
}

/* Activation 10: 10 waiting wake nobody, 11 do. */
static void keda_is_woken_beyond_its_activation(void)
{
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 5)};
    bench.target.activation = 10;
    bench_begin(&bench, "keda", (struct given){{"poll_s"}, {15}, 1},
                (struct scale_setup){.min = 0, .max = 10});
    size_is(&bench, 0, 10);
    EXPECT_U64(look(&bench), 0);
    bench.readings[0].sum = 11;
    EXPECT_U64(look(&bench), 1);
    bench_end(&bench);
}

/* The keep-alive (value 1 over target 1) holds two pods up; without it they go. Never
 * active: at the first poll, since initial_cooldown_s is 0. */
static void keda_keeps_alive_and_idles_below_min(void)
{
    struct bench bench = {.target = target_of(TARGET_VALUE, 1)};
    bench_begin(&bench, "keda", (struct given){{"idle_to_zero"}, {1}, 1},
                (struct scale_setup){.min = 2, .max = 10});
    size_is(&bench, 2, 1);
    for (int i = 0; i < 40; i++) {
        EXPECT_U64(look(&bench), 2);
    }
    bench_end(&bench);
    bench_begin(&bench, "keda", (struct given){{"idle_to_zero"}, {1}, 1},
                (struct scale_setup){.min = 2, .max = 10});
    size_is(&bench, 2, 0);
    EXPECT_U64(look(&bench), 2); /* the HPA keeps min */
    EXPECT_U64(look(&bench), 0);
    EXPECT_I64(bench.view.now_ns, 30 * second);
    bench.readings[0].sum = 1;
    while (look(&bench) == 0 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_U64(bench.view.replicas, 2);
    bench_end(&bench);
}

/* ---- KPA ------------------------------------------------------------------------- */

static void concurrency(struct bench *bench, double stable, double panic)
{
    bench->readings[0].sum = stable;
    bench->readings[1].sum = panic;
}

/* A target of 10 at 0.7 is 7: ceil(20/7) = 3. 50 in the short window want 8, which is
 * 2.67 times 3: panic, and no way back for 60 s. Then down to half at most: 8 -> 4. */
static void kpa_panics_and_calms_down(void)
{
    struct bench bench = {0};
    bench_begin(&bench, "kpa", (struct given){{"target"}, {10}, 1}, one_to_hundred);
    size_is(&bench, 3, 20);
    EXPECT_U64(look(&bench), 3);
    EXPECT_I64(bench.view.now_ns, 2 * second);
    concurrency(&bench, 25, 50);
    EXPECT_U64(look(&bench), 8); /* 4 s */
    concurrency(&bench, 7, 7);
    while (look(&bench) == 8 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_I64(bench.view.now_ns, 66 * second); /* the first look after 4 + 60 s */
    EXPECT_U64(bench.view.replicas, 4);
    EXPECT_U64(look(&bench), 2);
    EXPECT_U64(look(&bench), 1);
    bench_end(&bench);
}

/* 2.0 times the ready pods is panic, less is none: 3 ready, 5 wanted: 1.67. */
static void kpa_panics_at_twice_and_not_below(void)
{
    struct bench bench = {0};
    bench_begin(&bench, "kpa", (struct given){{"target"}, {10}, 1}, one_to_hundred);
    size_is(&bench, 3, 20);
    concurrency(&bench, 20, 35);
    EXPECT_U64(look(&bench), 3);
    concurrency(&bench, 20, 36); /* ceil(36/7) = 6 */
    EXPECT_U64(look(&bench), 6);
    bench_end(&bench);
}

/* Idle from 2 s on: the last pod goes 30 s later; the first request brings one back. */
static void kpa_goes_to_zero_after_its_grace(void)
{
    struct bench bench = {0};
    bench_begin(&bench, "kpa", (struct given){{"target"}, {10}, 1},
                (struct scale_setup){.min = 0, .max = 10});
    size_is(&bench, 1, 0);
    while (look(&bench) == 1 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_U64(bench.view.replicas, 0);
    EXPECT_I64(bench.view.now_ns, 32 * second);
    EXPECT_U64(look(&bench), 0);
    bench.view.woken = true; /* before any window has seen it */
    EXPECT_U64(look(&bench), 1);
    bench_end(&bench);
}

/* ---- AIBrix ---------------------------------------------------------------------- */

/* n = 4, target 5. 50: ceil(10) but 2n = 8. 21: 1.05 is within. 2: ceil(0.4) = 1 but
 * floor(n/2) = 2. The short window is never twice what is ready here, or it is. */
static void aibrix_doubles_and_halves_at_most(void)
{
    static const struct {
        double stable;
        double panic;
        uint32_t expected;
    } cases[] = {{50, 30, 8},
                 {21, 21, 4},
                 {2, 2, 2},
                 {26, 26, 6},
                 /* panic: ceil(40/5) = 8 is twice 4: the most of 6, 8 and 4 */
                 {26, 40, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench = {.target = target_of(TARGET_AVERAGE, 5)};
        harness_note("case %zu", i);
        bench_begin(&bench, "kpa_aibrix", (struct given){.count = 0}, one_to_hundred);
        size_is(&bench, 4, 0);
        concurrency(&bench, cases[i].stable, cases[i].panic);
        EXPECT_U64(look(&bench), cases[i].expected);
        bench_end(&bench);
    }
}

/* After a panic it does not shrink until 180 s have passed without another. */
static void aibrix_keeps_its_size_in_panic(void)
{
    struct bench bench = {.target = target_of(TARGET_AVERAGE, 5)};
    bench_begin(&bench, "kpa_aibrix", (struct given){.count = 0}, one_to_hundred);
    size_is(&bench, 2, 40);
    EXPECT_U64(look(&bench), 4); /* 10 s: 8 wanted, doubled at most */
    concurrency(&bench, 5, 5);
    while (look(&bench) == 4 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_I64(bench.view.now_ns, 200 * second); /* the first look after 190 s */
    EXPECT_U64(bench.view.replicas, 2);
    bench_end(&bench);
}

/* n = 4, target 5, mean r times that. */
static void apa_scales_by_its_ratio(void)
{
    static const struct {
        double sum;
        uint32_t expected;
    } cases[] = {
        {26, 6},   /* r 1.3: ceil(5.2) = 6 */
        {60, 8},   /* r 3: ceil(12), but 2n = 8 */
        {21.5, 4}, /* r 1.075: within */
        {18.5, 4}, /* r 0.925: within */
        {17, 4},   /* r 0.85: ceil(3.4) = 4 */
        {12, 3},   /* r 0.6: ceil(2.4) = 3 */
        {2, 2},    /* r 0.1: ceil(0.4) = 1, but floor(n/2) = 2 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench = {.target = target_of(TARGET_PODS, 5)};
        harness_note("case %zu", i);
        bench_begin(&bench, "apa", (struct given){.count = 0}, one_to_hundred);
        size_is(&bench, 4, cases[i].sum);
        EXPECT_U64(look(&bench), cases[i].expected);
        bench_end(&bench);
    }
}

/* Grown at 10 s, it may shrink from 310 s on, and again 300 s after that. */
static void apa_pauses_before_it_shrinks(void)
{
    struct bench bench = {.target = target_of(TARGET_PODS, 5)};
    bench_begin(&bench, "apa", (struct given){.count = 0}, one_to_hundred);
    size_is(&bench, 4, 40);
    EXPECT_U64(look(&bench), 8);
    bench.readings[0].sum = 1;
    while (look(&bench) == 8 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_U64(bench.view.replicas, 4);
    EXPECT_I64(bench.view.now_ns, 310 * second);
    while (look(&bench) == 4 && bench.view.now_ns < 1000 * second) {
    }
    EXPECT_I64(bench.view.now_ns, 610 * second);
    bench_end(&bench);
}

/* ---- KubeAI ---------------------------------------------------------------------- */

/* ceil(250/100) = 3 at once; down after ceil(30/10) = 3 looks that all want fewer. */
static void kubeai_votes_before_it_shrinks(void)
{
    struct bench bench = {0};
    bench_begin(&bench, "kubeai", (struct given){.count = 0}, one_to_hundred);
    size_is(&bench, 1, 250);
    EXPECT_U64(look(&bench), 3);
    bench.readings[0].sum = 100;
    EXPECT_U64(look(&bench), 3);
    EXPECT_U64(look(&bench), 3);
    bench.readings[0].sum = 300; /* the vote fails, and begins anew */
    EXPECT_U64(look(&bench), 3);
    bench.readings[0].sum = 100;
    EXPECT_U64(look(&bench), 3);
    EXPECT_U64(look(&bench), 3);
    EXPECT_U64(look(&bench), 1);
    bench_end(&bench);
}

static void kubeai_wakes_with_the_first_request(void)
{
    struct bench bench = {0};
    bench_begin(&bench, "kubeai", (struct given){.count = 0},
                (struct scale_setup){.min = 0, .max = 10});
    size_is(&bench, 0, 0);
    bench.view.now_ns = 3 * second;
    bench.view.woken = true;
    EXPECT_U64(bench.policy->decide(bench.state, &bench.view).replicas, 1);
    EXPECT_I64(bench.policy->next_ns(bench.state), 10 * second);
    bench_end(&bench);
}

/* ---- Dynamo ---------------------------------------------------------------------- */

static double prefill_s(const void *context, double prompt_tokens)
{
    (void)context;
    return prompt_tokens * 1e-4;
}

static double itl_s(const void *context, double batch, double context_tokens)
{
    (void)context;
    (void)context_tokens;
    return 0.01 + batch * 0.0005;
}

static const struct scale_profile profile = {
    .prefill_s = prefill_s, .itl_s = itl_s, .batch_max = 256};

static uint32_t sla_of(enum scale_role role, double requests_per_s, double ttft,
                       double itl)
{
    struct bench bench = {0};
    bench_begin(
        &bench, "dynamo_sla", (struct given){.count = 0},
        (struct scale_setup){.min = 1, .max = 100, .role = role, .profile = &profile});
    size_is(&bench, 1, 0);
    bench.readings[0].sum = requests_per_s;
    bench.readings[1].sum = 1000; /* prompt */
    bench.readings[2].sum = 200;  /* output */
    bench.readings[3].sum = ttft;
    bench.readings[4].sum = itl;
    bench.readings[5].sum = 20; /* in flight: expected itl 20 ms */
    const uint32_t replicas = look(&bench);
    EXPECT_I64(bench.view.now_ns, 180 * second);
    bench_end(&bench);
    return replicas;
}

/* Prompts of 0.1 s: 25/s take 2.5 engines. Outputs: 50 ms are kept by batches up to 80,
 * 1600 tokens/s; 25 * 200 = 5000 take 3.125. */
static void dynamo_plans_by_its_profile(void)
{
    EXPECT_U64(sla_of(SCALE_PREFILL, 25, 0.1, 0.02), 3);
    EXPECT_U64(sla_of(SCALE_DECODE, 25, 0.1, 0.02), 4);
    EXPECT_U64(sla_of(SCALE_BOTH, 25, 0.1, 0.02), 6); /* 5.625 */
    EXPECT_U64(sla_of(SCALE_PREFILL, 0, 0.1, 0.02), 1);
}

/* Half the time to the first token that was expected: 1.25. Twice: as without. Twice
 * the time per token: a target of 25 ms, batches of 30, 1200 tokens/s: 4.17. */
static void dynamo_corrects_its_profile(void)
{
    EXPECT_U64(sla_of(SCALE_PREFILL, 25, 0.05, 0.02), 2);
    EXPECT_U64(sla_of(SCALE_PREFILL, 25, 0.2, 0.02), 3);
    EXPECT_U64(sla_of(SCALE_DECODE, 25, 0.1, 0.04), 5);
}

/* ---- all ------------------------------------------------------------------------- */

static void every_policy_is_complete(void)
{
    size_t count = 0;
    for (; scale_policy_at(count) != NULL; count++) {
        const struct scale_policy *policy = scale_policy_at(count);
        harness_note("%s", policy->name);
        EXPECT(scale_policy_find(policy->name) == policy);
        EXPECT(policy->help != NULL && policy->source != NULL &&
               policy->breaks != NULL);
        EXPECT(policy->init != NULL && policy->decide != NULL &&
               policy->next_ns != NULL && policy->queries != NULL);
        EXPECT(policy->scrape_ns > 0 && policy->object != NULL);
        EXPECT(policy->targets_max == 0 || (policy->kinds >> policy->kind & 1) != 0);
        EXPECT(policy_param_count(policy->params) <= POLICY_PARAMS_MAX);
    }
    EXPECT_U64(count, 7);
    EXPECT(scale_policy_find("sla") == scale_policy_find("dynamo_sla"));
    EXPECT(scale_policy_find("no_such") == NULL);
}

HARNESS_MAIN(
    "scale", TEST(hpa_scales_by_value_over_target), TEST(hpa_tolerates_a_tenth),
    TEST(hpa_takes_missing_pods_at_their_least),
    TEST(hpa_counts_unready_pods_only_when_it_grows), TEST(hpa_shares_out_sums),
    TEST(hpa_doubles_or_adds_four), TEST(hpa_shrinks_to_the_most_of_five_minutes),
    TEST(hpa_keeps_to_pods_per_minute), TEST(hpa_that_may_not_shrink_stays),
    TEST(hpa_waits_for_its_metrics), TEST(hpa_takes_the_most_of_all_metrics),
    TEST(a_window_of_too_many_looks_is_refused),
    TEST(keda_wakes_and_sleeps_by_its_polls), TEST(keda_scales_by_sum_over_threshold),
    TEST(keda_is_woken_beyond_its_activation),
    TEST(keda_keeps_alive_and_idles_below_min), TEST(kpa_panics_and_calms_down),
    TEST(kpa_panics_at_twice_and_not_below), TEST(kpa_goes_to_zero_after_its_grace),
    TEST(aibrix_doubles_and_halves_at_most), TEST(aibrix_keeps_its_size_in_panic),
    TEST(apa_scales_by_its_ratio), TEST(apa_pauses_before_it_shrinks),
    TEST(kubeai_votes_before_it_shrinks), TEST(kubeai_wakes_with_the_first_request),
    TEST(dynamo_plans_by_its_profile), TEST(dynamo_corrects_its_profile),
    TEST(every_policy_is_complete))
