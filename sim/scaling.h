/* SPDX-License-Identifier: Apache-2.0
 *
 * scaling.h: pools whose size an autoscaler sets (policies/scale.h), within a run.
 *
 * Scrapes and looks are part of the control plane's events: behind the steps that end
 * in the same instant, before arrivals. What changes is one number of a deployment;
 * pods follow in their time (sim/life.h). NULL in place of a struct scaling: nobody
 * scales.
 */
#ifndef STACKSIM_SIM_SCALING_H
#define STACKSIM_SIM_SCALING_H

#include <stdbool.h>
#include <stdint.h>

struct request;
struct request_outcome;
struct scaling;
struct sim;
struct trace_record;

struct scaling *sim_scaling_new(struct sim *sim);
void sim_scaling_delete(struct scaling *scaling);

/* The next scrape or look; INT64_MAX = none. */
int64_t sim_scaling_next_ns(const struct sim *sim);
/* All that are due. */
void sim_scaling_due(struct sim *sim);

/* What the metrics count. */
void sim_scaling_arrived(struct sim *sim, const struct trace_record *record);
void sim_scaling_moved(struct sim *sim, uint32_t engine, int change);
/* More or fewer are held at the router for want of an engine. */
void sim_scaling_held(struct sim *sim, int change);
void sim_scaling_first_token(struct sim *sim, const struct request *request);
void sim_scaling_ended(struct sim *sim, const struct request_outcome *outcome);

/* A request finds no engine. True: some pool's router holds it. */
bool sim_scaling_unroutable(struct sim *sim);

#endif
