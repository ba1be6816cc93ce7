/* SPDX-License-Identifier: Apache-2.0
 *
 * custom.c: what reconcilers ask of the world, answered by the run.
 */
#include "sim/custom.h"

#include "sim/sim_state.h"

#include <stdio.h>

enum { OBJECT_BYTES = 96 };

/* ---- StaticRoute ----------------------------------------------------------------- */

static void route_tell(void *context, bool warning, const char *reason,
                       const char *message)
{
    const struct custom *custom = context;
    char object[OBJECT_BYTES];
    (void)snprintf(object, sizeof object, "staticroute/%s", custom->route.config.name);
    sim_tell(custom->sim, warning, reason, object, message);
}

static const char *write_config(void *context)
{
    struct custom *custom = context;
    if (custom->api_down) {
        return "the server is currently unable to handle the request";
    }
    if (custom->edited) {
        custom->edited = false;
        custom->mounted_good = custom->good;
        custom->mount_ns =
            custom->sim->now_ns + custom->sim->scenario->control->route_sync_ns;
        route_tell(custom, false, "ConfigMapUpdated", "the router's pod gets it later");
    }
    return NULL;
}

static enum route_target target(void *context)
{
    return ((const struct custom *)context)->service_lost ? TARGET_MISSING
                                                          : TARGET_THERE;
}

/* /health does not depend on backends (spec/production-stack.md 4.1). */
static bool healthy(void *context)
{
    (void)context;
    return true;
}

/* Conditions, and errors that have no event in the stack but stand in its log. */
static void route_changed(struct custom *custom, const struct static_route *old)
{
    const struct static_route *route = &custom->route;
    if (route->health_succeeded && !old->health_succeeded) {
        route_tell(custom, false, "HealthCheckSucceeded", "the router answers");
    }
    if (route->failed > old->failed && !custom->api_down) {
        route_tell(custom, true, "ReconcileError", "the router's Service is not found");
    }
}

void custom_route_edit(struct custom *custom, bool good)
{
    const struct static_route old = custom->route;
    custom->edited = true;
    custom->good = good;
    static_route_changed(&custom->route, custom->sim->now_ns);
    route_changed(custom, &old);
}

static void route_due(struct custom *custom)
{
    const struct static_route old = custom->route;
    static_route_due(&custom->route, custom->sim->now_ns);
    route_changed(custom, &old);
}

/* ---- VLLMRuntime ----------------------------------------------------------------- */

static void runtime_tell(const struct custom *custom, uint32_t pool, bool warning,
                         const char *reason, const char *message)
{
    char object[OBJECT_BYTES];
    (void)snprintf(object, sizeof object, "vllmruntime/%s",
                   custom->sim->scenario->pools[pool].name);
    sim_tell(custom->sim, warning, reason, object, message);
}

static void runtime_edit(struct custom *custom, uint32_t pool, unsigned change)
{
    struct custom_runtime *runtime = &custom->runtimes[pool];
    const bool tag = custom->sim->scenario->compat == COMPAT_TAG;
    const int64_t now_ns = custom->sim->now_ns;
    runtime->changes |= change;
    const unsigned applied = runtime_applied(tag, runtime->changes);
    if (applied == 0) {
        runtime_tell(custom, pool, true, "UpdateOverlooked",
                     "replicas are not compared: the Deployment stays as it is");
        return;
    }
    runtime->changes = 0;
    if ((applied & RUNTIME_MODEL) != 0) { /* no more pods of the old template */
        control_rollout(custom->control, now_ns, pool);
    }
    if ((applied & RUNTIME_REPLICAS) != 0) {
        control_scale(custom->control, now_ns, pool, runtime->replicas);
    }
}

void custom_scale(struct custom *custom, uint32_t pool, uint32_t replicas)
{
    if (custom->sim->scenario->control->runtime[pool]) {
        custom->runtimes[pool].replicas = replicas;
        runtime_edit(custom, pool, RUNTIME_REPLICAS);
    } else {
        control_scale(custom->control, custom->sim->now_ns, pool, replicas);
    }
}

void custom_rollout(struct custom *custom, uint32_t pool)
{
    if (custom->sim->scenario->control->runtime[pool]) {
        runtime_edit(custom, pool, RUNTIME_MODEL);
    } else {
        control_rollout(custom->control, custom->sim->now_ns, pool);
    }
}

static void runtime_look(struct custom *custom, uint32_t pool)
{
    static const char *const names[] = {"Ready", "Updating", "NotReady"};
    struct custom_runtime *runtime = &custom->runtimes[pool];
    const enum runtime_status status = runtime_status_of(
        control_ready(custom->control, pool), control_updated(custom->control, pool));
    if (status != runtime->status) {
        runtime->status = status;
        runtime_tell(custom, pool, status != RUNTIME_READY, "StatusChanged",
                     names[status]);
    }
}

/* ---- both ------------------------------------------------------------------------ */

void custom_init(struct custom *custom, struct sim *sim, struct control *control,
                 struct reload *reload)
{
    const struct scenario_control *config = sim->scenario->control;
    *custom = (struct custom){
        .sim = sim,
        .control = control,
        .reload = reload,
        .route = {.config = config->route,
                  .world = {custom, write_config, target, healthy, route_tell},
                  .next_ns = INT64_MAX},
        .mount_ns = INT64_MAX,
    };
    if (config->has_route) {
        const struct static_route old = custom->route;
        static_route_changed(&custom->route, sim->now_ns);
        route_changed(custom, &old);
    }
    for (uint32_t i = 0; i < sim->scenario->pool_count; i++) {
        if (config->runtime[i]) {
            custom->runtimes[i].status = runtime_status_of(control_ready(control, i),
                                                           control_updated(control, i));
        }
    }
}

int64_t custom_next_ns(const struct custom *custom)
{
    return custom->mount_ns < custom->route.next_ns ? custom->mount_ns
                                                    : custom->route.next_ns;
}

void custom_due(struct custom *custom)
{
    const struct scenario *scenario = custom->sim->scenario;
    if (custom->mount_ns <= custom->sim->now_ns) {
        custom->mount_ns = INT64_MAX;
        sim_reload_write(custom->sim, custom->reload, custom->mounted_good);
    }
    while (custom->route.next_ns <= custom->sim->now_ns) {
        route_due(custom);
    }
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        if (scenario->control->runtime[i]) {
            runtime_look(custom, i);
        }
    }
}
