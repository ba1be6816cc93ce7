/* SPDX-License-Identifier: Apache-2.0
 *
 * SGLang's cache-aware: both thresholds at their borders, one tenant per node, sweeps.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static struct request_view prompt(uint64_t request_id, const uint64_t *chunks,
                                  uint32_t count)
{
    return (struct request_view){
        .request_id = request_id, .chunk_hashes = chunks, .chunk_count = count};
}

static void only(struct gateway *gateway, uint32_t id, uint32_t endpoints)
{
    for (uint32_t other = 0; other < endpoints; other++) {
        gateway_set_accepting(gateway, other, id == endpoints || other == id);
    }
}

/* So many requests without text in flight there; ids from 1000 * (endpoint + 1). */
static void load(struct gateway *gateway, uint32_t id, uint32_t endpoints,
                 uint32_t count)
{
    only(gateway, id, endpoints);
    for (uint32_t i = 0; i < count; i++) {
        const struct request_view request = {.request_id = 1000 * (id + 1) + i};
        EXPECT_U64(fixture_open(gateway, 0, &request), id);
    }
    only(gateway, endpoints, endpoints);
}

static void teach(struct gateway *gateway, uint32_t id, uint32_t endpoints,
                  const struct request_view *request)
{
    only(gateway, id, endpoints);
    EXPECT_U64(fixture_send(gateway, 0, request), id);
    only(gateway, endpoints, endpoints);
}

static struct route_decision ask(struct gateway *gateway, int64_t now_ns,
                                 const struct request_view *request, uint32_t *id)
{
    const struct route_decision decision = gateway_route(gateway, now_ns, request, id);
    gateway_end(
        gateway, now_ns,
        &(struct attempt_end){.request_id = request->request_id, .endpoint_id = *id});
    return decision;
}

/* 3 of 10 chunks are not more than 0.3 of the prompt, 4 of 10 are. */
static void match_must_exceed_the_threshold(void)
{
    const uint64_t known[] = {1, 2, 3, 4};
    uint64_t asked[10] = {1, 2, 3, 90, 91, 92, 93, 94, 95, 96};
    for (uint32_t matched = 3; matched <= 4; matched++) {
        struct gateway *gateway = fixture_plain("cache_aware", COMPAT_HEAD);
        fixture_join(gateway, 3);
        struct request_view request = prompt(1, known, 4);
        teach(gateway, 2, 3, &request);
        asked[3] = matched == 4 ? 4 : 90;
        request = prompt(2, asked, 10);
        uint32_t id = 9;
        const struct route_decision decision = ask(gateway, 0, &request, &id);
        EXPECT_U64(id, matched == 4 ? 2 : 0);
        EXPECT_U64(decision.reason, matched == 4 ? REASON_PREFIX : REASON_NO_PREFIX);
        EXPECT_U64(decision.matched_length, UINT64_C(128) * matched);
        gateway_delete(gateway);
    }
}

/* Gap 64 is not above 64; 65 is. With 130 at least the relative threshold holds it: 195
 * is not above 1.5 * 130, 196 is. The holder is the busiest. */
static void imbalance_needs_both_thresholds(void)
{
    static const struct {
        uint32_t busiest, others;
        bool imbalanced;
    } cases[] = {{64, 0, false}, {65, 0, true}, {195, 130, false}, {196, 130, true}};
    const uint64_t known[] = {1, 2};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        harness_note("case %zu", c);
        struct gateway *gateway = fixture_plain("cache_aware", COMPAT_HEAD);
        fixture_join(gateway, 2);
        struct request_view request = prompt(1, known, 2);
        teach(gateway, 1, 2, &request);
        load(gateway, 1, 2, cases[c].busiest);
        load(gateway, 0, 2, cases[c].others);
        request = prompt(2, known, 2);
        uint32_t id = 9;
        const struct route_decision decision = ask(gateway, 0, &request, &id);
        EXPECT_U64(id, cases[c].imbalanced ? 0 : 1);
        EXPECT_U64(decision.reason,
                   cases[c].imbalanced ? REASON_IMBALANCED : REASON_PREFIX);
        gateway_delete(gateway);
    }
}

/* Both have the prefix; the one that was sent it last gets all, however loaded. */
static void a_node_names_the_last_tenant_only(void)
{
    const uint64_t known[] = {1, 2};
    struct gateway *gateway = fixture_plain("cache_aware", COMPAT_HEAD);
    fixture_join(gateway, 2);
    struct request_view request = prompt(1, known, 2);
    teach(gateway, 0, 2, &request);
    teach(gateway, 1, 2, &request);
    load(gateway, 1, 2, 20);
    uint32_t id = 9;
    for (uint64_t i = 0; i < 5; i++) {
        request = prompt(10 + i, known, 2);
        (void)ask(gateway, 0, &request, &id);
        EXPECT_U64(id, 1);
    }
    teach(gateway, 0, 2, &request);
    (void)ask(gateway, 0, &request, &id);
    EXPECT_U64(id, 0);
    gateway_delete(gateway);
}

/* A holder that does not accept: the first. One that left and is back: forgotten. */
static void an_ill_tenant_keeps_its_text_and_a_gone_one_does_not(void)
{
    const uint64_t known[] = {1, 2};
    struct gateway *gateway = fixture_plain("cache_aware", COMPAT_HEAD);
    fixture_join(gateway, 3);
    struct request_view request = prompt(1, known, 2);
    teach(gateway, 2, 3, &request);
    load(gateway, 0, 3, 1); /* the least loaded is endpoint 1, the first is 0 */
    gateway_set_accepting(gateway, 2, false);
    uint32_t id = 9;
    EXPECT_U64(ask(gateway, 0, &request, &id).reason, REASON_NO_PREFIX);
    EXPECT_U64(id, 0);
    gateway_set_accepting(gateway, 2, true);
    teach(gateway, 2, 3, &request);
    (void)ask(gateway, 0, &request, &id);
    EXPECT_U64(id, 2);
    gateway_leave(gateway, 2);
    EXPECT_U64(gateway_join(gateway, "http://10.0.0.3:8000", NULL, 1), 2);
    (void)ask(gateway, 0, &request, &id);
    EXPECT_U64(id, 0);
    gateway_delete(gateway);
}

/* 256 characters are two chunks. Three one-chunk prompts stand until the sweep at 60 s,
 * then the oldest is gone; a fourth before it would have swept at once. */
static void sweep_leaves_the_bound_and_twice_of_it_is_too_much(void)
{
    const struct fixture_param bound = {"tree_chars_max", 256};
    const uint64_t chunks[] = {1, 2, 3, 4, 5};
    for (int burst = 0; burst < 2; burst++) {
        struct gateway *gateway = fixture_tuned("cache_aware", &bound, 1);
        fixture_join(gateway, 1);
        uint32_t id = 9;
        struct request_view request;
        for (uint64_t i = 0; i < 3; i++) {
            request = prompt(i, &chunks[i], 1);
            EXPECT_U64(ask(gateway, 1, &request, &id).matched_length, 0);
        }
        if (burst == 1) {
            request = prompt(3, &chunks[3], 1);
            EXPECT_U64(ask(gateway, 1, &request, &id).matched_length, 0);
        } else {
            request = prompt(3, NULL, 0);
            (void)ask(gateway, INT64_C(60000000001), &request, &id);
        }
        request = prompt(4, &chunks[burst == 1 ? 1 : 0], 1);
        EXPECT_U64(ask(gateway, INT64_C(60000000002), &request, &id).matched_length, 0);
        request = prompt(5, &chunks[burst == 1 ? 3 : 2], 1);
        EXPECT_U64(ask(gateway, INT64_C(60000000003), &request, &id).matched_length,
                   128);
        gateway_delete(gateway);
    }
}

/* Endpoint 0 was sent two chunks, endpoint 1 one: the new prompt goes to 1 although
 * that is the busier one. */
static void older_releases_take_the_smallest_tree(void)
{
    const struct fixture_param old = {"smallest_tree", 1};
    const uint64_t chunks[] = {1, 2, 3, 4};
    struct gateway *gateway = fixture_tuned("cache_aware", &old, 1);
    fixture_join(gateway, 2);
    struct request_view request = prompt(1, chunks, 2);
    teach(gateway, 0, 2, &request);
    request = prompt(2, chunks + 2, 1);
    teach(gateway, 1, 2, &request);
    load(gateway, 1, 2, 3);
    request = prompt(3, chunks + 3, 1);
    uint32_t id = 9;
    EXPECT_NEAR(ask(gateway, 0, &request, &id).score, 1, 0);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

static void each_model_has_a_tree_of_its_own(void)
{
    const uint64_t known[] = {1, 2};
    struct gateway *gateway = fixture_plain("cache_aware", COMPAT_HEAD);
    (void)gateway_join(gateway, "http://a", "A", 1);
    (void)gateway_join(gateway, "http://b", "B", 1);
    struct request_view request = prompt(1, known, 2);
    request.model = "A";
    uint32_t id = 9;
    EXPECT_U64(ask(gateway, 0, &request, &id).matched_length, 0);
    EXPECT_U64(ask(gateway, 0, &request, &id).matched_length, 256);
    request.model = "B";
    EXPECT_U64(ask(gateway, 0, &request, &id).matched_length, 0);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_cache_aware", TEST(match_must_exceed_the_threshold),
             TEST(imbalance_needs_both_thresholds),
             TEST(a_node_names_the_last_tenant_only),
             TEST(an_ill_tenant_keeps_its_text_and_a_gone_one_does_not),
             TEST(sweep_leaves_the_bound_and_twice_of_it_is_too_much),
             TEST(older_releases_take_the_smallest_tree),
             TEST(each_model_has_a_tree_of_its_own))
