/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_adapters.c: adapters meet pools.
 */
#include "sim/scenario_adapters.h"

#include <string.h>

bool scenario_pool_takes(const struct scenario_pool *pool,
                         const struct adapter *adapter)
{
    return pool->engine.lora.enabled &&
           (adapter->model == NULL || strcmp(adapter->model, pool->model.name) == 0);
}

static bool name_is_free(const struct scenario *scenario, const struct adapter *adapter,
                         const struct conf_node *map, struct err *err)
{
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        if (strcmp(scenario->pools[i].model.name, adapter->name) == 0) {
            return conf_fail(map, err, "adapters: %s is the name of a model",
                             adapter->name);
        }
    }
    return true;
}

static bool adapter_check(const struct scenario *scenario,
                          const struct adapter *adapter, const struct conf_node *map,
                          struct err *err)
{
    uint32_t pools = 0;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        if (!scenario_pool_takes(pool, adapter)) {
            continue;
        }
        pools++;
        if (adapter->rank > pool->engine.lora.max_rank) {
            return conf_fail(map, err,
                             "adapters: %s has rank %u, pool %s takes %u at most, so "
                             "that vLLM would not load it; raise its max_lora_rank",
                             adapter->name, adapter->rank, pool->name,
                             pool->engine.lora.max_rank);
        }
    }
    if (pools == 0 && adapter->replicas > 0) {
        return conf_fail(map, err,
                         "adapters: no pool can have %s: none with enable_lora: true "
                         "in its engine%s%s",
                         adapter->name, adapter->model != NULL ? " serves " : "",
                         adapter->model != NULL ? adapter->model : "");
    }
    return name_is_free(scenario, adapter, map, err);
}

bool scenario_adapters_read(struct scenario *scenario, const struct conf_node *root,
                            struct err *err)
{
    if (!adapter_list_read(&scenario->adapters, root, err)) {
        return false;
    }
    const uint32_t count = adapter_list_count(scenario->adapters);
    for (uint32_t i = 0; i < count; i++) {
        if (!adapter_check(scenario, adapter_list_at(scenario->adapters, i),
                           conf_get(root, "adapters"), err)) {
            return false;
        }
    }
    for (uint32_t i = 0; count > 0 && i < scenario->pool_count; i++) {
        struct scenario_pool *pool = &scenario->pools[i];
        if (pool->engine.lora.enabled) {
            pool->adapters = adapter_costs_new(scenario->adapters, &pool->engine,
                                               &pool->gpu, &pool->model);
        }
    }
    return true;
}

void scenario_adapters_fini(struct scenario *scenario)
{
    for (uint32_t i = 0; i < SCENARIO_POOLS_MAX; i++) {
        adapter_costs_delete(scenario->pools[i].adapters);
    }
    adapter_list_delete(scenario->adapters);
}
