/* SPDX-License-Identifier: Apache-2.0
 *
 * test_reconcile.c: rows of the acceptance table (spec/production-stack.md 10) on
 * custom resources: #409, #415, #402, in the simulator's column.
 */
#include "sim/control/reconcile.h"
#include "tests/harness.h"

#include <string.h>

static const int64_t second = 1000000000;
static const int64_t ms = 1000000;

struct world {
    const char *api_error; /* NULL = writes succeed */
    enum route_target target;
    bool healthy;
    uint32_t events;
    char last[256];
};

static const char *write_config(void *context)
{
    return ((const struct world *)context)->api_error;
}
static enum route_target target(void *context)
{
    return ((const struct world *)context)->target;
}
static bool healthy(void *context)
{
    return ((const struct world *)context)->healthy;
}
static void on_event(void *context, bool warning, const char *reason,
                     const char *message)
{
    struct world *world = context;
    EXPECT(warning);
    EXPECT_STR(reason, "FailedReconcileConfigMap");
    EXPECT(strlen(message) < sizeof world->last);
    strncpy(world->last, message, sizeof world->last - 1);
    world->events++;
}

static struct static_route route_in(struct world *world)
{
    return (struct static_route){
        .config = {.name = "route",
                   .space = "default",
                   .checks_health = true,
                   .period_ns = 10 * second,
                   .successes = 2,
                   .failures = 3},
        .world = {world, write_config, target, healthy, on_event},
    };
}

static void the_work_queue_doubles_up_to_a_thousand_seconds(void)
{
    EXPECT_I64(workqueue_backoff_ns(1), 5 * ms);
    EXPECT_I64(workqueue_backoff_ns(2), 10 * ms);
    EXPECT_I64(workqueue_backoff_ns(11), 5120 * ms);
    EXPECT_I64(workqueue_backoff_ns(18), 655360 * ms);
    EXPECT_I64(workqueue_backoff_ns(19), 1000 * second);
    EXPECT_I64(workqueue_backoff_ns(UINT32_MAX), 1000 * second);
}

/* One Warning per attempt, at 0, 5, 15 and 35 ms; then it succeeds and says nothing. */
static void acceptance_402_a_failed_config_map_is_told_at_every_attempt(void)
{
    struct world world = {.api_error = "connection refused", .target = TARGET_NONE};
    struct static_route route = route_in(&world);
    const int64_t due_ms[] = {5, 15, 35, 75};
    static_route_changed(&route, 0);
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT_I64(route.next_ns, due_ms[i] * ms);
        EXPECT_U64(world.events, i + 1);
        if (i == 3) {
            world.api_error = NULL;
        }
        static_route_due(&route, route.next_ns);
    }
    EXPECT_STR(world.last, "Failed to create or update ConfigMap default/route-config "
                           ": connection refused");
    EXPECT_U64(world.events, 4);
    EXPECT_U64(route.failed, 0);
    EXPECT_I64(route.next_ns, 75 * ms + 60 * second);
}

/* A missing Service is an error and tried again; when it is there, the first poll comes
 * one period later and the condition after two 200s. */
static void acceptance_409_one_service_is_named_and_polled(void)
{
    struct world world = {.target = TARGET_MISSING, .healthy = true};
    struct static_route route = route_in(&world);
    static_route_changed(&route, 0);
    EXPECT_I64(route.next_ns, 5 * ms);
    EXPECT_U64(world.events, 0); /* only ConfigMaps have events */
    world.target = TARGET_THERE;
    static_route_due(&route, 5 * ms);
    EXPECT_I64(route.next_ns, 5 * ms + 10 * second);
    static_route_due(&route, route.next_ns);
    EXPECT(!route.health_succeeded);
    static_route_due(&route, route.next_ns);
    EXPECT(route.health_succeeded && !route.health_failed);
    EXPECT_I64(route.next_ns, 5 * ms + 20 * second + 60 * second);
}

/* Three failures in a row, at 10, 20 and 30 s; the condition of the success before is
 * not cleared. */
static void a_router_that_is_ill_fails_the_reconcile(void)
{
    struct world world = {.target = TARGET_THERE, .healthy = false};
    struct static_route route = route_in(&world);
    route.health_succeeded = true;
    static_route_changed(&route, 0);
    for (int64_t i = 1; i <= 3; i++) {
        EXPECT(!route.health_failed);
        EXPECT_I64(route.next_ns, i * 10 * second);
        static_route_due(&route, route.next_ns);
    }
    EXPECT(route.health_failed && route.health_succeeded);
    EXPECT_I64(route.next_ns, 30 * second + 5 * ms);
}

static void a_service_without_a_port_is_not_polled(void)
{
    struct world world = {.target = TARGET_WITHOUT_PORT};
    struct static_route route = route_in(&world);
    static_route_changed(&route, 0);
    EXPECT(!route.health_failed && !route.health_succeeded);
    EXPECT_I64(route.next_ns, 60 * second);
    route.config.checks_health = false;
    static_route_changed(&route, 0);
    EXPECT_I64(route.next_ns, 300 * second);
}

static void acceptance_415_the_tag_overlooks_a_change_of_replicas(void)
{
    EXPECT_U64(runtime_applied(true, RUNTIME_REPLICAS), 0);
    EXPECT_U64(runtime_applied(false, RUNTIME_REPLICAS), RUNTIME_REPLICAS);
    EXPECT_U64(runtime_applied(true, RUNTIME_REPLICAS | RUNTIME_MODEL),
               RUNTIME_REPLICAS | RUNTIME_MODEL);
    EXPECT_U64(runtime_applied(true, RUNTIME_ARGUMENTS), 0);
    EXPECT(runtime_status_of(1, 0) == RUNTIME_READY);
    EXPECT(runtime_status_of(0, 2) == RUNTIME_UPDATING);
    EXPECT(runtime_status_of(0, 0) == RUNTIME_NOT_READY);
}

HARNESS_MAIN("unit.reconcile", TEST(the_work_queue_doubles_up_to_a_thousand_seconds),
             TEST(acceptance_402_a_failed_config_map_is_told_at_every_attempt),
             TEST(acceptance_409_one_service_is_named_and_polled),
             TEST(a_router_that_is_ill_fails_the_reconcile),
             TEST(a_service_without_a_port_is_not_polled),
             TEST(acceptance_415_the_tag_overlooks_a_change_of_replicas))
