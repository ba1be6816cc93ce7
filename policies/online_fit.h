/* SPDX-License-Identifier: Apache-2.0
 *
 * online_fit.h: a linear model that learns while it predicts.
 *
 * Least squares over all samples, each worth `keep` times the next one, so that about
 * 1 / (1 - keep) of the latest decide; with a little ridge, so that terms which never
 * vary do no harm. A few hundred bytes, whatever it has seen.
 */
#ifndef STACKSIM_POLICIES_ONLINE_FIT_H
#define STACKSIM_POLICIES_ONLINE_FIT_H

#include <stdint.h>

enum { ONLINE_FIT_TERMS = 7 };

struct online_fit {
    double keep;
    uint64_t samples;
    uint32_t unsolved; /* samples since the weights were computed */
    double moments[ONLINE_FIT_TERMS][ONLINE_FIT_TERMS]; /* sum of x x' */
    double sums[ONLINE_FIT_TERMS];                      /* sum of x y */
    double weights[ONLINE_FIT_TERMS];
};

void online_fit_init(struct online_fit *fit, double keep);
/* Terms should be of the order of 1, the first one 1 for a constant. */
void online_fit_add(struct online_fit *fit, const double terms[ONLINE_FIT_TERMS],
                    double value);
/* 0 before the first sample. */
double online_fit_predict(const struct online_fit *fit,
                          const double terms[ONLINE_FIT_TERMS]);

#endif
