/* SPDX-License-Identifier: Apache-2.0
 *
 * Smooth weighted round robin: nginx's own example, proportions, coming and going.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static struct gateway *make(const double *weights, size_t count)
{
    struct gateway *gateway = fixture_plain("weighted_round_robin", COMPAT_HEAD);
    for (size_t i = 0; i < count; i++) {
        const char url[2] = {(char)('a' + i), '\0'};
        (void)gateway_join(gateway, url, NULL, weights[i]);
    }
    return gateway;
}

static char send(struct gateway *gateway)
{
    const struct request_view request = {.request_id = 1};
    return (char)('a' + fixture_send(gateway, 0, &request));
}

static void expect_sequence(struct gateway *gateway, const char *expected)
{
    for (size_t i = 0; expected[i] != '\0'; i++) {
        harness_note("pick %zu of %s", i, expected);
        EXPECT_I64(send(gateway), expected[i]);
    }
}

/* The commit that brought the algorithm to nginx (52327e0627f4): 5, 1, 1. */
static void heavy_endpoint_is_spread_over_the_round(void)
{
    struct gateway *gateway = make((const double[]){5, 1, 1}, 3);
    expect_sequence(gateway, "aabacaaaabacaa");
    gateway_delete(gateway);
}

/* By hand. Credits after adding 4, 3, 2 and before charging 9:
 * 4 3 2 a; -1 6 4 b; 3 0 6 c; 7 3 -1 a; 2 6 1 b; 6 0 3 a; 1 3 5 c; 5 6 -2 b; 9 0 0 a */
static void weights_of_4_3_2_follow_the_credits(void)
{
    struct gateway *gateway = make((const double[]){4, 3, 2}, 3);
    expect_sequence(gateway, "abcabacbaabcabacba");
    gateway_delete(gateway);
}

static void equal_weights_are_plain_turns(void)
{
    struct gateway *equal = make((const double[]){1, 1, 1}, 3);
    struct gateway *zero = make((const double[]){0, 0, 0}, 3);
    expect_sequence(equal, "abcabc");
    expect_sequence(zero, "abcabc");
    gateway_delete(equal);
    gateway_delete(zero);
}

static void fractions_get_their_share(void)
{
    struct gateway *gateway = make((const double[]){0.5, 0.125, 0.25, 0.125, 0}, 5);
    uint32_t count[5] = {0};
    for (int i = 0; i < 800; i++) {
        count[send(gateway) - 'a']++;
    }
    EXPECT_U64(count[0], 400);
    EXPECT_U64(count[1], 100);
    EXPECT_U64(count[2], 200);
    EXPECT_U64(count[3], 100);
    EXPECT_U64(count[4], 0);
    gateway_delete(gateway);
}

static void endpoint_that_returns_is_owed_nothing(void)
{
    struct gateway *gateway = make((const double[]){1, 1}, 2);
    for (int round = 0; round < 5; round++) {
        EXPECT_I64(send(gateway), 'a');
        gateway_leave(gateway, 1);
        for (int i = 0; i < 10; i++) {
            EXPECT_I64(send(gateway), 'a');
        }
        (void)gateway_join(gateway, "b", NULL, 1);
        (void)send(gateway);
        uint32_t first = 0;
        for (int i = 0; i < 10; i++) {
            first += send(gateway) == 'a';
        }
        EXPECT_U64(first, 5);
        gateway_leave(gateway, 0);
        (void)gateway_join(gateway, "a", NULL, 1);
        gateway_leave(gateway, 1);
        (void)gateway_join(gateway, "b", NULL, 1);
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("route_weighted_rr", TEST(heavy_endpoint_is_spread_over_the_round),
             TEST(weights_of_4_3_2_follow_the_credits),
             TEST(equal_weights_are_plain_turns), TEST(fractions_get_their_share),
             TEST(endpoint_that_returns_is_owed_nothing))
