/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_parallel.c: how an engine is dealt out over GPUs, and which GPUs there are.
 *
 * vLLM waits for ever for GPUs that the cluster does not have
 * (spec/production-stack.md, issue #653); here that is an error before anything runs.
 */
#include "sim/scenario_parallel.h"

#include "base/unit.h"

#include <inttypes.h>

enum { TENSOR_MAX = 64, NODES_MAX = 1024 };

static bool tensor_read(struct scenario_pool *pool, const struct conf_node *node,
                        const struct conf_node *plan, struct err *err)
{
    const struct conf_node *engine = conf_get(node, "engine");
    const struct conf_node *there =
        engine == NULL ? NULL : conf_get(engine, "tensor_parallel");
    uint32_t tp = pool->engine.tensor_parallel;
    if (!conf_u32(plan, "tp", &tp, 1, TENSOR_MAX, err)) {
        return false;
    }
    if (there != NULL && tp != pool->engine.tensor_parallel) {
        return conf_fail(conf_get(plan, "tp"), err,
                         "tp: %" PRIu32 ", but engine.tensor_parallel says %" PRIu32
                         "; leave one of them out",
                         tp, pool->engine.tensor_parallel);
    }
    if (tp != pool->engine.tensor_parallel && pool->engine.speculation.tokens > 0) {
        return conf_fail(conf_get(plan, "tp"), err,
                         "tp: drafts share the GPUs; with engine.speculative write "
                         "engine.tensor_parallel: %" PRIu32 " instead",
                         tp);
    }
    pool->engine.tensor_parallel = tp;
    return engine_heads_check(&pool->engine, &pool->model, conf_get(plan, "tp"), err);
}

/* `layers: [a, b, ...]`, as VLLM_PP_LAYER_PARTITION. */
static bool layers_read(struct scenario_pool *pool, const struct conf_node *plan,
                        struct err *err)
{
    struct parallel_plan *parallel = &pool->engine.parallel;
    const struct conf_node *list = NULL;
    if (conf_get(plan, "layers") == NULL) {
        return true;
    }
    if (!conf_list(plan, "layers", &list, err)) {
        return false;
    }
    const uint32_t stages = plan_stages(parallel);
    if (conf_count(list) != stages) {
        return conf_fail(conf_get(plan, "layers"), err,
                         "layers: %zu numbers for %" PRIu32 " pipeline stages (pp)",
                         conf_count(list), stages);
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < stages; i++) {
        const struct conf_node *at = conf_at(list, i);
        const char *text = conf_kind(at) == CONF_SCALAR ? conf_scalar(at) : "";
        uint64_t layers = 0;
        struct err why;
        if (!unit_u64(text, &layers, &why) || layers < 1 ||
            layers > pool->model.layers) {
            return conf_fail(at, err,
                             "layers: whole numbers from 1 to %" PRIu32
                             ", one for each stage",
                             pool->model.layers);
        }
        parallel->stage_layers[i] = (uint32_t)layers;
        sum += layers;
    }
    return sum == pool->model.layers ||
           conf_fail(conf_get(plan, "layers"), err,
                     "layers: they make %" PRIu64 ", %s has %" PRIu32, sum,
                     pool->model.name, pool->model.layers);
}

static bool stages_read(struct scenario_pool *pool, const struct conf_node *plan,
                        struct err *err)
{
    uint32_t stages = 1;
    if (!conf_u32(plan, "pp", &stages, 1, PARALLEL_STAGES_MAX, err)) {
        return false;
    }
    if (stages > pool->model.layers) {
        return conf_fail(conf_get(plan, "pp"), err,
                         "pp: %" PRIu32 " stages, but %s has %" PRIu32 " layers",
                         stages, pool->model.name, pool->model.layers);
    }
    if (stages > 1 && pool->engine.speculation.tokens > 0) {
        return conf_fail(conf_get(plan, "pp"), err,
                         "pp: drafts are not modelled over pipeline stages; leave "
                         "engine.speculative out, or use tp");
    }
    if (stages > 1 && pool->engine.lora.enabled) {
        /* The scheduler counts the adapters of the batch that it forms, not those under
         * way: two batches with one adapter each may meet in a third. */
        return conf_fail(
            conf_get(plan, "pp"), err,
            "pp: adapters are not modelled over pipeline stages, and vLLM "
            "itself can exceed max_loras there; leave engine.enable_lora out, or "
            "use tp");
    }
    if (stages > 1 && pool->engine.prompts_first) {
        return conf_fail(conf_get(plan, "pp"), err,
                         "pp: engine.prompts_first is not modelled over pipeline "
                         "stages; leave it out, or use tp");
    }
    plan_split(&pool->engine.parallel, stages, pool->model.layers);
    return layers_read(pool, plan, err);
}

/* The line to blame for too many GPUs. */
static const struct conf_node *blame(const struct conf_node *node)
{
    const struct conf_node *plan = conf_get(node, "parallel");
    return plan != NULL ? plan : node;
}

static bool placement_read(struct scenario_pool *pool, const struct conf_node *node,
                           struct err *err)
{
    struct gpu_placement *placement = &pool->placement;
    const struct conf_node *map = NULL;
    if (!conf_map(node, "placement", &map, err)) {
        return false;
    }
    if (map == NULL) {
        return true;
    }
    placement->nodes = 1;
    placement->gpus_per_node = placement->node.gpus;
    if (!conf_u32(map, "nodes", &placement->nodes, 1, NODES_MAX, err) ||
        !conf_u32(map, "gpus_per_node", &placement->gpus_per_node, 1,
                  placement->node.gpus, err)) {
        return false;
    }
    const struct engine_config *engine = &pool->engine;
    const uint32_t stages = plan_stages(&engine->parallel);
    const uint64_t wanted = engine_gpus(engine);
    const uint64_t there = (uint64_t)placement->nodes * placement->gpus_per_node;
    return wanted <= there ||
           conf_fail(blame(node), err,
                     "parallel: tp %" PRIu32 " x pp %" PRIu32 " need %" PRIu64
                     " GPUs, but the placement has %" PRIu32 " nodes with %" PRIu32
                     " GPUs each; lower one of them or set placement.nodes to %" PRIu64,
                     engine->tensor_parallel, stages, wanted, placement->nodes,
                     placement->gpus_per_node,
                     (wanted + placement->gpus_per_node - 1) /
                         placement->gpus_per_node);
}

/* Ranks that an API server chooses among, and experts that they share. */
static bool ranks_read(const struct conf_node *plan, struct err *err)
{
    uint32_t ranks = 1;
    bool experts = false;
    if (!conf_u32(plan, "dp", &ranks, 1, UINT32_MAX, err) ||
        !conf_bool(plan, "ep", &experts, err)) {
        return false;
    }
    if (ranks > 1) {
        return conf_fail(
            conf_get(plan, "dp"), err,
            "dp: ranks behind one endpoint are not modelled; write each as a "
            "replica of the pool, as with --data-parallel-external-lb");
    }
    return !experts || conf_fail(conf_get(plan, "ep"), err,
                                 "ep: experts on GPUs of their own are not modelled; "
                                 "leave it out, and tp divides each of them");
}

bool scenario_parallel_read(struct scenario_pool *pool, const struct conf_node *node,
                            struct err *err)
{
    const struct conf_node *plan = NULL;
    return conf_map(node, "parallel", &plan, err) &&
           tensor_read(pool, node, plan, err) && stages_read(pool, plan, err) &&
           ranks_read(plan, err) && placement_read(pool, node, err);
}
