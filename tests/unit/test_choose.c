/* SPDX-License-Identifier: Apache-2.0
 *
 * The least cost and each of the tie rules, on a view made by hand.
 */
#include "base/hash.h"
#include "policies/choose.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

enum { COUNT = 5 };

static const struct endpoint_view endpoints[COUNT] = {
    {.id = 0, .url = "a"}, {.id = 1, .url = "b"}, {.id = 2, .url = "c"},
    {.id = 3, .url = "d"}, {.id = 4, .url = "e"},
};
static const struct endpoint_view *const pointers[COUNT] = {
    &endpoints[0], &endpoints[1], &endpoints[2], &endpoints[3], &endpoints[4]};
static const uint32_t inflight[COUNT] = {9, 2, 1, 2, 1};
static const struct cluster_view view = {
    .endpoints = pointers, .count = COUNT, .inflight = inflight};

static struct choice choose(const struct tie_breaker *breaker,
                            const double costs[COUNT])
{
    struct choice choice = choice_begin(breaker, &view);
    for (uint32_t i = 0; i < COUNT; i++) {
        choice_offer(&choice, costs[i], i);
    }
    return choice;
}

static void least_cost_wins_under_every_rule(void)
{
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    for (int rule = TIE_FIRST; rule <= TIE_URL_HASH; rule++) {
        const struct tie_breaker breaker = {.rule = (enum tie_rule)rule, .rng = &rng};
        const struct choice choice = choose(&breaker, (const double[]){4, 3, -2, 3, 0});
        EXPECT_U64(choice.index, 2);
        EXPECT_NEAR(choice.cost, -2, 0);
    }
}

static const double tied[COUNT] = {7, 5, 7, 5, 5};

static uint32_t tie_of(enum tie_rule rule)
{
    const struct tie_breaker breaker = {.rule = rule};
    return choose(&breaker, tied).index;
}

static void first_and_last_follow_discovery_order(void)
{
    EXPECT_U64(tie_of(TIE_FIRST), 1);
    EXPECT_U64(tie_of(TIE_LAST), 4);
}

static void url_hash_does_not_depend_on_the_order(void)
{
    uint32_t expected = 1;
    for (uint32_t i = 1; i < COUNT; i++) {
        if (tied[i] == 5 && hash_xxh64(endpoints[i].url, 1, 0) <
                                hash_xxh64(endpoints[expected].url, 1, 0)) {
            expected = i;
        }
    }
    EXPECT_U64(tie_of(TIE_URL_HASH), expected);
}

static void count_choices(enum tie_rule rule, const double costs[COUNT],
                          uint32_t count[COUNT])
{
    struct rng rng;
    rng_init(&rng, 1, "test", 0);
    const struct tie_breaker breaker = {.rule = rule, .rng = &rng};
    for (int i = 0; i < 3000; i++) {
        count[choose(&breaker, costs).index]++;
    }
}

static void random_ties_are_uniform(void)
{
    uint32_t count[COUNT] = {0};
    count_choices(TIE_RANDOM, tied, count);
    EXPECT_U64(count[0] + count[2], 0);
    for (uint32_t i = 1; i < COUNT; i++) {
        /* 1000 each, deviation 26 */
        EXPECT(i == 2 || (count[i] > 880 && count[i] < 1120));
    }
}

/* All cost the same; 2 and 4 have one request in flight. */
static void least_load_tells_equals_apart_and_then_draws(void)
{
    uint32_t count[COUNT] = {0};
    count_choices(TIE_LEAST_LOAD, (const double[]){5, 5, 5, 5, 5}, count);
    EXPECT_U64(count[0] + count[1] + count[3], 0);
    EXPECT(count[2] > 1380 && count[2] < 1620); /* 1500, deviation 27 */
}

static void what_is_not_a_number_never_wins(void)
{
    const double nan = (double)NAN;
    const double infinity = (double)INFINITY;
    const struct tie_breaker breaker = {.rule = TIE_LAST};
    EXPECT_U64(choose(&breaker, (const double[]){nan, 5, nan, infinity, nan}).index, 1);
    EXPECT_U64(choose(&breaker, (const double[]){nan, nan, nan, infinity, nan}).index,
               3);
}

HARNESS_MAIN("choose", TEST(least_cost_wins_under_every_rule),
             TEST(first_and_last_follow_discovery_order),
             TEST(url_hash_does_not_depend_on_the_order), TEST(random_ties_are_uniform),
             TEST(least_load_tells_equals_apart_and_then_draws),
             TEST(what_is_not_a_number_never_wins))
