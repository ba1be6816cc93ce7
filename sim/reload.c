/* SPDX-License-Identifier: Apache-2.0
 *
 * reload.c: what a new configuration does to a router, and when.
 *
 * Release 0.1.3 cannot apply a file with static discovery (#591) and keeps the trie of
 * its prefix-aware policy (spec/production-stack.md 1.8); all other policies begin
 * anew, at every level.
 */
#include "sim/life.h"
#include "sim/sim_state.h"

#include <string.h>

void sim_reload_write(struct sim *sim, struct reload *reload, bool good)
{
    const int64_t poll_ns = sim->scenario->control->config_poll_ns;
    const int64_t polls = (sim->now_ns + poll_ns - 1) / poll_ns;
    *reload = (struct reload){true, good, polls * poll_ns};
    sim_tell(sim, false, "ConfigWritten", "router",
             good ? "a new configuration" : "a broken one");
}

static bool keeps_state(const struct sim *sim, const struct route_policy *policy)
{
    return sim->scenario->compat == COMPAT_TAG &&
           strcmp(policy->name, "prefix_aware") == 0;
}

static void apply(struct sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        if (!keeps_state(sim, scenario->policy)) {
            gateway_reset(sim->fronts[i].gateway);
        }
        if (sim->fronts[i].prefill != NULL &&
            !keeps_state(sim, scenario->disaggregation.prefill)) {
            gateway_reset(sim->fronts[i].prefill);
        }
    }
}

void sim_reload_poll(struct sim *sim, struct reload *reload)
{
    const bool fixed = sim->scenario->control->discovery.mode == DISCOVERY_STATIC &&
                       sim->scenario->compat == COMPAT_TAG;
    if (!reload->good || fixed) {
        sim_tell(sim, true, "ConfigReloadFailed", "router",
                 fixed ? "static discovery cannot be made anew; the old backends stay"
                       : "the file cannot be read; the old configuration stays");
        reload->poll_ns += sim->scenario->control->config_poll_ns;
        return;
    }
    reload->pending = false;
    apply(sim);
    sim_tell(sim, false, "ConfigReloaded", "router", "the routing policy begins anew");
}
