/* SPDX-License-Identifier: Apache-2.0
 *
 * control.c: whose moment it is, and what befalls machines.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "sim/control/control_state.h"

#include <stdarg.h>
#include <stdio.h>

/* Of the node controller: no word from a kubelet for so long, and tolerated so long. */
static const int64_t node_grace_ns = INT64_C(40000000000);
static const int64_t node_tolerated_ns = INT64_C(300000000000);
static const int64_t drain_again_ns = INT64_C(5000000000);

/* ---- event rows ------------------------------------------------------------------ */

static void row_tell(struct control *control, bool warning, const char *reason,
                     const char *object, const char *message)
{
    const struct control_event event = {control->now_ns, warning, reason, object,
                                        message};
    if (control->setup.hooks.on_event != NULL) {
        control->setup.hooks.on_event(control->setup.hooks.context, &event);
    }
}

void say(struct control *control, bool warning, const char *reason, const char *object,
         const char *format, ...)
{
    char message[320];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(message, sizeof message, format, values);
    va_end(values);
    row_tell(control, warning, reason, object, message);
}

void say_pod(struct control *control, bool warning, const char *reason,
             const struct pod *pod, const char *format, ...)
{
    char message[320];
    char object[POD_NAME_BYTES + 8];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(message, sizeof message, format, values);
    va_end(values);
    (void)snprintf(object, sizeof object, "pod/%s",
                   control_pod_name(control, slot_of(control, pod)));
    row_tell(control, warning, reason, object, message);
}

const char *control_pod_name(struct control *control, uint32_t slot)
{
    const struct pod *pod = &control->pods[slot];
    const char *pool = pool_of(control, pod)->name;
    if (pod->incarnation <= 1) {
        (void)snprintf(control->name, sizeof control->name, "%s-%u", pool, pod->number);
    } else {
        (void)snprintf(control->name, sizeof control->name, "%s-%u.%u", pool,
                       pod->number, pod->incarnation - 1);
    }
    return control->name;
}

/* ---- life ------------------------------------------------------------------------ */

static void pools_new(struct control *control)
{
    for (uint32_t i = 0; i < control->setup.pool_count; i++) {
        const struct control_pool *pool = &control->setup.pools[i];
        CHECK(pool->replicas <= pool->slots, "pool %s has %u slots", pool->name,
              pool->slots);
        control->deployments[i] = (struct deployment){
            .desired = pool->replicas,
            .slot = control->slot_count,
            .claim_node = NODE_NONE,
            .claim_ready_ns = INT64_MAX,
        };
        control->slot_count += pool->slots;
    }
    control->pods = mem_alloc(control->slot_count, sizeof *control->pods);
    control->well = mem_alloc(control->slot_count, sizeof *control->well);
    for (uint32_t i = 0; i < control->setup.pool_count; i++) {
        for (uint32_t j = 0; j < control->setup.pools[i].slots; j++) {
            control->pods[control->deployments[i].slot + j] =
                (struct pod){.pool = i, .number = j, .node = NODE_NONE};
        }
    }
}

static void machines_new(struct control *control)
{
    if (control->setup.node_count == 0) {
        return;
    }
    control->nodes = nodes_new(control->setup.nodes, control->setup.node_count);
    control->machines = mem_alloc(control->setup.node_count, sizeof *control->machines);
    for (uint32_t i = 0; i < control->setup.node_count; i++) {
        control->machines[i].back_ns = INT64_MAX;
    }
}

struct control *control_new(const struct control_setup *setup)
{
    CHECK(setup->pool_count <= CONTROL_POOLS_MAX, "%u pools", setup->pool_count);
    struct control *control = mem_alloc(1, sizeof *control);
    control->setup = *setup;
    pools_new(control);
    machines_new(control);
    control->events = evq_new(source_checks(control) + 1);
    for (uint32_t i = 0; i < setup->pool_count; i++) {
        const struct control_pool *pool = &setup->pools[i];
        for (uint32_t j = 0; j < pool->replicas; j++) {
            const uint32_t slot = control->deployments[i].slot + j;
            if (pool->warm) {
                pod_create_ready(control, slot);
            } else {
                pod_create(control, slot);
            }
        }
    }
    discovery_begin(control);
    return control;
}

void control_delete(struct control *control)
{
    if (control != NULL) {
        nodes_delete(control->nodes);
        mem_free(control->machines);
        mem_free(control->pods);
        mem_free(control->well);
        evq_delete(control->events);
        mem_free(control);
    }
}

/* ---- machines -------------------------------------------------------------------- */

static void say_node(struct control *control, uint32_t node, bool warning,
                     const char *reason, const char *message)
{
    char object[NODE_NAME_BYTES + 8];
    (void)snprintf(object, sizeof object, "node/%s", nodes_name(control->nodes, node));
    say(control, warning, reason, object, "%s", message);
}

static void machine_not_ready(struct control *control, uint32_t node)
{
    control->machines[node].state = MACHINE_NOT_READY;
    say_node(control, node, true, "NodeNotReady", "Kubelet stopped posting status");
    for (uint32_t i = 0; i < control->slot_count; i++) {
        if (pod_on(&control->pods[i], node)) {
            discovery_changed(control, &control->pods[i]);
        }
    }
}

static void machine_empty(struct control *control, uint32_t node)
{
    control->machines[node].state = MACHINE_EMPTIED;
    for (uint32_t i = 0; i < control->slot_count; i++) {
        struct pod *pod = &control->pods[i];
        if (pod_on(pod, node)) {
            const uint32_t pool = pod->pool;
            say_pod(control, true, "TaintManagerEviction", pod,
                    "Marked for deletion: its node is not ready");
            pod_gone(control, pod);
            deployment_reconcile(control, pool);
        }
    }
}

/* Another machine of it is gone, too. */
static bool still_lost(const struct control *control, const struct pod *pod)
{
    for (uint32_t i = 0; i < control->setup.node_count; i++) {
        const enum machine_state state = control->machines[i].state;
        if ((state == MACHINE_SILENT || state == MACHINE_NOT_READY) && pod_on(pod, i)) {
            return true;
        }
    }
    return false;
}

static void machine_back(struct control *control, uint32_t node)
{
    const struct control_hooks *hooks = &control->setup.hooks;
    control->machines[node].state = MACHINE_FINE;
    control->machines[node].back_ns = INT64_MAX;
    nodes_set_schedulable(control->nodes, node, true);
    say_node(control, node, false, "NodeReady", "Kubelet posts status again");
    for (uint32_t i = 0; i < control->slot_count; i++) {
        struct pod *pod = &control->pods[i];
        if (!pod_on(pod, node) || pod->phase != POD_LOST || still_lost(control, pod)) {
            continue;
        }
        hooks->on_reset(hooks->context, i);
        pod->restarts = 0;
        if (members_whole(control, pod)) {
            pod_restart(control, pod, 0);
        } else {
            pod->phase = POD_PENDING;
        }
    }
    pods_schedule(control);
}

static void machine_schedule(struct control *control, uint32_t node)
{
    const struct machine *machine = &control->machines[node];
    int64_t next_ns = machine->back_ns;
    if (machine->state == MACHINE_SILENT) {
        const int64_t told_ns = machine->lost_ns + node_grace_ns;
        next_ns = told_ns < next_ns ? told_ns : next_ns;
    } else if (machine->state == MACHINE_NOT_READY) {
        const int64_t empty_ns = machine->lost_ns + node_grace_ns + node_tolerated_ns;
        next_ns = empty_ns < next_ns ? empty_ns : next_ns;
    }
    if (next_ns < INT64_MAX) {
        due_at(control, source_machine(control, node), next_ns);
    }
}

static void evict_all(struct control *control, uint32_t node)
{
    bool left = false;
    for (uint32_t i = 0; i < control->slot_count; i++) {
        struct pod *pod = &control->pods[i];
        if (!pod_on(pod, node) || pod->phase == POD_ENDING) {
            continue;
        }
        const uint32_t pool = pod->pool;
        if (pod->phase == POD_READY && !deployment_may_evict(control, pool)) {
            say_pod(control, true, "EvictionBlocked", pod,
                    "Cannot evict pod as it would violate the pod's disruption budget");
            left = true;
            continue;
        }
        pod_delete(control, pod);
        deployment_reconcile(control, pool);
    }
    control->machines[node].draining = left;
    if (left) {
        due_at(control, source_machine(control, node),
               control->now_ns + drain_again_ns);
    }
}

static void machine_due(struct control *control, uint32_t node)
{
    struct machine *machine = &control->machines[node];
    if (machine->back_ns <= control->now_ns) {
        machine_back(control, node);
    } else if (machine->state == MACHINE_SILENT) {
        machine_not_ready(control, node);
    } else if (machine->state == MACHINE_NOT_READY) {
        machine_empty(control, node);
    } else if (machine->draining) {
        evict_all(control, node);
        return;
    }
    machine_schedule(control, node);
}

static struct machine *machine_at(struct control *control, int64_t now_ns,
                                  uint32_t node)
{
    CHECK(node < control->setup.node_count, "node %u", node);
    CHECK(now_ns >= control->now_ns, "the control plane's clock goes back");
    control->now_ns = now_ns;
    return &control->machines[node];
}

void control_node_lost(struct control *control, int64_t now_ns, uint32_t node,
                       int64_t down_ns)
{
    struct machine *machine = machine_at(control, now_ns, node);
    if (machine->state != MACHINE_FINE) {
        return;
    }
    machine->state = MACHINE_SILENT;
    machine->lost_ns = now_ns;
    machine->back_ns = down_ns > 0 ? now_ns + down_ns : INT64_MAX;
    nodes_set_schedulable(control->nodes, node, false);
    say_node(control, node, true, "NodeLost", "The machine answers no more");
    for (uint32_t i = 0; i < control->slot_count; i++) {
        if (pod_on(&control->pods[i], node)) {
            pod_lose(control, &control->pods[i]);
        }
    }
    machine_schedule(control, node);
}

void control_node_drain(struct control *control, int64_t now_ns, uint32_t node)
{
    (void)machine_at(control, now_ns, node);
    nodes_set_schedulable(control->nodes, node, false);
    say_node(control, node, false, "NodeNotSchedulable", "cordoned and drained");
    evict_all(control, node);
}

/* ---- time ------------------------------------------------------------------------ */

int64_t control_next_ns(const struct control *control)
{
    struct event event;
    return evq_peek(control->events, &event) ? event.time_ns : INT64_MAX;
}

bool control_settled(const struct control *control)
{
    const bool checks = control->setup.discovery.mode == DISCOVERY_STATIC &&
                        control->setup.discovery.checks;
    return checks ? evq_count(control->events) == 1 && control->quiet_passes >= 2
                  : evq_count(control->events) == 0;
}

static void source_due(struct control *control, uint32_t source)
{
    if (source < control->slot_count) {
        pod_due(control, &control->pods[source]);
    } else if (source < source_machine(control, 0)) {
        discovery_notice(control, &control->pods[source - control->slot_count]);
    } else if (source < source_deployment(control, 0)) {
        machine_due(control, source - source_machine(control, 0));
    } else if (source < source_checks(control)) {
        deployment_due(control, source - source_deployment(control, 0));
    } else {
        discovery_check_due(control);
    }
}

void control_advance(struct control *control, int64_t now_ns)
{
    struct event event;
    while (evq_peek(control->events, &event) && event.time_ns <= now_ns) {
        CHECK(event.time_ns >= control->now_ns, "the control plane's clock goes back");
        control->now_ns = event.time_ns;
        evq_clear(control->events, event.source);
        source_due(control, event.source);
    }
    control->now_ns = now_ns;
}

/* ---- what a slot holds ----------------------------------------------------------- */

uint32_t control_slots(const struct control *control)
{
    return control->slot_count;
}

uint32_t control_slot(const struct control *control, uint32_t pool, uint32_t number)
{
    CHECK(pool < control->setup.pool_count && number < control->setup.pools[pool].slots,
          "pool %u, pod %u", pool, number);
    return control->deployments[pool].slot + number;
}

struct control_pod control_pod(const struct control *control, uint32_t slot)
{
    const struct pod *pod = &control->pods[slot];
    const bool there = pod->phase != POD_NONE && pod->phase != POD_FAILED;
    return (struct control_pod){
        .live = there && pod->phase != POD_ENDING,
        .ready = pod->phase == POD_READY,
        .holds = there && (control->nodes == NULL || pod->bound),
        .incarnation = pod->incarnation,
    };
}

bool control_serves(const struct control *control, uint32_t slot)
{
    const struct pod *pod = &control->pods[slot];
    return pod->up && pod->phase != POD_DROWSY &&
           (pod->phase != POD_ENDING || control->now_ns < pod->closing_ns);
}

uint32_t control_node_of(const struct control *control, uint32_t slot)
{
    return control->pods[slot].bound ? control->pods[slot].node : NODE_NONE;
}
