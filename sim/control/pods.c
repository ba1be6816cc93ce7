/* SPDX-License-Identifier: Apache-2.0
 *
 * pods.c: one pod from its creation to its end. Each phase has at most one moment
 * ahead, its own source of events.
 */
#include "base/check.h"
#include "sim/control/control_state.h"

#include <inttypes.h>

void pod_at(struct control *control, const struct pod *pod, int64_t time_ns)
{
    due_at(control, slot_of(control, pod), time_ns);
}

void pod_went_down(struct control *control, struct pod *pod, enum down_how how)
{
    if (pod->up) {
        pod->up = false;
        control->setup.hooks.on_down(control->setup.hooks.context,
                                     slot_of(control, pod), how);
    }
}

/* ---- weights --------------------------------------------------------------------- */

static bool has_weights(const struct control *control, const struct pod *pod)
{
    const struct control_pool *pool = pool_of(control, pod);
    switch (pool->start.from) {
    case WEIGHTS_HUB:
        return false;
    case WEIGHTS_PVC:
        return control->deployments[pod->pool].claim_ready_ns <= control->now_ns;
    case WEIGHTS_HOST_PATH:
        return pod->node != NODE_NONE && members_have(control, pod, false);
    }
    return false;
}

/* On a shared claim the first start downloads and the others wait for its lock. */
static void claim_wait(struct control *control, const struct pod *pod,
                       struct cold_start_parts *parts)
{
    struct deployment *deployment = &control->deployments[pod->pool];
    if (pool_of(control, pod)->start.from != WEIGHTS_PVC) {
        return;
    }
    const int64_t begin_ns = control->now_ns + parts->boot_ns;
    if (deployment->claim_ready_ns == INT64_MAX) {
        deployment->claim_ready_ns = begin_ns + parts->download_ns;
    } else if (deployment->claim_ready_ns > begin_ns) {
        parts->download_ns = deployment->claim_ready_ns - begin_ns;
    } else {
        parts->download_ns = 0;
    }
}

static bool overflows(const struct control *control, const struct pod *pod)
{
    const struct control_pool *pool = pool_of(control, pod);
    return pool->size_limit_bytes > 0 &&
           pool->start.weight_bytes > pool->size_limit_bytes &&
           pod->parts.download_ns > 0;
}

/* ---- containers ------------------------------------------------------------------ */

/* The container starts now; what follows is known. */
static void container_start(struct control *control, struct pod *pod)
{
    const struct control_pool *pool = pool_of(control, pod);
    claim_wait(control, pod, &pod->parts);
    pod->phase = POD_STARTING;
    pod->started_ns = control->now_ns;
    const int64_t limit_ns = probe_limit_ns(&pool->startup);
    const int64_t full_ns = pod->parts.boot_ns + pod->parts.download_ns;
    const int64_t up_ns = full_ns + pod->parts.read_ns + pod->parts.capture_ns;
    say_pod(control, false, "Started", pod, "Started container vllm");
    if (overflows(control, pod) && full_ns <= limit_ns) {
        pod_at(control, pod, control->now_ns + full_ns);
    } else {
        pod_at(control, pod, control->now_ns + (up_ns <= limit_ns ? up_ns : limit_ns));
    }
}

static void image_there(struct control *control, struct pod *pod)
{
    pod->phase = POD_INIT;
    if (control->nodes != NULL) {
        members_note(control, pod, true);
    }
    if (pod->parts.init_ns > 0) {
        say_pod(control, false, "Started", pod, "Started init container");
        pod_at(control, pod, control->now_ns + pod->parts.init_ns);
    } else {
        container_start(control, pod);
    }
}

static void pod_begin(struct control *control, struct pod *pod)
{
    const struct cold_start_has has = {
        .image = control->nodes != NULL && members_have(control, pod, true),
        .weights = has_weights(control, pod),
    };
    pod->parts = cold_start_parts(&pool_of(control, pod)->start, has);
    pod->phase = POD_PULLING;
    if (pod->parts.image_ns > 0) {
        say_pod(control, false, "Pulling", pod, "Pulling image");
        pod_at(control, pod, control->now_ns + pod->parts.image_ns);
    } else {
        image_there(control, pod);
    }
}

void pod_restart(struct control *control, struct pod *pod, int64_t wait_ns)
{
    const int64_t own_ns = crash_backoff_ns(pod->restarts);
    wait_ns = wait_ns > own_ns ? wait_ns : own_ns;
    pod->restarts++;
    pod->phase = POD_BACKOFF;
    if (wait_ns > 0) {
        say_pod(control, true, "BackOff", pod,
                "Back-off restarting failed container vllm");
    }
    pod_at(control, pod, control->now_ns + wait_ns);
    discovery_changed(control, pod);
}

/* It has begun to answer; probes see it later. */
static void container_up(struct control *control, struct pod *pod)
{
    const struct control_pool *pool = pool_of(control, pod);
    if (pool->start.from == WEIGHTS_HOST_PATH && control->nodes != NULL) {
        members_note(control, pod, false);
    }
    pod->up = true;
    pod->phase = POD_UNREADY;
    control->setup.hooks.on_up(control->setup.hooks.context, slot_of(control, pod));
    const int64_t up_ns = control->now_ns - pod->started_ns;
    const int64_t started_ns = probe_seen_ns(&pool->startup, up_ns);
    pod_at(control, pod, pod->started_ns + probe_seen_ns(&pool->readiness, started_ns));
}

static void pod_ready(struct control *control, struct pod *pod)
{
    pod->phase = POD_READY;
    pod->ready_ns = control->now_ns;
    say_pod(control, false, "Ready", pod, "ready %.3f s after its creation",
            (double)(control->now_ns - pod->born_ns) / 1e9);
    discovery_changed(control, pod);
    deployment_reconcile(control, pod->pool);
}

static void starting_due(struct control *control, struct pod *pod)
{
    const int64_t up_ns = pod->parts.boot_ns + pod->parts.download_ns +
                          pod->parts.read_ns + pod->parts.capture_ns;
    if (control->now_ns - pod->started_ns >= up_ns) {
        container_up(control, pod);
        return;
    }
    if (overflows(control, pod)) {
        say_pod(control, true, "Evicted", pod,
                "Usage of the weights' volume exceeds the limit of %" PRIu64 " bytes",
                pool_of(control, pod)->size_limit_bytes);
        const uint32_t pool = pod->pool;
        pod_gone(control, pod);
        deployment_reconcile(control, pool);
        return;
    }
    say_pod(control, true, "Unhealthy", pod, "Startup probe failed");
    say_pod(control, false, "Killing", pod,
            "Container vllm failed startup probe, will be restarted");
    pod_restart(control, pod, 0);
}

static void hung_due(struct control *control, struct pod *pod)
{
    say_pod(control, true, "Unhealthy", pod, "Liveness probe failed");
    say_pod(control, false, "Killing", pod,
            "Container vllm failed liveness probe, will be restarted");
    control->setup.hooks.on_reset(control->setup.hooks.context, slot_of(control, pod));
    pod_restart(control, pod, 0);
}

/* SIGTERM: no new connections; what is in flight may end. */
static void ending_due(struct control *control, struct pod *pod)
{
    const struct control_hooks *hooks = &control->setup.hooks;
    const uint32_t pool = pod->pool;
    if (control->now_ns < pod->killed_ns && pod->up &&
        hooks->in_flight(hooks->context, slot_of(control, pod)) > 0) {
        pod_at(control, pod, pod->killed_ns);
        return;
    }
    pod_gone(control, pod);
    deployment_reconcile(control, pool);
}

void pod_due(struct control *control, struct pod *pod)
{
    switch (pod->phase) {
    case POD_PULLING:
        say_pod(control, false, "Pulled", pod, "Successfully pulled image in %.3f s",
                (double)pod->parts.image_ns / 1e9);
        image_there(control, pod);
        break;
    case POD_INIT:
        container_start(control, pod);
        break;
    case POD_STARTING:
        starting_due(control, pod);
        break;
    case POD_UNREADY:
        pod_ready(control, pod);
        break;
    case POD_HUNG:
        hung_due(control, pod);
        break;
    case POD_BACKOFF:
        pod->parts = cold_start_restart(&pool_of(control, pod)->start,
                                        has_weights(control, pod));
        container_start(control, pod);
        break;
    case POD_ENDING:
        ending_due(control, pod);
        break;
    case POD_WAKING:
        pod->up = true;
        pod->phase = POD_READY;
        control->setup.hooks.on_up(control->setup.hooks.context, slot_of(control, pod));
        discovery_set(control, pod, true);
        break;
    case POD_DROWSY:
    case POD_ASLEEP:
    case POD_NONE:
    case POD_PENDING:
    case POD_STUCK:
    case POD_FAILED:
    case POD_READY:
    case POD_LOST:
        CHECK(false, "pod %u has nothing ahead in phase %d", slot_of(control, pod),
              (int)pod->phase);
    }
}

/* ---- creation and end ------------------------------------------------------------ */

static struct pod *pod_new(struct control *control, uint32_t slot)
{
    struct pod *pod = &control->pods[slot];
    const struct pod old = *pod;
    CHECK(old.phase == POD_NONE && !old.zombie, "slot %u is taken", slot);
    *pod = (struct pod){
        .phase = POD_PENDING,
        .pool = old.pool,
        .number = old.number,
        .incarnation = old.incarnation + 1,
        .revision = control->deployments[old.pool].revision,
        .node = NODE_NONE,
        .listed = old.listed,
        .born_ns = control->now_ns,
    };
    return pod;
}

void pod_create(struct control *control, uint32_t slot)
{
    const struct pod *pod = pod_new(control, slot);
    say_pod(control, false, "SuccessfulCreate", pod, "Created pod");
    pods_schedule(control);
}

void pods_schedule(struct control *control)
{
    for (;;) {
        struct pod *oldest = NULL;
        for (uint32_t i = 0; i < control->slot_count; i++) {
            struct pod *pod = &control->pods[i];
            if (pod->phase == POD_PENDING && !pod->told &&
                (oldest == NULL || pod->born_ns < oldest->born_ns)) {
                oldest = pod;
            }
        }
        if (oldest == NULL) {
            return;
        }
        if (pod_place(control, oldest)) {
            pod_begin(control, oldest);
        }
    }
}

void pod_create_ready(struct control *control, uint32_t slot)
{
    struct pod *pod = pod_new(control, slot);
    if (!pod_place(control, pod)) {
        return;
    }
    if (control->nodes != NULL) {
        members_note(control, pod, true);
        members_note(control, pod, false);
    }
    control->deployments[pod->pool].claim_ready_ns = 0;
    pod->phase = POD_READY;
    pod->up = true;
    pod->listed = true;
    const struct control_hooks *hooks = &control->setup.hooks;
    hooks->on_up(hooks->context, slot);
    hooks->on_listed(hooks->context, slot, true, 0);
}

/* Room has become free: those that were refused may try again. */
static void pods_retry(struct control *control)
{
    for (uint32_t i = 0; i < control->slot_count; i++) {
        control->pods[i].told = false;
    }
    pods_schedule(control);
}

static void claim_release(struct control *control, uint32_t pool)
{
    bool held = false;
    for (uint32_t i = 0; i < control->slot_count; i++) {
        const struct pod *pod = &control->pods[i];
        held = held || (pod->pool == pool && pod->bound && pod->phase != POD_STUCK);
    }
    if (held) {
        return;
    }
    struct deployment *deployment = &control->deployments[pool];
    deployment->claim_taken = false;
    for (uint32_t i = 0; i < control->slot_count; i++) {
        struct pod *pod = &control->pods[i];
        if (pod->pool != pool || pod->phase != POD_STUCK) {
            continue;
        }
        if (!deployment->claim_taken) {
            deployment->claim_taken = true;
            deployment->claim_node = pod->node;
        }
        if (members_are_on(control, pod, deployment->claim_node)) {
            pod_begin(control, pod);
        }
    }
}

void pod_gone(struct control *control, struct pod *pod)
{
    const uint32_t slot = slot_of(control, pod);
    evq_clear(control->events, slot);
    pod_went_down(control, pod, DOWN_RESET);
    members_give(control, pod);
    pod->phase = POD_NONE;
    if (!discovery_deleted(control, pod)) {
        pod->zombie = true;
        control->setup.hooks.on_down(control->setup.hooks.context, slot, DOWN_SILENT);
    }
    if (control->nodes != NULL) {
        claim_release(control, pod->pool);
        pods_retry(control);
    }
}

void pod_delete(struct control *control, struct pod *pod)
{
    const struct control_pool *pool = pool_of(control, pod);
    say_pod(control, false, "Killing", pod, "Stopping container vllm");
    if (!pod->up) {
        pod_gone(control, pod);
        return;
    }
    pod->phase = POD_ENDING;
    pod->closing_ns = control->now_ns + pool->pre_stop_ns;
    pod->killed_ns = control->now_ns + pool->grace_ns;
    if (pod->killed_ns < pod->closing_ns) {
        pod->closing_ns = pod->killed_ns;
    }
    pod_at(control, pod, pod->closing_ns);
    discovery_changed(control, pod);
}

void pod_lose(struct control *control, struct pod *pod)
{
    evq_clear(control->events, slot_of(control, pod));
    pod_went_down(control, pod, DOWN_SILENT);
    if (pod->phase != POD_STUCK) {
        pod->phase = POD_LOST;
    }
}
