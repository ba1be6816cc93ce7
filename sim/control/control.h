/* SPDX-License-Identifier: Apache-2.0
 *
 * control.h: the control plane around the engines: deployments, their pods, nodes, and
 * what the router's discovery believes.
 *
 * A state machine in virtual time, without a clock: its owner gives it commands (scale,
 * crash, drain ...), calls control_advance when the time that control_next_ns names has
 * come, and is told through hooks what happens to engines. A pod lives in a slot of its
 * pool, numbered over all pools; the owner keeps an engine (or a group of ranks) for
 * each slot. Pods that replace others are new: another name, another address.
 *
 * Whoever scales a pool changes a number, the replicas it should have
 * (control_scale); everything else follows from reconciling with it.
 */
#ifndef STACKSIM_SIM_CONTROL_CONTROL_H
#define STACKSIM_SIM_CONTROL_CONTROL_H

#include "sim/control/cold_start.h"
#include "sim/control/nodes.h"

enum { CONTROL_POOLS_MAX = 16, POD_NAME_BYTES = 96, POD_WORKERS_MAX = 15 };

enum volume_access { ACCESS_MANY, ACCESS_ONCE };

/* A pool's Deployment. */
struct control_pool {
    const char *name;
    uint32_t replicas; /* that it should have at first */
    uint32_t slots;    /* pods at a time, those that end included; >= replicas */
    bool warm;         /* its first pods are ready when the run begins */
    struct cold_start start;
    struct probe startup;
    struct probe liveness;
    struct probe readiness;
    struct pod_request request;
    /* A Ray cluster is one engine: its head is the pod that serves, and all of it comes
     * and goes together. 0 = a pod alone. */
    uint32_t workers;
    struct pod_request worker; /* what each of them asks for */
    enum volume_access access; /* of its claim, with WEIGHTS_PVC */
    uint64_t size_limit_bytes; /* of the volume the weights go to; 0 = none */
    uint32_t surge;            /* pods beyond `replicas` during a rollout */
    uint32_t unavailable;      /* pods fewer than that, then */
    uint32_t disruptions;      /* that a budget allows; UINT32_MAX = protects nobody */
    int64_t pre_stop_ns;       /* hook: it still serves before SIGTERM comes */
    int64_t grace_ns;          /* from its deletion to SIGKILL */
    int64_t deadline_ns;       /* without progress a rollout has failed */
};

enum discovery_mode {
    DISCOVERY_K8S,    /* the router watches pods */
    DISCOVERY_STATIC, /* it has a list, and may ask who is well */
};
struct control_discovery {
    enum discovery_mode mode;
    int64_t delay_ns; /* K8S: from a change of a pod to the router's list */
    /* K8S. Release 0.1.3: ending pods stay in the list until they are not ready; pods
     * deleted within gap_ns after a re-list stay in it for ever (#1091). */
    bool keeps_ending;
    int64_t relist_ns; /* 0 = the watch never ends */
    int64_t gap_ns;
    /* STATIC: a pass over all, one after the other, then a pause. */
    bool checks;
    int64_t check_interval_ns;
    int64_t check_ns;         /* of an answer, beside its engine's own time */
    int64_t check_timeout_ns; /* of one that does not come */
    bool check_always_fails;  /* model type `score` of release 0.1.3 */
    uint32_t check_backends;  /* the first ones of the list; others are always well */
};

struct control_event {
    int64_t time_ns;
    bool warning; /* else Normal */
    const char *reason;
    const char *object; /* "pod/pool0-3" */
    const char *message;
};

enum down_how {
    DOWN_RESET,  /* the process is gone: its connections are reset */
    DOWN_SILENT, /* nobody answers any more: the machine is gone, or it hangs */
};

struct control_hooks {
    void *context;
    /* It answers from now on, with an empty cache. */
    void (*on_up)(void *context, uint32_t slot);
    void (*on_down)(void *context, uint32_t slot, enum down_how how);
    /* After DOWN_SILENT: its connections are reset at last. */
    void (*on_reset)(void *context, uint32_t slot);
    /* In or out of the router's list. fresh: under a new address. */
    void (*on_listed)(void *context, uint32_t slot, bool listed, uint32_t incarnation);
    /* A health check reaches an engine: control_checked gives its answer. */
    void (*on_check)(void *context, uint32_t slot);
    /* Nobody waits for that answer any more. */
    void (*on_check_over)(void *context, uint32_t slot);
    uint32_t (*in_flight)(void *context, uint32_t slot);
    void (*on_event)(void *context, const struct control_event *event);
};

struct control_setup {
    const struct control_pool *pools; /* borrowed */
    uint32_t pool_count;
    const struct node_spec *nodes; /* borrowed */
    uint32_t node_count;           /* 0 = there is room for everybody */
    struct control_discovery discovery;
    struct control_hooks hooks;
};

struct control;

/* At time 0: warm pods are up and listed when it returns; hooks were called. */
struct control *control_new(const struct control_setup *setup);
void control_delete(struct control *control);
int64_t control_next_ns(const struct control *control); /* INT64_MAX = nothing */
/* Nothing is ahead but passes of health checks, and the last two changed nothing. */
bool control_settled(const struct control *control);
/* Everything that is due at now_ns. */
void control_advance(struct control *control, int64_t now_ns);

/* ---- commands; slots are of the pool, from 0 on ---- */

void control_scale(struct control *control, int64_t now_ns, uint32_t pool,
                   uint32_t replicas);
uint32_t control_desired(const struct control *control, uint32_t pool);
uint32_t control_ready(const struct control *control, uint32_t pool);
/* Pods of the newest template, ready or not. */
uint32_t control_updated(const struct control *control, uint32_t pool);
/* The process ends. down_ns > 0: and its container does not start again before then. */
void control_crash(struct control *control, int64_t now_ns, uint32_t slot,
                   int64_t down_ns);
/* The process answers no more, until the liveness probe ends it. */
void control_hang(struct control *control, int64_t now_ns, uint32_t slot);
/* The pod is deleted: no new requests, those it has may end within the grace period.
 * keep: the deployment makes another one in its place. */
void control_drain(struct control *control, int64_t now_ns, uint32_t slot, bool keep);
/* The machine is gone: for down_ns, 0 = for ever. */
void control_node_lost(struct control *control, int64_t now_ns, uint32_t node,
                       int64_t down_ns);
/* Cordoned, and its pods are evicted as far as budgets allow, again every 5 s. */
void control_node_drain(struct control *control, int64_t now_ns, uint32_t node);
/* All pods of the pool are replaced by new ones, as its strategy says. */
void control_rollout(struct control *control, int64_t now_ns, uint32_t pool);
/* Out of the router's list at once; asleep with its last request, its cache gone. wake:
 * it serves 0.285 s later (measured by the stack's tutorial), and is listed then. */
void control_sleep(struct control *control, int64_t now_ns, uint32_t slot);
void control_wake(struct control *control, int64_t now_ns, uint32_t slot);
/* What an engine answers to a health check; from within on_check, too. Without effect
 * when nobody waits for it. */
void control_checked(struct control *control, int64_t now_ns, uint32_t slot, bool well);
/* An engine has nothing in flight any more: one that drains may end. */
void control_empty(struct control *control, int64_t now_ns, uint32_t slot);

/* What a slot holds. */
struct control_pod {
    bool live;  /* there is a pod, and it is not ending */
    bool ready; /* for its Service, and for whoever scrapes it */
    bool holds; /* GPUs are its own: from its scheduling to its end */
    uint32_t incarnation;
};
struct control_pod control_pod(const struct control *control, uint32_t slot);
uint32_t control_slots(const struct control *control);
uint32_t control_slot(const struct control *control, uint32_t pool, uint32_t number);
bool control_serves(const struct control *control, uint32_t slot);
/* Name of its pod, or of the slot when there is none; until the next call. */
const char *control_pod_name(struct control *control, uint32_t slot);
uint32_t control_node_of(const struct control *control, uint32_t slot); /* NODE_NONE */

#endif
