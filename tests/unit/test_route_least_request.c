/* SPDX-License-Identifier: Apache-2.0
 *
 * Least request: always a minimum, and each minimum equally often.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 200 };

static void join_many(struct gateway *gateway)
{
    for (int i = 0; i < ENDPOINTS; i++) {
        char url[16];
        snprintf(url, sizeof url, "e%d", i);
        (void)gateway_join(gateway, url, NULL, 1);
    }
}

static uint32_t open_one(struct gateway *gateway, uint64_t request_id)
{
    uint32_t id = UINT32_MAX;
    const struct request_view request = {.request_id = request_id};
    const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
    EXPECT_U64(decision.reason, REASON_LEAST_LOADED);
    EXPECT_NEAR(decision.score, gateway_endpoint(gateway, id)->inflight_requests - 1.0,
                0);
    return id;
}

static void no_endpoint_gets_a_second_request_before_all_have_one(void)
{
    struct gateway *gateway = fixture_plain("least_request", COMPAT_HEAD);
    join_many(gateway);
    for (uint64_t round = 1; round <= 3; round++) {
        for (uint64_t i = 0; i < ENDPOINTS; i++) {
            (void)open_one(gateway, round * 1000 + i);
        }
        for (uint32_t id = 0; id < ENDPOINTS; id++) {
            EXPECT_U64(gateway_endpoint(gateway, id)->inflight_requests, round);
        }
    }
    gateway_delete(gateway);
}

static void first_on_tie_takes_them_in_discovery_order(void)
{
    struct gateway *gateway = fixture_gateway(
        "least_request", COMPAT_HEAD, 1, (struct fixture_param){"first_on_tie", 1});
    join_many(gateway);
    for (uint64_t i = 0; i < 2UL * ENDPOINTS; i++) {
        EXPECT_U64(open_one(gateway, i), i % ENDPOINTS);
    }
    gateway_delete(gateway);
}

/* Endpoint 7 is busy; the others share 40,000 requests: each 201 with a standard
 * deviation of 14. */
static void ties_are_broken_uniformly(void)
{
    struct gateway *gateway = fixture_gateway("least_request", COMPAT_HEAD, 1,
                                              (struct fixture_param){.name = NULL});
    uint32_t count[ENDPOINTS] = {0};
    join_many(gateway);
    while (gateway_endpoint(gateway, 7)->inflight_requests == 0) {
        const uint32_t id = open_one(gateway, 5);
        if (id != 7) {
            const struct attempt_end end = {.request_id = 5, .endpoint_id = id};
            gateway_end(gateway, 0, &end);
        }
    }
    for (uint64_t i = 0; i < 40000; i++) {
        const struct request_view request = {.request_id = 100};
        count[fixture_send(gateway, 0, &request)]++;
    }
    EXPECT_U64(count[7], 0);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        harness_note("endpoint %u got %u", id, count[id]);
        EXPECT(id == 7 || (count[id] > 130 && count[id] < 280));
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("route_least_request",
             TEST(no_endpoint_gets_a_second_request_before_all_have_one),
             TEST(first_on_tie_takes_them_in_discovery_order),
             TEST(ties_are_broken_uniformly))
