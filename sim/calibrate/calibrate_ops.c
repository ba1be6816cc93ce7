/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate_ops.c: least squares with weights 1 / t^2 at each knot. A single formula
 * over all sizes (bytes over bandwidth, FLOPs over a part of the peak) leaves 7 to 28 %
 * on the same products, as kernels change with the number of rows; lines at knots leave
 * 3 to 8 %.
 */
#include "sim/calibrate/calibrate_ops.h"

#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { ROWS_PER_TERM = 3, WIDTH_MIN = 1024, MESSAGE_BYTES_MIN = 8192 };
enum { DECODE_TOKENS_MIN = 128, DECODE_TOKENS_MAX = 32768, PROMPT_TOKENS_MAX = 65536 };
static const uint32_t gemm_knots[] = {1,   8,   16,  32,   64,   96,   128,  192,
                                      256, 384, 512, 1024, 2048, 4096, 8192, 16384};
static const uint32_t decode_knots[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
static const uint32_t prompt_knots[] = {16,   64,   128,  256,  512,  1024,  1536,
                                        2048, 3072, 4096, 6144, 8192, 12288, 16384};

/* Rows of one knot. */
struct rows {
    size_t count;
    size_t terms;
    double *x;
    double *us;
    double *weight;
};

static void rows_add(struct rows *rows, const double x[OP_TERMS_MAX], double us)
{
    for (size_t i = 0; i < rows->terms; i++) {
        rows->x[rows->count * rows->terms + i] = x[i];
    }
    rows->us[rows->count] = us;
    rows->weight[rows->count++] = 1.0 / (us * us);
}

static void gemm_collect(struct rows *rows, const struct op_table *table,
                         enum op_family family, uint32_t m)
{
    static const uint32_t bits[] = {
        [OP_GEMM_16] = 16, [OP_GEMM_8] = 8, [OP_GEMM_4] = 4};
    for (size_t i = 0; i < table->gemm_count; i++) {
        const struct op_gemm *row = &table->gemm[i];
        double x[OP_TERMS_MAX];
        if (row->bits == bits[family] && row->m == m && row->n >= WIDTH_MIN &&
            row->k >= WIDTH_MIN) {
            op_terms(family, row->n, row->k, 0.0, x);
            rows_add(rows, x, row->us);
        }
    }
}

/* Twice the cache and more is read from memory; a sixteenth of it is nothing beside the
 * launch. */
static bool cached(const struct op_attention *row, uint64_t l2_bytes)
{
    const double bytes = 2.0 * row->batch * (double)row->tokens * row->kv_heads *
                         OP_HEAD_DIM * row->kv_bits / 8.0;
    return l2_bytes > 0 && bytes < 2.0 * (double)l2_bytes &&
           bytes > (double)l2_bytes / 16.0;
}

static void decode_collect(struct rows *rows, const struct op_table *table,
                           enum op_family family, uint32_t batch, uint64_t l2_bytes)
{
    const uint32_t kv_bits = family == OP_DECODE_16 ? 16 : 8;
    for (size_t i = 0; i < table->decode_count; i++) {
        const struct op_attention *row = &table->decode[i];
        double x[OP_TERMS_MAX];
        if (row->kv_bits == kv_bits && row->batch == batch &&
            row->tokens >= DECODE_TOKENS_MIN && row->tokens <= DECODE_TOKENS_MAX &&
            !cached(row, l2_bytes)) {
            op_terms(family, row->heads, row->kv_heads, row->tokens, x);
            rows_add(rows, x, row->us);
        }
    }
}

static void prompt_collect(struct rows *rows, const struct op_table *table,
                           enum op_family family, uint32_t tokens)
{
    const uint32_t kv_bits = family == OP_PROMPT_16 ? 16 : 8;
    for (size_t i = 0; i < table->prompt_count; i++) {
        const struct op_attention *row = &table->prompt[i];
        const double batch = row->batch;
        double x[OP_TERMS_MAX];
        if (row->kv_bits == kv_bits && row->tokens == tokens &&
            batch * tokens <= PROMPT_TOKENS_MAX) {
            op_terms(family, batch * row->heads, batch * row->kv_heads, 0.0, x);
            rows_add(rows, x, row->us);
        }
    }
}

static void knot_fit(struct op_fit_family *family, const struct rows *rows, uint32_t at)
{
    if (rows->count < ROWS_PER_TERM * rows->terms) {
        return;
    }
    struct op_knot *knot = &family->knots[family->count++];
    const struct fit_problem problem = {
        .rows = rows->count,
        .columns = rows->terms,
        .x = rows->x,
        .y = rows->us,
        .weight = rows->weight,
        .not_negative = (1U << rows->terms) - 1,
    };
    knot->at = at;
    fit_linear(&knot->fit, &problem);
    const double before = (double)family->rows;
    family->rows += rows->count;
    family->mean_abs_error = (family->mean_abs_error * before +
                              knot->fit.mean_abs_error * (double)rows->count) /
                             (double)family->rows;
    family->worst_abs_error = fmax(family->worst_abs_error, knot->fit.worst_abs_error);
}

struct knot_list {
    const uint32_t *at;
    size_t count;
};

static struct knot_list knots_of(enum op_family family)
{
    if (family >= OP_PROMPT_16) {
        return (struct knot_list){prompt_knots,
                                  sizeof prompt_knots / sizeof prompt_knots[0]};
    }
    if (family >= OP_DECODE_16) {
        return (struct knot_list){decode_knots,
                                  sizeof decode_knots / sizeof decode_knots[0]};
    }
    return (struct knot_list){gemm_knots, sizeof gemm_knots / sizeof gemm_knots[0]};
}

static void family_fit(struct op_fit *fit, const struct op_table *table,
                       enum op_family family, uint64_t l2_bytes)
{
    const size_t most = table->gemm_count + table->decode_count + table->prompt_count;
    const struct knot_list knots = knots_of(family);
    struct rows rows = {
        .terms = op_term_count(family),
        .x = mem_alloc(most * OP_TERMS_MAX + 1, sizeof(double)),
        .us = mem_alloc(most + 1, sizeof(double)),
        .weight = mem_alloc(most + 1, sizeof(double)),
    };
    for (size_t i = 0; i < knots.count; i++) {
        rows.count = 0;
        if (family >= OP_PROMPT_16) {
            prompt_collect(&rows, table, family, knots.at[i]);
        } else if (family >= OP_DECODE_16) {
            decode_collect(&rows, table, family, knots.at[i], l2_bytes);
        } else {
            gemm_collect(&rows, table, family, knots.at[i]);
        }
        knot_fit(&fit->families[family], &rows, knots.at[i]);
    }
    mem_free(rows.x);
    mem_free(rows.us);
    mem_free(rows.weight);
}

/* Messages of 8 KiB and more, four times apart: the smaller ones take as long. */
static void group_add(struct op_fit *fit, const struct op_table *table, uint32_t gpus)
{
    struct profile_curve curve;
    op_table_allreduce(table, gpus, &curve);
    const uint32_t at = fit->group_count;
    double next = MESSAGE_BYTES_MIN;
    size_t count = 0;
    for (size_t i = 0; i < curve.count && count < OP_MESSAGES_MAX; i++) {
        const bool last = i + 1 == curve.count;
        if (curve.x[i] >= next || last) {
            fit->message_bytes[at][count] = curve.x[i];
            fit->message_us[at][count++] = curve.us[i];
            next = 4.0 * curve.x[i];
        }
    }
    profile_curve_fini(&curve);
    if (count > 0) {
        fit->groups[at] = gpus;
        fit->message_count[at] = count;
        fit->group_count++;
    }
}

bool calibrate_ops(struct op_fit *fit, const struct op_table *table, uint64_t l2_bytes,
                   const char *source, struct err *err)
{
    *fit = (struct op_fit){0};
    (void)snprintf(fit->system, sizeof fit->system, "%s", table->system);
    (void)snprintf(fit->backend, sizeof fit->backend, "%s", table->backend);
    (void)snprintf(fit->source, sizeof fit->source,
                   "%s; %zu products, %zu prompts, %zu decode batches, %zu all-reduces",
                   source, table->gemm_count, table->prompt_count, table->decode_count,
                   table->allreduce_count);
    size_t knots = 0;
    for (int family = 0; family < OP_FAMILY_COUNT; family++) {
        family_fit(fit, table, (enum op_family)family, l2_bytes);
        knots += fit->families[family].count;
    }
    for (uint32_t gpus = 2; gpus <= 16; gpus *= 2) {
        group_add(fit, table, gpus);
    }
    return knots > 0 ||
           err_set(err, ERR_INPUT, "op tables of %s, %s: too few rows for any fit",
                   table->system, table->backend);
}

static void knot_report(struct text *out, enum op_family family,
                        const struct op_knot *knot)
{
    text_printf(out, "  %6.0f %7zu %7.1f %%", knot->at, knot->fit.rows,
                100.0 * knot->fit.mean_abs_error);
    for (size_t i = 0; i < op_term_count(family); i++) {
        const struct fit_coefficient *at = &knot->fit.coefficients[i];
        text_printf(out, "  %s %.4g", op_term_name(family, i), at->value);
        if (at->status == FIT_SURE) {
            text_printf(out, " (%.4g to %.4g)", at->low, at->high);
        } else {
            text_printf(out, " (%s)", fit_status_name(at->status));
        }
    }
    text_add(out, "\n");
}

void calibrate_ops_report(const struct op_fit *fit, struct text *out)
{
    text_printf(out, "%s, %s\n%s\n", fit->system, fit->backend, fit->source);
    for (int i = 0; i < OP_FAMILY_COUNT; i++) {
        const struct op_fit_family *family = &fit->families[i];
        if (family->count == 0) {
            text_printf(out, "\n%s: not determined, no rows\n",
                        op_family_help((enum op_family)i));
            continue;
        }
        text_printf(out,
                    "\n%s: %zu rows, mean error %.1f %%, worst %.0f %%\n  %6s %7s %9s"
                    "  us (95 %% interval)\n",
                    op_family_help((enum op_family)i), family->rows,
                    100.0 * family->mean_abs_error, 100.0 * family->worst_abs_error,
                    op_family_axis((enum op_family)i), "rows", "error");
        for (size_t j = 0; j < family->count; j++) {
            knot_report(out, (enum op_family)i, &family->knots[j]);
        }
    }
    for (uint32_t i = 0; i < fit->group_count; i++) {
        text_printf(out, "\nall-reduce of %" PRIu32 " GPUs: %zu messages kept\n",
                    fit->groups[i], fit->message_count[i]);
    }
}
