/* SPDX-License-Identifier: Apache-2.0
 *
 * flow_lane.c: an array of flows in order of priority, then tenant, and beside it the
 * ends of their lists.
 *
 * A sorted array and not a tree: a policy walks it at every decision, and it changes
 * only when a tenant starts or stops to wait. Removing from the middle (a client hung
 * up, a time-out) is what the double links are for.
 */
#include "policies/flow_lane.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { FLOWS_MAX = 1 << 20 };

struct flow_ends {
    struct flow_ticket *first;
    struct flow_ticket *last;
};

struct flow_lane {
    char *model;
    struct flow_view *flows;
    struct flow_ends *ends;
    size_t flow_capacity;
    size_t end_capacity;
    uint32_t flow_count;
    uint32_t waiting;
    uint32_t inflight_requests;
    uint64_t inflight_tokens;
};

struct flow_lane *flow_lane_new(const char *model)
{
    struct flow_lane *lane = mem_alloc(1, sizeof *lane);
    lane->model = model != NULL ? mem_strdup(model) : NULL;
    return lane;
}

void flow_lane_delete(struct flow_lane *lane)
{
    if (lane != NULL) {
        mem_free(lane->model);
        mem_free(lane->flows);
        mem_free(lane->ends);
        mem_free(lane);
    }
}

bool flow_lane_serves(const struct flow_lane *lane, const char *model)
{
    if (lane->model == NULL || model == NULL) {
        return lane->model == model;
    }
    return strcmp(lane->model, model) == 0;
}

const char *flow_lane_model(const struct flow_lane *lane)
{
    return lane->model;
}

/* The first flow that does not stand before (priority, tenant). */
static uint32_t place_of(const struct flow_lane *lane,
                         const struct admit_request *request)
{
    uint32_t low = 0;
    uint32_t high = lane->flow_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct flow_view *at = &lane->flows[middle];
        const bool before = at->priority != request->priority
                                ? at->priority < request->priority
                                : at->tenant < request->tenant;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low;
}

static bool is_flow_of(const struct flow_lane *lane, uint32_t place,
                       const struct admit_request *request)
{
    return place < lane->flow_count &&
           lane->flows[place].priority == request->priority &&
           lane->flows[place].tenant == request->tenant;
}

static void flow_insert(struct flow_lane *lane, uint32_t place,
                        const struct admit_request *head)
{
    void *flows = lane->flows;
    void *ends = lane->ends;
    const bool grown = mem_grow(&flows, &lane->flow_capacity, lane->flow_count + 1,
                                sizeof *lane->flows, FLOWS_MAX) &&
                       mem_grow(&ends, &lane->end_capacity, lane->flow_count + 1,
                                sizeof *lane->ends, FLOWS_MAX);
    CHECK(grown, "%u flows wait", lane->flow_count);
    lane->flows = flows;
    lane->ends = ends;
    const size_t behind = lane->flow_count - place;
    memmove(lane->flows + place + 1, lane->flows + place, behind * sizeof *lane->flows);
    memmove(lane->ends + place + 1, lane->ends + place, behind * sizeof *lane->ends);
    lane->flow_count++;
    lane->flows[place] = (struct flow_view){
        .tenant = head->tenant, .priority = head->priority, .head = *head};
    lane->ends[place] = (struct flow_ends){0};
}

static void flow_drop(struct flow_lane *lane, uint32_t place)
{
    const size_t behind = --lane->flow_count - place;
    memmove(lane->flows + place, lane->flows + place + 1, behind * sizeof *lane->flows);
    memmove(lane->ends + place, lane->ends + place + 1, behind * sizeof *lane->ends);
}

void flow_lane_push(struct flow_lane *lane, struct flow_ticket *ticket)
{
    const uint32_t place = place_of(lane, &ticket->request);
    if (!is_flow_of(lane, place, &ticket->request)) {
        flow_insert(lane, place, &ticket->request);
    }
    struct flow_ends *ends = &lane->ends[place];
    ticket->next = NULL;
    ticket->previous = ends->last;
    if (ends->last == NULL) {
        ends->first = ticket;
    } else {
        ends->last->next = ticket;
    }
    ends->last = ticket;
    lane->flows[place].waiting++;
    lane->waiting++;
}

void flow_lane_remove(struct flow_lane *lane, struct flow_ticket *ticket)
{
    const uint32_t place = place_of(lane, &ticket->request);
    CHECK(is_flow_of(lane, place, &ticket->request), "request %llu waits in no flow",
          (unsigned long long)ticket->request.request_id);
    struct flow_ends *ends = &lane->ends[place];
    if (ticket->previous == NULL) {
        ends->first = ticket->next;
    } else {
        ticket->previous->next = ticket->next;
    }
    if (ticket->next == NULL) {
        ends->last = ticket->previous;
    } else {
        ticket->next->previous = ticket->previous;
    }
    lane->waiting--;
    lane->flows[place].waiting--;
    if (ends->first == NULL) {
        flow_drop(lane, place);
    } else {
        lane->flows[place].head = ends->first->request;
    }
}

struct flow_ticket *flow_lane_head(const struct flow_lane *lane, uint32_t flow)
{
    CHECK(flow < lane->flow_count, "flow %u of %u", flow, lane->flow_count);
    return lane->ends[flow].first;
}

void flow_lane_count(struct flow_lane *lane, const struct admit_request *request,
                     bool joins)
{
    const uint64_t tokens =
        (uint64_t)request->prompt_tokens + request->output_tokens_guess;
    if (joins) {
        lane->inflight_requests++;
        lane->inflight_tokens += tokens;
        return;
    }
    CHECK(lane->inflight_requests > 0 && lane->inflight_tokens >= tokens,
          "request %llu ends, %u are in flight",
          (unsigned long long)request->request_id, lane->inflight_requests);
    lane->inflight_requests--;
    lane->inflight_tokens -= tokens;
}

uint32_t flow_lane_waiting(const struct flow_lane *lane)
{
    return lane->waiting;
}

struct admit_view flow_lane_view(const struct flow_lane *lane, int64_t now_ns,
                                 const struct cluster_view *cluster)
{
    return (struct admit_view){
        .now_ns = now_ns,
        .cluster = cluster,
        .inflight_requests = lane->inflight_requests,
        .inflight_tokens = lane->inflight_tokens,
        .waiting = lane->waiting,
        .flow_count = lane->flow_count,
        .flows = lane->flows,
    };
}

size_t flow_lane_bytes(const struct flow_lane *lane)
{
    return sizeof *lane + lane->flow_capacity * sizeof *lane->flows +
           lane->end_capacity * sizeof *lane->ends;
}
