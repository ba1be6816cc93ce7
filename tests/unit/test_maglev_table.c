/* SPDX-License-Identifier: Apache-2.0
 *
 * The lookup table of Maglev: the paper's example, equal shares, primes.
 */
#include "base/rng.h"
#include "policies/maglev_table.h"
#include "tests/harness.h"

/* NSDI'16, table 1: permutations 3 0 4 1 5 2 6, 0 2 4 6 1 3 5 and 3 4 5 6 0 1 2 of
 * seven slots; all three backends, then without B1. */
static void table_is_that_of_the_paper(void)
{
    const struct maglev_node all[] = {{3, 4}, {0, 2}, {3, 1}};
    const struct maglev_node without_second[] = {{3, 4}, {3, 1}};
    const uint32_t expected[] = {1, 0, 1, 0, 2, 2, 0};
    const uint32_t expected_without[] = {0, 0, 0, 0, 1, 1, 1};
    uint32_t slots[7];
    uint32_t next[3];
    maglev_fill(slots, 7, all, 3, next);
    EXPECT_BYTES(slots, expected, sizeof slots);
    maglev_fill(slots, 7, without_second, 2, next);
    EXPECT_BYTES(slots, expected_without, sizeof slots);
}

static void every_node_gets_its_share_of_slots(void)
{
    enum { SLOTS = 1009, NODES_MAX = 1009 };
    static uint32_t slots[SLOTS];
    static uint32_t next[NODES_MAX];
    static struct maglev_node nodes[NODES_MAX];
    const uint32_t counts[] = {1, 2, 10, 504, 505, 1008, 1009};
    struct rng rng;
    rng_init(&rng, 4, "test_maglev_table", 0);
    for (int i = 0; i < NODES_MAX; i++) {
        nodes[i].offset = (uint32_t)rng_below(&rng, SLOTS);
        nodes[i].skip = 1 + (uint32_t)rng_below(&rng, SLOTS - 1);
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint32_t got[NODES_MAX] = {0};
        harness_note("%u nodes", counts[i]);
        maglev_fill(slots, SLOTS, nodes, counts[i], next);
        for (int slot = 0; slot < SLOTS; slot++) {
            REQUIRE(slots[slot] < counts[i]);
            got[slots[slot]]++;
        }
        for (uint32_t node = 0; node < counts[i]; node++) {
            EXPECT(got[node] == SLOTS / counts[i] ||
                   got[node] == SLOTS / counts[i] + 1);
        }
    }
}

static void sizes_are_primes(void)
{
    EXPECT_U64(maglev_prime(0), 2);
    EXPECT_U64(maglev_prime(7), 7);
    EXPECT_U64(maglev_prime(8), 11);
    EXPECT_U64(maglev_prime(65536), 65537);
    EXPECT_U64(maglev_prime(65537), 65537);
    EXPECT_U64(maglev_prime(655360), 655373); /* the paper's large table */
}

HARNESS_MAIN("maglev_table", TEST(table_is_that_of_the_paper),
             TEST(every_node_gets_its_share_of_slots), TEST(sizes_are_primes))
