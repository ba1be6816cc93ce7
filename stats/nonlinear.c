/* SPDX-License-Identifier: Apache-2.0
 *
 * nonlinear.c: GSL's trust region drives; the points it asks for are clamped, counted
 * and remembered here.
 */
#include "stats/nonlinear.h"

#include "base/check.h"
#include "base/mem.h"
#include "stats/fit.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <string.h>

static const double interval_tail = 0.975;
static const double tolerance = 1e-5;
static const double influence_min = 1e-9;

struct descent {
    const struct nonlinear_problem *problem;
    double *best; /* residuals there */
    double best_square;
    double best_x[NONLINEAR_COLUMNS_MAX];
    double *scratch; /* two times rows */
    uint32_t evaluations;
    bool failed;
};

static bool evaluate(struct descent *descent, const double *x, double *out)
{
    const struct nonlinear_problem *problem = descent->problem;
    double inside[NONLINEAR_COLUMNS_MAX];
    double square = 0.0;
    for (size_t c = 0; c < problem->columns; c++) {
        inside[c] = fmin(problem->bound, fmax(-problem->bound, x[c]));
    }
    descent->evaluations++;
    if (descent->failed || !problem->residuals(problem->context, inside, out)) {
        descent->failed = true;
        return false;
    }
    for (size_t i = 0; i < problem->rows; i++) {
        square += out[i] * out[i];
    }
    if (descent->evaluations == 1 || square < descent->best_square) {
        descent->best_square = square;
        memcpy(descent->best, out, problem->rows * sizeof(double));
        memcpy(descent->best_x, inside, sizeof inside);
    }
    return true;
}

static void vector_take(const gsl_vector *vector, double *out)
{
    for (size_t i = 0; i < vector->size; i++) {
        out[i] = gsl_vector_get(vector, i);
    }
}

static int residuals_of(const gsl_vector *x, void *params, gsl_vector *f)
{
    struct descent *descent = params;
    double at[NONLINEAR_COLUMNS_MAX];
    vector_take(x, at);
    if (!evaluate(descent, at, descent->scratch)) {
        return GSL_EFAILED;
    }
    for (size_t i = 0; i < f->size; i++) {
        gsl_vector_set(f, i, descent->scratch[i]);
    }
    return GSL_SUCCESS;
}

/* Central differences into rows x columns. */
static bool slopes(struct descent *descent, const double *x, double *out)
{
    const struct nonlinear_problem *problem = descent->problem;
    double *up = descent->scratch;
    double *down = descent->scratch + problem->rows;
    for (size_t c = 0; c < problem->columns; c++) {
        double at[NONLINEAR_COLUMNS_MAX];
        memcpy(at, x, problem->columns * sizeof(double));
        at[c] = x[c] + problem->difference;
        if (!evaluate(descent, at, up)) {
            return false;
        }
        at[c] = x[c] - problem->difference;
        if (!evaluate(descent, at, down)) {
            return false;
        }
        for (size_t i = 0; i < problem->rows; i++) {
            out[i * problem->columns + c] =
                (up[i] - down[i]) / (2.0 * problem->difference);
        }
    }
    return true;
}

static int jacobian_of(const gsl_vector *x, void *params, gsl_matrix *jacobian)
{
    struct descent *descent = params;
    const size_t columns = descent->problem->columns;
    double at[NONLINEAR_COLUMNS_MAX];
    double *all = mem_alloc(descent->problem->rows * columns, sizeof(double));
    vector_take(x, at);
    const bool ok = slopes(descent, at, all);
    for (size_t i = 0; ok && i < descent->problem->rows; i++) {
        for (size_t c = 0; c < columns; c++) {
            gsl_matrix_set(jacobian, i, c, all[i * columns + c]);
        }
    }
    mem_free(all);
    return ok ? GSL_SUCCESS : GSL_EFAILED;
}

static void descend(struct descent *descent)
{
    const struct nonlinear_problem *problem = descent->problem;
    gsl_multifit_nlinear_parameters parameters =
        gsl_multifit_nlinear_default_parameters();
    gsl_multifit_nlinear_workspace *work = gsl_multifit_nlinear_alloc(
        gsl_multifit_nlinear_trust, &parameters, problem->rows, problem->columns);
    gsl_multifit_nlinear_fdf functions = {.f = residuals_of,
                                          .df = jacobian_of,
                                          .n = problem->rows,
                                          .p = problem->columns,
                                          .params = descent};
    gsl_vector *start = gsl_vector_calloc(problem->columns);
    int info = 0;
    /* Where it stops does not matter: the best point seen is kept, and a search that
     * ends on a stair has ended. */
    if (gsl_multifit_nlinear_init(start, &functions, work) == GSL_SUCCESS) {
        (void)gsl_multifit_nlinear_driver(problem->iterations_max, tolerance, tolerance,
                                          0.0, NULL, NULL, &info, work);
    }
    gsl_vector_free(start);
    gsl_multifit_nlinear_free(work);
}

/* ---- intervals */

struct linear {
    const struct nonlinear_problem *problem;
    const double *slopes; /* at the answer */
    const double *rest;   /* residuals there */
};

/* The step that least squares would take without one block (block_count: with all). */
static void step_without(const struct linear *linear, uint32_t block,
                         struct fit_result *result)
{
    const struct nonlinear_problem *problem = linear->problem;
    const size_t columns = problem->columns;
    double *x = mem_alloc(problem->rows * columns, sizeof(double));
    double *y = mem_alloc(problem->rows, sizeof(double));
    size_t rows = 0;
    for (size_t i = 0; i < problem->rows; i++) {
        if (problem->blocks[i] != block) {
            memcpy(x + rows * columns, linear->slopes + i * columns,
                   columns * sizeof(double));
            y[rows++] = -linear->rest[i];
        }
    }
    fit_linear(result,
               &(struct fit_problem){.rows = rows, .columns = columns, .x = x, .y = y});
    mem_free(x);
    mem_free(y);
}

static void intervals_set(struct nonlinear_result *result, const struct linear *linear)
{
    const struct nonlinear_problem *problem = linear->problem;
    const uint32_t blocks = problem->block_count;
    double sum[NONLINEAR_COLUMNS_MAX] = {0.0};
    double square[NONLINEAR_COLUMNS_MAX] = {0.0};
    for (uint32_t b = 0; b < blocks; b++) {
        struct fit_result without;
        step_without(linear, b, &without);
        for (size_t c = 0; c < problem->columns; c++) {
            const struct fit_coefficient *at = &without.coefficients[c];
            const bool known = at->status != FIT_UNDETERMINED;
            sum[c] += known ? at->value : (double)NAN;
            square[c] += at->value * at->value;
        }
    }
    const double quantile = gsl_cdf_tdist_Pinv(interval_tail, blocks - 1.0);
    for (size_t c = 0; c < problem->columns; c++) {
        const double mean = sum[c] / blocks;
        const double spread = fmax(0.0, square[c] - blocks * mean * mean);
        const double error = sqrt((blocks - 1.0) / blocks * spread);
        if (isfinite(mean) && result->moves[c]) {
            result->low[c] = result->x[c] - quantile * error;
            result->high[c] = result->x[c] + quantile * error;
        }
    }
}

static void uncertainty_set(struct nonlinear_result *result, struct descent *descent)
{
    const struct nonlinear_problem *problem = descent->problem;
    double *rest = mem_alloc(problem->rows, sizeof(double));
    double *all = mem_alloc(problem->rows * problem->columns, sizeof(double));
    memcpy(rest, descent->best, problem->rows * sizeof(double));
    memcpy(result->x, descent->best_x, sizeof result->x);
    result->rms_end = sqrt(descent->best_square / (double)problem->rows);
    if (slopes(descent, result->x, all)) {
        for (size_t i = 0; i < problem->rows * problem->columns; i++) {
            const size_t c = i % problem->columns;
            result->moves[c] = result->moves[c] || fabs(all[i]) > influence_min;
        }
        if (problem->block_count >= 2) {
            intervals_set(result, &(struct linear){problem, all, rest});
        }
    }
    mem_free(rest);
    mem_free(all);
}

bool nonlinear_fit(struct nonlinear_result *result,
                   const struct nonlinear_problem *problem)
{
    CHECK(problem->columns >= 1 && problem->columns <= NONLINEAR_COLUMNS_MAX &&
              problem->rows >= problem->columns,
          "%zu rows and %zu columns", problem->rows, problem->columns);
    struct descent descent = {.problem = problem};
    const double zero[NONLINEAR_COLUMNS_MAX] = {0.0};
    *result = (struct nonlinear_result){0};
    for (size_t c = 0; c < NONLINEAR_COLUMNS_MAX; c++) {
        result->low[c] = -(double)INFINITY;
        result->high[c] = (double)INFINITY;
    }
    descent.best = mem_alloc(problem->rows, sizeof(double));
    descent.scratch = mem_alloc(2 * problem->rows, sizeof(double));
    if (evaluate(&descent, zero, descent.scratch)) {
        result->rms_start = sqrt(descent.best_square / (double)problem->rows);
        descend(&descent);
        uncertainty_set(result, &descent);
    }
    result->evaluations = descent.evaluations;
    mem_free(descent.best);
    mem_free(descent.scratch);
    return !descent.failed;
}
