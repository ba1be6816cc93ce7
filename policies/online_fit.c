/* SPDX-License-Identifier: Apache-2.0
 *
 * online_fit.c: normal equations, solved by Cholesky now and then.
 *
 * Recursive least squares would update the weights with each sample, but its matrix
 * loses symmetry under forgetting and has to be watched. The moments are sums of
 * squares, so with the ridge they are always positive definite; to solve for seven
 * terms takes less than a microsecond, and once in 32 samples is often enough.
 */
#include "policies/online_fit.h"

#include <math.h>

enum { SOLVE_EACH = 32, TERMS = ONLINE_FIT_TERMS };
static const double ridge = 1e-6; /* of a sample's worth */

void online_fit_init(struct online_fit *fit, double keep)
{
    *fit = (struct online_fit){.keep = keep};
}

/* Lower triangle L of moments + ridge with L L' equal to it. */
static void factor(const struct online_fit *fit, double lower[TERMS][TERMS])
{
    for (int i = 0; i < TERMS; i++) {
        for (int j = 0; j <= i; j++) {
            double rest = fit->moments[i][j] + (i == j ? ridge : 0);
            for (int k = 0; k < j; k++) {
                rest -= lower[i][k] * lower[j][k];
            }
            /* Rounding may eat the ridge of terms that depend on one another. */
            lower[i][j] =
                i == j ? sqrt(rest > ridge / 2 ? rest : ridge / 2) : rest / lower[j][j];
        }
    }
}

static void solve(struct online_fit *fit)
{
    double lower[TERMS][TERMS] = {{0}};
    double half[TERMS];
    factor(fit, lower);
    for (int i = 0; i < TERMS; i++) {
        double rest = fit->sums[i];
        for (int k = 0; k < i; k++) {
            rest -= lower[i][k] * half[k];
        }
        half[i] = rest / lower[i][i];
    }
    for (int i = TERMS; i-- > 0;) {
        double rest = half[i];
        for (int k = i + 1; k < TERMS; k++) {
            rest -= lower[k][i] * fit->weights[k];
        }
        fit->weights[i] = rest / lower[i][i];
    }
    fit->unsolved = 0;
}

void online_fit_add(struct online_fit *fit, const double terms[TERMS], double value)
{
    for (int i = 0; i < TERMS; i++) {
        for (int j = 0; j <= i; j++) {
            fit->moments[i][j] = fit->keep * fit->moments[i][j] + terms[i] * terms[j];
        }
        fit->sums[i] = fit->keep * fit->sums[i] + terms[i] * value;
    }
    fit->samples++;
    if (++fit->unsolved >= SOLVE_EACH) {
        solve(fit);
    }
}

double online_fit_predict(const struct online_fit *fit, const double terms[TERMS])
{
    double value = 0;
    for (int i = 0; i < TERMS; i++) {
        value += fit->weights[i] * terms[i];
    }
    return value;
}
