/* SPDX-License-Identifier: Apache-2.0
 *
 * What every policy of the registry must keep, whatever it decides: a random life of a
 * fleet, with endpoints that join, leave, come back, fall ill and report what they like
 * between requests that end in every way. A new policy is tested here before its author
 * writes a test. Memory is in prop_policy_memory.c.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "policies/gateway.h"
#include "tests/fake_oracle.h"
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { URLS = 12, SLOTS = 8, OPEN_MAX = 24, STEPS = 400, SEEDS = 60 };
enum { CHUNKS = 6, ADAPTERS = 3 };

static const enum compat compat_levels[] = {COMPAT_TAG, COMPAT_TAG_FIXED, COMPAT_HEAD};

struct open_request {
    uint64_t request_id;
    uint32_t endpoint_id;
    uint32_t prompt_tokens;
    bool had_first_token;
};

struct fleet {
    struct rng rng;
    struct gateway *gateway;
    bool member[URLS];
    bool accepting[URLS];
    uint32_t id[URLS];
    struct open_request open[OPEN_MAX];
    uint32_t open_count;
    uint32_t inflight[SLOTS]; /* by endpoint id */
    uint64_t next_request;
    int64_t now_ns;
    struct digest digest; /* of the decisions */
    uint64_t logged;
    uint64_t active[SLOTS]; /* the one adapter of each endpoint */
    struct endpoint_adapters adapters[SLOTS];
    uint64_t message; /* of engines */
};

static const char *model_of(uint32_t url)
{
    return url % 3 == 0 ? "B" : "A";
}

static uint32_t url_of(const struct fleet *fleet, uint32_t endpoint_id)
{
    uint32_t url = 0;
    while (!(fleet->member[url] && fleet->id[url] == endpoint_id)) {
        url++;
    }
    return url;
}

/* More urls than ids, so some are forgotten; an id is free for another url when nobody
 * has it and nothing is in flight there. */
static bool has_room(const struct fleet *fleet)
{
    bool taken[SLOTS] = {false};
    for (uint32_t url = 0; url < URLS; url++) {
        if (fleet->member[url]) {
            taken[fleet->id[url]] = true;
        }
    }
    for (uint32_t id = 0; id < SLOTS; id++) {
        if (!taken[id] && fleet->inflight[id] == 0) {
            return true;
        }
    }
    return false;
}

static void join_or_leave(struct fleet *fleet)
{
    const uint32_t url = (uint32_t)rng_below(&fleet->rng, URLS);
    if (fleet->member[url]) {
        gateway_leave(fleet->gateway, fleet->id[url]);
        fleet->member[url] = false;
        return;
    }
    if (!has_room(fleet)) {
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "http://e%u", url);
    fleet->id[url] = gateway_join(fleet->gateway, text, model_of(url), 1);
    fleet->member[url] = true;
    fleet->accepting[url] = true;
}

static void change_health(struct fleet *fleet)
{
    const uint32_t url = (uint32_t)rng_below(&fleet->rng, URLS);
    if (fleet->member[url]) {
        fleet->accepting[url] = !fleet->accepting[url];
        gateway_set_accepting(fleet->gateway, fleet->id[url], fleet->accepting[url]);
    }
}

static uint32_t count_candidates(const struct fleet *fleet, const char *model)
{
    uint32_t count = 0;
    for (uint32_t url = 0; url < URLS; url++) {
        count += fleet->member[url] && fleet->accepting[url] &&
                 (model == NULL || model[0] == model_of(url)[0]);
    }
    return count;
}

static bool valid_choice(const struct fleet *fleet, const struct request_view *request,
                         const struct route_decision *decision, uint32_t endpoint_id)
{
    const uint32_t candidates = count_candidates(fleet, request->model);
    if (candidates == 0) {
        return EXPECT_I64(decision->endpoint, -1) &&
               EXPECT_U64(decision->reason, REASON_NONE);
    }
    if (decision->reason == REASON_FAILED || decision->reason == REASON_KV_UNMAPPED) {
        return EXPECT_I64(decision->endpoint, -1);
    }
    if (!EXPECT(decision->endpoint >= 0) || !EXPECT(endpoint_id < SLOTS)) {
        return false;
    }
    const uint32_t url = url_of(fleet, endpoint_id);
    return EXPECT(fleet->accepting[url]) &&
           EXPECT(request->model == NULL || request->model[0] == model_of(url)[0]) &&
           EXPECT(decision->candidates >= 1 && decision->candidates <= candidates) &&
           EXPECT(decision->reason != REASON_NONE);
}

/* Chained hashes of the chunks: few first blocks, so that prompts share prefixes. */
static void chain(const uint64_t chunks[CHUNKS], uint64_t blocks[CHUNKS])
{
    uint64_t hash = 0;
    for (int i = 0; i < CHUNKS; i++) {
        hash = hash_pair(hash, chunks[i]);
        blocks[i] = hash;
    }
}

static uint32_t any_member(struct fleet *fleet)
{
    const uint32_t url = (uint32_t)rng_below(&fleet->rng, URLS);
    return fleet->member[url] ? fleet->id[url] : UINT32_MAX;
}

/* Any fields may be missing; an engine may be empty, full, or have no cache. */
static void scrape(struct fleet *fleet)
{
    const uint32_t id = any_member(fleet);
    if (id == UINT32_MAX) {
        return;
    }
    fleet->active[id] = 1 + rng_below(&fleet->rng, ADAPTERS);
    fleet->adapters[id] = (struct endpoint_adapters){
        .active = &fleet->active[id],
        .active_count = (uint32_t)rng_below(&fleet->rng, 2),
        .waiting = &fleet->active[id],
        .waiting_count = (uint32_t)rng_below(&fleet->rng, 2),
        .max = (uint32_t)rng_below(&fleet->rng, 3),
    };
    const struct endpoint_metrics metrics = {
        .scraped_ns = fleet->now_ns,
        .valid = (uint32_t)rng_below(&fleet->rng, METRIC_ADAPTERS << 1),
        .running_requests = (uint32_t)rng_below(&fleet->rng, 10),
        .waiting_requests = (uint32_t)rng_below(&fleet->rng, 200),
        .kv_used_ratio = (double)rng_below(&fleet->rng, 5) / 4,
        .kv_total_blocks = (uint32_t)rng_below(&fleet->rng, 20),
        .adapters = &fleet->adapters[id],
    };
    gateway_scraped(fleet->gateway, id, &metrics);
}

/* Messages that get lost, blocks that are removed and never were stored. */
static void report_cache(struct fleet *fleet)
{
    const uint32_t id = any_member(fleet);
    if (id == UINT32_MAX) {
        return;
    }
    uint64_t chunks[CHUNKS];
    uint64_t blocks[CHUNKS];
    for (int i = 0; i < CHUNKS; i++) {
        chunks[i] = rng_below(&fleet->rng, 2);
    }
    chain(chunks, blocks);
    const uint32_t first = (uint32_t)rng_below(&fleet->rng, CHUNKS);
    fleet->message += rng_below(&fleet->rng, 3);
    struct kv_event event = {
        .kind = (enum kv_event_kind)rng_below(&fleet->rng, 3),
        .message = fleet->message,
        .parent = first > 0 ? blocks[first - 1] : 0,
    };
    if (event.kind != KV_EVENT_CLEARED) {
        event.blocks = blocks + first;
        event.block_count = 1 + (uint32_t)rng_below(&fleet->rng, CHUNKS - first);
    }
    gateway_kv_event(fleet->gateway, fleet->now_ns, id, &event);
}

static bool send(struct fleet *fleet)
{
    static const char *const keys[] = {NULL, "", "alice", "bob", "carol"};
    static const char *const models[] = {NULL, "A", "B", "nobody serves this"};
    uint64_t chunks[CHUNKS];
    uint64_t blocks[CHUNKS];
    for (int i = 0; i < CHUNKS; i++) {
        chunks[i] = rng_below(&fleet->rng, 2);
    }
    chain(chunks, blocks);
    const struct request_view request = {
        .request_id = fleet->next_request++,
        .arrival_ns = fleet->now_ns,
        .session_key = keys[rng_below(&fleet->rng, 5)],
        .model = models[rng_below(&fleet->rng, 4)],
        .prompt_tokens = 1 + (uint32_t)rng_below(&fleet->rng, 100),
        .output_tokens_max = (uint32_t)rng_below(&fleet->rng, 2) * 50,
        .output_tokens_guess = (uint32_t)rng_below(&fleet->rng, 3) * 10,
        .priority = (int32_t)rng_below(&fleet->rng, 3) - 1,
        .chunk_hashes = chunks,
        .chunk_count = (uint32_t)rng_below(&fleet->rng, CHUNKS + 1),
        .block_hashes = blocks,
        .block_count = (uint32_t)rng_below(&fleet->rng, CHUNKS + 1),
        .block_tokens = (uint32_t)rng_below(&fleet->rng, 2) * 16,
        .adapter = rng_below(&fleet->rng, ADAPTERS + 1),
    };
    uint32_t id = UINT32_MAX;
    const struct route_decision decision =
        gateway_route(fleet->gateway, fleet->now_ns, &request, &id);
    if (!valid_choice(fleet, &request, &decision, id)) {
        return false;
    }
    digest_word(&fleet->digest, (uint64_t)(int64_t)decision.endpoint);
    digest_word(&fleet->digest, decision.reason);
    digest_word(&fleet->digest, decision.matched_length);
    if (decision.endpoint >= 0) {
        fleet->open[fleet->open_count++] =
            (struct open_request){request.request_id, id, request.prompt_tokens, false};
        fleet->inflight[id]++;
    }
    return true;
}

static void give_first_token(struct fleet *fleet)
{
    struct open_request *open = &fleet->open[rng_below(&fleet->rng, fleet->open_count)];
    if (!open->had_first_token) {
        open->had_first_token = true;
        gateway_first_token(fleet->gateway, fleet->now_ns, open->request_id,
                            open->endpoint_id, open->prompt_tokens);
    }
}

static void end_one(struct fleet *fleet)
{
    const uint64_t at = rng_below(&fleet->rng, fleet->open_count);
    const struct open_request open = fleet->open[at];
    fleet->open[at] = fleet->open[--fleet->open_count];
    fleet->inflight[open.endpoint_id]--;
    const struct attempt_end end = {
        .request_id = open.request_id,
        .endpoint_id = open.endpoint_id,
        .prompt_tokens = open.prompt_tokens,
        .how = (enum attempt_how)rng_below(&fleet->rng, 3),
        .had_first_token = open.had_first_token,
    };
    gateway_end(fleet->gateway, fleet->now_ns, &end);
}

static bool counters_hold(const struct fleet *fleet)
{
    bool same = true;
    for (uint32_t url = 0; same && url < URLS; url++) {
        if (fleet->member[url]) {
            const struct endpoint_view *view =
                gateway_endpoint(fleet->gateway, fleet->id[url]);
            same = EXPECT_U64(view->inflight_requests, fleet->inflight[view->id]) &&
                   EXPECT_U64((uint64_t)view->inflight_prefill + view->inflight_decode,
                              view->inflight_requests);
        }
    }
    return same;
}

static bool step(struct fleet *fleet)
{
    fleet->now_ns += (int64_t)rng_below(&fleet->rng, 3000000000);
    switch (rng_below(&fleet->rng, 10)) {
    case 0:
        join_or_leave(fleet);
        break;
    case 1:
        change_health(fleet);
        break;
    case 2:
    case 3:
        if (fleet->open_count > 0) {
            give_first_token(fleet);
        }
        break;
    case 4:
        scrape(fleet);
        break;
    case 5:
        report_cache(fleet);
        break;
    case 6:
    case 7:
        while (fleet->open_count > 0 && rng_below(&fleet->rng, 4) > 0) {
            end_one(fleet);
        }
        break;
    default:
        return fleet->open_count == OPEN_MAX || send(fleet);
    }
    return counters_hold(fleet);
}

static void count_row(void *context, const struct decision_row *row)
{
    struct fleet *fleet = context;
    fleet->logged++;
    EXPECT((row->decision.endpoint < 0) == (row->endpoint == NULL));
}

/* One life; returns the digest of its decisions. */
static uint64_t live(const struct route_policy *policy, enum compat compat,
                     uint64_t seed)
{
    struct fleet fleet = {0};
    struct err err;
    const struct gateway_setup setup = {.policy = policy,
                                        .compat = compat,
                                        .seed = seed,
                                        .endpoints_max = SLOTS,
                                        .oracle = &fake_oracle};
    harness_note("policy %s, compat %d, seed %llu", policy->name, (int)compat,
                 (unsigned long long)seed);
    REQUIRE_OK(gateway_new(&fleet.gateway, &setup, &err), &err);
    const struct decision_sink sink = {.context = &fleet, .on_decision = count_row};
    gateway_log_to(fleet.gateway, &sink);
    rng_init(&fleet.rng, seed, "prop_policies", 0);
    digest_init(&fleet.digest);
    bool holds = true;
    for (int i = 0; holds && i < STEPS; i++) {
        holds = step(&fleet);
    }
    while (fleet.open_count > 0) {
        end_one(&fleet);
    }
    EXPECT_U64(fleet.logged, fleet.next_request);
    EXPECT(gateway_policy_bytes(fleet.gateway) >= policy->state_bytes);
    gateway_delete(fleet.gateway);
    return digest_value(&fleet.digest);
}

static void no_policy_picks_an_endpoint_that_does_not_accept(void)
{
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            (void)live(policy, compat_levels[seed % 3], seed);
        }
    }
}

static void same_seed_gives_the_same_picks(void)
{
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        for (size_t level = 0; level < 3; level++) {
            EXPECT_U64(live(policy, compat_levels[level], 7),
                       live(policy, compat_levels[level], 7));
        }
    }
}

/* ---- the host's side of the contract -------------------------------------------- */

/* Knows what is open, and is told of nothing else. */
struct witness {
    struct {
        uint64_t request_id;
        uint32_t endpoint_id;
        bool had_first_token;
    } open[OPEN_MAX];
    uint32_t count;
};

static uint32_t open_at(const struct witness *witness, uint64_t request_id,
                        uint32_t endpoint_id)
{
    uint32_t at = 0;
    while (at < witness->count && (witness->open[at].request_id != request_id ||
                                   witness->open[at].endpoint_id != endpoint_id)) {
        at++;
    }
    return at;
}

static struct route_decision witness_pick(void *state, const struct cluster_view *view,
                                          const struct request_view *request)
{
    (void)state;
    return (struct route_decision){
        .endpoint = (int32_t)(request->request_id % view->count),
        .reason = REASON_RANDOM,
        .candidates = view->count,
    };
}

static void witness_on_route(void *state, const struct cluster_view *view,
                             const struct request_view *request,
                             const struct route_decision *decision)
{
    struct witness *witness = state;
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    REQUIRE(witness->count < OPEN_MAX);
    EXPECT_U64(open_at(witness, request->request_id, id), witness->count);
    witness->open[witness->count].request_id = request->request_id;
    witness->open[witness->count].endpoint_id = id;
    witness->open[witness->count++].had_first_token = false;
}

static void witness_on_first_token(void *state, int64_t now_ns, uint64_t request_id,
                                   uint32_t endpoint_id)
{
    (void)now_ns;
    struct witness *witness = state;
    const uint32_t at = open_at(witness, request_id, endpoint_id);
    REQUIRE(at < witness->count);
    EXPECT(!witness->open[at].had_first_token);
    witness->open[at].had_first_token = true;
}

static void witness_on_end(void *state, int64_t now_ns, const struct attempt_end *end)
{
    (void)now_ns;
    struct witness *witness = state;
    const uint32_t at = open_at(witness, end->request_id, end->endpoint_id);
    REQUIRE(at < witness->count);
    EXPECT(witness->open[at].had_first_token == end->had_first_token);
    witness->open[at] = witness->open[--witness->count];
}

static void witness_fini(void *state)
{
    const struct witness *witness = state;
    EXPECT_U64(witness->count, 0);
}

static void every_on_route_is_followed_by_one_on_end(void)
{
    const struct route_policy policy = {
        .name = "witness",
        .state_bytes = sizeof(struct witness),
        .fini = witness_fini,
        .pick = witness_pick,
        .on_route = witness_on_route,
        .on_first_token = witness_on_first_token,
        .on_end = witness_on_end,
    };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        (void)live(&policy, COMPAT_HEAD, seed);
    }
}

static void every_entry_of_the_registry_is_complete(void)
{
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        harness_note("policy %s", policy->name);
        EXPECT(route_policy_find(policy->name) == policy);
        const char *const *alias = policy->aliases;
        while (alias != NULL && *alias != NULL) {
            EXPECT(route_policy_find(*alias++) == policy);
        }
        EXPECT(policy->help[0] != '\0' && policy->source[0] != '\0');
        EXPECT(policy->state_bytes > 0 && policy->pick != NULL);
        EXPECT(route_policy_param_count(policy) <= POLICY_PARAMS_MAX);
        const size_t count = route_policy_param_count(policy);
        for (size_t j = 0; j < count; j++) {
            const struct policy_param *param = &policy->params[j];
            EXPECT(param->min <= param->default_value &&
                   param->default_value <= param->max);
            EXPECT(param->help[0] != '\0');
            EXPECT(!param->defect || param->kind == PARAM_BOOL);
        }
    }
}

HARNESS_MAIN("prop.policies", TEST(every_entry_of_the_registry_is_complete),
             TEST(no_policy_picks_an_endpoint_that_does_not_accept),
             TEST(same_seed_gives_the_same_picks),
             TEST(every_on_route_is_followed_by_one_on_end))
