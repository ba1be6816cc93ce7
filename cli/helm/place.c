/* SPDX-License-Identifier: Apache-2.0
 *
 * place.c: one pass of the scheduler over an empty cluster.
 */
#include "cli/helm/place.h"

#include "base/mem.h"
#include "sim/control/nodes.h"
#include "stack/match.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* Selectors are evaluated here, for all operators and any number of labels: nodes that
 * an engine may not have are cordoned while its pods are placed. */
struct placing {
    struct helm *helm;
    struct node_spec *specs;
    struct nodes *nodes;
    uint32_t *pods; /* of the engine at hand, by node */
    uint32_t lost;
    char why[256]; /* of the first that was lost */
};

static uint32_t clamp_u32(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void specs_make(struct placing *placing)
{
    const struct stack_nodes *nodes = placing->helm->nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct stack_node *node = &nodes->items[i];
        struct node_spec *spec = &placing->specs[i];
        *spec = (struct node_spec){
            .name = node->name,
            .gpu = node->gpu_resource,
            .gpus = node->gpus,
            .cpu_millis = node->cpu_milli > 0 ? clamp_u32(node->cpu_milli) : 1000000,
            .memory_bytes =
                node->memory_bytes > 0 ? node->memory_bytes : UINT64_MAX / 2,
            .taint_count = (uint32_t)node->taint_count,
        };
        for (size_t j = 0; j < node->taint_count && j < NODE_TAINTS_MAX; j++) {
            spec->taints[j] =
                (struct node_label){node->taints[j].key, node->taints[j].value};
        }
    }
}

/* The request of one pod: head and workers of a Ray cluster differ in their GPUs. */
static struct pod_request request_of(const struct stack_engine *engine, bool is_head)
{
    struct pod_request request = {
        .gpu = engine->gpu_resource,
        .gpus = is_head ? engine->head_gpus : engine->gpus,
        .cpu_millis = clamp_u32(engine->cpu_milli),
        .memory_bytes = engine->memory_bytes,
        .node_name = engine->node_name,
        .bound_node = NODE_NONE,
    };
    for (size_t i = 0; i < engine->toleration_count && i < NODE_TAINTS_MAX; i++) {
        request.tolerations[request.toleration_count++] = (struct node_label){
            engine->tolerations[i].key, engine->tolerations[i].value};
    }
    return request;
}

/* Cordons what the engine may not have; a pod that names its node asks nobody. */
static void nodes_open(struct placing *placing, const struct stack_engine *engine)
{
    const struct stack_nodes *nodes = placing->helm->nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct stack_node *node = &nodes->items[i];
        nodes_set_schedulable(placing->nodes, (uint32_t)i,
                              !node->unschedulable && stack_node_matches(node, engine));
        placing->pods[i] = 0;
    }
    placing->lost = 0;
}

static void pods_place(struct placing *placing, const struct stack_engine *engine)
{
    uint32_t bound = NODE_NONE;
    nodes_open(placing, engine);
    for (uint32_t replica = 0; replica < engine->replicas; replica++) {
        for (uint32_t pod = 0; pod < engine->pods; pod++) {
            struct pod_request request =
                request_of(engine, engine->kind == STACK_RAY && pod == 0);
            request.bound_node = engine->storage_rwo ? bound : NODE_NONE;
            const struct pod_placement placement =
                nodes_place(placing->nodes, &request);
            if (placement.verdict == PLACE_BOUND) {
                placing->pods[placement.node]++;
                bound = placement.node;
            } else if (placing->lost++ == 0) {
                memcpy(placing->why, placement.message, sizeof placing->why);
            }
        }
    }
}

static void engine_tell(struct placing *placing, struct helm_engine *engine)
{
    const struct stack_nodes *nodes = placing->helm->nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        if (placing->pods[i] > 0) {
            text_printf(&engine->placed, "%s%s: %" PRIu32,
                        engine->placed.length > 0 ? ", " : "", nodes->items[i].name,
                        placing->pods[i]);
        }
    }
    if (placing->lost > 0) {
        findings_add(&placing->helm->stack->findings, FINDING_TRAP, "pods_without_node",
                     engine->from->where,
                     "%s: %" PRIu32 " of its pods never start on these nodes (%.300s); "
                     "add nodes or ask for less",
                     engine->from->name, placing->lost, placing->why);
    }
}

void helm_place(struct helm *helm)
{
    if (helm->nodes == NULL) {
        return;
    }
    struct placing placing = {
        .helm = helm,
        .specs = mem_alloc(helm->nodes->count, sizeof *placing.specs),
        .pods = mem_alloc(helm->nodes->count, sizeof *placing.pods),
    };
    specs_make(&placing);
    placing.nodes = nodes_new(placing.specs, (uint32_t)helm->nodes->count);
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        pods_place(&placing, helm->engines[i].from);
        engine_tell(&placing, &helm->engines[i]);
    }
    nodes_delete(placing.nodes);
    mem_free(placing.specs);
    mem_free(placing.pods);
}
