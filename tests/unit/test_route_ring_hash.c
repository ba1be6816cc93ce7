/* SPDX-License-Identifier: Apache-2.0
 *
 * Ring hash: known owners, shares, and how few keys move.
 */
#include "policies/gateway.h"
#include "tests/hashing_fixture.h"

/* Sorted points XXH64(url followed by 0..149), first above XXH64(key); computed by a
 * program of its own. */
static void keys_go_to_the_owners_on_a_ring_of_xxh64(void)
{
    const uint32_t expected[] = {2, 5, 2, 3, 2, 5, 2, 3, 7, 4, 6, 1};
    struct gateway *gateway = fixture_plain("ring_hash", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_expect(gateway, expected, 12);
    gateway_delete(gateway);
}

static void only_keys_of_an_endpoint_that_goes_or_comes_move(void)
{
    struct gateway *gateway = fixture_plain("ring_hash", COMPAT_HEAD);
    hashing_survives_change(gateway, 0);
    gateway_delete(gateway);
}

/* A share's deviation is about the mean over the root of the points: 8 % with 150
 * points, so the largest of 8 lies at about 1.12; with one point the largest of 8 arcs
 * has H(8) = 2.7 times the mean. */
static void more_points_make_shares_more_equal(void)
{
    const double points[] = {1, 150, 1024};
    double share[3];
    for (int i = 0; i < 3; i++) {
        struct key_map map;
        const struct fixture_param param = {"points", points[i]};
        struct gateway *gateway = fixture_gateway("ring_hash", COMPAT_HEAD, 1, param);
        fixture_join(gateway, HASHING_ENDPOINTS);
        hashing_map(gateway, &map);
        share[i] = hashing_largest_share(&map, HASHING_ENDPOINTS);
        gateway_delete(gateway);
    }
    harness_note("largest shares %.2f, %.2f, %.2f", share[0], share[1], share[2]);
    EXPECT(share[0] > 1.5);
    EXPECT(share[1] < 1.3);
    EXPECT(share[2] < 1.15);
}

static void prefix_is_hashed_when_asked_for_or_nothing_else_is_there(void)
{
    uint64_t hashes[FIXTURE_CHUNKS_MAX];
    const struct fixture_param param = {"key", 1};
    struct gateway *sessions = fixture_plain("ring_hash", COMPAT_HEAD);
    struct gateway *prefixes = fixture_gateway("ring_hash", COMPAT_HEAD, 1, param);
    fixture_join(sessions, HASHING_ENDPOINTS);
    fixture_join(prefixes, HASHING_ENDPOINTS);
    int differ = 0;
    for (int i = 0; i < 50; i++) {
        char text[32];
        const int bytes = snprintf(text, sizeof text, "user-%d", i);
        struct request_view request = fixture_prompt(text, (size_t)bytes, hashes);
        const uint32_t id = fixture_send(sessions, 0, &request);
        /* The prompt is the text of the key: the same hash. */
        EXPECT_U64(id, hashing_send(sessions, text));
        request.session_key = "somebody";
        EXPECT_U64(fixture_send(prefixes, 0, &request), id);
        differ += fixture_send(sessions, 0, &request) != id;
    }
    EXPECT(differ > 25);
    gateway_delete(sessions);
    gateway_delete(prefixes);
}

/* 8,000 ids over 8 endpoints whose shares are known from the session keys. */
static void requests_without_a_key_are_spread(void)
{
    uint32_t count[HASHING_ENDPOINTS] = {0};
    struct gateway *gateway = fixture_plain("ring_hash", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    for (uint64_t i = 0; i < 8000; i++) {
        const struct request_view request = {.request_id = i};
        count[fixture_send(gateway, 0, &request)]++;
    }
    for (int id = 0; id < HASHING_ENDPOINTS; id++) {
        harness_note("endpoint %d got %u", id, count[id]);
        EXPECT_NEAR(count[id], 1000, 300); /* deviation 85 of the ring, 30 of the ids */
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("route_ring_hash", TEST(keys_go_to_the_owners_on_a_ring_of_xxh64),
             TEST(only_keys_of_an_endpoint_that_goes_or_comes_move),
             TEST(more_points_make_shares_more_equal),
             TEST(prefix_is_hashed_when_asked_for_or_nothing_else_is_there),
             TEST(requests_without_a_key_are_spread))
