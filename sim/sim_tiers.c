/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_tiers.c: the tiers of a fleet: who has which, the cache server between them, and
 * the ends of loads that go on beside the steps.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sim/sim_state.h"

#include <string.h>

/* What one engine's tiers tell the gateway. */
struct reporter {
    struct tiers_listener listener;
    struct kv_reports *reports;
    uint32_t engine;
};

struct fleet_tiers {
    struct cache_server *server; /* NULL = none */
    struct tiers **by_engine;    /* NULL = it has none */
    struct reporter *reporters;
    uint32_t block_tokens; /* of all engines with tiers */
    uint32_t chunk_tokens;
};

struct fleet_tiers *sim_tiers_new(struct sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    struct fleet_tiers *fleet = NULL;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        if (pool->tiers.present && fleet == NULL) {
            fleet = mem_alloc(1, sizeof *fleet);
            fleet->block_tokens = pool->engine.block_tokens;
            fleet->chunk_tokens = pool->tiers.chunk_tokens;
        }
    }
    if (fleet == NULL) {
        return NULL;
    }
    fleet->by_engine = mem_alloc(sim->engine_count, sizeof(struct tiers *));
    fleet->reporters = mem_alloc(sim->engine_count, sizeof *fleet->reporters);
    if (scenario->cache_server.present) {
        fleet->server = cache_server_new(&scenario->cache_server);
    }
    return fleet;
}

void sim_tiers_delete(struct fleet_tiers *fleet, uint32_t engine_count)
{
    if (fleet != NULL) {
        for (uint32_t i = 0; i < engine_count; i++) {
            tiers_delete(fleet->by_engine[i]);
        }
        cache_server_delete(fleet->server);
        mem_free(fleet->reporters);
        mem_free(fleet->by_engine);
        mem_free(fleet);
    }
}

static void on_chunk(void *context, uint64_t key, bool stored)
{
    const struct reporter *reporter = context;
    kv_reports_chunk(reporter->reports, reporter->engine, key, stored);
}

struct tiers *sim_tiers_of(struct sim *sim, uint32_t engine,
                           const struct scenario_pool *pool)
{
    struct fleet_tiers *fleet = sim->tiers;
    if (fleet == NULL || !pool->tiers.present) {
        return NULL;
    }
    CHECK(!pool->lockstep, "engine %u is a rank and has tiers", engine);
    struct reporter *reporter = &fleet->reporters[engine];
    *reporter = (struct reporter){{reporter, on_chunk}, sim->reports, engine};
    const struct model_spec part =
        plan_largest_part(&pool->engine.parallel, &pool->model);
    const uint64_t rank_bytes =
        model_kv_bytes_per_token(&part, pool->engine.tensor_parallel);
    const bool reports = sim->reports != NULL && sim->scenario->kv_reports_tiers;
    const struct tiers_setup setup = {
        .config = &pool->tiers,
        /* A latent that all GPUs of a group hold is stored once, KV heads in parts. */
        .chunk_bytes =
            model_kv_bytes_per_token(&pool->model, 1) * pool->tiers.chunk_tokens,
        .rank_bytes = rank_bytes * pool->tiers.chunk_tokens,
        .salt = hash_pair(hash_xxh64(pool->model.name, strlen(pool->model.name), 0),
                          engine_gpus(&pool->engine)),
        .server = fleet->server,
        .listener = reports ? &reporter->listener : NULL,
    };
    fleet->by_engine[engine] = tiers_new(&setup);
    return fleet->by_engine[engine];
}

void sim_tiers_chunk(struct sim *sim, struct request *request,
                     const struct trace_record *record)
{
    const struct fleet_tiers *fleet = sim->tiers;
    if (fleet != NULL) {
        request_table_chunk(sim->table, request, record, fleet->block_tokens,
                            fleet->chunk_tokens / fleet->block_tokens);
    }
}

void sim_on_tier_load(void *context, struct request *request, int64_t here_ns)
{
    struct sim *sim = context;
    const struct timer timer = {.kind = EVENT_TIER_LOADED, .request = request};
    request->load_timer = sim_timer_new(sim, &timer);
    evq_set(sim->events, sim->source_timers + request->load_timer, here_ns,
            sim_rank(EVENT_TIER_LOADED, request->number));
}

void sim_tiers_loaded(struct sim *sim, struct request *request)
{
    request->load_timer = UINT32_MAX;
    replica_kv_arrived(sim->engines[request->engine], request, sim->now_ns);
    sim_engine_reschedule(sim, request->engine);
}

bool sim_tiers_summarise(const struct sim *sim, uint32_t engine,
                         struct tiers_stats *stats)
{
    CHECK(engine < sim->engine_count, "engine %u of %u", engine, sim->engine_count);
    if (sim->tiers == NULL || sim->tiers->by_engine[engine] == NULL) {
        return false;
    }
    tiers_stats_read(sim->tiers->by_engine[engine], stats);
    return true;
}
