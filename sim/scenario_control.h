/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_control.h: the parts of a scenario in which the fleet changes: `nodes`,
 * `discovery`, `client`, a pool's `deployment`, and `timeline`, a script of faults and
 * changes (docs/fleet.md).
 */
#ifndef STACKSIM_SIM_SCENARIO_CONTROL_H
#define STACKSIM_SIM_SCENARIO_CONTROL_H

#include "policies/scale.h"
#include "sim/control/control.h"
#include "sim/control/reconcile.h"
#include "sim/scenario.h"

enum { TIMELINE_MAX = 65536, FAILOVERS_MAX = 16 };

/* What an entry is called, what it names, and what it does. */
#define TIMELINE_KINDS(X)                                                              \
    X(ENGINE_CRASH, "engine_crash", POD, "its process ends; `for`: at least so long")  \
    X(ENGINE_HANG, "engine_hang", POD, "it answers no more until its probe ends it")   \
    X(DRAIN, "drain", POD, "it is deleted, and its pool is smaller by one")            \
    X(DELETE_POD, "delete_pod", POD, "it is deleted, and another one takes its place") \
    X(SLOW_GPU, "slow_gpu", POD, "its steps take `factor` times as long")              \
    X(SLOW_NIC, "slow_nic", POD, "its network card is `factor` times slower")          \
    X(LINK_LOST, "link_lost", POD, "no KV comes or goes")                              \
    X(NODE_LOST, "node_lost", NODE, "the machine is gone; `for`: it comes back")       \
    X(NODE_DRAIN, "node_drain", NODE, "cordoned, its pods evicted")                    \
    X(SCALE, "scale", POOL, "the pool should have `replicas`")                         \
    X(ROLLOUT, "rollout", POOL, "all pods of the pool are replaced")                   \
    X(SLEEP, "sleep", POD, "it takes no requests, ends those it has and sleeps")       \
    X(WAKE, "wake", POD, "it serves again, with an empty cache")                       \
    X(RELOAD, "reload", WORD,                                                          \
      "the router's configuration changes: `good` or `broken`")                        \
    X(ROUTE, "route", WORD, "the StaticRoute changes: to a `good` or `broken` one")    \
    X(API_DOWN, "api_down", WORD, "`configmaps` cannot be written")                    \
    X(SERVICE_LOST, "service_lost", WORD, "the Service of the `router` is gone")

enum timeline_kind {
#define X(id, name, target, help) TIMELINE_##id,
    TIMELINE_KINDS(X)
#undef X
        TIMELINE_COUNT
};

struct timeline_action {
    int64_t at_ns;
    enum timeline_kind kind;
    uint32_t pool;
    uint32_t number;   /* of the pod in its pool */
    uint32_t node;     /* NODE_* */
    uint32_t replicas; /* SCALE */
    bool good;         /* RELOAD, ROUTE; API_DOWN, SERVICE_LOST: it is over */
    double factor;     /* SLOW_*, LINK_LOST (infinite); 1 = as before */
    int64_t for_ns;    /* 0 = for good */
};

/* Who sets a pool's size; policy NULL = nobody. */
struct scenario_autoscale {
    const struct scale_policy *policy;
    double values[POLICY_PARAMS_MAX]; /* of its parameters */
    uint32_t min;
    uint32_t max;
    struct scale_target targets[SCALE_TARGETS_MAX];
    uint32_t target_count;
    int64_t scrape_ns; /* between two scrapes; > 0 */
    int64_t delay_ns;  /* from a scrape to the autoscaler */
    int64_t hold_ns;   /* the router holds requests so long while there is no engine;
                          0 = it refuses them */
};

struct scenario_control {
    struct control_pool pools[SCENARIO_POOLS_MAX];
    struct scenario_autoscale autoscale[SCENARIO_POOLS_MAX];
    bool autoscales;         /* some pool has one */
    int64_t hold_ns;         /* the longest of all pools */
    struct node_spec *nodes; /* owned */
    uint32_t node_count;
    struct control_discovery discovery;
    uint32_t check_prompt_tokens; /* what a health check asks an engine to do; >= 1 */
    uint32_t check_output_tokens;
    uint32_t failovers; /* that the router makes before the first byte */
    uint32_t retries;   /* that a client makes after an error */
    int64_t backoff_ns; /* before the first of them; doubled each time */
    int64_t backoff_max_ns;
    int64_t connect_timeout_ns; /* of a connection to a machine that is gone */
    int64_t config_poll_ns;     /* of the router's configuration file; > 0 */
    bool reloads;               /* the timeline has some */
    bool has_route;             /* a StaticRoute writes that file */
    struct static_route_config route;
    int64_t route_sync_ns;            /* from its ConfigMap to the router's file */
    bool runtime[SCENARIO_POOLS_MAX]; /* a VLLMRuntime makes the pool's Deployment */
    bool recompute; /* prompts whose KV was lost on its way; else they fail */
    struct timeline_action *actions; /* owned; in order of time, then of the file */
    uint32_t action_count;
};

/* After the cluster was read. *out NULL when the scenario has none of these keys: the
 * fleet is what it is. Sets the pools' `engines`. */
NODISCARD bool scenario_control_read(struct scenario_control **out,
                                     struct scenario *scenario,
                                     const struct conf_node *root, struct err *err);
void scenario_control_delete(struct scenario_control *control);
const char *timeline_kind_name(enum timeline_kind kind); /* "engine_crash" */

#endif
