/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate_iterations.c: medians of repeats into least squares with weights 1 / t^2:
 * repeats of an iteration spread in proportion to its length, and each configuration
 * counts once, because repeats say nothing of what the model lacks.
 *
 * The first iteration of few tokens takes as long as that of one: weights are read, the
 * arithmetic hides behind. T0, the tokens at which it no longer does, is searched on a
 * grid of 32; the rest is linear. What a mixed batch costs was not measured: its
 * decodes cost what they do alone, which the file calls undetermined.
 */
#include "sim/calibrate/calibrate_iterations.h"

#include "base/mem.h"
#include "sim/calibrate/step_fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PROMPT_COLUMNS = 3, HINGE_STEP = 32, HINGE_MAX = 4096, CURVE_TOKENS = 65536 };
enum { ROWS_PER_TERM = 2, HINGE_STEP_COARSE = 128, STRANGERS_PART = 10 };
static const double stranger_share = 0.5;
static const double fits_well = 0.02; /* nobody is a stranger then */

struct hinge {
    double from; /* T0, tokens */
    double ns;   /* s, of the whole step for each token beyond */
};

struct rows {
    size_t count;
    double *x;
    double *y;
    double *weight;
};

static void rows_init(struct rows *rows, size_t most)
{
    *rows = (struct rows){0};
    rows->x = mem_alloc(most * PROMPT_COLUMNS, sizeof(double));
    rows->y = mem_alloc(most, sizeof(double));
    rows->weight = mem_alloc(most, sizeof(double));
}

static void rows_fini(struct rows *rows)
{
    mem_free(rows->x);
    mem_free(rows->y);
    mem_free(rows->weight);
}

static void row_add(struct rows *rows, const double x[PROMPT_COLUMNS], double y,
                    double time)
{
    memcpy(rows->x + rows->count * PROMPT_COLUMNS, x, PROMPT_COLUMNS * sizeof(double));
    rows->y[rows->count] = y;
    rows->weight[rows->count++] = 1.0 / (time * time);
}

/* Mean and worst of |fit - y| / time, which fit_linear cannot know. */
static void rows_fit(const struct rows *rows, struct fit_result *result)
{
    fit_linear(result, &(struct fit_problem){
                           .rows = rows->count,
                           .columns = PROMPT_COLUMNS,
                           .x = rows->x,
                           .y = rows->y,
                           .weight = rows->weight,
                           .not_negative = (1U << PROMPT_COLUMNS) - 1U,
                       });
    result->mean_abs_error = 0.0;
    result->worst_abs_error = 0.0;
    for (size_t i = 0; i < rows->count; i++) {
        double rest = rows->y[i];
        for (size_t c = 0; c < PROMPT_COLUMNS; c++) {
            rest -= rows->x[i * PROMPT_COLUMNS + c] * result->coefficients[c].value;
        }
        const double error = fabs(rest) * sqrt(rows->weight[i]);
        result->mean_abs_error += error / (double)rows->count;
        result->worst_abs_error = fmax(result->worst_abs_error, error);
    }
}

static double beyond(double tokens, double from)
{
    return fmax(0.0, tokens - from);
}

/* ---- the first iteration */

/* Columns: one, tokens beyond T0, pairs of tokens; ns per layer, but the second of the
 * whole step. */
static void prompts_fit(const struct iteration_table *table, double layers, double from,
                        struct fit_result *result)
{
    struct rows rows;
    rows_init(&rows, table->count);
    for (size_t i = 0; i < table->count; i++) {
        const struct iteration_row *row = &table->rows[i];
        const double tokens = (double)row->prompt_tokens * row->batch;
        const double ns = row->prompt_ms * 1e6 / layers;
        const double x[] = {1.0, beyond(tokens, from) / layers,
                            tokens * row->prompt_tokens / 2.0};
        row_add(&rows, x, ns, ns);
    }
    rows_fit(&rows, result);
    rows_fini(&rows);
}

static void hinge_search(const struct iteration_table *table, double layers,
                         int hinge_step, struct hinge *hinge, struct fit_result *best)
{
    prompts_fit(table, layers, 0.0, best);
    hinge->from = 0.0;
    for (int from = hinge_step; from <= HINGE_MAX; from += hinge_step) {
        struct fit_result tried;
        prompts_fit(table, layers, from, &tried);
        if (tried.mean_abs_error < best->mean_abs_error) {
            *best = tried;
            hinge->from = from;
        }
    }
    hinge->ns = best->coefficients[1].value;
}

/* ---- what does not belong */

static void row_move(struct iteration_table *table, size_t from, size_t to)
{
    const struct iteration_row row = table->rows[from];
    table->rows[from] = table->rows[to];
    table->rows[to] = row;
}

/* Mean error of the others when row i is left out. */
static double error_without(struct iteration_table *table, size_t i, double layers)
{
    struct hinge hinge;
    struct fit_result result;
    row_move(table, i, table->count - 1);
    table->count--;
    hinge_search(table, layers, HINGE_STEP_COARSE, &hinge, &result);
    table->count++;
    row_move(table, i, table->count - 1);
    return result.mean_abs_error;
}

/* A load that did not fit the GPU is timed as well, and its first iteration is that of
 * a part of it: one such row bends the whole fit. One without which the others fit
 * twice as well is left out; at most a tenth of them. */
static void strangers_leave(struct iteration_table *table, double layers,
                            struct text *notes)
{
    const size_t fewest = table->count - table->count / STRANGERS_PART;
    while (table->count > fewest) {
        struct hinge hinge;
        struct fit_result all;
        size_t stranger = 0;
        double least = (double)INFINITY;
        hinge_search(table, layers, HINGE_STEP_COARSE, &hinge, &all);
        for (size_t i = 0; i < table->count; i++) {
            const double error = error_without(table, i, layers);
            stranger = error < least ? i : stranger;
            least = fmin(error, least);
        }
        if (all.mean_abs_error < fits_well ||
            least > stranger_share * all.mean_abs_error) {
            return;
        }
        const struct iteration_row *row = &table->rows[stranger];
        text_printf(notes,
                    "left out: %u prompts of %u tokens, %.1f ms; without it the mean "
                    "error of first iterations is %.1f %% instead of %.1f %%\n",
                    row->batch, row->prompt_tokens, row->prompt_ms, 100.0 * least,
                    100.0 * all.mean_abs_error);
        row_move(table, stranger, table->count - 1);
        table->count--;
    }
}

/* ---- the later ones */

static void tokens_fit(const struct iteration_table *table, double layers,
                       const struct hinge *hinge, struct fit_result *result)
{
    struct rows rows;
    rows_init(&rows, table->count);
    for (size_t i = 0; i < table->count; i++) {
        const struct iteration_row *row = &table->rows[i];
        if (row->token_ms <= 0.0 || row->output_tokens < 2) {
            continue;
        }
        const double n = row->batch;
        /* Computed before a step, in the mean over the steps. */
        const double context = row->prompt_tokens + (row->output_tokens - 2.0) / 2.0;
        const double ns = row->token_ms * 1e6 / layers;
        const double x[] = {1.0, n, n * context};
        row_add(&rows, x, ns - beyond(n, hinge->from) * hinge->ns / layers, ns);
    }
    rows_fit(&rows, result);
    rows_fini(&rows);
}

/* ---- the file */

static void curve_set(struct profile_curve *curve, const struct hinge *hinge)
{
    const double x[] = {1.0, fmax(2.0, hinge->from), CURVE_TOKENS};
    const size_t count = sizeof x / sizeof x[0];
    curve->x = mem_alloc(count, sizeof(double));
    curve->us = mem_alloc(count, sizeof(double));
    curve->count = count;
    for (size_t i = 0; i < count; i++) {
        curve->x[i] = x[i];
        curve->us[i] = beyond(x[i], hinge->from) * hinge->ns / 1e3;
    }
}

/* Nothing beside the terms: an iteration holds it all. */
static void curve_none(struct profile_curve *curve)
{
    curve->x = mem_alloc(1, sizeof(double));
    curve->us = mem_alloc(1, sizeof(double));
    curve->x[0] = 1.0;
    curve->count = 1;
}

static void borrow(struct fit_coefficient *to, const struct fit_coefficient *from)
{
    *to = *from;
    to->status = FIT_UNDETERMINED;
}

static void regimes_set(struct step_fit *fit, const struct fit_result *prompts,
                        const struct fit_result *tokens)
{
    struct fit_coefficient *mixed = fit->regimes[STEP_MIXED].coefficients;
    struct fit_coefficient *unsplit = fit->regimes[STEP_UNSPLIT].coefficients;
    fit->regimes[STEP_SPLIT] = *tokens;
    fit->regimes[STEP_MIXED] = *prompts;
    for (size_t i = 0; i < STEP_TERMS_MAX; i++) {
        unsplit[i].status = FIT_UNDETERMINED;
        mixed[i] = (struct fit_coefficient){.status = FIT_UNDETERMINED};
    }
    for (size_t i = 0; i < PROMPT_COLUMNS; i++) {
        borrow(&unsplit[i], &tokens->coefficients[i]);
    }
    mixed[0] = prompts->coefficients[0];
    borrow(&mixed[1], &tokens->coefficients[1]);
    borrow(&mixed[2], &tokens->coefficients[2]);
    mixed[4] = prompts->coefficients[2]; /* the hinge is in dense_us */
}

static void head_fill(struct step_fit *fit, const struct model_spec *model,
                      const struct calibrate_gpu *gpu)
{
    const uint32_t degree = gpu->tensor_parallel;
    snprintf(fit->gpu, sizeof fit->gpu, "%s", gpu->name);
    snprintf(fit->model, sizeof fit->model, "%s", model->name);
    fit->tensor_parallel = degree;
    fit->layers = model->layers;
    fit->hidden = model->hidden;
    fit->kv_heads = model->kv_heads > degree ? model->kv_heads / degree : 1;
    fit->kv_token_bytes =
        (uint32_t)(model_kv_bytes_per_token(model, degree) / model->layers);
    fit->sm_count = gpu->sm_count;
    fit->memory_bytes_per_s = gpu->memory_bytes_per_s;
    fit->unsplit_from = 1e9;
    fit->cliff_factor = 1.0;
}

static void source_write(struct step_fit *fit, const struct iteration_table *table,
                         const char *origin, size_t runs, double spread)
{
    snprintf(fit->source, sizeof fit->source,
             "whole iterations of %.40s on %.40s in %.60s: %zu configurations of %zu "
             "runs; prompts of one spread by %.1f %%",
             table->model, table->gpu, origin, table->count, runs, 100.0 * spread);
}

bool calibrate_iterations(struct text *yaml, struct text *notes,
                          struct iteration_table *table,
                          const struct iteration_subject *subject, struct err *err)
{
    struct step_fit fit = {0};
    struct hinge hinge = {0};
    struct fit_result prompts;
    struct fit_result tokens;
    const double layers = subject->model->layers;
    const size_t runs = table->count;
    const double spread = iteration_table_condense(table);
    if (table->count < (size_t)ROWS_PER_TERM * PROMPT_COLUMNS) {
        return err_set(err, ERR_INPUT,
                       "%s: %zu configurations are too few; %d at least are due, of "
                       "several prompt lengths and batch sizes",
                       subject->origin, table->count, ROWS_PER_TERM * PROMPT_COLUMNS);
    }
    strangers_leave(table, layers, notes);
    hinge_search(table, layers, HINGE_STEP, &hinge, &prompts);
    tokens_fit(table, layers, &hinge, &tokens);
    if (tokens.rows == 0) {
        return err_set(err, ERR_INPUT,
                       "%s: no row has a time for later tokens; they decide the step "
                       "time of decodes",
                       subject->origin);
    }
    head_fill(&fit, subject->model, subject->gpu);
    source_write(&fit, table, subject->origin, runs, spread);
    regimes_set(&fit, &prompts, &tokens);
    curve_set(&fit.dense_us, &hinge);
    curve_none(&fit.rows_us);
    curve_none(&fit.allreduce_us);
    step_fit_write(&fit, yaml);
    step_fit_fini(&fit);
    return true;
}
