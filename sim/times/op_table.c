/* SPDX-License-Identifier: Apache-2.0
 *
 * op_table.c: curves for one engine's shapes out of the rows. Each is made once, so the
 * rows are simply walked.
 */
#include "sim/times/op_table.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Attention was measured beyond what anybody runs; few lengths keep decode runs long.
 */
enum { DECODE_TOKENS_MIN = 64 };

struct point {
    double x;
    double y;
    double us;
};

/* x, then y, then time: of equal ones the fastest counts, as the one without another's
 * interference. */
static int point_compare(const void *left, const void *right)
{
    const struct point *a = left;
    const struct point *b = right;
    if (a->x != b->x) {
        return a->x < b->x ? -1 : 1;
    }
    if (a->y != b->y) {
        return a->y < b->y ? -1 : 1;
    }
    return (a->us > b->us) - (a->us < b->us);
}

static size_t points_sort(struct point *points, size_t count)
{
    size_t kept = 0;
    qsort(points, count, sizeof *points, point_compare);
    for (size_t i = 0; i < count; i++) {
        const bool again = kept > 0 && points[kept - 1].x == points[i].x &&
                           points[kept - 1].y == points[i].y;
        if (!again) {
            points[kept++] = points[i];
        }
    }
    return kept;
}

static void curve_fill(struct profile_curve *out, const struct point *points,
                       size_t count)
{
    *out = (struct profile_curve){0};
    out->x = mem_alloc(count + 1, sizeof(double));
    out->us = mem_alloc(count + 1, sizeof(double));
    for (size_t i = 0; i < count; i++) {
        out->x[i] = points[i].x;
        out->us[i] = points[i].us;
    }
    out->count = count;
}

static double distance(double measured, double wanted)
{
    return fabs(log(measured / wanted));
}

/* ---- products */

static const struct op_gemm *gemm_nearest(const struct op_table *table,
                                          const struct layer_product *product)
{
    const struct op_gemm *best = NULL;
    double least = (double)INFINITY;
    for (size_t i = 0; i < table->gemm_count; i++) {
        const struct op_gemm *row = &table->gemm[i];
        const double away =
            distance(row->n, product->columns) + distance(row->k, product->inner);
        if (row->bits == product->bits && away < least) {
            least = away;
            best = row;
        }
    }
    return best;
}

bool op_table_gemm(const struct op_table *table, const struct layer_product *product,
                   struct profile_curve *out, struct err *err)
{
    const struct op_gemm *like = gemm_nearest(table, product);
    *out = (struct profile_curve){0};
    if (like == NULL) {
        return err_set(err, ERR_INPUT, "op tables of %s, %s: no products of %u bits",
                       table->system, table->backend, product->bits);
    }
    const double ratio =
        product->columns * product->inner / ((double)like->n * like->k);
    struct point *points = mem_alloc(table->gemm_count, sizeof *points);
    size_t count = 0;
    for (size_t i = 0; i < table->gemm_count; i++) {
        const struct op_gemm *row = &table->gemm[i];
        if (row->bits == like->bits && row->n == like->n && row->k == like->k) {
            points[count++] = (struct point){row->m, 0.0, row->us * ratio};
        }
    }
    curve_fill(out, points, points_sort(points, count));
    mem_free(points);
    return true;
}

/* ---- attention */

static const struct op_attention *attention_nearest(const struct op_attention *rows,
                                                    size_t count,
                                                    const struct op_heads *heads)
{
    const struct op_attention *best = NULL;
    double least = (double)INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double away = distance(rows[i].heads, heads->query) +
                            2.0 * distance(rows[i].kv_heads, heads->kv);
        if (rows[i].kv_bits == heads->kv_bits && away < least) {
            least = away;
            best = &rows[i];
        }
    }
    return best;
}

static bool same_heads(const struct op_attention *a, const struct op_attention *b)
{
    return a->kv_bits == b->kv_bits && a->heads == b->heads &&
           a->kv_heads == b->kv_heads;
}

static bool none(const struct op_table *table, const char *what, uint32_t kv_bits,
                 struct err *err)
{
    return err_set(err, ERR_INPUT,
                   "op tables of %s, %s: no %s with a KV cache of %u "
                   "bits",
                   table->system, table->backend, what, kv_bits);
}

/* Distinct x (or y) of sorted points. */
static size_t axis_of(const struct point *points, size_t count, bool second,
                      double *out)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const double at = second ? points[i].y : points[i].x;
        size_t place = used;
        while (place > 0 && out[place - 1] > at) {
            place--;
        }
        if (place > 0 && out[place - 1] == at) {
            continue;
        }
        for (size_t move = used; move > place; move--) {
            out[move] = out[move - 1];
        }
        out[place] = at;
        used++;
    }
    return used;
}

/* Long contexts of large batches are missing (they do not fit); there the last two
 * points of the batch go on. */
static void row_fill(struct op_grid *grid, size_t batch, const struct point *points,
                     size_t count)
{
    struct profile_curve curve = {0};
    struct point *own = mem_alloc(count + 1, sizeof *own);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (points[i].x == grid->batch[batch]) {
            own[used++] = (struct point){points[i].y, 0.0, points[i].us};
        }
    }
    curve_fill(&curve, own, used);
    for (size_t j = 0; j < grid->context_count; j++) {
        grid->us[batch * grid->context_count + j] =
            profile_curve_at(&curve, grid->context[j]);
    }
    profile_curve_fini(&curve);
    mem_free(own);
}

bool op_table_decode(const struct op_table *table, const struct op_heads *heads,
                     struct op_grid *out, struct err *err)
{
    const struct op_attention *like =
        attention_nearest(table->decode, table->decode_count, heads);
    *out = (struct op_grid){0};
    if (like == NULL) {
        return none(table, "decode attention", heads->kv_bits, err);
    }
    const double ratio = heads->kv / like->kv_heads;
    struct point *points = mem_alloc(table->decode_count, sizeof *points);
    size_t count = 0;
    for (size_t i = 0; i < table->decode_count; i++) {
        const struct op_attention *row = &table->decode[i];
        if (same_heads(row, like) && row->tokens >= DECODE_TOKENS_MIN) {
            points[count++] = (struct point){row->batch, row->tokens, row->us * ratio};
        }
    }
    count = points_sort(points, count);
    out->batch = mem_alloc(count + 1, sizeof(double));
    out->context = mem_alloc(count + 1, sizeof(double));
    out->batch_count = axis_of(points, count, false, out->batch);
    out->context_count = axis_of(points, count, true, out->context);
    out->us = mem_alloc(out->batch_count * out->context_count + 1, sizeof(double));
    for (size_t i = 0; i < out->batch_count; i++) {
        row_fill(out, i, points, count);
    }
    mem_free(points);
    return out->batch_count > 0 || none(table, "decode attention", heads->kv_bits, err);
}

/* A line through one length's batches, residuals relative, neither part negative. */
static void line_of(const struct point *points, size_t count, double *base,
                    double *slope)
{
    double s = 0.0;
    double sx = 0.0;
    double sxx = 0.0;
    double sy = 0.0;
    double sxy = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double weight = 1.0 / (points[i].us * points[i].us);
        s += weight;
        sx += weight * points[i].y;
        sxx += weight * points[i].y * points[i].y;
        sy += weight * points[i].us;
        sxy += weight * points[i].y * points[i].us;
    }
    const double spread = s * sxx - sx * sx;
    *slope = spread > 1e-12 * s * sxx ? (s * sxy - sx * sy) / spread : sxy / sxx;
    *base = (sy - *slope * sx) / s;
    if (*slope < 0.0) {
        *slope = 0.0;
        *base = sy / s;
    }
    if (*base < 0.0) {
        *base = 0.0;
        *slope = sxy / sxx;
    }
}

bool op_table_prompt(const struct op_table *table, const struct op_heads *heads,
                     struct op_lines *out, struct err *err)
{
    const struct op_attention *like =
        attention_nearest(table->prompt, table->prompt_count, heads);
    *out = (struct op_lines){0};
    if (like == NULL) {
        return none(table, "prompt attention", heads->kv_bits, err);
    }
    const double ratio = heads->query / like->heads;
    struct point *points = mem_alloc(table->prompt_count, sizeof *points);
    size_t count = 0;
    for (size_t i = 0; i < table->prompt_count; i++) {
        const struct op_attention *row = &table->prompt[i];
        if (same_heads(row, like)) {
            points[count++] = (struct point){row->tokens, row->batch, row->us * ratio};
        }
    }
    count = points_sort(points, count);
    out->tokens = mem_alloc(count + 1, sizeof(double));
    out->base_us = mem_alloc(count + 1, sizeof(double));
    out->per_prompt_us = mem_alloc(count + 1, sizeof(double));
    for (size_t i = 0, end = 0; i < count; i = end) {
        while (end < count && points[end].x == points[i].x) {
            end++;
        }
        out->tokens[out->count] = points[i].x;
        line_of(points + i, end - i, &out->base_us[out->count],
                &out->per_prompt_us[out->count]);
        out->count++;
    }
    mem_free(points);
    return true;
}

void op_table_allreduce(const struct op_table *table, uint32_t gpus,
                        struct profile_curve *out)
{
    struct point *points = mem_alloc(table->allreduce_count + 1, sizeof *points);
    size_t count = 0;
    for (size_t i = 0; i < table->allreduce_count; i++) {
        const struct op_allreduce *row = &table->allreduce[i];
        if (row->gpus == gpus) {
            points[count++] = (struct point){row->bytes, 0.0, row->us};
        }
    }
    curve_fill(out, points, points_sort(points, count));
    mem_free(points);
}
