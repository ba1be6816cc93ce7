/* SPDX-License-Identifier: Apache-2.0
 *
 * Prefix-aware routing beyond the vectors of golden.policies: what it chooses from, the
 * minimal match, pinning and its repair, endpoints that come and go.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static struct gateway *make(enum compat compat, struct fixture_param param, int count)
{
    struct gateway *gateway = fixture_gateway("prefix_aware", compat, 1, param);
    fixture_join(gateway, count);
    return gateway;
}

static const struct fixture_param no_param = {.name = NULL};

/* Routes and leaves the request in flight. */
static struct route_decision open_chunks(struct gateway *gateway, uint64_t request_id,
                                         const uint64_t *chunks, uint32_t count,
                                         uint32_t *id)
{
    const struct request_view request = {
        .request_id = request_id, .chunk_hashes = chunks, .chunk_count = count};
    return gateway_route(gateway, (int64_t)request_id, &request, id);
}

static void unknown_prompts_are_spread_at_random(void)
{
    struct gateway *gateway = make(COMPAT_TAG, no_param, 8);
    uint32_t count[8] = {0};
    for (uint64_t i = 0; i < 8000; i++) {
        uint32_t id = 0;
        const struct route_decision decision = open_chunks(gateway, i, &i, 1, &id);
        EXPECT_U64(decision.reason, REASON_TRIE_RANDOM);
        EXPECT_U64(decision.candidates, 8);
        EXPECT_U64(decision.matched_length, 0);
        count[id]++;
    }
    for (size_t i = 0; i < 8; i++) {
        EXPECT(count[i] > 850 && count[i] < 1150); /* 1000, deviation 30 */
    }
    gateway_delete(gateway);
}

static void match_length_counts_128_characters_a_chunk(void)
{
    struct gateway *gateway = make(COMPAT_TAG, no_param, 4);
    const uint64_t chunks[4] = {1, 2, 3, 4};
    uint32_t first = 0;
    uint32_t id = 0;
    (void)open_chunks(gateway, 1, chunks, 3, &first);
    const struct route_decision decision = open_chunks(gateway, 2, chunks, 4, &id);
    EXPECT_U64(decision.reason, REASON_TRIE_MATCH);
    EXPECT_U64(decision.matched_length, 384);
    EXPECT_U64(decision.candidates, 1);
    EXPECT_U64(id, first);
    gateway_delete(gateway);
}

/* While its holder is ill, the prompt moves; afterwards both hold it. */
static void several_holders_share_at_random(void)
{
    struct gateway *gateway = make(COMPAT_TAG, no_param, 3);
    const uint64_t chunk = 1;
    uint32_t first = 0;
    uint32_t second = 0;
    (void)open_chunks(gateway, 1, &chunk, 1, &first);
    gateway_set_accepting(gateway, first, false);
    const struct route_decision moved = open_chunks(gateway, 2, &chunk, 1, &second);
    EXPECT_U64(moved.reason, REASON_TRIE_RANDOM);
    EXPECT(second != first);
    gateway_set_accepting(gateway, first, true);
    uint32_t count[3] = {0};
    for (uint64_t i = 3; i < 1003; i++) {
        uint32_t id = 0;
        EXPECT_U64(open_chunks(gateway, i, &chunk, 1, &id).candidates, 2);
        count[id]++;
    }
    EXPECT(count[first] > 420 && count[second] > 420);
    EXPECT_U64(count[first] + count[second], 1000);
    gateway_delete(gateway);
}

static void endpoint_that_returns_regains_its_prefixes(void)
{
    struct gateway *gateway = make(COMPAT_TAG, no_param, 6);
    const uint64_t chunk = 1;
    uint32_t first = 0;
    uint32_t id = 0;
    (void)open_chunks(gateway, 1, &chunk, 1, &first);
    char url[64];
    snprintf(url, sizeof url, "%s", gateway_endpoint(gateway, first)->url);
    gateway_leave(gateway, first);
    EXPECT_U64(gateway_join(gateway, url, NULL, 1), first);
    EXPECT_U64(open_chunks(gateway, 2, &chunk, 1, &id).reason, REASON_TRIE_MATCH);
    EXPECT_U64(id, first);
    gateway_delete(gateway);
}

/* The id of a forgotten url does not bring its prefixes to the next one. */
static void endpoint_with_a_used_id_knows_nothing(void)
{
    struct gateway *gateway = NULL;
    struct err err;
    const struct gateway_setup setup = {.policy = route_policy_find("prefix_aware"),
                                        .endpoints_max = 1};
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    const uint64_t chunk = 1;
    const struct request_view request = {.chunk_hashes = &chunk, .chunk_count = 1};
    (void)gateway_join(gateway, "a", NULL, 1);
    (void)fixture_send(gateway, 0, &request);
    gateway_leave(gateway, 0);
    EXPECT_U64(gateway_join(gateway, "b", NULL, 1), 0);
    uint32_t id = 0;
    EXPECT_U64(open_chunks(gateway, 1, &chunk, 1, &id).reason, REASON_TRIE_RANDOM);
    gateway_delete(gateway);
}

/* head: below the minimum, fewest arrivals decide, and the prompt is recorded. */
static void short_matches_fall_back_to_fewest_arrivals(void)
{
    const struct fixture_param minimum = {"prefix_min_match_length", 129};
    struct gateway *gateway = make(COMPAT_HEAD, minimum, 3);
    const uint64_t chunks[3] = {1, 2, 3};
    uint32_t id = 0;
    struct route_decision decision = open_chunks(gateway, 1, chunks, 1, &id);
    EXPECT_U64(decision.reason, REASON_QPS_FALLBACK);
    EXPECT_U64(id, 0);
    /* 128 characters are fewer than 129: the minimum is in effect 256. */
    decision = open_chunks(gateway, 2, chunks, 2, &id);
    EXPECT_U64(decision.reason, REASON_QPS_FALLBACK);
    EXPECT_U64(decision.matched_length, 128);
    EXPECT_U64(id, 1);
    decision = open_chunks(gateway, 3, chunks, 3, &id);
    EXPECT_U64(decision.reason, REASON_TRIE_MATCH);
    EXPECT_U64(decision.matched_length, 256);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

static uint32_t busiest_after(enum compat compat, struct fixture_param param)
{
    struct gateway *gateway = make(compat, param, 4);
    const uint64_t chunk = 1;
    uint32_t id = 0;
    for (uint64_t i = 0; i < 400; i++) {
        (void)open_chunks(gateway, i, &chunk, 1, &id);
    }
    uint32_t busiest = 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t load = gateway_endpoint(gateway, i)->inflight_requests;
        busiest = load > busiest ? load : busiest;
    }
    gateway_delete(gateway);
    return busiest;
}

static void pinning_piles_all_on_one_and_its_repair_bounds_the_pile(void)
{
    const struct fixture_param off = {"pinning", 0};
    EXPECT_U64(busiest_after(COMPAT_TAG, no_param), 400);
    EXPECT_U64(busiest_after(COMPAT_HEAD, no_param), 400);
    EXPECT(busiest_after(COMPAT_TAG_FIXED, no_param) <= 126);
    EXPECT(busiest_after(COMPAT_HEAD, off) <= 126);
    EXPECT(busiest_after(COMPAT_HEAD, off) >= 100);
}

static void spilling_is_named_and_chooses_among_the_less_loaded(void)
{
    struct gateway *gateway = make(COMPAT_TAG_FIXED, no_param, 2);
    const uint64_t chunk = 1;
    uint32_t first = 0;
    uint32_t id = 0;
    EXPECT_U64(open_chunks(gateway, 0, &chunk, 1, &first).reason, REASON_TRIE_RANDOM);
    /* One in flight: bound 1.25 * 2 / 2, the holder is within. */
    EXPECT_U64(open_chunks(gateway, 1, &chunk, 1, &id).reason, REASON_TRIE_MATCH);
    EXPECT_U64(id, first);
    /* Two in flight, bound 1.875. */
    EXPECT_U64(open_chunks(gateway, 2, &chunk, 1, &id).reason, REASON_TRIE_SPILL);
    EXPECT_U64(id, 1 - first);
    gateway_delete(gateway);
}

static void bound_on_bytes_holds_under_100000_one_shot_prefixes(void)
{
    enum { BYTES_MAX = 1 << 20 };
    const struct fixture_param bound = {"max_bytes", BYTES_MAX};
    struct gateway *gateway = make(COMPAT_TAG, bound, 4);
    const size_t state = route_policy_find("prefix_aware")->state_bytes;
    uint64_t chunks[8];
    size_t largest = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t id = 0;
        for (uint64_t k = 0; k < 8; k++) {
            chunks[k] = i * 8 + k;
        }
        (void)open_chunks(gateway, i, chunks, 8, &id);
        const size_t bytes = gateway_policy_bytes(gateway);
        if (!EXPECT(bytes <= BYTES_MAX + state + 8)) {
            break;
        }
        largest = bytes > largest ? bytes : largest;
    }
    /* Used, too: the trie forgets only when it is nearly full. */
    EXPECT(largest > (size_t)BYTES_MAX / 4 * 3);
    gateway_delete(gateway);
}

static void more_than_64_endpoints_are_drawn_in_order_of_url(void)
{
    struct gateway *gateway = fixture_plain("prefix_aware", COMPAT_TAG);
    const uint64_t chunk = 1;
    for (int i = 0; i < 200; i++) {
        char url[16];
        snprintf(url, sizeof url, "e%d", i);
        const uint32_t id = gateway_join(gateway, url, NULL, 1);
        gateway_set_accepting(gateway, id, false);
    }
    /* Each becomes a holder while it is alone. */
    uint32_t id = 0;
    for (uint32_t i = 0; i < 200; i += 2) {
        gateway_set_accepting(gateway, i, true);
        (void)open_chunks(gateway, i, &chunk, 1, &id);
        EXPECT_U64(id, i);
        gateway_set_accepting(gateway, i, false);
    }
    for (uint32_t i = 0; i < 200; i++) {
        gateway_set_accepting(gateway, i, true);
    }
    bool seen[200] = {false};
    uint32_t different = 0;
    for (uint64_t i = 1000; i < 3000; i++) {
        EXPECT_U64(open_chunks(gateway, i, &chunk, 1, &id).candidates, 100);
        EXPECT(id % 2 == 0);
        different += !seen[id];
        seen[id] = true;
    }
    EXPECT_U64(different, 100);
    gateway_delete(gateway);
}

/* The release fails on chats alone; later ones read their messages. */
static void chats_fail_at_the_release(void)
{
    static const struct {
        double chat;
        enum compat compat;
        bool fails;
    } cases[] = {
        {1, COMPAT_TAG, true},
        {0, COMPAT_TAG, false},
        {1, COMPAT_TAG_FIXED, false},
        {1, COMPAT_HEAD, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fixture_param chat = {"chat", cases[i].chat};
        struct gateway *gateway = make(cases[i].compat, chat, 2);
        const uint64_t chunk = 1;
        uint32_t id = 0;
        const struct route_decision decision = open_chunks(gateway, 1, &chunk, 1, &id);
        EXPECT((decision.endpoint < 0) == cases[i].fails);
        EXPECT_U64(decision.reason,
                   cases[i].fails ? REASON_FAILED : REASON_TRIE_RANDOM);
        gateway_delete(gateway);
    }
}

HARNESS_MAIN("route_prefix_aware", TEST(unknown_prompts_are_spread_at_random),
             TEST(chats_fail_at_the_release),
             TEST(match_length_counts_128_characters_a_chunk),
             TEST(several_holders_share_at_random),
             TEST(endpoint_that_returns_regains_its_prefixes),
             TEST(endpoint_with_a_used_id_knows_nothing),
             TEST(short_matches_fall_back_to_fewest_arrivals),
             TEST(pinning_piles_all_on_one_and_its_repair_bounds_the_pile),
             TEST(spilling_is_named_and_chooses_among_the_less_loaded),
             TEST(bound_on_bytes_holds_under_100000_one_shot_prefixes),
             TEST(more_than_64_endpoints_are_drawn_in_order_of_url))
