/* SPDX-License-Identifier: Apache-2.0
 *
 * LoRA affinity: the four tiers, what was sent since the scrape, the leak, the bound.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 4, WANTED = 50 };

/* Lists that endpoints report; the wanted adapter stands between two others. */
static const uint64_t with_wanted[] = {10, WANTED, 90};
static const uint64_t without[] = {10, 20, 90, 95};

static const struct endpoint_adapters active_there = {
    .active = with_wanted, .active_count = 3, .max = 3};
static const struct endpoint_adapters one_free = {.active = without,
                                                  .active_count = 2,
                                                  .waiting = without,
                                                  .waiting_count = 1,
                                                  .max = 4};
static const struct endpoint_adapters wanted_waits = {.active = without,
                                                      .active_count = 2,
                                                      .waiting = with_wanted,
                                                      .waiting_count = 2,
                                                      .max = 4};
static const struct endpoint_adapters full = {
    .active = without, .active_count = 4, .max = 4};

static struct gateway *make(const struct fixture_param *params, size_t count)
{
    struct gateway *gateway = fixture_tuned("lora_affinity", params, count);
    fixture_join(gateway, ENDPOINTS);
    return gateway;
}

static void report(struct gateway *gateway, uint32_t id,
                   const struct endpoint_adapters *adapters)
{
    const struct endpoint_metrics metrics = {.valid = METRIC_ADAPTERS,
                                             .adapters = adapters};
    gateway_scraped(gateway, id, &metrics);
}

static uint32_t send(struct gateway *gateway, uint64_t adapter)
{
    const struct request_view request = {.request_id = 1, .adapter = adapter};
    return fixture_send(gateway, 0, &request);
}

static double score_of(struct gateway *gateway, uint64_t adapter)
{
    uint32_t id = 0;
    const struct request_view request = {.request_id = 1, .adapter = adapter};
    const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
    gateway_end(gateway, 0, &(struct attempt_end){.request_id = 1, .endpoint_id = id});
    return decision.score;
}

/* So many requests of the base model. */
static void load(struct gateway *gateway, uint32_t id, uint32_t requests)
{
    for (uint32_t other = 0; other < ENDPOINTS; other++) {
        gateway_set_accepting(gateway, other, other == id);
    }
    for (uint32_t i = 0; i < requests; i++) {
        const struct request_view request = {.request_id = 1000 + 100 * id + i};
        EXPECT_U64(fixture_open(gateway, 0, &request), id);
    }
    for (uint32_t other = 0; other < ENDPOINTS; other++) {
        gateway_set_accepting(gateway, other, true);
    }
}

/* Best first; each falls ill after it was chosen. The better, the heavier its load. */
static void tiers_come_before_loads(void)
{
    const struct endpoint_adapters *reports[ENDPOINTS] = {&full, &wanted_waits,
                                                          &one_free, &active_there};
    const double scores[ENDPOINTS] = {0, 0.6, 0.8, 1};
    const struct fixture_param params[] = {{"affinity_ratio", 1}};
    struct gateway *gateway = make(params, 1);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        report(gateway, id, reports[id]);
        load(gateway, id, id);
    }
    for (uint32_t expected = ENDPOINTS; expected-- > 0;) {
        uint32_t id = 0;
        const struct request_view request = {.request_id = 1, .adapter = WANTED};
        const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
        EXPECT_U64(id, expected);
        EXPECT_NEAR(decision.score, scores[expected], 0);
        EXPECT_U64(decision.reason,
                   expected == 0 ? REASON_LEAST_LOADED : REASON_ADAPTER);
        gateway_end(gateway, 0,
                    &(struct attempt_end){.request_id = 1, .endpoint_id = id});
        gateway_set_accepting(gateway, expected, false);
    }
    gateway_delete(gateway);
}

static void fewest_requests_win_in_a_tier_and_for_the_base_model(void)
{
    const struct fixture_param params[] = {{"affinity_ratio", 1}};
    struct gateway *gateway = make(params, 1);
    report(gateway, 1, &active_there);
    report(gateway, 2, &active_there);
    load(gateway, 1, 3);
    load(gateway, 2, 2);
    load(gateway, 3, 1);
    EXPECT_U64(send(gateway, WANTED), 2);
    EXPECT_U64(send(gateway, 0), 0);
    gateway_delete(gateway);
}

/* Nobody says anything: as least_request. */
static void silent_endpoints_are_full(void)
{
    struct gateway *gateway = make(NULL, 0);
    load(gateway, 0, 1);
    load(gateway, 2, 1);
    load(gateway, 3, 1);
    EXPECT_U64(send(gateway, WANTED), 1);
    report(gateway, 2, &wanted_waits);
    EXPECT_U64(send(gateway, WANTED), 2);
    gateway_delete(gateway);
}

/* Endpoint 0 has one free slot, the others none. The first new adapter takes it and is
 * active there; the next finds it full, and so does everybody until the scrape. */
static void slot_is_taken_until_the_next_scrape(void)
{
    const struct fixture_param params[] = {{"affinity_ratio", 1}};
    struct gateway *gateway = make(params, 1);
    report(gateway, 0, &one_free);
    for (uint32_t id = 1; id < ENDPOINTS; id++) {
        report(gateway, id, &full);
    }
    load(gateway, 0, 5);
    EXPECT_U64(send(gateway, WANTED), 0);
    const uint32_t other = send(gateway, WANTED + 1);
    EXPECT(other != 0);
    EXPECT_U64(send(gateway, WANTED + 1), other); /* where it waits now */
    EXPECT_NEAR(score_of(gateway, WANTED + 1), 0.6, 0);
    EXPECT_U64(send(gateway, WANTED), 0);
    EXPECT_NEAR(score_of(gateway, WANTED), 1, 0);
    report(gateway, 0, &one_free);
    EXPECT_U64(send(gateway, WANTED + 2), 0);
    gateway_delete(gateway);
}

static void without_reservation_everybody_takes_the_same_slot(void)
{
    const struct fixture_param params[] = {{"affinity_ratio", 1}, {"reserve", 0}};
    struct gateway *gateway = make(params, 2);
    report(gateway, 0, &one_free);
    for (uint32_t id = 1; id < ENDPOINTS; id++) {
        report(gateway, id, &full);
    }
    load(gateway, 0, 5);
    for (uint64_t adapter = WANTED; adapter < WANTED + 10; adapter++) {
        EXPECT_U64(send(gateway, adapter), 0);
    }
    gateway_delete(gateway);
}

/* A quarter of 4,000 decisions, deviation 27, go to the free slot. */
static void part_of_the_decisions_takes_a_free_slot(void)
{
    const struct fixture_param params[] = {{"affinity_ratio", 0.75}, {"reserve", 0}};
    struct gateway *gateway = make(params, 2);
    uint32_t count[ENDPOINTS] = {0};
    report(gateway, 0, &active_there);
    report(gateway, 1, &one_free);
    report(gateway, 2, &wanted_waits);
    report(gateway, 3, &full);
    for (int i = 0; i < 4000; i++) {
        const uint32_t id = send(gateway, WANTED);
        REQUIRE(id < ENDPOINTS);
        count[id]++;
    }
    EXPECT_NEAR(count[1], 1000, 130);
    EXPECT_U64(count[0] + count[1], 4000);
    gateway_delete(gateway);
}

/* Four endpoints, ratio 1: 4 in flight, all on the one that has it: bound 1.25. */
static void overloaded_holder_is_passed_over(void)
{
    const struct fixture_param params[] = {{"affinity_ratio", 1}, {"load_ratio", 1}};
    struct gateway *gateway = make(params, 2);
    report(gateway, 0, &active_there);
    report(gateway, 1, &full);
    report(gateway, 2, &one_free);
    report(gateway, 3, &full);
    load(gateway, 0, 4);
    EXPECT_U64(send(gateway, WANTED), 2);
    gateway_delete(gateway);
}

static void bound_below_the_mean_is_refused(void)
{
    struct gateway *gateway = NULL;
    struct err err;
    const char *name = "load_ratio";
    const double value = 0.5;
    const struct gateway_setup setup = {
        .policy = route_policy_find("lora_tiers"),
        .compat = COMPAT_HEAD,
        .param_names = &name,
        .param_values = &value,
        .param_count = 1,
    };
    EXPECT_FAILS(gateway_new(&gateway, &setup, &err), &err,
                 "load_ratio is 0 or at least 1");
}

static void what_left_has_nothing_reserved(void)
{
    const struct fixture_param params[] = {{"affinity_ratio", 1}};
    struct gateway *gateway = make(params, 1);
    report(gateway, 0, &one_free);
    EXPECT_U64(send(gateway, WANTED), 0);
    gateway_leave(gateway, 0);
    (void)gateway_join(gateway, "http://10.0.0.1:8000", NULL, 1);
    report(gateway, 1, &active_there);
    EXPECT_U64(send(gateway, WANTED), 1);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_lora_affinity", TEST(tiers_come_before_loads),
             TEST(fewest_requests_win_in_a_tier_and_for_the_base_model),
             TEST(silent_endpoints_are_full), TEST(slot_is_taken_until_the_next_scrape),
             TEST(without_reservation_everybody_takes_the_same_slot),
             TEST(part_of_the_decisions_takes_a_free_slot),
             TEST(overloaded_holder_is_passed_over),
             TEST(bound_below_the_mean_is_refused),
             TEST(what_left_has_nothing_reserved))
