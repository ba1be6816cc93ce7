/* SPDX-License-Identifier: Apache-2.0
 *
 * script.c: what an entry of a scenario's timeline does.
 */
#include "base/check.h"
#include "sim/life_state.h"

#include <stdio.h>

static void slow(struct sim *sim, const struct place *place, double factor)
{
    for (uint32_t i = 0; i < place->count; i++) {
        replica_slow(sim->engines[place->first + i], factor, sim->now_ns);
        sim_engine_reschedule(sim, place->first + i);
    }
}

static void slow_card(struct sim *sim, const struct place *place, double factor)
{
    for (uint32_t i = 0; sim->disagg != NULL && i < place->count; i++) {
        sim_disagg_slow(sim, place->first + i, factor);
    }
}

static void say(struct life *life, const char *reason, const char *object,
                double factor)
{
    char message[64];
    (void)snprintf(message, sizeof message, "by a factor of %g", factor);
    sim_tell(life->sim, factor != 1.0, reason, object, message);
}

static void act_on_pod(struct life *life, const struct timeline_action *action)
{
    struct sim *sim = life->sim;
    const uint32_t slot = control_slot(life->control, action->pool, action->number);
    const struct place *place = &life->places[slot];
    const char *name = control_pod_name(life->control, slot);
    switch (action->kind) {
    case TIMELINE_ENGINE_CRASH:
        control_crash(life->control, sim->now_ns, slot, action->for_ns);
        break;
    case TIMELINE_ENGINE_HANG:
        control_hang(life->control, sim->now_ns, slot);
        break;
    case TIMELINE_DRAIN:
    case TIMELINE_DELETE_POD:
        control_drain(life->control, sim->now_ns, slot,
                      action->kind == TIMELINE_DELETE_POD);
        break;
    case TIMELINE_SLEEP:
        control_sleep(life->control, sim->now_ns, slot);
        break;
    case TIMELINE_WAKE:
        control_wake(life->control, sim->now_ns, slot);
        break;
    case TIMELINE_SLOW_GPU:
        say(life, "GpuSpeed", name, action->factor);
        slow(sim, place, action->factor);
        break;
    case TIMELINE_SLOW_NIC:
    case TIMELINE_LINK_LOST:
        say(life, "LinkSpeed", name, action->factor);
        slow_card(sim, place, action->factor);
        break;
    case TIMELINE_NODE_LOST:
    case TIMELINE_NODE_DRAIN:
    case TIMELINE_SCALE:
    case TIMELINE_ROLLOUT:
    case TIMELINE_RELOAD:
    case TIMELINE_ROUTE:
    case TIMELINE_API_DOWN:
    case TIMELINE_SERVICE_LOST:
    case TIMELINE_COUNT:
        CHECK(false, "action %d is not on a pod", (int)action->kind);
    }
}

void life_act(struct life *life, const struct timeline_action *action)
{
    const int64_t now_ns = life->sim->now_ns;
    switch (action->kind) {
    case TIMELINE_NODE_LOST:
        control_node_lost(life->control, now_ns, action->node, action->for_ns);
        break;
    case TIMELINE_NODE_DRAIN:
        control_node_drain(life->control, now_ns, action->node);
        break;
    case TIMELINE_SCALE:
        custom_scale(&life->custom, action->pool, action->replicas);
        break;
    case TIMELINE_ROLLOUT:
        custom_rollout(&life->custom, action->pool);
        break;
    case TIMELINE_ROUTE:
        custom_route_edit(&life->custom, action->good);
        break;
    case TIMELINE_API_DOWN:
        life->custom.api_down = !action->good;
        break;
    case TIMELINE_SERVICE_LOST:
        life->custom.service_lost = !action->good;
        break;
    case TIMELINE_RELOAD:
        sim_reload_write(life->sim, &life->reload, action->good);
        break;
    case TIMELINE_ENGINE_CRASH:
    case TIMELINE_ENGINE_HANG:
    case TIMELINE_DRAIN:
    case TIMELINE_DELETE_POD:
    case TIMELINE_SLEEP:
    case TIMELINE_WAKE:
    case TIMELINE_SLOW_GPU:
    case TIMELINE_SLOW_NIC:
    case TIMELINE_LINK_LOST:
        act_on_pod(life, action);
        break;
    case TIMELINE_COUNT:
        CHECK(false, "no action");
    }
}
