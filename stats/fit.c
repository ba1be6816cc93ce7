/* SPDX-License-Identifier: Apache-2.0
 *
 * fit.c: GSL's weighted least squares, after the columns have been sorted out.
 *
 * Rank is judged on columns scaled to unit length: whether tokens are counted in ones
 * or thousands must not decide what is known. Columns enter one by one in their given
 * order and stay out when what is left of them after projection on those before is
 * less than 1e-6 of their length; so of two columns that say the same, the first is
 * fitted and the second is named as undetermined. The singular value decomposition that
 * GSL offers tells the rank, too, but shares an undetermined sum among its terms, which
 * reads like knowledge.
 */
#include "stats/fit.h"

#include "base/check.h"
#include "base/mem.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_multifit.h>
#include <math.h>

static const double rank_tolerance = 1e-6;
static const double interval_tail = 0.975;

static double root_weight(const struct fit_problem *problem, size_t row)
{
    return problem->weight == NULL ? 1.0 : sqrt(problem->weight[row]);
}

/* Weighted, of unit length; false when there is nothing in it. */
static bool column_scaled(const struct fit_problem *problem, size_t column, double *out)
{
    double square = 0.0;
    for (size_t i = 0; i < problem->rows; i++) {
        out[i] = problem->x[i * problem->columns + column] * root_weight(problem, i);
        square += out[i] * out[i];
    }
    if (square <= 0.0) {
        return false;
    }
    const double length = sqrt(square);
    for (size_t i = 0; i < problem->rows; i++) {
        out[i] /= length;
    }
    return true;
}

/* Takes the part along each basis vector away, twice for accuracy (Kahan's "twice is
 * enough"); returns the length of the rest. */
static double project(double *column, const double *basis, size_t count, size_t rows)
{
    double square = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t b = 0; b < count; b++) {
            double dot = 0.0;
            for (size_t i = 0; i < rows; i++) {
                dot += column[i] * basis[b * rows + i];
            }
            for (size_t i = 0; i < rows; i++) {
                column[i] -= dot * basis[b * rows + i];
            }
        }
    }
    for (size_t i = 0; i < rows; i++) {
        square += column[i] * column[i];
    }
    return sqrt(square);
}

/* Bits of the columns in `candidates` that the rows can tell apart. */
static uint32_t columns_known(const struct fit_problem *problem, uint32_t candidates)
{
    double *basis = mem_alloc(problem->columns * problem->rows, sizeof(double));
    size_t count = 0;
    uint32_t known = 0;
    for (size_t c = 0; c < problem->columns && count < problem->rows; c++) {
        double *column = basis + count * problem->rows;
        if ((candidates >> c & 1U) == 0 || !column_scaled(problem, c, column)) {
            continue;
        }
        const double rest = project(column, basis, count, problem->rows);
        if (rest < rank_tolerance) {
            continue;
        }
        for (size_t i = 0; i < problem->rows; i++) {
            column[i] /= rest;
        }
        known |= 1U << c;
        count++;
    }
    mem_free(basis);
    return known;
}

struct solver {
    size_t count; /* columns that are fitted */
    size_t columns[FIT_COLUMNS_MAX];
    double scale[FIT_COLUMNS_MAX]; /* length of each, weighted */
    gsl_matrix *x;
    gsl_vector *y;
    gsl_vector *weight;
    gsl_vector *value;
    gsl_matrix *covariance;
    gsl_multifit_linear_workspace *work;
};

static void solver_init(struct solver *solver, const struct fit_problem *problem,
                        uint32_t chosen)
{
    *solver = (struct solver){0};
    for (size_t c = 0; c < problem->columns; c++) {
        if (chosen >> c & 1U) {
            solver->columns[solver->count++] = c;
        }
    }
    solver->x = gsl_matrix_alloc(problem->rows, solver->count);
    solver->y = gsl_vector_alloc(problem->rows);
    solver->weight = gsl_vector_alloc(problem->rows);
    solver->value = gsl_vector_alloc(solver->count);
    solver->covariance = gsl_matrix_alloc(solver->count, solver->count);
    solver->work = gsl_multifit_linear_alloc(problem->rows, solver->count);
    for (size_t c = 0; c < solver->count; c++) {
        double square = 0.0;
        for (size_t i = 0; i < problem->rows; i++) {
            const double x = problem->x[i * problem->columns + solver->columns[c]];
            const double root = root_weight(problem, i);
            square += x * root * x * root;
        }
        solver->scale[c] = sqrt(square);
    }
    for (size_t i = 0; i < problem->rows; i++) {
        const double root = root_weight(problem, i);
        gsl_vector_set(solver->y, i, problem->y[i]);
        gsl_vector_set(solver->weight, i, root * root);
        for (size_t c = 0; c < solver->count; c++) {
            gsl_matrix_set(solver->x, i, c,
                           problem->x[i * problem->columns + solver->columns[c]] /
                               solver->scale[c]);
        }
    }
}

static void solver_fini(struct solver *solver)
{
    gsl_matrix_free(solver->x);
    gsl_vector_free(solver->y);
    gsl_vector_free(solver->weight);
    gsl_vector_free(solver->value);
    gsl_matrix_free(solver->covariance);
    gsl_multifit_linear_free(solver->work);
}

static void coefficient_set(struct fit_coefficient *coefficient, double value,
                            double error, double freedom)
{
    const double margin =
        freedom > 0.0 ? gsl_cdf_tdist_Pinv(interval_tail, freedom) * error : 0.0;
    coefficient->value = value;
    coefficient->standard_error = error;
    coefficient->low = value - margin;
    coefficient->high = value + margin;
    /* As many columns as rows: they fit, and say nothing of how well. */
    coefficient->status =
        freedom > 0.0 && (coefficient->low > 0.0 || coefficient->high < 0.0)
            ? FIT_SURE
            : FIT_UNSURE;
}

/* Fits the chosen columns; the others keep what they have. */
static void solve(struct fit_result *result, const struct fit_problem *problem,
                  uint32_t chosen)
{
    struct solver solver;
    solver_init(&solver, problem, chosen);
    double square = 0.0;
    const int status =
        gsl_multifit_wlinear(solver.x, solver.weight, solver.y, solver.value,
                             solver.covariance, &square, solver.work);
    CHECK(status == GSL_SUCCESS, "least squares over %zu columns failed", solver.count);
    const double freedom = (double)problem->rows - (double)solver.count;
    /* Weights say how rows compare, not how exact they are: the residuals say that. */
    const double variance = freedom > 0.0 ? square / freedom : 0.0;
    for (size_t c = 0; c < solver.count; c++) {
        const double scale = solver.scale[c];
        const double error =
            sqrt(variance * gsl_matrix_get(solver.covariance, c, c)) / scale;
        coefficient_set(&result->coefficients[solver.columns[c]],
                        gsl_vector_get(solver.value, c) / scale, error, freedom);
    }
    const double rcond = gsl_multifit_linear_rcond(solver.work);
    result->condition = rcond > 0.0 ? 1.0 / rcond : (double)INFINITY;
    result->rank = solver.count;
    solver_fini(&solver);
}

/* The coefficient that is most surely below a bound of 0; columns when there is none.
 */
static size_t worst_negative(const struct fit_result *result,
                             const struct fit_problem *problem, uint32_t chosen)
{
    size_t worst = problem->columns;
    double lowest = 0.0;
    for (size_t c = 0; c < problem->columns; c++) {
        const struct fit_coefficient *at = &result->coefficients[c];
        if ((chosen & problem->not_negative) >> c & 1U && at->value < 0.0) {
            const double sureness = at->value / fmax(at->standard_error, 1e-300);
            if (worst == problem->columns || sureness < lowest) {
                worst = c;
                lowest = sureness;
            }
        }
    }
    return worst;
}

static void errors_measure(struct fit_result *result, const struct fit_problem *problem)
{
    double sum = 0.0;
    for (size_t i = 0; i < problem->rows; i++) {
        double fit = 0.0;
        for (size_t c = 0; c < problem->columns; c++) {
            fit += problem->x[i * problem->columns + c] * result->coefficients[c].value;
        }
        const double error = fabs(fit - problem->y[i]) / problem->y[i];
        sum += error;
        result->worst_abs_error = fmax(result->worst_abs_error, error);
    }
    result->mean_abs_error = problem->rows > 0 ? sum / (double)problem->rows : 0.0;
}

void fit_linear(struct fit_result *result, const struct fit_problem *problem)
{
    CHECK(problem->columns >= 1 && problem->columns <= FIT_COLUMNS_MAX, "%zu columns",
          problem->columns);
    *result = (struct fit_result){.rows = problem->rows};
    const uint32_t all = (1U << problem->columns) - 1U;
    for (size_t c = 0; c < problem->columns; c++) {
        result->coefficients[c].status = FIT_UNDETERMINED;
    }
    if (problem->rows == 0) {
        return;
    }
    uint32_t candidates = all;
    uint32_t chosen = columns_known(problem, candidates);
    while (chosen != 0) {
        solve(result, problem, chosen);
        const size_t worst = worst_negative(result, problem, chosen);
        if (worst == problem->columns) {
            break;
        }
        for (size_t c = 0; c < problem->columns; c++) {
            if (chosen >> c & 1U) {
                result->coefficients[c] =
                    (struct fit_coefficient){.status = FIT_UNDETERMINED};
            }
        }
        candidates &= ~(1U << worst);
        result->coefficients[worst].status = FIT_HELD_AT_ZERO;
        chosen = columns_known(problem, candidates);
    }
    errors_measure(result, problem);
}

const char *fit_status_name(enum fit_status status)
{
    static const char *const names[] = {[FIT_SURE] = "sure",
                                        [FIT_UNSURE] = "unsure",
                                        [FIT_HELD_AT_ZERO] = "held_at_zero",
                                        [FIT_UNDETERMINED] = "undetermined"};
    return names[status];
}
