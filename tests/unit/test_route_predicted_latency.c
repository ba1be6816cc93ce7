/* SPDX-License-Identifier: Apache-2.0
 *
 * Predicted latency: what it does before it has learnt, what it learns, and its chain.
 * The world of these tests is one line: TTFT is 50 ms and 100 ms for each request that
 * waited at the last scrape, TPOT 10 ms for each.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 3, LESSONS = 320 };
static const int64_t ms_ns = 1000000;

struct world {
    struct gateway *gateway;
    int64_t now_ns;
    uint64_t next_request;
};

static void scrape(const struct world *world, uint32_t id, uint32_t waiting,
                   double kv_used_ratio)
{
    const struct endpoint_metrics metrics = {.valid = METRIC_WAITING | METRIC_KV_USED,
                                             .waiting_requests = waiting,
                                             .kv_used_ratio = kv_used_ratio};
    gateway_scraped(world->gateway, id, &metrics);
}

static void only(const struct world *world, uint32_t id)
{
    for (uint32_t other = 0; other < ENDPOINTS; other++) {
        gateway_set_accepting(world->gateway, other, id == ENDPOINTS || other == id);
    }
}

static struct world make(const struct fixture_param *params, size_t count)
{
    struct world world = {.gateway = fixture_tuned("predicted_latency", params, count)};
    fixture_join(world.gateway, ENDPOINTS);
    return world;
}

static void lesson(struct world *world, uint32_t waiting)
{
    uint32_t id = 9;
    const struct request_view request = {.request_id = world->next_request++,
                                         .prompt_tokens = 100};
    scrape(world, 0, waiting, 0);
    (void)gateway_route(world->gateway, world->now_ns, &request, &id);
    world->now_ns += (50 + 100 * (int64_t)waiting) * ms_ns;
    gateway_first_token(world->gateway, world->now_ns, request.request_id, id, 100);
    world->now_ns += 10 * (10 * (int64_t)waiting) * ms_ns;
    gateway_end(world->gateway, world->now_ns,
                &(struct attempt_end){.request_id = request.request_id,
                                      .endpoint_id = id,
                                      .prompt_tokens = 100,
                                      .output_tokens = 11,
                                      .had_first_token = true});
}

/* All on endpoint 0; the model is everybody's. */
static void learn(struct world *world)
{
    only(world, 0);
    for (uint32_t i = 0; i < LESSONS; i++) {
        lesson(world, i % 10);
    }
    only(world, ENDPOINTS);
}

static void set_waiting(const struct world *world, uint32_t a, uint32_t b, uint32_t c)
{
    scrape(world, 0, a, 0);
    scrape(world, 1, b, 0);
    scrape(world, 2, c, 0);
}

static struct route_decision ask(struct world *world, uint32_t *id)
{
    const struct request_view request = {.request_id = world->next_request++,
                                         .prompt_tokens = 100};
    const struct route_decision decision =
        gateway_route(world->gateway, world->now_ns, &request, id);
    gateway_end(world->gateway, world->now_ns,
                &(struct attempt_end){.request_id = request.request_id,
                                      .endpoint_id = *id,
                                      .prompt_tokens = 100});
    return decision;
}

static void count_picks(struct world *world, uint32_t picks, uint32_t count[ENDPOINTS])
{
    memset(count, 0, ENDPOINTS * sizeof *count);
    for (uint32_t i = 0; i < picks; i++) {
        uint32_t id = 0;
        (void)ask(world, &id);
        count[id]++;
    }
}

/* One request in flight on endpoint 2: 1 - 0.2 + 1, 1 - 0.5 + 1 and 1 - 0 + 0. */
static void before_it_has_learnt_three_scores_decide(void)
{
    struct world world = make(NULL, 0);
    only(&world, 2);
    const struct request_view busy = {.request_id = 5000};
    EXPECT_U64(fixture_open(world.gateway, 0, &busy), 2);
    only(&world, ENDPOINTS);
    scrape(&world, 0, 0, 0.2);
    scrape(&world, 1, 0, 0.5);
    scrape(&world, 2, 0, 0);
    uint32_t id = 9;
    const struct route_decision decision = ask(&world, &id);
    EXPECT_U64(id, 0);
    EXPECT_U64(decision.reason, REASON_SCORED);
    EXPECT_NEAR(decision.score, 1.8, 1e-12);
    gateway_delete(world.gateway);
}

static void without_targets_the_least_predicted_latency_wins(void)
{
    struct world world = make(NULL, 0);
    learn(&world);
    set_waiting(&world, 5, 2, 7);
    uint32_t id = 9;
    const struct route_decision decision = ask(&world, &id);
    EXPECT_U64(id, 1);
    EXPECT_U64(decision.reason, REASON_PREDICTED);
    EXPECT_NEAR(decision.score, 1, 1e-12);
    set_waiting(&world, 1, 2, 7);
    (void)ask(&world, &id);
    EXPECT_U64(id, 0);
    gateway_delete(world.gateway);
}

/* Target 400 ms; 550 ms misses it, 350 and 50 ms keep it. Packing gives the tightest
 * one 101 tickets and the loosest 1, spreading the reverse. */
static void targets_are_packed_or_spread(void)
{
    for (int spread = 0; spread < 2; spread++) {
        const struct fixture_param params[] = {
            {"slo_ttft_ms", 400}, {"explore_ratio", 0}, {"spread", spread}};
        struct world world = make(params, 3);
        learn(&world);
        set_waiting(&world, 5, 3, 0);
        uint32_t id = 9;
        EXPECT_U64(ask(&world, &id).reason, REASON_HEADROOM);
        uint32_t count[ENDPOINTS];
        count_picks(&world, 2000, count);
        EXPECT_U64(count[0], 0);
        /* 2000 / 102 = 20, standard deviation 4.4 */
        EXPECT_NEAR(count[spread == 0 ? 2 : 1], 20, 20);
        gateway_delete(world.gateway);
    }
}

/* A target on TPOT alone: 30 ms and 20 ms miss 15 ms, 10 ms keeps it. */
static void time_per_output_token_is_learnt_too(void)
{
    const struct fixture_param params[] = {{"slo_tpot_ms", 15}, {"explore_ratio", 0}};
    struct world world = make(params, 2);
    learn(&world);
    set_waiting(&world, 3, 2, 1);
    uint32_t count[ENDPOINTS];
    count_picks(&world, 100, count);
    EXPECT_U64(count[2], 100);
    gateway_delete(world.gateway);
}

/* Nobody keeps 10 ms. An idle endpoint is tried first; when all are busy the draw is by
 * headroom: 450 ms of 900 over the worst gets 51 tickets, the best 101, the worst 1. */
static void when_all_miss_the_idle_one_or_the_least_bad_is_taken(void)
{
    const struct fixture_param params[] = {{"slo_ttft_ms", 10}, {"explore_ratio", 0}};
    struct world world = make(params, 2);
    learn(&world);
    for (uint32_t busy = 1; busy < ENDPOINTS; busy++) {
        only(&world, busy);
        const struct request_view request = {.request_id = 5000 + busy};
        EXPECT_U64(fixture_open(world.gateway, world.now_ns, &request), busy);
    }
    only(&world, ENDPOINTS);
    set_waiting(&world, 9, 5, 0);
    uint32_t id = 9;
    EXPECT_U64(ask(&world, &id).reason, REASON_NO_HEADROOM);
    EXPECT_U64(id, 0);
    only(&world, 0);
    const struct request_view request = {.request_id = 5000};
    EXPECT_U64(fixture_open(world.gateway, world.now_ns, &request), 0);
    only(&world, ENDPOINTS);
    set_waiting(&world, 9, 4, 0);
    uint32_t count[ENDPOINTS];
    count_picks(&world, 3000, count);
    /* (9 - 4) / 9 = 0.555: 56 tickets of 158. Standard deviations 26 and 26. */
    EXPECT_NEAR(count[1], 3000.0 * 56 / 158, 110);
    EXPECT_NEAR(count[2], 3000.0 * 101 / 158, 110);
    gateway_delete(world.gateway);
}

/* One decision in ten takes who misses the target. */
static void some_decisions_explore(void)
{
    const struct fixture_param params[] = {{"slo_ttft_ms", 400},
                                           {"explore_ratio", 0.1}};
    struct world world = make(params, 2);
    learn(&world);
    set_waiting(&world, 5, 3, 0);
    uint32_t count[ENDPOINTS];
    count_picks(&world, 2000, count);
    EXPECT_NEAR(count[0], 200, 70); /* standard deviation 13 */
    gateway_delete(world.gateway);
}

/* Endpoint 0 was sent the prompt and answers 300 ms later than endpoint 1. */
static void holders_keep_their_prompt_until_the_wait_is_too_long(void)
{
    const uint64_t blocks[] = {1, 2};
    for (int patient = 0; patient < 2; patient++) {
        const struct fixture_param params[] = {
            {"break_ttft_s", patient == 1 ? 5 : 0.1}};
        struct world world = make(params, 1);
        learn(&world);
        only(&world, 0);
        struct request_view request = {.request_id = 5000,
                                       .block_hashes = blocks,
                                       .block_count = 2,
                                       .prompt_tokens = 100};
        EXPECT_U64(fixture_send(world.gateway, world.now_ns, &request), 0);
        only(&world, ENDPOINTS);
        set_waiting(&world, 4, 1, 4);
        request.request_id = 5001;
        uint32_t id = 9;
        const struct route_decision decision =
            gateway_route(world.gateway, world.now_ns, &request, &id);
        EXPECT_U64(id, patient == 1 ? 0 : 1);
        EXPECT_U64(decision.candidates, patient == 1 ? 1 : 3);
        gateway_delete(world.gateway);
    }
}

HARNESS_MAIN("route_predicted_latency", TEST(before_it_has_learnt_three_scores_decide),
             TEST(without_targets_the_least_predicted_latency_wins),
             TEST(targets_are_packed_or_spread),
             TEST(time_per_output_token_is_learnt_too),
             TEST(when_all_miss_the_idle_one_or_the_least_bad_is_taken),
             TEST(some_decisions_explore),
             TEST(holders_keep_their_prompt_until_the_wait_is_too_long))
