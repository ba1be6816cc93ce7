/* SPDX-License-Identifier: Apache-2.0
 *
 * dynamo_kv: costs by hand, in blocks of 16 tokens, through the life of a few requests.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static const uint64_t blocks[] = {1, 2, 3, 4};

/* Four blocks, 64 tokens. */
static struct request_view prompt(uint64_t request_id)
{
    return (struct request_view){.request_id = request_id,
                                 .prompt_tokens = 64,
                                 .block_hashes = blocks,
                                 .block_count = 4,
                                 .block_tokens = 16};
}

static void tell(struct gateway *gateway, uint32_t id, enum kv_event_kind kind,
                 uint32_t count)
{
    const struct kv_event event = {
        .kind = kind, .blocks = blocks, .block_count = count};
    gateway_kv_event(gateway, 0, id, &event);
}

static struct gateway *make(const struct fixture_param *params, size_t count)
{
    struct gateway *gateway = fixture_tuned("dynamo_kv", params, count);
    fixture_join(gateway, 2);
    return gateway;
}

static void expect_route(struct gateway *gateway, uint64_t request_id, uint32_t id,
                         double cost)
{
    const struct request_view request = prompt(request_id);
    uint32_t chosen = UINT32_MAX;
    harness_note("request %llu", (unsigned long long)request_id);
    const struct route_decision decision = gateway_route(gateway, 0, &request, &chosen);
    EXPECT_U64(chosen, id);
    EXPECT_NEAR(decision.score, cost, 1e-12);
}

static void end_one(struct gateway *gateway, uint64_t request_id, uint32_t id,
                    bool had_first_token)
{
    const struct attempt_end end = {.request_id = request_id,
                                    .endpoint_id = id,
                                    .prompt_tokens = 64,
                                    .had_first_token = had_first_token};
    gateway_end(gateway, 0, &end);
}

/* Endpoint 1 has 3 of 4 blocks.
 *   1: 4 + 4 against (4 - 3) + 4 = 5                  endpoint 1; in flight: 1 + 4
 *   2: 8 against (1 + 4 - 3) + 4 + 0 = 6              endpoint 1; the same 4 in use
 *   3: of another prompt, 8 against (2 + 4) + 4 + 4   endpoint 0; in flight: 4 + 4
 * First tokens of 1 and 2: nothing in prefill there.
 *   4: (4 + 4) + 4 + 4 = 16 against (4 - 3) + 4 = 5   endpoint 1
 * 2 and 4 end, then 1: the blocks of the three are in use as long as one is.
 *   5: 5, and after all have ended 5 again, 4 of them fresh */
static void costs_add_up_as_by_hand(void)
{
    struct gateway *gateway = make(NULL, 0);
    tell(gateway, 1, KV_EVENT_STORED, 3);
    expect_route(gateway, 1, 1, 5);
    expect_route(gateway, 2, 1, 6);
    static const uint64_t others[] = {11, 12, 13, 14};
    struct request_view other = prompt(3);
    other.block_hashes = others;
    uint32_t id = UINT32_MAX;
    EXPECT_NEAR(gateway_route(gateway, 0, &other, &id).score, 8, 1e-12);
    EXPECT_U64(id, 0);
    gateway_first_token(gateway, 0, 1, 1, 64);
    gateway_first_token(gateway, 0, 2, 1, 64);
    expect_route(gateway, 4, 1, 5);
    end_one(gateway, 4, 1, false);
    end_one(gateway, 2, 1, true);
    expect_route(gateway, 5, 1, 5);
    end_one(gateway, 1, 1, true);
    end_one(gateway, 5, 1, false);
    expect_route(gateway, 6, 1, 5);
    gateway_delete(gateway);
}

static void a_request_that_fails_leaves_nothing(void)
{
    struct gateway *gateway = make(NULL, 0);
    tell(gateway, 1, KV_EVENT_STORED, 3);
    for (uint64_t i = 0; i < 5; i++) {
        expect_route(gateway, i, 1, 5);
        const struct attempt_end end = {.request_id = i,
                                        .endpoint_id = 1,
                                        .prompt_tokens = 64,
                                        .how = ATTEMPT_ABORTED};
        gateway_end(gateway, 0, &end);
    }
    gateway_delete(gateway);
}

/* 2.5 blocks to prefill, 3 to use, of which the last is nobody else's. A hit is never
 * worth more than the prompt. */
static void partial_blocks_and_full_hits_count_right(void)
{
    struct gateway *gateway = make(NULL, 0);
    struct request_view request = prompt(1);
    uint32_t id = 0;
    request.prompt_tokens = 40;
    request.block_count = 2;
    EXPECT_NEAR(gateway_route(gateway, 0, &request, &id).score, 2.5 + 3, 1e-12);
    request.request_id = 2;
    uint32_t second = 0;
    EXPECT_NEAR(gateway_route(gateway, 0, &request, &second).score, 2.5 + 3, 1e-12);
    EXPECT(second != id);
    request.request_id = 3;
    EXPECT_NEAR(gateway_route(gateway, 0, &request, &id).score, 2.5 + 2.5 + 3 + 1,
                1e-12);
    gateway_delete(gateway);
    gateway = make((const struct fixture_param[]){{"overlap_credit", 5}}, 1);
    tell(gateway, 0, KV_EVENT_STORED, 4);
    expect_route(gateway, 1, 0, 4);
    gateway_delete(gateway);
}

/* Prefill doubled, 3 for each request in flight: 2 * 1 + 4; then 2 * 2 + 4 + 3 against
 * 2 * 4 + 4. */
static void weights_scale_their_terms(void)
{
    struct gateway *gateway =
        make((const struct fixture_param[]){{"prefill_weight", 2},
                                            {"active_request_weight", 3}},
             2);
    tell(gateway, 1, KV_EVENT_STORED, 3);
    expect_route(gateway, 1, 1, 6);
    expect_route(gateway, 2, 1, 11);
    gateway_delete(gateway);
}

/* 1 * (0 + 1); then (1 + 4 - 3) * (4 + 1) = 10 against 4 * 1, then against 8 * 5. */
static void lmetric_multiplies(void)
{
    struct gateway *gateway = make((const struct fixture_param[]){{"lmetric", 1}}, 1);
    tell(gateway, 1, KV_EVENT_STORED, 3);
    expect_route(gateway, 1, 1, 1);
    expect_route(gateway, 2, 0, 4);
    expect_route(gateway, 3, 1, 10);
    gateway_delete(gateway);
}

/* Temperature 1, two endpoints: the dearer one with e^-1 / (1 + e^-1) = 0.2689 of
 * 20,000, that is 5379, standard deviation 63; temperature 0.1: one in 22,000. */
static void temperature_draws_by_softmax(void)
{
    const double temperatures[] = {1, 0.1};
    const double expected[] = {5379, 1};
    for (size_t t = 0; t < 2; t++) {
        struct gateway *gateway =
            make((const struct fixture_param[]){{"temperature", temperatures[t]}}, 1);
        uint32_t dearer = 0;
        tell(gateway, 1, KV_EVENT_STORED, 3);
        for (uint64_t i = 0; i < 20000; i++) {
            const struct request_view request = prompt(i);
            dearer += fixture_send(gateway, 0, &request) == 0;
        }
        EXPECT_NEAR(dearer, expected[t], t == 0 ? 315 : 7);
        gateway_delete(gateway);
    }
}

static void without_events_it_knows_what_was_sent(void)
{
    struct gateway *gateway = make((const struct fixture_param[]){{"events", 0}}, 1);
    EXPECT_U64(gateway_needs(gateway) & NEED_KV_EVENTS, 0);
    tell(gateway, 1, KV_EVENT_STORED, 3);
    const struct request_view request = prompt(1);
    const uint32_t id = fixture_send(gateway, 0, &request);
    expect_route(gateway, 2, id, 4);
    gateway_delete(gateway);
}

static void who_leaves_is_forgotten(void)
{
    struct gateway *gateway = make(NULL, 0);
    tell(gateway, 1, KV_EVENT_STORED, 4);
    gateway_leave(gateway, 1);
    expect_route(gateway, 1, 0, 8);
    EXPECT_U64(gateway_join(gateway, "http://10.0.0.2:8000", NULL, 1), 1);
    expect_route(gateway, 2, 1, 8);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_dynamo_kv", TEST(costs_add_up_as_by_hand),
             TEST(a_request_that_fails_leaves_nothing),
             TEST(partial_blocks_and_full_hits_count_right),
             TEST(weights_scale_their_terms), TEST(lmetric_multiplies),
             TEST(temperature_draws_by_softmax),
             TEST(without_events_it_knows_what_was_sent), TEST(who_leaves_is_forgotten))
