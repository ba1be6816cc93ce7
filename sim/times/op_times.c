/* SPDX-License-Identifier: Apache-2.0
 *
 * op_times.c: interpolation, the same for tables and fits.
 */
#include "sim/times/op_times.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>

void op_grid_fini(struct op_grid *grid)
{
    mem_free(grid->batch);
    mem_free(grid->context);
    mem_free(grid->us);
    *grid = (struct op_grid){0};
}

void op_lines_fini(struct op_lines *lines)
{
    mem_free(lines->tokens);
    mem_free(lines->base_us);
    mem_free(lines->per_prompt_us);
    *lines = (struct op_lines){0};
}

/* Index of the lower point and the part of the way to the next; beyond the last two
 * points the part is above 1, below the first it is 0. */
static size_t place(const double *x, size_t count, double at, double *part)
{
    *part = 0.0;
    if (count == 1 || at <= x[0]) {
        return 0;
    }
    size_t low = 0;
    while (low + 2 < count && x[low + 1] < at) {
        low++;
    }
    *part = (at - x[low]) / (x[low + 1] - x[low]);
    return low;
}

static double between(double low, double high, double part)
{
    return part == 0.0 ? low : low + part * (high - low);
}

static double row_at(const struct op_grid *grid, size_t batch, size_t context,
                     double part)
{
    const double *us = grid->us + batch * grid->context_count + context;
    return between(us[0], part == 0.0 ? us[0] : us[1], part);
}

double op_grid_at(const struct op_grid *grid, double batch, double context)
{
    double in_batch = 0.0;
    double in_context = 0.0;
    CHECK(grid->batch_count > 0 && grid->context_count > 0, "an empty grid");
    const size_t i = place(grid->batch, grid->batch_count, batch, &in_batch);
    const size_t j = place(grid->context, grid->context_count, context, &in_context);
    const double low = row_at(grid, i, j, in_context);
    const double high = in_batch == 0.0 ? low : row_at(grid, i + 1, j, in_context);
    return fmax(0.0, between(low, high, in_batch));
}

double op_lines_at(const struct op_lines *lines, double prompts, double tokens)
{
    double below = 0.0; /* the most of any shorter length */
    double last_tokens = 0.0;
    CHECK(lines->count > 0, "no prompts were measured");
    for (size_t i = 0; i < lines->count; i++) {
        const double here = lines->base_us[i] + prompts * lines->per_prompt_us[i];
        const double us = fmax(below, here);
        if (tokens <= lines->tokens[i]) {
            const double span = lines->tokens[i] - last_tokens;
            return i == 0 ? us : below + (tokens - last_tokens) / span * (us - below);
        }
        below = us;
        last_tokens = lines->tokens[i];
    }
    const double longer = tokens / last_tokens;
    return below * longer * longer;
}
