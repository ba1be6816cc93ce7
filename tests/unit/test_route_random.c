/* SPDX-License-Identifier: Apache-2.0
 *
 * Random: uniform for each request, or once for each connection.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static uint32_t send_key(struct gateway *gateway, uint64_t number)
{
    char key[24];
    snprintf(key, sizeof key, "client %d", (int)number);
    return fixture_send(gateway, 0, &(struct request_view){.session_key = key});
}

static void every_endpoint_is_equally_likely(void)
{
    struct gateway *gateway = fixture_plain("random", COMPAT_HEAD);
    uint32_t count[8] = {0};
    fixture_join(gateway, 8);
    for (uint64_t i = 0; i < 8000; i++) {
        count[send_key(gateway, 1)]++;
    }
    for (size_t i = 0; i < 8; i++) {
        EXPECT(count[i] > 850 && count[i] < 1150); /* 1000, deviation 30 */
    }
    gateway_delete(gateway);
}

static struct gateway *sticky(uint64_t seed)
{
    struct gateway *gateway = fixture_gateway(
        "random", COMPAT_HEAD, seed, (struct fixture_param){"per_connection", 1});
    fixture_join(gateway, 8);
    return gateway;
}

static void connection_keeps_its_endpoint_and_connections_spread(void)
{
    struct gateway *gateway = sticky(1);
    uint32_t count[8] = {0};
    for (uint64_t i = 0; i < 8000; i++) {
        const uint32_t id = send_key(gateway, i);
        EXPECT_U64(send_key(gateway, i), id);
        count[id]++;
    }
    for (size_t i = 0; i < 8; i++) {
        EXPECT(count[i] > 850 && count[i] < 1150);
    }
    gateway_delete(gateway);
}

static void only_connections_of_a_dead_endpoint_move(void)
{
    struct gateway *gateway = sticky(1);
    uint32_t before[400];
    for (uint64_t i = 0; i < 400; i++) {
        before[i] = send_key(gateway, i);
    }
    gateway_leave(gateway, 3);
    for (uint64_t i = 0; i < 400; i++) {
        const uint32_t after = send_key(gateway, i);
        EXPECT(before[i] == 3 ? after != 3 : after == before[i]);
    }
    gateway_delete(gateway);
}

static void connections_differ_from_seed_to_seed(void)
{
    struct gateway *one = sticky(1);
    struct gateway *two = sticky(2);
    uint32_t same = 0;
    for (uint64_t i = 0; i < 800; i++) {
        same += send_key(one, i) == send_key(two, i);
    }
    EXPECT(same > 60 && same < 140); /* 100, deviation 9 */
    gateway_delete(one);
    gateway_delete(two);
}

static void without_a_key_each_request_is_drawn(void)
{
    struct gateway *gateway = sticky(1);
    uint32_t count[8] = {0};
    for (uint64_t i = 0; i < 8000; i++) {
        count[fixture_send(gateway, 0, &(struct request_view){.request_id = i})]++;
    }
    for (size_t i = 0; i < 8; i++) {
        EXPECT(count[i] > 850 && count[i] < 1150);
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("route_random", TEST(every_endpoint_is_equally_likely),
             TEST(connection_keeps_its_endpoint_and_connections_spread),
             TEST(only_connections_of_a_dead_endpoint_move),
             TEST(connections_differ_from_seed_to_seed),
             TEST(without_a_key_each_request_is_drawn))
