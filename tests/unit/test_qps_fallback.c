/* SPDX-License-Identifier: Apache-2.0
 *
 * The fallback through session without a key, as the stack uses it.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static const int64_t second = INT64_C(1000000000);

static uint32_t send_without_key(struct gateway *gateway, int64_t now_ns)
{
    const struct request_view request = {.request_id = (uint64_t)now_ns};
    return fixture_send(gateway, now_ns, &request);
}

static void endpoints_never_seen_are_taken_at_once_in_order(void)
{
    struct gateway *gateway = fixture_plain("session", COMPAT_TAG);
    fixture_join(gateway, 3);
    EXPECT_U64(send_without_key(gateway, 0), 0);
    EXPECT_U64(send_without_key(gateway, 1), 1);
    /* Nothing arrived at 0 and 1 for long, but 2 was never seen at all. */
    EXPECT_U64(send_without_key(gateway, 100 * second), 2);
    gateway_delete(gateway);
}

static void fewest_arrivals_win_and_ties_keep_the_earlier(void)
{
    struct gateway *gateway = fixture_plain("session", COMPAT_HEAD);
    fixture_join(gateway, 3);
    for (uint32_t i = 0; i < 9; i++) {
        EXPECT_U64(send_without_key(gateway, (int64_t)i), i % 3);
    }
    gateway_delete(gateway);
}

/* Two arrivals at 0 and 1, one at 2; then those of 0 age out. */
static void old_arrivals_do_not_count(void)
{
    struct gateway *gateway = fixture_plain("session", COMPAT_HEAD);
    fixture_join(gateway, 2);
    EXPECT_U64(send_without_key(gateway, 0), 0);
    EXPECT_U64(send_without_key(gateway, 30 * second), 1);
    EXPECT_U64(send_without_key(gateway, 40 * second), 0);
    EXPECT_U64(send_without_key(gateway, 41 * second), 1);
    EXPECT_U64(send_without_key(gateway, 60 * second), 0);
    /* One second on, the first arrival of 0 is out: 0 has two, 1 has two. */
    EXPECT_U64(send_without_key(gateway, 61 * second), 0);
    EXPECT_U64(send_without_key(gateway, 61 * second), 1);
    gateway_delete(gateway);
}

/* It balances arrivals: requests that never end do not count. */
static void work_outstanding_is_not_seen(void)
{
    struct gateway *gateway = fixture_plain("session", COMPAT_HEAD);
    fixture_join(gateway, 2);
    uint32_t id = 0;
    for (uint64_t i = 0; i < 6; i++) {
        const struct request_view request = {.request_id = i};
        const struct route_decision decision =
            gateway_route(gateway, (int64_t)i * 61 * second, &request, &id);
        EXPECT_U64(decision.reason, REASON_QPS_FALLBACK);
        EXPECT_U64(id, i == 1 ? 1 : 0);
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("qps_fallback", TEST(endpoints_never_seen_are_taken_at_once_in_order),
             TEST(fewest_arrivals_win_and_ties_keep_the_earlier),
             TEST(old_arrivals_do_not_count), TEST(work_outstanding_is_not_seen))
