/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet_health.c: what is heard of backends: failures, probes, metrics, KV events; and
 * who is ejected for how long.
 */
#include "router/fleet_state.h"

#include <string.h>

static bool is_last(const struct fleet *fleet, const struct backend *backend)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        const struct backend *other = fleet->members[i];
        if (other != backend && other->accepting &&
            strcmp(other->model, backend->model) == 0) {
            return false;
        }
    }
    return true;
}

void fleet_praise(struct fleet *fleet, int64_t now_ns, struct backend *backend)
{
    backend->failures = 0;
    if (backend->ejected_until_ns == 0) {
        backend->ejections = 0;
    }
    fleet_update_accepting(fleet, now_ns, backend);
}

void fleet_blame(struct fleet *fleet, int64_t now_ns, struct backend *backend)
{
    backend->failures_total++;
    backend->failures++;
    if (fleet->setup.ejection_failures == 0 ||
        backend->failures < fleet->setup.ejection_failures || !backend->accepting ||
        is_last(fleet, backend)) {
        return;
    }
    int64_t while_ns = fleet->setup.ejection_ns;
    for (uint32_t i = 0;
         i < backend->ejections && while_ns < fleet->setup.ejection_ns_max; i++) {
        while_ns *= 2;
    }
    if (while_ns > fleet->setup.ejection_ns_max) {
        while_ns = fleet->setup.ejection_ns_max;
    }
    backend->ejected_until_ns = now_ns + while_ns;
    backend->ejections++;
    backend->ejections_total++;
    /* One more failure is enough when it comes back. */
    backend->failures = fleet->setup.ejection_failures - 1;
    fleet_update_accepting(fleet, now_ns, backend);
}

void fleet_probed(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                  bool healthy)
{
    backend->healthy = healthy;
    if (healthy) {
        backend->ejected_until_ns = 0;
        backend->failures = 0;
    }
    fleet_update_accepting(fleet, now_ns, backend);
}

void fleet_slept(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                 bool asleep)
{
    backend->asleep = asleep;
    fleet_update_accepting(fleet, now_ns, backend);
}

void fleet_scraped(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                   const struct endpoint_metrics *metrics)
{
    backend->scraped = metrics != NULL;
    if (metrics == NULL || !backend->member) {
        return;
    }
    backend->metrics = *metrics;
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_metrics(line, now_ns, backend->endpoint_id, metrics);
        fleet_record_finish(fleet);
    }
    gateway_scraped(fleet->era->gateway, backend->endpoint_id, metrics);
}

void fleet_kv_event(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                    const struct kv_event *event)
{
    if (!backend->member) {
        return;
    }
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_kv_event(line, now_ns, backend->endpoint_id, event);
        fleet_record_finish(fleet);
    }
    gateway_kv_event(fleet->era->gateway, now_ns, backend->endpoint_id, event);
}

void fleet_tick(struct fleet *fleet, int64_t now_ns)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        struct backend *backend = fleet->members[i];
        if (backend->ejected_until_ns != 0 && backend->ejected_until_ns <= now_ns) {
            backend->ejected_until_ns = 0;
            fleet_update_accepting(fleet, now_ns, backend);
        }
    }
}
