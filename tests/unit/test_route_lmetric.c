/* SPDX-License-Identifier: Apache-2.0
 *
 * LMetric: products by hand, and its two ties.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static struct gateway *make(int endpoints)
{
    struct gateway *gateway = fixture_plain("lmetric", COMPAT_HEAD);
    fixture_join(gateway, endpoints);
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
static void open_on(struct gateway *gateway, uint32_t id, uint32_t endpoints,
                    const struct request_view *request)
{
    for (uint32_t other = 0; other < endpoints; other++) {
        gateway_set_accepting(gateway, other, other == id);
    }
    EXPECT_U64(fixture_open(gateway, 0, request), id);
    for (uint32_t other = 0; other < endpoints; other++) {
        gateway_set_accepting(gateway, other, true);
    }
}

/* Endpoint 0 has 3 of the 4 blocks of 16 tokens and k requests in flight, endpoint 1
 * has nothing and nobody: 16 (k + 1) against 64. Affinity wins up to k = 2; at k = 3
 * the costs are equal and the fewer requests decide. */
static void affinity_yields_when_the_product_says_so(void)
{
    const uint64_t known[] = {1, 2, 3, 9};
    const uint64_t asked[] = {1, 2, 3, 4};
    const uint32_t expected[] = {0, 0, 0, 1, 1};
    for (uint32_t k = 1; k < 5; k++) {
        struct gateway *gateway = make(2);
        for (uint64_t i = 0; i < k; i++) {
            const struct request_view request = prompt(i, known, 4, 64);
            open_on(gateway, 0, 2, &request);
        }
        uint32_t id = 0;
        const struct request_view request = prompt(100, asked, 4, 64);
        const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
        EXPECT_U64(id, expected[k]);
        EXPECT_NEAR(decision.score, expected[k] == 0 ? 16.0 * (k + 1) : 64, 0);
        EXPECT_U64(decision.matched_length, expected[k] == 0 ? 3 : 0);
        gateway_delete(gateway);
    }
}

/* All of the prompt on both: both cost 0, the fewer requests win. */
static void prompt_known_everywhere_goes_to_the_smaller_batch(void)
{
    const uint64_t blocks[] = {1, 2};
    struct gateway *gateway = make(2);
    struct request_view request = prompt(1, blocks, 2, 32);
    open_on(gateway, 0, 2, &request);
    request = prompt(2, blocks, 2, 32);
    open_on(gateway, 1, 2, &request);
    request = prompt(3, blocks, 2, 32);
    open_on(gateway, 0, 2, &request);
    request = prompt(4, blocks, 2, 32);
    uint32_t id = 0;
    EXPECT_NEAR(gateway_route(gateway, 0, &request, &id).score, 0, 0);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

/* One request each; the lighter prompt decides, and among equals discovery order. */
static void ties_go_to_fewer_tokens_then_to_the_first(void)
{
    struct gateway *gateway = make(3);
    const uint32_t tokens[] = {50, 20, 20};
    for (uint32_t id = 0; id < 3; id++) {
        const struct request_view request = prompt(id, NULL, 0, tokens[id]);
        open_on(gateway, id, 3, &request);
    }
    const struct request_view request = prompt(9, NULL, 0, 10);
    EXPECT_U64(fixture_open(gateway, 0, &request), 1);
    gateway_delete(gateway);
}

/* A prompt shorter than a block has no hash and costs its tokens: 10 * 1. */
static void short_prompt_costs_its_tokens(void)
{
    struct gateway *gateway = make(2);
    uint32_t id = 9;
    const struct request_view request = prompt(1, NULL, 0, 10);
    EXPECT_NEAR(gateway_route(gateway, 0, &request, &id).score, 10, 0);
    EXPECT_U64(id, 0);
    gateway_delete(gateway);
}

/* One block remembered: of three blocks of the prompt one is left, so 2/3 of 48. */
static void index_is_bounded_by_its_parameter(void)
{
    const uint64_t blocks[] = {1, 2, 3};
    const struct fixture_param bound = {"index_blocks", 1};
    struct gateway *gateway = fixture_tuned("lmetric", &bound, 1);
    fixture_join(gateway, 1);
    struct request_view request = prompt(1, blocks, 3, 48);
    (void)fixture_send(gateway, 0, &request);
    uint32_t id = 0;
    request = prompt(2, blocks, 3, 48);
    const struct route_decision decision = gateway_route(gateway, 0, &request, &id);
    EXPECT_NEAR(decision.score, 32, 0);
    EXPECT_U64(decision.matched_length, 1);
    gateway_delete(gateway);
}

static void an_endpoint_that_returns_has_a_cold_cache(void)
{
    const uint64_t blocks[] = {1, 2};
    struct gateway *gateway = make(1);
    struct request_view request = prompt(1, blocks, 2, 32);
    (void)fixture_send(gateway, 0, &request);
    gateway_leave(gateway, 0);
    EXPECT_U64(gateway_join(gateway, "http://10.0.0.1:8000", NULL, 1), 0);
    uint32_t id = 0;
    request = prompt(2, blocks, 2, 32);
    EXPECT_U64(gateway_route(gateway, 0, &request, &id).matched_length, 0);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_lmetric", TEST(affinity_yields_when_the_product_says_so),
             TEST(prompt_known_everywhere_goes_to_the_smaller_batch),
             TEST(ties_go_to_fewer_tokens_then_to_the_first),
             TEST(short_prompt_costs_its_tokens),
             TEST(index_is_bounded_by_its_parameter),
             TEST(an_endpoint_that_returns_has_a_cold_cache))
