/* SPDX-License-Identifier: Apache-2.0
 *
 * deployments.c: as many pods as there should be, of the newest template.
 *
 * Out of service are deleted first, the youngest of those, as the ReplicaSet
 * controller does. A rollout makes new pods up to `replicas + surge` and deletes old
 * ones as long as `replicas - unavailable` stay ready.
 */
#include "base/check.h"
#include "sim/control/control_state.h"

#include <stdio.h>

static bool alive(const struct pod *pod)
{
    return pod->phase != POD_NONE && pod->phase != POD_ENDING;
}

struct census {
    uint32_t live;
    uint32_t ready;
    uint32_t fresh; /* of the newest template */
    uint32_t fresh_ready;
};

static struct census census_of(const struct control *control, uint32_t pool)
{
    const struct deployment *deployment = &control->deployments[pool];
    struct census census = {0};
    for (uint32_t i = 0; i < control->setup.pools[pool].slots; i++) {
        const struct pod *pod = &control->pods[deployment->slot + i];
        const bool fresh = pod->revision == deployment->revision;
        census.live += alive(pod) ? 1 : 0;
        census.ready += pod->phase == POD_READY ? 1 : 0;
        census.fresh += alive(pod) && fresh ? 1 : 0;
        census.fresh_ready += pod->phase == POD_READY && fresh ? 1 : 0;
    }
    return census;
}

uint32_t deployment_ready(const struct control *control, uint32_t pool)
{
    return census_of(control, pool).ready;
}

bool deployment_may_evict(const struct control *control, uint32_t pool)
{
    const uint32_t budget = control->setup.pools[pool].disruptions;
    const struct census census = census_of(control, pool);
    return budget == UINT32_MAX ||
           census.ready + budget > control->deployments[pool].desired;
}

static struct pod *slot_free(struct control *control, uint32_t pool)
{
    for (uint32_t i = 0; i < control->setup.pools[pool].slots; i++) {
        struct pod *pod = &control->pods[control->deployments[pool].slot + i];
        if (pod->phase == POD_NONE && !pod->zombie) {
            return pod;
        }
    }
    return NULL;
}

/* Lower goes first. */
static uint32_t keeping(const struct pod *pod)
{
    if (pod->phase == POD_FAILED || pod->phase == POD_PENDING ||
        pod->phase == POD_STUCK) {
        return 0;
    }
    return pod->phase == POD_READY ? 2 : 1;
}

/* old: only those of an older template. */
static struct pod *victim(struct control *control, uint32_t pool, bool old)
{
    const struct deployment *deployment = &control->deployments[pool];
    struct pod *found = NULL;
    for (uint32_t i = 0; i < control->setup.pools[pool].slots; i++) {
        struct pod *pod = &control->pods[deployment->slot + i];
        if (!alive(pod) || (old && pod->revision == deployment->revision)) {
            continue;
        }
        const bool younger = found != NULL && keeping(pod) == keeping(found) &&
                             pod->born_ns >= found->born_ns;
        if (found == NULL || keeping(pod) < keeping(found) || younger) {
            found = pod;
        }
    }
    return found;
}

static void progress(struct control *control, uint32_t pool)
{
    struct deployment *deployment = &control->deployments[pool];
    deployment->progress_ns = control->now_ns;
    deployment->late = false;
    due_at(control, source_deployment(control, pool),
           control->now_ns + control->setup.pools[pool].deadline_ns);
}

static void say_deployment(struct control *control, uint32_t pool, bool warning,
                           const char *reason, const char *message)
{
    char object[POD_NAME_BYTES];
    (void)snprintf(object, sizeof object, "deployment/%s",
                   control->setup.pools[pool].name);
    say(control, warning, reason, object, "%s", message);
}

/* True when something was done. */
static bool rollout_step(struct control *control, uint32_t pool)
{
    const struct control_pool *config = &control->setup.pools[pool];
    struct deployment *deployment = &control->deployments[pool];
    const struct census census = census_of(control, pool);
    struct pod *old = victim(control, pool, true);
    struct pod *place = slot_free(control, pool);
    if (old == NULL && census.fresh_ready >= deployment->desired) {
        deployment->rolling = false;
        evq_clear(control->events, source_deployment(control, pool));
        say_deployment(control, pool, false, "RolloutComplete",
                       "all pods are of the new template and ready");
        return false;
    }
    if (place != NULL && census.live < deployment->desired + config->surge &&
        census.fresh < deployment->desired) {
        progress(control, pool);
        pod_create(control, slot_of(control, place));
        return true;
    }
    const bool spare =
        old != NULL && (old->phase != POD_READY ||
                        census.ready + config->unavailable > deployment->desired);
    if (spare && census.live + config->unavailable > deployment->desired) {
        progress(control, pool);
        pod_delete(control, old);
        return true;
    }
    return false;
}

static bool scale_step(struct control *control, uint32_t pool)
{
    const struct deployment *deployment = &control->deployments[pool];
    const uint32_t live = census_of(control, pool).live;
    if (live > deployment->desired) {
        pod_delete(control, victim(control, pool, false));
        return true;
    }
    struct pod *place = live < deployment->desired ? slot_free(control, pool) : NULL;
    if (place != NULL) {
        pod_create(control, slot_of(control, place));
    }
    return place != NULL;
}

void deployment_reconcile(struct control *control, uint32_t pool)
{
    /* Every step makes or deletes a pod: there are not more than that. */
    const uint32_t most = 4 * control->setup.pools[pool].slots + 4;
    for (uint32_t i = 0; i < most; i++) {
        const bool rolling = control->deployments[pool].rolling;
        if (!(rolling ? rollout_step(control, pool) : scale_step(control, pool)) &&
            rolling == control->deployments[pool].rolling) {
            return;
        }
    }
}

void deployment_due(struct control *control, uint32_t pool)
{
    struct deployment *deployment = &control->deployments[pool];
    if (deployment->rolling && !deployment->late) {
        deployment->late = true;
        say_deployment(control, pool, true, "ProgressDeadlineExceeded",
                       "the rollout has made no progress within its deadline");
    }
}

/* ---- commands -------------------------------------------------------------------- */

void control_scale(struct control *control, int64_t now_ns, uint32_t pool,
                   uint32_t replicas)
{
    CHECK(pool < control->setup.pool_count, "pool %u", pool);
    CHECK(now_ns >= control->now_ns, "the control plane's clock goes back");
    struct deployment *deployment = &control->deployments[pool];
    const uint32_t slots = control->setup.pools[pool].slots;
    control->now_ns = now_ns;
    replicas = replicas < slots ? replicas : slots;
    if (replicas == deployment->desired) {
        return;
    }
    char message[POD_NAME_BYTES];
    (void)snprintf(message, sizeof message, "Scaled %s from %u to %u",
                   replicas > deployment->desired ? "up" : "down", deployment->desired,
                   replicas);
    deployment->desired = replicas;
    say_deployment(control, pool, false, "ScalingReplicaSet", message);
    deployment_reconcile(control, pool);
}

void control_rollout(struct control *control, int64_t now_ns, uint32_t pool)
{
    CHECK(pool < control->setup.pool_count, "pool %u", pool);
    CHECK(now_ns >= control->now_ns, "the control plane's clock goes back");
    control->now_ns = now_ns;
    control->deployments[pool].revision++;
    control->deployments[pool].rolling = true;
    say_deployment(control, pool, false, "RolloutStarted", "the pod template changed");
    progress(control, pool);
    deployment_reconcile(control, pool);
}

uint32_t control_desired(const struct control *control, uint32_t pool)
{
    CHECK(pool < control->setup.pool_count, "pool %u", pool);
    return control->deployments[pool].desired;
}

uint32_t control_ready(const struct control *control, uint32_t pool)
{
    CHECK(pool < control->setup.pool_count, "pool %u", pool);
    return deployment_ready(control, pool);
}

uint32_t control_updated(const struct control *control, uint32_t pool)
{
    CHECK(pool < control->setup.pool_count, "pool %u", pool);
    return census_of(control, pool).fresh;
}
