/* SPDX-License-Identifier: Apache-2.0
 *
 * AIBrix prefix cache: the bound on a holder, the gate, and the order among holders.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static const uint64_t prompt_blocks[] = {1, 2, 3, 4};

static struct gateway *make(int endpoints)
{
    struct gateway *gateway = fixture_plain("prefix_stddev", COMPAT_HEAD);
    fixture_join(gateway, endpoints);
    return gateway;
}

static struct request_view prompt(uint64_t request_id, uint32_t count)
{
    return (struct request_view){.request_id = request_id,
                                 .block_hashes = prompt_blocks,
                                 .block_count = count,
                                 .prompt_tokens = 16 * count};
}

static void only(struct gateway *gateway, uint32_t id, uint32_t endpoints)
{
    for (uint32_t other = 0; other < endpoints; other++) {
        gateway_set_accepting(gateway, other, other == id);
    }
}

static void all(struct gateway *gateway, uint32_t endpoints)
{
    for (uint32_t id = 0; id < endpoints; id++) {
        gateway_set_accepting(gateway, id, true);
    }
}

/* One endpoint is sent so many blocks of the prompt, and has so many in flight. */
static void prepare(struct gateway *gateway, uint32_t id, uint32_t endpoints,
                    uint32_t blocks, uint32_t inflight)
{
    only(gateway, id, endpoints);
    const struct request_view sent = prompt(9999, blocks);
    EXPECT_U64(fixture_send(gateway, 0, &sent), id);
    for (uint32_t i = 0; i < inflight; i++) {
        const struct request_view request = {.request_id = 100 * id + i};
        EXPECT_U64(fixture_open(gateway, 0, &request), id);
    }
    all(gateway, endpoints);
}

static struct route_decision ask(struct gateway *gateway, uint32_t *id)
{
    const struct request_view request = prompt(10000, 4);
    return gateway_route(gateway, 0, &request, id);
}

/* In flight 4, 0, 0, 0: mean 1, deviation 2 (n - 1 form: squares 9 + 3 over 3), so the
 * bound is 3 and the holder with 4 is passed over. 3, 0, 0, 0: 0.75 + 1.5. 3, 1, 1, 1:
 * 1.5 + 1. With 3, 3, 0, 0 the bound is 1.5 + 1.73 = 3.23 and the holder is within. */
static void holder_must_stand_within_a_deviation(void)
{
    static const struct {
        uint32_t inflight[4];
        bool within;
    } cases[] = {
        {{4, 0, 0, 0}, false}, {{3, 0, 0, 0}, false}, {{3, 1, 1, 1}, false},
        {{3, 3, 0, 0}, true},  {{0, 0, 0, 0}, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        harness_note("case %zu", c);
        struct gateway *gateway = make(4);
        for (uint32_t id = 0; id < 4; id++) {
            prepare(gateway, id, 4, id == 0 ? 4 : 0, cases[c].inflight[id]);
        }
        uint32_t id = 0;
        const struct route_decision decision = ask(gateway, &id);
        EXPECT((id == 0) == cases[c].within);
        EXPECT_U64(decision.reason, cases[c].within ? REASON_PREFIX : REASON_NO_PREFIX);
        EXPECT_U64(decision.matched_length, cases[c].within ? 4 : 0);
        gateway_delete(gateway);
    }
}

/* With a factor of 1.5 the bound of 4, 0, 0, 0 is 4. */
static void factor_widens_the_bound(void)
{
    const struct fixture_param factor = {"stddev_factor", 1.5};
    struct gateway *gateway = fixture_tuned("prefix_stddev", &factor, 1);
    fixture_join(gateway, 4);
    prepare(gateway, 0, 4, 4, 4);
    uint32_t id = 9;
    (void)ask(gateway, &id);
    EXPECT_U64(id, 0);
    gateway_delete(gateway);
}

static void longer_prefix_goes_before_fewer_requests(void)
{
    struct gateway *gateway = make(4);
    prepare(gateway, 0, 4, 3, 1);
    prepare(gateway, 1, 4, 4, 2); /* bound: 1.5 + 1.29 = 2.79 */
    prepare(gateway, 2, 4, 4, 3);
    prepare(gateway, 3, 4, 0, 0);
    uint32_t id = 9;
    const struct route_decision decision = ask(gateway, &id);
    EXPECT_U64(id, 1);
    EXPECT_U64(decision.matched_length, 4);
    EXPECT_U64(decision.candidates, 2);
    gateway_delete(gateway);
}

/* A gap of 8 is still balanced, 9 is not: then only who has the fewest is matched, even
 * with a shorter prefix. Endpoints 1 to 3 have as many as endpoint 0, so endpoint 0
 * stands within a deviation. */
static void gate_leaves_only_the_least_loaded(void)
{
    for (uint32_t gap = 8; gap <= 9; gap++) {
        struct gateway *gateway = make(4);
        prepare(gateway, 0, 4, 4, gap);
        prepare(gateway, 1, 4, 0, gap);
        prepare(gateway, 2, 4, 0, gap);
        prepare(gateway, 3, 4, 1, 0);
        uint32_t id = 9;
        const struct route_decision decision = ask(gateway, &id);
        EXPECT_U64(id, gap == 8 ? 0 : 3);
        EXPECT_U64(decision.matched_length, gap == 8 ? 4 : 1);
        gateway_delete(gateway);
    }
    struct gateway *gateway = make(2);
    prepare(gateway, 0, 2, 4, 9);
    uint32_t id = 9;
    EXPECT_U64(ask(gateway, &id).reason, REASON_IMBALANCED);
    EXPECT_U64(id, 1);
    gateway_delete(gateway);
}

/* Equal holders, equal load: half of 2000 each, standard deviation 22. */
static void equal_holders_are_drawn(void)
{
    struct gateway *gateway = make(3);
    prepare(gateway, 0, 3, 4, 0);
    prepare(gateway, 1, 3, 4, 0);
    uint32_t first = 0;
    for (int i = 0; i < 2000; i++) {
        uint32_t id = 9;
        (void)ask(gateway, &id);
        EXPECT(id < 2);
        first += id == 0;
        gateway_end(gateway, 0,
                    &(struct attempt_end){
                        .request_id = 10000, .endpoint_id = id, .prompt_tokens = 64});
    }
    EXPECT_NEAR(first, 1000, 110);
    gateway_delete(gateway);
}

HARNESS_MAIN("route_prefix_stddev", TEST(holder_must_stand_within_a_deviation),
             TEST(factor_widens_the_bound),
             TEST(longer_prefix_goes_before_fewer_requests),
             TEST(gate_leaves_only_the_least_loaded), TEST(equal_holders_are_drawn))
