/* SPDX-License-Identifier: Apache-2.0
 *
 * test_links.c: flows that share links end when arithmetic says.
 */
#include "sim/links.h"
#include "tests/harness.h"

static const double gigabyte = 1e9;
static const int64_t ms = 1000000;

/* Nodes of 10 GB/s. */
static struct links *four_nodes(void)
{
    const double speed[] = {1e10, 1e10, 1e10, 1e10};
    return links_new(speed, 4);
}

static void a_flow_alone_takes_bytes_over_bandwidth(void)
{
    struct links *links = four_nodes();
    EXPECT_I64(links_next_ns(links), INT64_MAX);
    const uint32_t flow = links_add(links, 5 * ms, 0, 1, gigabyte);
    EXPECT_I64(links_next_ns(links), 105 * ms);
    EXPECT_U64(links_end(links), flow);
    EXPECT_U64(links_count(links), 0);
    EXPECT_I64(links_next_ns(links), INT64_MAX);
    links_delete(links);
}

/* Alone for 50 ms: 0.5 GB. Then two at 5 GB/s: the first has 0.5 GB left and ends at
 * 150 ms, when the second has moved 0.5 GB; its other 0.5 GB go at 10 GB/s. */
static void two_flows_share_a_link_and_the_second_speeds_up(void)
{
    struct links *links = four_nodes();
    const uint32_t first = links_add(links, 0, 0, 1, gigabyte);
    const uint32_t second = links_add(links, 50 * ms, 0, 2, gigabyte);
    EXPECT_I64(links_next_ns(links), 150 * ms);
    EXPECT_U64(links_end(links), first);
    EXPECT_I64(links_next_ns(links), 200 * ms);
    EXPECT_U64(links_end(links), second);
    links_delete(links);
}

/* Node 3 takes in 4 GB/s; node 0's other flow has the rest of its card, 6 GB/s. */
static void a_full_link_leaves_the_rest_to_others(void)
{
    const double speed[] = {1e10, 1e10, 1e10, 4e9};
    struct links *links = links_new(speed, 4);
    const uint32_t narrow = links_add(links, 0, 0, 3, gigabyte); /* 4 GB/s at most */
    const uint32_t wide = links_add(links, 0, 0, 1, gigabyte);   /* 6 GB/s */
    EXPECT_I64(links_next_ns(links), 166666667);
    EXPECT_U64(links_end(links), wide);
    EXPECT_I64(links_next_ns(links), 250 * ms);
    EXPECT_U64(links_end(links), narrow);
    links_delete(links);
}

static void both_directions_are_links_of_their_own(void)
{
    struct links *links = four_nodes();
    links_add(links, 0, 0, 1, gigabyte);
    links_add(links, 0, 1, 0, gigabyte);
    EXPECT_I64(links_next_ns(links), 100 * ms);
    links_end(links);
    EXPECT_I64(links_next_ns(links), 100 * ms);
    links_end(links);
    links_delete(links);
}

static void a_flow_that_goes_leaves_its_share(void)
{
    struct links *links = four_nodes();
    const uint32_t goes = links_add(links, 0, 0, 1, gigabyte);
    const uint32_t stays = links_add(links, 0, 2, 1, gigabyte);
    EXPECT_I64(links_next_ns(links), 200 * ms);
    links_remove(links, 100 * ms, goes); /* the other has 0.5 GB left */
    EXPECT_I64(links_next_ns(links), 150 * ms);
    EXPECT_U64(links_end(links), stays);
    EXPECT_U64(links_add(links, 150 * ms, 0, 1, 1), stays); /* its id is free again */
    links_delete(links);
}

static void equal_flows_end_in_order_of_their_starts(void)
{
    struct links *links = four_nodes();
    const uint32_t first = links_add(links, 0, 0, 1, gigabyte);
    const uint32_t second = links_add(links, 0, 0, 2, gigabyte);
    EXPECT_U64(links_end(links), first);
    EXPECT_I64(links_next_ns(links), 200 * ms);
    EXPECT_U64(links_end(links), second);
    links_delete(links);
}

HARNESS_MAIN("links", TEST(a_flow_alone_takes_bytes_over_bandwidth),
             TEST(two_flows_share_a_link_and_the_second_speeds_up),
             TEST(a_full_link_leaves_the_rest_to_others),
             TEST(both_directions_are_links_of_their_own),
             TEST(a_flow_that_goes_leaves_its_share),
             TEST(equal_flows_end_in_order_of_their_starts))
