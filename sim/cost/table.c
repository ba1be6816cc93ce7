/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c: step times by interpolation in a kernel profile, as LLMServingSim 2.0 does
 * it (spec/step-time.md 2), for comparison: no CUDA-graph padding, one attention time
 * for the sums over all chunks and the mean decode, a bucketed correction for uneven
 * decodes, the ring formula for collectives.
 *
 * For a fixed number of decodes the time is a broken line in the mean context, hence in
 * K. Each piece gets an integer start and slope (2^-16 ns), so runs are exact and end
 * where a piece does. Where the line falls, or the correction for uneven batches is on,
 * it is evaluated step by step: the contract wants growth that is not negative.
 *
 * The buckets' "skew rate" is the share of long sequences in the measured batches, the
 * others being a quarter as long. A batch_shape knows the mean and the longest; we take
 * the share that would give them.
 */
#include "base/mem.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"
#include "sim/times/attention_table.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BENDS_MAX = 256 };
static const double ring_latency_s = 20e-6;
static const double ring_bytes_per_s = 16.0 * 1073741824.0;
static const double step_us_max = 3.6e9; /* an hour: extrapolation ends somewhere */
static const double short_part = 0.25;   /* of the longest, in the measured batches */

/* From this total context on, up to the next piece. */
struct piece {
    uint64_t context;
    int64_t start_fx;
    int64_t slope_fx;
};

struct table {
    struct kernel_profile *profile;
    struct attention_table *attention;
    struct profile_curve dense_us;
    struct profile_curve rows_us;
    double layers;
    double hidden;
    double ranks;
    double memory_bytes_per_s;
    double scale_decode;
    double scale_mixed;
    bool skew;
    int64_t *decode_fx;    /* by n: all but attention */
    struct piece *pieces;  /* of all n */
    uint32_t *piece_first; /* by n; of n + 1: the end */
};

static double collectives_us(const struct table *table, double tokens)
{
    if (table->ranks <= 1.0) {
        return 0.0;
    }
    const double part = 2.0 * tokens * table->hidden / table->ranks;
    double seconds =
        2.0 * (table->ranks - 1.0) * (ring_latency_s + part / ring_bytes_per_s);
    if (table->memory_bytes_per_s > 0.0) {
        seconds += 3.0 * (table->ranks - 1.0) * part / table->memory_bytes_per_s;
    }
    return 2.0 * table->layers * seconds * 1e6;
}

static double fixed_us(const struct table *table, double tokens, double rows,
                       double scale)
{
    return scale * (profile_curve_at(&table->dense_us, tokens) +
                    profile_curve_at(&table->rows_us, rows)) +
           collectives_us(table, tokens);
}

/* ---- uneven decodes */

static bool in_bucket(const struct skew_bucket *bucket, double chunk, double n,
                      double rate)
{
    return bucket->chunk_tokens >= chunk && n <= bucket->decodes_max &&
           rate <= bucket->rate_max;
}

/* The tightest bucket that holds the batch: edges ascend within each label. */
static double alpha_of(const struct table *table, const struct attention_point *mean,
                       double longest)
{
    const struct kernel_profile *profile = table->profile;
    const double rate =
        fmin(1.0, fmax(0.0, (mean->decode_context / longest - short_part) /
                                (1.0 - short_part)));
    const struct skew_bucket *best = NULL;
    for (size_t i = 0; i < profile->bucket_count; i++) {
        const struct skew_bucket *at = &profile->buckets[i];
        if (!in_bucket(at, mean->chunk_tokens, mean->decodes, rate) ||
            longest > at->long_context_max ||
            mean->chunk_context > at->chunk_context_max) {
            continue;
        }
        const bool tighter =
            best == NULL ||
            (at->chunk_tokens <= best->chunk_tokens &&
             at->decodes_max <= best->decodes_max && at->rate_max <= best->rate_max &&
             at->long_context_max <= best->long_context_max &&
             at->chunk_context_max <= best->chunk_context_max);
        if (tighter) {
            best = at;
        }
    }
    return best == NULL ? profile->alpha_default : best->alpha;
}

static double attention_us(const struct table *table,
                           const struct attention_point *mean, double longest)
{
    const double us = attention_table_us(table->attention, mean);
    if (!table->skew || mean->decodes <= 1.0 || longest <= mean->decode_context) {
        return us;
    }
    struct attention_point even = *mean;
    even.decode_context = longest;
    const double most = attention_table_us(table->attention, &even);
    return fmax(0.0, us + alpha_of(table, mean, longest) * (most - us));
}

/* ---- decode */

static int64_t decode_attention_fx(const struct table *table, double n, double mean,
                                   double longest)
{
    const struct attention_point point = {.decodes = n, .decode_context = mean};
    const double us =
        table->scale_decode * table->layers * attention_us(table, &point, longest);
    return cost_fx_of_s(fmin(us, step_us_max) * 1e-6);
}

/* Pieces of n decodes; returns their number. */
static uint32_t pieces_fill(const struct table *table, uint32_t n, struct piece *out)
{
    double bends[BENDS_MAX];
    const size_t count = attention_table_bends(table->attention, n, bends, BENDS_MAX);
    uint32_t filled = 0;
    for (size_t i = 0; i <= count; i++) {
        /* Before the first bend the line is level; the last piece goes on for ever. */
        const double from = i == 0 ? 0.0 : bends[i - 1];
        const double to = i == count ? 2.0 * from + 1024.0 : bends[i];
        if (to <= from) {
            continue;
        }
        const int64_t start_fx = decode_attention_fx(table, n, from, from);
        const int64_t end_fx = decode_attention_fx(table, n, to, to);
        out[filled++] = (struct piece){
            .context = (uint64_t)(from * n),
            .start_fx = start_fx,
            .slope_fx = llround((double)(end_fx - start_fx) / ((to - from) * n)),
        };
    }
    return filled;
}

static struct decode_cost table_decode(const void *state, uint32_t decodes,
                                       uint64_t context, uint32_t context_max)
{
    const struct table *table = state;
    const double n = decodes;
    struct decode_cost step = {.first_fx = table->decode_fx[decodes], .valid_steps = 1};
    if (table->skew && decodes > 1) {
        step.first_fx +=
            decode_attention_fx(table, n, (double)context / n, context_max);
        return step;
    }
    const struct piece *at = &table->pieces[table->piece_first[decodes]];
    const struct piece *end = &table->pieces[table->piece_first[decodes + 1]];
    while (at + 1 < end && at[1].context <= context) {
        at++;
    }
    const int64_t fx = at->start_fx + at->slope_fx * (int64_t)(context - at->context);
    step.first_fx += fx > 0 ? fx : 0;
    if (at->slope_fx < 0) {
        return step;
    }
    step.grow_fx = at->slope_fx * (int64_t)decodes;
    step.valid_steps = COST_STEPS_MAX;
    if (at + 1 < end) {
        const uint64_t steps = (at[1].context - context + decodes - 1) / decodes;
        step.valid_steps = steps < COST_STEPS_MAX ? (uint32_t)steps : COST_STEPS_MAX;
    }
    return step;
}

static int64_t table_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct table *table = state;
    const double n = shape->decodes;
    const double tokens = n + (double)shape->chunk_tokens;
    const struct attention_point mean = {
        .chunk_tokens = (double)shape->chunk_tokens,
        .chunk_context = (double)shape->chunk_context,
        .decodes = n,
        .decode_context = n > 0.0 ? (double)shape->decode_context / n : 0.0,
    };
    const double us = fixed_us(table, tokens, n + shape->chunks, table->scale_mixed) +
                      table->scale_mixed * table->layers *
                          attention_us(table, &mean, shape->decode_context_max);
    const int64_t fx = cost_fx_of_s(fmin(us, step_us_max) * 1e-6);
    return fx > 0 ? fx : 1;
}

/* ---- life */

static void table_fini(void *state)
{
    struct table *table = state;
    kernel_profile_delete(table->profile);
    attention_table_delete(table->attention);
    profile_curve_fini(&table->dense_us);
    profile_curve_fini(&table->rows_us);
    mem_free(table->decode_fx);
    mem_free(table->pieces);
    mem_free(table->piece_first);
}

/* As written, or relative to the file that says so. */
static void profile_path(const struct conf_node *map, const char *path, char *out)
{
    const char *file = conf_path(map);
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || slash == NULL) {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        snprintf(out, PATH_MAX, "%.*s/%s", (int)(slash - file), file, path);
    }
}

static bool profile_load(struct table *table, const struct cost_setup *setup,
                         struct err *err)
{
    const char *path = NULL;
    if (!conf_str(setup->map, "profile", &path, err)) {
        return false;
    }
    if (path == NULL) {
        return conf_fail(setup->map, err,
                         "cost: model table needs `profile: FOLDER`; see "
                         "docs/calibration.md");
    }
    char folder[PATH_MAX];
    profile_path(setup->map, path, folder);
    if (!kernel_profile_load(&table->profile, folder, err) ||
        !kernel_profile_dense(table->profile, setup->model->layers, &table->dense_us,
                              err) ||
        !kernel_profile_rows(table->profile, &table->rows_us, err)) {
        return false;
    }
    if (table->profile->attention_count == 0) {
        return conf_fail(setup->map, err, "%s/attention.csv: no rows", folder);
    }
    table->attention = attention_table_new(table->profile);
    table->skew = table->profile->skew_enabled;
    return true;
}

static void decodes_fill(struct table *table, uint32_t rows_max)
{
    const size_t rows = (size_t)rows_max + 1;
    table->decode_fx = mem_alloc(rows, sizeof(int64_t));
    table->piece_first = mem_alloc(rows + 1, sizeof(uint32_t));
    size_t capacity = 0;
    size_t count = 0;
    void *pieces = NULL;
    for (uint32_t n = 1; n <= rows_max; n++) {
        (void)mem_grow(&pieces, &capacity, count + BENDS_MAX + 1, sizeof(struct piece),
                       rows * (BENDS_MAX + 1) + 1);
        table->pieces = pieces;
        table->piece_first[n] = (uint32_t)count;
        count += pieces_fill(table, n, table->pieces + count);
        table->decode_fx[n] = cost_fx_of_s(
            fmin(fixed_us(table, n, n, table->scale_decode), step_us_max) * 1e-6);
        table->decode_fx[n] += table->decode_fx[n] == 0;
    }
    table->piece_first[rows_max + 1] = (uint32_t)count;
}

static bool table_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct table *table = state;
    table->scale_decode = 1.0;
    table->scale_mixed = 1.0;
    table->layers = setup->model->layers;
    table->hidden = setup->model->hidden;
    table->ranks = setup->engine->tensor_parallel;
    table->memory_bytes_per_s = setup->gpu->memory_bytes_per_s;
    if (!conf_f64(setup->map, "scale_decode", &table->scale_decode, 0.01, 100.0, err) ||
        !conf_f64(setup->map, "scale_mixed", &table->scale_mixed, 0.01, 100.0, err) ||
        !profile_load(table, setup, err) ||
        !conf_bool(setup->map, "skew", &table->skew, err)) {
        table_fini(table);
        return false;
    }
    decodes_fill(table, setup->engine->max_num_seqs);
    return true;
}

static void table_describe(const void *state, struct text *out)
{
    const struct table *table = state;
    const struct kernel_profile *profile = table->profile;
    text_printf(
        out,
        "interpolated as LLMServingSim 2.0 does in a kernel profile of %s on %s, "
        "vLLM %s, %zu attention batches, correction for uneven ones %s",
        profile->model, profile->gpu, profile->vllm_version, profile->attention_count,
        table->skew ? "on" : "off");
}

const struct cost_model cost_model_table = {
    .name = "table",
    .help = "interpolation in a kernel profile, as LLMServingSim does it",
    .state_bytes = sizeof(struct table),
    .needs_context_max = true,
    .init = table_init,
    .fini = table_fini,
    .step_fx = table_step_fx,
    .decode = table_decode,
    .describe = table_describe,
};
