/* SPDX-License-Identifier: Apache-2.0
 *
 * Online fit: finds a line, forgets an old one, and stands terms that never vary.
 */
#include "base/rng.h"
#include "policies/online_fit.h"
#include "tests/harness.h"

static void draw(struct rng *rng, double terms[ONLINE_FIT_TERMS])
{
    terms[0] = 1;
    for (int i = 1; i < ONLINE_FIT_TERMS; i++) {
        terms[i] = rng_unit(rng);
    }
}

static void teach(struct online_fit *fit, struct rng *rng, int samples, double slope)
{
    for (int i = 0; i < samples; i++) {
        double terms[ONLINE_FIT_TERMS];
        draw(rng, terms);
        online_fit_add(fit, terms, 2 + slope * terms[1] - terms[6]);
    }
}

static void a_line_is_found(void)
{
    const double at[ONLINE_FIT_TERMS] = {1, 0.5, 9, 9, 9, 9, 2};
    struct online_fit fit;
    struct rng rng;
    rng_init(&rng, 1, "test_online_fit", 0);
    online_fit_init(&fit, 1);
    EXPECT_NEAR(online_fit_predict(&fit, at), 0, 0);
    teach(&fit, &rng, 64, 3);
    EXPECT_NEAR(online_fit_predict(&fit, at), 2 + 1.5 - 2, 1e-4);
    EXPECT_U64(fit.samples, 64);
}

/* After 1000 samples at 0.99 an old one counts 4e-5. */
static void an_old_line_is_forgotten(void)
{
    const double at[ONLINE_FIT_TERMS] = {1, 1, 0, 0, 0, 0, 0};
    struct online_fit fit;
    struct rng rng;
    rng_init(&rng, 1, "test_online_fit", 0);
    online_fit_init(&fit, 0.99);
    teach(&fit, &rng, 1000, 3);
    EXPECT_NEAR(online_fit_predict(&fit, at), 5, 1e-3);
    teach(&fit, &rng, 1000, -1);
    EXPECT_NEAR(online_fit_predict(&fit, at), 1, 1e-3);
}

/* Terms 2 and 3 are always 0, 4 repeats 1, 5 repeats the constant. */
static void terms_that_say_nothing_do_no_harm(void)
{
    struct online_fit fit;
    struct rng rng;
    rng_init(&rng, 1, "test_online_fit", 0);
    online_fit_init(&fit, 0.999);
    for (int i = 0; i < 640; i++) {
        const double x = rng_unit(&rng);
        const double terms[ONLINE_FIT_TERMS] = {1, x, 0, 0, x, 1, 0};
        online_fit_add(&fit, terms, 1 + 2 * x);
    }
    const double at[ONLINE_FIT_TERMS] = {1, 0.25, 0, 0, 0.25, 1, 0};
    EXPECT_NEAR(online_fit_predict(&fit, at), 1.5, 1e-3);
}

HARNESS_MAIN("online_fit", TEST(a_line_is_found), TEST(an_old_line_is_forgotten),
             TEST(terms_that_say_nothing_do_no_harm))
