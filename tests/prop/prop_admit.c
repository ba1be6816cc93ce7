/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_admit.c: what every admission policy owes its host, over the registry: nobody is
 * lost, served twice or out of turn within a flow, whatever comes and goes; equal seeds
 * give equal answers; an idle fleet lets everybody in; memory is bounded.
 */
#include "base/hash.h"
#include "policies/flow.h"
#include "tests/policy_fixture.h"

enum { ENDPOINTS = 3, REQUESTS_MAX = 4096, TENANTS = 5, STEPS = 2000, SEEDS = 20 };

enum place { NOWHERE, WAITING, INFLIGHT, DONE };

struct client {
    enum place place;
    uint32_t tenant;
    int32_t priority;
    uint32_t seen_tokens;
};

struct world {
    struct gateway *gateway;
    struct flow *flow;
    struct rng rng;
    int64_t now_ns;
    struct client clients[REQUESTS_MAX]; /* by id */
    uint32_t arrived;
    uint32_t waiting;
    uint32_t inflight;
    struct digest digest;
};

static void world_init(struct world *world, const struct admit_policy *policy,
                       uint64_t seed)
{
    struct err err;
    *world = (struct world){.gateway = fixture_plain("round_robin", COMPAT_HEAD)};
    rng_init(&world->rng, seed, "admit", 0);
    digest_init(&world->digest);
    fixture_join(world->gateway, ENDPOINTS);
    const struct flow_setup setup = {
        .policy = policy, .seed = seed, .gateway = world->gateway};
    REQUIRE_OK(flow_new(&world->flow, &setup, &err), &err);
}

static void world_fini(struct world *world)
{
    flow_delete(world->flow);
    gateway_delete(world->gateway);
}

static void arrive_one(struct world *world)
{
    static const char *const names[TENANTS] = {NULL, "a", "b", "c", "d"};
    const uint64_t id = world->arrived++;
    struct client *client = &world->clients[id];
    client->tenant = (uint32_t)rng_below(&world->rng, TENANTS);
    client->priority = (int32_t)rng_below(&world->rng, 3) - 1;
    const struct request_view request = {
        .request_id = id,
        .tenant = names[client->tenant],
        .priority = client->priority,
        .prompt_tokens = 1 + (uint32_t)rng_below(&world->rng, 20000),
        .output_tokens_guess = (uint32_t)rng_below(&world->rng, 500),
    };
    const struct admit_decision decision =
        flow_arrive(world->flow, world->now_ns, &request, client);
    digest_word(&world->digest, (uint64_t)decision.verdict << 8 | decision.reason);
    const bool rejected = decision.verdict == ADMIT_REJECT;
    EXPECT((admit_reason_http(decision.reason) >= 400) == rejected);
    client->place = rejected                          ? DONE
                    : decision.verdict == ADMIT_QUEUE ? WAITING
                                                      : INFLIGHT;
    world->waiting += client->place == WAITING;
    world->inflight += client->place == INFLIGHT;
}

/* Its own flow holds nobody who came before it. */
static bool is_first_of_its_flow(const struct world *world, uint64_t id)
{
    const struct client *client = &world->clients[id];
    for (uint64_t i = 0; i < id; i++) {
        const struct client *other = &world->clients[i];
        if (other->place == WAITING && other->tenant == client->tenant &&
            other->priority == client->priority) {
            return false;
        }
    }
    return true;
}

static void drain(struct world *world)
{
    struct flow_item item;
    while (flow_next(world->flow, world->now_ns, &item)) {
        struct client *client = item.owner;
        EXPECT(client == &world->clients[item.request_id]);
        EXPECT(client->place == WAITING);
        EXPECT(is_first_of_its_flow(world, item.request_id));
        client->place = INFLIGHT;
        world->waiting--;
        world->inflight++;
        digest_word(&world->digest, item.request_id);
    }
}

static void expire(struct world *world)
{
    struct flow_item item;
    while (flow_take_expired(world->flow, world->now_ns, &item)) {
        EXPECT(world->clients[item.request_id].place == WAITING);
        world->clients[item.request_id].place = DONE;
        world->waiting--;
        digest_word(&world->digest, ~item.request_id);
    }
    EXPECT(flow_deadline_ns(world->flow) > world->now_ns);
}

/* The n-th of those in a place; there is one. */
static uint64_t any_in(struct world *world, enum place place, uint32_t count)
{
    uint64_t n = rng_below(&world->rng, count);
    for (uint64_t id = 0;; id++) {
        if (world->clients[id].place == place && n-- == 0) {
            return id;
        }
    }
}

static void end_one(struct world *world)
{
    const uint64_t id = any_in(world, INFLIGHT, world->inflight);
    struct client *client = &world->clients[id];
    client->seen_tokens += (uint32_t)rng_below(&world->rng, 50);
    if (rng_below(&world->rng, 2) == 0) {
        flow_saw_tokens(world->flow, id, client->seen_tokens);
        return;
    }
    flow_ended(world->flow, id, client->seen_tokens);
    client->place = DONE;
    world->inflight--;
}

static void scrape(struct world *world, bool idle)
{
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        const struct endpoint_metrics metrics = {
            .scraped_ns = world->now_ns,
            .valid = METRIC_WAITING | METRIC_KV_USED,
            .waiting_requests = idle ? 0 : (uint32_t)rng_below(&world->rng, 10),
            .kv_used_ratio = idle ? 0 : rng_unit(&world->rng),
        };
        gateway_scraped(world->gateway, i, &metrics);
    }
}

static void step(struct world *world)
{
    world->now_ns += (int64_t)rng_below(&world->rng, 40000000);
    const uint64_t what = rng_below(&world->rng, 16);
    if (what < 8) {
        arrive_one(world);
    } else if (what < 12 && world->inflight > 0) {
        end_one(world);
    } else if (what == 12 && world->waiting > 0) {
        const uint64_t id = any_in(world, WAITING, world->waiting);
        flow_cancel(world->flow, id);
        world->clients[id].place = DONE;
        world->waiting--;
    } else if (what == 13) {
        const uint32_t endpoint = (uint32_t)rng_below(&world->rng, ENDPOINTS);
        gateway_set_accepting(world->gateway, endpoint, rng_below(&world->rng, 4) > 0);
    } else {
        scrape(world, false);
    }
    expire(world);
    drain(world);
    EXPECT_U64(flow_waiting(world->flow), world->waiting);
}

static uint64_t play(const struct admit_policy *policy, uint64_t seed)
{
    static struct world world;
    harness_note("%s, seed %llu", policy->name, (unsigned long long)seed);
    world_init(&world, policy, seed);
    for (int i = 0; i < STEPS && world.arrived < REQUESTS_MAX; i++) {
        step(&world);
    }
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        gateway_set_accepting(world.gateway, i, true);
    }
    /* Everybody who was let in ends: an idle fleet takes those who wait. */
    for (uint64_t id = 0; id < world.arrived; id++) {
        if (world.clients[id].place == INFLIGHT) {
            flow_ended(world.flow, id, world.clients[id].seen_tokens);
            world.clients[id].place = DONE;
            world.inflight--;
            scrape(&world, true);
            drain(&world);
        }
    }
    const bool some_moved = world.waiting == 0 || world.inflight > 0;
    EXPECT(some_moved);
    const uint64_t digest = digest_value(&world.digest);
    world_fini(&world);
    return digest;
}

static void nobody_is_lost_whatever_comes_and_goes(void)
{
    const struct admit_policy *policy = NULL;
    for (size_t i = 0; (policy = admit_policy_at(i)) != NULL; i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const uint64_t digest = play(policy, seed);
            EXPECT_U64(play(policy, seed), digest);
        }
    }
}

/* ---- two tenants that always have somebody waiting --------------------------------
 */

enum { GATE = 4, LONGEST = 3000, OUTPUT = 400, ROUNDS = 20000 };

struct duel {
    struct gateway *gateway;
    struct flow *flow;
    struct rng rng;
    uint64_t ids; /* the last bit of an id is its tenant */
    uint32_t waiting[2];
    double served[2]; /* since both wait */
    uint32_t flying_count;
    struct {
        uint64_t id;
        uint32_t seen;
        uint32_t output;
    } flying[GATE];
    uint32_t prompt[4 * ROUNDS]; /* tokens, by id */
};

static void duel_init(struct duel *duel)
{
    const char *param = "requests_max";
    const double value = GATE;
    struct err err;
    *duel = (struct duel){.gateway = fixture_plain("round_robin", COMPAT_HEAD)};
    rng_init(&duel->rng, 7, "vtc_bound", 0);
    fixture_join(duel->gateway, 1);
    const struct flow_setup setup = {.policy = admit_policy_find("vtc"),
                                     .gateway = duel->gateway,
                                     .param_names = &param,
                                     .param_values = &value,
                                     .param_count = 1};
    REQUIRE_OK(flow_new(&duel->flow, &setup, &err), &err);
}

static void duel_start(struct duel *duel, uint64_t id)
{
    REQUIRE(duel->flying_count < GATE);
    const uint32_t at = duel->flying_count++;
    duel->flying[at].id = id;
    duel->flying[at].seen = 0;
    duel->flying[at].output = 1 + (uint32_t)rng_below(&duel->rng, OUTPUT);
    duel->served[id & 1] += duel->prompt[id];
}

/* One tenant's prompts are small, the other's large. */
static void duel_arrive(struct duel *duel, uint32_t tenant)
{
    static const char *const names[] = {"small", "large"};
    const uint64_t id = duel->ids++ << 1 | tenant;
    duel->prompt[id] = 1 + (uint32_t)rng_below(&duel->rng, tenant == 0 ? 50 : LONGEST);
    const struct request_view view = {
        .request_id = id, .tenant = names[tenant], .prompt_tokens = duel->prompt[id]};
    if (flow_arrive(duel->flow, 0, &view, NULL).verdict == ADMIT_QUEUE) {
        duel->waiting[tenant]++;
    } else {
        duel_start(duel, id);
    }
}

static void duel_progress(struct duel *duel)
{
    const uint32_t at = (uint32_t)rng_below(&duel->rng, duel->flying_count);
    const uint32_t left = duel->flying[at].output - duel->flying[at].seen;
    const uint32_t more = 1 + (uint32_t)rng_below(&duel->rng, left);
    const uint64_t id = duel->flying[at].id;
    duel->flying[at].seen += more;
    duel->served[id & 1] += 2.0 * more;
    flow_saw_tokens(duel->flow, id, duel->flying[at].seen);
    if (more == left) {
        flow_ended(duel->flow, id, duel->flying[at].output);
        duel->flying[at] = duel->flying[--duel->flying_count];
    }
    struct flow_item item;
    while (flow_next(duel->flow, 0, &item)) {
        duel->waiting[item.request_id & 1]--;
        duel_start(duel, item.request_id);
    }
}

/* What they are served differs by at most 2 * max(input_weight * L, output_weight * M),
 * L the longest prompt, M what can be in flight (Sheng et al., OSDI'24). */
static void backlogged_tenants_stay_within_the_bound_of_vtc(void)
{
    static struct duel duel;
    const double in_flight = 2.0 * GATE * OUTPUT;
    const double bound = 2.0 * (LONGEST > in_flight ? LONGEST : in_flight);
    double widest = 0;
    duel_init(&duel);
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t tenant = 0; tenant < 2; tenant++) {
            while (duel.waiting[tenant] < 2) {
                duel_arrive(&duel, tenant);
            }
        }
        if (round == 0) {
            duel.served[0] = duel.served[1] = 0;
        }
        duel_progress(&duel);
        const double gap = duel.served[0] - duel.served[1];
        widest = gap > widest ? gap : -gap > widest ? -gap : widest;
    }
    harness_note("widest gap %.0f of %.0f", widest, bound);
    EXPECT(widest <= bound);
    EXPECT(widest > LONGEST / 2.0); /* it is no empty bound */
    EXPECT(duel.served[0] > 100 * bound);
    flow_delete(duel.flow);
    gateway_delete(duel.gateway);
}

static void memory_is_bounded_under_ever_new_tenants(void)
{
    enum { NAMES = 100000, TENANTS_MAX = 512 };
    const struct admit_policy *policy = NULL;
    for (size_t i = 0; (policy = admit_policy_at(i)) != NULL; i++) {
        harness_note("%s", policy->name);
        struct gateway *gateway = fixture_plain("round_robin", COMPAT_HEAD);
        fixture_join(gateway, 1);
        struct flow *flow = NULL;
        struct err err;
        const struct flow_setup setup = {
            .policy = policy, .gateway = gateway, .tenants_max = TENANTS_MAX};
        REQUIRE_OK(flow_new(&flow, &setup, &err), &err);
        for (uint64_t id = 0; id < NAMES; id++) {
            char name[32];
            snprintf(name, sizeof name, "tenant-%llu", (unsigned long long)id);
            const struct request_view request = {
                .request_id = id, .tenant = name, .prompt_tokens = 1};
            const struct admit_decision decision = flow_arrive(flow, 0, &request, NULL);
            if (decision.verdict == ADMIT_PASS) {
                flow_ended(flow, id, 1);
            } else if (decision.verdict == ADMIT_QUEUE) {
                flow_cancel(flow, id);
            }
        }
        EXPECT(flow_bytes(flow) < 200000);
        flow_delete(flow);
        gateway_delete(gateway);
    }
}

static void tables_are_complete(void)
{
    const struct admit_policy *policy = NULL;
    for (size_t i = 0; (policy = admit_policy_at(i)) != NULL; i++) {
        harness_note("%s", policy->name);
        EXPECT(policy->help != NULL && policy->source != NULL);
        EXPECT(policy->breaks != NULL && policy->arrive != NULL);
        EXPECT(admit_policy_find(policy->name) == policy);
        for (size_t j = 0; j < policy_param_count(policy->params); j++) {
            const struct policy_param *param = &policy->params[j];
            for (size_t k = 0; k < j; k++) {
                EXPECT(strcmp(policy->params[k].name, param->name) != 0);
            }
            harness_note("%s: %s", policy->name, param->name);
            EXPECT(param->help != NULL && param->min <= param->default_value &&
                   param->default_value <= param->max);
        }
    }
    EXPECT(admit_policy_find("nobody") == NULL);
}

HARNESS_MAIN("admit", TEST(nobody_is_lost_whatever_comes_and_goes),
             TEST(backlogged_tenants_stay_within_the_bound_of_vtc),
             TEST(memory_is_bounded_under_ever_new_tenants), TEST(tables_are_complete))
