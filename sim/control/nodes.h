/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.h: machines with their free GPUs, CPUs and memory, and which of them a pod may
 * have.
 *
 * The default scheduler: filter by what is left, taints, node selector terms, volumes;
 * then the least allocated node (mean of free CPU and memory ratios), the first of
 * equals. A pod that names its node passes the scheduler by: the kubelet admits it or
 * fails it (spec/production-stack.md 7.3, `nodeName`).
 */
#ifndef STACKSIM_SIM_CONTROL_NODES_H
#define STACKSIM_SIM_CONTROL_NODES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    NODES_MAX = 1024,
    NODE_LABELS_MAX = 16,
    NODE_TAINTS_MAX = 8,
    NODE_NAME_BYTES = 64,
    NODE_TERMS_MAX = 8, /* selector terms of a pod, and expressions of a term */
    NODE_VALUES_MAX = 8,
};
#define NODE_NONE UINT32_MAX

/* A label, or a taint; value may be "". Strings are borrowed for the nodes' life. */
struct node_label {
    const char *key;
    const char *value;
};

struct node_spec {
    const char *name; /* unique */
    const char *gpu;  /* resource: "nvidia.com/gpu", or a type of its own */
    uint32_t gpus;
    uint32_t cpu_millis; /* thousandths of a CPU */
    uint64_t memory_bytes;
    uint32_t label_count;
    struct node_label labels[NODE_LABELS_MAX];
    uint32_t taint_count;
    struct node_label taints[NODE_TAINTS_MAX]; /* all of effect NoSchedule */
};

/* As in `matchExpressions`; Gt and Lt compare whole numbers with the first value. */
enum match_operator {
    MATCH_IN,
    MATCH_NOT_IN,
    MATCH_EXISTS,
    MATCH_DOES_NOT_EXIST,
    MATCH_GT,
    MATCH_LT,
};
/* "In" ... "Lt", and NULL behind them. */
extern const char *const match_operator_names[];
struct match_expression {
    const char *key;
    enum match_operator how;
    uint32_t value_count;
    const char *values[NODE_VALUES_MAX];
};
struct selector_term { /* all expressions hold */
    uint32_t expression_count;
    struct match_expression expressions[NODE_TERMS_MAX];
};

/* What a pod asks for. */
struct pod_request {
    const char *gpu;
    uint32_t gpus;
    uint32_t cpu_millis;
    uint64_t memory_bytes;
    const char *node_name; /* NULL = the scheduler chooses */
    uint32_t term_count;   /* one of them has to hold; 0 = any node */
    struct selector_term terms[NODE_TERMS_MAX];
    uint32_t toleration_count; /* key "" tolerates everything, value "" any value */
    struct node_label tolerations[NODE_TAINTS_MAX];
    uint32_t bound_node; /* a ReadWriteOnce volume is attached there; NODE_NONE */
};

struct nodes;
struct nodes *nodes_new(const struct node_spec *specs, uint32_t count);
void nodes_delete(struct nodes *nodes);
uint32_t nodes_count(const struct nodes *nodes);
const char *nodes_name(const struct nodes *nodes, uint32_t node);
uint32_t nodes_find(const struct nodes *nodes, const char *name); /* or NODE_NONE */
uint32_t nodes_free_gpus(const struct nodes *nodes, uint32_t node);
/* By name or selector alone: what is free there and its taints are not asked. */
bool nodes_selects(const struct nodes *nodes, uint32_t node,
                   const struct pod_request *request);

/* Whom a pod found, or why it found nobody. */
enum place_verdict {
    PLACE_BOUND,        /* taken: nodes_give returns it */
    PLACE_PENDING,      /* nobody fits now */
    PLACE_FAILED,       /* its own node does not admit it: it stays failed */
    PLACE_UNKNOWN_NODE, /* it names a node that is not there: it stays pending */
    PLACE_VOLUME,       /* scheduled beside its ReadWriteOnce volume: never starts */
};
struct pod_placement {
    enum place_verdict verdict;
    uint32_t node;
    char message[256];  /* as `kubectl get events` says it; "" when bound */
    const char *reason; /* FailedScheduling, OutOfcpu, UnexpectedAdmissionError ... */
};
struct pod_placement nodes_place(struct nodes *nodes,
                                 const struct pod_request *request);
void nodes_give(struct nodes *nodes, uint32_t node, const struct pod_request *request);

/* Cordoned or lost: nothing new is bound there. */
void nodes_set_schedulable(struct nodes *nodes, uint32_t node, bool schedulable);
/* What was pulled and downloaded stays on the machine. A bit per pool. */
bool nodes_has(const struct nodes *nodes, uint32_t node, uint32_t pool, bool image);
void nodes_note(struct nodes *nodes, uint32_t node, uint32_t pool, bool image);

#endif
