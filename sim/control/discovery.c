/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery.c: what the router's list says, and when (spec/production-stack.md 2.2,
 * 2.3). The last change on its way to the router is the one that counts: a watch
 * delivers in order.
 */
#include "base/check.h"
#include "sim/control/control_state.h"

static void list_set(struct control *control, struct pod *pod, bool listed)
{
    if (pod->listed == listed) {
        return;
    }
    const struct control_hooks *hooks = &control->setup.hooks;
    const bool fixed = control->setup.discovery.mode == DISCOVERY_STATIC;
    pod->listed = listed;
    control->quiet_passes = 0;
    hooks->on_listed(hooks->context, slot_of(control, pod), listed,
                     fixed ? 0 : pod->incarnation - 1);
    say(control, false, listed ? "EndpointAdded" : "EndpointRemoved", "router", "%s",
        control_pod_name(control, slot_of(control, pod)));
}

/* ---- Kubernetes ------------------------------------------------------------------ */

static void notice_send(struct control *control, struct pod *pod, bool listed)
{
    const uint32_t source = source_notice(control, slot_of(control, pod));
    pod->to_list = listed;
    due_at(control, source, control->now_ns + control->setup.discovery.delay_ns);
}

void discovery_changed(struct control *control, struct pod *pod)
{
    const struct control_discovery *discovery = &control->setup.discovery;
    if (discovery->mode != DISCOVERY_K8S) {
        return;
    }
    const bool ending = pod->phase == POD_ENDING;
    if (ending && discovery->keeps_ending) {
        return; /* nobody looks at deletionTimestamp */
    }
    notice_send(control, pod, pod->phase == POD_READY);
}

/* The watch is down for a moment after every re-list. */
static bool between_watches(const struct control *control)
{
    const struct control_discovery *discovery = &control->setup.discovery;
    return discovery->relist_ns > 0 && control->now_ns >= discovery->relist_ns &&
           control->now_ns % discovery->relist_ns < discovery->gap_ns;
}

bool discovery_deleted(struct control *control, struct pod *pod)
{
    if (control->setup.discovery.mode != DISCOVERY_K8S) {
        return true;
    }
    if (pod->listed && pod->phase == POD_NONE && between_watches(control)) {
        evq_clear(control->events, source_notice(control, slot_of(control, pod)));
        return false;
    }
    notice_send(control, pod, false);
    return true;
}

/* The router asks for the models: nobody answers for a pod that has gone meanwhile. */
void discovery_notice(struct control *control, struct pod *pod)
{
    list_set(control, pod, pod->to_list && pod->up);
}

void discovery_set(struct control *control, struct pod *pod, bool listed)
{
    evq_clear(control->events, source_notice(control, slot_of(control, pod)));
    list_set(control, pod, listed);
}

/* ---- a static list --------------------------------------------------------------- */

/* The next backend of the pass. Who does not listen refuses at once; a body that the
 * release misspells is refused without the engine. */
static void check_send(struct control *control)
{
    const struct control_discovery *discovery = &control->setup.discovery;
    const struct control_hooks *hooks = &control->setup.hooks;
    const uint32_t slot = control->check_slot;
    const struct pod *pod = &control->pods[slot];
    const bool silent = pod->phase == POD_HUNG || pod->phase == POD_LOST;
    control->well[slot] = false;
    if (!control_serves(control, slot)) {
        due_at(control, source_checks(control),
               control->now_ns + (silent ? discovery->check_timeout_ns : 0));
    } else if (discovery->check_always_fails) {
        due_at(control, source_checks(control), control->now_ns + discovery->check_ns);
    } else {
        control->check_open = true;
        control->check_deadline_ns = control->now_ns + discovery->check_timeout_ns;
        due_at(control, source_checks(control), control->check_deadline_ns);
        hooks->on_check(hooks->context, slot);
    }
}

void control_checked(struct control *control, int64_t now_ns, uint32_t slot, bool well)
{
    CHECK(slot < control->slot_count, "slot %u of %u", slot, control->slot_count);
    CHECK(now_ns >= control->now_ns, "the control plane's clock goes back");
    control->now_ns = now_ns;
    if (!control->check_open || control->check_slot != slot) {
        return;
    }
    control->check_open = false;
    const int64_t seen_ns = now_ns + control->setup.discovery.check_ns;
    if (seen_ns < control->check_deadline_ns) {
        control->well[slot] = well;
        due_at(control, source_checks(control), seen_ns);
    }
}

static bool in_list(const struct control *control, uint32_t slot)
{
    const struct pod *pod = &control->pods[slot];
    return pod->number < pool_of(control, pod)->replicas;
}

/* Its place in the list is among those that are asked. */
static bool is_asked(const struct control *control, uint32_t slot)
{
    const uint32_t most = control->setup.discovery.check_backends;
    uint32_t before = 0;
    for (uint32_t i = 0; most < UINT32_MAX && i < slot; i++) {
        before += in_list(control, i) ? 1 : 0;
    }
    return in_list(control, slot) && before < most;
}

static void check_next(struct control *control)
{
    while (control->check_slot < control->slot_count &&
           !is_asked(control, control->check_slot)) {
        control->check_slot++;
    }
    if (control->check_slot < control->slot_count) {
        check_send(control);
        return;
    }
    control->quiet_passes++;
    for (uint32_t i = 0; i < control->slot_count; i++) {
        if (is_asked(control, i)) {
            list_set(control, &control->pods[i], control->well[i]);
        }
    }
    due_at(control, source_checks(control),
           control->now_ns + control->setup.discovery.check_interval_ns);
}

void discovery_begin(struct control *control)
{
    const struct control_discovery *discovery = &control->setup.discovery;
    control->check_slot = control->slot_count;
    if (discovery->mode == DISCOVERY_STATIC) {
        for (uint32_t i = 0; i < control->slot_count; i++) {
            if (in_list(control, i)) {
                list_set(control, &control->pods[i], true);
            }
        }
        if (discovery->checks) {
            due_at(control, source_checks(control), 0);
        }
    }
}

void discovery_check_due(struct control *control)
{
    const struct control_hooks *hooks = &control->setup.hooks;
    const bool begins = control->check_slot >= control->slot_count;
    if (control->check_open) {
        control->check_open = false;
        hooks->on_check_over(hooks->context, control->check_slot);
    }
    control->check_slot = begins ? 0 : control->check_slot + 1;
    check_next(control);
}
