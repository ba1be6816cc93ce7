/* SPDX-License-Identifier: Apache-2.0
 *
 * Weighted sum: scores by hand, ties, pickers, and what a scrape or a departure
 * changes.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static struct request_view prompt(uint64_t request_id, const uint64_t *blocks,
                                  uint32_t count)
{
    return (struct request_view){
        .request_id = request_id, .block_hashes = blocks, .block_count = count};
}

static void scrape(struct gateway *gateway, uint32_t id, uint32_t waiting,
                   double kv_used_ratio)
{
    const struct endpoint_metrics metrics = {
        .valid = METRIC_WAITING | METRIC_KV_USED,
        .waiting_requests = waiting,
        .kv_used_ratio = kv_used_ratio,
    };
    gateway_scraped(gateway, id, &metrics);
}

/* Two endpoints, weights 3, 2 and 2. The first request meets equal queues (2) and no
 * scrape (0): a tie at 2. The second has 2 of 4 blocks where the first one went (1.5 +
 * 0) and the shorter queue at the other (2): the other. The third sees equal queues and
 * both blocks on both. */
static void scores_add_up_as_by_hand(void)
{
    struct gateway *gateway = fixture_plain("weighted_sum", COMPAT_HEAD);
    fixture_join(gateway, 2);
    const uint64_t first[] = {1, 2, 3, 4};
    const uint64_t second[] = {1, 2, 5, 6};
    uint32_t first_id = 0;
    uint32_t second_id = 0;
    struct request_view request = prompt(1, first, 4);
    struct route_decision decision = gateway_route(gateway, 0, &request, &first_id);
    EXPECT_NEAR(decision.score, 2, 0);
    EXPECT_U64(decision.matched_length, 0);
    EXPECT_U64(decision.reason, REASON_SCORED);
    request = prompt(2, second, 4);
    decision = gateway_route(gateway, 0, &request, &second_id);
    EXPECT_U64(second_id, 1 - first_id);
    EXPECT_NEAR(decision.score, 2, 0);
    EXPECT_U64(decision.matched_length, 0);
    request = prompt(3, first, 4);
    uint32_t third_id = 0;
    decision = gateway_route(gateway, 0, &request, &third_id);
    EXPECT_U64(third_id, first_id);
    EXPECT_NEAR(decision.score, 2 + 3, 0);
    EXPECT_U64(decision.matched_length, 4);
    gateway_delete(gateway);
}

/* KV use 0.25 against 0.5: 2 * 0.75 = 1.5 and 2 * 0.5 = 1. Waiting requests of the
 * scrape count beside those in flight: 4 of 4 there, so the queue score turns it. */
static void scraped_metrics_decide_until_the_next_scrape(void)
{
    struct gateway *gateway = fixture_plain("weighted_sum", COMPAT_HEAD);
    fixture_join(gateway, 2);
    const struct request_view request = prompt(1, NULL, 0);
    scrape(gateway, 0, 0, 0.25);
    scrape(gateway, 1, 0, 0.5);
    EXPECT_U64(fixture_send(gateway, 0, &request), 0);
    scrape(gateway, 0, 4, 0.25);
    EXPECT_U64(fixture_send(gateway, 0, &request), 1);
    gateway_delete(gateway);
    gateway = fixture_tuned("weighted_sum",
                            (const struct fixture_param[]){{"scraped_waiting", 0}}, 1);
    fixture_join(gateway, 2);
    scrape(gateway, 0, 4, 0.25);
    scrape(gateway, 1, 0, 0.5);
    EXPECT_U64(fixture_send(gateway, 0, &request), 0);
    gateway_delete(gateway);
}

static void who_reports_no_kv_use_scores_zero(void)
{
    struct gateway *gateway = fixture_plain("weighted_sum", COMPAT_HEAD);
    fixture_join(gateway, 3);
    const struct request_view request = prompt(1, NULL, 0);
    scrape(gateway, 1, 0, 0.9);
    EXPECT_U64(fixture_send(gateway, 0, &request), 1);
    gateway_delete(gateway);
}

static void weights_change_who_wins(void)
{
    const struct fixture_param params[] = {{"prefix_weight", 1}, {"queue_weight", 4}};
    const uint64_t blocks[] = {1, 2};
    for (size_t count = 0; count <= 2; count += 2) {
        struct gateway *gateway = fixture_tuned("weighted_sum", params, count);
        fixture_join(gateway, 2);
        uint32_t first = 0;
        uint32_t second = 0;
        struct request_view request = prompt(1, blocks, 2);
        (void)gateway_route(gateway, 0, &request, &first);
        request = prompt(2, blocks, 2);
        (void)gateway_route(gateway, 0, &request, &second);
        /* 3 for the prefix against 2 for the queue; then 1 against 4. */
        EXPECT_U64(second, count == 0 ? first : 1 - first);
        gateway_delete(gateway);
    }
}

/* 20,000 requests over 4: 5,000 each, standard deviation 61. */
static void equal_scores_are_drawn_uniformly(void)
{
    struct gateway *gateway = fixture_plain("weighted_sum", COMPAT_HEAD);
    uint32_t count[4] = {0};
    fixture_join(gateway, 4);
    for (uint64_t i = 0; i < 20000; i++) {
        const struct request_view request = prompt(i, NULL, 0);
        count[fixture_send(gateway, 0, &request)]++;
    }
    for (int id = 0; id < 4; id++) {
        harness_note("endpoint %d got %u", id, count[id]);
        EXPECT(count[id] > 4700 && count[id] < 5300);
    }
    gateway_delete(gateway);
}

/* KV scores 0.6, 0.3 and 0.1 alone count: so are the shares of 20,000. Standard
 * deviations are 69 and less. */
static void weighted_random_draws_in_proportion(void)
{
    const struct fixture_param params[] = {
        {"picker", 1}, {"queue_weight", 0}, {"prefix_weight", 0}};
    struct gateway *gateway = fixture_tuned("weighted_sum", params, 3);
    uint32_t count[4] = {0};
    fixture_join(gateway, 4);
    scrape(gateway, 0, 0, 0.4);
    scrape(gateway, 1, 0, 0.7);
    scrape(gateway, 2, 0, 0.9);
    scrape(gateway, 3, 0, 1.0);
    for (uint64_t i = 0; i < 20000; i++) {
        const struct request_view request = prompt(i, NULL, 0);
        count[fixture_send(gateway, 0, &request)]++;
    }
    const double expected[] = {12000, 6000, 2000, 0};
    for (int id = 0; id < 4; id++) {
        EXPECT_NEAR(count[id], expected[id], 300);
    }
    EXPECT_U64(count[3], 0);
    gateway_delete(gateway);
}

static void an_endpoint_that_returns_has_a_cold_cache(void)
{
    struct gateway *gateway = fixture_tuned(
        "weighted_sum",
        (const struct fixture_param[]){{"queue_weight", 0}, {"kv_weight", 0}}, 2);
    const uint64_t blocks[] = {1, 2};
    const struct request_view request = prompt(1, blocks, 2);
    fixture_join(gateway, 2);
    const uint32_t holder = fixture_send(gateway, 0, &request);
    uint32_t id = 0;
    struct route_decision decision = gateway_route(gateway, 0, &request, &id);
    EXPECT_U64(decision.matched_length, 2);
    char url[64];
    snprintf(url, sizeof url, "%s", gateway_endpoint(gateway, holder)->url);
    gateway_leave(gateway, holder);
    EXPECT_U64(gateway_join(gateway, url, NULL, 1), holder);
    const struct request_view again = prompt(2, blocks, 2);
    decision = gateway_route(gateway, 0, &again, &id);
    EXPECT_U64(decision.matched_length, 0);
    gateway_delete(gateway);
}

/* One block of three is remembered when so told, or when the engine has no more. */
static void index_is_bounded_by_parameter_or_report(void)
{
    const uint64_t blocks[] = {1, 2, 3};
    const struct request_view request = prompt(1, blocks, 3);
    for (int reported = 0; reported < 2; reported++) {
        struct gateway *gateway = fixture_tuned(
            "weighted_sum", (const struct fixture_param[]){{"index_blocks", 1}},
            reported == 0 ? 1 : 0);
        fixture_join(gateway, 1);
        (void)fixture_send(gateway, 0, &request);
        if (reported == 1) {
            const struct endpoint_metrics metrics = {.valid = METRIC_KV_TOTAL,
                                                     .kv_total_blocks = 1};
            uint32_t id = 0;
            const struct request_view full = prompt(2, blocks, 3);
            EXPECT_U64(gateway_route(gateway, 0, &full, &id).matched_length, 3);
            gateway_scraped(gateway, 0, &metrics);
        }
        uint32_t id = 0;
        const struct request_view last = prompt(3, blocks, 3);
        EXPECT_U64(gateway_route(gateway, 0, &last, &id).matched_length, 1);
        gateway_delete(gateway);
    }
}

static void tell(struct gateway *gateway, uint32_t id, enum kv_event_kind kind,
                 const uint64_t *blocks, uint32_t count)
{
    const struct kv_event event = {
        .kind = kind, .blocks = blocks, .block_count = count};
    gateway_kv_event(gateway, 0, id, &event);
}

/* 3 of 4 blocks there and 2 of 4 there, weight 3, with a gap behind the first: the gap
 * ends the hit. What was sent does not count. */
static void precise_prefix_is_what_engines_say(void)
{
    const struct fixture_param params[] = {{"precise_weight", 3},
                                           {"prefix_weight", 0},
                                           {"queue_weight", 0},
                                           {"kv_weight", 0}};
    const uint64_t blocks[] = {1, 2, 3, 4};
    struct gateway *gateway = fixture_tuned("weighted_sum", params, 4);
    fixture_join(gateway, 3);
    EXPECT((gateway_needs(gateway) & NEED_KV_EVENTS) != 0);
    tell(gateway, 1, KV_EVENT_STORED, blocks, 3);
    tell(gateway, 2, KV_EVENT_STORED, blocks, 2);
    uint32_t id = 0;
    struct request_view request = prompt(1, blocks, 4);
    struct route_decision decision = gateway_route(gateway, 0, &request, &id);
    EXPECT_U64(id, 1);
    EXPECT_NEAR(decision.score, 3 * 0.75, 1e-12);
    EXPECT_U64(decision.matched_length, 3);
    tell(gateway, 1, KV_EVENT_REMOVED, blocks + 1, 1);
    request = prompt(2, blocks, 4);
    decision = gateway_route(gateway, 0, &request, &id);
    EXPECT_U64(id, 2);
    EXPECT_NEAR(decision.score, 3 * 0.5, 1e-12);
    gateway_delete(gateway);
}

static void what_is_not_weighed_is_not_asked_for(void)
{
    struct gateway *gateway = fixture_plain("weighted_sum", COMPAT_HEAD);
    EXPECT_U64(gateway_needs(gateway), NEED_METRICS | NEED_BLOCK_HASHES);
    gateway_delete(gateway);
    gateway = fixture_tuned("weighted_sum",
                            (const struct fixture_param[]){{"prefix_weight", 0}}, 1);
    EXPECT_U64(gateway_needs(gateway), NEED_METRICS);
    gateway_delete(gateway);
    gateway = fixture_tuned(
        "weighted_sum",
        (const struct fixture_param[]){{"session_weight", 1}, {"lora_weight", 1}}, 2);
    EXPECT_U64(gateway_needs(gateway),
               NEED_METRICS | NEED_BLOCK_HASHES | NEED_SESSION_KEY | NEED_ADAPTERS);
    gateway_delete(gateway);
}

/* Of a prompt of four blocks, two known: 2/4, or 2/2 when llm-d looks at two. */
static void a_limit_on_blocks_makes_long_prompts_look_equal(void)
{
    const uint64_t blocks[] = {1, 2, 3, 4};
    for (size_t count = 3; count <= 4; count++) {
        const struct fixture_param params[] = {{"prefix_weight", 1},
                                               {"queue_weight", 0},
                                               {"kv_weight", 0},
                                               {"prefix_blocks_max", 2}};
        struct gateway *gateway = fixture_tuned("weighted_sum", params, count);
        fixture_join(gateway, 1);
        uint32_t id = 0;
        struct request_view request = prompt(1, blocks, 2);
        (void)gateway_route(gateway, 0, &request, &id);
        request = prompt(2, blocks, 4);
        EXPECT_NEAR(gateway_route(gateway, 0, &request, &id).score,
                    count == 3 ? 0.5 : 1, 1e-12);
        gateway_delete(gateway);
    }
}

/* Two of three above the limit are left out; above it with all nobody is. */
static void filters_leave_out_the_loaded(void)
{
    const struct fixture_param params[] = {
        {"waiting_max", 5}, {"kv_max", 0.8}, {"picker", 2}};
    struct gateway *gateway = fixture_tuned("weighted_sum", params, 3);
    const struct request_view request = prompt(1, NULL, 0);
    fixture_join(gateway, 3);
    scrape(gateway, 0, 6, 0.1);
    scrape(gateway, 1, 5, 0.8);
    scrape(gateway, 2, 0, 0.9);
    for (int i = 0; i < 50; i++) {
        EXPECT_U64(fixture_send(gateway, 0, &request), 1);
    }
    scrape(gateway, 1, 6, 0.8);
    uint32_t seen = 0;
    for (int i = 0; i < 100; i++) {
        const uint32_t id = fixture_send(gateway, 0, &request);
        REQUIRE(id < 3);
        seen |= 1U << id;
    }
    EXPECT_U64(seen, 7);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_weighted_sum", TEST(precise_prefix_is_what_engines_say),
             TEST(what_is_not_weighed_is_not_asked_for),
             TEST(a_limit_on_blocks_makes_long_prompts_look_equal),
             TEST(filters_leave_out_the_loaded), TEST(scores_add_up_as_by_hand),
             TEST(scraped_metrics_decide_until_the_next_scrape),
             TEST(who_reports_no_kv_use_scores_zero), TEST(weights_change_who_wins),
             TEST(equal_scores_are_drawn_uniformly),
             TEST(weighted_random_draws_in_proportion),
             TEST(an_endpoint_that_returns_has_a_cold_cache),
             TEST(index_is_bounded_by_parameter_or_report))
