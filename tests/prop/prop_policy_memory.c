/* SPDX-License-Identifier: Apache-2.0
 *
 * Every policy of the registry holds bounded memory: prompts that never come again, and
 * requests that have ended, leave nothing behind. Peaks of the second half of a life
 * are compared with those of the first: what grows with the requests would be twice as
 * large.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "policies/gateway.h"
#include "tests/fake_oracle.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { ENDPOINTS = 16, BLOCKS = 16, ENGINE_PROMPTS = 64, OPEN_MAX = 32 };
enum { ONE_SHOTS = 100000, REPEATS = 20000, SAMPLE = 100 };
/* Far above what any needs: 16 endpoints of 31,250 blocks take about 30 MB. */
static const size_t bytes_max = (size_t)128 << 20;

/* Where the stack, or another source, has no bound, or one of a real fleet's size; and
 * defects that let no request through. */
static const struct bound {
    const char *name;
    double value;
} bounds[] = {
    {"max_bytes", 1 << 20}, {"tree_chars_max", 1 << 20}, {"index_blocks", 1 << 10},
    {"always_fails", 0},    {"first_hit_fails", 0},
};

struct life {
    struct rng rng;
    struct gateway *gateway;
    unsigned needs;
    uint32_t ids[OPEN_MAX]; /* of the endpoints, by request modulo OPEN_MAX */
    bool had_first_token[OPEN_MAX];
    uint64_t stored[ENDPOINTS][ENGINE_PROMPTS]; /* first request + 1 of each prompt */
    uint32_t next_store[ENDPOINTS];
    uint64_t message;
    size_t peak_bytes[2]; /* of each half */
};

static void make(struct life *life, const struct route_policy *policy,
                 enum compat compat)
{
    struct err err;
    const char *names[sizeof bounds / sizeof bounds[0]];
    double values[sizeof bounds / sizeof bounds[0]];
    size_t given = 0;
    const size_t count = route_policy_param_count(policy);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sizeof bounds / sizeof bounds[0]; j++) {
            if (strcmp(policy->params[i].name, bounds[j].name) == 0) {
                names[given] = bounds[j].name;
                values[given++] = bounds[j].value;
            }
        }
    }
    const struct gateway_setup setup = {.policy = policy,
                                        .compat = compat,
                                        .param_names = names,
                                        .param_values = values,
                                        .param_count = given,
                                        .seed = 1,
                                        .oracle = &fake_oracle};
    *life = (struct life){.needs = policy->needs};
    REQUIRE_OK(gateway_new(&life->gateway, &setup, &err), &err);
    rng_init(&life->rng, 1, "prop_policy_memory", 0);
    for (int i = 0; i < ENDPOINTS; i++) {
        char url[32];
        snprintf(url, sizeof url, "http://e%02d:8000", i);
        (void)gateway_join(life->gateway, url, NULL, 1);
    }
}

static void hashes_of(uint64_t prompt, uint64_t hashes[BLOCKS])
{
    uint64_t hash = prompt;
    for (int i = 0; i < BLOCKS; i++) {
        hash = hash_pair(hash, 1);
        hashes[i] = hash;
    }
}

/* An engine that caches its last prompts, and says so. */
static void tell_cache(struct life *life, int64_t now_ns, uint32_t id, uint64_t prompt)
{
    uint64_t hashes[BLOCKS];
    uint64_t *slot = &life->stored[id][life->next_store[id]++ % ENGINE_PROMPTS];
    struct kv_event event = {
        .kind = KV_EVENT_REMOVED, .blocks = hashes, .block_count = BLOCKS};
    if (*slot != 0) {
        hashes_of(*slot - 1, hashes);
        event.message = life->message++;
        gateway_kv_event(life->gateway, now_ns, id, &event);
    }
    *slot = prompt + 1;
    hashes_of(prompt, hashes);
    event.kind = KV_EVENT_STORED;
    event.message = life->message++;
    gateway_kv_event(life->gateway, now_ns, id, &event);
}

static void finish(struct life *life, int64_t now_ns, uint64_t number)
{
    const uint32_t at = (uint32_t)(number % OPEN_MAX);
    const struct attempt_end end = {
        .request_id = number,
        .endpoint_id = life->ids[at],
        .prompt_tokens = 16 * BLOCKS,
        .how = (enum attempt_how)rng_below(&life->rng, 3),
        .had_first_token = life->had_first_token[at],
    };
    gateway_end(life->gateway, now_ns, &end);
}

/* Request i comes when request i - OPEN_MAX ends. bare: nothing of the prompt is known
 * but its length, so no cache can help. */
static void serve(struct life *life, uint64_t number, uint64_t prompt, bool bare)
{
    uint64_t hashes[BLOCKS];
    char key[32];
    const int64_t now_ns = (int64_t)number * 1000000;
    const uint32_t at = (uint32_t)(number % OPEN_MAX);
    if (number >= OPEN_MAX) {
        finish(life, now_ns, number - OPEN_MAX);
    }
    hashes_of(prompt, hashes);
    snprintf(key, sizeof key, "%llu", (unsigned long long)prompt);
    const struct request_view request = {
        .request_id = number,
        .arrival_ns = now_ns,
        .session_key = key,
        .prompt_tokens = 16 * BLOCKS,
        .output_tokens_guess = 100,
        .chunk_hashes = hashes,
        .chunk_count = bare ? 0 : BLOCKS,
        .block_hashes = hashes,
        .block_count = bare ? 0 : BLOCKS,
        .block_tokens = 16,
        .adapter = prompt % 3,
    };
    REQUIRE(gateway_route(life->gateway, now_ns, &request, &life->ids[at]).endpoint >=
            0);
    life->had_first_token[at] = rng_below(&life->rng, 2) == 0;
    if (life->had_first_token[at]) {
        gateway_first_token(life->gateway, now_ns, number, life->ids[at],
                            request.prompt_tokens);
    }
    if ((life->needs & NEED_KV_EVENTS) != 0) {
        tell_cache(life, now_ns, life->ids[at], prompt);
    }
}

/* kinds: how many prompts there are, and every other request is bare; 0 = each prompt
 * comes once. */
static void live(const struct route_policy *policy, enum compat compat, uint64_t total,
                 uint64_t kinds)
{
    struct life life;
    make(&life, policy, compat);
    for (uint64_t i = 0; i < total; i++) {
        serve(&life, i, kinds > 0 ? rng_below(&life.rng, kinds) : i,
              kinds > 0 && i % 2 == 0);
        if (i % SAMPLE == 0) {
            size_t *peak = &life.peak_bytes[i < total / 2 ? 0 : 1];
            const size_t bytes = gateway_policy_bytes(life.gateway);
            *peak = bytes > *peak ? bytes : *peak;
        }
    }
    for (uint64_t i = total - OPEN_MAX; i < total; i++) {
        finish(&life, (int64_t)total * 1000000, i);
    }
    harness_note("policy %s, compat %d: %zu bytes, then %zu", policy->name, (int)compat,
                 life.peak_bytes[0], life.peak_bytes[1]);
    EXPECT(life.peak_bytes[1] <= life.peak_bytes[0] + life.peak_bytes[0] / 8);
    EXPECT(life.peak_bytes[1] <= bytes_max);
    gateway_delete(life.gateway);
}

/* A release that leaks is the same at every level for all but those with defects. */
static bool differs_at_tag(const struct route_policy *policy)
{
    const size_t count = route_policy_param_count(policy);
    for (size_t i = 0; i < count; i++) {
        if (policy->params[i].defect) {
            return true;
        }
    }
    return false;
}

static void prompts_that_come_once_take_bounded_memory(void)
{
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        live(policy, COMPAT_HEAD, ONE_SHOTS, 0);
        if (differs_at_tag(policy)) {
            live(policy, COMPAT_TAG, ONE_SHOTS, 0);
        }
    }
}

static void requests_that_ended_leave_nothing(void)
{
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        live(policy, COMPAT_HEAD, REPEATS, 4);
    }
}

HARNESS_MAIN("prop.policy_memory", TEST(prompts_that_come_once_take_bounded_memory),
             TEST(requests_that_ended_leave_nothing))
