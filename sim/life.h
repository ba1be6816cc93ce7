/* SPDX-License-Identifier: Apache-2.0
 *
 * life.h: engines that come, go and fail within a run: the control plane
 * (sim/control/control.h) joined to engines and gateways, and the scenario's timeline.
 *
 * An engine is there from the beginning to the end of the run, up or down; what comes
 * up again is a new one in its place, with an empty cache. Requests at an engine that
 * goes down without a word hang until their connection times out; else their attempt
 * has failed (sim/retries.c).
 */
#ifndef STACKSIM_SIM_LIFE_H
#define STACKSIM_SIM_LIFE_H

#include "sim/control/control.h"

#include <stdbool.h>
#include <stdint.h>

struct life;
struct request;
struct sim;

/* NULL when the fleet never changes. Engines are made and joined; tells of those that
 * are not there yet. */
struct life *sim_life_new(struct sim *sim);
void sim_life_delete(struct life *life);

/* The control plane's or the timeline's next moment has come. */
void sim_life_due(struct sim *sim);
/* After anything that could move it. */
void sim_life_reschedule(struct sim *sim);

/* ---- reload.c: the router's configuration file ---- */

/* It is polled every 10 s. Applied, the policy forgets all it knows; one that cannot be
 * applied is tried again at every poll (spec/production-stack.md 5.2). */
struct reload {
    bool pending;
    bool good;
    int64_t poll_ns; /* the next one, while pending */
};
void sim_reload_write(struct sim *sim, struct reload *reload, bool good);
void sim_reload_poll(struct sim *sim, struct reload *reload);

/* Nothing is ahead but health checks that find the same, and reconciles. */
bool sim_life_settled(const struct sim *sim);
/* Something is still to happen by the script of the scenario. */
bool sim_life_acts(const struct sim *sim);
bool sim_life_serves(const struct sim *sim, uint32_t engine);
/* A request was sent to an engine that does not serve: refused, or it hangs. */
void sim_life_refuse(struct sim *sim, struct request *request);
/* An engine answers to a health check. */
void sim_life_checked(struct sim *sim, uint32_t engine, bool well);
/* A request at this engine has ended. */
void sim_life_left(struct sim *sim, uint32_t engine);

/* Pods by slot, those of one pool one after the other, and the (first) engine of each.
 */
uint32_t sim_life_first_slot(const struct sim *sim, uint32_t pool);
struct control_pod sim_life_pod(const struct sim *sim, uint32_t slot);
uint32_t sim_life_engine(const struct sim *sim, uint32_t slot);

/* The number that an autoscaler changes: how many replicas the pool should have. */
void sim_pool_scale(struct sim *sim, uint32_t pool, uint32_t replicas);
uint32_t sim_pool_desired(const struct sim *sim, uint32_t pool);
uint32_t sim_pool_ready(const struct sim *sim, uint32_t pool);

#endif
