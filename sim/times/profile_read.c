/* SPDX-License-Identifier: Apache-2.0
 *
 * profile_read.c: the files of a profile folder into arrays.
 *
 * Columns are found by name, so that files of another version of the profiler with more
 * columns, or in another order, read just as well.
 */
#include "base/conf.h"
#include "base/csv.h"
#include "base/mem.h"
#include "sim/times/profile.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, COLUMNS_MAX = 16, FIELD_COLUMNS_MAX = 64 };
enum { ROWS_MAX = 1 << 22, ROW_LINE_BYTES_MAX = 1 << 16 };
static const double skew_iterations = 3.0; /* skew.csv holds sums over three */

/* ---- one file, by column names */

struct sheet {
    char path[PATH_BYTES];
    struct lines *lines;
    struct csv *csv;
    const char *const *names; /* wanted, ends with NULL */
    size_t at[COLUMNS_MAX];   /* where each is */
    const char *const *fields;
    size_t field_count;
};

static void sheet_close(struct sheet *sheet)
{
    csv_delete(sheet->csv);
    lines_close(sheet->lines);
}

static bool sheet_fail(const struct sheet *sheet, struct err *err, const char *what,
                       const char *name)
{
    return err_set(err, ERR_INPUT, "%s:%llu: %s %s", sheet->path,
                   (unsigned long long)lines_number(sheet->lines), what, name);
}

static bool sheet_columns(struct sheet *sheet, struct err *err)
{
    const char *const *fields = NULL;
    size_t count = 0;
    const enum lines_result result = csv_next(sheet->csv, &fields, &count, err);
    if (result == LINES_ERROR) {
        return false;
    }
    if (result == LINES_END) {
        return err_set(err, ERR_INPUT, "%s: is empty; a line of column names is due",
                       sheet->path);
    }
    for (size_t i = 0; sheet->names[i] != NULL; i++) {
        size_t at = 0;
        while (at < count && strcmp(fields[at], sheet->names[i]) != 0) {
            at++;
        }
        if (at == count) {
            return sheet_fail(sheet, err, "has no column", sheet->names[i]);
        }
        sheet->at[i] = at;
    }
    return true;
}

static bool sheet_open(struct sheet *sheet, const char *dir, const char *file,
                       const char *const *names, struct err *err)
{
    *sheet = (struct sheet){.names = names};
    char path[PATH_BYTES];
    const int length = snprintf(path, sizeof path, "%s/%s", dir, file);
    if (length < 0 || (size_t)length >= sizeof path) {
        return err_set(err, ERR_INPUT, "%s: the path is too long", dir);
    }
    (void)lines_find(path, sheet->path, sizeof sheet->path);
    if (!lines_open(&sheet->lines, sheet->path, ROW_LINE_BYTES_MAX, err)) {
        return false;
    }
    sheet->csv = csv_new(sheet->lines);
    if (!sheet_columns(sheet, err)) {
        sheet_close(sheet);
        return false;
    }
    return true;
}

static enum lines_result sheet_next(struct sheet *sheet, struct err *err)
{
    const enum lines_result result =
        csv_next(sheet->csv, &sheet->fields, &sheet->field_count, err);
    if (result != LINES_LINE) {
        return result;
    }
    for (size_t i = 0; sheet->names[i] != NULL; i++) {
        if (sheet->at[i] >= sheet->field_count) {
            sheet_fail(sheet, err, "the row ends before column", sheet->names[i]);
            return LINES_ERROR;
        }
    }
    return LINES_LINE;
}

static const char *sheet_text(const struct sheet *sheet, size_t column)
{
    return sheet->fields[sheet->at[column]];
}

static bool sheet_number(const struct sheet *sheet, size_t column, double *out,
                         struct err *err)
{
    const char *text = sheet_text(sheet, column);
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*out)) {
        return err_set(err, ERR_INPUT, "%s:%llu: %s: \"%s\" is not a number",
                       sheet->path, (unsigned long long)lines_number(sheet->lines),
                       sheet->names[column], text);
    }
    return true;
}

static bool sheet_time(const struct sheet *sheet, size_t column, double *us,
                       struct err *err)
{
    if (!sheet_number(sheet, column, us, err)) {
        return false;
    }
    if (*us <= 0.0 || *us > 1e10) {
        return sheet_fail(sheet, err, "a time must be above 0 and below 1e10 us, in",
                          sheet->names[column]);
    }
    return true;
}

static bool sheet_count(const struct sheet *sheet, size_t column, uint32_t *out,
                        struct err *err)
{
    double value = 0.0;
    if (!sheet_number(sheet, column, &value, err)) {
        return false;
    }
    if (value < 0.0 || value > 1e9 || value != floor(value)) {
        return sheet_fail(sheet, err, "a whole number from 0 to 1e9 is due in",
                          sheet->names[column]);
    }
    *out = (uint32_t)value;
    return true;
}

/* Counts in the first `counts` columns, then times: most files are like this. */
static bool sheet_counts(const struct sheet *sheet, size_t counts, uint32_t *out,
                         struct err *err)
{
    for (size_t i = 0; i < counts; i++) {
        if (!sheet_count(sheet, i, &out[i], err)) {
            return false;
        }
    }
    return true;
}

/* ---- dense.csv, per_sequence.csv */

struct layers {
    struct profile_layer *items;
    size_t count;
    size_t capacity;
};

static struct profile_layer *layer_find(struct layers *layers, const char *name)
{
    for (size_t i = 0; i < layers->count; i++) {
        if (strcmp(layers->items[i].name, name) == 0) {
            return &layers->items[i];
        }
    }
    void *items = layers->items;
    if (strlen(name) >= PROFILE_NAME_BYTES ||
        !mem_grow(&items, &layers->capacity, layers->count + 1,
                  sizeof(struct profile_layer), 256)) {
        return NULL;
    }
    layers->items = items;
    struct profile_layer *layer = &layers->items[layers->count++];
    *layer = (struct profile_layer){0};
    memcpy(layer->name, name, strlen(name) + 1);
    return layer;
}

/* Keeps the points in order; equal ones are gathered and averaged by curve_merge. */
static bool curve_add(struct profile_curve *curve, double x, double us)
{
    const size_t count = curve->count;
    if (count >= ROWS_MAX) {
        return false;
    }
    if ((count & (count - 1)) == 0) { /* at powers of two: twice the room */
        const size_t room = count == 0 ? 1 : 2 * count;
        curve->x = mem_resize(curve->x, room, sizeof(double));
        curve->us = mem_resize(curve->us, room, sizeof(double));
    }
    size_t at = count;
    for (; at > 0 && curve->x[at - 1] > x; at--) {
        curve->x[at] = curve->x[at - 1];
        curve->us[at] = curve->us[at - 1];
    }
    curve->x[at] = x;
    curve->us[at] = us;
    curve->count++;
    return true;
}

static void curve_merge(struct profile_curve *curve)
{
    size_t kept = 0;
    for (size_t i = 0; i < curve->count;) {
        double sum = 0.0;
        size_t same = i;
        for (; same < curve->count && curve->x[same] == curve->x[i]; same++) {
            sum += curve->us[same];
        }
        curve->x[kept] = curve->x[i];
        curve->us[kept++] = sum / (double)(same - i);
        i = same;
    }
    curve->count = kept;
}

static bool layer_row(const struct sheet *sheet, struct layers *layers, struct err *err)
{
    uint32_t x = 0;
    double us = 0.0;
    if (!sheet_count(sheet, 1, &x, err) || !sheet_time(sheet, 2, &us, err)) {
        return false;
    }
    struct profile_layer *layer = layer_find(layers, sheet_text(sheet, 0));
    if (layer == NULL || !curve_add(&layer->time, x, us)) {
        return sheet_fail(sheet, err,
                          "too many layers, or a name too long:", sheet_text(sheet, 0));
    }
    return true;
}

static bool layers_read(const char *dir, const char *file, const char *const *names,
                        struct layers *layers, struct err *err)
{
    struct sheet sheet;
    if (!sheet_open(&sheet, dir, file, names, err)) {
        return false;
    }
    enum lines_result result = LINES_LINE;
    while ((result = sheet_next(&sheet, err)) == LINES_LINE) {
        if (!layer_row(&sheet, layers, err)) {
            result = LINES_ERROR;
            break;
        }
    }
    sheet_close(&sheet);
    for (size_t i = 0; i < layers->count; i++) {
        curve_merge(&layers->items[i].time);
    }
    return result == LINES_END;
}

static bool dense_read(struct kernel_profile *profile, struct err *err)
{
    static const char *const dense[] = {"layer", "tokens", "time_us", NULL};
    static const char *const rows[] = {"layer", "sequences", "time_us", NULL};
    struct layers layers = {0};
    bool held = layers_read(profile->dir, "dense.csv", dense, &layers, err);
    profile->dense = layers.items;
    profile->dense_count = layers.count;
    if (!held) {
        return false;
    }
    layers = (struct layers){0};
    held = layers_read(profile->dir, "per_sequence.csv", rows, &layers, err);
    profile->rows = layers.items;
    profile->rows_count = layers.count;
    return held;
}

/* ---- the other tables: rows of one struct each */

struct rows {
    void *items;
    size_t count;
    size_t capacity;
    size_t item_bytes;
};

/* Writes one row to `item`. */
typedef bool row_reader(const struct sheet *sheet, void *item, struct err *err);

static bool rows_read(struct sheet *sheet, struct rows *rows, row_reader *read,
                      struct err *err)
{
    enum lines_result result = LINES_LINE;
    while ((result = sheet_next(sheet, err)) == LINES_LINE) {
        if (!mem_grow(&rows->items, &rows->capacity, rows->count + 1, rows->item_bytes,
                      ROWS_MAX)) {
            return sheet_fail(sheet, err, "too many rows;", "at most 2^22");
        }
        unsigned char *item = rows->items;
        if (!read(sheet, item + rows->count * rows->item_bytes, err)) {
            return false;
        }
        rows->count++;
    }
    return result == LINES_END;
}

struct table_file {
    const char *name;
    const char *const *columns;
    size_t item_bytes;
    row_reader *read;
    bool optional;
};

static bool table_read(const char *dir, const struct table_file *file, void **items,
                       size_t *count, struct err *err)
{
    char path[PATH_BYTES];
    char found[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", dir, file->name);
    if (file->optional && !lines_find(path, found, sizeof found)) {
        return true;
    }
    struct sheet sheet;
    if (!sheet_open(&sheet, dir, file->name, file->columns, err)) {
        return false;
    }
    struct rows rows = {.item_bytes = file->item_bytes};
    const bool held = rows_read(&sheet, &rows, file->read, err);
    sheet_close(&sheet);
    *items = rows.items;
    *count = rows.count;
    return held;
}

static bool attention_row_read(const struct sheet *sheet, void *item, struct err *err)
{
    uint32_t counts[4] = {0};
    struct attention_row *row = item;
    *row = (struct attention_row){0};
    if (!sheet_counts(sheet, 4, counts, err) || !sheet_time(sheet, 4, &row->us, err)) {
        return false;
    }
    row->chunk_tokens = counts[0];
    row->chunk_context = counts[1];
    row->decodes = counts[2];
    row->decode_context = counts[3];
    return true;
}

static bool skew_row_read(const struct sheet *sheet, void *item, struct err *err)
{
    uint32_t counts[6] = {0};
    struct skew_row *row = item;
    *row = (struct skew_row){0};
    if (!sheet_counts(sheet, 6, counts, err) || !sheet_time(sheet, 6, &row->us, err) ||
        !sheet_time(sheet, 7, &row->mean_us, err) ||
        !sheet_time(sheet, 8, &row->max_us, err)) {
        return false;
    }
    row->chunk_tokens = counts[0];
    row->chunk_context = counts[1];
    row->decodes = counts[2];
    row->long_decodes = counts[3];
    row->short_context = counts[4];
    row->long_context = counts[5];
    row->us /= skew_iterations;
    row->mean_us /= skew_iterations;
    row->max_us /= skew_iterations;
    if (row->long_decodes > row->decodes) {
        return sheet_fail(sheet, err, "more long decodes than decodes:", "nb > n");
    }
    return true;
}

static bool moe_row_read(const struct sheet *sheet, void *item, struct err *err)
{
    struct moe_row *row = item;
    *row = (struct moe_row){0};
    return sheet_count(sheet, 0, &row->tokens, err) &&
           sheet_count(sheet, 1, &row->activated_experts, err) &&
           sheet_time(sheet, 2, &row->us, err);
}

/* "n<=128", "sr<=15%", "kvB<=16k", "kp=0": the edge; "n>256", "sr>70%": infinity. */
static bool label_edge(const char *label, double *edge)
{
    const char *number = label + strcspn(label, "=>");
    if (*number == '>') {
        *edge = (double)INFINITY;
        return true;
    }
    if (*number != '=') {
        return false;
    }
    char *end = NULL;
    *edge = strtod(number + 1, &end);
    if (end == number + 1) {
        return false;
    }
    if (*end == '%') {
        *edge /= 100.0;
        end++;
    } else if (*end == 'k') {
        *edge *= 1024.0;
        end++;
    }
    return *end == '\0';
}

static bool bucket_read(const struct sheet *sheet, void *item, struct err *err)
{
    struct skew_bucket *bucket = item;
    *bucket = (struct skew_bucket){0};
    double *edges[] = {&bucket->decodes_max, &bucket->rate_max,
                       &bucket->long_context_max, &bucket->chunk_context_max};
    for (size_t i = 0; i < 4; i++) {
        if (!label_edge(sheet_text(sheet, i + 1), edges[i])) {
            return sheet_fail(sheet, err,
                              "not a label such as n<=128:", sheet_text(sheet, i + 1));
        }
    }
    return sheet_count(sheet, 0, &bucket->chunk_tokens, err) &&
           sheet_number(sheet, 5, &bucket->alpha, err);
}

static const char *const attention_columns[] = {
    "prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us", NULL};
static const char *const skew_columns[] = {
    "pc", "kp", "n", "nb", "kvs", "kv_big", "t_skew_us", "t_mean_us", "t_max_us", NULL};
static const char *const bucket_columns[] = {
    "pc", "n_label", "skew_rate_label", "kv_big_label", "kp_label", "alpha", NULL};
static const char *const moe_columns[] = {"tokens", "activated_experts", "time_us",
                                          NULL};

static bool tables_read(struct kernel_profile *profile, struct err *err)
{
    const struct table_file attention = {"attention.csv", attention_columns,
                                         sizeof(struct attention_row),
                                         attention_row_read, false};
    const struct table_file skew = {"skew.csv", skew_columns, sizeof(struct skew_row),
                                    skew_row_read, true};
    const struct table_file buckets = {"skew_fit.csv", bucket_columns,
                                       sizeof(struct skew_bucket), bucket_read, true};
    const struct table_file moe = {"moe.csv", moe_columns, sizeof(struct moe_row),
                                   moe_row_read, true};
    void *items[4] = {NULL};
    size_t *counts[4] = {&profile->attention_count, &profile->skew_count,
                         &profile->bucket_count, &profile->moe_count};
    const struct table_file *files[4] = {&attention, &skew, &buckets, &moe};
    bool held = true;
    for (size_t i = 0; held && i < 4; i++) {
        held = table_read(profile->dir, files[i], &items[i], counts[i], err);
    }
    profile->attention = items[0];
    profile->skew = items[1];
    profile->buckets = items[2];
    profile->moe = items[3];
    return held;
}

/* ---- meta.yaml: what we use of it; the rest is the profiler's business */

static char *meta_string(const struct conf_node *root, const char *key)
{
    const char *text = conf_scalar(conf_get(root, key));
    return mem_strdup(text == NULL ? "" : text);
}

/* alpha_default of the only tensor-parallel degree, or of the one that tp_degrees of
 * the folder names last; LLMServingSim keeps all degrees in one file. */
static bool meta_alpha(const struct conf_node *fit, double *alpha, struct err *err)
{
    const struct conf_node *degrees = NULL;
    if (!conf_map(fit, "per_tp", &degrees, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(degrees); i++) {
        if (!conf_f64(conf_at(degrees, i), "alpha_default", alpha, -100.0, 100.0,
                      err)) {
            return false;
        }
    }
    return true;
}

static bool meta_read(struct kernel_profile *profile, struct err *err)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/meta.yaml", profile->dir);
    struct conf *conf = NULL;
    if (access(path, F_OK) == 0 && !conf_load(&conf, path, err)) {
        return false;
    }
    const struct conf_node *root = conf == NULL ? NULL : conf_root(conf);
    profile->gpu = meta_string(root, "gpu");
    profile->model = meta_string(root, "model");
    profile->vllm_version = meta_string(root, "vllm_version");
    profile->skew_enabled = profile->bucket_count > 0;
    const struct conf_node *fit = NULL;
    const bool held = conf_map(root, "skew_fit", &fit, err) &&
                      conf_bool(fit, "enabled", &profile->skew_enabled, err) &&
                      meta_alpha(fit, &profile->alpha_default, err);
    conf_delete(conf);
    return held;
}

bool kernel_profile_load(struct kernel_profile **out, const char *dir, struct err *err)
{
    struct kernel_profile *profile = mem_alloc(1, sizeof *profile);
    profile->dir = mem_strdup(dir);
    if (!dense_read(profile, err) || !tables_read(profile, err) ||
        !meta_read(profile, err)) {
        kernel_profile_delete(profile);
        return false;
    }
    *out = profile;
    return true;
}
