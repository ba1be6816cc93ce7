/* SPDX-License-Identifier: Apache-2.0
 *
 * R32 of spec/policies.md 14.5: LMCache's shortest prefill first against first come,
 * first served. Published: mean TTFT 7501 and 6116 ms, median 6281 and 4816 ms. The
 * engine was not named, so what is compared is the gain.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

static const struct published_arm fcfs = {
    .label = "fcfs",
    .policy = "round_robin",
    .sets = {"cluster.pools.0.engine.scheduling_policy=fcfs"},
};
static const struct published_arm shortest = {
    .label = "shortest_prefill_first",
    .policy = "round_robin",
};

static void shortest_prefill_first_gains_as_published(void)
{
    struct published_run first;
    struct published_run short_first;
    published_simulate(&first, "published/r32-shortest-prefill.yaml", &fcfs);
    published_simulate(&short_first, "published/r32-shortest-prefill.yaml", &shortest);
    const double mean =
        published_ttft_mean_s(&short_first, 0) / published_ttft_mean_s(&first, 0);
    const double median = published_ttft_part_s(&short_first, 0.5, 0) /
                          published_ttft_part_s(&first, 0.5, 0);
    printf("TTFT of shortest_prefill_first over fcfs: mean %.3f (published %.3f), "
           "median %.3f (%.3f)\n",
           mean, 6116.0 / 7501, median, 4816.0 / 6281);
    EXPECT(mean < 1 && published_near(mean, 6116.0 / 7501, 1.5));
    EXPECT(median < 1 && published_near(median, 4816.0 / 6281, 1.5));
    EXPECT_U64(first.summary.completed, 200);
    /* The work is the same. */
    EXPECT(published_near((double)short_first.summary.end_ns,
                          (double)first.summary.end_ns, 1.01));
    published_fini(&first);
    published_fini(&short_first);
}

HARNESS_MAIN("published.r32", TEST(shortest_prefill_first_gains_as_published))
