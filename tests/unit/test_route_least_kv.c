/* SPDX-License-Identifier: Apache-2.0
 *
 * Least KV: the scraped minimum, what a missing metric means, and the local correction.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static void scrape(struct gateway *gateway, uint32_t id, double kv_used_ratio)
{
    const struct endpoint_metrics metrics = {.valid = METRIC_KV_USED,
                                             .kv_used_ratio = kv_used_ratio};
    gateway_scraped(gateway, id, &metrics);
}

static struct gateway *make(struct fixture_param param, int endpoints)
{
    struct gateway *gateway =
        fixture_tuned("least_kv", &param, param.name != NULL ? 1 : 0);
    fixture_join(gateway, endpoints);
    return gateway;
}

static uint32_t send_one(struct gateway *gateway)
{
    return fixture_send(gateway, 0, &(struct request_view){.request_id = 1000});
}

static void last_of_the_least_used_wins(void)
{
    struct gateway *gateway = make((struct fixture_param){.name = NULL}, 4);
    const double used[] = {0.5, 0.25, 0.25, 0.75};
    for (uint32_t id = 0; id < 4; id++) {
        scrape(gateway, id, used[id]);
    }
    uint32_t id = 0;
    const struct request_view request = {.request_id = 1};
    const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
    EXPECT_U64(id, 2);
    EXPECT_U64(decision.reason, REASON_LEAST_KV);
    EXPECT_U64(decision.candidates, 4);
    EXPECT_NEAR(decision.score, 0.25, 0);
    gateway_delete(gateway);
    gateway = make((struct fixture_param){"tie", 0}, 2);
    scrape(gateway, 0, 0.5);
    scrape(gateway, 1, 0.5);
    EXPECT_U64(send_one(gateway), 0);
    gateway_delete(gateway);
}

/* Endpoint 1 reports nothing. */
static void missing_metric_is_no_candidate_or_empty_or_full(void)
{
    const uint32_t expected[] = {0, 1, 0};
    for (int missing = 0; missing < 3; missing++) {
        struct gateway *gateway = make((struct fixture_param){"missing", missing}, 2);
        scrape(gateway, 0, 0.9);
        EXPECT_U64(send_one(gateway), expected[missing]);
        gateway_delete(gateway);
    }
}

/* A full cache ties with a missing one that counts as full; the last wins. */
static void missing_as_worst_still_ties_with_a_full_cache(void)
{
    struct gateway *gateway = make((struct fixture_param){"missing", 2}, 2);
    scrape(gateway, 0, 1);
    EXPECT_U64(send_one(gateway), 1);
    gateway_delete(gateway);
}

/* 4000 over 4: 1000 each, standard deviation 27. */
static void nobody_reports_and_the_choice_is_uniform(void)
{
    struct gateway *gateway = make((struct fixture_param){.name = NULL}, 4);
    uint32_t count[4] = {0};
    for (int i = 0; i < 4000; i++) {
        uint32_t id = 0;
        const struct request_view request = {.request_id = 1000};
        EXPECT_U64(gateway_route(gateway, 0, &request, &id).reason, REASON_NO_METRICS);
        gateway_end(gateway, 0,
                    &(struct attempt_end){.request_id = 1000, .endpoint_id = id});
        count[id]++;
    }
    for (uint32_t id = 0; id < 4; id++) {
        EXPECT_NEAR(count[id], 1000, 140);
    }
    gateway_delete(gateway);
}

/* Two requests on each endpoint when the scrape finds 0.4 and 0.2 in use: 0.15 for a
 * request. Uncorrected all follow the 0.2. Corrected it rises to 0.35 and 0.5, so the
 * third goes to the 0.4, which is 0.55 then, and the fourth back. When the first two
 * end it is 0.35 again. */
static void correction_stops_the_herd(void)
{
    static const uint32_t expected[2][4] = {{1, 1, 1, 1}, {1, 1, 0, 1}};
    for (int correct = 0; correct < 2; correct++) {
        struct gateway *gateway = make((struct fixture_param){"correct", correct}, 2);
        for (uint32_t i = 0; i < 4; i++) {
            gateway_set_accepting(gateway, 1 - i % 2, false);
            const struct request_view request = {.request_id = i};
            EXPECT_U64(fixture_open(gateway, 0, &request), i % 2);
            gateway_set_accepting(gateway, 1 - i % 2, true);
        }
        scrape(gateway, 0, 0.4);
        scrape(gateway, 1, 0.2);
        for (uint32_t i = 0; i < 4; i++) {
            const struct request_view request = {.request_id = 10 + i};
            EXPECT_U64(fixture_open(gateway, 0, &request), expected[correct][i]);
        }
        for (uint32_t i = 0; i < 2; i++) {
            gateway_end(gateway, 0,
                        &(struct attempt_end){.request_id = 10 + i, .endpoint_id = 1});
        }
        EXPECT_U64(send_one(gateway), 1);
        gateway_delete(gateway);
    }
}

HARNESS_MAIN("route_least_kv", TEST(last_of_the_least_used_wins),
             TEST(missing_metric_is_no_candidate_or_empty_or_full),
             TEST(missing_as_worst_still_ties_with_a_full_cache),
             TEST(nobody_reports_and_the_choice_is_uniform),
             TEST(correction_stops_the_herd))
