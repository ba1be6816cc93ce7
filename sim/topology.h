/* SPDX-License-Identifier: Apache-2.0
 *
 * topology.h: where an engine's GPUs are, and what they take to talk: over the links of
 * one node, or over the network cards between nodes.
 *
 * Ranks are numbered as vLLM numbers them, tensor-parallel innermost, then pipeline
 * stages, then data-parallel ranks, and fill one node after the other. Inside a node
 * the GPU's own link and all-reduce tables hold (sim/facts.h), unless the node's file
 * has others. A collective over nodes is hierarchical: reduced inside every node,
 * exchanged over all cards at once, and spread inside again.
 */
#ifndef STACKSIM_SIM_TOPOLOGY_H
#define STACKSIM_SIM_TOPOLOGY_H

#include "sim/facts.h"

/* configs/nodes: a machine with GPUs. */
struct node_facts {
    char name[FACT_NAME_BYTES];
    uint32_t gpus;
    uint32_t nics;           /* cards that its GPUs share evenly */
    double nic_bytes_per_s;  /* of one card, per direction, data sheet */
    double nic_efficiency;   /* part of it that messages between GPUs reach */
    double nic_latency_s;    /* of one message between GPUs of two nodes */
    double link_bytes_per_s; /* inside, per GPU and direction; 0 = the GPU's own */
    double link_latency_s;   /* with it */
};

NODISCARD bool node_facts_load(struct node_facts *node, const char *path,
                               struct err *err);

/* The GPUs that one engine may use. */
struct gpu_placement {
    struct node_facts node;
    uint32_t nodes;
    uint32_t gpus_per_node; /* 0: one node without end, all over the GPU's own link */
};

/* Ranks next to each other. */
struct rank_group {
    const struct gpu_placement *placement; /* NULL: as gpus_per_node 0 */
    uint32_t first;
    uint32_t count;
};

uint32_t placement_node_of(const struct gpu_placement *placement, uint32_t rank);
/* Nodes that the group has ranks on. */
uint32_t rank_group_nodes(const struct rank_group *group);

/* Seconds until every rank has the sum of `bytes` on each. 0 for one rank. */
double topology_allreduce_s(const struct gpu_spec *gpu, const struct rank_group *group,
                            double bytes);
/* Until every rank has all of `bytes`, of which each had its part. */
double topology_allgather_s(const struct gpu_spec *gpu, const struct rank_group *group,
                            double bytes);
/* Until every rank has sent its `bytes` to the others, evenly. */
double topology_alltoall_s(const struct gpu_spec *gpu, const struct rank_group *group,
                           double bytes);
/* A tensor of `bytes` that every rank of `from` has, to every rank of `to`, as many:
 * each sends its part to its peer, and the receivers gather them (spec/vllm-engine.md
 * 4.1). */
double topology_send_s(const struct gpu_spec *gpu, const struct rank_group *from,
                       const struct rank_group *to, double bytes);

#endif
