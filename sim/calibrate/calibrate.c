/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate.c: rows of a profile, sorted into regimes, into least squares.
 *
 * Rows of attention.csv and the uneven rows of skew.csv count alike, weighted by 1 / t:
 * between absolute errors, which would fit the largest batches only, and relative ones,
 * which would fit the smallest. The domain is batches as serving makes them: decode
 * contexts from 128 to 4096 tokens, in mixed batches with the KV of one head in L2.
 * Both choices were made on residuals and on agreement with spec/step-time.md 4, whose
 * table they reproduce within 2 to 10 %; nothing depends on a recorded run.
 *
 * The semi-physical form is not linear: efficiency, SM rate and exponent are searched
 * on a grid, twice, the second time finely around the best; its two linear terms are
 * fitted at every point. The form with the smaller mean error over the unsplit rows is
 * the one that is used.
 */
#include "sim/calibrate/calibrate.h"

#include "base/mem.h"
#include "sim/calibrate/step_fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BLOCK_TOKENS = 64,  /* of a thread block's share of a chunk */
    DOMAIN_ROWS_MIN = 3 /* for each coefficient */
};
static const double split_share = 1.6;   /* spec/step-time.md 4 */
static const double cliff_default = 2.5; /* the same, for want of data */
static const double decode_total_max = 1 << 18;

/* One measured batch. */
struct sample {
    double decodes;
    double context; /* K */
    double longest; /* kmax */
    double chunk;   /* q = Q: one chunk */
    double before;  /* k */
    double ns;
};

struct samples {
    struct sample *items;
    size_t count;
};

static void gather(const struct kernel_profile *profile, struct samples *samples)
{
    samples->items = mem_alloc(profile->attention_count + profile->skew_count,
                               sizeof *samples->items);
    for (size_t i = 0; i < profile->attention_count; i++) {
        const struct attention_row *row = &profile->attention[i];
        samples->items[samples->count++] = (struct sample){
            .decodes = row->decodes,
            .context = (double)row->decodes * row->decode_context,
            .longest = row->decodes > 0 ? row->decode_context : 0.0,
            .chunk = row->chunk_tokens,
            .before = row->chunk_context,
            .ns = row->us * 1e3,
        };
    }
    for (size_t i = 0; i < profile->skew_count; i++) {
        const struct skew_row *row = &profile->skew[i];
        const double small = (double)row->decodes - row->long_decodes;
        samples->items[samples->count++] = (struct sample){
            .decodes = row->decodes,
            .context = small * row->short_context +
                       (double)row->long_decodes * row->long_context,
            .longest = row->long_decodes > 0 ? row->long_context : row->short_context,
            .chunk = row->chunk_tokens,
            .before = row->chunk_context,
            .ns = row->us * 1e3,
        };
    }
}

/* ---- regimes */

static enum step_regime regime_of(const struct step_fit *fit, const struct sample *at)
{
    if (at->chunk > 0.0) {
        return STEP_MIXED;
    }
    return at->decodes < fit->unsplit_from ? STEP_SPLIT : STEP_UNSPLIT;
}

static bool beyond_l2(const struct step_fit *fit, const struct sample *at)
{
    const double head_bytes = (double)fit->kv_token_bytes / fit->kv_heads;
    return fit->l2_bytes > 0 && at->context * head_bytes > (double)fit->l2_bytes;
}

static bool in_domain(const struct step_fit *fit, const struct sample *at)
{
    if (at->decodes + at->chunk <= 0.0 || at->longest > CALIBRATE_CONTEXT_MAX ||
        at->before > CALIBRATE_CONTEXT_MAX || at->context > decode_total_max) {
        return false;
    }
    if (at->decodes > 0.0 && at->context < CALIBRATE_CONTEXT_MIN * at->decodes) {
        return false;
    }
    return at->chunk <= 0.0 || !beyond_l2(fit, at);
}

/* The columns of the regime, as step_fit.h orders them. */
static void columns_of(enum step_regime regime, const struct sample *at, double *out)
{
    out[0] = 1.0;
    out[1] = at->decodes;
    out[2] = at->context;
    if (regime == STEP_UNSPLIT) {
        out[3] = at->longest;
    }
    if (regime == STEP_MIXED) {
        const double mean = at->decodes > 0.0 ? at->context / at->decodes : 0.0;
        out[3] = at->chunk;
        out[4] = at->chunk * (at->before + at->chunk / 2.0);
        out[5] = (at->decodes + 1.0) * ceil(at->chunk / BLOCK_TOKENS);
        out[6] = fmax(0.0, at->longest - mean);
    }
}

struct table {
    size_t rows;
    size_t columns;
    double *x;
    double *y;
    double *weight;
};

static void table_init(struct table *table, size_t rows_max, size_t columns)
{
    *table = (struct table){.columns = columns};
    table->x = mem_alloc(rows_max * columns, sizeof(double));
    table->y = mem_alloc(rows_max, sizeof(double));
    table->weight = mem_alloc(rows_max, sizeof(double));
}

static void table_fini(struct table *table)
{
    mem_free(table->x);
    mem_free(table->y);
    mem_free(table->weight);
}

/* Times of other sizes need not be positive: fit_linear's errors are then not used. */
static void table_fit(const struct table *table, struct fit_result *result)
{
    fit_linear(result, &(struct fit_problem){
                           .rows = table->rows,
                           .columns = table->columns,
                           .x = table->x,
                           .y = table->y,
                           .weight = table->weight,
                           .not_negative = (1U << table->columns) - 1U,
                       });
}

static void regime_rows(const struct step_fit *fit, enum step_regime regime,
                        const struct samples *samples, bool everywhere,
                        struct table *table)
{
    table->rows = 0;
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *at = &samples->items[i];
        if (regime_of(fit, at) == regime && at->decodes + at->chunk > 0.0 &&
            (everywhere || in_domain(fit, at))) {
            columns_of(regime, at, table->x + table->rows * table->columns);
            table->y[table->rows] = at->ns;
            table->weight[table->rows++] = 1.0 / at->ns;
        }
    }
}

/* A profile of other lengths than the domain's is better than none. */
static void regime_fit(struct step_fit *fit, enum step_regime regime,
                       const struct samples *samples)
{
    struct table table;
    table_init(&table, samples->count, step_term_count(regime));
    regime_rows(fit, regime, samples, false, &table);
    if (table.rows < DOMAIN_ROWS_MIN * table.columns) {
        regime_rows(fit, regime, samples, true, &table);
    }
    table_fit(&table, &fit->regimes[regime]);
    table_fini(&table);
}

static double regime_ns(const struct step_fit *fit, enum step_regime regime,
                        const struct sample *at)
{
    double x[STEP_TERMS_MAX] = {0.0};
    columns_of(regime, at, x);
    double ns = 0.0;
    for (size_t i = 0; i < step_term_count(regime); i++) {
        ns += x[i] * fit->regimes[regime].coefficients[i].value;
    }
    return ns;
}

/* A profile may lack batches of one decode regime: a small grid, or a GPU with so many
 * SMs that no batch fills them. The other regime's terms are the best guess then. */
static void regimes_complete(struct step_fit *fit)
{
    struct fit_coefficient *split = fit->regimes[STEP_SPLIT].coefficients;
    struct fit_coefficient *unsplit = fit->regimes[STEP_UNSPLIT].coefficients;
    const bool has_split = fit->regimes[STEP_SPLIT].rows > 0;
    if (has_split == (fit->regimes[STEP_UNSPLIT].rows > 0)) {
        return;
    }
    for (size_t i = 0; i < step_term_count(STEP_SPLIT); i++) {
        struct fit_coefficient *to = has_split ? &unsplit[i] : &split[i];
        *to = has_split ? split[i] : unsplit[i];
        to->status = FIT_UNDETERMINED;
    }
}

/* ---- the cliff */

/* How much dearer the decodes' context is beyond L2: least squares of what the other
 * terms leave. */
static void cliff_fit(struct step_fit *fit, const struct samples *samples)
{
    const double per_token = fit->regimes[STEP_MIXED].coefficients[2].value;
    struct table table;
    table_init(&table, samples->count, 1);
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *at = &samples->items[i];
        if (at->chunk > 0.0 && at->longest <= CALIBRATE_CONTEXT_MAX &&
            at->before <= CALIBRATE_CONTEXT_MAX && beyond_l2(fit, at)) {
            const double read_ns = per_token * at->context;
            table.x[table.rows] = read_ns;
            table.y[table.rows] = at->ns - (regime_ns(fit, STEP_MIXED, at) - read_ns);
            table.weight[table.rows++] = 1.0 / at->ns;
        }
    }
    struct fit_result result;
    table_fit(&table, &result);
    table_fini(&table);
    const struct fit_coefficient *factor = &result.coefficients[0];
    fit->cliff_measured = factor->status == FIT_SURE;
    fit->cliff_factor = fit->cliff_measured ? fmax(1.0, factor->value) : cliff_default;
}

/* ---- the semi-physical form */

/* Time of the two kinds of work beside each other, us. */
static double overlap_us(const struct step_fit *fit, const struct semi_physical *semi,
                         const struct sample *at)
{
    const double token_us = fit->kv_token_bytes / fit->memory_bytes_per_s * 1e6;
    const double read_us = at->context * token_us;
    const double heads = fit->kv_heads;
    const double waves =
        fmax(0.0, 1.0 - 1.0 / heads - fit->sm_count / (at->decodes * heads));
    const double x = read_us / semi->efficiency;
    const double y = waves * read_us + at->longest / semi->sm_tokens_per_us;
    const double large = fmax(x, y);
    const double ratio = fmin(x, y) / large;
    return large * pow(1.0 + pow(ratio, semi->exponent), 1.0 / semi->exponent);
}

/* Fits t0 and t1 beside the others of *semi, and measures its error. */
static void semi_try(const struct step_fit *fit, const struct samples *unsplit,
                     struct table *table, struct semi_physical *semi)
{
    table->rows = unsplit->count;
    for (size_t i = 0; i < unsplit->count; i++) {
        const struct sample *at = &unsplit->items[i];
        table->x[2 * i] = 1.0;
        table->x[2 * i + 1] = at->decodes;
        table->y[i] = at->ns / 1e3 - overlap_us(fit, semi, at);
        table->weight[i] = 1.0 / at->ns;
    }
    struct fit_result result;
    table_fit(table, &result);
    semi->constant_us = result.coefficients[0].value;
    semi->per_decode_us = result.coefficients[1].value;
    double sum = 0.0;
    for (size_t i = 0; i < unsplit->count; i++) {
        const double us = unsplit->items[i].ns / 1e3;
        const double rest =
            table->y[i] - semi->constant_us - semi->per_decode_us * table->x[2 * i + 1];
        sum += fabs(rest) / us;
    }
    semi->mean_abs_error = sum / (double)unsplit->count;
}

/* A box of efficiency, SM rate and exponent, in equal ratios from the middle. */
struct box {
    struct semi_physical middle;
    double efficiency_ratio;
    double rate_ratio;
    double exponent_ratio;
    int steps; /* to each side */
};

static void box_search(const struct step_fit *fit, const struct samples *unsplit,
                       const struct box *box, struct semi_physical *best)
{
    struct table table;
    table_init(&table, unsplit->count, 2);
    const int side = 2 * box->steps + 1;
    for (int i = 0; i < side * side * side; i++) {
        const int at[] = {i % side - box->steps, i / side % side - box->steps,
                          i / (side * side) - box->steps};
        struct semi_physical semi = box->middle;
        semi.efficiency *= pow(box->efficiency_ratio, at[0]);
        semi.sm_tokens_per_us *= pow(box->rate_ratio, at[1]);
        semi.exponent *= pow(box->exponent_ratio, at[2]);
        semi.exponent = fmax(2.0, semi.exponent);
        semi.known = true;
        semi_try(fit, unsplit, &table, &semi);
        if (!best->known || semi.mean_abs_error < best->mean_abs_error) {
            *best = semi;
        }
    }
    table_fini(&table);
}

static void semi_fit(struct step_fit *fit, const struct samples *samples)
{
    struct samples unsplit = {0};
    unsplit.items = mem_alloc(samples->count, sizeof *unsplit.items);
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *at = &samples->items[i];
        if (regime_of(fit, at) == STEP_UNSPLIT && in_domain(fit, at)) {
            unsplit.items[unsplit.count++] = *at;
        }
    }
    /* As many rows as constants would fit whatever they are. */
    if (fit->memory_bytes_per_s > 0.0 && unsplit.count > 10) {
        struct box box = {
            .middle = {.efficiency = 0.8, .sm_tokens_per_us = 20.0, .exponent = 6.0},
            .efficiency_ratio = 1.06,
            .rate_ratio = 1.3,
            .exponent_ratio = 1.4,
            .steps = 4};
        box_search(fit, &unsplit, &box, &fit->semi);
        box = (struct box){fit->semi, 1.015, 1.07, 1.1, 4};
        box_search(fit, &unsplit, &box, &fit->semi);
    }
    mem_free(unsplit.items);
    fit->form = fit->semi.known && fit->semi.mean_abs_error <
                                       fit->regimes[STEP_UNSPLIT].mean_abs_error
                    ? STEP_SEMI_PHYSICAL
                    : STEP_AFFINE;
}

/* ---- all of it */

static void head_fill(struct step_fit *fit, const struct kernel_profile *profile,
                      const struct model_spec *model, const struct calibrate_gpu *gpu)
{
    snprintf(fit->gpu, sizeof fit->gpu, "%s", gpu->name);
    snprintf(fit->model, sizeof fit->model, "%s", model->name);
    snprintf(fit->source, sizeof fit->source,
             "kernel profile of %.60s on %.60s, vLLM %.20s; %zu attention and %zu "
             "uneven batches",
             profile->model, profile->gpu,
             profile->vllm_version[0] != '\0' ? profile->vllm_version : "unknown",
             profile->attention_count, profile->skew_count);
    const uint32_t degree = gpu->tensor_parallel;
    fit->tensor_parallel = degree;
    fit->layers = model->layers;
    fit->hidden = model->hidden;
    fit->kv_heads = model->kv_heads > degree ? model->kv_heads / degree : 1;
    fit->kv_token_bytes =
        (uint32_t)(model_kv_bytes_per_token(model, degree) / model->layers);
    fit->sm_count = gpu->sm_count;
    fit->memory_bytes_per_s = gpu->memory_bytes_per_s;
    fit->l2_bytes = gpu->l2_bytes;
    fit->unsplit_from = split_share * gpu->sm_count / fit->kv_heads;
}

static void tables_copy(struct step_fit *fit, const struct kernel_profile *profile,
                        const struct calibrate_gpu *gpu)
{
    const struct fact_curve *allreduce = &gpu->allreduce_s;
    if (allreduce->count > 0) {
        fit->allreduce_us.x = mem_alloc(allreduce->count, sizeof(double));
        fit->allreduce_us.us = mem_alloc(allreduce->count, sizeof(double));
    }
    for (uint32_t i = 0; i < allreduce->count; i++) {
        fit->allreduce_us.x[i] = allreduce->x[i];
        fit->allreduce_us.us[i] = allreduce->y[i] * 1e6;
    }
    fit->allreduce_us.count = allreduce->count;
    fit->experts = gpu->experts;
    fit->experts_per_token = gpu->experts_per_token;
    fit->moe = mem_alloc(profile->moe_count, sizeof *fit->moe);
    fit->moe_count = profile->moe_count;
    for (size_t i = 0; i < profile->moe_count; i++) {
        fit->moe[i] = profile->moe[i];
    }
}

static bool inputs_check(const struct kernel_profile *profile,
                         const struct model_spec *model,
                         const struct calibrate_gpu *gpu, struct err *err)
{
    if (profile->attention_count == 0) {
        return err_set(err, ERR_INPUT, "%s/attention.csv: no rows", profile->dir);
    }
    if (gpu->sm_count == 0 || gpu->tensor_parallel == 0 || model->layers == 0 ||
        model->kv_heads == 0) {
        return err_set(err, ERR_INPUT,
                       "%s: the number of SMs, the tensor-parallel degree, layers and "
                       "KV heads must be known to fit it",
                       profile->dir);
    }
    if (profile->moe_count > 0 &&
        (gpu->experts_per_token == 0 || gpu->experts < gpu->experts_per_token)) {
        return err_set(
            err, ERR_INPUT,
            "%s/moe.csv: the model's experts, and how many of them one token "
            "takes, must be known to use it",
            profile->dir);
    }
    return true;
}

bool calibrate_profile(struct text *yaml, const struct kernel_profile *profile,
                       const struct model_spec *model, const struct calibrate_gpu *gpu,
                       struct err *err)
{
    struct step_fit fit = {0};
    if (!inputs_check(profile, model, gpu, err)) {
        return false;
    }
    head_fill(&fit, profile, model, gpu);
    if (!kernel_profile_dense(profile, model->layers, &fit.dense_us, err) ||
        !kernel_profile_rows(profile, &fit.rows_us, err)) {
        step_fit_fini(&fit);
        return false;
    }
    tables_copy(&fit, profile, gpu);
    struct samples samples = {0};
    gather(profile, &samples);
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        regime_fit(&fit, regime, &samples);
    }
    cliff_fit(&fit, &samples);
    semi_fit(&fit, &samples);
    regimes_complete(&fit);
    mem_free(samples.items);
    step_fit_write(&fit, yaml);
    step_fit_fini(&fit);
    return true;
}
