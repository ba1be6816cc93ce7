/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_pick.c: hosts each policy of the registry without a gateway, so that nothing
 * but its pick is timed.
 *
 * 1,024 conversations, 64 to a system prompt, come in turn; their hashes are made
 * before. Eight requests are in flight on each endpoint on average. Sixteen picks are
 * timed together, since a clock costs as much as a quick pick; then the sixteen are
 * committed (on_route, first token, on_end), and now and then metrics land, untimed. So
 * a pick finds what it finds in a live router: counters that moved and, after a scrape,
 * columns to gather anew.
 */
#include "cli/bench_pick.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/bench_line.h"
#include "cli/clock.h"
#include "policies/candidates.h"
#include "policies/policy.h"
#include "policies/request_stats.h"

#include <stdio.h>

enum {
    PROMPTS = 1024,
    GROUP = 64,
    SHARED = 32,
    LENGTH = 96,
    PROMPT_TOKENS = 32 * LENGTH
};
enum { BATCH = 16, BATCHES = 128, SCRAPE_EVERY = 64, OPEN_PER_ENDPOINT = 8 };
enum { ADAPTERS = 32, ADAPTER_SLOTS = 8 };
enum { SIZES = 3, URL_BYTES = 64, KEY_BYTES = 24 };
static const uint32_t sizes[SIZES] = {16, 256, 4096};
static const int64_t gap_ns = 100000;

struct prompt {
    char key[KEY_BYTES];
    uint64_t hashes[LENGTH];
};

struct open_request {
    uint64_t request_id;
    uint32_t endpoint_id;
};

/* One policy and its fleet. */
struct host {
    const struct route_policy *policy;
    void *state;
    struct rng rng;  /* the policy's */
    struct rng load; /* ours */
    const struct prompt *prompts;
    struct endpoint_view *endpoints;
    char (*urls)[URL_BYTES];
    uint32_t count;
    struct candidates *candidates;
    struct request_stats *stats;
    struct open_request *open; /* a ring */
    uint64_t opened;
    uint64_t started; /* of those, oldest first: had their first token */
    uint64_t closed;  /* of those: ended */
    uint64_t message;
    int64_t now_ns;
    uint64_t active[ADAPTERS]; /* every adapter */
    struct endpoint_adapters adapters[ADAPTERS / ADAPTER_SLOTS];
};

static void *host_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        mem_free(memory);
        return NULL;
    }
    return mem_resize(memory, bytes, 1);
}

static struct prompt *make_prompts(void)
{
    struct prompt *prompts = mem_alloc(PROMPTS, sizeof *prompts);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        uint64_t hash = hash_mix(i / GROUP + 1);
        snprintf(prompts[i].key, KEY_BYTES, "session-%u", i);
        for (uint32_t block = 0; block < LENGTH; block++) {
            hash = hash_pair(hash, block < SHARED ? 0 : i);
            prompts[i].hashes[block] = hash;
        }
    }
    return prompts;
}

/* Every second request has an adapter, for policies that read them. */
static uint64_t adapter_of(const struct host *host, uint64_t number)
{
    const bool has = (host->policy->needs & NEED_ADAPTERS) != 0 && number % 2 == 0;
    return has ? 1 + hash_mix(number) % ADAPTERS : 0;
}

static struct request_view request_of(const struct host *host, uint64_t number)
{
    const struct prompt *prompt = &host->prompts[number % PROMPTS];
    return (struct request_view){
        .request_id = number,
        .arrival_ns = host->now_ns,
        .session_key = prompt->key,
        .prompt_tokens = PROMPT_TOKENS,
        .output_tokens_guess = 200,
        .chunk_hashes = prompt->hashes,
        .chunk_count = LENGTH,
        .block_hashes = prompt->hashes,
        .block_count = LENGTH,
        .block_tokens = PROMPT_TOKENS / LENGTH,
        .adapter = adapter_of(host, number),
    };
}

/* ---- set-up --------------------------------------------------------------------- */

static void scrape(struct host *host)
{
    for (uint32_t id = 0; id < host->count; id++) {
        struct endpoint_view *endpoint = &host->endpoints[id];
        const double used_ratio = (double)rng_below(&host->load, 1000) / 1000;
        endpoint->metrics = (struct endpoint_metrics){
            .scraped_ns = host->now_ns,
            .valid = 2 * METRIC_ADAPTERS - 1,
            .running_requests = endpoint->inflight_requests,
            .waiting_requests = (uint32_t)rng_below(&host->load, 4),
            .kv_used_ratio = used_ratio,
            .kv_total_blocks = 8192,
            .adapters = &host->adapters[id % (ADAPTERS / ADAPTER_SLOTS)],
        };
        if (host->policy->on_metrics != NULL) {
            host->policy->on_metrics(host->state, endpoint);
        }
    }
}

static void load_adapters(struct host *host)
{
    for (uint32_t i = 0; i < ADAPTERS; i++) {
        host->active[i] = 1 + i;
    }
    for (uint32_t i = 0; i < ADAPTERS / ADAPTER_SLOTS; i++) {
        host->adapters[i] = (struct endpoint_adapters){
            .active = &host->active[(size_t)i * ADAPTER_SLOTS],
            .active_count = ADAPTER_SLOTS,
            .max = ADAPTER_SLOTS,
        };
    }
}

static void start_policy(struct host *host)
{
    struct err err;
    double values[POLICY_PARAMS_MAX];
    const struct policy_given none = {0};
    const bool resolved =
        route_policy_resolve(host->policy, COMPAT_HEAD, &none, values, &err);
    CHECK(resolved, "defaults of %s: %s", host->policy->name, err.text);
    rng_init(&host->rng, 1, host->policy->name, 0);
    host->state = mem_alloc(1, host->policy->state_bytes);
    const struct policy_setup setup = {
        .compat = COMPAT_HEAD,
        .values = values,
        .memory = {.resize = host_resize},
        .rng = &host->rng,
    };
    const bool started =
        host->policy->init == NULL || host->policy->init(host->state, &setup, &err);
    CHECK(started, "%s: %s", host->policy->name, err.text);
}

static void join_all(struct host *host)
{
    for (uint32_t id = 0; id < host->count; id++) {
        struct endpoint_view *endpoint = &host->endpoints[id];
        snprintf(host->urls[id], URL_BYTES, "http://engine-%04u.serving:8000", id);
        *endpoint = (struct endpoint_view){
            .id = id, .url = host->urls[id], .weight = 1, .accepting = true};
        candidates_add(host->candidates, endpoint);
        if (host->policy->on_endpoint_change != NULL) {
            host->policy->on_endpoint_change(host->state, ENDPOINT_JOINED, endpoint);
        }
    }
    scrape(host);
}

static void host_init(struct host *host, const struct route_policy *policy,
                      const struct prompt *prompts, uint32_t count)
{
    *host = (struct host){.policy = policy, .prompts = prompts, .count = count};
    rng_init(&host->load, 1, "bench pick", count);
    host->endpoints = mem_alloc(count, sizeof *host->endpoints);
    host->urls = mem_alloc(count, sizeof *host->urls);
    host->open = mem_alloc((size_t)OPEN_PER_ENDPOINT * count, sizeof *host->open);
    host->candidates = candidates_new(count);
    host->stats = request_stats_new(&(struct request_stats_setup){
        .window_ns = INT64_C(60000000000), .endpoints_max = count});
    load_adapters(host);
    start_policy(host);
    join_all(host);
}

static void host_fini(struct host *host)
{
    if (host->policy->fini != NULL) {
        host->policy->fini(host->state);
    }
    request_stats_delete(host->stats);
    candidates_delete(host->candidates);
    mem_free(host->state);
    mem_free(host->open);
    mem_free(host->urls);
    mem_free(host->endpoints);
}

/* ---- a life --------------------------------------------------------------------- */

static void end_oldest(struct host *host)
{
    const uint64_t room = (uint64_t)OPEN_PER_ENDPOINT * host->count;
    const struct open_request open = host->open[host->closed++ % room];
    struct endpoint_view *endpoint = &host->endpoints[open.endpoint_id];
    endpoint->inflight_requests--;
    endpoint->inflight_decode--;
    candidates_update(host->candidates, endpoint);
    request_stats_ended(host->stats, host->now_ns, open.request_id, open.endpoint_id,
                        true);
    const struct attempt_end end = {
        .request_id = open.request_id,
        .endpoint_id = open.endpoint_id,
        .prompt_tokens = PROMPT_TOKENS,
        .how = ATTEMPT_COMPLETED,
        .had_first_token = true,
    };
    if (host->policy->on_end != NULL) {
        host->policy->on_end(host->state, host->now_ns, &end);
    }
}

static void give_first_token(struct host *host)
{
    const uint64_t room = (uint64_t)OPEN_PER_ENDPOINT * host->count;
    const struct open_request open = host->open[host->started++ % room];
    struct endpoint_view *endpoint = &host->endpoints[open.endpoint_id];
    endpoint->inflight_prefill--;
    endpoint->inflight_decode++;
    endpoint->inflight_prompt_tokens -= PROMPT_TOKENS;
    request_stats_first_chunk(host->stats, host->now_ns, open.request_id,
                              open.endpoint_id);
    if (host->policy->on_first_token != NULL) {
        host->policy->on_first_token(host->state, host->now_ns, open.request_id,
                                     open.endpoint_id);
    }
}

static void tell_cache(struct host *host, const struct request_view *request,
                       const struct endpoint_view *endpoint)
{
    const struct kv_event event = {
        .kind = KV_EVENT_STORED,
        .message = host->message++,
        .blocks = request->block_hashes,
        .block_count = request->block_count,
    };
    if (host->policy->on_kv_event != NULL) {
        host->policy->on_kv_event(host->state, host->now_ns, endpoint, &event);
    }
}

/* On a full fleet one comes, one gets its first token, one ends. */
static void commit(struct host *host, const struct cluster_view *view,
                   const struct request_view *request,
                   const struct route_decision *decision)
{
    const uint64_t room = (uint64_t)OPEN_PER_ENDPOINT * host->count;
    CHECK(decision->endpoint >= 0, "%s picked nobody", host->policy->name);
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    struct endpoint_view *endpoint = &host->endpoints[id];
    if (host->policy->on_route != NULL) {
        host->policy->on_route(host->state, view, request, decision);
    }
    if (host->opened - host->closed == room) {
        end_oldest(host);
    }
    endpoint->inflight_requests++;
    endpoint->inflight_prefill++;
    endpoint->inflight_prompt_tokens += request->prompt_tokens;
    candidates_update(host->candidates, endpoint);
    request_stats_sent(host->stats, host->now_ns, request->request_id, id);
    host->open[host->opened++ % room] = (struct open_request){request->request_id, id};
    tell_cache(host, request, endpoint);
    if (host->opened - host->started > room / 2) {
        give_first_token(host);
    }
}

/* Nanoseconds of the picks alone. */
static int64_t pick_batch(struct host *host)
{
    struct request_view requests[BATCH];
    struct route_decision decisions[BATCH];
    const uint64_t first = host->opened;
    host->now_ns += BATCH * gap_ns;
    for (uint32_t i = 0; i < BATCH; i++) {
        requests[i] = request_of(host, first + i);
    }
    const struct cluster_view *view =
        candidates_view(host->candidates, host->now_ns, host->stats);
    const int64_t start_ns = clock_wall_ns();
    for (uint32_t i = 0; i < BATCH; i++) {
        decisions[i] = host->policy->pick(host->state, view, &requests[i]);
    }
    const int64_t spent_ns = clock_wall_ns() - start_ns;
    for (uint32_t i = 0; i < BATCH; i++) {
        commit(host, view, &requests[i], &decisions[i]);
    }
    return spent_ns;
}

static double run_once(struct host *host)
{
    int64_t spent_ns = 0;
    for (uint32_t batch = 0; batch < BATCHES; batch++) {
        if (batch % SCRAPE_EVERY == 0) {
            scrape(host);
        }
        spent_ns += pick_batch(host);
    }
    return (double)spent_ns / (BATCH * BATCHES);
}

/* ---- results -------------------------------------------------------------------- */

struct measured {
    double median_ns;
    double least_ns;
    double most_ns;
};

static struct measured measure(const struct route_policy *policy,
                               const struct prompt *prompts, uint32_t count,
                               size_t runs)
{
    struct host host;
    struct measured measured;
    double *values = mem_alloc(runs, sizeof *values);
    host_init(&host, policy, prompts, count);
    while (host.opened < (uint64_t)OPEN_PER_ENDPOINT * count) {
        (void)pick_batch(&host);
    }
    for (size_t run = 0; run < runs; run++) {
        values[run] = run_once(&host);
    }
    host_fini(&host);
    measured.median_ns = bench_median(values, runs);
    measured.least_ns = values[0];
    measured.most_ns = values[runs - 1];
    mem_free(values);
    return measured;
}

static struct json *measure_policy(const struct route_policy *policy,
                                   const struct prompt *prompts, size_t runs,
                                   size_t size_count)
{
    struct json *row = json_object();
    json_put_str(row, "policy", policy->name);
    printf("%-24s", policy->name);
    for (size_t i = 0; i < size_count; i++) {
        char key[64];
        const struct measured measured = measure(policy, prompts, sizes[i], runs);
        printf(" %12.0f", measured.median_ns);
        fflush(stdout);
        snprintf(key, sizeof key, "pick_ns_%u", sizes[i]);
        json_put_f64(row, key, measured.median_ns);
        snprintf(key, sizeof key, "pick_ns_%u_min", sizes[i]);
        json_put_f64(row, key, measured.least_ns);
        snprintf(key, sizeof key, "pick_ns_%u_max", sizes[i]);
        json_put_f64(row, key, measured.most_ns);
    }
    puts("");
    return row;
}

void bench_pick(const char *target, size_t runs, bool smallest_only)
{
    const int64_t start_ns = clock_wall_ns();
    const size_t size_count = smallest_only ? 1 : SIZES;
    struct prompt *prompts = make_prompts();
    struct json *object = json_object();
    struct json *rows = json_array();
    json_put_str(object, "target", target);
    printf("%-24s", "ns per pick, endpoints:");
    for (size_t i = 0; i < size_count; i++) {
        printf(" %12u", sizes[i]);
    }
    puts("");
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        if ((policy->needs & NEED_ORACLE) == 0) { /* its time is the oracle's */
            json_push(rows, measure_policy(policy, prompts, runs, size_count));
        }
    }
    json_put_f64(object, "wall_s", (double)(clock_wall_ns() - start_ns) / 1e9);
    json_put_u64(object, "runs", runs);
    json_put_u64(object, "picks_per_run", (uint64_t)BATCH * BATCHES);
    json_put(object, "policies", rows);
    bench_line_host(object);
    char *bytes = json_print(object, false);
    puts(bytes);
    mem_free(bytes);
    json_delete(object);
    mem_free(prompts);
}
