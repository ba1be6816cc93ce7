/* SPDX-License-Identifier: Apache-2.0
 *
 * kv_aware: the vectors of spec/production-stack.md 1.4, its fall-backs at each level,
 * and what each defect does. Blocks and chunks are of one token where a vector counts
 * tokens.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { LONG = 5000 };

static struct gateway *make(enum compat compat, struct fixture_param param, int count)
{
    struct gateway *gateway = fixture_gateway("kvaware", compat, 1, param);
    fixture_join(gateway, count);
    return gateway;
}

static const struct fixture_param by_token = {"chunk_tokens", 1};

static void tell(struct gateway *gateway, uint32_t id, enum kv_event_kind kind,
                 const uint64_t *blocks, uint32_t count)
{
    const struct kv_event event = {
        .kind = kind, .blocks = blocks, .block_count = count};
    gateway_kv_event(gateway, 0, id, &event);
}

static struct request_view prompt(const uint64_t *blocks, uint32_t count)
{
    return (struct request_view){.prompt_tokens = count,
                                 .block_hashes = blocks,
                                 .block_count = count,
                                 .block_tokens = 1};
}

static struct route_decision ask(struct gateway *gateway,
                                 const struct request_view *request, uint32_t *id)
{
    *id = UINT32_MAX;
    const struct route_decision decision = gateway_route(gateway, 0, request, id);
    if (decision.endpoint >= 0) {
        const struct attempt_end end = {.endpoint_id = *id,
                                        .prompt_tokens = request->prompt_tokens};
        gateway_end(gateway, 0, &end);
    }
    return decision;
}

static void fill(uint64_t blocks[LONG])
{
    for (uint64_t i = 0; i < LONG; i++) {
        blocks[i] = 1000 + i;
    }
}

/* T = 5000: 2999 of them fall back, 3000 are enough. T = 2000: one token is. */
static void a_hit_may_lack_two_thousand_tokens(void)
{
    static uint64_t blocks[LONG];
    fill(blocks);
    uint32_t id = 0;
    struct gateway *gateway = make(COMPAT_HEAD, by_token, 3);
    const struct request_view all = prompt(blocks, LONG);
    const struct request_view some = prompt(blocks, 2000);
    EXPECT_U64(ask(gateway, &all, &id).reason, REASON_KV_NO_HIT);
    tell(gateway, 2, KV_EVENT_STORED, blocks, 1);
    struct route_decision decision = ask(gateway, &some, &id);
    EXPECT_U64(decision.reason, REASON_KV_HIT);
    EXPECT_U64(decision.matched_length, 1);
    EXPECT_U64(id, 2);
    tell(gateway, 2, KV_EVENT_STORED, blocks + 1, 2998);
    decision = ask(gateway, &all, &id);
    EXPECT_U64(decision.reason, REASON_KV_BELOW_THRESHOLD);
    EXPECT_U64(decision.matched_length, 2999);
    tell(gateway, 2, KV_EVENT_STORED, blocks + 2999, 1);
    decision = ask(gateway, &all, &id);
    EXPECT_U64(decision.reason, REASON_KV_HIT);
    EXPECT_U64(decision.matched_length, 3000);
    EXPECT_U64(id, 2);
    gateway_delete(gateway);
}

/* Blocks of 16 tokens, chunks of 256: 15 blocks are no chunk, 16 are one. */
static void a_chunk_counts_when_all_of_it_is_there(void)
{
    static uint64_t blocks[LONG];
    fill(blocks);
    uint32_t id = 0;
    struct gateway *gateway =
        make(COMPAT_HEAD, (struct fixture_param){.name = NULL}, 2);
    struct request_view request = prompt(blocks, 40);
    request.block_tokens = 16;
    request.prompt_tokens = 40 * 16;
    tell(gateway, 1, KV_EVENT_STORED, blocks, 15);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_NO_HIT);
    tell(gateway, 1, KV_EVENT_STORED, blocks + 15, 8);
    const struct route_decision decision = ask(gateway, &request, &id);
    EXPECT_U64(decision.reason, REASON_KV_HIT);
    EXPECT_U64(decision.matched_length, 256);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

/* Chunks 0 and 2 are first of endpoint 0, chunks 1 and 3 of endpoint 1: head takes the
 * first owner with the last chunk that is its own, later heads the last owner. */
static void head_asks_the_first_owner_and_later_heads_the_last(void)
{
    const uint64_t blocks[] = {1, 2, 3, 4, 5};
    const struct request_view request = prompt(blocks, 5);
    for (int first = 0; first < 2; first++) {
        uint32_t id = 0;
        const struct fixture_param params[] = {{"chunk_tokens", 1},
                                               {"first_owner", first}};
        struct gateway *gateway = fixture_tuned("kv_aware", params, 2);
        fixture_join(gateway, 2);
        tell(gateway, 0, KV_EVENT_STORED, blocks, 1);
        tell(gateway, 1, KV_EVENT_STORED, blocks, 2);
        tell(gateway, 0, KV_EVENT_STORED, blocks, 3);
        tell(gateway, 1, KV_EVENT_STORED, blocks, 4);
        const struct route_decision decision = ask(gateway, &request, &id);
        EXPECT_U64(id, first == 1 ? 0 : 1);
        EXPECT_U64(decision.matched_length, first == 1 ? 3 : 4);
        gateway_delete(gateway);
    }
}

static void a_removed_block_is_no_hit(void)
{
    const uint64_t blocks[] = {1, 2, 3};
    const struct request_view request = prompt(blocks, 3);
    uint32_t id = 0;
    struct gateway *gateway = make(COMPAT_HEAD, by_token, 2);
    tell(gateway, 0, KV_EVENT_STORED, blocks, 3);
    tell(gateway, 1, KV_EVENT_STORED, blocks, 2);
    (void)ask(gateway, &request, &id);
    EXPECT_U64(id, 0);
    tell(gateway, 0, KV_EVENT_REMOVED, blocks, 1);
    /* Endpoint 0 still stands first in the list of the second block. */
    EXPECT_U64(ask(gateway, &request, &id).matched_length, 1);
    EXPECT_U64(id, 1);
    tell(gateway, 1, KV_EVENT_CLEARED, NULL, 0);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_NO_HIT);
    gateway_delete(gateway);
}

/* The ring's vectors are those of golden.policies: here only that it is the ring. */
static void head_falls_back_to_the_session_then_to_fewest_arrivals(void)
{
    uint32_t id = 0;
    uint32_t on_ring = 0;
    struct gateway *gateway = make(COMPAT_HEAD, by_token, 3);
    struct gateway *session = fixture_plain("session", COMPAT_HEAD);
    fixture_join(session, 3);
    struct request_view request = {.prompt_tokens = 10};
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_NO_HIT);
    EXPECT_U64(id, 0);
    (void)ask(gateway, &request, &id);
    EXPECT_U64(id, 1);
    static const char *const keys[] = {"alice", "bob", "carol", ""};
    for (size_t i = 0; i < 4; i++) {
        request.session_key = keys[i];
        (void)ask(gateway, &request, &id);
        (void)ask(session, &request, &on_ring);
        EXPECT_U64(id, on_ring);
    }
    gateway_delete(session);
    gateway_delete(gateway);
}

/* In order of url, with a counter of its own, that hits do not move. */
static void the_release_falls_back_to_round_robin_and_takes_any_hit(void)
{
    static uint64_t blocks[LONG];
    fill(blocks);
    uint32_t id = 0;
    struct gateway *gateway = make(COMPAT_TAG_FIXED, by_token, 3);
    struct request_view request = prompt(blocks, LONG);
    request.session_key = "alice";
    const uint32_t turns[] = {0, 1, 2, 0};
    for (size_t i = 0; i < 4; i++) {
        EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_NO_HIT);
        EXPECT_U64(id, turns[i]);
    }
    tell(gateway, 2, KV_EVENT_STORED, blocks, 1);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_HIT);
    EXPECT_U64(id, 2);
    tell(gateway, 2, KV_EVENT_REMOVED, blocks, 1);
    (void)ask(gateway, &request, &id);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

static void at_tag_every_request_fails(void)
{
    const struct request_view request = {.prompt_tokens = 10};
    uint32_t id = 0;
    struct gateway *gateway = make(COMPAT_TAG, by_token, 3);
    const struct route_decision decision = ask(gateway, &request, &id);
    EXPECT_I64(decision.endpoint, -1);
    EXPECT_U64(decision.reason, REASON_FAILED);
    gateway_delete(gateway);
}

static struct gateway *defective(const char *defect, double value, int count)
{
    const struct fixture_param params[] = {{"chunk_tokens", 1}, {defect, value}};
    struct gateway *gateway = fixture_tuned("kv_aware", params, 2);
    fixture_join(gateway, count);
    return gateway;
}

static void the_first_hit_of_each_endpoint_may_fail(void)
{
    const uint64_t blocks[] = {1, 2};
    const struct request_view request = prompt(blocks, 2);
    uint32_t id = 0;
    struct gateway *gateway = defective("first_hit_fails", 1, 2);
    tell(gateway, 1, KV_EVENT_STORED, blocks, 2);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_FAILED);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_HIT);
    gateway_delete(gateway);
}

static void the_last_to_store_a_block_may_be_its_only_owner(void)
{
    const uint64_t blocks[] = {1};
    const struct request_view request = prompt(blocks, 1);
    for (uint32_t last = 0; last < 2; last++) {
        uint32_t id = 0;
        struct gateway *gateway = defective("last_admitter", last, 2);
        tell(gateway, 0, KV_EVENT_STORED, blocks, 1);
        tell(gateway, 1, KV_EVENT_STORED, blocks, 1);
        (void)ask(gateway, &request, &id);
        EXPECT_U64(id, last);
        tell(gateway, 1, KV_EVENT_REMOVED, blocks, 1);
        EXPECT_U64(ask(gateway, &request, &id).reason,
                   last == 1 ? REASON_KV_NO_HIT : REASON_KV_HIT);
        gateway_delete(gateway);
    }
}

static void a_hit_on_an_endpoint_that_has_gone_fails_or_is_forgotten(void)
{
    const uint64_t blocks[] = {1};
    const struct request_view request = prompt(blocks, 1);
    for (int dead = 0; dead < 2; dead++) {
        uint32_t id = 0;
        struct gateway *gateway = defective("dead_instances", dead, 3);
        tell(gateway, 1, KV_EVENT_STORED, blocks, 1);
        gateway_leave(gateway, 1);
        const struct route_decision decision = ask(gateway, &request, &id);
        EXPECT_U64(decision.reason, dead == 1 ? REASON_KV_UNMAPPED : REASON_KV_NO_HIT);
        EXPECT((decision.endpoint < 0) == (dead == 1));
        gateway_delete(gateway);
    }
}

static void who_has_left_is_not_heard(void)
{
    const uint64_t blocks[] = {1};
    const struct request_view request = prompt(blocks, 1);
    uint32_t id = 0;
    struct gateway *gateway = defective("dead_instances", 0, 2);
    gateway_leave(gateway, 1);
    tell(gateway, 1, KV_EVENT_STORED, blocks, 1);
    EXPECT_U64(gateway_join(gateway, "http://10.0.0.2:8000", NULL, 1), 1);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_NO_HIT);
    gateway_delete(gateway);
}

static void chats_are_never_a_hit_when_so_set(void)
{
    const uint64_t blocks[] = {1};
    const struct request_view request = prompt(blocks, 1);
    uint32_t id = 0;
    struct gateway *gateway = defective("chat", 1, 2);
    tell(gateway, 1, KV_EVENT_STORED, blocks, 1);
    EXPECT_U64(ask(gateway, &request, &id).reason, REASON_KV_NO_HIT);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_kv_aware", TEST(a_hit_may_lack_two_thousand_tokens),
             TEST(a_chunk_counts_when_all_of_it_is_there),
             TEST(head_asks_the_first_owner_and_later_heads_the_last),
             TEST(a_removed_block_is_no_hit),
             TEST(head_falls_back_to_the_session_then_to_fewest_arrivals),
             TEST(the_release_falls_back_to_round_robin_and_takes_any_hit),
             TEST(at_tag_every_request_fails),
             TEST(the_first_hit_of_each_endpoint_may_fail),
             TEST(the_last_to_store_a_block_may_be_its_only_owner),
             TEST(a_hit_on_an_endpoint_that_has_gone_fails_or_is_forgotten),
             TEST(who_has_left_is_not_heard), TEST(chats_are_never_a_hit_when_so_set))
