/* SPDX-License-Identifier: Apache-2.0
 *
 * What every policy of the registry must keep, whatever it decides: a random life of a
 * fleet, with endpoints that join, leave, come back and fall ill between requests that
 * end in every way. A new policy is tested here before its author writes a test.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "policies/gateway.h"
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { URLS = 12, SLOTS = 8, OPEN_MAX = 24, STEPS = 400, SEEDS = 60, CHUNKS = 6 };

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
    if (!EXPECT(decision->endpoint >= 0) || !EXPECT(endpoint_id < SLOTS)) {
        return false;
    }
    const uint32_t url = url_of(fleet, endpoint_id);
    return EXPECT(fleet->accepting[url]) &&
           EXPECT(request->model == NULL || request->model[0] == model_of(url)[0]) &&
           EXPECT(decision->candidates >= 1 && decision->candidates <= candidates) &&
           EXPECT(decision->reason != REASON_NONE);
}

static bool send(struct fleet *fleet)
{
    static const char *const keys[] = {NULL, "", "alice", "bob", "carol"};
    static const char *const models[] = {NULL, "A", "B", "nobody serves this"};
    uint64_t chunks[CHUNKS];
    for (int i = 0; i < CHUNKS; i++) {
        chunks[i] = rng_below(&fleet->rng, 2);
    }
    const struct request_view request = {
        .request_id = fleet->next_request++,
        .arrival_ns = fleet->now_ns,
        .session_key = keys[rng_below(&fleet->rng, 5)],
        .model = models[rng_below(&fleet->rng, 4)],
        .prompt_tokens = 1 + (uint32_t)rng_below(&fleet->rng, 100),
        .chunk_hashes = chunks,
        .chunk_count = (uint32_t)rng_below(&fleet->rng, CHUNKS + 1),
        .block_hashes = chunks,
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
    switch (rng_below(&fleet->rng, 8)) {
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
    case 5:
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
    const struct gateway_setup setup = {
        .policy = policy, .compat = compat, .seed = seed, .endpoints_max = SLOTS};
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
             TEST(same_seed_gives_the_same_picks))
