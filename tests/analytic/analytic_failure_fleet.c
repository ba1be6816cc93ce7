/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of the failure-mode matrix of spec/policies.md 13.9 in which the fleet
 * itself changes: eight endpoints become sixteen at once, one endpoint fails fast, the
 * router restarts. A gateway and endpoints that hold each request for a second stand
 * for the fleet: what matters here is who is chosen, not how long a step takes.
 *
 * A policy that is added later adds its rows.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS_MAX = 16, CLIENTS = 400, BLOCKS = 20, OPEN_MAX = 1024 };
static const int64_t second_ns = 1000000000;

struct open_request {
    uint64_t request_id;
    uint32_t endpoint_id;
    int64_t end_ns;
    bool fails;
};

/* Requests of CLIENTS clients, each with a prompt and a session of its own, evenly
 * spaced and in random order. */
struct fleet {
    struct gateway *gateway;
    struct rng rng;
    int64_t now_ns;
    int64_t gap_ns;
    uint64_t next_request;
    struct open_request open[OPEN_MAX]; /* in order of their end */
    uint32_t open_count;
    uint32_t failing_id;       /* answers at once with an error; none: UINT32_MAX */
    uint32_t failures;         /* since the endpoint was let in */
    uint32_t breaker_failures; /* so many take it out; 0 = never */
    uint32_t sent[ENDPOINTS_MAX];
    uint32_t home[CLIENTS]; /* where the client's last request went, plus 1 */
    uint32_t moved;         /* requests of known clients that went elsewhere */
};

static void join(struct fleet *fleet, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char url[32];
        snprintf(url, sizeof url, "http://e%02u:8000", i);
        EXPECT_U64(gateway_join(fleet->gateway, url, NULL, 1), i);
    }
}

static struct fleet make(const char *policy, uint32_t endpoints, int64_t gap_ns)
{
    struct fleet fleet = {
        .gateway = fixture_plain(policy, COMPAT_HEAD),
        .gap_ns = gap_ns,
        .failing_id = UINT32_MAX,
    };
    rng_init(&fleet.rng, 1, "failure_fleet", 0);
    join(&fleet, 0, endpoints);
    return fleet;
}

static void end_due(struct fleet *fleet, int64_t until_ns)
{
    while (fleet->open_count > 0 && fleet->open[0].end_ns <= until_ns) {
        const struct open_request open = fleet->open[0];
        fleet->open_count--;
        memmove(fleet->open, fleet->open + 1,
                fleet->open_count * sizeof fleet->open[0]);
        if (!open.fails) {
            gateway_first_token(fleet->gateway, open.end_ns, open.request_id,
                                open.endpoint_id, 16 * BLOCKS);
        }
        gateway_end(fleet->gateway, open.end_ns,
                    &(struct attempt_end){
                        .request_id = open.request_id,
                        .endpoint_id = open.endpoint_id,
                        .prompt_tokens = 16 * BLOCKS,
                        .how = open.fails ? ATTEMPT_ABORTED : ATTEMPT_COMPLETED,
                        .had_first_token = !open.fails,
                        .output_tokens = open.fails ? 0 : 10,
                    });
        fleet->failures += open.fails;
        if (open.fails && fleet->failures == fleet->breaker_failures) {
            gateway_set_accepting(fleet->gateway, open.endpoint_id, false);
        }
    }
}

static void hold(struct fleet *fleet, uint32_t endpoint_id, uint64_t request_id)
{
    const bool fails = endpoint_id == fleet->failing_id;
    const struct open_request open = {
        .request_id = request_id,
        .endpoint_id = endpoint_id,
        .end_ns = fleet->now_ns + (fails ? second_ns / 1000 : second_ns),
        .fails = fails,
    };
    REQUIRE(fleet->open_count < OPEN_MAX);
    uint32_t at = fleet->open_count++;
    while (at > 0 && fleet->open[at - 1].end_ns > open.end_ns) {
        fleet->open[at] = fleet->open[at - 1];
        at--;
    }
    fleet->open[at] = open;
}

static void send_one(struct fleet *fleet)
{
    uint64_t hashes[BLOCKS];
    char session[16];
    const uint32_t client = (uint32_t)rng_below(&fleet->rng, CLIENTS);
    uint64_t hash = client + 1;
    for (int i = 0; i < BLOCKS; i++) {
        hash = hash_pair(hash, 1);
        hashes[i] = hash;
    }
    snprintf(session, sizeof session, "client%u", client);
    fleet->now_ns += fleet->gap_ns;
    end_due(fleet, fleet->now_ns);
    const struct request_view request = {
        .request_id = fleet->next_request++,
        .arrival_ns = fleet->now_ns,
        .session_key = session,
        .prompt_tokens = 16 * BLOCKS,
        .chunk_hashes = hashes,
        .chunk_count = BLOCKS,
        .block_hashes = hashes,
        .block_count = BLOCKS,
        .block_tokens = 16,
    };
    uint32_t id = UINT32_MAX;
    (void)gateway_route(fleet->gateway, fleet->now_ns, &request, &id);
    REQUIRE(id < ENDPOINTS_MAX);
    fleet->sent[id]++;
    fleet->moved += fleet->home[client] != 0 && fleet->home[client] != id + 1;
    fleet->home[client] = id + 1;
    hold(fleet, id, request.request_id);
}

static void send(struct fleet *fleet, uint32_t requests)
{
    memset(fleet->sent, 0, sizeof fleet->sent);
    fleet->moved = 0;
    for (uint32_t i = 0; i < requests; i++) {
        send_one(fleet);
    }
}

static void fini(struct fleet *fleet)
{
    end_due(fleet, INT64_MAX);
    gateway_delete(fleet->gateway);
}

enum expectation { HOLDS, BREAKS };
struct row {
    const char *policy;
    enum expectation expected;
};

static void judge(const struct row *row, const char *what, double got, double holds_to,
                  double breaks_from)
{
    printf("%-24s %s: %.3f\n", row->policy, what, got);
    harness_note("%s should %s: %g", row->policy,
                 row->expected == BREAKS ? "break" : "hold", got);
    EXPECT(row->expected == BREAKS ? got >= breaks_from : got <= holds_to);
}

/* 160 requests are in flight, 20 on each of eight. Of the next 80, while the eight new
 * ones fill up to ten each, an even share is half. The minimum sends all of them there.
 */
static void a_doubled_fleet_draws_a_rush_to_the_new_ones(void)
{
    static const struct row rows[] = {
        {"least_request", BREAKS}, {"least_work", BREAKS},  {"random", HOLDS},
        {"round_robin", HOLDS},    {"power_of_d", HOLDS},   {"weighted_sum", HOLDS},
        {"session", HOLDS},        {"rendezvous", HOLDS},   {"lmetric", HOLDS},
        {"cache_aware", HOLDS},    {"prefix_aware", HOLDS}, {"preble_e2", HOLDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fleet fleet = make(rows[i].policy, 8, second_ns / 160);
        send(&fleet, 4000);
        join(&fleet, 8, 16);
        send(&fleet, 80);
        uint32_t rush = 0;
        for (uint32_t id = 8; id < 16; id++) {
            rush += fleet.sent[id];
        }
        judge(&rows[i], "part of the next arrivals to the new half", rush / 80.0, 0.9,
              0.99);
        fini(&fleet);
    }
}

/* Part of the next 400 requests that meet another endpoint, and a cold cache, than
 * their client's last one did. Some 253 of the 400 clients show up; hashing moves half
 * of them, once: 0.32. What remembers who was sent what moves only whom the load tells
 * it to. */
static void a_doubled_fleet_costs_hashing_half_of_its_hits(void)
{
    static const struct row rows[] = {
        {"session", BREAKS},     {"ring_hash", BREAKS},     {"rendezvous", BREAKS},
        {"maglev", BREAKS},      {"cache_aware", HOLDS},    {"prefix_aware", HOLDS},
        {"weighted_sum", HOLDS}, {"prefix_stddev", BREAKS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fleet fleet = make(rows[i].policy, 8, second_ns / 160);
        send(&fleet, 4000);
        join(&fleet, 8, 16);
        send(&fleet, 400);
        judge(&rows[i], "clients that moved", fleet.moved / 400.0, 0.1, 0.2);
        fini(&fleet);
    }
}

/* One of eight answers each request after a millisecond with an error. An even share is
 * 0.125; of two drawn it is the lighter one, so it gets a quarter. A circuit breaker
 * that ten failures open stands for the remedy: then ten are lost, and one under way.
 */
static void an_endpoint_that_fails_fast_looks_idle(void)
{
    static const struct row rows[] = {
        {"least_request", BREAKS}, {"least_work", BREAKS}, {"lmetric", BREAKS},
        {"power_of_d", HOLDS},     {"random", HOLDS},      {"round_robin", HOLDS},
        {"session", HOLDS},        {"ring_hash", HOLDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fleet fleet = make(rows[i].policy, 8, second_ns / 160);
        fleet.failing_id = 3;
        send(&fleet, 4000);
        judge(&rows[i], "part of the requests that failed", fleet.sent[3] / 4000.0, 0.3,
              0.8);
        fini(&fleet);
        fleet = make(rows[i].policy, 8, second_ns / 160);
        fleet.failing_id = 3;
        fleet.breaker_failures = 10;
        send(&fleet, 4000);
        EXPECT(fleet.sent[3] <= 11);
        fini(&fleet);
    }
}

/* A second router of the same policy takes over: what was learnt is gone, what is
 * computed from the key is not. Seven in eight of the clients that show up move: 0.55.
 */
static void a_restarted_router_forgets_what_it_learnt(void)
{
    static const struct row rows[] = {
        {"cache_aware", BREAKS}, {"prefix_aware", BREAKS}, {"weighted_sum", BREAKS},
        {"lmetric", BREAKS},     {"session", HOLDS},       {"ring_hash", HOLDS},
        {"rendezvous", HOLDS},   {"maglev", HOLDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fleet fleet = make(rows[i].policy, 8, second_ns / 160);
        send(&fleet, 4000);
        end_due(&fleet, INT64_MAX / 2);
        gateway_delete(fleet.gateway);
        fleet.gateway = fixture_gateway(rows[i].policy, COMPAT_HEAD, 2,
                                        (struct fixture_param){.name = NULL});
        join(&fleet, 0, 8);
        send(&fleet, 400);
        judge(&rows[i], "clients that moved after a restart", fleet.moved / 400.0, 0.01,
              0.4);
        fini(&fleet);
    }
}

HARNESS_MAIN("analytic.failure_fleet",
             TEST(a_doubled_fleet_draws_a_rush_to_the_new_ones),
             TEST(a_doubled_fleet_costs_hashing_half_of_its_hits),
             TEST(an_endpoint_that_fails_fast_looks_idle),
             TEST(a_restarted_router_forgets_what_it_learnt))
