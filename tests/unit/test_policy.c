/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding policies by name, and their parameters.
 */
#include "policies/policy.h"
#include "tests/harness.h"

#include <math.h>

struct question {
    const char *policy;
    enum compat compat;
    const char *name; /* of the one given parameter; NULL = none */
    double value;
};

static bool resolve(struct question question, double values[POLICY_PARAMS_MAX],
                    struct err *err)
{
    const struct policy_given given = {.names = &question.name,
                                       .values = &question.value,
                                       .count = question.name != NULL ? 1 : 0};
    return route_policy_resolve(route_policy_find(question.policy), question.compat,
                                &given, values, err);
}

static void policies_answer_to_the_spellings_of_the_stack(void)
{
    EXPECT_STR(route_policy_find("roundrobin")->name, "round_robin");
    EXPECT_STR(route_policy_find("prefixaware")->name, "prefix_aware");
    EXPECT_STR(route_policy_find("session")->name, "session");
    EXPECT_STR(route_policy_find("least_request")->name, "least_request");
    EXPECT(route_policy_find("llq") == NULL);
    EXPECT(route_policy_find("") == NULL);
}

static void registry_lists_in_the_order_of_its_file(void)
{
    EXPECT_STR(route_policy_at(0)->name, "round_robin");
    EXPECT_STR(route_policy_at(1)->name, "session");
    EXPECT(route_policy_at(1000000) == NULL);
}

static void defects_follow_the_compat_level_unless_given(void)
{
    struct err err;
    double values[POLICY_PARAMS_MAX];
    const double shared_counter[] = {1, 0, 0};
    const double pinning[] = {1, 0, 1};
    const enum compat levels[] = {COMPAT_TAG, COMPAT_TAG_FIXED, COMPAT_HEAD};
    for (size_t i = 0; i < 3; i++) {
        REQUIRE_OK(
            resolve((struct question){"round_robin", levels[i], NULL, 0}, values, &err),
            &err);
        EXPECT_NEAR(values[0], shared_counter[i], 0);
        REQUIRE_OK(resolve((struct question){"prefix_aware", levels[i], NULL, 0},
                           values, &err),
                   &err);
        EXPECT_NEAR(values[1], pinning[i], 0);
        EXPECT_NEAR(values[2], 1.25, 0);
        REQUIRE_OK(
            resolve((struct question){"round_robin", levels[i], "shared_counter", 0},
                    values, &err),
            &err);
        EXPECT_NEAR(values[0], 0, 0);
    }
}

static void wrong_parameters_are_refused_with_what_is_allowed(void)
{
    struct err err;
    double values[POLICY_PARAMS_MAX];
    EXPECT_FAILS(resolve((struct question){"prefix_aware", COMPAT_TAG, "pining", 1},
                         values, &err),
                 &err, "prefix_min_match_length, pinning, spill_load_ratio, max_bytes");
    EXPECT_FAILS(
        resolve((struct question){"session", COMPAT_TAG, "x", 1}, values, &err), &err,
        "none");
    EXPECT_FAILS(
        resolve((struct question){"prefix_aware", COMPAT_TAG, "spill_load_ratio", 0.5},
                values, &err),
        &err, "between 1 and 1000");
    EXPECT_FAILS(resolve((struct question){"prefix_aware", COMPAT_TAG,
                                           "spill_load_ratio", (double)NAN},
                         values, &err),
                 &err, "between");
    EXPECT_FAILS(
        resolve((struct question){"prefix_aware", COMPAT_TAG, "max_bytes", 0.5}, values,
                &err),
        &err, "whole number");
    EXPECT_FAILS(
        resolve((struct question){"least_request", COMPAT_TAG, "first_on_tie", 2},
                values, &err),
        &err, "between 0 and 1");
}

static void reasons_have_names_and_explanations(void)
{
    EXPECT_STR(route_reason_name(REASON_NONE), "none");
    EXPECT_STR(route_reason_name(REASON_QPS_FALLBACK), "qps_fallback");
    EXPECT_STR(route_reason_name(REASON_SCORED), "scored");
    EXPECT_STR(route_reason_help(REASON_RING), "consistent hash ring");
}

HARNESS_MAIN("policy", TEST(policies_answer_to_the_spellings_of_the_stack),
             TEST(registry_lists_in_the_order_of_its_file),
             TEST(defects_follow_the_compat_level_unless_given),
             TEST(wrong_parameters_are_refused_with_what_is_allowed),
             TEST(reasons_have_names_and_explanations))
