/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet_state.h: what the two files of the fleet share; nobody else includes it.
 */
#ifndef STACKSIM_ROUTER_FLEET_STATE_H
#define STACKSIM_ROUTER_FLEET_STATE_H

#include "base/text.h"
#include "router/fleet.h"
#include "router/record.h"

struct fleet_era {
    struct gateway *gateway;
    struct backend **backend_of; /* endpoint id -> who has it, or NULL; holds it */
    uint32_t open_attempts;
    bool retired;
};

struct fleet {
    struct fleet_setup setup;
    struct config *config;
    uint64_t generation;
    struct fleet_era *era;
    struct backend **members;
    size_t member_count;
    bool *slot_used;
    struct request_stats *stats;
    struct decision_sink decision_sink;
    struct text line;
    char **seen; /* names of models that some configuration had */
    size_t seen_count;
    size_t seen_capacity;
    uint64_t eras;
};

/* A line of the record to fill; NULL when nobody wants one. */
struct text *fleet_record_begin(struct fleet *fleet);
void fleet_record_finish(const struct fleet *fleet);
/* Tells the gateway when it has another idea of who accepts. */
void fleet_update_accepting(struct fleet *fleet, int64_t now_ns,
                            struct backend *backend);

#endif
