/* SPDX-License-Identifier: Apache-2.0
 *
 * vLLM's choice of a rank: published counts, waiting ones fourfold, own sends since.
 */
#include "cli/validate/rank_balance.h"
#include "policies/gateway.h"
#include "tests/harness.h"

#include <stdio.h>

static struct gateway *gateway_of(uint32_t ranks)
{
    struct gateway *gateway = NULL;
    struct err err = {0};
    const struct gateway_setup setup = {
        .policy = &rank_balance, .compat = COMPAT_HEAD, .endpoints_max = 64};
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    for (uint32_t i = 0; i < ranks; i++) {
        char url[16];
        snprintf(url, sizeof url, "r%u", i);
        EXPECT_U64(gateway_join(gateway, url, NULL, 1), i);
    }
    return gateway;
}

static void publish(struct gateway *gateway, uint32_t rank, int64_t now_ns,
                    uint32_t waiting, uint32_t running)
{
    const struct endpoint_metrics metrics = {.scraped_ns = now_ns,
                                             .valid = METRIC_RUNNING | METRIC_WAITING,
                                             .running_requests = running,
                                             .waiting_requests = waiting};
    gateway_scraped(gateway, rank, &metrics);
}

static uint32_t send_one(struct gateway *gateway, uint64_t request_id)
{
    uint32_t rank = UINT32_MAX;
    const struct request_view request = {.request_id = request_id};
    (void)gateway_route(gateway, 0, &request, &rank);
    return rank;
}

static void empty_ranks_take_turns(void)
{
    struct gateway *gateway = gateway_of(3);
    for (uint64_t i = 0; i < 30; i++) {
        EXPECT_U64(send_one(gateway, i + 1), i % 3);
    }
    gateway_delete(gateway);
}

static void a_waiting_request_weighs_as_four_running_ones(void)
{
    struct gateway *gateway = gateway_of(2);
    publish(gateway, 0, 100, 1, 0);
    publish(gateway, 1, 100, 0, 3);
    EXPECT_U64(send_one(gateway, 1), 1); /* 4 against 3 */
    EXPECT_U64(send_one(gateway, 2), 0); /* 4 against 7 */
    EXPECT_U64(send_one(gateway, 3), 1); /* 8 against 7 */
    EXPECT_U64(send_one(gateway, 4), 0); /* 8 against 11 */
    gateway_delete(gateway);
}

static void a_publication_replaces_what_was_sent_before(void)
{
    struct gateway *gateway = gateway_of(2);
    for (uint64_t i = 0; i < 7; i++) {
        (void)send_one(gateway, i + 1);
    }
    publish(gateway, 0, 200, 0, 0);
    EXPECT_U64(send_one(gateway, 8), 0); /* 0 against 12 of its own sends */
    EXPECT_U64(send_one(gateway, 9), 0);
    EXPECT_U64(send_one(gateway, 10), 0);
    EXPECT_U64(send_one(gateway, 11), 0); /* 12 against 12 */
    EXPECT_U64(send_one(gateway, 12), 1);
    gateway_delete(gateway);
}

static void many_ranks_are_remembered(void)
{
    struct gateway *gateway = gateway_of(60);
    for (uint64_t i = 0; i < 120; i++) {
        EXPECT_U64(send_one(gateway, i + 1), i % 60);
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("rank_balance", TEST(empty_ranks_take_turns),
             TEST(a_waiting_request_weighs_as_four_running_ones),
             TEST(a_publication_replaces_what_was_sent_before),
             TEST(many_ranks_are_remembered))
