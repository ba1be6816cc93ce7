/* SPDX-License-Identifier: Apache-2.0
 *
 * deployment.h: a stack's files beside our own facts: which GPU and which model file
 * each engine means, what flags come to force, and how many KV blocks that leaves.
 */
#ifndef STACKSIM_CLI_HELM_DEPLOYMENT_H
#define STACKSIM_CLI_HELM_DEPLOYMENT_H

#include "base/opt.h"
#include "cli/helm/facts.h"
#include "sim/control/nodes.h"
#include "sim/engine_config.h"
#include "stack/nodes.h"
#include "stack/stack.h"

/* What the command line says about a stack's files. */
struct helm_args {
    const char *values;        /* the file; NULL = none given */
    struct opt_list resources; /* further files, of custom resources */
    const char *nodes;
    const char *compat; /* NULL = head */
    const char *release;
    const char *gpu;           /* of engines whose GPU nothing else tells */
    const char *model;         /* which modelSpec item is simulated */
    struct opt_list modelmaps; /* "URL=FILE" */
};

/* One engine, as far as it is known. */
struct helm_engine {
    struct stack_engine *from;
    char gpu_name[FACT_FILE_BYTES];   /* of configs/gpus; "" = unknown */
    char model_name[FACT_FILE_BYTES]; /* of configs/models; "" = unknown */
    struct gpu_spec gpu;
    struct model_spec model;
    bool known;                 /* both files were found and read */
    struct pod_request request; /* of a pod; with --nodes */
    struct pod_request head;    /* of its first pod: a Ray cluster's head */
    struct text placed;         /* on --nodes: "gpu-a: 2"; "" = nowhere, or no nodes */
    struct text flags;          /* the scenario's `engine` map, in braces */
    bool fits;
    struct engine_config config; /* valid when known */
    uint32_t kv_blocks;          /* valid when fits */
    struct err why;              /* of what does not fit */
};

struct helm {
    struct stack *stack;
    struct stack_nodes *nodes; /* NULL = not given */
    struct node_spec *specs;   /* of nodes, in their order */
    struct nodes *machines;    /* where `explain` places pods */
    struct helm_engine *engines;
    const char *config_dir;
};

/* Fails on files that make no deployment. What is only missing here (a GPU, a model
 * file) becomes a finding. */
NODISCARD bool helm_open(struct helm **out, const struct helm_args *args,
                         const char *config_dir, struct err *err);
void helm_close(struct helm *helm); /* NULL is legal */

/* The last value of one of the router's flags, or NULL. */
const char *helm_router_flag(const struct helm *helm, const char *name);
/* The scenario that the files come to, as YAML; trace NULL = a workload of ours. What
 * was assumed goes into the stack's findings. */
NODISCARD bool helm_scenario(struct helm *helm, const struct helm_args *args,
                             const char *trace, struct text *out, struct err *err);

#endif
