/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet_adapters.c: placement as the stack's controller does it (production-stack.md
 * 6.2): the engines that can have an adapter, by name, and the first of them; with one
 * replica each all adapters end up on one engine. `balanced` is what it might do.
 */
#include "sim/fleet_adapters.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/scenario_adapters.h"
#include "sim/scenario_control.h"

#include <stdlib.h>
#include <string.h>

/* What one front was told by one engine. */
struct scraped {
    uint64_t *active;
    uint64_t *waiting;
    size_t active_capacity;
    size_t waiting_capacity;
    struct endpoint_adapters adapters;
};

struct fleet_adapters {
    struct fleet_adapters_setup setup;
    uint64_t *ids;           /* by adapter */
    bool *listed;            /* by adapter: by some engine */
    uint64_t *active;        /* scratch, room for all */
    uint64_t *waiting;       /* the same */
    struct scraped *scraped; /* by front, engine */
    struct late {
        uint32_t *engines; /* owned; NULL = from the beginning, or nowhere */
        uint32_t count;
    } * late; /* by adapter */
};

/* An engine that can have adapters, and how many it has. */
struct host {
    uint32_t engine;
    uint32_t number; /* in its pool */
    const struct scenario_pool *pool;
    uint32_t adapters;
};

static int compare_hosts(const void *left, const void *right)
{
    const struct host *a = left;
    const struct host *b = right;
    const int names = strcmp(a->pool->name, b->pool->name);
    return names != 0 ? names : (a->number > b->number) - (a->number < b->number);
}

static int compare_engines(const void *left, const void *right)
{
    const uint32_t *a = left;
    const uint32_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* By name, as Kubernetes lists pods. */
static struct host *hosts_new(const struct fleet_adapters_setup *setup, uint32_t *count)
{
    struct host *hosts = mem_alloc(setup->engine_count, sizeof *hosts);
    uint32_t number = 0;
    *count = 0;
    for (uint32_t i = 0; i < setup->engine_count; i++) {
        number = i > 0 && setup->pool_of[i] == setup->pool_of[i - 1] ? number + 1 : 0;
        if (setup->pool_of[i]->engine.lora.enabled) {
            hosts[(*count)++] = (struct host){i, number, setup->pool_of[i], 0};
        }
    }
    qsort(hosts, *count, sizeof *hosts, compare_hosts);
    return hosts;
}

/* The next host for the adapter; NULL: it is on all that can have it. */
static struct host *host_choose(struct host *hosts, uint32_t count, const bool *taken,
                                const struct adapter *adapter, enum placement rule)
{
    struct host *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct host *host = &hosts[i];
        if (taken[i] || !scenario_pool_takes(host->pool, adapter)) {
            continue;
        }
        if (best == NULL ||
            (rule == PLACEMENT_BALANCED && host->adapters < best->adapters)) {
            best = host;
        }
    }
    return best;
}

static void tell_fronts(const struct fleet_adapters_setup *setup, const char *name,
                        const uint32_t *engines, uint32_t count)
{
    for (uint32_t i = 0; i < setup->front_count; i++) {
        front_serve(&setup->fronts[i], name, engines, count);
    }
}

/* Returns on how many engines it is now. engines: room for all. */
static uint32_t place(const struct fleet_adapters_setup *setup, uint32_t index,
                      struct host *hosts, uint32_t host_count, uint32_t *engines)
{
    const struct adapter_list *list = setup->scenario->adapters;
    const struct adapter *adapter = adapter_list_at(list, index);
    bool *taken = mem_alloc(host_count, sizeof *taken);
    uint32_t count = 0;
    while (count < adapter->replicas) {
        struct host *host = host_choose(hosts, host_count, taken, adapter,
                                        adapter_list_placement(list));
        if (host == NULL) {
            break;
        }
        taken[host - hosts] = true;
        host->adapters++;
        engines[count++] = host->engine;
        if (adapter_list_preloads(list) && adapter->loaded_ns == 0) {
            replica_preload(setup->engines[host->engine], index);
        }
    }
    mem_free(taken);
    qsort(engines, count, sizeof *engines, compare_engines);
    if (count > 0 && adapter->loaded_ns == 0) {
        tell_fronts(setup, adapter->name, engines, count);
    }
    return count;
}

struct fleet_adapters *fleet_adapters_new(const struct fleet_adapters_setup *setup)
{
    const struct adapter_list *list = setup->scenario->adapters;
    const uint32_t count = adapter_list_count(list);
    if (count == 0) {
        return NULL;
    }
    struct fleet_adapters *fleet = mem_alloc(1, sizeof(*fleet));
    fleet->setup = *setup;
    fleet->ids = mem_alloc(count, sizeof(uint64_t));
    fleet->listed = mem_alloc(count, sizeof(bool));
    fleet->late = mem_alloc(count, sizeof *fleet->late);
    fleet->active = mem_alloc(count, sizeof(uint64_t));
    fleet->waiting = mem_alloc(count, sizeof(uint64_t));
    fleet->scraped = mem_alloc((size_t)setup->front_count * setup->engine_count,
                               sizeof *fleet->scraped);
    uint32_t host_count = 0;
    struct host *hosts = hosts_new(setup, &host_count);
    uint32_t *engines = mem_alloc(setup->engine_count, sizeof *engines);
    for (uint32_t i = 0; i < count; i++) {
        fleet->ids[i] = adapter_list_at(list, i)->id;
        const uint32_t places = place(setup, i, hosts, host_count, engines);
        fleet->listed[i] = places > 0 && adapter_list_at(list, i)->loaded_ns == 0;
        if (places > 0 && !fleet->listed[i]) {
            fleet->late[i].engines = mem_alloc(places, sizeof *engines);
            fleet->late[i].count = places;
            memcpy(fleet->late[i].engines, engines, places * sizeof *engines);
        }
    }
    mem_free(engines);
    mem_free(hosts);
    return fleet;
}

void fleet_adapters_delete(struct fleet_adapters *fleet)
{
    if (fleet == NULL) {
        return;
    }
    const size_t scraped = (size_t)fleet->setup.front_count * fleet->setup.engine_count;
    for (size_t i = 0; i < scraped; i++) {
        mem_free(fleet->scraped[i].active);
        mem_free(fleet->scraped[i].waiting);
    }
    for (uint32_t i = 0; i < adapter_list_count(fleet->setup.scenario->adapters); i++) {
        mem_free(fleet->late[i].engines);
    }
    mem_free(fleet->late);
    mem_free(fleet->scraped);
    mem_free(fleet->ids);
    mem_free(fleet->listed);
    mem_free(fleet->active);
    mem_free(fleet->waiting);
    mem_free(fleet);
}

int64_t fleet_adapters_routable_ns(const struct fleet_adapters *fleet, uint32_t adapter)
{
    static const int64_t relist_ns = INT64_C(30000000000);
    const struct scenario *scenario = fleet->setup.scenario;
    const struct scenario_control *control = scenario->control;
    const int64_t loaded_ns = adapter_list_at(scenario->adapters, adapter)->loaded_ns;
    if (fleet->late[adapter].engines == NULL) {
        return 0;
    }
    if (scenario->compat == COMPAT_HEAD) {
        return loaded_ns + (control != NULL ? control->discovery.delay_ns : 500000000);
    }
    return (loaded_ns + relist_ns - 1) / relist_ns * relist_ns;
}

void fleet_adapters_tell(struct fleet_adapters *fleet, uint32_t adapter)
{
    const struct late *late = &fleet->late[adapter];
    CHECK(!fleet->listed[adapter] && late->engines != NULL, "adapter %u is told twice",
          adapter);
    fleet->listed[adapter] = true;
    tell_fronts(&fleet->setup, fleet_adapters_name(fleet, adapter), late->engines,
                late->count);
}

uint32_t fleet_adapters_find(const struct fleet_adapters *fleet, const char *name)
{
    if (fleet == NULL) {
        return ADAPTER_NONE;
    }
    const uint32_t adapter = adapter_list_find(fleet->setup.scenario->adapters, name);
    return adapter != ADAPTER_NONE && fleet->listed[adapter] ? adapter : ADAPTER_NONE;
}

const char *fleet_adapters_name(const struct fleet_adapters *fleet, uint32_t adapter)
{
    return adapter == ADAPTER_NONE
               ? NULL
               : adapter_list_at(fleet->setup.scenario->adapters, adapter)->name;
}

static const uint64_t *ids_keep(uint64_t **kept, size_t *capacity, const uint64_t *ids,
                                uint32_t count)
{
    void *array = *kept;
    const bool grown = mem_grow(&array, capacity, (size_t)count + 1, sizeof(uint64_t),
                                ADAPTERS_MAX + 1);
    CHECK(grown, "%u adapters of one engine", count);
    *kept = array;
    memcpy(*kept, ids, count * sizeof *ids);
    return *kept;
}

const struct endpoint_adapters *fleet_adapters_scrape(struct fleet_adapters *fleet,
                                                      uint32_t front, uint32_t engine)
{
    if (fleet == NULL || !fleet->setup.pool_of[engine]->engine.lora.enabled) {
        return NULL;
    }
    struct scraped *scraped =
        &fleet->scraped[(size_t)front * fleet->setup.engine_count + engine];
    struct endpoint_adapters *said = &scraped->adapters;
    replica_adapters(fleet->setup.engines[engine], fleet->ids, fleet->active,
                     fleet->waiting, said);
    said->active = ids_keep(&scraped->active, &scraped->active_capacity, fleet->active,
                            said->active_count);
    said->waiting = ids_keep(&scraped->waiting, &scraped->waiting_capacity,
                             fleet->waiting, said->waiting_count);
    return said;
}
