/* SPDX-License-Identifier: Apache-2.0
 *
 * experts.c: a curve over activated experts for each measured number of tokens, and a
 * line between the two neighbours.
 */
#include "sim/times/experts.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct experts {
    struct moe_row *rows; /* sorted */
    size_t curve_count;
    double *tokens;
    struct profile_curve *curves; /* x: activated experts */
};

static int compare_rows(const void *a, const void *b)
{
    const struct moe_row *left = a;
    const struct moe_row *right = b;
    if (left->tokens != right->tokens) {
        return left->tokens < right->tokens ? -1 : 1;
    }
    return (left->activated_experts > right->activated_experts) -
           (left->activated_experts < right->activated_experts);
}

/* Ascending x; of a repeated one the mean so far moves on. */
static void curve_append(struct profile_curve *curve, size_t *same, double x, double us)
{
    if (curve->count > 0 && curve->x[curve->count - 1] == x) {
        double *mean = &curve->us[curve->count - 1];
        *same += 1;
        *mean += (us - *mean) / (double)*same;
        return;
    }
    curve->x[curve->count] = x;
    curve->us[curve->count++] = us;
    *same = 1;
}

struct experts *experts_new(const struct moe_row *rows, size_t count)
{
    CHECK(count > 0, "no measured experts");
    struct experts *experts = mem_alloc(1, sizeof *experts);
    experts->rows = mem_alloc(count, sizeof *experts->rows);
    experts->tokens = mem_alloc(count, sizeof(double));
    experts->curves = mem_alloc(count, sizeof *experts->curves);
    for (size_t i = 0; i < count; i++) {
        experts->rows[i] = rows[i];
    }
    qsort(experts->rows, count, sizeof *experts->rows, compare_rows);
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        const struct moe_row *row = &experts->rows[i];
        if (i == 0 || row->tokens != experts->rows[i - 1].tokens) {
            struct profile_curve *curve = &experts->curves[experts->curve_count];
            curve->x = mem_alloc(count - i, sizeof(double));
            curve->us = mem_alloc(count - i, sizeof(double));
            experts->tokens[experts->curve_count++] = row->tokens;
        }
        curve_append(&experts->curves[experts->curve_count - 1], &same,
                     row->activated_experts, row->us);
    }
    return experts;
}

void experts_delete(struct experts *experts)
{
    if (experts == NULL) {
        return;
    }
    for (size_t i = 0; i < experts->curve_count; i++) {
        profile_curve_fini(&experts->curves[i]);
    }
    mem_free(experts->curves);
    mem_free(experts->tokens);
    mem_free(experts->rows);
    mem_free(experts);
}

double experts_us(const struct experts *experts, double tokens, double activated)
{
    const struct profile_curve *curves = experts->curves;
    const size_t last = experts->curve_count - 1;
    if (last == 0 || tokens <= experts->tokens[0]) {
        return profile_curve_at(&curves[0], activated);
    }
    size_t high = 1;
    while (high < last && experts->tokens[high] < tokens) {
        high++;
    }
    const double below = profile_curve_at(&curves[high - 1], activated);
    const double above = profile_curve_at(&curves[high], activated);
    const double part = (tokens - experts->tokens[high - 1]) /
                        (experts->tokens[high] - experts->tokens[high - 1]);
    return fmax(0.0, below + part * (above - below));
}

double experts_activated(double tokens, double per_token, double count)
{
    return count * (1.0 - pow(1.0 - per_token / count, tokens));
}
