/* SPDX-License-Identifier: Apache-2.0
 *
 * dist.c: GSL's variates on our streams.
 *
 * A gsl_rng is a type and a state; ours sits on the stack and points at the caller's
 * stream, so a draw allocates nothing and advances exactly that stream. Gaussians come
 * from the ziggurat, which is exact and needs log or exp once in fifty draws; GSL's
 * own lognormal uses the polar method and costs three times as much.
 */
#include "stats/dist.h"

#include "base/check.h"
#include "base/mem.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_interp.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sf_gamma.h>
#include <math.h>
#include <stdint.h>

struct dist {
    enum dist_kind kind;
    double first;
    double second;
    double shift;
    size_t count;
    double *p;                 /* QUANTILES: knots; MIXTURE: cumulated weights */
    double *x;                 /* QUANTILES: ln of values */
    struct dist_part *parts;   /* MIXTURE */
    gsl_ran_discrete_t *alias; /* ZIPF */
};

static void adapter_set(void *state, unsigned long int seed)
{
    rng_init(state, seed, "gsl", 0);
}

static unsigned long int adapter_get(void *state)
{
    return rng_next(state);
}

static double adapter_get_double(void *state)
{
    return rng_unit(state);
}

static const gsl_rng_type adapter = {
    .name = "xoshiro256**",
    .max = UINT64_MAX,
    .min = 0,
    .size = sizeof(struct rng),
    .set = adapter_set,
    .get = adapter_get,
    .get_double = adapter_get_double,
};

static gsl_rng adapt(struct rng *rng)
{
    return (gsl_rng){.type = &adapter, .state = rng};
}

static const char *const kind_names[DIST_KIND_COUNT] = {
#define X(name, text, first, second, help) [DIST_##name] = (text),
    DIST_KINDS(X)
#undef X
};

static bool check_parameters(const struct dist_spec *spec, struct err *err)
{
    const char *const name = kind_names[spec->kind];
    const double first = spec->first;
    const double second = spec->second;
    if (!isfinite(first) || !isfinite(second) || !isfinite(spec->shift)) {
        return err_set(err, ERR_INPUT, "%s: parameters must be finite numbers", name);
    }
    switch (spec->kind) {
    case DIST_UNIFORM:
        return second >= first ||
               err_set(err, ERR_INPUT, "%s: high must not be below low", name);
    case DIST_NORMAL:
    case DIST_LOGNORMAL:
        return second >= 0 ||
               err_set(err, ERR_INPUT, "%s: the spread must not be negative", name);
    case DIST_EXPONENTIAL:
    case DIST_POISSON:
        return first > 0 || err_set(err, ERR_INPUT, "%s: mean must be above 0", name);
    case DIST_GAMMA:
    case DIST_WEIBULL:
    case DIST_PARETO:
        return (first > 0 && second > 0) ||
               err_set(err, ERR_INPUT, "%s: shape and scale must be above 0", name);
    case DIST_BETA:
        return (first > 0 && second > 0) ||
               err_set(err, ERR_INPUT, "%s: a and b must be above 0", name);
    case DIST_ZIPF:
        return (first >= 0 && second >= 1 && second <= DIST_ZIPF_MAX) ||
               err_set(err, ERR_INPUT,
                       "%s: exponent must not be negative, count must be 1 to %d", name,
                       DIST_ZIPF_MAX);
    case DIST_CONST:
    case DIST_MIXTURE:
    case DIST_QUANTILES:
    case DIST_KIND_COUNT:
    default:
        return true;
    }
}

static bool check_knots(const struct dist_spec *spec, struct err *err)
{
    const struct dist_knot *const knots = spec->knots;
    if (spec->count < 2 || spec->count > DIST_TABLE_MAX) {
        return err_set(err, ERR_INPUT, "quantiles: %zu knots; 2 to %d are allowed",
                       spec->count, DIST_TABLE_MAX);
    }
    if (knots[0].p != 0.0 || knots[spec->count - 1].p != 1.0) {
        return err_set(err, ERR_INPUT, "quantiles: p must begin with 0 and end with 1");
    }
    for (size_t i = 0; i < spec->count; i++) {
        const bool positive = isfinite(knots[i].x) && knots[i].x > 0;
        const bool rises =
            i == 0 || (knots[i].p > knots[i - 1].p && knots[i].x >= knots[i - 1].x);
        if (!positive || !rises) {
            return err_set(err, ERR_INPUT,
                           "quantiles: knot %zu (p %g, x %g): p must rise, x must be "
                           "above 0 and not fall",
                           i, knots[i].p, knots[i].x);
        }
    }
    return true;
}

static bool check_parts(const struct dist_spec *spec, struct err *err)
{
    if (spec->count < 1 || spec->count > DIST_TABLE_MAX) {
        return err_set(err, ERR_INPUT, "lognormal_mix: %zu parts; 1 to %d are allowed",
                       spec->count, DIST_TABLE_MAX);
    }
    for (size_t i = 0; i < spec->count; i++) {
        const struct dist_part *const part = &spec->parts[i];
        const bool fits = isfinite(part->weight) && part->weight > 0 &&
                          isfinite(part->mu) && isfinite(part->sigma) &&
                          part->sigma >= 0;
        if (!fits) {
            return err_set(
                err, ERR_INPUT,
                "lognormal_mix: part %zu: weight must be above 0, sigma must "
                "not be negative",
                i);
        }
    }
    return true;
}

static void fill_knots(struct dist *dist, const struct dist_spec *spec)
{
    dist->p = mem_alloc(spec->count, sizeof(*dist->p));
    dist->x = mem_alloc(spec->count, sizeof(*dist->x));
    for (size_t i = 0; i < spec->count; i++) {
        dist->p[i] = spec->knots[i].p;
        dist->x[i] = log(spec->knots[i].x);
    }
}

static void fill_parts(struct dist *dist, const struct dist_spec *spec)
{
    dist->p = mem_alloc(spec->count, sizeof(*dist->p));
    dist->parts = mem_alloc(spec->count, sizeof(*dist->parts));
    double total = 0;
    for (size_t i = 0; i < spec->count; i++) {
        dist->parts[i] = spec->parts[i];
        total += spec->parts[i].weight;
        dist->p[i] = total;
    }
    for (size_t i = 0; i < spec->count; i++) {
        dist->p[i] /= total;
    }
}

static void fill_zipf(struct dist *dist)
{
    const size_t count = (size_t)dist->second;
    double *const weights = mem_alloc(count, sizeof(*weights));
    for (size_t i = 0; i < count; i++) {
        weights[i] = pow((double)(i + 1), -dist->first);
    }
    dist->alias = gsl_ran_discrete_preproc(count, weights);
    CHECK(dist->alias != NULL, "no alias table for %zu ranks", count);
    mem_free(weights);
}

bool dist_new(struct dist **out, const struct dist_spec *spec, struct err *err)
{
    const bool legal = check_parameters(spec, err) &&
                       (spec->kind != DIST_QUANTILES || check_knots(spec, err)) &&
                       (spec->kind != DIST_MIXTURE || check_parts(spec, err));
    if (!legal) {
        return false;
    }
    struct dist *const dist = mem_alloc(1, sizeof(*dist));
    dist->kind = spec->kind;
    dist->first = spec->first;
    dist->second = spec->second;
    dist->shift = spec->shift;
    dist->count = spec->count;
    if (spec->kind == DIST_QUANTILES) {
        fill_knots(dist, spec);
    } else if (spec->kind == DIST_MIXTURE) {
        fill_parts(dist, spec);
    } else if (spec->kind == DIST_ZIPF) {
        fill_zipf(dist);
    }
    *out = dist;
    return true;
}

void dist_delete(struct dist *dist)
{
    if (dist == NULL) {
        return;
    }
    if (dist->alias != NULL) {
        gsl_ran_discrete_free(dist->alias);
    }
    mem_free(dist->p);
    mem_free(dist->x);
    mem_free(dist->parts);
    mem_free(dist);
}

static double draw_mixture(const struct dist *dist, struct rng *rng)
{
    const double u = rng_unit(rng);
    size_t i = 0;
    while (i + 1 < dist->count && u >= dist->p[i]) {
        i++;
    }
    const gsl_rng gsl = adapt(rng);
    return exp(dist->parts[i].mu +
               gsl_ran_gaussian_ziggurat(&gsl, dist->parts[i].sigma));
}

static double knots_at(const struct dist *dist, double p)
{
    const size_t i = gsl_interp_bsearch(dist->p, p, 0, dist->count - 1);
    const double part = (p - dist->p[i]) / (dist->p[i + 1] - dist->p[i]);
    return exp(dist->x[i] + part * (dist->x[i + 1] - dist->x[i]));
}

static double draw_plain(const struct dist *dist, struct rng *rng)
{
    const gsl_rng gsl = adapt(rng);
    const double first = dist->first;
    const double second = dist->second;
    switch (dist->kind) {
    case DIST_CONST:
        return first;
    case DIST_UNIFORM:
        return first + rng_unit(rng) * (second - first);
    case DIST_NORMAL:
        return first + gsl_ran_gaussian_ziggurat(&gsl, second);
    case DIST_LOGNORMAL:
        return exp(first + gsl_ran_gaussian_ziggurat(&gsl, second));
    case DIST_EXPONENTIAL:
        return gsl_ran_exponential(&gsl, first);
    case DIST_GAMMA:
        return gsl_ran_gamma(&gsl, first, second);
    case DIST_WEIBULL:
        return gsl_ran_weibull(&gsl, second, first);
    case DIST_PARETO:
        return gsl_ran_pareto(&gsl, first, second);
    case DIST_BETA:
        return gsl_ran_beta(&gsl, first, second);
    case DIST_POISSON:
        return (double)gsl_ran_poisson(&gsl, first);
    case DIST_ZIPF:
        return (double)gsl_ran_discrete(&gsl, dist->alias);
    case DIST_MIXTURE:
        return draw_mixture(dist, rng);
    case DIST_QUANTILES:
        return knots_at(dist, rng_unit(rng));
    case DIST_KIND_COUNT:
    default:
        CHECK(false, "distribution of kind %d", (int)dist->kind);
        return 0;
    }
}

double dist_draw(const struct dist *dist, struct rng *rng)
{
    return dist->shift + draw_plain(dist, rng);
}

bool dist_has_quantile(const struct dist *dist)
{
    return dist->kind != DIST_MIXTURE && dist->kind != DIST_POISSON &&
           dist->kind != DIST_ZIPF;
}

static double quantile_plain(const struct dist *dist, double p)
{
    const double first = dist->first;
    const double second = dist->second;
    switch (dist->kind) {
    case DIST_CONST:
        return first;
    case DIST_UNIFORM:
        return first + p * (second - first);
    case DIST_NORMAL:
        return first + gsl_cdf_gaussian_Pinv(p, second);
    case DIST_LOGNORMAL:
        return exp(first + gsl_cdf_gaussian_Pinv(p, second));
    case DIST_EXPONENTIAL:
        return gsl_cdf_exponential_Pinv(p, first);
    case DIST_GAMMA:
        return gsl_cdf_gamma_Pinv(p, first, second);
    case DIST_WEIBULL:
        return gsl_cdf_weibull_Pinv(p, second, first);
    case DIST_PARETO:
        return gsl_cdf_pareto_Pinv(p, first, second);
    case DIST_BETA:
        return gsl_cdf_beta_Pinv(p, first, second);
    case DIST_QUANTILES:
        return knots_at(dist, p);
    case DIST_POISSON:
    case DIST_ZIPF:
    case DIST_MIXTURE:
    case DIST_KIND_COUNT:
    default:
        CHECK(false, "no quantile function for kind %d", (int)dist->kind);
        return 0;
    }
}

double dist_quantile(const struct dist *dist, double p)
{
    return dist->shift + quantile_plain(dist, p);
}

static double mixture_mean(const struct dist *dist)
{
    double mean = 0;
    double below = 0;
    for (size_t i = 0; i < dist->count; i++) {
        const struct dist_part *const part = &dist->parts[i];
        mean += (dist->p[i] - below) * exp(part->mu + part->sigma * part->sigma / 2);
        below = dist->p[i];
    }
    return mean;
}

static double zipf_mean(const struct dist *dist)
{
    const size_t count = (size_t)dist->second;
    double mean = 0;
    for (size_t i = 0; i < count; i++) {
        mean += (double)i * gsl_ran_discrete_pdf(i, dist->alias);
    }
    return mean;
}

double dist_mean(const struct dist *dist)
{
    const double first = dist->first;
    const double second = dist->second;
    switch (dist->kind) {
    case DIST_CONST:
    case DIST_NORMAL:
    case DIST_EXPONENTIAL:
    case DIST_POISSON:
        return dist->shift + first;
    case DIST_UNIFORM:
        return dist->shift + (first + second) / 2;
    case DIST_LOGNORMAL:
        return dist->shift + exp(first + second * second / 2);
    case DIST_GAMMA:
        return dist->shift + first * second;
    case DIST_WEIBULL:
        return dist->shift + second * gsl_sf_gamma(1 + 1 / first);
    case DIST_PARETO:
        return first > 1 ? dist->shift + first * second / (first - 1) : (double)NAN;
    case DIST_BETA:
        return dist->shift + first / (first + second);
    case DIST_ZIPF:
        return dist->shift + zipf_mean(dist);
    case DIST_MIXTURE:
        return dist->shift + mixture_mean(dist);
    case DIST_QUANTILES:
    case DIST_KIND_COUNT:
    default:
        return (double)NAN;
    }
}

double dist_draw_normal(struct rng *rng)
{
    const gsl_rng gsl = adapt(rng);
    return gsl_ran_gaussian_ziggurat(&gsl, 1);
}

double dist_normal_cdf(double z)
{
    return gsl_cdf_ugaussian_P(z);
}

double dist_draw_unit_exponential(struct rng *rng)
{
    const gsl_rng gsl = adapt(rng);
    return gsl_ran_exponential(&gsl, 1);
}
