/* SPDX-License-Identifier: Apache-2.0
 *
 * Power of d: the sample is uniform and without repetition, and its minimum wins.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 6 };

static struct gateway *make(double d, double tokens)
{
    const struct fixture_param params[] = {{"d", d}, {"tokens", tokens}};
    struct gateway *gateway = fixture_tuned("power_of_d", params, 2);
    fixture_join(gateway, ENDPOINTS);
    return gateway;
}

/* Opens one request more on each endpoint than on the one before: 0, 1, 2 ... Each is
 * alone while it gets them. */
static void load_unequally(struct gateway *gateway, uint32_t prompt_tokens)
{
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        gateway_set_accepting(gateway, id, false);
    }
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        gateway_set_accepting(gateway, id, true);
        for (uint32_t i = 0; i < id; i++) {
            const struct request_view request = {.request_id = 100 * id + i,
                                                 .prompt_tokens = prompt_tokens};
            EXPECT_U64(fixture_open(gateway, 0, &request), id);
        }
        gateway_set_accepting(gateway, id, false);
    }
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        gateway_set_accepting(gateway, id, true);
    }
}

static void count_picks(struct gateway *gateway, uint32_t count[ENDPOINTS], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct request_view request = {.request_id = 1000};
        count[fixture_send(gateway, 0, &request)]++;
    }
}

/* With loads 0..5 the k-th lightest wins when it is drawn and no lighter one is: of 15
 * pairs, 5 have endpoint 0, then 4, 3, 2, 1, and none is left for the heaviest. */
static void pairs_are_uniform_and_their_lighter_one_wins(void)
{
    struct gateway *gateway = make(2, 0);
    uint32_t count[ENDPOINTS] = {0};
    load_unequally(gateway, 0);
    count_picks(gateway, count, 15000);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        harness_note("endpoint %u got %u", id, count[id]);
        /* deviation at most 58 */
        EXPECT_NEAR(count[id], 1000.0 * (5 - id), id < 5 ? 250 : 0);
    }
    gateway_delete(gateway);
}

/* Of 20 triples: 10, 6, 3, 1. */
static void triples_are_uniform_too(void)
{
    const double expected[ENDPOINTS] = {10000, 6000, 3000, 1000, 0, 0};
    struct gateway *gateway = make(3, 0);
    uint32_t count[ENDPOINTS] = {0};
    load_unequally(gateway, 0);
    count_picks(gateway, count, 20000);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        EXPECT_NEAR(count[id], expected[id], expected[id] > 0 ? 300 : 0);
    }
    gateway_delete(gateway);
}

static void sample_as_large_as_the_fleet_takes_the_minimum(void)
{
    struct gateway *gateway = make(64, 0);
    load_unequally(gateway, 0);
    for (int i = 0; i < 50; i++) {
        uint32_t id = 0;
        const struct request_view request = {.request_id = 1000};
        const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
        EXPECT_U64(id, 0);
        EXPECT_U64(decision.candidates, ENDPOINTS);
        EXPECT_U64(decision.reason, REASON_SAMPLED);
        EXPECT_NEAR(decision.score, 0, 0);
        gateway_end(gateway, 0, &(struct attempt_end){.request_id = 1000});
    }
    gateway_delete(gateway);
}

static void one_choice_and_ties_are_uniform(void)
{
    struct gateway *one = make(1, 0);
    struct gateway *tied = make(2, 0);
    uint32_t of_one[ENDPOINTS] = {0};
    uint32_t of_tied[ENDPOINTS] = {0};
    load_unequally(one, 0);
    count_picks(one, of_one, 6000);
    count_picks(tied, of_tied, 6000);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        EXPECT_NEAR(of_one[id], 1000, 150); /* deviation 29 */
        EXPECT_NEAR(of_tied[id], 1000, 150);
    }
    gateway_delete(one);
    gateway_delete(tied);
}

/* The heaviest by requests gets its first tokens and is the lightest by tokens. */
static void tokens_count_when_asked_for(void)
{
    struct gateway *gateway = make(64, 1);
    load_unequally(gateway, 10);
    for (uint32_t i = 0; i < 5; i++) {
        gateway_first_token(gateway, 0, 500 + i, 5, 10);
    }
    gateway_set_accepting(gateway, 0, false);
    const struct request_view request = {.request_id = 1000};
    EXPECT_U64(fixture_send(gateway, 0, &request), 5);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_power_of_d", TEST(pairs_are_uniform_and_their_lighter_one_wins),
             TEST(triples_are_uniform_too),
             TEST(sample_as_large_as_the_fleet_takes_the_minimum),
             TEST(one_choice_and_ties_are_uniform), TEST(tokens_count_when_asked_for))
