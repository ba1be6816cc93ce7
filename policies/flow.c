/* SPDX-License-Identifier: Apache-2.0
 *
 * flow.c: tickets of requests, lanes of flows, one list by deadline.
 *
 * One lane per model: a full model must not hold back another one's requests. Tenants
 * are known by the hash of their name; a router that has seen more of them than it may
 * remember lets the further ones share (as Kubernetes' priority and fairness does),
 * because forgetting one would forgive what it has used.
 */
#include "policies/flow.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "policies/flow_lane.h"

#include <stdio.h>
#include <string.h>

enum {
    TENANTS_MAX_DEFAULT = 1 << 16,
    WAITING_MAX_DEFAULT = 1 << 20,
    TICKETS_MAX = 1 << 30,
    SLAB_TICKETS = 256,
    STREAM_NAME_BYTES = 128,
};

struct flow {
    const struct admit_policy *policy;
    void *state;
    struct rng rng;
    struct gateway *gateway;
    struct flow_lane **lanes;
    size_t lane_capacity;
    uint32_t lane_count;
    struct map *tenant_of_name; /* by hash */
    uint32_t tenants_max;
    uint32_t tenant_count; /* 0 is nobody */
    uint32_t waiting_max;
    uint32_t waiting;
    struct flow_ticket **slabs;
    size_t slab_capacity;
    uint32_t slab_count;
    struct flow_ticket *unused; /* through next */
    struct map *ticket_of_request;
    struct flow_ticket *soonest; /* waiting, by deadline; equals by arrival */
    struct flow_ticket *latest;
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

static bool policy_start(struct flow *flow, const struct flow_setup *setup,
                         const double *values, struct err *err)
{
    char stream[STREAM_NAME_BYTES];
    snprintf(stream, sizeof stream, "admit/%s", setup->policy->name);
    rng_init(&flow->rng, setup->seed, stream, setup->replica);
    flow->state = mem_alloc(1, setup->policy->state_bytes);
    const struct policy_setup policy_setup = {
        .compat = setup->compat,
        .values = values,
        .memory = {.resize = host_resize},
        .rng = &flow->rng,
    };
    if (setup->policy->init != NULL &&
        !setup->policy->init(flow->state, &policy_setup, err)) {
        return false;
    }
    flow->policy = setup->policy;
    return true;
}

bool flow_new(struct flow **out, const struct flow_setup *setup, struct err *err)
{
    double values[POLICY_PARAMS_MAX] = {0};
    const struct policy_given given = {
        .names = setup->param_names,
        .values = setup->param_values,
        .count = setup->param_count,
    };
    const struct policy_table table = {setup->policy->name, setup->policy->params};
    if (!policy_params_resolve(&table, setup->compat, &given, values, err)) {
        return false;
    }
    struct flow *flow = mem_alloc(1, sizeof *flow);
    flow->gateway = setup->gateway;
    flow->tenants_max =
        setup->tenants_max > 0 ? setup->tenants_max : TENANTS_MAX_DEFAULT;
    flow->waiting_max =
        setup->waiting_max > 0 ? setup->waiting_max : WAITING_MAX_DEFAULT;
    flow->tenant_of_name = map_new(16, flow->tenants_max);
    flow->ticket_of_request = map_new(64, TICKETS_MAX);
    flow->tenant_count = 1;
    flow->now_ns = INT64_MIN;
    if (!policy_start(flow, setup, values, err)) {
        flow_delete(flow);
        return false;
    }
    *out = flow;
    return true;
}

void flow_delete(struct flow *flow)
{
    if (flow == NULL) {
        return;
    }
    if (flow->policy != NULL && flow->policy->fini != NULL) {
        flow->policy->fini(flow->state);
    }
    for (uint32_t i = 0; i < flow->lane_count; i++) {
        flow_lane_delete(flow->lanes[i]);
    }
    for (uint32_t i = 0; i < flow->slab_count; i++) {
        mem_free(flow->slabs[i]);
    }
    map_delete(flow->tenant_of_name);
    map_delete(flow->ticket_of_request);
    mem_free(flow->lanes);
    mem_free(flow->slabs);
    mem_free(flow->state);
    mem_free(flow);
}

/* ---- books ----------------------------------------------------------------------- */

static void slab_add(struct flow *flow)
{
    void *slabs = flow->slabs;
    const bool grown =
        mem_grow(&slabs, &flow->slab_capacity, flow->slab_count + 1,
                 sizeof(struct flow_ticket *), TICKETS_MAX / SLAB_TICKETS);
    CHECK(grown, "%u slabs of requests in flight", flow->slab_count);
    flow->slabs = slabs;
    struct flow_ticket *slab = mem_alloc(SLAB_TICKETS, sizeof *slab);
    const uint32_t base = flow->slab_count * SLAB_TICKETS;
    flow->slabs[flow->slab_count++] = slab;
    for (uint32_t i = SLAB_TICKETS; i-- > 0;) {
        slab[i].index = base + i;
        slab[i].next = flow->unused;
        flow->unused = &slab[i];
    }
}

static struct flow_ticket *ticket_take(struct flow *flow,
                                       const struct admit_request *request)
{
    uint32_t ignored = 0;
    CHECK(!map_get(flow->ticket_of_request, request->request_id, &ignored),
          "request %llu arrives twice", (unsigned long long)request->request_id);
    if (flow->unused == NULL) {
        slab_add(flow);
    }
    struct flow_ticket *ticket = flow->unused;
    const uint32_t index = ticket->index;
    flow->unused = ticket->next;
    *ticket = (struct flow_ticket){.request = *request, .index = index};
    map_put(flow->ticket_of_request, request->request_id, index);
    return ticket;
}

static void ticket_give(struct flow *flow, struct flow_ticket *ticket)
{
    (void)map_remove(flow->ticket_of_request, ticket->request.request_id);
    ticket->next = flow->unused;
    flow->unused = ticket;
}

static struct flow_ticket *ticket_of(const struct flow *flow, uint64_t request_id,
                                     bool waiting)
{
    uint32_t index = 0;
    const bool known = map_get(flow->ticket_of_request, request_id, &index);
    CHECK(known, "request %llu was never let in", (unsigned long long)request_id);
    struct flow_ticket *ticket =
        &flow->slabs[index / SLAB_TICKETS][index % SLAB_TICKETS];
    CHECK(ticket->waiting == waiting, "request %llu is %swaiting",
          (unsigned long long)request_id, ticket->waiting ? "" : "not ");
    return ticket;
}

static uint32_t tenant_id(struct flow *flow, const char *name)
{
    if (name == NULL) {
        return 0;
    }
    const uint64_t hash = hash_xxh64(name, strlen(name), 0);
    uint32_t id = 0;
    if (map_get(flow->tenant_of_name, hash, &id)) {
        return id;
    }
    if (flow->tenant_count >= flow->tenants_max) {
        return flow->tenants_max == 1 ? 0
                                      : 1 + (uint32_t)(hash % (flow->tenants_max - 1));
    }
    map_put(flow->tenant_of_name, hash, flow->tenant_count);
    return flow->tenant_count++;
}

/* Only models of the gateway come here, so there are never more lanes than those. */
static struct flow_lane *lane_of(struct flow *flow, const char *model)
{
    for (uint32_t i = 0; i < flow->lane_count; i++) {
        if (flow_lane_serves(flow->lanes[i], model)) {
            return flow->lanes[i];
        }
    }
    void *lanes = flow->lanes;
    const bool grown = mem_grow(&lanes, &flow->lane_capacity, flow->lane_count + 1,
                                sizeof(struct flow_lane *), UINT32_MAX / 2);
    CHECK(grown, "%u models", flow->lane_count);
    flow->lanes = lanes;
    flow->lanes[flow->lane_count] = flow_lane_new(model);
    return flow->lanes[flow->lane_count++];
}

static void clock_advance(struct flow *flow, int64_t now_ns)
{
    CHECK(now_ns >= flow->now_ns, "the clock went back from %lld ns to %lld ns",
          (long long)flow->now_ns, (long long)now_ns);
    flow->now_ns = now_ns;
}

/* ---- waiting --------------------------------------------------------------------- */

static void deadline_insert(struct flow *flow, struct flow_ticket *ticket)
{
    /* Nearly always behind the last one: time-outs of one policy are all alike. */
    struct flow_ticket *before = flow->latest;
    while (before != NULL && before->deadline_ns > ticket->deadline_ns) {
        before = before->sooner;
    }
    ticket->sooner = before;
    ticket->later = before != NULL ? before->later : flow->soonest;
    if (ticket->later != NULL) {
        ticket->later->sooner = ticket;
    } else {
        flow->latest = ticket;
    }
    if (before != NULL) {
        before->later = ticket;
    } else {
        flow->soonest = ticket;
    }
}

static void deadline_remove(struct flow *flow, struct flow_ticket *ticket)
{
    if (ticket->sooner != NULL) {
        ticket->sooner->later = ticket->later;
    } else {
        flow->soonest = ticket->later;
    }
    if (ticket->later != NULL) {
        ticket->later->sooner = ticket->sooner;
    } else {
        flow->latest = ticket->sooner;
    }
}

static void wait_begin(struct flow *flow, struct flow_ticket *ticket,
                       int64_t timeout_ns)
{
    ticket->waiting = true;
    ticket->deadline_ns = INT64_MAX;
    if (timeout_ns > 0 && timeout_ns < INT64_MAX - flow->now_ns) {
        ticket->deadline_ns = flow->now_ns + timeout_ns;
    }
    flow_lane_push(ticket->lane, ticket);
    deadline_insert(flow, ticket);
    flow->waiting++;
}

static void wait_end(struct flow *flow, struct flow_ticket *ticket)
{
    flow_lane_remove(ticket->lane, ticket);
    deadline_remove(flow, ticket);
    ticket->waiting = false;
    flow->waiting--;
}

static void let_in(struct flow *flow, struct flow_ticket *ticket)
{
    flow_lane_count(ticket->lane, &ticket->request, true);
    if (flow->policy->on_dispatch != NULL) {
        flow->policy->on_dispatch(flow->state, &ticket->request);
    }
}

/* ---- in -------------------------------------------------------------------------- */

struct admit_decision flow_arrive(struct flow *flow, int64_t now_ns,
                                  const struct request_view *request, void *owner)
{
    clock_advance(flow, now_ns);
    const struct admit_request facts = {
        .request_id = request->request_id,
        .arrival_ns = now_ns,
        .tenant = tenant_id(flow, request->tenant),
        .priority = request->priority,
        .prompt_tokens = request->prompt_tokens,
        .output_tokens_guess = request->output_tokens_guess,
    };
    const struct cluster_view *cluster =
        gateway_view(flow->gateway, now_ns, request->model);
    struct admit_decision decision = {.verdict = ADMIT_PASS};
    /* Models that nobody serves share a lane, in which nobody ever waits. */
    struct flow_lane *lane = lane_of(flow, cluster != NULL ? request->model : NULL);
    const struct admit_view view = flow_lane_view(lane, now_ns, cluster);
    if (cluster != NULL) {
        decision = flow->policy->arrive(flow->state, &view, &facts);
    }
    if (decision.verdict == ADMIT_QUEUE && flow->waiting >= flow->waiting_max) {
        decision = (struct admit_decision){.verdict = ADMIT_REJECT,
                                           .reason = ADMIT_REASON_QUEUE_FULL};
    }
    if (decision.verdict == ADMIT_REJECT) {
        return decision;
    }
    struct flow_ticket *ticket = ticket_take(flow, &facts);
    ticket->owner = owner;
    ticket->lane = lane;
    if (decision.verdict == ADMIT_QUEUE) {
        CHECK(flow->policy->next != NULL, "policy %s lets wait for ever",
              flow->policy->name);
        wait_begin(flow, ticket, decision.timeout_ns);
    } else {
        let_in(flow, ticket);
    }
    return decision;
}

/* ---- out ------------------------------------------------------------------------- */

static bool lane_next(struct flow *flow, struct flow_lane *lane, struct flow_item *item)
{
    const struct cluster_view *cluster =
        gateway_view(flow->gateway, flow->now_ns, flow_lane_model(lane));
    const struct admit_view view = flow_lane_view(lane, flow->now_ns, cluster);
    int32_t choice = 0; /* no endpoint left: out with them, to be rejected */
    if (cluster != NULL) {
        choice = flow->policy->next(flow->state, &view);
    }
    if (choice < 0) {
        return false;
    }
    struct flow_ticket *ticket = flow_lane_head(lane, (uint32_t)choice);
    *item = (struct flow_item){ticket->request.request_id, ticket->owner};
    wait_end(flow, ticket);
    let_in(flow, ticket);
    return true;
}

bool flow_next(struct flow *flow, int64_t now_ns, struct flow_item *item)
{
    clock_advance(flow, now_ns);
    for (uint32_t i = 0; flow->waiting > 0 && i < flow->lane_count; i++) {
        if (flow_lane_waiting(flow->lanes[i]) > 0 &&
            lane_next(flow, flow->lanes[i], item)) {
            return true;
        }
    }
    return false;
}

bool flow_take_any(struct flow *flow, struct flow_item *item)
{
    struct flow_ticket *ticket = flow->soonest;
    if (ticket == NULL) {
        return false;
    }
    *item = (struct flow_item){ticket->request.request_id, ticket->owner};
    wait_end(flow, ticket);
    ticket_give(flow, ticket);
    return true;
}

bool flow_take_expired(struct flow *flow, int64_t now_ns, struct flow_item *item)
{
    clock_advance(flow, now_ns);
    return flow_deadline_ns(flow) <= now_ns && flow_take_any(flow, item);
}

int64_t flow_deadline_ns(const struct flow *flow)
{
    return flow->soonest != NULL ? flow->soonest->deadline_ns : INT64_MAX;
}

void flow_cancel(struct flow *flow, uint64_t request_id)
{
    struct flow_ticket *ticket = ticket_of(flow, request_id, true);
    wait_end(flow, ticket);
    ticket_give(flow, ticket);
}

static void tokens_seen(struct flow *flow, struct flow_ticket *ticket,
                        uint32_t output_tokens)
{
    CHECK(output_tokens >= ticket->output_tokens,
          "request %llu had %u output tokens, now %u",
          (unsigned long long)ticket->request.request_id, ticket->output_tokens,
          output_tokens);
    const uint32_t more = output_tokens - ticket->output_tokens;
    ticket->output_tokens = output_tokens;
    if (more > 0 && flow->policy->on_tokens != NULL) {
        flow->policy->on_tokens(flow->state, &ticket->request, more);
    }
}

void flow_saw_tokens(struct flow *flow, uint64_t request_id, uint32_t output_tokens)
{
    tokens_seen(flow, ticket_of(flow, request_id, false), output_tokens);
}

void flow_ended(struct flow *flow, uint64_t request_id, uint32_t output_tokens)
{
    struct flow_ticket *ticket = ticket_of(flow, request_id, false);
    tokens_seen(flow, ticket, output_tokens);
    flow_lane_count(ticket->lane, &ticket->request, false);
    if (flow->policy->on_end != NULL) {
        flow->policy->on_end(flow->state, &ticket->request, output_tokens);
    }
    ticket_give(flow, ticket);
}

/* ---- facts ----------------------------------------------------------------------- */

unsigned flow_needs(const struct flow *flow)
{
    return flow->policy->needs;
}

bool flow_wants_tokens(const struct flow *flow)
{
    return flow->policy->on_tokens != NULL;
}

uint32_t flow_waiting(const struct flow *flow)
{
    return flow->waiting;
}

size_t flow_bytes(const struct flow *flow)
{
    size_t bytes = sizeof *flow + flow->policy->state_bytes +
                   (size_t)flow->slab_count * SLAB_TICKETS * sizeof(struct flow_ticket);
    for (uint32_t i = 0; i < flow->lane_count; i++) {
        bytes += flow_lane_bytes(flow->lanes[i]);
    }
    if (flow->policy->memory_bytes != NULL) {
        bytes += flow->policy->memory_bytes(flow->state);
    }
    return bytes;
}
