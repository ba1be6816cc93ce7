/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cold_start.c: a start is the sum of its parts, and a probe sees it at its next
 * try.
 */
#include "sim/control/cold_start.h"
#include "tests/harness.h"

static const int64_t second = 1000000000;

/* 10 GB of image at 0.5 GB/s: 20 s. 16 GB of weights at 1 GB/s: 16 s, read at 4 GB/s:
 * 4 s. */
static const struct cold_start example = {
    .image_bytes = 10000000000,
    .image_bytes_per_s = 5e8,
    .init_ns = 3000000000,
    .boot_ns = 8000000000,
    .from = WEIGHTS_HUB,
    .weight_bytes = 16000000000,
    .download_bytes_per_s = 1e9,
    .read_bytes_per_s = 4e9,
    .capture_ns = 25000000000,
};

static void a_start_is_the_sum_of_its_parts(void)
{
    const struct cold_start_parts first =
        cold_start_parts(&example, (struct cold_start_has){false, false});
    EXPECT_I64(cold_start_sum(&first), (20 + 3 + 8 + 16 + 4 + 25) * second);
    const struct cold_start_parts cached =
        cold_start_parts(&example, (struct cold_start_has){true, true});
    EXPECT_I64(cold_start_sum(&cached), (3 + 8 + 4 + 25) * second);
    const struct cold_start_parts again = cold_start_restart(&example, false);
    EXPECT_I64(cold_start_sum(&again), (8 + 16 + 4 + 25) * second);
}

static void a_bandwidth_of_nothing_takes_no_time(void)
{
    const struct cold_start start = {.image_bytes = 1, .weight_bytes = 5};
    const struct cold_start_parts parts =
        cold_start_parts(&start, (struct cold_start_has){false, false});
    EXPECT_I64(cold_start_sum(&parts), 0);
}

/* First try at 15 s, then every 10 s, as the chart's startup probe. The 60th is at
 * 15 + 59 x 10 = 605 s. */
static void a_probe_sees_at_its_next_try(void)
{
    const struct probe probe = {15 * second, 10 * second, 60};
    EXPECT_I64(probe_seen_ns(&probe, 0), 15 * second);
    EXPECT_I64(probe_seen_ns(&probe, 15 * second), 15 * second);
    EXPECT_I64(probe_seen_ns(&probe, 15 * second + 1), 25 * second);
    EXPECT_I64(probe_seen_ns(&probe, 53 * second), 55 * second);
    EXPECT_I64(probe_limit_ns(&probe), 605 * second);
    const struct probe none = {0};
    EXPECT_I64(probe_seen_ns(&none, 7), 7);
    EXPECT_I64(probe_limit_ns(&none), INT64_MAX);
}

/* Tries at 15, 25, 35 ... Silent from 26 s on: 35, 45 and 55 s fail. */
static void a_probe_gives_up_after_its_failures(void)
{
    const struct probe probe = {15 * second, 10 * second, 3};
    EXPECT_I64(probe_down_ns(&probe, 26 * second), 55 * second);
}

static void back_off_doubles_up_to_five_minutes(void)
{
    const int64_t expected[] = {0, 10, 20, 40, 80, 160, 300, 300};
    for (uint32_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        EXPECT_I64(crash_backoff_ns(i), expected[i] * second);
    }
    EXPECT_I64(crash_backoff_ns(UINT32_MAX), 300 * second);
}

HARNESS_MAIN("unit.cold_start", TEST(a_start_is_the_sum_of_its_parts),
             TEST(a_bandwidth_of_nothing_takes_no_time),
             TEST(a_probe_sees_at_its_next_try),
             TEST(a_probe_gives_up_after_its_failures),
             TEST(back_off_doubles_up_to_five_minutes))
