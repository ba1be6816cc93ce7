/* SPDX-License-Identifier: Apache-2.0
 *
 * test_pair.c: which requests each pair policy splits, and the fixed endpoint of the
 * stack's disaggregated prefill (spec/policies.md P52, P53; production-stack.md 1.5).
 */
#include "policies/pair.h"
#include "tests/harness.h"
#include "tests/policy_fixture.h"

/* With these values by name; the defaults of the compat level for the rest. */
static bool splits(const char *name, enum compat compat,
                   const struct policy_given *given, const struct pair_view *view)
{
    const struct pair_policy *pair = pair_policy_find(name);
    double values[POLICY_PARAMS_MAX] = {0};
    struct err err = {0};
    REQUIRE(pair != NULL);
    REQUIRE_OK(policy_params_resolve(&(struct policy_table){pair->name, pair->params},
                                     compat, given, values, &err),
               &err);
    return pair->split == NULL || pair->split(values, view);
}

static bool splits_plainly(const char *name, uint32_t prompt, uint32_t cached,
                           uint32_t queue)
{
    const struct policy_given none = {0};
    return splits(name, COMPAT_HEAD, &none, &(struct pair_view){prompt, cached, queue});
}

static void every_pair_policy_is_found_and_explains_itself(void)
{
    size_t count = 0;
    for (; pair_policy_at(count) != NULL; count++) {
        const struct pair_policy *pair = pair_policy_at(count);
        EXPECT(pair_policy_find(pair->name) == pair);
        EXPECT(pair->help != NULL && pair->source != NULL && pair->breaks != NULL);
        EXPECT(pair->split == NULL || pair->decode_first);
        EXPECT(pair->route == NULL || route_policy_find(pair->route) != NULL);
        EXPECT(route_policy_find(pair->name) == NULL); /* one namespace on --policy */
        for (size_t i = 0; pair->aliases != NULL && pair->aliases[i] != NULL; i++) {
            EXPECT(pair_policy_find(pair->aliases[i]) == pair);
        }
    }
    EXPECT_U64(count, 5);
    EXPECT(pair_policy_find("nobody") == NULL);
}

static void decode_first_counts_what_is_not_cached(void)
{
    EXPECT(splits_plainly("pd_decode_first", 1000, 984, 0)); /* 16 are missing */
    EXPECT(!splits_plainly("pd_decode_first", 1000, 985, 0));
    EXPECT(!splits_plainly("pd_decode_first", 15, 0, 0));
}

/* Stays when fewer than 2048 tokens and less than 70 % of the prompt are missing. */
static void conditional_needs_both_bounds_to_keep_a_prompt(void)
{
    EXPECT(splits_plainly("pd_conditional", 1000, 0, 0));    /* all of it */
    EXPECT(splits_plainly("pd_conditional", 1000, 300, 0));  /* 70 % */
    EXPECT(!splits_plainly("pd_conditional", 1000, 301, 0)); /* 699 tokens */
    EXPECT(splits_plainly("pd_conditional", 8000, 5952, 0)); /* 2048 tokens */
    EXPECT(!splits_plainly("pd_conditional", 8000, 5953, 0));
}

/* Dynamo's older rule: more than 1,000 tokens, fewer than 2 requests queue there. */
static void conditional_stays_away_from_a_queue(void)
{
    static const char *const names[] = {"uncached_tokens", "uncached_ratio",
                                        "prefill_queue_max"};
    static const double numbers[] = {1001, 0, 2};
    const struct policy_given given = {names, numbers, 3};
    EXPECT(splits("pd_conditional", COMPAT_HEAD, &given,
                  &(struct pair_view){1500, 499, 1}));
    EXPECT(!splits("pd_conditional", COMPAT_HEAD, &given,
                   &(struct pair_view){1500, 500, 1}));
    EXPECT(!splits("pd_conditional", COMPAT_HEAD, &given,
                   &(struct pair_view){1500, 0, 2}));
}

static void the_release_alone_has_its_defects(void)
{
    static const bool in_full[] = {
        [COMPAT_TAG] = true, [COMPAT_TAG_FIXED] = false, [COMPAT_HEAD] = false};
    const struct pair_policy *pair = pair_policy_find("disaggregated-prefill");
    for (int compat = COMPAT_TAG; compat <= COMPAT_HEAD; compat++) {
        double values[POLICY_PARAMS_MAX] = {0};
        struct err err = {0};
        const struct policy_given none = {0};
        REQUIRE_OK(
            policy_params_resolve(&(struct policy_table){pair->name, pair->params},
                                  (enum compat)compat, &none, values, &err),
            &err);
        EXPECT(pair->in_full(values) == in_full[compat]);
        EXPECT(pair->one_token_stays(values) == in_full[compat]);
    }
}

static uint32_t fixed_pick(enum compat compat)
{
    struct gateway *gateway =
        fixture_gateway("first_endpoint", compat, 1, (struct fixture_param){0});
    uint32_t engine = UINT32_MAX;
    gateway_join(gateway, "http://c:8000", NULL, 1);
    gateway_join(gateway, "http://a:8000", NULL, 1);
    gateway_join(gateway, "http://b:8000", NULL, 1);
    const struct route_decision decision =
        gateway_route(gateway, 0, &(struct request_view){.prompt_tokens = 1}, &engine);
    EXPECT(decision.reason == REASON_FIXED);
    gateway_end(gateway, 0,
                &(struct attempt_end){
                    .endpoint_id = engine, .prompt_tokens = 1, .how = ATTEMPT_ABORTED});
    gateway_delete(gateway);
    return engine;
}

/* In order of discovery, not of urls. */
static void first_endpoint_is_the_last_one_at_head(void)
{
    EXPECT_U64(fixed_pick(COMPAT_TAG), 0);
    EXPECT_U64(fixed_pick(COMPAT_TAG_FIXED), 0);
    EXPECT_U64(fixed_pick(COMPAT_HEAD), 2);
}

HARNESS_MAIN("pair", TEST(every_pair_policy_is_found_and_explains_itself),
             TEST(decode_first_counts_what_is_not_cached),
             TEST(conditional_needs_both_bounds_to_keep_a_prompt),
             TEST(conditional_stays_away_from_a_queue),
             TEST(the_release_alone_has_its_defects),
             TEST(first_endpoint_is_the_last_one_at_head))
