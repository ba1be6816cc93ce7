/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway.c: a table of endpoints, one set of candidates per model, and the order in
 * which a policy is told what happened.
 *
 * Candidates are kept up to date at changes of membership, so a decision costs what the
 * policy costs. An endpoint's counters are never reset: every routed request ends once,
 * also on an endpoint that left, and then the numbers come out even by themselves.
 */
#include "policies/gateway.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "policies/candidates.h"
#include "policies/request_stats.h"
#include "policies/served.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ENDPOINTS_MAX_DEFAULT = 4096, MODELS_MAX = 1 << 16, OPEN_MAX = 1 << 30 };
enum { STREAM_NAME_BYTES = 128 };
static const int64_t stats_window_ns_default = INT64_C(60000000000);

#ifdef STACKSIM_DCHECK
static const bool tracks_open_requests = true;
#else
static const bool tracks_open_requests = false;
#endif

struct group {
    char *model;
    struct candidates *candidates;
    bool shared; /* the candidates belong to `served` */
};

struct endpoint {
    struct endpoint_view view;
    char *url;
    char *model;
    struct candidates *group; /* of its model; NULL when it has none */
    uint64_t left_number;     /* order of leaving */
    bool member;
};

struct gateway {
    const struct route_policy *policy;
    unsigned needs;
    void *state;
    struct rng rng;
    struct endpoint *endpoints;
    uint32_t endpoints_max;
    uint32_t endpoint_count; /* ids used so far */
    struct map *id_of_url;   /* by hash */
    struct candidates *all;
    struct group *groups;
    size_t group_capacity;
    uint32_t group_count;
    struct served served;        /* beside the models that endpoints joined with */
    struct map *group_of_model;  /* by hash */
    struct request_stats *stats; /* NULL unless the policy needs it */
    /* Attempts that have not ended -> policies before theirs; NULL unless DCHECK or
     * setup->resets. */
    struct map *open;
    uint32_t resets;
    enum compat compat;
    double values[POLICY_PARAMS_MAX];
    const struct oracle *oracle;
    const struct decision_sink *sink;
    double *scores; /* NULL unless the sink wants them */
    uint64_t departures;
    uint32_t spare_id; /* forgotten, for the next url; UINT32_MAX = none */
    int64_t now_ns;
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

static bool init_policy(struct gateway *gateway, const struct route_policy *policy,
                        struct err *err)
{
    const struct policy_setup policy_setup = {
        .compat = gateway->compat,
        .values = gateway->values,
        .memory = {.resize = host_resize},
        .rng = &gateway->rng,
        .oracle = gateway->oracle,
    };
    return policy->init == NULL || policy->init(gateway->state, &policy_setup, err);
}

static bool start_policy(struct gateway *gateway, const struct gateway_setup *setup,
                         const double *values, struct err *err)
{
    char stream[STREAM_NAME_BYTES];
    snprintf(stream, sizeof stream, "route/%s", setup->policy->name);
    rng_init(&gateway->rng, setup->seed, stream, setup->replica);
    gateway->state = mem_alloc(1, setup->policy->state_bytes);
    gateway->compat = setup->compat;
    gateway->oracle = setup->oracle;
    memcpy(gateway->values, values, sizeof gateway->values);
    if (!init_policy(gateway, setup->policy, err)) {
        return false;
    }
    gateway->policy = setup->policy;
    return true;
}

static void make_tables(struct gateway *gateway, const struct gateway_setup *setup)
{
    const uint32_t endpoints_max =
        setup->endpoints_max > 0 ? setup->endpoints_max : ENDPOINTS_MAX_DEFAULT;
    gateway->endpoints_max = endpoints_max;
    gateway->endpoints = mem_alloc(endpoints_max, sizeof *gateway->endpoints);
    gateway->id_of_url = map_new(0, endpoints_max);
    gateway->group_of_model = map_new(16, MODELS_MAX);
    gateway->all = candidates_new(endpoints_max);
    gateway->now_ns = INT64_MIN;
    gateway->spare_id = UINT32_MAX;
    if (tracks_open_requests || setup->resets) {
        gateway->open = map_new(64, OPEN_MAX);
    }
    if ((gateway->needs & NEED_REQUEST_STATS) != 0) {
        gateway->stats = request_stats_new(&(struct request_stats_setup){
            .window_ns = setup->stats_window_ns > 0 ? setup->stats_window_ns
                                                    : stats_window_ns_default,
            .endpoints_max = endpoints_max,
            .leaks = setup->compat == COMPAT_TAG,
        });
    }
}

bool gateway_new(struct gateway **out, const struct gateway_setup *setup,
                 struct err *err)
{
    double values[POLICY_PARAMS_MAX] = {0};
    const struct policy_given given = {
        .names = setup->param_names,
        .values = setup->param_values,
        .count = setup->param_count,
    };
    if (!route_policy_resolve(setup->policy, setup->compat, &given, values, err)) {
        return false;
    }
    if ((setup->policy->needs & NEED_ORACLE) != 0 && setup->oracle == NULL) {
        return err_set(err, ERR_INPUT,
                       "policy %s knows the true state of engines, which only a "
                       "simulation can tell; choose another one for a router",
                       setup->policy->name);
    }
    struct gateway *gateway = mem_alloc(1, sizeof *gateway);
    gateway->needs = setup->policy->needs;
    if (setup->policy->needs_with != NULL) {
        gateway->needs &= setup->policy->needs_with(values);
    }
    make_tables(gateway, setup);
    if (!start_policy(gateway, setup, values, err)) {
        gateway_delete(gateway);
        return false;
    }
    *out = gateway;
    return true;
}

void gateway_delete(struct gateway *gateway)
{
    if (gateway == NULL) {
        return;
    }
    if (gateway->policy != NULL && gateway->policy->fini != NULL) {
        gateway->policy->fini(gateway->state);
    }
    for (uint32_t id = 0; id < gateway->endpoint_count; id++) {
        mem_free(gateway->endpoints[id].url);
        mem_free(gateway->endpoints[id].model);
    }
    for (uint32_t i = 0; i < gateway->group_count; i++) {
        mem_free(gateway->groups[i].model);
        if (!gateway->groups[i].shared) {
            candidates_delete(gateway->groups[i].candidates);
        }
    }
    served_fini(&gateway->served);
    request_stats_delete(gateway->stats);
    candidates_delete(gateway->all);
    mem_free(gateway->scores);
    map_delete(gateway->open);
    map_delete(gateway->group_of_model);
    map_delete(gateway->id_of_url);
    mem_free(gateway->groups);
    mem_free(gateway->endpoints);
    mem_free(gateway->state);
    mem_free(gateway);
}

void gateway_log_to(struct gateway *gateway, const struct decision_sink *sink)
{
    gateway->sink = sink;
    mem_free(gateway->scores);
    gateway->scores = sink != NULL && sink->wants_scores
                          ? mem_alloc(gateway->endpoints_max, sizeof(double))
                          : NULL;
}

unsigned gateway_needs(const struct gateway *gateway)
{
    return gateway->needs;
}

const struct request_stats *gateway_stats(const struct gateway *gateway)
{
    return gateway->stats;
}

size_t gateway_policy_bytes(const struct gateway *gateway)
{
    const struct route_policy *policy = gateway->policy;
    const size_t held =
        policy->memory_bytes != NULL ? policy->memory_bytes(gateway->state) : 0;
    return policy->state_bytes + held;
}

static struct endpoint *endpoint_at(const struct gateway *gateway, uint32_t id)
{
    CHECK(id < gateway->endpoint_count, "endpoint %u of %u", id,
          gateway->endpoint_count);
    return &gateway->endpoints[id];
}

const struct endpoint_view *gateway_endpoint(const struct gateway *gateway,
                                             uint32_t endpoint_id)
{
    return &endpoint_at(gateway, endpoint_id)->view;
}

static void tell_change(struct gateway *gateway, enum endpoint_change change,
                        const struct endpoint *endpoint)
{
    if (gateway->policy->on_endpoint_change != NULL) {
        gateway->policy->on_endpoint_change(gateway->state, change, &endpoint->view);
    }
}

static uint64_t text_hash(const char *text)
{
    return hash_xxh64(text, strlen(text), 0);
}

static struct candidates *find_group(const struct gateway *gateway, const char *model)
{
    uint32_t group = 0;
    if (!map_get(gateway->group_of_model, text_hash(model), &group)) {
        return NULL;
    }
    CHECK(strcmp(gateway->groups[group].model, model) == 0,
          "the names of two models have the same hash: %s and %s",
          gateway->groups[group].model, model);
    return gateway->groups[group].candidates;
}

/* shared NULL: with candidates of its own. */
static struct candidates *make_group(struct gateway *gateway, const char *model,
                                     struct candidates *shared)
{
    void *groups = gateway->groups;
    const bool grown =
        mem_grow(&groups, &gateway->group_capacity, (size_t)gateway->group_count + 1,
                 sizeof *gateway->groups, MODELS_MAX);
    CHECK(grown, "more than %d models", MODELS_MAX);
    gateway->groups = groups;
    struct group *group = &gateway->groups[gateway->group_count];
    group->model = mem_strdup(model);
    group->shared = shared != NULL;
    group->candidates =
        shared != NULL ? shared : candidates_new(gateway->endpoints_max);
    map_put(gateway->group_of_model, text_hash(model), gateway->group_count);
    gateway->group_count++;
    return group->candidates;
}

static void forget(struct gateway *gateway, struct endpoint *endpoint)
{
    tell_change(gateway, ENDPOINT_FORGOTTEN, endpoint);
    if (gateway->stats != NULL) {
        request_stats_forget(gateway->stats, endpoint->view.id);
    }
    map_remove(gateway->id_of_url, text_hash(endpoint->url));
    mem_free(endpoint->url);
    endpoint->url = NULL;
}

void gateway_forget(struct gateway *gateway, uint32_t endpoint_id)
{
    struct endpoint *endpoint = endpoint_at(gateway, endpoint_id);
    CHECK(!endpoint->member && endpoint->view.inflight_requests == 0,
          "%s is still needed", endpoint->url);
    CHECK(gateway->spare_id == UINT32_MAX, "two forgotten ids");
    forget(gateway, endpoint);
    gateway->spare_id = endpoint_id;
}

/* Frees the id whose url left first. */
static uint32_t forget_oldest(struct gateway *gateway)
{
    struct endpoint *oldest = NULL;
    for (uint32_t id = 0; id < gateway->endpoint_count; id++) {
        struct endpoint *endpoint = &gateway->endpoints[id];
        if (!endpoint->member && endpoint->view.inflight_requests == 0 &&
            endpoint->url != NULL &&
            (oldest == NULL || endpoint->left_number < oldest->left_number)) {
            oldest = endpoint;
        }
    }
    CHECK(oldest != NULL, "no room for an endpoint beyond %u", gateway->endpoints_max);
    forget(gateway, oldest);
    return oldest->view.id;
}

/* The url's own id, else a fresh one, else a forgotten one. */
static uint32_t id_for(struct gateway *gateway, const char *url)
{
    uint32_t id = 0;
    if (map_get(gateway->id_of_url, text_hash(url), &id)) {
        CHECK(strcmp(gateway->endpoints[id].url, url) == 0,
              "two urls have the same hash: %s and %s", gateway->endpoints[id].url,
              url);
        CHECK(!gateway->endpoints[id].member, "%s is an endpoint already", url);
        return id;
    }
    if (gateway->spare_id != UINT32_MAX) {
        id = gateway->spare_id;
        gateway->spare_id = UINT32_MAX;
    } else {
        id = gateway->endpoint_count < gateway->endpoints_max
                 ? gateway->endpoint_count++
                 : forget_oldest(gateway);
    }
    gateway->endpoints[id].url = mem_strdup(url);
    map_put(gateway->id_of_url, text_hash(url), id);
    return id;
}

static void offer(struct gateway *gateway, struct endpoint *endpoint, bool accepting)
{
    if (endpoint->view.accepting == accepting) {
        return;
    }
    void (*const change)(struct candidates *, const struct endpoint_view *) =
        accepting ? candidates_add : candidates_remove;
    endpoint->view.accepting = accepting;
    change(gateway->all, &endpoint->view);
    if (endpoint->group != NULL) {
        change(endpoint->group, &endpoint->view);
    }
    served_offer(&gateway->served, &endpoint->view, accepting);
}

uint32_t gateway_join(struct gateway *gateway, const char *url, const char *model,
                      double weight)
{
    const uint32_t id = id_for(gateway, url);
    struct endpoint *endpoint = &gateway->endpoints[id];
    mem_free(endpoint->model);
    endpoint->model = model != NULL ? mem_strdup(model) : NULL;
    endpoint->group = NULL;
    if (model != NULL) {
        struct candidates *group = find_group(gateway, model);
        endpoint->group = group != NULL ? group : make_group(gateway, model, NULL);
    }
    struct endpoint_view *view = &endpoint->view;
    view->id = id;
    view->generation++;
    view->url = endpoint->url;
    view->model = endpoint->model;
    view->weight = weight;
    view->metrics = (struct endpoint_metrics){0};
    endpoint->member = true;
    offer(gateway, endpoint, true);
    tell_change(gateway, ENDPOINT_JOINED, endpoint);
    return id;
}

void gateway_serve(struct gateway *gateway, const char *model,
                   const uint32_t *endpoint_ids, uint32_t count)
{
    CHECK(count > 0 && find_group(gateway, model) == NULL, "%s is served already",
          model);
    struct candidates *set = served_find(&gateway->served, endpoint_ids, count);
    if (set == NULL) {
        set = served_add(&gateway->served, endpoint_ids, count, gateway->endpoints_max);
        for (uint32_t i = 0; i < count; i++) {
            const struct endpoint *endpoint = endpoint_at(gateway, endpoint_ids[i]);
            if (endpoint->view.accepting) {
                candidates_add(set, &endpoint->view);
            }
        }
    }
    (void)make_group(gateway, model, set);
}

void gateway_leave(struct gateway *gateway, uint32_t endpoint_id)
{
    struct endpoint *endpoint = endpoint_at(gateway, endpoint_id);
    CHECK(endpoint->member, "%s left twice", endpoint->url);
    offer(gateway, endpoint, false);
    endpoint->member = false;
    endpoint->left_number = gateway->departures++;
    tell_change(gateway, ENDPOINT_LEFT, endpoint);
}

void gateway_set_accepting(struct gateway *gateway, uint32_t endpoint_id,
                           bool accepting)
{
    struct endpoint *endpoint = endpoint_at(gateway, endpoint_id);
    CHECK(endpoint->member, "%s has left", endpoint->url);
    if (endpoint->view.accepting != accepting) {
        offer(gateway, endpoint, accepting);
        tell_change(gateway, ENDPOINT_HEALTH, endpoint);
    }
}

void gateway_scraped(struct gateway *gateway, uint32_t endpoint_id,
                     const struct endpoint_metrics *metrics)
{
    struct endpoint *endpoint = endpoint_at(gateway, endpoint_id);
    endpoint->view.metrics = *metrics;
    if (gateway->policy->on_metrics != NULL) {
        gateway->policy->on_metrics(gateway->state, &endpoint->view);
    }
}

static void advance_clock(struct gateway *gateway, int64_t now_ns)
{
    CHECK(now_ns >= gateway->now_ns, "the clock went back from %lld ns to %lld ns",
          (long long)gateway->now_ns, (long long)now_ns);
    gateway->now_ns = now_ns;
}

void gateway_kv_event(struct gateway *gateway, int64_t now_ns, uint32_t endpoint_id,
                      const struct kv_event *event)
{
    advance_clock(gateway, now_ns);
    const struct endpoint *endpoint = endpoint_at(gateway, endpoint_id);
    if (endpoint->member && gateway->policy->on_kv_event != NULL) {
        gateway->policy->on_kv_event(gateway->state, now_ns, &endpoint->view, event);
    }
}

static void update_inflight(struct gateway *gateway, const struct endpoint *endpoint)
{
    candidates_update(gateway->all, &endpoint->view);
    if (endpoint->group != NULL) {
        candidates_update(endpoint->group, &endpoint->view);
    }
    served_update(&gateway->served, &endpoint->view);
}

static uint64_t attempt_key(uint64_t request_id, uint32_t endpoint_id)
{
    return hash_pair(endpoint_id, request_id);
}

static void open_attempt(struct gateway *gateway, const struct request_view *request,
                         struct endpoint *endpoint)
{
    struct endpoint_view *view = &endpoint->view;
    if (gateway->open != NULL) {
        const uint64_t key = attempt_key(request->request_id, view->id);
        uint32_t ignored = 0;
        CHECK(!map_get(gateway->open, key, &ignored),
              "request %llu was routed to %s twice without an end",
              (unsigned long long)request->request_id, view->url);
        map_put(gateway->open, key, gateway->resets);
    }
    view->inflight_requests++;
    view->inflight_prefill++;
    view->inflight_prompt_tokens += request->prompt_tokens;
    update_inflight(gateway, endpoint);
    if (gateway->stats != NULL) {
        request_stats_sent(gateway->stats, gateway->now_ns, request->request_id,
                           view->id);
    }
}

static void scores_clear(const struct cluster_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        view->scores[i] = (double)NAN;
    }
}

const struct cluster_view *gateway_view(struct gateway *gateway, int64_t now_ns,
                                        const char *model)
{
    advance_clock(gateway, now_ns);
    struct candidates *candidates =
        model != NULL ? find_group(gateway, model) : gateway->all;
    if (candidates == NULL || candidates_count(candidates) == 0) {
        return NULL;
    }
    return candidates_view(candidates, now_ns, gateway->stats);
}

struct route_decision gateway_route(struct gateway *gateway, int64_t now_ns,
                                    const struct request_view *request,
                                    uint32_t *endpoint_id)
{
    struct route_decision decision = {.endpoint = -1, .reason = REASON_NONE};
    const struct cluster_view *view = gateway_view(gateway, now_ns, request->model);
    struct cluster_view traced;
    if (view != NULL) {
        if (gateway->scores != NULL) {
            traced = *view;
            traced.scores = gateway->scores;
            scores_clear(&traced);
            view = &traced;
        }
        decision = gateway->policy->pick(gateway->state, view, request);
        CHECK(decision.endpoint < (int64_t)view->count,
              "policy %s picked candidate %d of %u", gateway->policy->name,
              decision.endpoint, view->count);
    }
    const struct endpoint_view *chosen =
        decision.endpoint >= 0 ? view->endpoints[decision.endpoint] : NULL;
    if (gateway->sink != NULL) {
        const struct decision_row row = {
            .now_ns = now_ns,
            .request = request,
            .policy = gateway->policy,
            .decision = decision,
            .endpoint = chosen,
            .view = view,
        };
        gateway->sink->on_decision(gateway->sink->context, &row);
    }
    if (chosen != NULL) {
        *endpoint_id = chosen->id;
        if (gateway->policy->on_route != NULL) {
            gateway->policy->on_route(gateway->state, view, request, &decision);
        }
        open_attempt(gateway, request, &gateway->endpoints[chosen->id]);
    }
    return decision;
}

struct route_decision gateway_route_except(struct gateway *gateway, int64_t now_ns,
                                           const struct request_view *request,
                                           const struct route_except *except,
                                           uint32_t *endpoint_id)
{
    enum { EXCEPT_MAX = 64 };
    bool put_back[EXCEPT_MAX] = {false};
    CHECK(except->count <= EXCEPT_MAX, "%u endpoints left out", except->count);
    for (uint32_t i = 0; i < except->count; i++) {
        struct endpoint *endpoint = endpoint_at(gateway, except->endpoints[i]);
        put_back[i] = endpoint->view.accepting;
        offer(gateway, endpoint, false);
    }
    const struct route_decision decision =
        gateway_route(gateway, now_ns, request, endpoint_id);
    for (uint32_t i = 0; i < except->count; i++) {
        if (put_back[i]) {
            offer(gateway, endpoint_at(gateway, except->endpoints[i]), true);
        }
    }
    return decision;
}

void gateway_reset(struct gateway *gateway)
{
    const struct route_policy *policy = gateway->policy;
    struct err err = {0};
    CHECK(gateway->open != NULL, "nobody said that there will be resets");
    if (policy->fini != NULL) {
        policy->fini(gateway->state);
    }
    memset(gateway->state, 0, policy->state_bytes);
    const bool begun = init_policy(gateway, policy, &err);
    CHECK(begun, "policy %s began before", policy->name);
    gateway->resets++;
    for (uint32_t id = 0; id < gateway->endpoint_count; id++) {
        const struct endpoint *endpoint = &gateway->endpoints[id];
        if (endpoint->member) {
            tell_change(gateway, ENDPOINT_JOINED, endpoint);
            if (!endpoint->view.accepting) {
                tell_change(gateway, ENDPOINT_HEALTH, endpoint);
            }
        }
    }
}

/* Whether the policy routed this attempt, and not one before it. */
static bool knows(const struct gateway *gateway, uint64_t request_id,
                  uint32_t endpoint_id)
{
    uint32_t resets = 0;
    return gateway->resets == 0 ||
           (map_get(gateway->open, attempt_key(request_id, endpoint_id), &resets) &&
            resets == gateway->resets);
}

void gateway_first_token(struct gateway *gateway, int64_t now_ns, uint64_t request_id,
                         uint32_t endpoint_id, uint32_t prompt_tokens)
{
    advance_clock(gateway, now_ns);
    struct endpoint_view *view = &endpoint_at(gateway, endpoint_id)->view;
    CHECK(view->inflight_prefill > 0 && view->inflight_prompt_tokens >= prompt_tokens,
          "request %llu has a first token; %s waits for %u of %llu tokens",
          (unsigned long long)request_id, view->url, view->inflight_prefill,
          (unsigned long long)view->inflight_prompt_tokens);
    view->inflight_prefill--;
    view->inflight_decode++;
    view->inflight_prompt_tokens -= prompt_tokens;
    if (gateway->stats != NULL) {
        request_stats_first_chunk(gateway->stats, now_ns, request_id, endpoint_id);
    }
    if (gateway->policy->on_first_token != NULL &&
        knows(gateway, request_id, endpoint_id)) {
        gateway->policy->on_first_token(gateway->state, now_ns, request_id,
                                        endpoint_id);
    }
}

static void close_attempt(struct gateway *gateway, const struct attempt_end *end,
                          struct endpoint *endpoint)
{
    struct endpoint_view *view = &endpoint->view;
    const uint32_t phase =
        end->had_first_token ? view->inflight_decode : view->inflight_prefill;
    CHECK(view->inflight_requests > 0 && phase > 0,
          "request %llu ended on %s, where %u are in flight (%u prefill, %u decode)",
          (unsigned long long)end->request_id, view->url, view->inflight_requests,
          view->inflight_prefill, view->inflight_decode);
    if (gateway->open != NULL) {
        const bool was_open =
            map_remove(gateway->open, attempt_key(end->request_id, end->endpoint_id));
        CHECK(was_open, "request %llu ended on %s without being routed there",
              (unsigned long long)end->request_id, view->url);
    }
    view->inflight_requests--;
    if (end->had_first_token) {
        view->inflight_decode--;
    } else {
        CHECK(view->inflight_prompt_tokens >= end->prompt_tokens,
              "request %llu takes %u prompt tokens from %llu on %s",
              (unsigned long long)end->request_id, end->prompt_tokens,
              (unsigned long long)view->inflight_prompt_tokens, view->url);
        view->inflight_prefill--;
        view->inflight_prompt_tokens -= end->prompt_tokens;
    }
    update_inflight(gateway, endpoint);
}

void gateway_end(struct gateway *gateway, int64_t now_ns, const struct attempt_end *end)
{
    advance_clock(gateway, now_ns);
    const bool known = knows(gateway, end->request_id, end->endpoint_id);
    close_attempt(gateway, end, endpoint_at(gateway, end->endpoint_id));
    if (gateway->stats != NULL) {
        request_stats_ended(gateway->stats, now_ns, end->request_id, end->endpoint_id,
                            end->how == ATTEMPT_COMPLETED);
    }
    if (gateway->policy->on_end != NULL && known) {
        gateway->policy->on_end(gateway->state, now_ns, end);
    }
}
