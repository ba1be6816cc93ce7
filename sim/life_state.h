/* SPDX-License-Identifier: Apache-2.0
 *
 * life_state.h: the inside of a fleet's life, shared by life.c (what the control plane
 * tells) and script.c (the timeline). Nobody else includes it.
 */
#ifndef STACKSIM_SIM_LIFE_STATE_H
#define STACKSIM_SIM_LIFE_STATE_H

#include "sim/custom.h"
#include "sim/sim_state.h"

/* The engines of one pod: one, or a group of ranks. */
struct place {
    uint32_t first;
    uint32_t count;
    uint32_t pool;
    uint32_t number;
    uint32_t incarnation; /* under which the router knows it */
    bool up;
    bool silent; /* down, and nobody refuses connections */
    bool listed;
    bool emptied; /* nothing is in flight any more */
};

struct life {
    struct sim *sim;
    struct control *control;
    struct place *places; /* by slot */
    uint32_t place_count;
    uint32_t *place_of;   /* by engine */
    uint32_t next_action; /* of the timeline */
    uint32_t serving;     /* engines */
    bool emptied;         /* some place is */
    struct reload reload;
    struct custom custom;
    bool begun;
    struct pool_size sizes[SCENARIO_POOLS_MAX]; /* as told */
    bool sizes_told;
    struct control_setup setup;
};

/* ---- script.c ---- */

void life_act(struct life *life, const struct timeline_action *action);

#endif
