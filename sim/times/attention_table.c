/* SPDX-License-Identifier: Apache-2.0
 *
 * attention_table.c: a slice of curves for each measured pair (chunk, decodes).
 *
 * The grid is ragged: large batches lack long contexts, and a profile may join two
 * grids. So each pair keeps its own axes: curves over decode context, one for each
 * number of tokens before the chunk.
 */
#include "sim/times/attention_table.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

struct slice {
    size_t count;
    const double *before;               /* tokens before the chunk, ascending */
    const struct profile_curve *curves; /* over decode context */
};

struct axis {
    size_t count;
    double *at;
};

struct attention_table {
    struct axis chunks;
    struct axis decodes;
    struct slice *slices; /* chunk by chunk; count 0 where nothing was measured */
    size_t *nearest;      /* the slice to use, for every pair */
    double *before;       /* storage of the slices */
    struct profile_curve *curves;
    double *context;
    double *us;
};

static int compare_u32(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare_rows(const void *a, const void *b)
{
    const struct attention_row *left = a;
    const struct attention_row *right = b;
    int order = compare_u32(left->chunk_tokens, right->chunk_tokens);
    if (order == 0) {
        order = compare_u32(left->decodes, right->decodes);
    }
    if (order == 0) {
        order = compare_u32(left->chunk_context, right->chunk_context);
    }
    return order != 0 ? order
                      : compare_u32(left->decode_context, right->decode_context);
}

static int compare_double(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Ascending, each once; returns how many are left. */
static size_t values_sort(double *values, size_t count)
{
    qsort(values, count, sizeof(double), compare_double);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || values[kept - 1] != values[i]) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

static size_t axis_find(const struct axis *axis, double value)
{
    size_t at = 0;
    while (axis->at[at] != value) {
        at++;
        CHECK(at < axis->count, "%g is not on the axis", value);
    }
    return at;
}

/* The piece that holds value: low, and the part of the way to low + 1. Held below;
 * extended above. */
static double axis_part(const double *at, size_t count, double value, size_t *low)
{
    *low = 0;
    if (count < 2 || value <= at[0]) {
        return 0.0;
    }
    while (*low + 2 < count && at[*low + 1] <= value) {
        ++*low;
    }
    return (value - at[*low]) / (at[*low + 1] - at[*low]);
}

/* ---- making */

static void axes_make(struct attention_table *table, const struct attention_row *rows,
                      size_t count)
{
    table->chunks = (struct axis){count, mem_alloc(count, sizeof(double))};
    table->decodes = (struct axis){count, mem_alloc(count, sizeof(double))};
    for (size_t i = 0; i < count; i++) {
        table->chunks.at[i] = rows[i].chunk_tokens;
        table->decodes.at[i] = rows[i].decodes;
    }
    table->chunks.count = values_sort(table->chunks.at, count);
    table->decodes.count = values_sort(table->decodes.at, count);
}

/* One pass over the sorted rows; a batch measured twice counts as its mean. */
static void slices_make(struct attention_table *table, const struct attention_row *rows,
                        size_t count)
{
    size_t curve = 0;
    size_t point = 0;
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        const struct attention_row *row = &rows[i];
        const struct attention_row *last = i == 0 ? NULL : row - 1;
        const bool new_slice = last == NULL ||
                               last->chunk_tokens != row->chunk_tokens ||
                               last->decodes != row->decodes;
        const bool new_curve = new_slice || last->chunk_context != row->chunk_context;
        struct slice *slice =
            &table->slices[axis_find(&table->chunks, row->chunk_tokens) *
                               table->decodes.count +
                           axis_find(&table->decodes, row->decodes)];
        if (new_slice) {
            *slice = (struct slice){0, table->before + curve, table->curves + curve};
        }
        if (new_curve) {
            table->before[curve] = row->chunk_context;
            table->curves[curve] =
                (struct profile_curve){0, table->context + point, table->us + point};
            slice->count++;
            curve++;
        }
        struct profile_curve *open = &table->curves[curve - 1];
        if (!new_curve && last->decode_context == row->decode_context) {
            same++;
            open->us[open->count - 1] +=
                (row->us - open->us[open->count - 1]) / (double)same;
            continue;
        }
        same = 1;
        open->x[open->count] = row->decode_context;
        open->us[open->count++] = row->us;
        point++;
    }
}

/* By distance in steps of the axes; of equal ones the larger chunk, then more decodes:
 * rather too long than too short. */
static size_t nearest_find(const struct attention_table *table, size_t chunk,
                           size_t decodes)
{
    size_t best = 0;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < table->chunks.count; i++) {
        for (size_t k = 0; k < table->decodes.count; k++) {
            const size_t distance = (i > chunk ? i - chunk : chunk - i) +
                                    (k > decodes ? k - decodes : decodes - k);
            const size_t at = i * table->decodes.count + k;
            if (table->slices[at].count > 0 && distance <= best_distance) {
                best = at;
                best_distance = distance;
            }
        }
    }
    return best;
}

struct attention_table *attention_table_new(const struct kernel_profile *profile)
{
    const size_t count = profile->attention_count;
    CHECK(count > 0, "no rows in %s", profile->dir);
    struct attention_table *table = mem_alloc(1, sizeof *table);
    struct attention_row *rows = mem_alloc(count, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        rows[i] = profile->attention[i];
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    axes_make(table, rows, count);
    const size_t pairs = table->chunks.count * table->decodes.count;
    table->slices = mem_alloc(pairs, sizeof *table->slices);
    table->nearest = mem_alloc(pairs, sizeof *table->nearest);
    table->before = mem_alloc(count, sizeof(double));
    table->curves = mem_alloc(count, sizeof *table->curves);
    table->context = mem_alloc(count, sizeof(double));
    table->us = mem_alloc(count, sizeof(double));
    slices_make(table, rows, count);
    size_t pair = 0;
    for (size_t i = 0; i < table->chunks.count; i++) {
        for (size_t k = 0; k < table->decodes.count; k++) {
            table->nearest[pair++] = nearest_find(table, i, k);
        }
    }
    mem_free(rows);
    return table;
}

void attention_table_delete(struct attention_table *table)
{
    if (table == NULL) {
        return;
    }
    mem_free(table->chunks.at);
    mem_free(table->decodes.at);
    mem_free(table->slices);
    mem_free(table->nearest);
    mem_free(table->before);
    mem_free(table->curves);
    mem_free(table->context);
    mem_free(table->us);
    mem_free(table);
}

/* ---- reading */

static double mix(double low, double high, double part)
{
    return low + part * (high - low);
}

static double slice_us(const struct slice *slice, double before, double context)
{
    size_t low = 0;
    const double part = axis_part(slice->before, slice->count, before, &low);
    const double us = profile_curve_at(&slice->curves[low], context);
    if (part <= 0.0) {
        return us;
    }
    return mix(us, profile_curve_at(&slice->curves[low + 1], context), part);
}

static const struct slice *slice_at(const struct attention_table *table, size_t chunk,
                                    size_t decodes)
{
    return &table->slices[table->nearest[chunk * table->decodes.count + decodes]];
}

double attention_table_us(const struct attention_table *table,
                          const struct attention_point *point)
{
    size_t chunk = 0;
    size_t decodes = 0;
    const double chunk_part =
        axis_part(table->chunks.at, table->chunks.count, point->chunk_tokens, &chunk);
    const double decodes_part =
        axis_part(table->decodes.at, table->decodes.count, point->decodes, &decodes);
    double corners[2][2] = {{0.0}};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 2; k++) {
            if ((i == 0 || chunk_part > 0.0) && (k == 0 || decodes_part > 0.0)) {
                corners[i][k] = slice_us(slice_at(table, chunk + i, decodes + k),
                                         point->chunk_context, point->decode_context);
            }
        }
    }
    const double low = mix(corners[0][0], corners[0][1], decodes_part);
    const double us =
        mix(low, mix(corners[1][0], corners[1][1], decodes_part), chunk_part);
    return fmax(0.0, us);
}

/* Returns the new count. */
static size_t bends_add(const struct slice *slice, double *out, size_t count,
                        size_t most)
{
    const struct profile_curve *curve = &slice->curves[0];
    for (size_t i = 0; i < curve->count && count < most; i++) {
        out[count++] = curve->x[i];
    }
    return count;
}

size_t attention_table_bends(const struct attention_table *table, double decodes,
                             double *out, size_t most)
{
    size_t low = 0;
    const double part =
        axis_part(table->decodes.at, table->decodes.count, decodes, &low);
    /* Without a chunk: the lowest point of that axis and no tokens before it. */
    size_t count = bends_add(slice_at(table, 0, low), out, 0, most);
    if (part > 0.0) {
        count = bends_add(slice_at(table, 0, low + 1), out, count, most);
    }
    return values_sort(out, count);
}
