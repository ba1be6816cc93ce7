/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparisons of made-up runs whose difference is known.
 */
#include "reports/compare.h"
#include "tests/harness.h"
#include "tests/sample_run.h"

#include <math.h>
#include <string.h>

#define MS INT64_C(1000000)

static struct run_record *slower_by(const char *name, uint64_t seed, int64_t extra_ns)
{
    const struct sample sample = {.name = name,
                                  .seed = seed,
                                  .requests = 2000,
                                  .engines = 4,
                                  .extra_ttft_ns = extra_ns};
    struct run_record *const run = sample_run(&sample);
    struct err err;
    REQUIRE_OK(metrics_compute(run, &err), &err);
    return run;
}

static void pairs_find_the_exact_difference(void)
{
    struct run_record *const base = slower_by("base", 1, 0);
    struct run_record *const other = slower_by("other", 1, 5 * MS);
    const struct paired paired = compare_paired(base, other, PAIRED_TTFT);
    EXPECT_U64(paired.pairs, base->totals.status_count[REQUEST_COMPLETED]);
    EXPECT_NEAR(paired.difference_mean_ms, 5.0, 1e-9);
    EXPECT_NEAR(paired.difference_ms.low, 5.0, 1e-9);
    EXPECT_NEAR(paired.difference_ms.high, 5.0, 1e-9);
    EXPECT_NEAR(paired.base_mean_ms, base->metrics.value[METRIC_TTFT_MS_MEAN], 1e-6);
    run_record_delete(base);
    run_record_delete(other);
}

/* By id, not by row: the same requests end in another order under another policy. */
static void pairs_do_not_depend_on_the_order_of_rows(void)
{
    struct run_record *const base = slower_by("base", 1, 0);
    struct run_record *const other = slower_by("other", 1, 5 * MS);
    for (size_t i = 0; i < other->request_count / 2; i++) {
        const struct request_row swap = other->requests[i];
        other->requests[i] = other->requests[other->request_count - 1 - i];
        other->requests[other->request_count - 1 - i] = swap;
    }
    const struct paired paired = compare_paired(base, other, PAIRED_E2E);
    EXPECT_NEAR(paired.difference_ms.low, 5.0, 1e-9);
    run_record_delete(base);
    run_record_delete(other);
}

static void other_workloads_are_not_paired(void)
{
    struct run_record *const base = slower_by("base", 1, 0);
    struct run_record *const other = slower_by("other", 2, 0);
    EXPECT_U64(compare_paired(base, other, PAIRED_TTFT).pairs, 0);
    run_drop_requests(other);
    EXPECT_U64(compare_paired(base, other, PAIRED_TTFT).pairs, 0);
    run_record_delete(base);
    run_record_delete(other);
}

static void the_verdict_names_the_best_and_its_distance(void)
{
    struct run_record *const slow = slower_by("slow", 1, 100 * MS);
    struct run_record *const fast = slower_by("fast", 1, 0);
    const struct run_record *const runs[] = {slow, fast};
    struct text out = {0};
    compare_verdict(runs, 2, &out);
    EXPECT_HAS(text_str(&out), "fast has the lowest mean TTFT: ");
    EXPECT_HAS(text_str(&out), "fast is 100.0 ms faster than slow in mean TTFT, 95 % "
                               "interval 100.0 to 100.0 ms.");
    EXPECT_HAS(text_str(&out), "Caution: one seed per run.");
    EXPECT_HAS(text_str(&out), "Caution: fast completed 96.00 % of its requests");
    text_fini(&out);
    run_record_delete(slow);
    run_record_delete(fast);
}

static void large_gaps_are_told_as_factors(void)
{
    struct run_record *const fast = slower_by("fast", 1, 0);
    struct run_record *const slow = slower_by("slow", 1, 3 * SAMPLE_S);
    struct run_record *const stuck = slower_by("stuck", 1, 3000 * SAMPLE_S);
    const struct run_record *const runs[] = {stuck, slow, fast};
    struct text out = {0};
    compare_verdict(runs, 3, &out);
    EXPECT_HAS(text_str(&out), " ms, a factor of 1"); /* some 3.3 s over 0.3 s */
    EXPECT_HAS(text_str(&out), " and far below stuck (3000"); /* 3000303 ms */
    EXPECT(strstr(text_str(&out), "inf") == NULL);
    text_fini(&out);
    run_record_delete(fast);
    run_record_delete(slow);
    run_record_delete(stuck);
}

static void equal_runs_are_called_equal(void)
{
    struct run_record *const one = slower_by("one", 1, 0);
    struct run_record *const two = slower_by("two", 1, MS); /* of some 300 */
    const struct run_record *const runs[] = {one, two};
    struct text out = {0};
    compare_verdict(runs, 2, &out);
    EXPECT_HAS(text_str(&out), "In mean TTFT all runs are equal in practice");
    text_fini(&out);
    compare_print(runs, 2, TABLE_TEXT, &out);
    const char *const line = strstr(text_str(&out), "TTFT mean");
    EXPECT(line != NULL && memchr(line, '*', strcspn(line, "\n")) == NULL);
    text_fini(&out);
    run_record_delete(one);
    run_record_delete(two);
}

/* Noise of no mean: half of the requests faster, half slower. */
static void an_interval_with_zero_is_no_difference(void)
{
    struct run_record *const base = slower_by("base", 1, 0);
    struct run_record *const other = slower_by("other", 1, 0);
    struct rng rng;
    rng_init(&rng, 5, "noise", 0);
    for (size_t i = 0; i < other->request_count; i++) {
        struct request_row *const row = &other->requests[i];
        if (row->status == REQUEST_COMPLETED) {
            row->first_token_ns += rng_below(&rng, 2) == 0 ? 20 * MS : -20 * MS;
        }
    }
    const struct paired paired = compare_paired(base, other, PAIRED_TTFT);
    EXPECT(paired.difference_ms.low < 0.0);
    EXPECT(paired.difference_ms.high > 0.0);
    EXPECT(paired.difference_ms.high - paired.difference_ms.low < 4.0);
    run_record_delete(base);
    run_record_delete(other);
}

/* The sample leaves some requests out; here each is completed. */
static struct run_record *whole(const char *name, uint64_t seed, int64_t extra_ns)
{
    struct run_record *const run = slower_by(name, seed, extra_ns);
    run->totals.status_count[REQUEST_COMPLETED] = run->totals.requests;
    return run;
}

static void runs_of_other_requests_have_no_best(void)
{
    struct run_record *const base = whole("base", 1, 0);
    struct run_record *const slow = whole("slow", 1, 100 * MS);
    struct run_record *const other = whole("other", 2, 0);
    const struct run_record *const same[] = {base, slow};
    const struct run_record *const mixed[] = {base, slow, other};
    struct text out = {0};
    EXPECT(compare_same_work(same, 2));
    EXPECT(!compare_same_work(mixed, 3));
    compare_verdict(mixed, 3, &out);
    EXPECT_HAS(text_str(&out), "Caution: the runs served different requests (base: "
                               "scenario sample, seed 1; other: scenario sample, seed "
                               "2), so none of them is the better one.\n");
    EXPECT(strstr(text_str(&out), "lowest") == NULL);
    text_fini(&out);
    compare_print(mixed, 3, TABLE_TEXT, &out);
    EXPECT(strchr(text_str(&out), '*') == NULL);
    text_fini(&out);
    compare_print(same, 2, TABLE_TEXT, &out);
    EXPECT(strchr(text_str(&out), '*') != NULL);
    text_fini(&out);
    run_record_delete(base);
    run_record_delete(slow);
    run_record_delete(other);
}

static void one_run_has_no_rival(void)
{
    struct run_record *const run = slower_by("only", 1, 0);
    const struct run_record *const runs[] = {run};
    struct text out = {0};
    compare_verdict(runs, 1, &out);
    EXPECT_HAS(text_str(&out), "only: one run, nothing to compare it with.");
    text_fini(&out);
    compare_print(runs, 1, TABLE_TEXT, &out);
    EXPECT_HAS(text_str(&out), "TTFT p99 (ms)");
    EXPECT(strchr(text_str(&out), '*') == NULL);
    text_fini(&out);
    run_record_delete(run);
}

static void machines_get_a_row_per_run_with_every_metric(void)
{
    struct run_record *const slow = slower_by("slow", 1, 100 * MS);
    struct run_record *const fast = slower_by("fast", 1, 0);
    const struct run_record *const runs[] = {slow, fast};
    struct text out = {0};
    compare_print(runs, 2, TABLE_CSV, &out);
    EXPECT_HAS(text_str(&out),
               "run,policy,scenario,seed,engines,requests,warmup,warmup_requests,"
               "ttft_ms_mean,ttft_ms_p50,");
    EXPECT_HAS(text_str(&out), ",load_imbalance,preemptions,recomputed_tokens,");
    EXPECT_HAS(text_str(&out), "\nslow,slow,sample,1,4,2000,");
    text_fini(&out);
    run_record_delete(slow);
    run_record_delete(fast);
}

static void many_runs_go_to_tables_below(void)
{
    enum { RUNS = 8 };
    struct run_record *owned[RUNS];
    const struct run_record *runs[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        const char name[] = {(char)('a' + (char)i), '\0'};
        owned[i] = slower_by(name, 1, (int64_t)i * 50 * MS);
        runs[i] = owned[i];
    }
    struct text out = {0};
    compare_print(runs, RUNS, TABLE_TEXT, &out);
    const char *const first = strstr(text_str(&out), "TTFT mean");
    REQUIRE(first != NULL);
    const char *const second = strstr(first + 1, "TTFT mean");
    REQUIRE(second != NULL);
    EXPECT(memchr(first, '*', strcspn(first, "\n")) != NULL);
    EXPECT(memchr(second, '*', strcspn(second, "\n")) == NULL); /* best of all runs */
    text_fini(&out);
    for (size_t i = 0; i < RUNS; i++) {
        run_record_delete(owned[i]);
    }
}

HARNESS_MAIN("compare", TEST(pairs_find_the_exact_difference),
             TEST(pairs_do_not_depend_on_the_order_of_rows),
             TEST(other_workloads_are_not_paired),
             TEST(the_verdict_names_the_best_and_its_distance),
             TEST(large_gaps_are_told_as_factors), TEST(equal_runs_are_called_equal),
             TEST(an_interval_with_zero_is_no_difference), TEST(one_run_has_no_rival),
             TEST(runs_of_other_requests_have_no_best),
             TEST(machines_get_a_row_per_run_with_every_metric),
             TEST(many_runs_go_to_tables_below))
