/* SPDX-License-Identifier: Apache-2.0
 *
 * topology.c: latency and bytes over bandwidth, per level of the hierarchy.
 *
 * Between nodes all ranks of a group send at once and share the cards of their node.
 * Small messages cost latencies, one per hop of a ring over nodes; measured all-reduces
 * over two nodes of one GPU each start at 43 us where one message takes 24 us
 * (profiles/vidur/net.a100_dgx), which is what two hops make.
 */
#include "sim/topology.h"

#include "base/conf.h"
#include "sim/times/gpu_times.h"

#include <math.h>
#include <stdio.h>

/* ---- files ---- */

static bool rate_read(const struct conf_node *map, const char *key, double *out,
                      struct err *err)
{
    uint64_t bytes = 0;
    if (!conf_bytes(map, key, &bytes, err)) {
        return false;
    }
    if (conf_get(map, key) != NULL && (bytes < 1000000 || bytes > UINT64_C(1) << 50)) {
        return conf_fail(conf_get(map, key), err,
                         "%s: bytes in a second, 1MB to 1PB; is the unit right?", key);
    }
    *out = (double)bytes;
    return true;
}

static bool latency_read(const struct conf_node *map, const char *key, double *out,
                         struct err *err)
{
    int64_t ns = 0;
    if (!conf_duration_ns(map, key, &ns, err)) {
        return false;
    }
    if (ns > INT64_C(1000000000)) {
        return conf_fail(conf_get(map, key), err, "%s: at most a second", key);
    }
    *out = (double)ns / 1e9;
    return true;
}

static bool node_read(const struct conf_node *map, struct node_facts *node,
                      struct err *err)
{
    const char *name = NULL;
    node->nics = 1;
    node->nic_efficiency = 1.0;
    if (!conf_require(map, "name", err) || !conf_str(map, "name", &name, err) ||
        !conf_require(map, "gpus", err) ||
        !conf_u32(map, "gpus", &node->gpus, 1, 1024, err) ||
        !conf_u32(map, "nics", &node->nics, 1, 1024, err) ||
        !conf_require(map, "nic_bytes_per_s", err) ||
        !rate_read(map, "nic_bytes_per_s", &node->nic_bytes_per_s, err) ||
        !conf_f64(map, "nic_efficiency", &node->nic_efficiency, 0.01, 1.0, err) ||
        !conf_require(map, "nic_latency", err) ||
        !latency_read(map, "nic_latency", &node->nic_latency_s, err) ||
        !rate_read(map, "link_bytes_per_s", &node->link_bytes_per_s, err) ||
        !latency_read(map, "link_latency", &node->link_latency_s, err)) {
        return false;
    }
    const int length = snprintf(node->name, FACT_NAME_BYTES, "%s", name);
    if (length <= 0 || length >= FACT_NAME_BYTES) {
        return conf_fail(conf_get(map, "name"), err, "name: 1 to %d characters",
                         FACT_NAME_BYTES - 1);
    }
    if ((conf_get(map, "link_bytes_per_s") == NULL) !=
        (conf_get(map, "link_latency") == NULL)) {
        return conf_fail(map, err,
                         "link_bytes_per_s and link_latency go together; without both "
                         "the GPU's own hold");
    }
    return true;
}

bool node_facts_load(struct node_facts *node, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    *node = (struct node_facts){0};
    const struct conf_node *map = conf_root(conf);
    const bool ok =
        fact_sources_read(map, err) && node_read(map, node, err) && conf_done(map, err);
    conf_delete(conf);
    return ok;
}

/* ---- places ---- */

uint32_t placement_node_of(const struct gpu_placement *placement, uint32_t rank)
{
    return placement == NULL || placement->gpus_per_node == 0
               ? 0
               : rank / placement->gpus_per_node;
}

uint32_t rank_group_nodes(const struct rank_group *group)
{
    return placement_node_of(group->placement, group->first + group->count - 1) -
           placement_node_of(group->placement, group->first) + 1;
}

/* On the node that has the fewest of a group's ranks, and so the fewest cards. */
static uint32_t fewest_ranks(const struct rank_group *group)
{
    const uint32_t nodes = rank_group_nodes(group);
    if (nodes == 1) {
        return group->count;
    }
    const uint32_t size = group->placement->gpus_per_node;
    const uint32_t head = size - group->first % size;
    const uint32_t tail = (group->first + group->count - 1) % size + 1;
    return head < tail ? head : tail;
}

/* The GPU as the node joins it with others. */
static struct gpu_spec inside(const struct gpu_spec *gpu,
                              const struct rank_group *group)
{
    struct gpu_spec joined = *gpu;
    const struct gpu_placement *placement = group->placement;
    if (placement != NULL && placement->gpus_per_node > 0 &&
        placement->node.link_bytes_per_s > 0) {
        joined.link_bytes_per_s = placement->node.link_bytes_per_s;
        joined.link_latency_s = placement->node.link_latency_s;
        joined.allreduce_count = 0; /* measured over other links */
    }
    return joined;
}

/* What `ranks` of one node can send to others together, bytes/s. */
static double cards_bytes_per_s(const struct node_facts *node, uint32_t ranks)
{
    const uint32_t cards = ranks < node->nics ? ranks : node->nics;
    return cards * node->nic_bytes_per_s * node->nic_efficiency;
}

/* ---- collectives ---- */

double topology_allreduce_s(const struct gpu_spec *gpu, const struct rank_group *group,
                            double bytes)
{
    if (group->count == 1) {
        return 0.0;
    }
    const struct gpu_spec joined = inside(gpu, group);
    const double nodes = rank_group_nodes(group);
    if (nodes == 1.0) {
        return gpu_allreduce_s(&joined, group->count, bytes);
    }
    const struct node_facts *node = &group->placement->node;
    const uint32_t here = fewest_ranks(group);
    const double inside_s = here > 1 ? gpu_allreduce_s(&joined, here, bytes) : 0.0;
    return inside_s + 2.0 * (nodes - 1.0) * node->nic_latency_s +
           2.0 * (nodes - 1.0) / nodes * bytes / cards_bytes_per_s(node, here);
}

double topology_allgather_s(const struct gpu_spec *gpu, const struct rank_group *group,
                            double bytes)
{
    if (group->count == 1) {
        return 0.0;
    }
    const struct gpu_spec joined = inside(gpu, group);
    const double nodes = rank_group_nodes(group);
    const uint32_t here = fewest_ranks(group);
    const double n = nodes == 1.0 ? group->count : here;
    const double inside_s =
        joined.link_latency_s + bytes * (n - 1.0) / n / joined.link_bytes_per_s;
    if (nodes == 1.0) {
        return inside_s;
    }
    const struct node_facts *node = &group->placement->node;
    return (here > 1 ? inside_s : 0.0) + (nodes - 1.0) * node->nic_latency_s +
           (nodes - 1.0) / nodes * bytes / cards_bytes_per_s(node, here);
}

double topology_alltoall_s(const struct gpu_spec *gpu, const struct rank_group *group,
                           double bytes)
{
    if (group->count == 1) {
        return 0.0;
    }
    const struct gpu_spec joined = inside(gpu, group);
    const double n = group->count;
    const double nodes = rank_group_nodes(group);
    const uint32_t here = fewest_ranks(group);
    const double inside_s =
        joined.link_latency_s + bytes * (here - 1.0) / n / joined.link_bytes_per_s;
    if (nodes == 1.0) {
        return inside_s;
    }
    const struct node_facts *node = &group->placement->node;
    const double outside_s = node->nic_latency_s + bytes * here * (n - here) / n /
                                                       cards_bytes_per_s(node, here);
    return fmax(inside_s, outside_s);
}

double topology_send_s(const struct gpu_spec *gpu, const struct rank_group *from,
                       const struct rank_group *to, double bytes)
{
    const struct gpu_spec joined = inside(gpu, from);
    const double part = bytes / from->count;
    double latency_s = joined.link_latency_s;
    double bytes_s = part / joined.link_bytes_per_s;
    uint32_t crossing = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        crossing += placement_node_of(from->placement, from->first + i) !=
                            placement_node_of(to->placement, to->first + i)
                        ? 1
                        : 0;
    }
    if (crossing > 0) {
        const struct node_facts *node = &from->placement->node;
        latency_s = fmax(latency_s, node->nic_latency_s);
        bytes_s = fmax(bytes_s, part * crossing / cards_bytes_per_s(node, crossing));
    }
    return latency_s + bytes_s + topology_allgather_s(gpu, to, bytes);
}
