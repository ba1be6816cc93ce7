/* SPDX-License-Identifier: Apache-2.0
 *
 * ops.c: step time as a sum of measured kernels: tables of them, or lines fitted to
 * such tables (sim/times/op_times.h; docs/cost-models.md).
 *
 *     step = L (products + prompts + decodes + 2 all-reduces + small kernels) + rows
 *
 * A step with prompts and decodes pays for both kinds of attention, as a backend with
 * one kernel for each does. Small kernels, the sampler and what is gathered over the
 * link are the roofline's (sim/times/gpu_times.h): nobody measured them one by one.
 *
 * Decode attention of n sequences is a chain of lines in the summed context, with
 * slopes in whole 2^-16 ns per token, so that the law of cost.h holds: between two
 * measured contexts c a step grows by a constant. A chain never falls.
 */
#include "base/mem.h"
#include "sim/calibrate/op_fit.h"
#include "sim/config_path.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"
#include "sim/times/gpu_times.h"
#include "sim/times/op_table.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BITS_16 = 16, PRODUCTS_MAX = LAYER_PRODUCTS_MAX + 1 };
static const double sampler_s = 100e-6; /* vllm-engine.md 10.7 */
static const double longest_step_s = 3600.0;
static const double s_per_us = 1e-6;

/* From this summed context on, attention of all layers. */
struct piece {
    uint64_t context;
    int64_t start_fx;
    int64_t slope_fx; /* per token */
};

struct ops {
    struct gpu_spec gpu;
    struct model_spec model;
    struct layer_shape shape;
    struct graph_sizes graphs;
    uint32_t tensor_parallel;
    struct stage stage; /* whose layers `model` has */
    struct rank_group group;
    struct gpu_placement placement;
    bool fused; /* narrow products find their input quantised */
    double scale_decode;
    double scale_mixed;
    struct profile_curve products[PRODUCTS_MAX]; /* of a layer; the last: LM head */
    struct profile_curve allreduce;              /* count 0: the GPU's file */
    struct op_grid decodes;
    struct op_lines prompts;
    int64_t *decode_tokens_fx; /* by batch size, with its rows, scaled */
    int64_t *mixed_tokens_fx;  /* by tokens, scaled */
    int64_t *mixed_rows_fx;    /* by sequences, scaled */
    struct piece *pieces; /* by batch size, context_count for each; as of decodes */
    char what[160];       /* for the description */
    double gemm_error;    /* of the fit; NaN: tables */
    double decode_error;
    double prompt_error;
};

static int64_t capped_fx(double seconds)
{
    return cost_fx_of_s(fmin(seconds, longest_step_s));
}

/* ---- sources */

static struct op_heads heads_of(const struct ops *ops)
{
    return (struct op_heads){
        .query = ops->shape.query_width / OP_HEAD_DIM,
        .kv = ops->shape.kv_width / OP_HEAD_DIM,
        .kv_bits = ops->model.kv_bits,
    };
}

static struct layer_product product_at(const struct ops *ops, uint32_t index)
{
    if (index < ops->shape.count) {
        return ops->shape.products[index];
    }
    return (struct layer_product){
        .inner = ops->model.hidden,
        .columns = (double)ops->model.vocabulary / ops->tensor_parallel,
        .bits = BITS_16,
    };
}

static bool curves_from_table(struct ops *ops, const struct op_table *table,
                              struct err *err)
{
    const struct op_heads heads = heads_of(ops);
    for (uint32_t i = 0; i <= ops->shape.count; i++) {
        const struct layer_product product = product_at(ops, i);
        if (!op_table_gemm(table, &product, &ops->products[i], err)) {
            return false;
        }
    }
    op_table_allreduce(table, ops->tensor_parallel, &ops->allreduce);
    (void)snprintf(ops->what, sizeof ops->what, "op tables of %s, %s", table->system,
                   table->backend);
    ops->gemm_error = (double)NAN;
    return op_table_decode(table, &heads, &ops->decodes, err) &&
           op_table_prompt(table, &heads, &ops->prompts, err);
}

static bool curves_from_fit(struct ops *ops, const struct op_fit *fit, struct err *err)
{
    const struct op_heads heads = heads_of(ops);
    for (uint32_t i = 0; i <= ops->shape.count; i++) {
        const struct layer_product product = product_at(ops, i);
        if (!op_fit_gemm(fit, &product, ops->fused, &ops->products[i], err)) {
            return false;
        }
    }
    op_fit_allreduce(fit, ops->tensor_parallel, &ops->allreduce);
    const uint32_t bits = ops->model.weight_bits;
    const bool narrow = heads.kv_bits != BITS_16;
    const struct op_fit_family *families = fit->families;
    ops->gemm_error = families[bits == BITS_16 ? OP_GEMM_16
                               : bits == 8     ? OP_GEMM_8
                                               : OP_GEMM_4]
                          .mean_abs_error;
    ops->decode_error = families[narrow ? OP_DECODE_8 : OP_DECODE_16].mean_abs_error;
    ops->prompt_error = families[narrow ? OP_PROMPT_8 : OP_PROMPT_16].mean_abs_error;
    (void)snprintf(ops->what, sizeof ops->what, "fitted to op tables of %s, %s",
                   fit->system, fit->backend);
    return op_fit_decode(fit, &heads, &ops->decodes, err) &&
           op_fit_prompt(fit, &heads, &ops->prompts, err);
}

static bool table_use(struct ops *ops, const struct cost_setup *setup,
                      const char *folder, struct err *err)
{
    const char *system = NULL;
    const char *backend = "vllm";
    char dir[PATH_MAX];
    struct op_table *table = NULL;
    if (!conf_require(setup->map, "system", err) ||
        !conf_str(setup->map, "system", &system, err) ||
        !conf_str(setup->map, "backend", &backend, err)) {
        return false;
    }
    const char *file = conf_path(setup->map);
    const char *slash = strrchr(file, '/');
    if (folder[0] == '/' || slash == NULL) {
        (void)snprintf(dir, sizeof dir, "%s", folder);
    } else {
        (void)snprintf(dir, sizeof dir, "%.*s/%s", (int)(slash - file), file, folder);
    }
    if (!op_table_load(&table, dir, system, backend, err)) {
        return false;
    }
    const bool held = curves_from_table(ops, table, err);
    op_table_delete(table);
    return held;
}

static bool fit_use(struct ops *ops, const struct cost_setup *setup, const char *path,
                    struct err *err)
{
    struct op_fit *fit = mem_alloc(1, sizeof *fit);
    struct conf *conf = NULL;
    bool held = true;
    if (setup->fit != NULL) {
        held = op_fit_read(fit, setup->fit, err);
    } else {
        held = conf_load(&conf, setup->fit_path != NULL ? setup->fit_path : path, err);
        held = held && op_fit_read(fit, conf_root(conf), err) &&
               conf_done(conf_root(conf), err);
    }
    held = held && curves_from_fit(ops, fit, err);
    conf_delete(conf);
    mem_free(fit);
    return held;
}

static bool quantise_read(struct ops *ops, const struct conf_node *map,
                          const char *folder, struct err *err)
{
    static const char *const names[] = {"measured", "fused", NULL};
    uint32_t index = 0;
    if (!conf_enum(map, "quantise", names, &index, err)) {
        return false;
    }
    ops->fused = index == 1;
    return !ops->fused || folder == NULL ||
           conf_fail(conf_get(map, "quantise"), err,
                     "quantise: fused needs a fit, which tells the parts of a product "
                     "apart; make one with stacksim calibrate");
}

static bool source_use(struct ops *ops, const struct cost_setup *setup, struct err *err)
{
    const char *folder = NULL;
    const char *path = NULL;
    if (!conf_str(setup->map, "tables", &folder, err) ||
        !conf_str(setup->map, "fit", &path, err) ||
        !quantise_read(ops, setup->map, folder, err)) {
        return false;
    }
    if ((folder != NULL) == (path != NULL || setup->fit != NULL)) {
        return conf_fail(setup->map, err,
                         "cost: model ops needs `fit: NAME` or `tables: FOLDER`, one "
                         "of them; see docs/cost-models.md");
    }
    return folder != NULL ? table_use(ops, setup, folder, err)
                          : fit_use(ops, setup, path, err);
}

/* ---- parts of a step */

/* Beyond the last measured message the link's bandwidth decides. */
static double allreduce_s(const struct ops *ops, double bytes)
{
    if (ops->tensor_parallel == 1) {
        return 0.0;
    }
    const struct profile_curve *curve = &ops->allreduce;
    if (curve->count == 0 || rank_group_nodes(&ops->group) > 1) {
        return topology_allreduce_s(&ops->gpu, &ops->group, bytes);
    }
    const double last = curve->x[curve->count - 1];
    return s_per_us * (bytes <= last ? profile_curve_at(curve, bytes)
                                     : curve->us[curve->count - 1] * bytes / last);
}

/* A measured table may fall from one row count to the next; a step may not. */
static double rising_at(const struct profile_curve *curve, double rows)
{
    double us = 0.0;
    for (size_t i = 0; i < curve->count && curve->x[i] <= rows; i++) {
        us = fmax(us, curve->us[i]);
    }
    return s_per_us * fmax(us, profile_curve_at(curve, rows));
}

static double tokens_s(const struct ops *ops, uint32_t tokens)
{
    const uint32_t padded = graph_sizes_pad(&ops->graphs, tokens);
    const double hidden = ops->model.hidden;
    const double message = padded * hidden * GPU_ACTIVATION_BYTES;
    double layer_s = gpu_layer_small_s(&ops->gpu, &ops->shape, hidden, padded) +
                     2.0 * allreduce_s(ops, message);
    for (uint32_t i = 0; i < ops->shape.count; i++) {
        layer_s += rising_at(&ops->products[i], padded);
    }
    layer_s = fmax(layer_s, graph_sizes_layer_s(&ops->graphs, tokens));
    const double layers_s = ops->model.layers * layer_s;
    return ops->stage.embeds ? layers_s + gpu_small_s(&ops->gpu, 2.0 * message) +
                                   allreduce_s(ops, message)
                             : layers_s;
}

static double rows_s(const struct ops *ops, uint32_t rows)
{
    return ops->stage.samples
               ? rising_at(&ops->products[ops->shape.count], rows) + sampler_s +
                     topology_allgather_s(&ops->gpu, &ops->group,
                                          gpu_logits_bytes(&ops->model, rows))
               : 0.0;
}

/* Attention of n decodes, scaled: a point per measured context, integers between.
 * Slopes are rounded down, so that the chain never falls from one piece to the next. */
static void pieces_fill(struct ops *ops, uint32_t n, struct piece *pieces)
{
    const struct op_grid *grid = &ops->decodes;
    const double layers_s = ops->scale_decode * ops->model.layers * s_per_us;
    double most_s = 0.0;
    int64_t at_fx = 0;
    for (size_t j = 0; j < grid->context_count; j++) {
        most_s = fmax(most_s, layers_s * op_grid_at(grid, n, grid->context[j]));
        const int64_t point_fx = capped_fx(most_s);
        const uint64_t context = (uint64_t)grid->context[j] * n;
        if (j > 0) {
            const uint64_t span = context - pieces[j - 1].context;
            pieces[j - 1].slope_fx = (point_fx - at_fx) / (int64_t)span;
            at_fx += pieces[j - 1].slope_fx * (int64_t)span;
        } else {
            at_fx = point_fx;
        }
        pieces[j] = (struct piece){context, at_fx, 0};
    }
    const size_t last = grid->context_count - 1;
    pieces[last].slope_fx = last > 0 ? pieces[last - 1].slope_fx : 0;
}

static const struct piece *piece_at(const struct ops *ops, uint32_t n, uint64_t context,
                                    uint64_t *end)
{
    const size_t count = ops->decodes.context_count;
    const struct piece *pieces = ops->pieces + (size_t)n * count;
    size_t at = 0;
    while (at + 1 < count && pieces[at + 1].context <= context) {
        at++;
    }
    *end = at + 1 < count ? pieces[at + 1].context : UINT64_MAX;
    return &pieces[at];
}

/* Below the first measured context: as there. */
static int64_t piece_fx(const struct piece *piece, uint64_t context)
{
    const uint64_t above = context > piece->context ? context - piece->context : 0;
    return piece->start_fx + piece->slope_fx * (int64_t)above;
}

/* ---- life */

static void ops_fini(void *state)
{
    struct ops *ops = state;
    for (size_t i = 0; i < PRODUCTS_MAX; i++) {
        profile_curve_fini(&ops->products[i]);
    }
    profile_curve_fini(&ops->allreduce);
    op_grid_fini(&ops->decodes);
    op_lines_fini(&ops->prompts);
    mem_free(ops->decode_tokens_fx);
    mem_free(ops->mixed_tokens_fx);
    mem_free(ops->mixed_rows_fx);
    mem_free(ops->pieces);
}

/* More sequences of one length take no less time, though kernels may change for them.
 */
static void grid_raise(struct op_grid *grid)
{
    for (size_t i = grid->context_count; i < grid->batch_count * grid->context_count;
         i++) {
        grid->us[i] = fmax(grid->us[i], grid->us[i - grid->context_count]);
    }
}

static void tables_fill(struct ops *ops, const struct engine_config *engine)
{
    const size_t rows = (size_t)engine->max_num_seqs + 1;
    const size_t tokens = (size_t)engine->max_num_batched_tokens + 1;
    ops->decode_tokens_fx = mem_alloc(rows, sizeof(int64_t));
    ops->mixed_rows_fx = mem_alloc(rows, sizeof(int64_t));
    ops->mixed_tokens_fx = mem_alloc(tokens, sizeof(int64_t));
    ops->pieces = mem_alloc(rows * ops->decodes.context_count, sizeof(struct piece));
    for (uint32_t n = 1; n < rows; n++) {
        const double seconds = rows_s(ops, n);
        ops->decode_tokens_fx[n] =
            capped_fx(ops->scale_decode * (tokens_s(ops, n) + seconds));
        ops->mixed_rows_fx[n] = capped_fx(ops->scale_mixed * seconds);
        pieces_fill(ops, n, ops->pieces + n * ops->decodes.context_count);
    }
    for (uint32_t t = 1; t < tokens; t++) {
        ops->mixed_tokens_fx[t] = capped_fx(ops->scale_mixed * tokens_s(ops, t));
    }
}

/* No less than any step that the engine can ask for. */
static double longest_s(const struct ops *ops, const struct engine_config *engine)
{
    const double tokens = engine->max_num_batched_tokens;
    const double context = (double)engine->max_num_seqs * engine->max_model_len;
    const double length =
        sqrt(tokens * (2.0 * engine->max_model_len + tokens)); /* as many pairs */
    uint64_t end = 0;
    const struct piece *piece =
        piece_at(ops, engine->max_num_seqs, (uint64_t)context, &end);
    const int64_t tokens_fx = ops->mixed_tokens_fx[engine->max_num_batched_tokens] +
                              ops->mixed_rows_fx[engine->max_num_seqs] +
                              ops->decode_tokens_fx[engine->max_num_seqs];
    const double scale = fmax(1.0, fmax(ops->scale_mixed, ops->scale_decode));
    return (double)tokens_fx / COST_FX_PER_NS / 1e9 +
           scale * ((double)piece->start_fx + (double)piece->slope_fx * context) /
               COST_FX_PER_NS / 1e9 +
           scale * ops->model.layers * s_per_us *
               op_lines_at(&ops->prompts, tokens, 1.0) +
           scale * ops->model.layers * s_per_us *
               op_lines_at(&ops->prompts, 1.0, length);
}

static bool shape_check(const struct cost_setup *setup, struct err *err)
{
    if (setup->model->experts > 0 || setup->model->kv_lora_rank > 0) {
        return conf_fail(setup->map, err,
                         "cost: model ops knows no %s; use model: roofline for %s",
                         setup->model->experts > 0 ? "experts" : "latent attention",
                         setup->model->name);
    }
    return true;
}

static bool ops_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct ops *ops = state;
    ops->gpu = *setup->gpu;
    ops->model = *setup->model;
    ops->tensor_parallel = setup->engine->tensor_parallel;
    ops->stage = setup->stage;
    ops->group = setup->group;
    if (setup->placement != NULL) {
        ops->placement = *setup->placement;
        ops->group.placement = &ops->placement;
    }
    ops->graphs = graph_sizes_of(setup->engine);
    ops->scale_decode = 1.0;
    ops->scale_mixed = 1.0;
    if (!shape_check(setup, err)) {
        return false;
    }
    layer_shape_of(&ops->shape, setup->model, ops->tensor_parallel, false);
    if (!conf_f64(setup->map, "scale_decode", &ops->scale_decode, 0.01, 100.0, err) ||
        !conf_f64(setup->map, "scale_mixed", &ops->scale_mixed, 0.01, 100.0, err) ||
        !source_use(ops, setup, err)) {
        ops_fini(ops);
        return false;
    }
    grid_raise(&ops->decodes);
    tables_fill(ops, setup->engine);
    if (longest_s(ops, setup->engine) >= longest_step_s) {
        ops_fini(ops);
        return conf_fail(setup->map, err,
                         "cost: the longest step of %s on %s would take more than an "
                         "hour; is a figure of one of them off by a unit?",
                         setup->model->name, setup->gpu->name);
    }
    return true;
}

static struct decode_cost ops_decode(const void *state, uint32_t decodes,
                                     uint64_t context, uint32_t context_max)
{
    const struct ops *ops = state;
    (void)context_max;
    /* Each new token attends to itself, too. */
    const uint64_t tokens = context + decodes;
    uint64_t end = 0;
    const struct piece *piece = piece_at(ops, decodes, tokens, &end);
    struct decode_cost step = {
        .first_fx = ops->decode_tokens_fx[decodes] + piece_fx(piece, tokens),
        .grow_fx = piece->slope_fx * (int64_t)decodes,
        .valid_steps = COST_STEPS_MAX,
    };
    if (tokens < piece->context) { /* before the first one nothing grows */
        step.grow_fx = 0;
        end = piece->context;
    }
    if (end != UINT64_MAX) {
        const uint64_t steps = (end - tokens + decodes - 1) / decodes;
        step.valid_steps = steps < COST_STEPS_MAX ? (uint32_t)steps : COST_STEPS_MAX;
    }
    return step;
}

/* A chunk behind a prefix counts as the fresh prompt with as many token pairs, as in
 * the roofline; several chunks as so many equal ones. */
static double prompts_s(const struct ops *ops, const struct batch_shape *shape)
{
    const double chunks = shape->chunks;
    const double length = sqrt((double)shape->chunk_pairs_twice / chunks);
    return ops->scale_mixed * ops->model.layers * s_per_us *
           op_lines_at(&ops->prompts, chunks, length);
}

static int64_t ops_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct ops *ops = state;
    const uint64_t tokens = shape->decodes + shape->chunk_tokens;
    int64_t fx = ops->mixed_tokens_fx[tokens] +
                 ops->mixed_rows_fx[shape->decodes + shape->chunks];
    if (shape->decodes > 0) {
        uint64_t end = 0;
        const uint64_t context = shape->decode_context + shape->decodes;
        const struct piece *piece = piece_at(ops, shape->decodes, context, &end);
        fx += (int64_t)llround(ops->scale_mixed / ops->scale_decode *
                               (double)piece_fx(piece, context));
    }
    return fx + cost_fx_of_s(prompts_s(ops, shape));
}

static void ops_describe(const void *state, struct text *out)
{
    const struct ops *ops = state;
    text_add(out, ops->what);
    if (!isnan(ops->gemm_error)) {
        text_printf(out,
                    " (mean error: products %.1f %%, decodes %.1f %%, prompts %.1f %%)",
                    100.0 * ops->gemm_error, 100.0 * ops->decode_error,
                    100.0 * ops->prompt_error);
    }
    if (ops->fused) {
        text_add(out, ", quantising fused");
    }
    if (ops->scale_decode != 1.0 || ops->scale_mixed != 1.0) {
        text_printf(out, ", scaled by %g (decode) and %g (mixed)", ops->scale_decode,
                    ops->scale_mixed);
    }
}

const struct cost_model cost_model_ops = {
    .name = "ops",
    .help = "a sum of measured kernels: op tables, or what was fitted to them",
    .drafts = DRAFTS_AS_CHUNKS,
    .formats = FORMATS_FP8,
    .state_bytes = sizeof(struct ops),
    .reads_fit = true,
    .by_stage = true,
    .init = ops_init,
    .fini = ops_fini,
    .step_fx = ops_step_fx,
    .decode = ops_decode,
    .describe = ops_describe,
};
