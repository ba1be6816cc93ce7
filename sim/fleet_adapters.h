/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet_adapters.h: which engine has which LoRA adapters registered, and what scrapes
 * tell of them.
 */
#ifndef STACKSIM_SIM_FLEET_ADAPTERS_H
#define STACKSIM_SIM_FLEET_ADAPTERS_H

#include "sim/front.h"
#include "sim/replica.h"
#include "sim/scenario.h"

struct fleet_adapters;

/* The fleet that they are placed on; borrowed. */
struct fleet_adapters_setup {
    const struct scenario *scenario;
    struct replica *const *engines;
    const struct scenario_pool *const *pool_of; /* by engine */
    uint32_t engine_count;
    struct front *fronts;
    uint32_t front_count;
};

/* Places the adapters, loads them where the scenario says so, and tells all gateways of
 * those that are there from the beginning.
 * NULL when there are none. */
struct fleet_adapters *fleet_adapters_new(const struct fleet_adapters_setup *setup);
void fleet_adapters_delete(struct fleet_adapters *fleet); /* NULL is legal */

/* When the router learns of it: release 0.1.3 at its next list of all pods, a multiple
 * of 30 s; later ones by the event that the controller causes. 0 = from the beginning.
 */
int64_t fleet_adapters_routable_ns(const struct fleet_adapters *fleet,
                                   uint32_t adapter);
/* It is told of one that was loaded late. */
void fleet_adapters_tell(struct fleet_adapters *fleet, uint32_t adapter);

/* The adapter's number, or ADAPTER_NONE when no engine lists it. Fleet may be NULL. */
uint32_t fleet_adapters_find(const struct fleet_adapters *fleet, const char *name);
/* Its name; NULL for ADAPTER_NONE. */
const char *fleet_adapters_name(const struct fleet_adapters *fleet, uint32_t adapter);

/* As the engine stands now, kept until this front asks about it again; NULL without
 * LoRA. Fleet may be NULL. */
const struct endpoint_adapters *fleet_adapters_scrape(struct fleet_adapters *fleet,
                                                      uint32_t front, uint32_t engine);

#endif
