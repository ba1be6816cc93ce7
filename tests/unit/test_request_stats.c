/* SPDX-License-Identifier: Apache-2.0
 *
 * The window of the stack's router, rule by rule (spec/production-stack.md 3.1).
 */
#include "policies/request_stats.h"
#include "tests/harness.h"

static const int64_t second = INT64_C(1000000000);

static struct request_stats *make(bool leaks)
{
    return request_stats_new(&(struct request_stats_setup){
        .window_ns = INT64_C(60000000000), .endpoints_max = 4, .leaks = leaks});
}

static void nobody_is_known_before_its_first_request(void)
{
    struct request_stats *stats = make(false);
    EXPECT(!request_stats_known(stats, 2));
    request_stats_sent(stats, 0, 1, 2);
    EXPECT(request_stats_known(stats, 2));
    EXPECT(!request_stats_known(stats, 1));
    /* For ever, also when the window is empty. */
    EXPECT_U64(request_stats_arrivals(stats, 1000 * second, 2), 0);
    EXPECT(request_stats_known(stats, 2));
    request_stats_forget(stats, 2);
    EXPECT(!request_stats_known(stats, 2));
    request_stats_delete(stats);
}

static void an_arrival_exactly_one_window_old_still_counts(void)
{
    struct request_stats *stats = make(false);
    request_stats_sent(stats, 0, 1, 0);
    request_stats_sent(stats, 10 * second, 2, 0);
    EXPECT_U64(request_stats_arrivals(stats, 60 * second, 0), 2);
    EXPECT_U64(request_stats_arrivals(stats, 60 * second + 1, 0), 1);
    EXPECT_U64(request_stats_arrivals(stats, 71 * second, 0), 0);
    request_stats_delete(stats);
}

static void rate_divides_by_the_whole_window_from_the_start(void)
{
    struct request_stats *stats = make(false);
    struct request_stats_row row;
    for (uint64_t i = 0; i < 6; i++) {
        request_stats_sent(stats, (int64_t)i, i, 0);
    }
    request_stats_read(stats, 5 * second, 0, &row);
    EXPECT_NEAR(row.qps, 0.1, 1e-12);
    request_stats_delete(stats);
}

static void nothing_to_average_is_minus_one(void)
{
    struct request_stats *stats = make(false);
    struct request_stats_row row;
    request_stats_read(stats, 0, 0, &row);
    EXPECT_NEAR(row.ttft_ns_mean, -1, 0);
    EXPECT_NEAR(row.latency_ns_mean, -1, 0);
    EXPECT_NEAR(row.qps, 0, 0);
    request_stats_delete(stats);
}

static void a_request_goes_from_prefill_to_decode_to_finished(void)
{
    struct request_stats *stats = make(true);
    struct request_stats_row row;
    request_stats_sent(stats, 0, 1, 0);
    request_stats_sent(stats, 1 * second, 2, 0);
    request_stats_first_chunk(stats, 3 * second, 1, 0);
    request_stats_first_chunk(stats, 3 * second, 99, 0); /* unknown: ignored */
    request_stats_read(stats, 3 * second, 0, &row);
    EXPECT_U64(row.in_prefill, 1);
    EXPECT_U64(row.in_decode, 1);
    EXPECT_NEAR(row.ttft_ns_mean, 3e9, 0);
    request_stats_first_chunk(stats, 4 * second, 2, 0);
    request_stats_ended(stats, 7 * second, 1, 0, true);
    request_stats_read(stats, 7 * second, 0, &row);
    EXPECT_NEAR(row.ttft_ns_mean, 3e9, 0);
    EXPECT_NEAR(row.latency_ns_mean, 7e9, 0);
    EXPECT_U64(row.in_prefill, 0);
    EXPECT_U64(row.in_decode, 1);
    EXPECT_U64(row.finished, 1);
    request_stats_delete(stats);
}

static void same_request_on_two_endpoints_is_two_requests(void)
{
    struct request_stats *stats = make(false);
    struct request_stats_row row;
    request_stats_sent(stats, 0, 1, 0);
    request_stats_sent(stats, second, 1, 1);
    request_stats_ended(stats, second, 1, 0, false);
    request_stats_first_chunk(stats, 3 * second, 1, 1);
    request_stats_read(stats, 3 * second, 1, &row);
    EXPECT_NEAR(row.ttft_ns_mean, 2e9, 0);
    EXPECT_U64(row.in_decode, 1);
    request_stats_read(stats, 3 * second, 0, &row);
    EXPECT_U64(row.in_prefill, 0);
    EXPECT_NEAR(row.qps * 60, 1, 1e-12); /* a failed try stays in the rate */
    request_stats_delete(stats);
}

/* One aborted in prefill, one in decode, one that completes without a first chunk. */
static void end_three_badly(struct request_stats *stats)
{
    request_stats_sent(stats, 0, 1, 0);
    request_stats_sent(stats, 0, 2, 0);
    request_stats_sent(stats, 0, 3, 0);
    request_stats_first_chunk(stats, 1, 2, 0);
    request_stats_ended(stats, 2, 1, 0, false);
    request_stats_ended(stats, 2, 2, 0, false);
    request_stats_ended(stats, 2, 3, 0, true);
}

static void leaks_of_the_release_are_a_switch(void)
{
    struct request_stats_row row;
    struct request_stats *leaking = make(true);
    end_three_badly(leaking);
    request_stats_read(leaking, 3, 0, &row);
    EXPECT_U64(row.in_prefill, 2);
    EXPECT_U64(row.in_decode, 0); /* the one that completed took the other's place */
    request_stats_delete(leaking);
    struct request_stats *correct = make(false);
    end_three_badly(correct);
    request_stats_read(correct, 3, 0, &row);
    EXPECT_U64(row.in_prefill, 0);
    EXPECT_U64(row.in_decode, 0);
    request_stats_delete(correct);
}

static double latency_long_after(bool leaks)
{
    struct request_stats *stats = make(leaks);
    struct request_stats_row row;
    request_stats_sent(stats, 0, 1, 0);
    request_stats_ended(stats, 5 * second, 1, 0, true);
    request_stats_read(stats, 1000 * second, 0, &row);
    request_stats_delete(stats);
    return row.latency_ns_mean;
}

static void latency_of_an_idle_endpoint_is_stale_in_the_release(void)
{
    EXPECT_NEAR(latency_long_after(true), 5e9, 0);
    EXPECT_NEAR(latency_long_after(false), -1, 0);
}

static void window_holds_what_a_plain_list_holds(void)
{
    enum { ARRIVALS = 5000 };
    static int64_t times_ns[ARRIVALS];
    struct request_stats *stats = make(false);
    int64_t now_ns = 0;
    for (uint64_t i = 0; i < ARRIVALS; i++) {
        /* Bursts and silences, so that the ring wraps and empties; then ever denser, so
         * that it grows while wrapped. */
        now_ns += i % 97 == 0 && i < 2500
                      ? 61 * second
                      : (int64_t)(i % 7) * second * 100 / (int64_t)(100 + i);
        times_ns[i] = now_ns;
        request_stats_sent(stats, now_ns, i, 3);
        request_stats_ended(stats, now_ns, i, 3, true);
        uint64_t expected = 0;
        for (uint64_t j = 0; j <= i; j++) {
            expected += times_ns[j] >= now_ns - 60 * second;
        }
        if (!EXPECT_U64(request_stats_arrivals(stats, now_ns, 3), expected)) {
            break;
        }
    }
    EXPECT(request_stats_bytes(stats) < 100000);
    request_stats_delete(stats);
}

/* 20,000 requests a second for three minutes: 1,200,000 in the window. Entries may
 * leave 60 s / 2^14 = 3.7 ms early, in which 74 requests come. */
static void a_flood_is_counted_in_bounded_memory(void)
{
    struct request_stats *stats = make(false);
    const int64_t step_ns = second / 20000;
    uint64_t worst = 0;
    for (uint64_t i = 0; i < 3600000; i++) {
        const int64_t now_ns = (int64_t)i * step_ns;
        request_stats_sent(stats, now_ns, i, 3);
        request_stats_first_chunk(stats, now_ns, i, 3);
        request_stats_ended(stats, now_ns + step_ns, i, 3, true);
        const uint64_t sent = i + 1;
        const uint64_t in_window = sent < 1200001 ? sent : 1200001;
        const uint64_t counted = request_stats_arrivals(stats, now_ns, 3);
        if (!EXPECT(counted <= in_window)) {
            break;
        }
        worst = worst > in_window - counted ? worst : in_window - counted;
    }
    EXPECT(worst <= 75);
    EXPECT(worst > 0); /* else nothing was merged and this tests nothing */
    struct request_stats_row row;
    request_stats_read(stats, 3600000 * step_ns, 3, &row);
    EXPECT_NEAR(row.latency_ns_mean, (double)step_ns, 1e-9);
    EXPECT_NEAR(row.ttft_ns_mean, 0.0, 1e-9);
    EXPECT(request_stats_bytes(stats) < 3000000);
    request_stats_delete(stats);
}

HARNESS_MAIN("request_stats", TEST(nobody_is_known_before_its_first_request),
             TEST(an_arrival_exactly_one_window_old_still_counts),
             TEST(rate_divides_by_the_whole_window_from_the_start),
             TEST(nothing_to_average_is_minus_one),
             TEST(a_request_goes_from_prefill_to_decode_to_finished),
             TEST(same_request_on_two_endpoints_is_two_requests),
             TEST(leaks_of_the_release_are_a_switch),
             TEST(latency_of_an_idle_endpoint_is_stale_in_the_release),
             TEST(window_holds_what_a_plain_list_holds),
             TEST(a_flood_is_counted_in_bounded_memory))
