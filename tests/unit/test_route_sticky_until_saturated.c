/* SPDX-License-Identifier: Apache-2.0
 *
 * Sticky until saturated: who is a holder, when holders are left, what wins.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 3, BLOCKS = 5, TOKENS = 80 };

static const uint64_t asked[BLOCKS] = {1, 2, 3, 4, 5};

static struct gateway *make(const struct fixture_param *params, size_t count)
{
    struct gateway *gateway = fixture_tuned("sticky_until_saturated", params, count);
    fixture_join(gateway, ENDPOINTS);
    return gateway;
}

static struct request_view prompt(uint64_t request_id, const uint64_t *blocks,
                                  uint32_t count, uint32_t tokens)
{
    return (struct request_view){.request_id = request_id,
                                 .block_hashes = blocks,
                                 .block_count = count,
                                 .prompt_tokens = tokens};
}

/* Opens a request on one endpoint. */
static void open_on(struct gateway *gateway, uint32_t id,
                    const struct request_view *request)
{
    for (uint32_t other = 0; other < ENDPOINTS; other++) {
        gateway_set_accepting(gateway, other, other == id);
    }
    EXPECT_U64(fixture_open(gateway, 0, request), id);
    for (uint32_t other = 0; other < ENDPOINTS; other++) {
        gateway_set_accepting(gateway, other, true);
    }
}

/* A prompt of these blocks was served there. */
static void warm(struct gateway *gateway, uint32_t id, const uint64_t *blocks,
                 uint32_t count)
{
    const struct request_view request = prompt(999, blocks, count, 16 * count);
    open_on(gateway, id, &request);
    const struct attempt_end end = {
        .request_id = 999, .endpoint_id = id, .prompt_tokens = 16 * count};
    gateway_end(gateway, 0, &end);
}

/* Tokens that no cache saves wait there. */
static void load(struct gateway *gateway, uint64_t request_id, uint32_t id,
                 uint32_t tokens)
{
    const struct request_view request = prompt(request_id, NULL, 0, tokens);
    open_on(gateway, id, &request);
}

static struct route_decision ask(struct gateway *gateway, uint32_t *id)
{
    const struct request_view request = prompt(1000, asked, BLOCKS, TOKENS);
    const struct route_decision decision = gateway_route(gateway, 0, &request, id);
    const struct attempt_end end = {
        .request_id = 1000, .endpoint_id = *id, .prompt_tokens = TOKENS};
    gateway_end(gateway, 0, &end);
    return decision;
}

static void expect_pick(struct gateway *gateway, uint32_t expected,
                        enum route_reason reason)
{
    uint32_t id = 0;
    const struct route_decision decision = ask(gateway, &id);
    EXPECT_U64(id, expected);
    EXPECT_STR(route_reason_name(decision.reason), route_reason_name(reason));
}

static void holder_keeps_the_prompt_whatever_others_idle(void)
{
    struct gateway *gateway = make(NULL, 0);
    warm(gateway, 1, asked, BLOCKS);
    load(gateway, 1, 1, 100000);
    for (int i = 0; i < 10; i++) {
        uint32_t id = 0;
        const struct route_decision decision = ask(gateway, &id);
        EXPECT_U64(id, 1);
        EXPECT_U64(decision.reason, REASON_PREFIX);
        EXPECT_U64(decision.candidates, 1);
        EXPECT_U64(decision.matched_length, BLOCKS);
        EXPECT_NEAR(decision.score, 100000, 0);
    }
    gateway_delete(gateway);
}

/* Four of five blocks are 0.8 and hold; three do not, yet they count in the sum: the
 * queue of 40 and 32 missing tokens are less than 80. */
static void part_of_the_blocks_makes_a_holder(void)
{
    struct gateway *gateway = make(NULL, 0);
    warm(gateway, 1, asked, 3);
    load(gateway, 1, 1, 40);
    uint32_t id = 0;
    const struct route_decision decision = ask(gateway, &id);
    EXPECT_U64(id, 1);
    EXPECT_U64(decision.reason, REASON_NO_PREFIX);
    EXPECT_U64(decision.candidates, ENDPOINTS);
    EXPECT_NEAR(decision.score, 72, 1e-9);
    gateway_delete(gateway);

    gateway = make(NULL, 0);
    warm(gateway, 2, asked, 4);
    load(gateway, 1, 2, 100000);
    expect_pick(gateway, 2, REASON_PREFIX);
    gateway_delete(gateway);
}

/* 500 tokens/s for 2 s: 1,000 tokens more than the others' shortest queue of 7. */
static void holder_is_left_when_its_queue_is_too_long(void)
{
    const struct fixture_param params[] = {{"prefill_tokens_per_s", 500},
                                           {"release_s", 2}};
    struct gateway *gateway = make(params, 2);
    warm(gateway, 0, asked, BLOCKS);
    load(gateway, 1, 1, 7);
    load(gateway, 2, 2, 9);
    load(gateway, 3, 0, 1007);
    expect_pick(gateway, 0, REASON_PREFIX);
    load(gateway, 4, 0, 1);
    expect_pick(gateway, 1, REASON_SATURATED);
    gateway_delete(gateway);
}

/* The one of them with the shortest queue has to be that much longer. */
static void one_holder_with_a_short_queue_is_enough(void)
{
    const struct fixture_param params[] = {{"prefill_tokens_per_s", 500},
                                           {"release_s", 2}};
    struct gateway *gateway = make(params, 2);
    warm(gateway, 0, asked, BLOCKS);
    warm(gateway, 1, asked, BLOCKS);
    load(gateway, 1, 0, 5000);
    load(gateway, 2, 1, 1000);
    expect_pick(gateway, 1, REASON_PREFIX);
    load(gateway, 3, 1, 1);
    expect_pick(gateway, 2, REASON_SATURATED);
    gateway_delete(gateway);
}

static void nobody_else_means_nobody_to_go_to(void)
{
    const struct fixture_param params[] = {{"prefill_tokens_per_s", 1},
                                           {"release_s", 1}};
    struct gateway *gateway = make(params, 2);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        warm(gateway, id, asked, BLOCKS);
        load(gateway, id, id, 100 + id);
    }
    expect_pick(gateway, 0, REASON_PREFIX);
    gateway_delete(gateway);
}

static void release_of_zero_is_never(void)
{
    const struct fixture_param params[] = {{"prefill_tokens_per_s", 1},
                                           {"release_s", 0}};
    struct gateway *gateway = make(params, 2);
    warm(gateway, 0, asked, BLOCKS);
    load(gateway, 1, 0, 100000000);
    expect_pick(gateway, 0, REASON_PREFIX);
    gateway_delete(gateway);
}

/* Only what is uncached waits, until the first token or the end. */
static void queue_is_uncached_tokens_without_a_first_token(void)
{
    const struct fixture_param params[] = {{"prefill_tokens_per_s", 1},
                                           {"release_s", 100}};
    struct gateway *gateway = make(params, 2);
    uint32_t id = 0;
    warm(gateway, 0, asked, BLOCKS);
    const struct request_view cached = prompt(1, asked, BLOCKS, TOKENS);
    open_on(gateway, 0, &cached); /* hits whole: nothing waits */
    EXPECT_NEAR(ask(gateway, &id).score, 0, 0);
    load(gateway, 4, 2, 1);
    load(gateway, 2, 0, 201);
    load(gateway, 3, 0, 60);
    expect_pick(gateway, 1, REASON_SATURATED); /* and 1 is a holder from now on */
    gateway_set_accepting(gateway, 1, false);
    gateway_first_token(gateway, 0, 3, 0, 60);
    expect_pick(gateway, 2, REASON_SATURATED);
    gateway_set_accepting(gateway, 2, false);
    EXPECT_NEAR(ask(gateway, &id).score, 201, 0);
    gateway_end(gateway, 0,
                &(struct attempt_end){
                    .request_id = 2, .prompt_tokens = 201, .how = ATTEMPT_ABORTED});
    EXPECT_NEAR(ask(gateway, &id).score, 0, 0);
    /* The end of one that had its first token takes nothing twice. */
    gateway_end(gateway, 0,
                &(struct attempt_end){.request_id = 3, .had_first_token = true});
    EXPECT_NEAR(ask(gateway, &id).score, 0, 0);
    gateway_delete(gateway);
}

static void decode_bound_counts_requests(void)
{
    const struct fixture_param params[] = {{"decode_bound", 1}};
    struct gateway *gateway = make(params, 1);
    warm(gateway, 0, asked, BLOCKS);
    warm(gateway, 1, asked, BLOCKS);
    load(gateway, 1, 0, 1);
    load(gateway, 2, 0, 1);
    load(gateway, 3, 1, 5000);
    expect_pick(gateway, 1, REASON_PREFIX);
    gateway_delete(gateway);
}

static void exploring_lets_everybody_compete(void)
{
    const struct fixture_param params[] = {{"explore_ratio", 1}};
    struct gateway *gateway = make(params, 1);
    warm(gateway, 0, asked, BLOCKS);
    load(gateway, 1, 0, 81); /* against 80 missing tokens */
    load(gateway, 2, 1, 10);
    expect_pick(gateway, 2, REASON_LEAST_WORK);
    gateway_delete(gateway);
}

static void equals_are_drawn(void)
{
    struct gateway *gateway = make(NULL, 0);
    uint32_t count[ENDPOINTS] = {0};
    for (uint32_t i = 0; i < 3000; i++) {
        const struct request_view request = prompt(i, NULL, 0, 1);
        count[fixture_send(gateway, 0, &request)]++;
    }
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        EXPECT_NEAR(count[id], 1000, 130); /* deviation 26 */
    }
    gateway_delete(gateway);
}

static void endpoint_that_comes_back_holds_nothing(void)
{
    struct gateway *gateway = make(NULL, 0);
    warm(gateway, 0, asked, BLOCKS);
    gateway_leave(gateway, 0);
    (void)gateway_join(gateway, "http://10.0.0.1:8000", NULL, 1);
    uint32_t id = 0;
    EXPECT_U64(ask(gateway, &id).reason, REASON_NO_PREFIX);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_sticky_until_saturated",
             TEST(holder_keeps_the_prompt_whatever_others_idle),
             TEST(part_of_the_blocks_makes_a_holder),
             TEST(holder_is_left_when_its_queue_is_too_long),
             TEST(one_holder_with_a_short_queue_is_enough),
             TEST(nobody_else_means_nobody_to_go_to), TEST(release_of_zero_is_never),
             TEST(queue_is_uncached_tokens_without_a_first_token),
             TEST(decode_bound_counts_requests), TEST(exploring_lets_everybody_compete),
             TEST(equals_are_drawn), TEST(endpoint_that_comes_back_holds_nothing))
