/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.c: what befalls one pod: it crashes, hangs, is deleted, sleeps and wakes.
 * A command that finds nothing to act on changes nothing and says so.
 */
#include "base/check.h"
#include "sim/control/control_state.h"

/* From sleep (spec/production-stack.md 8.3). */
static const int64_t wake_ns = INT64_C(285000000);
/* A container that ran so long starts anew without waiting. */
static const int64_t backoff_reset_ns = INT64_C(600000000000);

static struct pod *pod_at_slot(struct control *control, int64_t now_ns, uint32_t slot)
{
    CHECK(slot < control->slot_count, "slot %u of %u", slot, control->slot_count);
    CHECK(now_ns >= control->now_ns, "the control plane's clock goes back");
    control->now_ns = now_ns;
    return &control->pods[slot];
}

static bool runs(const struct pod *pod)
{
    return pod->phase == POD_STARTING || pod->phase == POD_UNREADY ||
           pod->phase == POD_READY || pod->phase == POD_HUNG;
}

void control_crash(struct control *control, int64_t now_ns, uint32_t slot,
                   int64_t down_ns)
{
    struct pod *pod = pod_at_slot(control, now_ns, slot);
    if (!runs(pod)) {
        say_pod(control, true, "FaultIgnored", pod, "no container runs");
        return;
    }
    const bool long_ago = now_ns - pod->started_ns >= backoff_reset_ns;
    pod->restarts = long_ago ? 0 : pod->restarts;
    say_pod(control, true, "Crashed", pod, "Container vllm ended with exit code 1");
    if (pod->phase == POD_HUNG) {
        control->setup.hooks.on_reset(control->setup.hooks.context, slot);
    }
    pod_went_down(control, pod, DOWN_RESET);
    pod_restart(control, pod, down_ns);
}

void control_hang(struct control *control, int64_t now_ns, uint32_t slot)
{
    struct pod *pod = pod_at_slot(control, now_ns, slot);
    const struct control_pool *pool = pool_of(control, pod);
    if (pod->phase != POD_READY) {
        say_pod(control, true, "FaultIgnored", pod, "it is not ready");
        return;
    }
    say_pod(control, true, "Hung", pod, "The engine answers no more");
    pod_went_down(control, pod, DOWN_SILENT);
    pod->phase = POD_HUNG;
    const int64_t since_ns = now_ns - pod->started_ns;
    const int64_t down_ns = probe_down_ns(&pool->liveness, since_ns);
    if (down_ns < INT64_MAX) {
        pod_at(control, pod, pod->started_ns + down_ns + pool->grace_ns);
    }
    if (pool->readiness.period_ns > 0) {
        pod->to_list = false;
        due_at(control, source_notice(control, slot),
               pod->started_ns + probe_down_ns(&pool->readiness, since_ns) +
                   control->setup.discovery.delay_ns);
    }
}

void control_drain(struct control *control, int64_t now_ns, uint32_t slot, bool keep)
{
    struct pod *pod = pod_at_slot(control, now_ns, slot);
    if (pod->phase == POD_NONE || pod->phase == POD_ENDING || pod->phase == POD_LOST) {
        say_pod(control, true, "FaultIgnored", pod, "there is no pod to delete");
        return;
    }
    const uint32_t pool = pod->pool;
    uint32_t *desired = &control->deployments[pool].desired;
    *desired -= !keep && *desired > 0 ? 1 : 0;
    pod_delete(control, pod);
    deployment_reconcile(control, pool);
}

/* Level 1: weights to host memory, the cache is dropped. */
static void fall_asleep(struct control *control, struct pod *pod)
{
    pod->phase = POD_ASLEEP;
    pod_went_down(control, pod, DOWN_RESET);
    say_pod(control, false, "Asleep", pod, "its GPU memory is free");
}

void control_sleep(struct control *control, int64_t now_ns, uint32_t slot)
{
    struct pod *pod = pod_at_slot(control, now_ns, slot);
    const struct control_hooks *hooks = &control->setup.hooks;
    if (pod->phase != POD_READY) {
        say_pod(control, true, "FaultIgnored", pod, "it is not ready");
        return;
    }
    discovery_set(control, pod, false);
    pod->phase = POD_DROWSY;
    if (hooks->in_flight(hooks->context, slot) == 0) {
        fall_asleep(control, pod);
    }
}

void control_wake(struct control *control, int64_t now_ns, uint32_t slot)
{
    struct pod *pod = pod_at_slot(control, now_ns, slot);
    if (pod->phase == POD_DROWSY) {
        pod->phase = POD_READY;
        discovery_set(control, pod, true);
    } else if (pod->phase == POD_ASLEEP) {
        pod->phase = POD_WAKING;
        pod_at(control, pod, now_ns + wake_ns);
    } else {
        say_pod(control, true, "FaultIgnored", pod, "it does not sleep");
    }
}

void control_empty(struct control *control, int64_t now_ns, uint32_t slot)
{
    struct pod *pod = pod_at_slot(control, now_ns, slot);
    if (pod->phase == POD_DROWSY) {
        fall_asleep(control, pod);
    } else if (pod->phase == POD_ENDING && now_ns >= pod->closing_ns) {
        const uint32_t pool = pod->pool;
        pod_gone(control, pod);
        deployment_reconcile(control, pool);
    }
}
