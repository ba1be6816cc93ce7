/* SPDX-License-Identifier: Apache-2.0
 *
 * Consistent hashing with bounded loads: owners, the bound, the walk, adapters.
 */
#include "base/rng.h"
#include "policies/gateway.h"
#include "tests/hashing_fixture.h"

static struct gateway *make(int endpoints)
{
    struct gateway *gateway = fixture_plain("chwbl", COMPAT_HEAD);
    fixture_join(gateway, endpoints);
    return gateway;
}

static struct request_view request_of(uint64_t request_id, const char *key)
{
    return (struct request_view){.request_id = request_id, .session_key = key};
}

/* As in test_route_ring_hash.c, with 256 points. */
static void owners_on_an_idle_fleet_are_those_of_the_ring(void)
{
    const uint32_t expected[] = {2, 5, 4, 1, 2, 0, 2, 3, 4, 1, 6, 1};
    struct gateway *gateway = make(HASHING_ENDPOINTS);
    hashing_expect(gateway, expected, 12);
    gateway_delete(gateway);
}

static void only_keys_of_an_endpoint_that_goes_or_comes_move(void)
{
    struct gateway *gateway = fixture_plain("chwbl", COMPAT_HEAD);
    hashing_survives_change(gateway, 0);
    gateway_delete(gateway);
}

/* The walk of key user-0 meets 2 5 7 0 6 3 1 4. With t in flight the bound is
 * 1.25 (t + 1) / 8, so it is 1 from t = 6 on and 2 from t = 12 on:
 *   t = 0       to 2, which has 0 <= 0.16
 *   t = 1..5    2 has 1 > bound: the next of the walk that has none
 *   t = 6       bound 1.09: 2 again, has 1
 *   t = 7       bound 1.25: 2 has 2, 5 has 1: to 5, and so on */
static void hot_key_spills_along_the_ring_in_one_order(void)
{
    const uint32_t expected[] = {2, 5, 7, 0, 6, 3, 2, 5, 7, 0, 6, 3, 2, 5, 7};
    struct gateway *gateway = make(HASHING_ENDPOINTS);
    for (uint32_t i = 0; i < 15; i++) {
        uint32_t id = 0;
        const struct request_view request = request_of(i, "user-0");
        const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
        harness_note("request %u", i);
        EXPECT_U64(id, expected[i]);
        EXPECT_U64(decision.reason, id == 2 ? REASON_RING : REASON_RING_SPILL);
    }
    gateway_delete(gateway);
}

/* With a ratio of 1 the eighth request finds 7 in flight and a bound of 1. */
static void load_equal_to_the_bound_is_within_it(void)
{
    const uint32_t expected[] = {2, 5, 7, 0, 6, 3, 1, 2, 5};
    const struct fixture_param param = {"load_ratio", 1};
    struct gateway *gateway = fixture_gateway("chwbl", COMPAT_HEAD, 1, param);
    fixture_join(gateway, HASHING_ENDPOINTS);
    for (uint32_t i = 0; i < 9; i++) {
        const struct request_view request = request_of(i, "user-0");
        EXPECT_U64(fixture_open(gateway, 0, &request), expected[i]);
    }
    gateway_delete(gateway);
}

/* Whatever the keys, nobody who gets a request was above the bound before. */
static void nobody_above_the_bound_gets_a_request(void)
{
    struct rng rng;
    struct gateway *gateway = make(HASHING_ENDPOINTS);
    rng_init(&rng, 1, "test_route_chwbl", 0);
    bool within = true;
    for (uint32_t i = 0; within && i < 2000; i++) {
        char key[32];
        uint32_t id = 0;
        /* Zipf-like: half of the requests have one of two keys. */
        const uint64_t keys = rng_below(&rng, 2) == 0 ? 2 : 1000;
        snprintf(key, sizeof key, "k%u", (unsigned)rng_below(&rng, keys));
        const struct request_view request = request_of(i, key);
        const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
        within = EXPECT(decision.score <= 1.25 * (i + 1) / HASHING_ENDPOINTS);
    }
    for (uint32_t id = 0; id < HASHING_ENDPOINTS; id++) {
        EXPECT(gateway_endpoint(gateway, id)->inflight_requests <= 314);
    }
    gateway_delete(gateway);
}

static void wide_bound_is_the_plain_ring(void)
{
    const struct fixture_param param = {"load_ratio", 1e6};
    struct gateway *gateway = fixture_gateway("chwbl", COMPAT_HEAD, 1, param);
    fixture_join(gateway, HASHING_ENDPOINTS);
    for (uint32_t i = 0; i < 100; i++) {
        const struct request_view request = request_of(i, "user-0");
        EXPECT_U64(fixture_open(gateway, 0, &request), 2);
    }
    gateway_delete(gateway);
}

/* The prompt decides although there is a session key. */
static void prompts_that_begin_alike_meet(void)
{
    char text[FIXTURE_CHUNKS_MAX * 64];
    uint64_t hashes[FIXTURE_CHUNKS_MAX];
    struct gateway *gateway = make(HASHING_ENDPOINTS);
    uint32_t met[HASHING_ENDPOINTS] = {0};
    for (uint32_t i = 0; i < 40; i++) {
        memset(text, 'a' + (int)(i / 2), sizeof text);
        const size_t bytes = i % 2 == 0 ? 300 : 128;
        struct request_view request = fixture_prompt(text, bytes, hashes);
        request.session_key = i % 2 == 0 ? "alice" : "bob";
        const uint32_t id = fixture_send(gateway, 0, &request);
        REQUIRE(id < HASHING_ENDPOINTS);
        met[id]++;
        request.chunk_count = 1;
        EXPECT_U64(fixture_send(gateway, 0, &request), id);
    }
    for (uint32_t id = 0; id < HASHING_ENDPOINTS; id++) {
        EXPECT(met[id] < 20); /* of 40; ten are the largest share to expect */
    }
    gateway_delete(gateway);
}

static void report(struct gateway *gateway, uint32_t id, bool has)
{
    static const uint64_t held[] = {3, 9, 12};
    static const struct endpoint_adapters with = {.active = held, .active_count = 3};
    static const struct endpoint_adapters without = {.active = held, .active_count = 1};
    const struct endpoint_metrics metrics = {.valid = METRIC_ADAPTERS,
                                             .adapters = has ? &with : &without};
    gateway_scraped(gateway, id, &metrics);
}

/* Of the walk 2 5 7 0 6 3 1 4, endpoints 0 and 3 have adapter 9. */
static void adapter_narrows_the_walk(void)
{
    struct gateway *gateway = make(HASHING_ENDPOINTS);
    struct request_view request = request_of(0, "user-0");
    request.adapter = 9;
    for (uint32_t id = 0; id < HASHING_ENDPOINTS; id++) {
        report(gateway, id, id == 0 || id == 3);
    }
    EXPECT_U64(fixture_open(gateway, 0, &request), 0);
    request.request_id = 1; /* one in flight, bound 0.31: not 0 again */
    EXPECT_U64(fixture_open(gateway, 0, &request), 3);
    request.request_id = 2; /* both are above 0.47: the first that has it */
    EXPECT_U64(fixture_open(gateway, 0, &request), 0);
    request.request_id = 3;
    request.adapter = 10; /* nobody has it: the owner */
    EXPECT_U64(fixture_open(gateway, 0, &request), 2);
    request.request_id = 4;
    request.adapter = 0; /* the base model is everywhere */
    EXPECT_U64(fixture_open(gateway, 0, &request), 5);
    gateway_delete(gateway);
}

static void endpoint_that_says_nothing_may_have_the_adapter(void)
{
    struct gateway *gateway = make(HASHING_ENDPOINTS);
    struct request_view request = request_of(0, "user-0");
    request.adapter = 9;
    EXPECT_U64(fixture_send(gateway, 0, &request), 2);
    report(gateway, 2, false);
    EXPECT_U64(fixture_send(gateway, 0, &request), 5);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_chwbl", TEST(owners_on_an_idle_fleet_are_those_of_the_ring),
             TEST(only_keys_of_an_endpoint_that_goes_or_comes_move),
             TEST(hot_key_spills_along_the_ring_in_one_order),
             TEST(load_equal_to_the_bound_is_within_it),
             TEST(nobody_above_the_bound_gets_a_request),
             TEST(wide_bound_is_the_plain_ring), TEST(prompts_that_begin_alike_meet),
             TEST(adapter_narrows_the_walk),
             TEST(endpoint_that_says_nothing_may_have_the_adapter))
