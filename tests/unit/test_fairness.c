/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fairness.c: rates of service by hand.
 */
#include "sim/fairness.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>

static const int64_t second_ns = INT64_C(1000000000);

static void rates_count_while_somebody_waits(void)
{
    struct fairness *fairness = fairness_new();
    const uint32_t a = fairness_tenant(fairness, "a");
    const uint32_t b = fairness_tenant(fairness, "b");
    EXPECT(a != b && a == fairness_tenant(fairness, "a"));
    EXPECT(isnan(fairness_jain(fairness, 0)));
    /* a: 100 + 2 * 50 = 200 tokens in 2 s, with two waiting for part of it. */
    fairness_wait(fairness, a, 0);
    fairness_wait(fairness, a, second_ns);
    fairness_serve(fairness, a, 100, 50);
    fairness_leave(fairness, a, second_ns);
    fairness_leave(fairness, a, 2 * second_ns); /* its client hung up */
    EXPECT(isnan(fairness_jain(fairness, 2 * second_ns)));
    /* b: 300 tokens in 1 s, long after. (100 + 300)^2 / (2 * (100^2 + 300^2)) = 0.8. */
    fairness_wait(fairness, b, 10 * second_ns);
    fairness_serve(fairness, b, 300, 0);
    EXPECT_NEAR(fairness_jain(fairness, 11 * second_ns), 0.8, 1e-12);
    /* Still there: 300 in 3 s, as a. */
    EXPECT_NEAR(fairness_jain(fairness, 13 * second_ns), 1, 1e-12);
    fairness_leave(fairness, b, 13 * second_ns);
    EXPECT_NEAR(fairness_jain(fairness, 99 * second_ns), 1, 1e-12);
    fairness_delete(fairness);
}

static void one_that_gets_nothing_counts(void)
{
    struct fairness *fairness = fairness_new();
    for (int i = 0; i < 4; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "t%d", i);
        const uint32_t tenant = fairness_tenant(fairness, name);
        fairness_wait(fairness, tenant, 0);
        if (i == 0) {
            fairness_serve(fairness, tenant, 7, 0);
        }
    }
    EXPECT_NEAR(fairness_jain(fairness, second_ns), 0.25, 1e-12);
    fairness_delete(fairness);
}

static void ends_are_counted_by_tenant(void)
{
    struct fairness *fairness = fairness_new();
    struct tenant_summary summary;
    (void)fairness_tenant(fairness, "silent");
    const uint32_t b = fairness_tenant(fairness, "b");
    const struct request_outcome done = {.status = OUTCOME_COMPLETED,
                                         .arrival_ns = 10,
                                         .first_token_ns = 17,
                                         .prompt_tokens = 100,
                                         .output_tokens = 20};
    const struct request_outcome shed = {.status = OUTCOME_SHED, .prompt_tokens = 5};
    const struct request_outcome late = {.status = OUTCOME_TIMED_OUT};
    const struct request_outcome gone = {.status = OUTCOME_CANCELLED};
    EXPECT(!fairness_summary(fairness, 0, 0, &summary));
    fairness_ended(fairness, b, &done);
    fairness_ended(fairness, b, &done);
    fairness_ended(fairness, b, &shed);
    fairness_ended(fairness, b, &late);
    fairness_ended(fairness, b, &gone);
    fairness_ended(fairness, 0, &gone);
    REQUIRE(fairness_summary(fairness, 0, 0, &summary));
    EXPECT_STR(summary.name, "");
    EXPECT_U64(summary.requests, 1);
    REQUIRE(fairness_summary(fairness, 1, 0, &summary));
    EXPECT_STR(summary.name, "b");
    EXPECT_U64(summary.requests, 5);
    EXPECT_U64(summary.completed, 2);
    EXPECT_U64(summary.turned_away, 2);
    EXPECT_U64(summary.prompt_tokens, 200);
    EXPECT_U64(summary.output_tokens, 40);
    EXPECT_I64(summary.ttft_sum_ns, 14);
    EXPECT(!fairness_summary(fairness, 2, 0, &summary));
    fairness_delete(fairness);
}

static void tenants_beyond_the_bound_are_the_nameless(void)
{
    struct fairness *fairness = fairness_new();
    EXPECT_U64(fairness_tenant(fairness, NULL), 0);
    for (int i = 0; i < 70000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        EXPECT((fairness_tenant(fairness, name) == 0) == (i >= 65535));
    }
    fairness_delete(fairness);
}

HARNESS_MAIN("fairness", TEST(rates_count_while_somebody_waits),
             TEST(one_that_gets_nothing_counts), TEST(ends_are_counted_by_tenant),
             TEST(tenants_beyond_the_bound_are_the_nameless))
