/* SPDX-License-Identifier: Apache-2.0
 *
 * test_flow.c: the gateway's queues with policies whose answers are known by hand.
 */
#include "policies/flow.h"
#include "tests/policy_fixture.h"

#include <math.h>

enum { PARAMS_MAX = 8 };
static const int64_t second_ns = INT64_C(1000000000);

struct desk {
    struct gateway *gateway;
    struct flow *flow;
    int64_t now_ns;
};

static struct desk desk_new(int endpoints, const char *policy,
                            const struct fixture_param *params, size_t count)
{
    struct desk desk = {.gateway = fixture_plain("round_robin", COMPAT_HEAD)};
    const char *names[PARAMS_MAX];
    double values[PARAMS_MAX];
    struct err err;
    for (size_t i = 0; i < count; i++) {
        names[i] = params[i].name;
        values[i] = params[i].value;
    }
    fixture_join(desk.gateway, endpoints);
    const struct flow_setup setup = {
        .policy = admit_policy_find(policy),
        .compat = COMPAT_HEAD,
        .param_names = names,
        .param_values = values,
        .param_count = count,
        .seed = 1,
        .gateway = desk.gateway,
    };
    REQUIRE(setup.policy != NULL);
    REQUIRE_OK(flow_new(&desk.flow, &setup, &err), &err);
    return desk;
}

static void desk_delete(struct desk *desk)
{
    flow_delete(desk->flow);
    gateway_delete(desk->gateway);
}

static struct admit_decision arrive(struct desk *desk, uint64_t id, const char *tenant,
                                    int32_t priority, uint32_t prompt_tokens)
{
    const struct request_view request = {.request_id = id,
                                         .tenant = tenant,
                                         .priority = priority,
                                         .prompt_tokens = prompt_tokens};
    return flow_arrive(desk->flow, desk->now_ns, &request, NULL);
}

/* 0 = nobody. */
static uint64_t next_id(struct desk *desk)
{
    struct flow_item item = {0};
    return flow_next(desk->flow, desk->now_ns, &item) ? item.request_id : 0;
}

static uint64_t expired_id(struct desk *desk)
{
    struct flow_item item = {0};
    return flow_take_expired(desk->flow, desk->now_ns, &item) ? item.request_id : 0;
}

static void gate_lets_in_as_many_as_it_may_and_queues_the_rest_in_order(void)
{
    const struct fixture_param params[] = {{"endpoint_max", 1}, {"queue_max", 2}};
    struct desk desk = desk_new(2, "concurrency_gate", params, 2);
    EXPECT(arrive(&desk, 1, "a", 0, 10).verdict == ADMIT_PASS);
    EXPECT(arrive(&desk, 2, "a", 0, 10).verdict == ADMIT_PASS);
    EXPECT(arrive(&desk, 3, "b", 0, 10).verdict == ADMIT_QUEUE);
    desk.now_ns = 1;
    EXPECT(arrive(&desk, 4, "a", -5, 10).verdict == ADMIT_QUEUE);
    const struct admit_decision full = arrive(&desk, 5, "c", 0, 10);
    EXPECT(full.verdict == ADMIT_REJECT);
    EXPECT(full.reason == ADMIT_REASON_QUEUE_FULL);
    EXPECT_U64(admit_reason_http(full.reason), 429);
    EXPECT_U64(next_id(&desk), 0);
    flow_ended(desk.flow, 2, 1);
    EXPECT_U64(next_id(&desk), 3); /* before 4, whatever its priority */
    EXPECT_U64(next_id(&desk), 0);
    flow_ended(desk.flow, 1, 1);
    flow_ended(desk.flow, 3, 1);
    EXPECT_U64(next_id(&desk), 4);
    EXPECT_U64(flow_waiting(desk.flow), 0);
    desk_delete(&desk);
}

static void newcomer_does_not_overtake_those_who_wait(void)
{
    const struct fixture_param params[] = {{"total_max", 1}};
    struct desk desk = desk_new(1, "concurrency_gate", params, 1);
    EXPECT(arrive(&desk, 1, NULL, 0, 10).verdict == ADMIT_PASS);
    EXPECT(arrive(&desk, 2, NULL, 0, 10).verdict == ADMIT_QUEUE);
    flow_ended(desk.flow, 1, 1);
    EXPECT(arrive(&desk, 3, NULL, 0, 10).verdict == ADMIT_QUEUE);
    EXPECT_U64(next_id(&desk), 2);
    desk_delete(&desk);
}

static void waiting_ends_at_its_time_and_by_its_client(void)
{
    const struct fixture_param params[] = {{"total_max", 1}, {"queue_timeout_s", 2}};
    struct desk desk = desk_new(1, "concurrency_gate", params, 2);
    EXPECT_I64(flow_deadline_ns(desk.flow), INT64_MAX);
    (void)arrive(&desk, 1, NULL, 0, 10);
    (void)arrive(&desk, 2, NULL, 0, 10);
    desk.now_ns = second_ns;
    (void)arrive(&desk, 3, NULL, 0, 10);
    (void)arrive(&desk, 4, NULL, 0, 10);
    EXPECT_I64(flow_deadline_ns(desk.flow), 2 * second_ns);
    desk.now_ns = 2 * second_ns - 1;
    EXPECT_U64(expired_id(&desk), 0);
    desk.now_ns = 2 * second_ns;
    EXPECT_U64(expired_id(&desk), 2);
    EXPECT_U64(expired_id(&desk), 0);
    flow_cancel(desk.flow, 3);
    EXPECT_I64(flow_deadline_ns(desk.flow), 3 * second_ns);
    flow_ended(desk.flow, 1, 0);
    EXPECT_U64(next_id(&desk), 4);
    EXPECT_I64(flow_deadline_ns(desk.flow), INT64_MAX);
    desk_delete(&desk);
}

static void urgent_band_goes_first_and_holds_back_those_below(void)
{
    const struct fixture_param params[] = {
        {"detector", 1}, {"requests_max", 1}, {"band_max", 2}};
    struct desk desk = desk_new(1, "flow_control", params, 3);
    EXPECT(arrive(&desk, 1, "a", 0, 10).verdict == ADMIT_PASS);
    EXPECT(arrive(&desk, 2, "a", 1, 10).verdict == ADMIT_QUEUE);
    EXPECT(arrive(&desk, 3, "a", 1, 10).verdict == ADMIT_QUEUE);
    EXPECT(arrive(&desk, 4, "b", 1, 10).verdict == ADMIT_REJECT); /* band is full */
    EXPECT(arrive(&desk, 5, "b", 0, 10).verdict == ADMIT_QUEUE);  /* its own is not */
    flow_ended(desk.flow, 1, 1);
    /* A request above all that wait passes them. */
    EXPECT(arrive(&desk, 6, "c", -1, 10).verdict == ADMIT_PASS);
    flow_ended(desk.flow, 6, 1);
    EXPECT_U64(next_id(&desk), 5);
    EXPECT_U64(next_id(&desk), 0);
    flow_ended(desk.flow, 5, 1);
    EXPECT_U64(next_id(&desk), 2);
    flow_ended(desk.flow, 2, 1);
    EXPECT_U64(next_id(&desk), 3);
    desk_delete(&desk);
}

static void tenants_of_a_band_take_turns_when_asked_to(void)
{
    for (int turns = 0; turns < 2; turns++) {
        const struct fixture_param params[] = {
            {"detector", 1}, {"requests_max", 1}, {"turns", turns}};
        struct desk desk = desk_new(1, "flow_control", params, 3);
        (void)arrive(&desk, 1, "a", 0, 10);
        const char *const tenants[] = {"a", "a", "a", "b", "b", "c"};
        for (uint64_t i = 0; i < 6; i++) {
            desk.now_ns++;
            EXPECT(arrive(&desk, 2 + i, tenants[i], 0, 10).verdict == ADMIT_QUEUE);
        }
        const uint64_t in_turn[] = {5, 7, 2, 6, 3, 4};
        uint64_t running = 1;
        for (uint64_t i = 0; i < 6; i++) {
            flow_ended(desk.flow, running, 1);
            running = next_id(&desk);
            EXPECT_U64(running, turns ? in_turn[i] : 2 + i);
        }
        desk_delete(&desk);
    }
}

static void less_served_tenant_goes_next(void)
{
    const struct fixture_param params[] = {{"requests_max", 1}};
    struct desk desk = desk_new(1, "vtc", params, 1);
    /* a is charged 100 + 2 * 50 = 200 for request 1. */
    EXPECT(arrive(&desk, 1, "a", 0, 100).verdict == ADMIT_PASS);
    (void)arrive(&desk, 2, "a", 0, 30); /* a waits with 100 */
    (void)arrive(&desk, 3, "b", 0, 90); /* b is lifted to a's 100 */
    (void)arrive(&desk, 4, "b", 0, 90);
    flow_saw_tokens(desk.flow, 1, 20); /* a: 140 */
    flow_ended(desk.flow, 1, 50);      /* a: 200 */
    EXPECT_U64(next_id(&desk), 3);     /* b: 190 */
    flow_ended(desk.flow, 3, 4);       /* b: 198 */
    EXPECT_U64(next_id(&desk), 4);     /* b: 288 */
    flow_ended(desk.flow, 4, 0);
    EXPECT_U64(next_id(&desk), 2);
    desk_delete(&desk);
}

static void idle_time_earns_nothing(void)
{
    const struct fixture_param params[] = {{"requests_max", 1}};
    struct desk desk = desk_new(1, "vtc", params, 1);
    (void)arrive(&desk, 1, "a", 0, 1000); /* a: 1000; b was never here */
    (void)arrive(&desk, 2, "a", 0, 1000);
    (void)arrive(&desk, 3, "b", 0, 700); /* lifted to 1000, not to 0 */
    (void)arrive(&desk, 4, "b", 0, 700);
    flow_ended(desk.flow, 1, 0);
    EXPECT_U64(next_id(&desk), 2); /* equal: the one known longer. a: 2000 */
    flow_ended(desk.flow, 2, 0);
    EXPECT_U64(next_id(&desk), 3);        /* b: 1700 */
    (void)arrive(&desk, 5, "a", 0, 1000); /* a's 2000 stands */
    flow_ended(desk.flow, 3, 0);
    EXPECT_U64(next_id(&desk), 4); /* b: 2400 */
    desk_delete(&desk);
}

static void prediction_is_charged_at_once_and_set_right_at_the_end(void)
{
    const struct fixture_param params[] = {{"requests_max", 1}, {"predict", 1}};
    struct desk desk = desk_new(1, "vtc", params, 2);
    struct request_view long_guess = {.request_id = 1,
                                      .tenant = "a",
                                      .prompt_tokens = 100,
                                      .output_tokens_guess = 500};
    (void)flow_arrive(desk.flow, 0, &long_guess, NULL); /* a: 100 + 1000 */
    (void)arrive(&desk, 2, "b", 0, 100);                /* lifted to 1100 */
    (void)arrive(&desk, 3, "a", 0, 100);
    (void)arrive(&desk, 4, "b", 0, 100);
    flow_ended(desk.flow, 1, 50); /* a: 100 + 100 = 200 */
    EXPECT_U64(next_id(&desk), 3);
    desk_delete(&desk);
}

static void sheddable_requests_go_when_the_fleet_is_full(void)
{
    struct desk desk = desk_new(2, "shed_on_saturation", NULL, 0);
    struct endpoint_metrics metrics = {
        .valid = METRIC_WAITING | METRIC_KV_USED,
        .waiting_requests = 5,
        .kv_used_ratio = 0.2,
    };
    /* Nothing was scraped yet: that counts as full. */
    EXPECT(arrive(&desk, 1, NULL, 1, 10).verdict == ADMIT_REJECT);
    EXPECT(arrive(&desk, 2, NULL, 0, 10).verdict == ADMIT_PASS);
    /* Mean of 5/5 and 0.4/0.8. */
    gateway_scraped(desk.gateway, 0, &metrics);
    metrics.waiting_requests = 0;
    metrics.kv_used_ratio = 0.4;
    gateway_scraped(desk.gateway, 1, &metrics);
    EXPECT(arrive(&desk, 3, NULL, 1, 10).verdict == ADMIT_PASS);
    metrics.kv_used_ratio = 0.8;
    gateway_scraped(desk.gateway, 1, &metrics);
    const struct admit_decision full = arrive(&desk, 4, NULL, 1, 10);
    EXPECT(full.reason == ADMIT_REASON_SATURATED);
    metrics.kv_used_ratio = 0.4;
    gateway_scraped(desk.gateway, 1, &metrics);
    desk.now_ns = second_ns / 5; /* 200 ms old is not too old */
    EXPECT(arrive(&desk, 5, NULL, 1, 10).verdict == ADMIT_PASS);
    desk.now_ns++;
    EXPECT(arrive(&desk, 6, NULL, 1, 10).verdict == ADMIT_REJECT);
    desk_delete(&desk);
}

/* p = 300 * 0.2^5 = 0.096; from (1/300)^(1/5) = 0.3196 on everybody goes. */
static void shedding_rises_with_the_fifth_power(void)
{
    enum { DRAWS = 20000 };
    const struct fixture_param params[] = {{"detector", 1}, {"requests_max", 100}};
    struct desk desk = desk_new(1, "shed_probabilistic", params, 2);
    uint64_t id = 1;
    while (id <= 20) {
        EXPECT(arrive(&desk, id++, NULL, 0, 10).verdict == ADMIT_PASS);
    }
    uint32_t shed = 0;
    for (int i = 0; i < DRAWS; i++, id++) {
        const struct admit_decision decision = arrive(&desk, id, NULL, 1, 10);
        shed += decision.verdict == ADMIT_REJECT;
        if (decision.verdict == ADMIT_PASS) {
            flow_ended(desk.flow, id, 0);
        } else {
            EXPECT(decision.reason == ADMIT_REASON_DRAWN);
        }
    }
    EXPECT_NEAR((double)shed / DRAWS, 0.096, 5 * sqrt(0.096 * 0.904 / DRAWS));
    for (int i = 20; i < 32; i++) {
        EXPECT(arrive(&desk, id++, NULL, 0, 10).verdict == ADMIT_PASS);
    }
    for (int i = 0; i < 100; i++) {
        EXPECT(arrive(&desk, id++, NULL, 1, 10).verdict == ADMIT_REJECT);
    }
    desk_delete(&desk);
}

static void bucket_runs_dry_and_fills_with_time(void)
{
    for (int per_tenant = 0; per_tenant < 2; per_tenant++) {
        const struct fixture_param params[] = {
            {"capacity", 100}, {"rate_per_s", 10}, {"per_tenant", per_tenant}};
        struct desk desk = desk_new(1, "token_bucket", params, 3);
        EXPECT(arrive(&desk, 1, "a", 0, 90).verdict == ADMIT_PASS);
        EXPECT(arrive(&desk, 2, "a", 0, 11).reason == ADMIT_REASON_RATE);
        EXPECT(arrive(&desk, 3, "a", 0, 10).verdict == ADMIT_PASS);
        EXPECT((arrive(&desk, 4, "b", 0, 100).verdict == ADMIT_PASS) ==
               (per_tenant != 0));
        desk.now_ns = second_ns; /* ten tokens came in */
        EXPECT(arrive(&desk, 5, "a", 0, 11).verdict == ADMIT_REJECT);
        EXPECT(arrive(&desk, 6, "a", 0, 10).verdict == ADMIT_PASS);
        desk.now_ns = 1000 * second_ns; /* full is full */
        EXPECT(arrive(&desk, 7, "a", 0, 101).verdict == ADMIT_REJECT);
        EXPECT(arrive(&desk, 8, "a", 0, 100).verdict == ADMIT_PASS);
        EXPECT(arrive(&desk, 9, "a", 0, 1).verdict == ADMIT_REJECT);
        desk_delete(&desk);
    }
}

static void one_loaded_endpoint_sheds_the_less_urgent(void)
{
    const struct fixture_param params[] = {{"load_max", 2}};
    struct desk desk = desk_new(2, "tier_shed", params, 1);
    EXPECT(arrive(&desk, 1, NULL, 1, 10).verdict == ADMIT_PASS);
    struct endpoint_metrics metrics = {.valid = METRIC_RUNNING | METRIC_WAITING,
                                       .running_requests = 2,
                                       .waiting_requests = 1};
    gateway_scraped(desk.gateway, 1, &metrics);
    EXPECT(arrive(&desk, 2, NULL, 1, 10).reason == ADMIT_REASON_SATURATED);
    EXPECT(arrive(&desk, 3, NULL, 0, 10).verdict == ADMIT_PASS);
    metrics.waiting_requests = 0;
    gateway_scraped(desk.gateway, 1, &metrics);
    EXPECT(arrive(&desk, 4, NULL, 1, 10).verdict == ADMIT_PASS);
    /* What was sent since the scrape counts: round robin, three to each. */
    for (uint64_t id = 10; id < 16; id++) {
        const struct request_view request = {.request_id = id, .prompt_tokens = 1};
        (void)fixture_open(desk.gateway, 0, &request);
    }
    EXPECT(arrive(&desk, 5, NULL, 1, 10).verdict == ADMIT_REJECT);
    desk_delete(&desk);
}

static void tokens_in_flight_close_the_gate(void)
{
    const struct fixture_param params[] = {{"detector", 2}, {"tokens_max", 100}};
    struct desk desk = desk_new(2, "flow_control", params, 2);
    EXPECT(arrive(&desk, 1, NULL, 0, 199).verdict == ADMIT_PASS);
    EXPECT(arrive(&desk, 2, NULL, 0, 1).verdict == ADMIT_PASS);
    EXPECT(arrive(&desk, 3, NULL, 0, 1).verdict == ADMIT_QUEUE);
    flow_ended(desk.flow, 2, 7);
    EXPECT_U64(next_id(&desk), 3);
    desk_delete(&desk);
}

static void nobody_waits_for_endpoints_that_do_not_exist(void)
{
    const struct fixture_param params[] = {{"total_max", 1}};
    struct desk desk = desk_new(1, "concurrency_gate", params, 1);
    (void)arrive(&desk, 1, NULL, 0, 10);
    (void)arrive(&desk, 2, NULL, 0, 10);
    gateway_set_accepting(desk.gateway, 0, false);
    EXPECT_U64(next_id(&desk), 2);
    EXPECT(arrive(&desk, 3, NULL, 0, 10).verdict == ADMIT_PASS);
    const struct request_view stranger = {.request_id = 4, .model = "nobody's"};
    EXPECT(flow_arrive(desk.flow, 0, &stranger, NULL).verdict == ADMIT_PASS);
    desk_delete(&desk);
}

static void full_model_does_not_hold_back_another(void)
{
    struct gateway *gateway = fixture_plain("round_robin", COMPAT_HEAD);
    (void)gateway_join(gateway, "http://a:1", "big", 1);
    (void)gateway_join(gateway, "http://b:1", "small", 1);
    const char *name = "endpoint_max";
    const double value = 1;
    const struct flow_setup setup = {.policy = admit_policy_find("concurrency_gate"),
                                     .compat = COMPAT_HEAD,
                                     .param_names = &name,
                                     .param_values = &value,
                                     .param_count = 1,
                                     .gateway = gateway};
    struct desk desk = {.gateway = gateway};
    struct err err;
    REQUIRE_OK(flow_new(&desk.flow, &setup, &err), &err);
    const char *const models[] = {"big", "big", "small", "small"};
    const enum admit_verdict verdicts[] = {ADMIT_PASS, ADMIT_QUEUE, ADMIT_PASS,
                                           ADMIT_QUEUE};
    for (uint64_t i = 0; i < 4; i++) {
        const struct request_view request = {.request_id = i + 1, .model = models[i]};
        EXPECT(flow_arrive(desk.flow, 0, &request, NULL).verdict == verdicts[i]);
    }
    EXPECT_U64(next_id(&desk), 0);
    flow_ended(desk.flow, 3, 1);
    EXPECT_U64(next_id(&desk), 4);
    EXPECT_U64(next_id(&desk), 0);
    desk_delete(&desk);
}

static void unknown_parameters_are_told_by_name(void)
{
    struct gateway *gateway = fixture_plain("round_robin", COMPAT_HEAD);
    const char *name = "queue_size";
    const double value = 1;
    const struct flow_setup setup = {.policy = admit_policy_find("concurrency"),
                                     .param_names = &name,
                                     .param_values = &value,
                                     .param_count = 1,
                                     .gateway = gateway};
    struct flow *flow = NULL;
    struct err err;
    EXPECT_FAILS(flow_new(&flow, &setup, &err), &err, "queue_max");
    gateway_delete(gateway);
}

HARNESS_MAIN("flow", TEST(gate_lets_in_as_many_as_it_may_and_queues_the_rest_in_order),
             TEST(newcomer_does_not_overtake_those_who_wait),
             TEST(waiting_ends_at_its_time_and_by_its_client),
             TEST(urgent_band_goes_first_and_holds_back_those_below),
             TEST(tenants_of_a_band_take_turns_when_asked_to),
             TEST(less_served_tenant_goes_next), TEST(idle_time_earns_nothing),
             TEST(prediction_is_charged_at_once_and_set_right_at_the_end),
             TEST(sheddable_requests_go_when_the_fleet_is_full),
             TEST(shedding_rises_with_the_fifth_power),
             TEST(bucket_runs_dry_and_fills_with_time),
             TEST(one_loaded_endpoint_sheds_the_less_urgent),
             TEST(tokens_in_flight_close_the_gate),
             TEST(nobody_waits_for_endpoints_that_do_not_exist),
             TEST(full_model_does_not_hold_back_another),
             TEST(unknown_parameters_are_told_by_name))
