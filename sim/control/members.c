/* SPDX-License-Identifier: Apache-2.0
 *
 * members.c: the machines of an engine: that of its pod, and with a Ray cluster those
 * of the workers, each placed by itself as Kubernetes does, which knows of no gang.
 */
#include "base/check.h"
#include "sim/control/control_state.h"

#include <inttypes.h>

/* What one of its pods asks for; a claim of one node binds all. */
static struct pod_request request_of(const struct control *control,
                                     const struct pod *pod, bool is_worker)
{
    const struct control_pool *pool = pool_of(control, pod);
    const struct deployment *deployment = &control->deployments[pod->pool];
    const bool once = pool->start.from == WEIGHTS_PVC && pool->access == ACCESS_ONCE;
    struct pod_request request = is_worker ? pool->worker : pool->request;
    request.bound_node =
        once && deployment->claim_taken ? deployment->claim_node : NODE_NONE;
    return request;
}

static void refused(struct control *control, struct pod *pod,
                    const struct pod_placement *placement)
{
    if (placement->verdict == PLACE_FAILED) {
        pod->phase = POD_FAILED;
    } else if (placement->verdict == PLACE_VOLUME) {
        pod->phase = POD_STUCK;
    }
    if (!pod->told) {
        say_pod(control, true, placement->reason, pod, "%s", placement->message);
        pod->told = true;
    }
}

static bool head_place(struct control *control, struct pod *pod)
{
    struct deployment *deployment = &control->deployments[pod->pool];
    const struct pod_request request = request_of(control, pod, false);
    const struct pod_placement placement = nodes_place(control->nodes, &request);
    pod->node = placement.node;
    pod->bound = placement.verdict == PLACE_BOUND || placement.verdict == PLACE_VOLUME;
    if (pod->bound && request.node_name == NULL) {
        say_pod(control, false, "Scheduled", pod, "Successfully assigned to %s",
                nodes_name(control->nodes, pod->node));
    }
    if (placement.verdict != PLACE_BOUND) {
        refused(control, pod, &placement);
        return false;
    }
    if (!deployment->claim_taken) {
        deployment->claim_taken = true;
        deployment->claim_node = pod->node;
    }
    return true;
}

static bool worker_place(struct control *control, struct pod *pod)
{
    const struct pod_request request = request_of(control, pod, true);
    const struct pod_placement placement = nodes_place(control->nodes, &request);
    if (placement.verdict == PLACE_BOUND || placement.verdict == PLACE_VOLUME) {
        pod->worker_nodes[pod->workers++] = placement.node;
        say_pod(control, false, "Scheduled", pod,
                "Successfully assigned worker %" PRIu32 " to %s", pod->workers,
                nodes_name(control->nodes, placement.node));
    }
    if (placement.verdict != PLACE_BOUND) {
        refused(control, pod, &placement);
        return false;
    }
    return true;
}

bool pod_place(struct control *control, struct pod *pod)
{
    if (control->nodes == NULL) {
        return true;
    }
    if (!pod->bound && !head_place(control, pod)) {
        return false;
    }
    while (!members_whole(control, pod)) {
        if (!worker_place(control, pod)) {
            return false;
        }
    }
    return true;
}

bool pod_on(const struct pod *pod, uint32_t node)
{
    bool found = pod->bound && pod->node == node;
    for (uint32_t i = 0; i < pod->workers; i++) {
        found = found || pod->worker_nodes[i] == node;
    }
    return pod->phase != POD_NONE && found;
}

bool members_whole(const struct control *control, const struct pod *pod)
{
    return pod->workers == pool_of(control, pod)->workers;
}

bool members_are_on(const struct control *control, const struct pod *pod, uint32_t node)
{
    bool all = pod->node == node && members_whole(control, pod);
    for (uint32_t i = 0; i < pod->workers; i++) {
        all = all && pod->worker_nodes[i] == node;
    }
    return all;
}

bool members_have(const struct control *control, const struct pod *pod, bool image)
{
    bool all = nodes_has(control->nodes, pod->node, pod->pool, image);
    for (uint32_t i = 0; i < pod->workers; i++) {
        all = all && nodes_has(control->nodes, pod->worker_nodes[i], pod->pool, image);
    }
    return all;
}

void members_note(struct control *control, const struct pod *pod, bool image)
{
    nodes_note(control->nodes, pod->node, pod->pool, image);
    for (uint32_t i = 0; i < pod->workers; i++) {
        nodes_note(control->nodes, pod->worker_nodes[i], pod->pool, image);
    }
}

void members_give(struct control *control, struct pod *pod)
{
    if (pod->bound) {
        const struct pod_request request = request_of(control, pod, false);
        nodes_give(control->nodes, pod->node, &request);
        pod->bound = false;
    }
    while (pod->workers > 0) {
        const struct pod_request request = request_of(control, pod, true);
        pod->workers--;
        nodes_give(control->nodes, pod->worker_nodes[pod->workers], &request);
    }
}
