/* SPDX-License-Identifier: Apache-2.0
 *
 * place.c: one pass of the scheduler over an empty cluster.
 */
#include "cli/helm/place.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

struct placing {
    struct helm *helm;
    uint32_t *pods; /* of the engine at hand, by node */
    uint32_t lost;
    char why[256]; /* of the first that was lost */
};

static void pods_place(struct placing *placing, const struct helm_engine *engine)
{
    const struct stack_engine *from = engine->from;
    uint32_t bound = NODE_NONE;
    placing->lost = 0;
    for (uint32_t replica = 0; replica < from->replicas; replica++) {
        for (uint32_t pod = 0; pod < from->pods; pod++) {
            struct pod_request request = pod == 0 ? engine->head : engine->request;
            request.bound_node = from->storage_rwo ? bound : NODE_NONE;
            const struct pod_placement placement =
                nodes_place(placing->helm->machines, &request);
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
        placing->pods[i] = 0;
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
        .pods = mem_alloc(helm->nodes->count, sizeof *placing.pods),
    };
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        pods_place(&placing, &helm->engines[i]);
        engine_tell(&placing, &helm->engines[i]);
    }
    mem_free(placing.pods);
}
