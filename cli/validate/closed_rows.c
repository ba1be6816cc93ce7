/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_rows.c: reads and sorts out the rows. Dumps of several months overlap, so the
 * same configuration comes up again; the first one counts.
 */
#include "cli/validate/closed_rows.h"

#include "base/csv.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 1 << 22, LINE_MAX_BYTES = 1 << 20 };
enum { FILTERS_MAX = 16, LENGTH_MAX = 1 << 24, USERS_MAX = 1 << 16, GROUP_MAX = 1024 };
static const double ms_max = 1e9;

#define COLUMNS(X)                                                                     \
    X(SYSTEM, "system", true)                                                          \
    X(MODEL_PATH, "model_path", true)                                                  \
    X(ISL, "isl", true)                                                                \
    X(OSL, "osl", true)                                                                \
    X(TP, "tp_size", true)                                                             \
    X(TTFT, "silicon_ttft_ms", true)                                                   \
    X(TPOT, "silicon_tpot_ms", true)                                                   \
    X(BACKEND, "backend", false)                                                       \
    X(VERSION, "backend_version", false)                                               \
    X(PRECISION, "precision", false)                                                   \
    X(MODE, "mode", false)                                                             \
    X(GEMM, "gemm_quant_mode", false)                                                  \
    X(BATCH, "batch_size", false)                                                      \
    X(PP, "pp_size", false)                                                            \
    X(DP, "attention_dp_size", false)                                                  \
    X(MOE_TP, "moe_tp_size", false)                                                    \
    X(MOE_EP, "moe_ep_size", false)                                                    \
    X(SOURCE, "source", false)                                                         \
    X(CONCURRENCY, "concurrency", false)

enum column {
#define X(name, text, required) COLUMN_##name,
    COLUMNS(X)
#undef X
        COLUMN_COUNT,
};

struct column_info {
    const char *name;
    bool required;
};
static const struct column_info columns[COLUMN_COUNT] = {
#define X(name, text, required) {text, required},
    COLUMNS(X)
#undef X
};

/* One "column=value" of --filter. */
struct filter {
    size_t field;
    const char *value;
};

struct reader {
    struct lines *lines;
    struct csv *csv;
    struct closed_rows *out;
    size_t place[COLUMN_COUNT]; /* in the row; SIZE_MAX: the file lacks it */
    size_t width;               /* columns of the header */
    char *filter_text;
    struct filter filters[FILTERS_MAX];
    size_t filter_count;
    struct map *seen; /* hash of the configuration -> index in keys */
    char **keys;
    size_t key_count;
    size_t key_capacity;
    const char *const *fields;
};

const char *closed_reason_help(enum closed_reason reason)
{
    static const char *const help[CLOSED_REASON_COUNT] = {
#define X(name, text) text,
        CLOSED_REASONS(X)
#undef X
    };
    return help[reason];
}

static bool row_fail(const struct reader *reader, struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "%s:%" PRIu64 ": %s", lines_path(reader->lines),
                   lines_number(reader->lines), what);
}

static const char *field(const struct reader *reader, enum column column)
{
    const size_t place = reader->place[column];
    return place == SIZE_MAX ? "" : reader->fields[place];
}

static bool header_check(const struct reader *reader, struct err *err)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (columns[i].required && reader->place[i] == SIZE_MAX) {
            return err_set(err, ERR_INPUT, "%s: no column %s in the header",
                           lines_path(reader->lines), columns[i].name);
        }
    }
    if (reader->place[COLUMN_CONCURRENCY] == SIZE_MAX &&
        reader->place[COLUMN_BATCH] == SIZE_MAX) {
        return err_set(err, ERR_INPUT, "%s: no column concurrency or batch_size",
                       lines_path(reader->lines));
    }
    return true;
}

/* "system=h100_sxm,model_path=Qwen/Qwen3-32B"; the header is in reader->fields. */
static bool filters_parse(struct reader *reader, const char *filter, struct err *err)
{
    if (filter == NULL) {
        return true;
    }
    reader->filter_text = mem_strdup(filter);
    char *rest = NULL;
    for (char *item = strtok_r(reader->filter_text, ",", &rest); item != NULL;
         item = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(item, '=');
        if (equals == NULL || reader->filter_count == FILTERS_MAX) {
            return err_set(err, ERR_USAGE,
                           "option --filter: '%s'; use at most %d of column=value, "
                           "with commas between",
                           item, FILTERS_MAX);
        }
        *equals = '\0';
        size_t at = 0;
        while (at < reader->width && strcmp(reader->fields[at], item) != 0) {
            at++;
        }
        if (at == reader->width) {
            return err_set(err, ERR_USAGE, "option --filter: %s has no column '%s'",
                           lines_path(reader->lines), item);
        }
        reader->filters[reader->filter_count++] = (struct filter){at, equals + 1};
    }
    return true;
}

static bool header_read(struct reader *reader, const char *filter, struct err *err)
{
    const enum lines_result result =
        csv_next(reader->csv, &reader->fields, &reader->width, err);
    if (result == LINES_ERROR) {
        return false;
    }
    if (result == LINES_END) {
        return err_set(err, ERR_INPUT, "%s: is empty", lines_path(reader->lines));
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        reader->place[i] = SIZE_MAX;
        for (size_t at = reader->width; at-- > 0;) {
            if (strcmp(reader->fields[at], columns[i].name) == 0) {
                reader->place[i] = at;
            }
        }
    }
    return header_check(reader, err) && filters_parse(reader, filter, err);
}

/* Not negative. */
static bool number(const char *text, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && *out >= 0.0;
}

/* An absent figure is 0; anything else must be a whole number up to max. */
static bool whole(const struct reader *reader, enum column column, uint32_t max,
                  uint32_t *out, struct err *err)
{
    const char *text = field(reader, column);
    double value = 0.0;
    if (*text != '\0' &&
        (!number(text, &value) || value > max || value != floor(value))) {
        char what[160];
        (void)snprintf(what, sizeof what, "%s: '%.40s'; use a whole number up to %u",
                       columns[column].name, text, max);
        return row_fail(reader, err, what);
    }
    *out = (uint32_t)value;
    return true;
}

static bool milliseconds(const struct reader *reader, enum column column, double *out,
                         struct err *err)
{
    const char *text = field(reader, column);
    *out = 0.0;
    if (*text != '\0' && (!number(text, out) || *out > ms_max)) {
        char what[160];
        (void)snprintf(what, sizeof what, "%s: '%.40s'; use milliseconds up to %g",
                       columns[column].name, text, ms_max);
        return row_fail(reader, err, what);
    }
    return true;
}

/* Precision of the weights by the first column that tells; 0: as published. */
static uint32_t weight_bits(const struct reader *reader)
{
    const char *const texts[] = {field(reader, COLUMN_GEMM),
                                 field(reader, COLUMN_PRECISION),
                                 field(reader, COLUMN_MODEL_PATH)};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcasestr(texts[i], "fp8") != NULL ||
            strcasestr(texts[i], "int8") != NULL) {
            return 8;
        }
        if (strcasestr(texts[i], "fp4") != NULL ||
            strcasestr(texts[i], "int4") != NULL) {
            return 4;
        }
        if (strcasestr(texts[i], "bf16") != NULL ||
            strcasestr(texts[i], "bfloat16") != NULL) {
            return 16;
        }
    }
    return 0;
}

static bool seen_before(struct reader *reader)
{
    static const enum column parts[] = {
        COLUMN_SYSTEM, COLUMN_MODEL_PATH, COLUMN_BACKEND, COLUMN_VERSION, COLUMN_ISL,
        COLUMN_OSL,    COLUMN_TP,         COLUMN_DP,      COLUMN_MOE_TP,  COLUMN_MOE_EP,
    };
    struct text key = {0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        text_printf(&key, "%s\x1f", field(reader, parts[i]));
    }
    const char *users = field(reader, COLUMN_CONCURRENCY);
    text_printf(&key, "%s\x1f%" PRIu32,
                *users != '\0' ? users : field(reader, COLUMN_BATCH),
                weight_bits(reader));
    const uint64_t hash = hash_xxh64(key.bytes, key.length, 0);
    uint32_t index = 0;
    if (map_get(reader->seen, hash, &index) &&
        strcmp(reader->keys[index], key.bytes) == 0) {
        text_fini(&key);
        return true;
    }
    void *array = reader->keys;
    if (mem_grow(&array, &reader->key_capacity, reader->key_count + 1, sizeof(char *),
                 ROWS_MAX)) {
        reader->keys = array;
        map_put(reader->seen, hash, (uint32_t)reader->key_count);
        reader->keys[reader->key_count++] = mem_strdup(key.bytes);
    }
    text_fini(&key);
    return false;
}

static bool filtered(const struct reader *reader)
{
    for (size_t i = 0; i < reader->filter_count; i++) {
        const struct filter *filter = &reader->filters[i];
        if (strcmp(reader->fields[filter->field], filter->value) != 0) {
            return true;
        }
    }
    return false;
}

static void word(char out[CLOSED_WORD_BYTES], const struct reader *reader,
                 enum column column)
{
    (void)snprintf(out, CLOSED_WORD_BYTES, "%s", field(reader, column));
}

/* The figures of a row, checked even when it is then left out. */
static bool row_fill(const struct reader *reader, struct closed_row *row,
                     uint32_t *pipeline, struct err *err)
{
    uint32_t batch = 0;
    uint32_t sliced = 0;
    uint32_t whole_experts = 0;
    row->line = lines_number(reader->lines);
    word(row->system, reader, COLUMN_SYSTEM);
    word(row->model_path, reader, COLUMN_MODEL_PATH);
    word(row->backend, reader, COLUMN_BACKEND);
    row->weight_bits = weight_bits(reader);
    row->load = closed_load_by_source(field(reader, COLUMN_SOURCE));
    if (!whole(reader, COLUMN_ISL, LENGTH_MAX, &row->prompt_tokens, err) ||
        !whole(reader, COLUMN_OSL, LENGTH_MAX, &row->output_tokens, err) ||
        !whole(reader, COLUMN_TP, GROUP_MAX, &row->tensor_parallel, err) ||
        !whole(reader, COLUMN_PP, GROUP_MAX, pipeline, err) ||
        !whole(reader, COLUMN_DP, GROUP_MAX, &row->ranks, err) ||
        !whole(reader, COLUMN_MOE_TP, GROUP_MAX, &sliced, err) ||
        !whole(reader, COLUMN_MOE_EP, GROUP_MAX, &whole_experts, err) ||
        !whole(reader, COLUMN_BATCH, USERS_MAX, &batch, err) ||
        !whole(reader, COLUMN_CONCURRENCY, USERS_MAX, &row->users, err) ||
        !milliseconds(reader, COLUMN_TTFT, &row->ttft_ms, err) ||
        !milliseconds(reader, COLUMN_TPOT, &row->tpot_ms, err)) {
        return false;
    }
    /* A concurrency above batch and ranks is of several engines behind one address. */
    if (batch > 0) {
        row->users = batch;
    } else if (row->ranks > 1) {
        row->users = (row->users + row->ranks - 1) / row->ranks;
    }
    row->expert_gpus = sliced * whole_experts;
    return true;
}

static enum closed_reason row_judge(struct reader *reader, const struct closed_row *row,
                                    uint32_t pipeline)
{
    const char *mode = field(reader, COLUMN_MODE);
    if (filtered(reader)) {
        return CLOSED_FILTER;
    }
    if (*mode != '\0' && strcmp(mode, "agg") != 0) {
        return CLOSED_DISAGGREGATED;
    }
    if (pipeline > 1) {
        return CLOSED_PIPELINE;
    }
    if (row->users == 0 || row->prompt_tokens == 0 || row->output_tokens < 2 ||
        row->tensor_parallel == 0 || !(row->ttft_ms > 0.0) || !(row->tpot_ms > 0.0)) {
        return CLOSED_UNMEASURED;
    }
    return seen_before(reader) ? CLOSED_DUPLICATE : CLOSED_SCORED;
}

static bool row_take(struct reader *reader, size_t width, struct err *err)
{
    struct closed_rows *out = reader->out;
    struct closed_row row = {0};
    uint32_t pipeline = 0;
    if (width != reader->width) {
        return row_fail(reader, err, "not as many fields as the header has");
    }
    if (!row_fill(reader, &row, &pipeline, err)) {
        return false;
    }
    out->read++;
    const enum closed_reason reason = row_judge(reader, &row, pipeline);
    if (reason != CLOSED_SCORED) {
        out->left_out[reason]++;
        return true;
    }
    void *array = out->rows;
    if (!mem_grow(&array, &out->capacity, out->count + 1, sizeof row, ROWS_MAX)) {
        return row_fail(reader, err, "too many rows");
    }
    out->rows = array;
    out->rows[out->count++] = row;
    return true;
}

static bool rows_read(struct reader *reader, const char *filter, struct err *err)
{
    if (!header_read(reader, filter, err)) {
        return false;
    }
    for (;;) {
        size_t width = 0;
        const enum lines_result result =
            csv_next(reader->csv, &reader->fields, &width, err);
        if (result != LINES_LINE) {
            return result == LINES_END;
        }
        if (!row_take(reader, width, err)) {
            return false;
        }
    }
}

bool closed_rows_read(struct closed_rows *rows, const char *path, const char *filter,
                      struct err *err)
{
    struct reader reader = {.out = rows};
    *rows = (struct closed_rows){0};
    if (!lines_open(&reader.lines, path, LINE_MAX_BYTES, err)) {
        return false;
    }
    reader.csv = csv_new(reader.lines);
    reader.seen = map_new(1024, ROWS_MAX);
    const bool ok = rows_read(&reader, filter, err);
    for (size_t i = 0; i < reader.key_count; i++) {
        mem_free(reader.keys[i]);
    }
    mem_free(reader.keys);
    mem_free(reader.filter_text);
    map_delete(reader.seen);
    csv_delete(reader.csv);
    lines_close(reader.lines);
    if (!ok) {
        closed_rows_fini(rows);
    }
    return ok;
}

void closed_rows_fini(struct closed_rows *rows)
{
    mem_free(rows->rows);
    *rows = (struct closed_rows){0};
}
