/* SPDX-License-Identifier: Apache-2.0
 *
 * reconcile.c: a reconcile either ends, and the object is looked at again after its
 * period, or fails, and the work queue brings it back.
 */
#include "sim/control/reconcile.h"

#include "base/check.h"

#include <stdio.h>

static const int64_t backoff_first_ns = INT64_C(5000000);
static const int64_t backoff_most_ns = INT64_C(1000000000000);
static const int64_t requeue_ns = INT64_C(300000000000);
static const int64_t requeue_checked_ns = INT64_C(60000000000);

int64_t workqueue_backoff_ns(uint32_t failures)
{
    CHECK(failures > 0, "nothing has failed");
    int64_t wait_ns = backoff_first_ns;
    for (uint32_t i = 1; i < failures && wait_ns < backoff_most_ns; i++) {
        wait_ns *= 2;
    }
    return wait_ns < backoff_most_ns ? wait_ns : backoff_most_ns;
}

/* ---- StaticRoute ----------------------------------------------------------------- */

static void tell(const struct static_route *route, bool warning, const char *reason,
                 const char *message)
{
    if (route->world.on_event != NULL) {
        route->world.on_event(route->world.context, warning, reason, message);
    }
}

static void fail(struct static_route *route, int64_t now_ns)
{
    route->polling = false;
    route->failed++;
    route->next_ns = now_ns + workqueue_backoff_ns(route->failed);
}

static void done(struct static_route *route, int64_t now_ns)
{
    const int64_t period_ns = route->config.period_ns;
    route->polling = false;
    route->failed = 0;
    route->next_ns = now_ns + (!route->config.checks_health     ? requeue_ns
                               : period_ns > requeue_checked_ns ? period_ns
                                                                : requeue_checked_ns);
}

static void reconcile(struct static_route *route, int64_t now_ns)
{
    const struct static_route_config *config = &route->config;
    const struct static_route_world *world = &route->world;
    route->reconciles++;
    const char *why = world->write_config(world->context);
    if (why != NULL) {
        char message[256];
        (void)snprintf(message, sizeof message,
                       "Failed to create or update ConfigMap %s/%s-config : %s",
                       config->space, config->name, why);
        tell(route, true, "FailedReconcileConfigMap", message);
        fail(route, now_ns);
        return;
    }
    switch (world->target(world->context)) {
    case TARGET_MISSING:
        fail(route, now_ns);
        return;
    case TARGET_THERE:
        if (config->checks_health) {
            route->polling = true;
            route->good = 0;
            route->bad = 0;
            route->deadline_ns = now_ns + config->period_ns * config->failures;
            route->next_ns = now_ns + config->period_ns;
            return;
        }
        break;
    case TARGET_NONE:
    case TARGET_WITHOUT_PORT:
        break;
    }
    done(route, now_ns);
}

static void poll(struct static_route *route, int64_t now_ns)
{
    const struct static_route_config *config = &route->config;
    const bool well = route->world.healthy(route->world.context);
    route->good = well ? route->good + 1 : 0;
    route->bad = well ? 0 : route->bad + 1;
    if (route->good >= config->successes) {
        route->health_succeeded = true;
        done(route, now_ns);
    } else if (route->bad >= config->failures || now_ns >= route->deadline_ns) {
        route->health_failed = true;
        fail(route, now_ns);
    } else {
        route->next_ns = now_ns + config->period_ns;
    }
}

void static_route_changed(struct static_route *route, int64_t now_ns)
{
    route->polling = false;
    reconcile(route, now_ns);
}

void static_route_due(struct static_route *route, int64_t now_ns)
{
    CHECK(now_ns == route->next_ns, "StaticRoute %s is not due", route->config.name);
    if (route->polling) {
        poll(route, now_ns);
    } else {
        reconcile(route, now_ns);
    }
}

/* ---- VLLMRuntime ----------------------------------------------------------------- */

unsigned runtime_applied(bool tag, unsigned changes)
{
    return tag && (changes & RUNTIME_MODEL) == 0 ? 0 : changes;
}

enum runtime_status runtime_status_of(uint32_t available, uint32_t updated)
{
    return available > 0 ? RUNTIME_READY
           : updated > 0 ? RUNTIME_UPDATING
                         : RUNTIME_NOT_READY;
}
