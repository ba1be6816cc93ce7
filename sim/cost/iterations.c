/* SPDX-License-Identifier: Apache-2.0
 *
 * iterations.c: step times by interpolation between whole iterations that were timed
 * from outside, as splitwise-sim does it (Mutinifni/splitwise-sim at 8f99e7dc,
 * performance_model.py; MIT), for comparison.
 *
 * The table's key is the tokens of all its prompts, prompt_size x batch_size, for
 * prompts and tokens alike; a step's key is its own tokens, one for each decode.
 * Prompts alone take the first iteration's time, decodes alone the later ones', both
 * together mixed_factor times the first's. Medians of repeats, straight lines between,
 * extended at both ends. Contexts do not count, so decode runs have one length
 * throughout.
 */
#include "sim/times/iterations.h"

#include "base/mem.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double step_ms_max = 3.6e6;

struct point {
    double tokens;
    double prompt_ms;
    double token_ms;
};

struct iterations {
    struct point *points; /* ascending in tokens */
    size_t count;
    double mixed_factor;
    char gpu[FACT_NAME_BYTES];
    char model[FACT_NAME_BYTES];
};

/* The piece that holds x, or the nearest one. */
static const struct point *piece_at(const struct iterations *self, double x)
{
    size_t i = 0;
    while (i + 2 < self->count && self->points[i + 1].tokens < x) {
        i++;
    }
    return &self->points[i];
}

static double line_ms(double from_x, double from_ms, double to_x, double to_ms,
                      double x)
{
    return from_ms + (to_ms - from_ms) * (x - from_x) / (to_x - from_x);
}

static double prompt_ms(const struct iterations *self, double x)
{
    const struct point *at = piece_at(self, x);
    return line_ms(at[0].tokens, at[0].prompt_ms, at[1].tokens, at[1].prompt_ms, x);
}

static double token_ms(const struct iterations *self, double x)
{
    const struct point *at = piece_at(self, x);
    return line_ms(at[0].tokens, at[0].token_ms, at[1].tokens, at[1].token_ms, x);
}

static int64_t fx_of_ms(double ms)
{
    const int64_t fx = cost_fx_of_s(fmin(fmax(ms, 0.0), step_ms_max) * 1e-3);
    return fx > 0 ? fx : 1;
}

static int64_t iterations_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct iterations *self = state;
    const double tokens = shape->decodes + (double)shape->chunk_tokens;
    if (shape->chunks == 0) {
        return fx_of_ms(token_ms(self, tokens));
    }
    const double factor = shape->decodes > 0 ? self->mixed_factor : 1.0;
    return fx_of_ms(factor * prompt_ms(self, tokens));
}

static struct decode_cost iterations_decode(const void *state, uint32_t decodes,
                                            uint64_t context, uint32_t context_max)
{
    (void)context;
    (void)context_max;
    return (struct decode_cost){.first_fx = fx_of_ms(token_ms(state, decodes)),
                                .valid_steps = COST_STEPS_MAX};
}

/* ---- life */

static void iterations_fini(void *state)
{
    struct iterations *self = state;
    mem_free(self->points);
}

static double key_of(const struct iteration_row *row)
{
    return (double)row->prompt_tokens * row->batch;
}

static int by_key(const void *left, const void *right)
{
    const double a = key_of(left);
    const double b = key_of(right);
    return a < b ? -1 : a > b;
}

/* Medians over all rows of a key, of whatever sweep. */
static void points_fill(struct iterations *self, struct iteration_table *table)
{
    double *prompts = mem_alloc(table->count, sizeof *prompts);
    double *tokens = mem_alloc(table->count, sizeof *tokens);
    self->points = mem_alloc(table->count, sizeof *self->points);
    qsort(table->rows, table->count, sizeof *table->rows, by_key);
    for (size_t from = 0, to = 0; from < table->count; from = to) {
        while (to < table->count && by_key(&table->rows[from], &table->rows[to]) == 0) {
            prompts[to - from] = table->rows[to].prompt_ms;
            tokens[to - from] = table->rows[to].token_ms;
            to++;
        }
        self->points[self->count++] =
            (struct point){.tokens = key_of(&table->rows[from]),
                           .prompt_ms = iteration_median(prompts, to - from),
                           .token_ms = iteration_median(tokens, to - from)};
    }
    mem_free(prompts);
    mem_free(tokens);
}

/* As written, or relative to the file that says so. */
static void table_path(const struct conf_node *map, const char *path, char *out)
{
    const char *file = conf_path(map);
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || slash == NULL) {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        snprintf(out, PATH_MAX, "%.*s/%s", (int)(slash - file), file, path);
    }
}

static bool table_read(struct iterations *self, const struct cost_setup *setup,
                       struct err *err)
{
    const char *path = NULL;
    struct iteration_choice choice = {.tensor_parallel =
                                          setup->engine->tensor_parallel};
    if (!conf_str(setup->map, "table", &path, err) ||
        !conf_str(setup->map, "table_gpu", &choice.gpu, err) ||
        !conf_str(setup->map, "table_model", &choice.model, err)) {
        return false;
    }
    if (path == NULL) {
        return conf_fail(setup->map, err,
                         "cost: model iterations needs `table: FILE.csv`; see "
                         "docs/cost-models.md");
    }
    char found[PATH_MAX];
    struct iteration_table table;
    table_path(setup->map, path, found);
    if (!iteration_table_load(&table, found, &choice, err)) {
        return false;
    }
    memcpy(self->gpu, table.gpu, sizeof self->gpu);
    memcpy(self->model, table.model, sizeof self->model);
    points_fill(self, &table);
    iteration_table_fini(&table);
    return self->count >= 2 || conf_fail(setup->map, err,
                                         "%s: two sizes at least are due to draw a "
                                         "line between",
                                         found);
}

static bool iterations_init(void *state, const struct cost_setup *setup,
                            struct err *err)
{
    struct iterations *self = state;
    self->mixed_factor = 1.1;
    if (!conf_f64(setup->map, "mixed_factor", &self->mixed_factor, 0.01, 100.0, err) ||
        !table_read(self, setup, err)) {
        iterations_fini(self);
        return false;
    }
    return true;
}

static void iterations_describe(const void *state, struct text *out)
{
    const struct iterations *self = state;
    text_printf(out,
                "interpolated as splitwise-sim does between whole iterations of %s on "
                "%s, %zu sizes",
                self->model, self->gpu, self->count);
}

const struct cost_model cost_model_iterations = {
    .name = "iterations",
    .help = "interpolation between whole iterations, as splitwise-sim does it",
    .state_bytes = sizeof(struct iterations),
    .init = iterations_init,
    .fini = iterations_fini,
    .step_fx = iterations_step_fx,
    .decode = iterations_decode,
    .describe = iterations_describe,
};
