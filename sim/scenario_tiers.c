/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_tiers.c: `tiers` of a pool and `cache_server` of a scenario. Defaults are
 * those of LMCache and the figures of spec/vllm-engine.md 6.1 and 6.3.
 */
#include "sim/scenario_tiers.h"

#include <string.h>

static const uint32_t lmcache_chunk_tokens = 256;
static const uint64_t lmcache_cpu_bytes = UINT64_C(5000000000);

static const struct tier_spec defaults[TIER_COUNT] = {
    /* PCIe 4 x16: 21 to 25 GB/s in practice, BLIS counts with 20. */
    [TIER_CPU] = {.read_bytes_per_s = 20e9,
                  .write_bytes_per_s = 20e9,
                  .latency_ns = INT64_C(10000)},
    /* NVMe of generation 4 (BLIS). */
    [TIER_DISK] = {.read_bytes_per_s = 7e9,
                   .write_bytes_per_s = 5e9,
                   .latency_ns = INT64_C(80000)},
    /* A card of 100 Gb/s; the latency is a guess of the spec. */
    [TIER_REMOTE] = {.read_bytes_per_s = 12.5e9,
                     .write_bytes_per_s = 12.5e9,
                     .latency_ns = INT64_C(1000000)},
};

static bool rate_read(const struct conf_node *map, const char *key, double *out,
                      struct err *err)
{
    uint64_t bytes = 0;
    if (conf_get(map, key) == NULL) {
        return true;
    }
    if (!conf_bytes(map, key, &bytes, err)) {
        return false;
    }
    *out = (double)bytes;
    return bytes > 0 || conf_fail(conf_get(map, key), err,
                                  "%s: bytes moved in a second, as 20GB", key);
}

static bool tier_read(struct tiers_config *config, enum tier tier,
                      const struct conf_node *tiers, struct err *err)
{
    struct tier_spec *spec = &config->tiers[tier];
    const struct conf_node *map = NULL;
    const char *name = tier_name(tier);
    *spec = defaults[tier];
    if (!conf_map(tiers, name, &map, err)) {
        return false;
    }
    spec->present = map != NULL || tier == TIER_CPU;
    spec->bytes = tier == TIER_CPU ? lmcache_cpu_bytes : 0;
    if (tier != TIER_REMOTE && !conf_bytes(map, "capacity", &spec->bytes, err)) {
        return false;
    }
    if (tier == TIER_DISK && map != NULL && spec->bytes == 0) {
        return conf_fail(map, err,
                         "capacity: how many bytes the disk may hold, as 1TB");
    }
    if (tier == TIER_CPU && config->connector == CONNECTOR_OFFLOADING &&
        conf_get(map, "capacity") == NULL) {
        return conf_fail(map == NULL ? tiers : map, err,
                         "cpu.capacity: vLLM's connector has no default "
                         "(--kv-offloading-size); give bytes, as 60GB");
    }
    return rate_read(map, "read", &spec->read_bytes_per_s, err) &&
           rate_read(map, "write", &spec->write_bytes_per_s, err) &&
           conf_duration_ns(map, "latency", &spec->latency_ns, err);
}

static bool loads_read(struct tiers_config *config, const struct conf_node *map,
                       const struct engine_config *engine, struct err *err)
{
    static const char *const loads[] = {"sync", "async", NULL};
    static const char *const whens[] = {"always", "faster", NULL};
    const bool offloading = config->connector == CONNECTOR_OFFLOADING;
    uint32_t load = offloading ? 1 : 0;
    uint32_t when = 0;
    if (!conf_enum(map, "load", loads, &load, err) ||
        !conf_enum(map, "load_when", whens, &when, err) ||
        !conf_u32(map, "min_retrieve_tokens", &config->min_retrieve_tokens, 0,
                  UINT32_MAX, err)) {
        return false;
    }
    config->async_load = load == 1;
    config->load_if_faster = when == 1;
    if (offloading && !config->async_load) {
        return conf_fail(conf_get(map, "load"), err,
                         "load: vLLM's connector loads beside the steps; leave it out "
                         "or say async");
    }
    if (config->async_load && engine->compat == ENGINE_V085) {
        return conf_fail(map, err,
                         "tiers: engines of compat v085 cannot load while they work; "
                         "take connector: lmcache with load: sync, or compat: v010");
    }
    return true;
}

static bool chunks_read(struct tiers_config *config, const struct conf_node *map,
                        const struct engine_config *engine, struct err *err)
{
    config->chunk_tokens = config->connector == CONNECTOR_OFFLOADING
                               ? engine->block_tokens
                               : lmcache_chunk_tokens;
    if (!conf_u32(map, "chunk_tokens", &config->chunk_tokens, 1, 1 << 20, err)) {
        return false;
    }
    const struct conf_node *where = conf_get(map, "chunk_tokens");
    return config->chunk_tokens % engine->block_tokens == 0 ||
           conf_fail(where == NULL ? map : where, err,
                     "chunk_tokens: %u is not a multiple of the engine's block_tokens, "
                     "%u",
                     config->chunk_tokens, engine->block_tokens);
}

bool scenario_tiers_read(struct scenario_pool *pool, const struct conf_node *node,
                         struct err *err)
{
    static const char *const connectors[] = {"lmcache", "offloading", NULL};
    static const char *const roles[] = {"both", "producer", "consumer", NULL};
    struct tiers_config *config = &pool->tiers;
    const struct conf_node *map = NULL;
    uint32_t connector = CONNECTOR_LMCACHE;
    uint32_t role = TIERS_BOTH;
    if (!conf_map(node, "tiers", &map, err)) {
        return false;
    }
    if (map == NULL) {
        return true;
    }
    config->present = true;
    if (!conf_enum(map, "connector", connectors, &connector, err) ||
        !conf_enum(map, "role", roles, &role, err)) {
        return false;
    }
    config->connector = (enum tiers_connector)connector;
    config->role = (enum tiers_role)role;
    for (uint32_t tier = 0; tier < TIER_COUNT; tier++) {
        if (!tier_read(config, tier, map, err)) {
            return false;
        }
    }
    if (connector == CONNECTOR_OFFLOADING && pool->engine.compat < ENGINE_V019) {
        return conf_fail(conf_get(map, "connector"), err,
                         "connector: vLLM has had offloading since 0.11; take compat: "
                         "v019 or head, or connector: lmcache");
    }
    return loads_read(config, map, &pool->engine, err) &&
           chunks_read(config, map, &pool->engine, err);
}

static bool server_read(struct scenario *scenario, const struct conf_node *root,
                        struct err *err)
{
    struct cache_server_config *server = &scenario->cache_server;
    const struct conf_node *map = NULL;
    server->bytes_per_s = defaults[TIER_REMOTE].read_bytes_per_s;
    if (!conf_map(root, "cache_server", &map, err)) {
        return false;
    }
    server->present = map != NULL;
    if (map == NULL) {
        return true;
    }
    if (!conf_require(map, "capacity", err) ||
        !conf_bytes(map, "capacity", &server->bytes, err) ||
        !rate_read(map, "nic", &server->bytes_per_s, err)) {
        return false;
    }
    return server->bytes > 0 || conf_fail(conf_get(map, "capacity"), err,
                                          "capacity: bytes of its memory, as 500GB");
}

bool scenario_tiers_check(struct scenario *scenario, const struct conf_node *root,
                          struct err *err)
{
    const struct scenario_pool *first = NULL;
    bool remote = false;
    if (!server_read(scenario, root, err)) {
        return false;
    }
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        if (!pool->tiers.present) {
            continue;
        }
        first = first == NULL ? pool : first;
        remote = remote || pool->tiers.tiers[TIER_REMOTE].present;
        if (pool->tiers.chunk_tokens != first->tiers.chunk_tokens ||
            pool->engine.block_tokens != first->engine.block_tokens) {
            return conf_fail(conf_get(root, "cluster"), err,
                             "pools %s and %s have tiers: they need the same "
                             "chunk_tokens and block_tokens",
                             first->name, pool->name);
        }
    }
    if (remote && !scenario->cache_server.present) {
        return conf_fail(conf_get(root, "cluster"), err,
                         "tiers.remote: there is no cache server; add cache_server: "
                         "{capacity: 500GB} to the scenario");
    }
    if (!remote && scenario->cache_server.present) {
        return conf_fail(conf_get(root, "cache_server"), err,
                         "cache_server: no pool has tiers with `remote`, so nobody "
                         "would read it");
    }
    if (scenario->kv_reports_tiers && first == NULL) {
        return conf_fail(conf_get(root, "routing"), err,
                         "kv_events.source: tiers, but no pool has any");
    }
    return true;
}
