/* SPDX-License-Identifier: Apache-2.0
 *
 * control_state.h: the inside of the control plane, shared by the files that make it
 * up: control.c (events, commands on machines), pods.c (life of one pod), commands.c
 * (what befalls it), members.c (the machines it is on), deployments.c (how many there
 * should be) and discovery.c (what the router believes). Nobody else includes it.
 */
#ifndef STACKSIM_SIM_CONTROL_CONTROL_STATE_H
#define STACKSIM_SIM_CONTROL_CONTROL_STATE_H

#include "base/err.h"
#include "sim/control/control.h"
#include "sim/evq.h"

enum pod_phase {
    POD_NONE,
    POD_PENDING, /* has no node */
    POD_STUCK,   /* has a node, waits for a volume that is attached elsewhere */
    POD_FAILED,  /* its node did not admit it */
    POD_PULLING,
    POD_INIT,
    POD_STARTING,
    POD_UNREADY, /* it answers, no probe has seen it */
    POD_READY,
    POD_HUNG,
    POD_DROWSY, /* it goes to sleep when its requests have ended */
    POD_ASLEEP,
    POD_WAKING,
    POD_BACKOFF,
    POD_ENDING, /* deleted; its requests may end */
    POD_LOST,   /* its machine is gone */
};

struct pod {
    enum pod_phase phase;
    uint32_t pool;
    uint32_t number; /* in its pool */
    uint32_t incarnation;
    uint32_t revision; /* of the pod template */
    uint32_t restarts;
    uint32_t node;    /* NODE_NONE */
    bool bound;       /* its request is taken from the node */
    uint32_t workers; /* of its cluster that have a machine, too */
    uint32_t worker_nodes[POD_WORKERS_MAX];
    bool up;     /* answers */
    bool listed; /* by the router */
    bool zombie; /* the router never hears of its end */
    bool told;   /* FailedScheduling was said */
    int64_t born_ns;
    int64_t started_ns; /* container */
    int64_t ready_ns;   /* since then */
    int64_t closing_ns; /* ENDING: SIGTERM */
    int64_t killed_ns;  /* ENDING: SIGKILL */
    struct cold_start_parts parts;
    bool to_list; /* what the notice on its way says */
};

struct deployment {
    uint32_t desired;
    uint32_t revision;
    bool rolling;
    bool late; /* the deadline was told */
    bool claim_taken;
    uint32_t claim_node;    /* where a ReadWriteOnce claim is attached */
    int64_t claim_ready_ns; /* its download ends; INT64_MAX = none begun */
    int64_t progress_ns;    /* last one of a rollout */
    uint32_t slot;          /* first one */
};

enum machine_state { MACHINE_FINE, MACHINE_SILENT, MACHINE_NOT_READY, MACHINE_EMPTIED };
struct machine {
    enum machine_state state;
    bool draining;
    int64_t lost_ns;
    int64_t back_ns; /* INT64_MAX = never */
};

struct control {
    struct control_setup setup;
    struct nodes *nodes; /* NULL = room for everybody */
    struct machine *machines;
    struct deployment deployments[CONTROL_POOLS_MAX];
    uint32_t slot_count;
    struct pod *pods; /* by slot */
    struct evq *events;
    int64_t now_ns;
    uint32_t check_slot; /* STATIC: being asked; slot_count = between two passes */
    bool check_open;     /* STATIC: an engine has it and has not answered */
    int64_t check_deadline_ns;
    uint32_t quiet_passes; /* STATIC: in a row that changed nothing */
    bool *well;            /* STATIC: what this pass found */
    char name[POD_NAME_BYTES];
};

/* Sources: pods, notices of pods, machines, deployments, health checks. */
static inline uint32_t source_notice(const struct control *control, uint32_t slot)
{
    return control->slot_count + slot;
}
static inline uint32_t source_machine(const struct control *control, uint32_t node)
{
    return 2 * control->slot_count + node;
}
static inline uint32_t source_deployment(const struct control *control, uint32_t pool)
{
    return 2 * control->slot_count + control->setup.node_count + pool;
}
static inline uint32_t source_checks(const struct control *control)
{
    return source_deployment(control, control->setup.pool_count);
}
static inline void due_at(struct control *control, uint32_t source, int64_t time_ns)
{
    evq_set(control->events, source, time_ns, source);
}
static inline const struct control_pool *pool_of(const struct control *control,
                                                 const struct pod *pod)
{
    return &control->setup.pools[pod->pool];
}
static inline uint32_t slot_of(const struct control *control, const struct pod *pod)
{
    return (uint32_t)(pod - control->pods);
}

/* ---- control.c ---- */

void say(struct control *control, bool warning, const char *reason, const char *object,
         const char *format, ...) PRINTF_LIKE(5, 6);
/* The object is the pod. */
void say_pod(struct control *control, bool warning, const char *reason,
             const struct pod *pod, const char *format, ...) PRINTF_LIKE(5, 6);

/* ---- pods.c ---- */

void pod_create(struct control *control, uint32_t slot);
void pod_create_ready(struct control *control, uint32_t slot);
/* Its next moment, in place of the one it had. */
void pod_at(struct control *control, const struct pod *pod, int64_t time_ns);
/* If it was up. */
void pod_went_down(struct control *control, struct pod *pod, enum down_how how);
/* Its next moment has come. */
void pod_due(struct control *control, struct pod *pod);
void pod_delete(struct control *control, struct pod *pod);
/* All that is left of it; its slot is free. */
void pod_gone(struct control *control, struct pod *pod);
void pod_restart(struct control *control, struct pod *pod, int64_t wait_ns);
void pod_lose(struct control *control, struct pod *pod);
/* Those without a node try again, the oldest first. */
void pods_schedule(struct control *control);

/* ---- members.c ---- */

/* True when it has a machine, and each of its workers has one; else it holds what it
 * has got, and says once what is missing. */
bool pod_place(struct control *control, struct pod *pod);
/* Whether it, or a worker of it, is on this machine. */
bool pod_on(const struct pod *pod, uint32_t node);
/* Whether all of it is there. */
bool members_are_on(const struct control *control, const struct pod *pod,
                    uint32_t node);
/* All its workers have machines. */
bool members_whole(const struct control *control, const struct pod *pod);
/* Image or weights are on all its machines; from now on. */
bool members_have(const struct control *control, const struct pod *pod, bool image);
void members_note(struct control *control, const struct pod *pod, bool image);
void members_give(struct control *control, struct pod *pod);

/* ---- deployments.c ---- */

/* Makes and deletes pods until there are as many as there should be. */
void deployment_reconcile(struct control *control, uint32_t pool);
void deployment_due(struct control *control, uint32_t pool);
/* False: a disruption budget forbids it. */
bool deployment_may_evict(const struct control *control, uint32_t pool);
uint32_t deployment_ready(const struct control *control, uint32_t pool);

/* ---- discovery.c ---- */

/* Readiness, deletion or end of the pod changed: the router hears of it. */
void discovery_changed(struct control *control, struct pod *pod);
/* It is deleted for good, its slot becomes free. False: the router never hears of it.
 */
bool discovery_deleted(struct control *control, struct pod *pod);
/* The router itself puts it to sleep or wakes it: it knows at once. */
void discovery_set(struct control *control, struct pod *pod, bool listed);
void discovery_notice(struct control *control, struct pod *pod);
void discovery_begin(struct control *control);
void discovery_check_due(struct control *control);

#endif
