/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet_read.c: questions to the fleet that change nothing.
 */
#include "router/fleet_state.h"

#include <string.h>

bool backend_listed(const struct backend *backend)
{
    return backend->member && backend->healthy;
}

const struct config *fleet_config(const struct fleet *fleet)
{
    return fleet->config;
}

uint64_t fleet_generation(const struct fleet *fleet)
{
    return fleet->generation;
}

size_t fleet_count(const struct fleet *fleet)
{
    return fleet->member_count;
}

struct backend *fleet_at(const struct fleet *fleet, size_t index)
{
    return fleet->members[index];
}

struct backend *fleet_by_engine_id(const struct fleet *fleet, const char *engine_id)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        if (strcmp(fleet->members[i]->engine_id, engine_id) == 0) {
            return fleet->members[i];
        }
    }
    return NULL;
}

struct backend *fleet_by_host(const struct fleet *fleet, const char *host)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        if (strcmp(fleet->members[i]->origin->host, host) == 0) {
            return fleet->members[i];
        }
    }
    return NULL;
}

unsigned fleet_needs(const struct fleet *fleet)
{
    return gateway_needs(fleet->era->gateway);
}

size_t fleet_policy_bytes(const struct fleet *fleet)
{
    return gateway_policy_bytes(fleet->era->gateway);
}

void fleet_stats(const struct fleet *fleet, int64_t now_ns,
                 const struct backend *backend, struct request_stats_row *row)
{
    request_stats_read(fleet->stats, now_ns, backend->slot, row);
}

bool backend_has_adapter(const struct backend *backend, const char *name)
{
    for (size_t i = 0; i < backend->adapter_count; i++) {
        if (strcmp(backend->adapters[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const char *fleet_adapter_model(const struct fleet *fleet, const char *name)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        if (backend_has_adapter(fleet->members[i], name)) {
            return fleet->members[i]->model;
        }
    }
    return NULL;
}

bool fleet_serves(const struct fleet *fleet, const char *model)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        if (fleet->members[i]->accepting &&
            strcmp(fleet->members[i]->model, model) == 0) {
            return true;
        }
    }
    return false;
}

bool fleet_knew(const struct fleet *fleet, const char *model)
{
    for (size_t i = 0; i < fleet->seen_count; i++) {
        if (strcmp(fleet->seen[i], model) == 0) {
            return true;
        }
    }
    return false;
}
