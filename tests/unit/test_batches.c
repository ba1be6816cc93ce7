/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals of one run by batches: by hand, and how often they hold what they promise.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "stats/batches.h"
#include "stats/dist.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

/* Means 2, 4, 6, sd 2, t of 2 degrees of freedom 4.302653: 4 +- 4.302653 * 2 / sqrt(3).
 */
static void mean_by_hand(void)
{
    const int64_t values[] = {1, 3, 3, 5, 5, 7};
    const uint8_t batch[] = {0, 0, 1, 1, 2, 2};
    const struct batches series = {values, batch, 6, 3};
    const struct interval interval = batches_mean(&series, 0.95);
    EXPECT_NEAR(interval.low, 4 - 4.968275, 1e-5);
    EXPECT_NEAR(interval.high, 4 + 4.968275, 1e-5);
}

/* One quantile alone. */
static struct interval quantile(const struct batches *series, const int64_t *sorted,
                                double part, double level)
{
    const struct batches_parts wanted = {&part, 1, level};
    struct interval found;
    batches_quantiles(series, sorted, &wanted, &found);
    return found;
}

/* Two batches of ten: at the median, 10.5, 6 and 4 values lie below: 0.6 and 0.4, sd
 * 0.1414; level 0.5: t of one degree of freedom is 1, so half of the width is 0.1. The
 * 40 % and 60 % quantiles of 1..20 (type 7) are 8.6 and 12.4. */
static void quantile_by_hand(void)
{
    int64_t values[20];
    int64_t sorted[20];
    uint8_t batch[20];
    for (int i = 0; i < 20; i++) {
        values[i] = sorted[i] = i + 1;
        batch[i] = i == 0 || i == 1 || i == 2 || i == 3 || i == 4 || i == 5 ? 0 : 1;
    }
    batch[16] = batch[17] = batch[18] = batch[19] = 0;
    const struct batches series = {values, batch, 20, 2};
    const struct interval interval = quantile(&series, sorted, 0.5, 0.5);
    EXPECT_NEAR(interval.low, 8.6, 1e-9);
    EXPECT_NEAR(interval.high, 12.4, 1e-9);
    harness_note("a quantile at the edge of what was seen");
    EXPECT(isnan(quantile(&series, sorted, 0.99, 0.95).low));
}

static void neighbours_share_a_batch(void)
{
    enum { COUNT = 10000, BATCHES = 20 };
    int64_t *position = mem_alloc(COUNT, sizeof *position);
    uint8_t *batch = mem_alloc(COUNT, sizeof *batch);
    size_t sizes[BATCHES] = {0};
    struct rng rng;
    rng_init(&rng, 1, "test_batches", 0);
    for (size_t i = 0; i < COUNT; i++) {
        position[i] = INT64_C(-1000000000000) + (int64_t)rng_below(&rng, 1U << 31);
    }
    batches_assign(position, COUNT, BATCHES, batch);
    for (size_t i = 0; i < COUNT; i++) {
        sizes[batch[i]]++;
        for (size_t k = 0; k < 50; k++) { /* a later position never comes before */
            EXPECT(position[i] <= position[k] || batch[i] >= batch[k]);
        }
    }
    for (size_t i = 0; i < BATCHES; i++) {
        harness_note("batch %zu", i);
        EXPECT(sizes[i] >= 490 && sizes[i] <= 510);
    }
    harness_note("a single moment cannot be parted");
    memset(position, 0, COUNT * sizeof *position);
    batches_assign(position, COUNT, BATCHES, batch);
    const struct batches series = {position, batch, COUNT, BATCHES};
    EXPECT(isnan(batches_mean(&series, 0.95).low));
    batches_assign(position, 0, BATCHES, batch);
    const struct batches none = {position, batch, 0, BATCHES};
    EXPECT(isnan(batches_mean(&none, 0.95).low));
    EXPECT(isnan(quantile(&none, position, 0.5, 0.95).low));
    mem_free(position);
    mem_free(batch);
}

/* 1,000 series of 4,000 values, correlated over some 5 neighbours (a Gaussian of sd
 * 1 / sqrt(1 - 0.8^2) = 5/3 around 50): 95 % +- 1.4 % at two standard deviations. p99
 * is known from few values in each batch and is reported. */
static void intervals_hold_the_truth_as_often_as_they_say(void)
{
    enum { EXPERIMENTS = 1000, SERIES = 4000, BATCHES = 20 };
    const double unit = 1e6;
    const double p99 = 50 + 2.3263478740 * 5 / 3;
    int64_t *values = mem_alloc(SERIES, sizeof *values);
    int64_t *sorted = mem_alloc(SERIES, sizeof *sorted);
    uint8_t *batch = mem_alloc(SERIES, sizeof *batch);
    size_t hits[3] = {0};
    struct rng rng;
    rng_init(&rng, 7, "test_batches", 1);
    for (int i = 0; i < EXPERIMENTS; i++) {
        double state = 5.0 / 3 * dist_draw_normal(&rng);
        for (size_t k = 0; k < SERIES; k++) {
            state = 0.8 * state + dist_draw_normal(&rng);
            values[k] = sorted[k] = (int64_t)llround((50 + state) * unit);
            batch[k] = (uint8_t)(k * BATCHES / SERIES);
        }
        quantile_sort(sorted, SERIES);
        const struct batches series = {values, batch, SERIES, BATCHES};
        const struct interval found[3] = {
            batches_mean(&series, 0.95),
            quantile(&series, sorted, 0.5, 0.95),
            quantile(&series, sorted, 0.99, 0.95),
        };
        const double truth[3] = {50 * unit, 50 * unit, p99 * unit};
        for (int m = 0; m < 3; m++) {
            hits[m] += found[m].low <= truth[m] && found[m].high >= truth[m];
        }
    }
    mem_free(values);
    mem_free(sorted);
    mem_free(batch);
    printf("coverage of 95 %% intervals by batches over %d experiments: mean %.1f %%, "
           "p50 %.1f %%, p99 %.1f %%\n",
           EXPERIMENTS, (double)hits[0] / 10, (double)hits[1] / 10,
           (double)hits[2] / 10);
    EXPECT(hits[0] >= 930 && hits[0] <= 970);
    EXPECT(hits[1] >= 930 && hits[1] <= 970);
    EXPECT(hits[2] >= 850);
}

HARNESS_MAIN("unit.batches", TEST(mean_by_hand), TEST(quantile_by_hand),
             TEST(neighbours_share_a_batch),
             TEST(intervals_hold_the_truth_as_often_as_they_say))
