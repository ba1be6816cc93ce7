/* SPDX-License-Identifier: Apache-2.0
 *
 * flow_lane.h: the flows that wait for the endpoints of one model. Only policies/flow.c
 * uses it.
 */
#ifndef STACKSIM_POLICIES_FLOW_LANE_H
#define STACKSIM_POLICIES_FLOW_LANE_H

#include "policies/admit.h"

struct flow_lane;

/* One request from arrival to end. */
struct flow_ticket {
    struct admit_request request;
    void *owner;
    int64_t deadline_ns;
    struct flow_lane *lane;
    struct flow_ticket *previous; /* in its flow */
    struct flow_ticket *next;
    struct flow_ticket *sooner; /* all that wait, by deadline */
    struct flow_ticket *later;
    uint32_t output_tokens; /* seen so far */
    uint32_t index;         /* in the host's table */
    bool waiting;
};

struct flow_lane *flow_lane_new(const char *model); /* copied; NULL is a name too */
void flow_lane_delete(struct flow_lane *lane);
bool flow_lane_serves(const struct flow_lane *lane, const char *model);
const char *flow_lane_model(const struct flow_lane *lane);

/* At the end of the flow of its tenant and priority, which appears with it. */
void flow_lane_push(struct flow_lane *lane, struct flow_ticket *ticket);
/* From any place of its flow, which goes when it is empty. */
void flow_lane_remove(struct flow_lane *lane, struct flow_ticket *ticket);
/* The first of a flow by its place in the view. */
struct flow_ticket *flow_lane_head(const struct flow_lane *lane, uint32_t flow);

/* Counts one that was let in, or (joins false) has ended. */
void flow_lane_count(struct flow_lane *lane, const struct admit_request *request,
                     bool joins);
uint32_t flow_lane_waiting(const struct flow_lane *lane);
/* Valid until the lane changes. */
struct admit_view flow_lane_view(const struct flow_lane *lane, int64_t now_ns,
                                 const struct cluster_view *cluster);
size_t flow_lane_bytes(const struct flow_lane *lane);

#endif
