/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_score.h: how far predictions of closed loops are from their measurements.
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_SCORE_H
#define STACKSIM_CLI_VALIDATE_CLOSED_SCORE_H

#include "base/text.h"
#include "cli/validate/closed_predict.h"

/* One scored row. */
struct closed_pair {
    const struct closed_row *row;
    struct closed_prediction predicted;
};

/* Mean absolute percentage errors; NaN without rows. */
struct closed_errors {
    size_t rows;
    double tpot_mape_pct;
    double ttft_mape_pct;
    double tpot_bias_pct; /* mean signed */
    double ttft_bias_pct;
};
struct closed_errors closed_errors_of(const struct closed_pair *pairs, size_t count);

/* Part of the pairs of rows with one model, prompt and output length whose TPOT comes
 * out in the measured order, 0 to 1; measured ties do not count, predicted ones count
 * half. NaN when there is no such pair. */
double closed_order_agreement(const struct closed_pair *pairs, size_t count,
                              uint64_t *compared);

struct closed_report {
    const char *path;
    const struct closed_rows *rows;
    struct closed_pair
        *pairs; /* sorted by group: system, model, backend, weight bits */
    size_t count;
    const struct closed_validation *held_out; /* or NULL */
};

struct json;
/* Puts the figures into an object. */
void closed_errors_json(struct json *object, const struct closed_errors *errors);

struct closed_validation; /* closed_fit.h */

void closed_report_sort(struct closed_report *report);
void closed_report_table(const struct closed_report *report, struct text *out);
void closed_report_json(const struct closed_report *report, struct text *out);

#endif
