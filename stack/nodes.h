/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.h: the machines of a cluster: what `kubectl get nodes -o yaml` prints, or a
 * short list written by hand, as a scenario has it (docs/fleet.md), where `gpu` may
 * name the kind of GPU and `count` repeats a machine:
 *
 *     nodes:
 *       - {name: gpu-a, count: 4, gpu: h100_sxm, gpus: 8, cpu: 64, memory: 1Ti}
 */
#ifndef STACKSIM_STACK_NODES_H
#define STACKSIM_STACK_NODES_H

#include "stack/stack.h"

enum { STACK_NODES_MAX = 1024, STACK_NODE_LABELS_MAX = 64 };

struct stack_node {
    const struct conf_node *where;
    const char *name;
    const char
        *gpu; /* as written, or the label nvidia.com/gpu.product; NULL = unknown */
    const char *gpu_resource; /* "nvidia.com/gpu" */
    uint32_t gpus;
    uint64_t cpu_milli;
    uint64_t memory_bytes;
    struct stack_label labels[STACK_NODE_LABELS_MAX]; /* kubernetes.io/hostname first */
    size_t label_count;
    struct stack_label taints[4]; /* of effect NoSchedule or NoExecute */
    size_t taint_count;
    bool unschedulable;
};

struct stack_nodes {
    struct arena *arena;
    struct conf *conf;
    struct stack_node *items;
    size_t count;
    struct findings findings;
};

NODISCARD bool stack_nodes_load(struct stack_nodes **out, const char *path,
                                struct err *err);
NODISCARD bool stack_nodes_parse(struct stack_nodes **out, const char *name,
                                 const char *text, size_t byte_count, struct err *err);
void stack_nodes_delete(struct stack_nodes *nodes); /* NULL is legal */

#endif
