/* SPDX-License-Identifier: Apache-2.0
 *
 * factors.c: logarithms of factors are searched, so that half and double are as far.
 */
#include "cli/calibrate/factors.h"

#include "base/check.h"
#include "stats/nonlinear.h"

#include <math.h>

enum { ITERATIONS_MAX = 12 };
static const double difference = 0.02;
static const double bound = 0.6931471805599453; /* of the logarithm: 1/2 to 2 */
static const double bound_share = 0.995;
static const double width_max = 0.15;
static const double soft_limit = 0.5;
static const double rms_far = 0.15; /* residual; runs that are understood have 0.02 */

struct searching {
    const struct factor_search *search;
    size_t active[FACTORS_MAX];
    size_t count;
};

static bool residuals_of(void *context, const double *x, double *out)
{
    const struct searching *searching = context;
    double values[FACTORS_MAX];
    for (size_t i = 0; i < FACTORS_MAX; i++) {
        values[i] = 1.0;
    }
    for (size_t i = 0; i < searching->count; i++) {
        values[searching->active[i]] = exp(x[i]);
    }
    return searching->search->residuals(searching->search->context, values, out);
}

/* At the edge of the search the data ask for what no factor can give. */
static bool is_found(const struct nonlinear_result *found, size_t i)
{
    return found->moves[i] && fabs(found->x[i]) < bound_share * bound;
}

static double half_width(const struct nonlinear_result *found, size_t i)
{
    return is_found(found, i) ? 0.5 * (found->high[i] - found->low[i])
                              : (double)INFINITY;
}

/* The least known of the active ones; count when all are known well. Without blocks
 * nobody knows, and only what nothing depends on goes. */
static size_t worst_of(const struct searching *searching,
                       const struct nonlinear_result *found)
{
    size_t worst = searching->count;
    double widest = width_max;
    for (size_t i = 0; i < searching->count; i++) {
        const bool judged = searching->search->block_count >= 2 || !is_found(found, i);
        if (judged && half_width(found, i) > widest) {
            widest = half_width(found, i);
            worst = i;
        }
    }
    return worst;
}

static void factor_set(struct factor *factor, const struct nonlinear_result *found,
                       size_t i, bool determined)
{
    factor->determined = determined;
    factor->value = determined ? exp(found->x[i]) : 1.0;
    factor->low = exp(found->low[i]);
    factor->high = exp(found->high[i]);
}

bool factors_find(struct factor_search *search)
{
    struct searching searching = {.search = search, .count = search->count};
    CHECK(search->count >= 1 && search->count <= FACTORS_MAX, "%zu factors",
          search->count);
    for (size_t i = 0; i < search->count; i++) {
        searching.active[i] = i;
    }
    search->simulations = 0;
    while (searching.count > 0) {
        struct nonlinear_result found;
        const struct nonlinear_problem problem = {.rows = search->rows,
                                                  .columns = searching.count,
                                                  .context = &searching,
                                                  .residuals = residuals_of,
                                                  .difference = difference,
                                                  .bound = bound,
                                                  .blocks = search->blocks,
                                                  .block_count = search->block_count,
                                                  .iterations_max = ITERATIONS_MAX};
        const bool ok = nonlinear_fit(&found, &problem);
        search->simulations += found.evaluations;
        if (!ok) {
            return false;
        }
        search->rms_start = found.rms_start;
        search->rms_end = found.rms_end;
        const size_t worst = worst_of(&searching, &found);
        if (worst == searching.count) {
            for (size_t i = 0; i < searching.count; i++) {
                factor_set(&search->factors[searching.active[i]], &found, i, true);
            }
            return true;
        }
        factor_set(&search->factors[searching.active[worst]], &found, worst, false);
        for (size_t i = worst; i + 1 < searching.count; i++) {
            searching.active[i] = searching.active[i + 1];
        }
        searching.count--;
    }
    search->rms_end = search->rms_start;
    return true;
}

static void interval_add(const struct factor *factor, struct text *out)
{
    if (factor->low > 0.0 && isfinite(factor->high)) {
        text_printf(out, "[%.4f, %.4f]", factor->low, factor->high);
    } else {
        text_add(out, "[not known]");
    }
}

void factors_line(const struct factor_search *search, struct text *out)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct factor *factor = &search->factors[i];
        text_printf(out, "%s%s %.4f ", i > 0 ? ", " : "", factor->name, factor->value);
        if (factor->determined) {
            interval_add(factor, out);
        } else {
            text_add(out, "(not determined)");
        }
    }
}

void factors_report(const struct factor_search *search, struct text *out)
{
    size_t unknown = 0;
    for (size_t i = 0; i < search->count; i++) {
        const struct factor *factor = &search->factors[i];
        text_printf(out, "  %-16s %8.4f  ", factor->name, factor->value);
        interval_add(factor, out);
        text_printf(out, "  %s%s\n", factor->help,
                    factor->determined ? "" : "; not determined, kept at 1");
        unknown += !factor->determined;
    }
    text_printf(out,
                "residual %.2f %% before, %.2f %% after (root mean square), %u "
                "simulations\n",
                100.0 * search->rms_start, 100.0 * search->rms_end,
                search->simulations);
    if (search->rms_end > rms_far) {
        text_add(out,
                 "still far: no factor mends this; is it the same engine, with the "
                 "same settings?\n");
    }
    if (unknown == 0) {
        text_add(out, search->block_count >= 2
                          ? "the data determine every factor\n"
                          : "too little data to say how sure the factors are\n");
        return;
    }
    text_add(out, "not determined:");
    for (size_t i = 0, told = 0; i < search->count; i++) {
        if (!search->factors[i].determined) {
            text_printf(out, "%s %s", told++ > 0 ? "," : "", search->factors[i].name);
        }
    }
    text_add(out, "\n");
}

double factors_soften(double residual)
{
    const double part = residual / soft_limit;
    return residual / sqrt(1.0 + part * part);
}
