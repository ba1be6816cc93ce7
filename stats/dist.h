/* SPDX-License-Identifier: Apache-2.0
 *
 * dist.h: random variates over our named streams of bits (variates by GSL).
 *
 * A distribution is made once, checked, and never changes: drawing is a pure function
 * of it and of the stream, so one may serve any number of streams. GSL's generators run
 * on base/rng.h through an adapter; nothing here has a generator of its own.
 */
#ifndef STACKSIM_STATS_DIST_H
#define STACKSIM_STATS_DIST_H

#include "base/err.h"
#include "base/rng.h"

#include <stddef.h>

/* name in configurations; first and second parameter; what it is */
#define DIST_KINDS(X)                                                                  \
    X(CONST, "const", "value", NULL, "always the same value")                          \
    X(UNIFORM, "uniform", "low", "high", "flat over [low, high)")                      \
    X(NORMAL, "normal", "mean", "sd", "Gaussian")                                      \
    X(LOGNORMAL, "lognormal", "mu", "sigma", "exp of a Gaussian(mu, sigma)")           \
    X(EXPONENTIAL, "exponential", "mean", NULL, "memoryless")                          \
    X(GAMMA, "gamma", "shape", "scale", "mean shape * scale")                          \
    X(WEIBULL, "weibull", "shape", "scale", "stretched exponential")                   \
    X(PARETO, "pareto", "shape", "scale", "power tail above scale")                    \
    X(BETA, "beta", "a", "b", "on (0, 1)")                                             \
    X(POISSON, "poisson", "mean", NULL, "whole counts")                                \
    X(ZIPF, "zipf", "exponent", "count",                                               \
      "rank 0 .. count - 1, P ~ 1/(rank+1)^exponent")                                  \
    X(MIXTURE, "lognormal_mix", NULL, NULL, "weighted lognormals")                     \
    X(QUANTILES, "quantiles", NULL, NULL, "knots of the quantile function, log-linear")

enum dist_kind {
#define X(name, text, first, second, help) DIST_##name,
    DIST_KINDS(X)
#undef X
        DIST_KIND_COUNT
};

enum { DIST_ZIPF_MAX = 1 << 22, DIST_TABLE_MAX = 4096 };

/* One lognormal of a mixture. Weights need not sum to one. */
struct dist_part {
    double weight;
    double mu;
    double sigma;
};

/* One knot of a quantile function. p rises from 0 to 1, x > 0 never falls. */
struct dist_knot {
    double p;
    double x;
};

struct dist_spec {
    enum dist_kind kind;
    double first; /* parameters in the order of DIST_KINDS */
    double second;
    double shift;                  /* added to every draw */
    const struct dist_part *parts; /* MIXTURE; borrowed for the call */
    const struct dist_knot *knots; /* QUANTILES; borrowed for the call */
    size_t count;                  /* of parts or knots */
};

struct dist;

/* False when a parameter is out of its range; err says which and what is allowed,
 * without a file name. */
NODISCARD bool dist_new(struct dist **out, const struct dist_spec *spec,
                        struct err *err);
void dist_delete(struct dist *dist); /* NULL is legal */

double dist_draw(const struct dist *dist, struct rng *rng);

/* Quantile function at p in (0, 1). Only where dist_has_quantile() says so: not for
 * MIXTURE, POISSON and ZIPF. */
bool dist_has_quantile(const struct dist *dist);
double dist_quantile(const struct dist *dist, double p);

/* Mean, NaN for QUANTILES and for a PARETO without one. */
double dist_mean(const struct dist *dist);

/* A standard normal, and its distribution function: for effects that couple draws. */
double dist_draw_normal(struct rng *rng);
double dist_normal_cdf(double z);
/* An exponential of mean 1. */
double dist_draw_unit_exponential(struct rng *rng);

#endif
