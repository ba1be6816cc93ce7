/* SPDX-License-Identifier: Apache-2.0
 *
 * R32 of spec/policies.md 14.5: 200 prompts at once on one prefill engine, first come
 * first served against shortest first. Published: mean TTFT 7501 and 6116 ms, median
 * 6281 and 4816. The scenario's spread of lengths was taken from the ratio of the
 * means, so only the ratio of the medians is a prediction.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

static void shortest_first_gains_as_published(void)
{
    static const char file[] = "published/r32-shortest-prefill-first.yaml";
    static const struct published_arm arms[2] = {
        {.label = "fcfs"},
        {.label = "shortest first",
         .sets = {"cluster.pools.0.engine.scheduling_policy=shortest_prefill_first"}}};
    double mean_s[2];
    double median_s[2];
    for (int arm = 0; arm < 2; arm++) {
        struct published_run run;
        published_simulate(&run, file, &arms[arm]);
        mean_s[arm] = published_ttft_mean_s(&run, 0);
        median_s[arm] = published_ttft_part_s(&run, 0.5, 0);
        printf("%-16s TTFT mean %5.2f s, median %5.2f s\n", arms[arm].label,
               mean_s[arm], median_s[arm]);
        published_fini(&run);
    }
    EXPECT(published_near(mean_s[1] / mean_s[0], 6116.0 / 7501, 1.05));
    EXPECT(published_near(median_s[1] / median_s[0], 4816.0 / 6281, 1.1));
}

HARNESS_MAIN("published.r32", TEST(shortest_first_gains_as_published))
