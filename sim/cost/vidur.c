/* SPDX-License-Identifier: Apache-2.0
 *
 * vidur.c: step times looked up in per-layer operator tables as Vidur does it, for
 * comparison (microsoft/vidur at 7d475133, execution_time_predictor/; MIT).
 *
 * Token operators at the step's tokens rounded up to a multiple of 8, the write of keys
 * and values at their exact number; decodes at their number and their mean context,
 * the new token included, rounded up to the table's next one; chunks at the sum of what
 * was computed before each, rounded up likewise, and at the root of the sum of their
 * squares. Attention of several requests takes a tenth more. No LM head, no sampler, no
 * collectives: the tables hold none.
 *
 * A decode batch's time is a staircase in its mean context, hence exact over runs that
 * end where a stair does. Beyond the tables, where Vidur has no answer, times grow in
 * proportion.
 */
#include "base/mem.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"
#include "sim/times/grid.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TOKEN_STEP = 8, CONTEXT_STEP = 64 };
static const double batch_factor = 1.1; /* attention of more than one request */
static const double step_ms_max = 3.6e6;

struct vidur {
    struct grid decode;  /* decodes x mean context */
    struct grid prefill; /* context before x chunk */
    struct grid tokens;  /* tokens x operators */
    double *token_ms;    /* by row of tokens: all operators but kv_save */
    size_t kv_save;      /* its column */
    double layers;
    char name[FACT_NAME_BYTES]; /* of the tables, without their folder */
};

static double tokens_ms(const struct vidur *vidur, double tokens)
{
    const struct grid *grid = &vidur->tokens;
    const double rounded = ceil(tokens / TOKEN_STEP) * TOKEN_STEP;
    const double last = grid->row_keys[grid->rows - 1];
    /* Rounding must not leave a table that holds the count itself. */
    const struct grid_place at = grid_place(
        grid->row_keys, grid->rows, tokens <= last ? fmin(rounded, last) : tokens);
    const struct grid_place exact = grid_place(grid->row_keys, grid->rows, tokens);
    return vidur->token_ms[at.index] * at.times +
           grid->cells[exact.index * grid->columns + vidur->kv_save] * exact.times;
}

static double cell_ms(const struct grid *grid, double row, double column)
{
    const struct grid_place y = grid_place(grid->row_keys, grid->rows, row);
    const struct grid_place x = grid_place(grid->column_keys, grid->columns, column);
    return grid->cells[y.index * grid->columns + x.index] * y.times * x.times;
}

/* Their mean context with the new token, as an integer. */
static uint64_t mean_context(uint32_t decodes, uint64_t context)
{
    return context / decodes + 1;
}

static double decodes_ms(const struct vidur *vidur, uint32_t decodes, uint64_t context)
{
    const double ms =
        cell_ms(&vidur->decode, decodes, (double)mean_context(decodes, context));
    return decodes > 1 ? batch_factor * ms : ms;
}

static double chunks_ms(const struct vidur *vidur, const struct batch_shape *shape)
{
    const double before =
        ceil((double)shape->chunk_context / CONTEXT_STEP) * CONTEXT_STEP;
    const double ms =
        cell_ms(&vidur->prefill, before, rint(sqrt((double)shape->chunk_squares)));
    return shape->chunks > 1 ? batch_factor * ms : ms;
}

static int64_t vidur_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct vidur *vidur = state;
    double ms = tokens_ms(vidur, shape->decodes + (double)shape->chunk_tokens);
    if (shape->decodes > 0) {
        ms += decodes_ms(vidur, shape->decodes, shape->decode_context);
    }
    if (shape->chunks > 0) {
        ms += chunks_ms(vidur, shape);
    }
    const int64_t fx = cost_fx_of_s(fmin(vidur->layers * ms, step_ms_max) * 1e-3);
    return fx > 0 ? fx : 1;
}

static struct decode_cost vidur_decode(const void *state, uint32_t decodes,
                                       uint64_t context, uint32_t context_max)
{
    const struct vidur *vidur = state;
    const struct grid *grid = &vidur->decode;
    (void)context_max;
    const struct batch_shape shape = {.decodes = decodes, .decode_context = context};
    struct decode_cost step = {.first_fx = vidur_step_fx(vidur, &shape),
                               .valid_steps = 1};
    const uint64_t mean = mean_context(decodes, context);
    const struct grid_place stair =
        grid_place(grid->column_keys, grid->columns, (double)mean);
    const double edge = grid->column_keys[stair.index];
    if ((double)mean < edge) {
        step.valid_steps = (uint32_t)(fmin(edge, COST_STEPS_MAX) - (double)mean) + 1;
    }
    return step;
}

/* ---- life */

static void vidur_fini(void *state)
{
    struct vidur *vidur = state;
    grid_fini(&vidur->decode);
    grid_fini(&vidur->prefill);
    grid_fini(&vidur->tokens);
    mem_free(vidur->token_ms);
}

/* PREFIX.part.csv or .csv.gz; PREFIX as written, or relative to the file that says so.
 */
static bool part_load(struct grid *grid, const struct conf_node *map,
                      const char *prefix, const char *part, struct err *err)
{
    const char *file = conf_path(map);
    const char *slash = strrchr(file, '/');
    const int folder = prefix[0] == '/' || slash == NULL ? 0 : (int)(slash - file) + 1;
    char path[PATH_MAX];
    const int length =
        snprintf(path, sizeof path, "%.*s%s.%s.csv.gz", folder, file, prefix, part);
    if (length >= (int)sizeof path) {
        return conf_fail(map, err, "tables: the path is too long");
    }
    if (access(path, R_OK) != 0) {
        path[length - 3] = '\0'; /* without .gz */
    }
    return grid_load(grid, path, err);
}

static bool keys_known(const struct grid *grid, const struct conf_node *map,
                       const char *part, struct err *err)
{
    for (size_t i = 0; i < grid->columns; i++) {
        if (isnan(grid->column_keys[i])) {
            return conf_fail(map, err, "tables: column %s of %s is no number",
                             grid->names[i], part);
        }
    }
    return true;
}

static void operators_sum(struct vidur *vidur)
{
    const struct grid *grid = &vidur->tokens;
    vidur->token_ms = mem_alloc(grid->rows, sizeof(double));
    for (size_t i = 0; i < grid->rows; i++) {
        for (size_t k = 0; k < grid->columns; k++) {
            if (k != vidur->kv_save) {
                vidur->token_ms[i] += grid->cells[i * grid->columns + k];
            }
        }
    }
}

static bool tables_load(struct vidur *vidur, const struct conf_node *map,
                        const char *prefix, struct err *err)
{
    if (!part_load(&vidur->tokens, map, prefix, "token_ops_ms", err) ||
        !part_load(&vidur->decode, map, prefix, "attn_decode_ms", err) ||
        !part_load(&vidur->prefill, map, prefix, "attn_prefill_ms", err) ||
        !keys_known(&vidur->decode, map, "attn_decode_ms", err) ||
        !keys_known(&vidur->prefill, map, "attn_prefill_ms", err)) {
        return false;
    }
    vidur->kv_save = grid_column(&vidur->tokens, "attn_kv_cache_save");
    if (vidur->kv_save == vidur->tokens.columns) {
        return conf_fail(map, err,
                         "tables: token_ops_ms has no column attn_kv_cache_save");
    }
    operators_sum(vidur);
    return true;
}

static bool vidur_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct vidur *vidur = state;
    const char *prefix = NULL;
    if (!conf_str(setup->map, "tables", &prefix, err)) {
        return false;
    }
    if (prefix == NULL) {
        return conf_fail(setup->map, err,
                         "cost: model vidur needs `tables: PREFIX`; see "
                         "docs/cost-models.md");
    }
    const char *slash = strrchr(prefix, '/');
    snprintf(vidur->name, sizeof vidur->name, "%s", slash == NULL ? prefix : slash + 1);
    vidur->layers = setup->model->layers;
    if (!tables_load(vidur, setup->map, prefix, err)) {
        vidur_fini(vidur);
        return false;
    }
    return true;
}

static void vidur_describe(const void *state, struct text *out)
{
    const struct vidur *vidur = state;
    text_printf(out, "looked up as Vidur does in the operator tables %s", vidur->name);
}

const struct cost_model cost_model_vidur = {
    .name = "vidur",
    .help = "lookup in per-layer operator tables, as Vidur does it",
    .state_bytes = sizeof(struct vidur),
    .init = vidur_init,
    .fini = vidur_fini,
    .step_fx = vidur_step_fx,
    .decode = vidur_decode,
    .describe = vidur_describe,
};
