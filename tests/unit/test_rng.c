/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams are xoshiro256**, independent by name and index, and unbiased below a bound.
 */
#include "base/rng.h"
#include "tests/harness.h"

/* From the reference code by Blackman and Vigna with state {1, 2, 3, 4}. */
static void bits_are_those_of_xoshiro256_starstar(void)
{
    struct rng rng = {{1, 2, 3, 4}};
    const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        harness_note("draw %zu", i);
        EXPECT_U64(rng_next(&rng), expected[i]);
    }
}

static uint64_t first_draw(uint64_t seed, const char *name, uint64_t index)
{
    struct rng rng;
    rng_init(&rng, seed, name, index);
    return rng_next(&rng);
}

static void seed_name_and_index_each_give_another_stream(void)
{
    const uint64_t draw = first_draw(7, "arrivals", 0);
    EXPECT_U64(first_draw(7, "arrivals", 0), draw);
    EXPECT(first_draw(8, "arrivals", 0) != draw);
    EXPECT(first_draw(7, "lengths", 0) != draw);
    EXPECT(first_draw(7, "arrivals", 1) != draw);
    EXPECT(first_draw(7, "", 0) != draw);
}

/* Every recorded result depends on how streams are seeded. */
static void seeding_never_changes(void)
{
    EXPECT_U64(first_draw(1, "arrivals", 0), UINT64_C(0x972f37fee5f5f3e6));
    EXPECT_U64(first_draw(42, "policy", 3), UINT64_C(0x3a11239941d5f30b));
}

static void below_reaches_every_value_evenly(void)
{
    struct rng rng;
    rng_init(&rng, 1, "below", 0);
    enum { BOUND = 7, EACH = 10000 };
    unsigned counts[BOUND] = {0};
    for (int i = 0; i < BOUND * EACH; i++) {
        const uint64_t value = rng_below(&rng, BOUND);
        REQUIRE(value < BOUND);
        counts[value]++;
    }
    double chi_square = 0;
    for (int i = 0; i < BOUND; i++) {
        const double off = (double)counts[i] - EACH;
        chi_square += off * off / EACH;
    }
    /* 6 degrees of freedom: 22.5 is passed once in a thousand seeds. */
    EXPECT(chi_square < 22.5);
    EXPECT_U64(rng_below(&rng, 1), 0);
}

/* Without rejection the low half would come up for 2 of 3 draws. */
static void below_is_unbiased_at_a_huge_bound(void)
{
    struct rng rng;
    rng_init(&rng, 2, "below", 0);
    const uint64_t bound = UINT64_C(3) << 62;
    unsigned low = 0;
    for (int i = 0; i < 30000; i++) {
        const uint64_t value = rng_below(&rng, bound);
        REQUIRE(value < bound);
        low += value < bound / 2;
    }
    EXPECT_NEAR((double)low, 15000, 400);
}

static void draw_below_zero(void *context)
{
    (void)rng_below(context, 0);
}

static void below_zero_is_a_bug(void)
{
    struct rng rng;
    rng_init(&rng, 1, "below", 0);
    EXPECT_ABORTS(draw_below_zero, &rng, "no number is below 0");
}

static void unit_stays_below_one_with_mean_one_half(void)
{
    struct rng rng;
    rng_init(&rng, 3, "unit", 0);
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        const double value = rng_unit(&rng);
        REQUIRE(value >= 0 && value < 1);
        sum += value;
    }
    EXPECT_NEAR(sum / 100000, 0.5, 0.004);
}

HARNESS_MAIN("rng", TEST(bits_are_those_of_xoshiro256_starstar),
             TEST(seed_name_and_index_each_give_another_stream),
             TEST(seeding_never_changes), TEST(below_reaches_every_value_evenly),
             TEST(below_is_unbiased_at_a_huge_bound), TEST(below_zero_is_a_bug),
             TEST(unit_stays_below_one_with_mean_one_half))
