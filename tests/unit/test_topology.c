/* SPDX-License-Identifier: Apache-2.0
 *
 * test_topology.c: collectives over nodes by hand, and against what Vidur's authors
 * measured (shared/profiles/vidur, medians of net.*.send_recv and net.*.all_reduce).
 */
#include "sim/topology.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

/* 100 GB/s and 10 us inside; two cards of 20 GB/s, half of it reached, 20 us. */
static const struct gpu_spec gpu = {.link_bytes_per_s = 1e11, .link_latency_s = 1e-5};
static const struct gpu_placement placement = {
    .node = {.gpus = 4,
             .nics = 2,
             .nic_bytes_per_s = 2e10,
             .nic_efficiency = 0.5,
             .nic_latency_s = 2e-5},
    .nodes = 4,
    .gpus_per_node = 4,
};

static struct rank_group ranks(uint32_t first, uint32_t count)
{
    return (struct rank_group){&placement, first, count};
}

static void ranks_fill_nodes_one_after_the_other(void)
{
    static const struct {
        uint32_t first, count, nodes;
    } rows[] = {{0, 1, 1}, {0, 4, 1}, {4, 4, 1}, {2, 4, 2},
                {0, 5, 2}, {3, 2, 2}, {0, 16, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct rank_group group = ranks(rows[i].first, rows[i].count);
        EXPECT_U64(rank_group_nodes(&group), rows[i].nodes);
    }
    const struct rank_group anywhere = {NULL, 7, 900};
    EXPECT_U64(rank_group_nodes(&anywhere), 1);
}

/* 1 MB. Four on one node: 10 us + 2 x 3/4 x 1 MB / 100 GB/s = 25 us. Eight on two:
 * that, and 2 x 20 us, and 2 x 1/2 x 1 MB over two cards of 10 GB/s = 50 us. One on
 * each of two nodes: no first part, and one card: 40 + 100 us. */
static void a_sum_goes_through_the_cards_once(void)
{
    const struct rank_group alone = ranks(0, 1);
    const struct rank_group four = ranks(0, 4);
    const struct rank_group eight = ranks(0, 8);
    const struct rank_group apart = ranks(3, 2);
    EXPECT_NEAR(topology_allreduce_s(&gpu, &alone, 1e6), 0, 0);
    EXPECT_CLOSE(topology_allreduce_s(&gpu, &four, 1e6), 25e-6, 1e-9);
    EXPECT_CLOSE(topology_allreduce_s(&gpu, &eight, 1e6), 115e-6, 1e-9);
    EXPECT_CLOSE(topology_allreduce_s(&gpu, &apart, 1e6), 140e-6, 1e-9);
}

/* 1 MB in all. Four on one node: 10 us + 3/4 MB / 100 GB/s = 17.5 us. Eight on two:
 * that, one latency of 20 us, and half of it over 20 GB/s = 25 us. */
static void parts_are_gathered(void)
{
    const struct rank_group alone = ranks(0, 1);
    const struct rank_group four = ranks(0, 4);
    const struct rank_group eight = ranks(0, 8);
    EXPECT_NEAR(topology_allgather_s(&gpu, &alone, 1e6), 0, 0);
    EXPECT_CLOSE(topology_allgather_s(&gpu, &four, 1e6), 17.5e-6, 1e-9);
    EXPECT_CLOSE(topology_allgather_s(&gpu, &eight, 1e6), 62.5e-6, 1e-9);
}

/* 1 MB between stages. One GPU to the next: 10 + 10 us. Four to four on another node: a
 * quarter each, all over two cards of 10 GB/s: 20 us + 50 us, and 17.5 us to gather. */
static void a_stage_sends_in_parts(void)
{
    const struct rank_group first = ranks(0, 1);
    const struct rank_group second = ranks(1, 1);
    const struct rank_group four = ranks(0, 4);
    const struct rank_group others = ranks(4, 4);
    EXPECT_CLOSE(topology_send_s(&gpu, &first, &second, 1e6), 20e-6, 1e-9);
    EXPECT_CLOSE(topology_send_s(&gpu, &four, &others, 1e6), 87.5e-6, 1e-9);
}

/* A node with links of its own: the GPU's table of sums holds no more. */
static void a_node_may_have_other_links(void)
{
    struct gpu_placement slow = placement;
    slow.node.link_bytes_per_s = 1e10;
    slow.node.link_latency_s = 5e-5;
    const struct rank_group four = {&slow, 0, 4};
    EXPECT_CLOSE(topology_allreduce_s(&gpu, &four, 1e6), 200e-6, 1e-9);
}

struct measured {
    const char *node;
    uint32_t per_node;
    double bytes;
    double us;
    double within; /* of the measurement */
};

static double predicted_s(const struct measured *row, bool sums)
{
    struct gpu_placement place = {.nodes = 2, .gpus_per_node = row->per_node};
    struct gpu_spec spec = {0};
    struct err err = {0};
    char path[128];
    const bool a100 = strstr(row->node, "a100") != NULL;
    snprintf(path, sizeof path, "configs/nodes/%s.yaml", row->node);
    REQUIRE_OK(node_facts_load(&place.node, harness_source(path), &err), &err);
    snprintf(path, sizeof path, "configs/gpus/%s.yaml",
             a100 ? "a100_80_sxm" : "h100_sxm");
    REQUIRE_OK(gpu_spec_load(&spec, harness_source(path), &err), &err);
    const struct rank_group from = {&place, 0, row->per_node};
    const struct rank_group to = {&place, row->per_node, row->per_node};
    const struct rank_group all = {&place, 0, 2 * row->per_node};
    return sums ? topology_allreduce_s(&spec, &all, row->bytes)
                : topology_send_s(&spec, &from, &to, row->bytes);
}

static void sends_take_what_was_measured(void)
{
    static const struct measured rows[] = {
        {"hgx_h100", 1, 2048, 17, 0.02},
        {"hgx_h100", 1, 1048576, 54, 0.2},
        {"hgx_h100", 1, 4194304, 129, 0.05},
        {"hgx_h100", 1, 8388608, 246, 0.05},
        {"hgx_h100", 1, 33554432, 952, 0.02},
        {"dgx_a100_slow_net", 1, 2048, 24, 0.02},
        {"dgx_a100_slow_net", 1, 1048576, 166, 0.06},
        {"dgx_a100_slow_net", 1, 33554432, 4364, 0.02},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        EXPECT_CLOSE(predicted_s(&rows[i], false), rows[i].us / 1e6, rows[i].within);
    }
}

/* Sums were measured on the slow network alone, where more GPUs of a node did bring
 * more, though not evenly: 5.8, 8.6, 2.9 and 3.7 ms for 32 MiB with one, two, four and
 * eight of them. One card is between: such sums are within a factor of 1.7. */
static void sums_are_near_what_was_measured(void)
{
    static const struct measured rows[] = {
        {"dgx_a100_slow_net", 1, 2048, 43, 0.15},
        {"dgx_a100_slow_net", 1, 1048576, 253, 0.3},
        {"dgx_a100_slow_net", 1, 33554432, 5751, 0.3},
        {"dgx_a100_slow_net", 2, 33554432, 8571, 0.5},
        {"dgx_a100_slow_net", 4, 33554432, 2853, 0.7},
        {"dgx_a100_slow_net", 8, 1048576, 464, 0.6},
        {"dgx_a100_slow_net", 8, 33554432, 3675, 0.3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        EXPECT_CLOSE(predicted_s(&rows[i], true), rows[i].us / 1e6, rows[i].within);
    }
}

static void mistakes_in_a_node_are_told(void)
{
    static const struct {
        const char *text;
        const char *part;
    } rows[] = {
        {"{gpus: 8, nic_bytes_per_s: 50GB, nic_latency: 1us}", "name"},
        {"{name: n, gpus: 0, nic_bytes_per_s: 50GB, nic_latency: 1us}", "gpus"},
        {"{name: n, gpus: 8, nic_latency: 1us}", "nic_bytes_per_s"},
        {"{name: n, gpus: 8, nic_bytes_per_s: 50KB, nic_latency: 1us}",
         "nic_bytes_per_s: bytes in a second, 1MB to 1PB; is the unit right?"},
        {"{name: n, gpus: 8, nic_bytes_per_s: 50GB, nic_latency: 2s}",
         "nic_latency: at most a second"},
        {"{name: n, gpus: 8, nic_bytes_per_s: 50GB, nic_latency: 1us, nic_efficiency: "
         "2}",
         "nic_efficiency"},
        {"{name: n, gpus: 8, nic_bytes_per_s: 50GB, nic_latency: 1us, link_latency: "
         "1us}",
         "link_bytes_per_s and link_latency go together"},
        {"{name: n, gpus: 8, nic_bytes_per_s: 50GB, nic_latency: 1us, nvlink: 9}",
         "nvlink: unknown key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_facts node;
        struct err err = {0};
        const char *path =
            harness_temp_file("node.yaml", rows[i].text, strlen(rows[i].text));
        EXPECT_FAILS(node_facts_load(&node, path, &err), &err, rows[i].part);
    }
}

static void every_node_of_ours_is_read(void)
{
    static const char *const names[] = {"dgx_a100_slow_net", "hgx_a100", "hgx_b200",
                                        "hgx_h100",          "hgx_h200", "pcie_l40s"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct node_facts node;
        struct err err = {0};
        char path[128];
        snprintf(path, sizeof path, "configs/nodes/%s.yaml", names[i]);
        EXPECT_OK(node_facts_load(&node, harness_source(path), &err), &err);
        EXPECT_U64(node.gpus, 8);
    }
}

HARNESS_MAIN("topology", TEST(ranks_fill_nodes_one_after_the_other),
             TEST(a_sum_goes_through_the_cards_once), TEST(parts_are_gathered),
             TEST(a_stage_sends_in_parts), TEST(a_node_may_have_other_links),
             TEST(sends_take_what_was_measured), TEST(sums_are_near_what_was_measured),
             TEST(every_node_of_ours_is_read), TEST(mistakes_in_a_node_are_told))
