/* SPDX-License-Identifier: Apache-2.0
 *
 * Preble's E2: costs by hand, with 1 ms of prefill per token and blocks of 10 tokens.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static const int64_t ms_ns = 1000000;
static const int64_t s_ns = 1000000000;
/* 45 output tokens of 0.15 s: what one request in flight costs at first. */
static const double busy_s = 6.75;

static struct gateway *make(int endpoints, const struct fixture_param *more,
                            size_t count)
{
    struct fixture_param params[5] = {{"prefill_us", 1000}, {"context_ns", 0}};
    REQUIRE(count <= 3);
    if (count > 0) {
        memcpy(params + 2, more, count * sizeof *more);
    }
    struct gateway *gateway = fixture_tuned("preble_e2", params, 2 + count);
    fixture_join(gateway, endpoints);
    return gateway;
}

static struct request_view prompt(uint64_t request_id, const uint64_t *blocks,
                                  uint32_t count)
{
    return (struct request_view){.request_id = request_id,
                                 .block_hashes = blocks,
                                 .block_count = count,
                                 .block_tokens = 10,
                                 .prompt_tokens = 10 * count};
}

struct answer {
    uint32_t ttft_ms;
    uint32_t tpot_ms;
    uint32_t output_tokens;
};

/* Sends a request and has it answered; the clock moves on. */
static struct route_decision serve(struct gateway *gateway, int64_t *now_ns,
                                   const struct request_view *request,
                                   const struct answer *answer, uint32_t *id)
{
    const struct route_decision decision = gateway_route(gateway, *now_ns, request, id);
    *now_ns += answer->ttft_ms * ms_ns;
    gateway_first_token(gateway, *now_ns, request->request_id, *id,
                        request->prompt_tokens);
    *now_ns += (int64_t)answer->tpot_ms * (answer->output_tokens - 1) * ms_ns;
    gateway_end(gateway, *now_ns,
                &(struct attempt_end){.request_id = request->request_id,
                                      .endpoint_id = *id,
                                      .prompt_tokens = request->prompt_tokens,
                                      .output_tokens = answer->output_tokens,
                                      .had_first_token = true});
    return decision;
}

static struct route_decision ask(struct gateway *gateway, int64_t now_ns,
                                 const struct request_view *request, uint32_t *id)
{
    const struct route_decision decision = gateway_route(gateway, now_ns, request, id);
    gateway_end(gateway, now_ns,
                &(struct attempt_end){.request_id = request->request_id,
                                      .endpoint_id = *id,
                                      .prompt_tokens = request->prompt_tokens,
                                      .how = ATTEMPT_ABORTED});
    return decision;
}

/* Of four blocks two are known: as much is new, so explore, to the endpoint that owes
 * no prefill. Three are known: exploit, although that endpoint owes 30 ms. */
static void more_known_than_new_is_exploited(void)
{
    const uint64_t known[] = {1, 2, 3};
    const uint64_t asked[] = {1, 2, 3, 4};
    for (uint32_t blocks = 2; blocks <= 3; blocks++) {
        struct gateway *gateway = make(2, NULL, 0);
        uint32_t id = 9;
        struct request_view request = prompt(1, known, blocks);
        EXPECT_U64(ask(gateway, 0, &request, &id).reason, REASON_NO_PREFIX);
        EXPECT_U64(id, 0);
        request = prompt(2, asked, 4);
        const struct route_decision decision = ask(gateway, 0, &request, &id);
        EXPECT_U64(id, blocks == 3 ? 0 : 1);
        EXPECT_U64(decision.reason, blocks == 3 ? REASON_PREFIX : REASON_NO_PREFIX);
        EXPECT_U64(decision.matched_length, blocks);
        EXPECT_NEAR(decision.score, blocks == 3 ? 0.03 : 0, 1e-9);
        gateway_delete(gateway);
    }
}

/* Missed prefill counts for three minutes, a request in flight 45 * 0.15 s. A prompt
 * that another endpoint has, too, is owed by halves: 20 ms of 40. */
static void load_is_missed_prefill_and_requests_in_flight(void)
{
    const uint64_t first[] = {1, 2, 3, 4};
    const uint64_t other[] = {11, 12};
    struct gateway *gateway = make(1, NULL, 0);
    uint32_t id = 9;
    struct request_view request = prompt(1, first, 4);
    (void)fixture_open(gateway, 0, &request);
    request = prompt(2, other, 2);
    EXPECT_NEAR(ask(gateway, 0, &request, &id).score, busy_s + 0.04, 1e-9);
    request = prompt(3, NULL, 0);
    EXPECT_NEAR(ask(gateway, 179 * s_ns, &request, &id).score, busy_s + 0.06, 1e-9);
    request = prompt(4, NULL, 0);
    EXPECT_NEAR(ask(gateway, 185 * s_ns, &request, &id).score, busy_s, 1e-9);
    gateway_delete(gateway);
    gateway = make(2, NULL, 0);
    request = prompt(1, first, 4);
    EXPECT_NEAR(ask(gateway, 0, &request, &id).score, 0, 0);
    gateway_set_accepting(gateway, 0, false);
    (void)ask(gateway, 0, &request, &id);
    request = prompt(2, NULL, 0);
    EXPECT_NEAR(ask(gateway, 0, &request, &id).score, 0.02, 1e-9);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

/* Outputs of 1 to 250 tokens at 100 ms: the last 200 are 51 to 250, whose upper middle
 * one is 151. */
static void medians_are_of_the_last_two_hundred(void)
{
    struct gateway *gateway = make(1, NULL, 0);
    int64_t now_ns = 0;
    uint32_t id = 9;
    for (uint32_t i = 1; i <= 250; i++) {
        const struct request_view request = prompt(i, NULL, 0);
        (void)serve(gateway, &now_ns, &request, &(struct answer){1, 100, i}, &id);
    }
    struct request_view request = prompt(1000, NULL, 0);
    (void)fixture_open(gateway, now_ns, &request);
    request = prompt(1001, NULL, 0);
    EXPECT_NEAR(ask(gateway, now_ns, &request, &id).score, 15.1, 1e-9);
    gateway_delete(gateway);
}

/* Four blocks fit. They were hit by two of three requests, so the two that must go for
 * a prompt of two blocks are worth 2 * 2/3 * 10 ms; 40 ms are owed. */
static void exploring_costs_what_must_be_evicted(void)
{
    const struct fixture_param budget = {"budget_tokens", 40};
    const uint64_t first[] = {1, 2, 3, 4};
    const uint64_t other[] = {11, 12};
    struct gateway *gateway = make(1, &budget, 1);
    uint32_t id = 9;
    struct request_view request;
    for (uint64_t i = 0; i < 3; i++) {
        request = prompt(i, first, 4);
        (void)ask(gateway, 0, &request, &id);
    }
    request = prompt(10, other, 2);
    EXPECT_NEAR(ask(gateway, 0, &request, &id).score, 0.04 + 2 * 10e-3 * 2 / 3, 1e-9);
    harness_note("the last two blocks of the first prompt are gone");
    request = prompt(11, first, 4);
    EXPECT_U64(ask(gateway, 0, &request, &id).matched_length, 2);
    gateway_delete(gateway);
}

/* The cache of the engine is what counts once it is reported. */
static void reported_cache_bounds_the_tree(void)
{
    const uint64_t first[] = {1, 2, 3, 4};
    const struct endpoint_metrics metrics = {.valid = METRIC_KV_TOTAL,
                                             .kv_total_blocks = 3};
    struct gateway *gateway = make(1, NULL, 0);
    uint32_t id = 9;
    gateway_scraped(gateway, 0, &metrics);
    struct request_view request = prompt(1, first, 4);
    (void)ask(gateway, 0, &request, &id);
    request = prompt(2, first, 4);
    EXPECT_U64(ask(gateway, 0, &request, &id).matched_length, 3);
    gateway_delete(gateway);
}

static const uint64_t shared[] = {1, 2, 3, 4};

/* Two requests are past, so the third moves: endpoint 0 owes 40 ms, endpoint 1 nothing.
 * Then 1 owes 40 ms shared by two, and being the lighter one it keeps the prefix. */
static void the_heaviest_passes_its_prefix_on(void)
{
    const struct fixture_param from = {"rebalance_from", 1};
    struct gateway *gateway = make(2, &from, 1);
    const uint32_t expected[] = {0, 0, 1, 1};
    const enum route_reason reasons[] = {REASON_NO_PREFIX, REASON_PREFIX,
                                         REASON_REBALANCED, REASON_PREFIX};
    for (uint64_t i = 0; i < 4; i++) {
        uint32_t id = 9;
        const struct request_view request = prompt(i, shared, 4);
        const struct route_decision decision = ask(gateway, 0, &request, &id);
        EXPECT_U64(id, expected[i]);
        EXPECT_U64(decision.reason, reasons[i]);
        EXPECT_U64(decision.candidates, i == 0 ? 2 : 1);
        EXPECT_NEAR(decision.score, i == 1 ? 0.04 : i == 3 ? 0.02 : 0, 1e-9);
    }
    gateway_delete(gateway);
}

/* TTFT of 100 ms in one half of the window and of 300 ms in the next, all for this
 * prefix: it goes on to endpoint 1, and 0 keeps it. At 150 ms it would not. */
static void an_overrun_prefix_is_replicated(void)
{
    const uint32_t later_ms[] = {150, 300};
    for (int overrun = 0; overrun < 2; overrun++) {
        const struct fixture_param params[] = {{"rebalance_from", 2},
                                               {"high_load_ratio", 1.0}};
        struct gateway *gateway = make(2, params, 2);
        int64_t now_ns = 0;
        uint32_t id = 9;
        gateway_set_accepting(gateway, 1, false);
        for (uint64_t i = 0; i < 4; i++) {
            const uint32_t ttft_ms = i < 2 ? 100 : later_ms[overrun];
            const struct request_view request = prompt(i, shared, 4);
            now_ns = i == 2 ? 91 * s_ns : now_ns;
            (void)serve(gateway, &now_ns, &request, &(struct answer){ttft_ms, 10, 2},
                        &id);
            EXPECT_U64(id, 0);
        }
        gateway_set_accepting(gateway, 1, true);
        struct request_view request = prompt(10, shared, 4);
        EXPECT_U64(ask(gateway, now_ns, &request, &id).reason, REASON_REBALANCED);
        request = prompt(11, shared, 4);
        EXPECT_U64(ask(gateway, now_ns, &request, &id).candidates,
                   overrun == 1 ? 2 : 1);
        gateway_delete(gateway);
    }
}

static void an_endpoint_that_returns_knows_and_owes_nothing(void)
{
    struct gateway *gateway = make(1, NULL, 0);
    uint32_t id = 9;
    struct request_view request = prompt(1, shared, 4);
    (void)ask(gateway, 0, &request, &id);
    gateway_leave(gateway, 0);
    EXPECT_U64(gateway_join(gateway, "http://10.0.0.1:8000", NULL, 1), 0);
    request = prompt(2, shared, 4);
    const struct route_decision decision = ask(gateway, 0, &request, &id);
    EXPECT_U64(decision.matched_length, 0);
    EXPECT_NEAR(decision.score, 0, 0);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_preble_e2", TEST(more_known_than_new_is_exploited),
             TEST(load_is_missed_prefill_and_requests_in_flight),
             TEST(medians_are_of_the_last_two_hundred),
             TEST(exploring_costs_what_must_be_evicted),
             TEST(reported_cache_bounds_the_tree),
             TEST(the_heaviest_passes_its_prefix_on),
             TEST(an_overrun_prefix_is_replicated),
             TEST(an_endpoint_that_returns_knows_and_owes_nothing))
