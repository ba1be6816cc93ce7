/* SPDX-License-Identifier: Apache-2.0
 *
 * test_nonlinear.c: problems with a known answer, stairs on the way, rows that err
 * together, and coordinates that nothing depends on.
 */
#include "base/rng.h"
#include "stats/nonlinear.h"
#include "tests/harness.h"

#include <math.h>

enum { ROWS = 60, BLOCKS = 10 };

struct curve {
    double noise[ROWS];
    double stair; /* residuals are rounded to this; 0 = not at all */
    uint32_t fails_at;
    uint32_t calls;
};

/* exp(x0) t + exp(x1) t^2 against 1.2 t + 0.8 t^2, relative. */
static bool curve_residuals(void *context, const double *x, double *out)
{
    struct curve *curve = context;
    for (int i = 0; i < ROWS; i++) {
        const double t = 0.1 + 0.05 * i;
        const double is = (1.2 * t + 0.8 * t * t) * (1.0 + curve->noise[i]);
        out[i] = (exp(x[0]) * t + exp(x[1]) * t * t) / is - 1.0;
        if (curve->stair > 0.0) {
            out[i] = curve->stair * round(out[i] / curve->stair);
        }
    }
    return ++curve->calls != curve->fails_at;
}

static struct nonlinear_problem problem_of(struct curve *curve, const uint32_t *blocks,
                                           size_t columns)
{
    return (struct nonlinear_problem){.rows = ROWS,
                                      .columns = columns,
                                      .context = curve,
                                      .residuals = curve_residuals,
                                      .difference = 0.01,
                                      .bound = 1.0,
                                      .blocks = blocks,
                                      .block_count = BLOCKS,
                                      .iterations_max = 30};
}

static const uint32_t *blocks_of(void)
{
    static uint32_t blocks[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        blocks[i] = i % BLOCKS;
    }
    return blocks;
}

static void exact_data_give_the_answer(void)
{
    struct curve curve = {.fails_at = 0};
    struct nonlinear_result found;
    const struct nonlinear_problem problem = problem_of(&curve, blocks_of(), 2);
    REQUIRE(nonlinear_fit(&found, &problem));
    EXPECT_NEAR(exp(found.x[0]), 1.2, 1e-5);
    EXPECT_NEAR(exp(found.x[1]), 0.8, 1e-5);
    EXPECT(found.rms_start > 0.05 && found.rms_end < 1e-6);
    EXPECT_NEAR(found.high[0] - found.low[0], 0.0, 1e-4);
    EXPECT_U64(found.evaluations, curve.calls);
}

static void stairs_do_not_hold_it_up(void)
{
    struct curve curve = {.stair = 0.004};
    struct nonlinear_result found;
    const struct nonlinear_problem problem = problem_of(&curve, blocks_of(), 2);
    REQUIRE(nonlinear_fit(&found, &problem));
    EXPECT_NEAR(exp(found.x[0]), 1.2, 0.02);
    EXPECT_NEAR(exp(found.x[1]), 0.8, 0.02);
}

/* 95 % intervals hold the truth in about 95 of 100 cases. */
static void intervals_hold_the_truth_as_often_as_they_say(void)
{
    enum { SEEDS = 300 };
    uint32_t held = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        struct curve curve = {.fails_at = 0};
        struct nonlinear_result found;
        rng_init(&rng, seed, "nonlinear", 0);
        for (int i = 0; i < ROWS; i++) {
            curve.noise[i] = 0.1 * (rng_unit(&rng) - 0.5);
        }
        const struct nonlinear_problem problem = problem_of(&curve, blocks_of(), 2);
        REQUIRE(nonlinear_fit(&found, &problem));
        held += found.low[0] < log(1.2) && log(1.2) < found.high[0];
    }
    harness_note("%u of %d", held, SEEDS);
    EXPECT(held > SEEDS * 0.90 && held < SEEDS * 0.99);
}

static void what_nothing_depends_on_is_not_known(void)
{
    struct curve curve = {.fails_at = 0};
    struct nonlinear_result found;
    const struct nonlinear_problem problem = problem_of(&curve, blocks_of(), 3);
    REQUIRE(nonlinear_fit(&found, &problem));
    EXPECT(found.moves[0] && found.moves[1] && !found.moves[2]);
    EXPECT(isinf(found.low[2]) && isinf(found.high[2]));
    EXPECT_NEAR(exp(found.x[0]), 1.2, 1e-4);
}

static void failure_of_a_residual_ends_it(void)
{
    for (uint32_t call = 1; call < 12; call++) {
        struct curve curve = {.fails_at = call};
        struct nonlinear_result found;
        const struct nonlinear_problem problem = problem_of(&curve, blocks_of(), 2);
        harness_note("call %u", call);
        EXPECT(!nonlinear_fit(&found, &problem));
        EXPECT_U64(curve.calls, call);
    }
}

HARNESS_MAIN("nonlinear", TEST(exact_data_give_the_answer),
             TEST(stairs_do_not_hold_it_up),
             TEST(intervals_hold_the_truth_as_often_as_they_say),
             TEST(what_nothing_depends_on_is_not_known),
             TEST(failure_of_a_residual_ends_it))
