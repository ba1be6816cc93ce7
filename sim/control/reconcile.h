/* SPDX-License-Identifier: Apache-2.0
 *
 * reconcile.h: the stack's reconcilers of custom resources as state machines in virtual
 * time (spec/production-stack.md 6): the work queue's back-off, StaticRoute with its
 * ConfigMap and the health of the router it names, and which changes of a VLLMRuntime
 * reach its Deployment.
 */
#ifndef STACKSIM_SIM_CONTROL_RECONCILE_H
#define STACKSIM_SIM_CONTROL_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

/* Of controller-runtime: after the failures-th failure in a row (from 1 on), 5 ms,
 * doubled each time, 1000 s at most. */
int64_t workqueue_backoff_ns(uint32_t failures);

/* The router that `routerRef` names. */
enum route_target {
    TARGET_NONE,         /* no ref: health is not looked at */
    TARGET_MISSING,      /* no such Service: an error */
    TARGET_WITHOUT_PORT, /* none named http(s) or numbered 8000: silently skipped */
    TARGET_THERE,
};

struct static_route_config {
    const char *name;
    const char *space;  /* namespace */
    bool checks_health; /* spec.healthCheck is given */
    int64_t period_ns;  /* 10 s */
    uint32_t successes; /* 1; 200s in a row */
    uint32_t failures;  /* 3; in a row, and periods in all */
};

/* What the world answers. */
struct static_route_world {
    void *context;
    /* NULL, or why the API server refuses to write the ConfigMap. */
    const char *(*write_config)(void *context);
    enum route_target (*target)(void *context);
    bool (*healthy)(void *context); /* GET /health gives 200 */
    void (*on_event)(void *context, bool warning, const char *reason,
                     const char *message);
};

struct static_route {
    struct static_route_config config;
    struct static_route_world world;
    int64_t next_ns;     /* when static_route_due is to be called */
    uint32_t failed;     /* reconciles in a row */
    bool polling;        /* between two polls of the router's health */
    int64_t deadline_ns; /* of the polls */
    uint32_t good;       /* polls in a row */
    uint32_t bad;
    /* Conditions. One is set and the other not cleared, as in the stack: both may be
     * true. */
    bool health_succeeded;
    bool health_failed;
    uint64_t reconciles;
};

/* It was created, or its spec changed. */
void static_route_changed(struct static_route *route, int64_t now_ns);
/* At next_ns: reconciles, or polls once. */
void static_route_due(struct static_route *route, int64_t now_ns);

/* What of a VLLMRuntime's spec differs from its Deployment. */
enum runtime_change {
    RUNTIME_MODEL = 1 << 0, /* model URL, port, image, resources, LMCache env */
    RUNTIME_REPLICAS = 1 << 1,
    RUNTIME_ARGUMENTS = 1 << 2, /* extraArgs, parallel sizes */
};
/* What of these changes reaches the Deployment now: release 0.1.3 compares the first
 * kind alone, and writes everything when that differs (#554). */
unsigned runtime_applied(bool tag, unsigned changes);

enum runtime_status { RUNTIME_READY, RUNTIME_UPDATING, RUNTIME_NOT_READY };
enum runtime_status runtime_status_of(uint32_t available, uint32_t updated);

#endif
