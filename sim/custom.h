/* SPDX-License-Identifier: Apache-2.0
 *
 * custom.h: the stack's custom resources in a run: a StaticRoute that writes the
 * router's configuration, and VLLMRuntimes whose Deployments are pools
 * (sim/control/reconcile.h).
 */
#ifndef STACKSIM_SIM_CUSTOM_H
#define STACKSIM_SIM_CUSTOM_H

#include "sim/control/reconcile.h"
#include "sim/scenario_control.h"

struct reload;
struct sim;

struct custom {
    struct sim *sim;
    struct control *control;
    struct reload *reload; /* of the router's file */
    struct static_route route;
    bool api_down; /* ConfigMaps cannot be written */
    bool service_lost;
    bool edited; /* the StaticRoute says what its ConfigMap does not */
    bool good;   /* and what it says can be read */
    bool mounted_good;
    int64_t mount_ns; /* the ConfigMap reaches the router's file; INT64_MAX = it has */
    struct custom_runtime {
        unsigned changes; /* enum runtime_change, not applied */
        uint32_t replicas;
        enum runtime_status status;
    } runtimes[SCENARIO_POOLS_MAX];
};

/* Borrows all of it. The route is reconciled at once. */
void custom_init(struct custom *custom, struct sim *sim, struct control *control,
                 struct reload *reload);
int64_t custom_next_ns(const struct custom *custom); /* INT64_MAX = nothing */
/* After anything that the control plane did: statuses are told, and what is due is
 * done. */
void custom_due(struct custom *custom);

/* Somebody edits a resource; a pool of none is edited itself. */
void custom_scale(struct custom *custom, uint32_t pool, uint32_t replicas);
void custom_rollout(struct custom *custom, uint32_t pool);
void custom_route_edit(struct custom *custom, bool good);

#endif
