/* SPDX-License-Identifier: Apache-2.0
 *
 * The scorers of weighted_sum beyond prefix, queue and KV, each alone with weight 1,
 * against scores by hand.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 4 };

struct scored {
    struct gateway *gateway;
    struct decision_sink sink;
    double scores[ENDPOINTS];
};

static void keep(void *context, const struct decision_row *row)
{
    struct scored *scored = context;
    memcpy(scored->scores, row->view->scores, row->view->count * sizeof(double));
}

static void start(struct scored *scored, const char *weight, struct fixture_param more)
{
    const struct fixture_param params[] = {
        {weight, 1}, {"prefix_weight", 0}, {"queue_weight", 0}, {"kv_weight", 0}, more};
    scored->gateway = fixture_tuned("weighted_sum", params, more.name != NULL ? 5 : 4);
    scored->sink = (struct decision_sink){
        .context = scored, .on_decision = keep, .wants_scores = true};
    gateway_log_to(scored->gateway, &scored->sink);
    fixture_join(scored->gateway, ENDPOINTS);
}

static const struct fixture_param nothing = {.name = NULL};

static void expect_scores(const struct scored *scored, const double expected[ENDPOINTS])
{
    for (int i = 0; i < ENDPOINTS; i++) {
        harness_note("endpoint %d", i);
        EXPECT_NEAR(scored->scores[i], expected[i], 1e-12);
    }
}

static void scrape(struct scored *scored, uint32_t id, uint32_t running,
                   uint32_t waiting)
{
    const struct endpoint_metrics metrics = {
        .valid = METRIC_RUNNING | METRIC_WAITING,
        .running_requests = running,
        .waiting_requests = waiting,
    };
    gateway_scraped(scored->gateway, id, &metrics);
}

/* 2, 4 and 6 run; the fourth said nothing. */
static void running_is_stretched_from_fewest_to_most(void)
{
    struct scored scored;
    const struct request_view request = {.request_id = 1};
    start(&scored, "running_weight", nothing);
    scrape(&scored, 0, 4, 0);
    scrape(&scored, 1, 2, 0);
    scrape(&scored, 2, 6, 0);
    (void)fixture_send(scored.gateway, 0, &request);
    expect_scores(&scored, (const double[]){0.5, 1, 0, 0});
    gateway_delete(scored.gateway);
}

/* 0, 32, 128 and 500 wait, threshold 128: 0.5 * (1 - 0, 1/4, 1, 1). */
static void load_falls_to_zero_at_the_threshold(void)
{
    struct scored scored;
    const struct request_view request = {.request_id = 1};
    start(&scored, "load_weight", nothing);
    scrape(&scored, 0, 0, 0);
    scrape(&scored, 1, 0, 32);
    scrape(&scored, 2, 0, 128);
    scrape(&scored, 3, 0, 500);
    (void)fixture_send(scored.gateway, 0, &request);
    expect_scores(&scored, (const double[]){0.5, 0.375, 0, 0});
    gateway_delete(scored.gateway);
}

/* A prompt of 100 counts 250 before its first token and 150 after it; of 1000. */
static void token_load_counts_prompts_and_guessed_outputs(void)
{
    struct scored scored;
    start(&scored, "token_load_weight", (struct fixture_param){"token_load_max", 1000});
    struct request_view request = {.request_id = 1, .prompt_tokens = 100};
    const uint32_t first = fixture_open(scored.gateway, 0, &request);
    request.request_id = 2;
    const uint32_t second = fixture_open(scored.gateway, 0, &request);
    EXPECT(second != first);
    gateway_first_token(scored.gateway, 0, 1, first, 100);
    request.request_id = 3;
    (void)fixture_send(scored.gateway, 0, &request);
    double expected[ENDPOINTS] = {1, 1, 1, 1};
    expected[first] = 0.85;
    expected[second] = 0.75;
    expect_scores(&scored, expected);
    const struct attempt_end end = {.request_id = 1,
                                    .endpoint_id = first,
                                    .prompt_tokens = 100,
                                    .had_first_token = true};
    gateway_end(scored.gateway, 0, &end);
    (void)fixture_send(scored.gateway, 0, &request);
    expected[first] = 1;
    expect_scores(&scored, expected);
    gateway_delete(scored.gateway);
}

/* Weighted alone it spreads one by one; then 1 of at most 2 in flight is a half. */
static void active_is_one_where_nothing_is_in_flight(void)
{
    struct scored scored;
    start(&scored, "active_weight", nothing);
    uint32_t count[ENDPOINTS] = {0};
    for (uint64_t i = 0; i < 5; i++) {
        const struct request_view request = {.request_id = i};
        count[fixture_open(scored.gateway, 0, &request)]++;
    }
    const struct request_view request = {.request_id = 9};
    (void)fixture_send(scored.gateway, 0, &request);
    for (int i = 0; i < ENDPOINTS; i++) {
        EXPECT_NEAR(scored.scores[i], count[i] == 2 ? 0 : 0.5, 1e-12);
    }
    gateway_delete(scored.gateway);
}

static void a_session_scores_where_its_last_request_went(void)
{
    struct scored scored;
    start(&scored, "session_weight", nothing);
    struct request_view request = {.request_id = 1, .session_key = "alice"};
    const uint32_t id = fixture_send(scored.gateway, 0, &request);
    double expected[ENDPOINTS] = {0};
    for (int i = 0; i < 20; i++) {
        EXPECT_U64(fixture_send(scored.gateway, 0, &request), id);
    }
    expected[id] = 1;
    expect_scores(&scored, expected);
    request.session_key = "bob";
    (void)fixture_send(scored.gateway, 0, &request);
    expect_scores(&scored, (const double[]){0, 0, 0, 0});
    request.session_key = NULL;
    (void)fixture_send(scored.gateway, 0, &request);
    expect_scores(&scored, (const double[]){0, 0, 0, 0});
    gateway_delete(scored.gateway);
}

/* One place for all: who comes last is remembered. */
static void sessions_are_remembered_up_to_a_bound(void)
{
    struct scored scored;
    start(&scored, "session_weight", (struct fixture_param){"sessions_max", 1});
    struct request_view request = {.request_id = 1, .session_key = "alice"};
    (void)fixture_send(scored.gateway, 0, &request);
    request.session_key = "bob";
    (void)fixture_send(scored.gateway, 0, &request);
    request.session_key = "alice";
    (void)fixture_send(scored.gateway, 0, &request);
    expect_scores(&scored, (const double[]){0, 0, 0, 0});
    gateway_delete(scored.gateway);
}

/* Adapter 7: active; a slot free; full, but it waits there; full without it. */
static void adapters_score_in_four_tiers(void)
{
    struct scored scored;
    static const uint64_t seven[] = {7};
    static const uint64_t eight[] = {8};
    const struct endpoint_adapters adapters[ENDPOINTS] = {
        {.active = seven, .active_count = 1, .max = 1},
        {.active = eight, .active_count = 1, .max = 2},
        {.active = eight,
         .active_count = 1,
         .waiting = seven,
         .waiting_count = 1,
         .max = 1},
        {.active = eight, .active_count = 1, .max = 1},
    };
    start(&scored, "lora_weight", nothing);
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        const struct endpoint_metrics metrics = {.valid = METRIC_ADAPTERS,
                                                 .adapters = &adapters[id]};
        gateway_scraped(scored.gateway, id, &metrics);
    }
    struct request_view request = {.request_id = 1, .adapter = 7};
    EXPECT_U64(fixture_send(scored.gateway, 0, &request), 0);
    expect_scores(&scored, (const double[]){1, 0.8, 0.6, 0});
    request.adapter = 0;
    (void)fixture_send(scored.gateway, 0, &request);
    expect_scores(&scored, (const double[]){0, 0, 0, 0});
    gateway_delete(scored.gateway);
}

/* Four cold requests go to four endpoints; the fifth to where the first one went. */
static void cold_requests_go_where_the_last_one_is_longest_ago(void)
{
    struct scored scored;
    uint32_t order[ENDPOINTS];
    start(&scored, "no_hit_lru_weight", nothing);
    uint32_t seen = 0;
    for (uint64_t i = 0; i < ENDPOINTS; i++) {
        const struct request_view cold = {
            .request_id = i, .block_hashes = &i, .block_count = 1};
        order[i] = fixture_send(scored.gateway, 0, &cold);
        REQUIRE(order[i] < ENDPOINTS);
        seen |= 1U << order[i];
    }
    EXPECT_U64(seen, 15);
    const uint64_t block = 99;
    const struct request_view request = {
        .request_id = 9, .block_hashes = &block, .block_count = 1};
    EXPECT_U64(fixture_send(scored.gateway, 0, &request), order[0]);
    double expected[ENDPOINTS];
    for (int i = 0; i < ENDPOINTS; i++) {
        expected[order[i]] = 1 - i / 3.0;
    }
    expect_scores(&scored, expected);
    (void)fixture_send(scored.gateway, 0, &request); /* warm now */
    expect_scores(&scored, (const double[]){0.5, 0.5, 0.5, 0.5});
    gateway_delete(scored.gateway);
}

/* llm-d's own queue score: what is in flight does not count. */
static void queue_may_be_what_was_scraped_alone(void)
{
    struct scored scored;
    const struct fixture_param params[] = {
        {"queue_inflight", 0}, {"prefix_weight", 0}, {"kv_weight", 0}};
    scored.gateway = fixture_tuned("weighted_sum", params, 3);
    scored.sink = (struct decision_sink){
        .context = &scored, .on_decision = keep, .wants_scores = true};
    gateway_log_to(scored.gateway, &scored.sink);
    fixture_join(scored.gateway, ENDPOINTS);
    scrape(&scored, 2, 0, 4);
    for (uint64_t i = 0; i < 10; i++) {
        const struct request_view request = {.request_id = i};
        (void)fixture_open(scored.gateway, 0, &request);
    }
    expect_scores(&scored, (const double[]){2, 2, 0, 2});
    gateway_delete(scored.gateway);
}

HARNESS_MAIN("scorers", TEST(running_is_stretched_from_fewest_to_most),
             TEST(load_falls_to_zero_at_the_threshold),
             TEST(token_load_counts_prompts_and_guessed_outputs),
             TEST(active_is_one_where_nothing_is_in_flight),
             TEST(a_session_scores_where_its_last_request_went),
             TEST(sessions_are_remembered_up_to_a_bound),
             TEST(adapters_score_in_four_tiers),
             TEST(cold_requests_go_where_the_last_one_is_longest_ago),
             TEST(queue_may_be_what_was_scraped_alone))
