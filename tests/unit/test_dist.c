/* SPDX-License-Identifier: Apache-2.0
 *
 * test_dist.c: every distribution against its own mean, spread and quantile function,
 * and the distances and moments that compare samples.
 */
#include "base/mem.h"
#include "stats/arrivals.h"
#include "stats/dist.h"
#include "stats/ks.h"
#include "tests/harness.h"

#include <math.h>

enum { DRAWS = 200000 };

static struct dist *make(enum dist_kind kind, double first, double second)
{
    const struct dist_spec spec = {.kind = kind, .first = first, .second = second};
    struct dist *dist = NULL;
    struct err err = {0};
    REQUIRE_OK(dist_new(&dist, &spec, &err), &err);
    return dist;
}

static const struct {
    enum dist_kind kind;
    double first;
    double second;
    double mean;
    double sd;
} known[] = {
    {DIST_CONST, 7, 0, 7, 0},
    {DIST_UNIFORM, 2, 8, 5, 1.7320508},
    {DIST_NORMAL, 100, 15, 100, 15},
    {DIST_LOGNORMAL, 1, 0.5, 3.0802168, 1.6415719},
    {DIST_EXPONENTIAL, 3, 0, 3, 3},
    {DIST_GAMMA, 0.871, 2, 1.742, 1.8665476},
    {DIST_GAMMA, 4, 2, 8, 4},
    {DIST_WEIBULL, 2, 3, 2.6586808, 1.3897495},
    {DIST_PARETO, 5, 2, 2.5, 0.6454972},
    {DIST_BETA, 0.743, 1.153, 0.3918776, 0.2868710},
    {DIST_POISSON, 3.4, 0, 3.4, 1.8439089},
};

/* The mean of DRAWS draws lies within 5 standard errors; sd within 3 % (heavy tails).
 */
static void draws_have_the_mean_and_spread_of_their_law(void)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct dist *const dist = make(known[i].kind, known[i].first, known[i].second);
        struct rng rng;
        double sum = 0;
        double squares = 0;
        rng_init(&rng, 1, "draws", i);
        harness_note("case %zu", i);
        for (size_t k = 0; k < DRAWS; k++) {
            const double x = dist_draw(dist, &rng) - known[i].mean;
            sum += x;
            squares += x * x;
        }
        EXPECT_NEAR(sum / DRAWS, 0, 5 * known[i].sd / sqrt(DRAWS) + 1e-12);
        EXPECT_NEAR(sqrt(squares / DRAWS), known[i].sd, 0.03 * known[i].sd + 1e-12);
        EXPECT_CLOSE(dist_mean(dist), known[i].mean, 1e-6);
        dist_delete(dist);
    }
}

/* Draws and the quantile function are two ways to the same law. */
static void quantile_function_fits_the_draws(void)
{
    enum { SAMPLE = 20000 };
    double *const drawn = mem_alloc(SAMPLE, sizeof(double));
    double *const mapped = mem_alloc(SAMPLE, sizeof(double));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct dist *const dist = make(known[i].kind, known[i].first, known[i].second);
        struct rng rng;
        rng_init(&rng, 2, "quantile", i);
        harness_note("case %zu", i);
        if (dist_has_quantile(dist)) {
            for (size_t k = 0; k < SAMPLE; k++) {
                drawn[k] = dist_draw(dist, &rng);
                mapped[k] = dist_quantile(dist, ((double)k + 0.5) / SAMPLE);
            }
            EXPECT_NEAR(ks_distance(drawn, SAMPLE, mapped, SAMPLE), 0, 0.012);
        }
        dist_delete(dist);
    }
    mem_free(drawn);
    mem_free(mapped);
}

static void quantile_table_meets_its_knots(void)
{
    const struct dist_knot knots[] = {{0, 1}, {0.25, 1}, {0.5, 100}, {1, 10000}};
    const struct dist_spec spec = {.kind = DIST_QUANTILES, .knots = knots, .count = 4};
    struct dist *dist = NULL;
    struct err err = {0};
    struct rng rng;
    size_t ones = 0;
    REQUIRE_OK(dist_new(&dist, &spec, &err), &err);
    EXPECT_CLOSE(dist_quantile(dist, 0.5), 100.0, 1e-12);
    EXPECT_CLOSE(dist_quantile(dist, 0.75), 1000.0, 1e-12); /* half-way in ln */
    EXPECT_CLOSE(dist_quantile(dist, 0.1), 1.0, 1e-12);
    EXPECT_CLOSE(dist_quantile(dist, 1.0), 10000.0, 1e-12);
    rng_init(&rng, 3, "table", 0);
    for (size_t i = 0; i < DRAWS; i++) {
        ones += dist_draw(dist, &rng) <= 1.0 ? 1 : 0;
    }
    EXPECT_NEAR((double)ones / DRAWS, 0.25, 0.005);
    dist_delete(dist);
}

static void mixture_draws_its_parts_by_weight(void)
{
    const struct dist_part parts[] = {{3, 0, 0}, {1, 2, 0}};
    const struct dist_spec spec = {
        .kind = DIST_MIXTURE, .shift = 10, .parts = parts, .count = 2};
    struct dist *dist = NULL;
    struct err err = {0};
    struct rng rng;
    size_t first = 0;
    REQUIRE_OK(dist_new(&dist, &spec, &err), &err);
    rng_init(&rng, 4, "mixture", 0);
    for (size_t i = 0; i < DRAWS; i++) {
        first += dist_draw(dist, &rng) < 12 ? 1 : 0;
    }
    EXPECT_NEAR((double)first / DRAWS, 0.75, 0.005);
    EXPECT_CLOSE(dist_mean(dist), 10 + 0.75 + 0.25 * exp(2.0), 1e-12);
    EXPECT(!dist_has_quantile(dist));
    dist_delete(dist);
}

static void zipf_ranks_fall_as_the_law_says(void)
{
    struct dist *const dist = make(DIST_ZIPF, 1, 4);
    double counts[4] = {0};
    struct rng rng;
    rng_init(&rng, 5, "zipf", 0);
    for (size_t i = 0; i < DRAWS; i++) {
        counts[(size_t)dist_draw(dist, &rng)] += 1;
    }
    for (size_t k = 0; k < 4; k++) { /* 1 + 1/2 + 1/3 + 1/4 = 25/12 */
        EXPECT_NEAR(counts[k] / DRAWS, 12.0 / 25 / ((double)k + 1), 0.006);
    }
    dist_delete(dist);
}

static void wrong_parameters_are_refused_with_a_reason(void)
{
    static const struct {
        struct dist_spec spec;
        const char *part;
    } cases[] = {
        {{.kind = DIST_EXPONENTIAL}, "mean must be above 0"},
        {{.kind = DIST_GAMMA, .first = 1, .second = -1}, "shape and scale"},
        {{.kind = DIST_LOGNORMAL, .second = -0.1}, "spread"},
        {{.kind = DIST_UNIFORM, .first = 2, .second = 1}, "high must not be below"},
        {{.kind = DIST_ZIPF, .first = 1, .second = 0}, "count"},
        {{.kind = DIST_NORMAL, .first = (double)NAN}, "finite"},
        {{.kind = DIST_QUANTILES}, "knots"},
        {{.kind = DIST_MIXTURE}, "parts"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dist *dist = NULL;
        struct err err = {0};
        EXPECT_FAILS(dist_new(&dist, &cases[i].spec, &err), &err, cases[i].part);
    }
    const struct dist_knot falling[] = {{0, 2}, {1, 1}};
    const struct dist_knot open[] = {{0, 1}, {0.9, 2}};
    const struct dist_knot *const tables[] = {falling, open};
    static const char *const parts[] = {"not fall", "end with 1"};
    for (size_t i = 0; i < 2; i++) {
        const struct dist_spec spec = {
            .kind = DIST_QUANTILES, .knots = tables[i], .count = 2};
        struct dist *dist = NULL;
        struct err err = {0};
        EXPECT_FAILS(dist_new(&dist, &spec, &err), &err, parts[i]);
    }
}

static void equal_streams_give_equal_draws(void)
{
    struct dist *const dist = make(DIST_GAMMA, 0.5, 1);
    struct rng a;
    struct rng b;
    rng_init(&a, 9, "same", 0);
    rng_init(&b, 9, "same", 0);
    for (size_t i = 0; i < 1000; i++) {
        const double x = dist_draw(dist, &a);
        const double y = dist_draw(dist, &b);
        EXPECT_BYTES(&x, &y, sizeof(x));
    }
    dist_delete(dist);
}

static void ks_distance_is_exact_on_small_samples(void)
{
    const double a[] = {1, 2, 3, 4};
    const double b[] = {3, 4, 5, 6, 7, 8, 9, 10};
    const double ties[] = {2, 2, 2, 2};
    EXPECT_NEAR(ks_distance(a, 4, a, 4), 0, 0);
    EXPECT_NEAR(ks_distance(a, 4, b, 8), 0.75, 1e-15);
    EXPECT_NEAR(ks_distance(b, 8, a, 4), 0.75, 1e-15);
    EXPECT_NEAR(ks_distance(a, 4, ties, 4), 0.5, 1e-15);
    EXPECT(isnan(ks_distance(a, 0, b, 8)));
    EXPECT_NEAR(ks_level_5(12031, 1 << 30), 1.36 / sqrt(12031), 2e-4);
    EXPECT_NEAR(ks_spearman(a, a, 4), 1, 1e-12);
}

static void poisson_arrivals_have_cv_and_dispersion_one(void)
{
    const int64_t windows[] = {1000000000, INT64_C(60000000000)};
    struct arrivals *const arrivals = arrivals_new(windows, 2);
    struct rng rng;
    int64_t now_ns = 0;
    rng_init(&rng, 6, "poisson", 0);
    for (size_t i = 0; i < DRAWS; i++) {
        now_ns += (int64_t)(dist_draw_unit_exponential(&rng) * 1e8);
        arrivals_add(arrivals, now_ns);
    }
    EXPECT_NEAR(arrivals_gap_cv(arrivals), 1, 0.015);
    EXPECT_NEAR(arrivals_dispersion(arrivals, 0), 1, 0.05);
    EXPECT_NEAR(arrivals_dispersion(arrivals, 1), 1, 0.3);
    arrivals_delete(arrivals);
}

static void dispersion_by_hand_and_over_long_gaps(void)
{
    const int64_t window[] = {10};
    struct arrivals *const arrivals = arrivals_new(window, 1);
    EXPECT(isnan(arrivals_gap_cv(arrivals)));
    /* windows [5,15) 3, [15,25) 0, [25,35) 1, the last one open: counts 3, 0, 1 */
    const int64_t times[] = {5, 6, 14, 30, 36};
    for (size_t i = 0; i < 5; i++) {
        arrivals_add(arrivals, times[i]);
    }
    EXPECT_NEAR(arrivals_dispersion(arrivals, 0), (14.0 / 9) / (4.0 / 3), 1e-12);
    arrivals_add(arrivals, INT64_MAX / 2); /* must not take years */
    EXPECT(arrivals_dispersion(arrivals, 0) > 0);
    arrivals_delete(arrivals);
}

HARNESS_MAIN("dist", TEST(draws_have_the_mean_and_spread_of_their_law),
             TEST(quantile_function_fits_the_draws),
             TEST(quantile_table_meets_its_knots),
             TEST(mixture_draws_its_parts_by_weight),
             TEST(zipf_ranks_fall_as_the_law_says),
             TEST(wrong_parameters_are_refused_with_a_reason),
             TEST(equal_streams_give_equal_draws),
             TEST(ks_distance_is_exact_on_small_samples),
             TEST(poisson_arrivals_have_cv_and_dispersion_one),
             TEST(dispersion_by_hand_and_over_long_gaps))
