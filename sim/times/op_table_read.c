/* SPDX-License-Identifier: Apache-2.0
 *
 * op_table_read.c: finds the files of a system and backend, and reads their rows.
 */
#include "base/csv.h"
#include "base/mem.h"
#include "sim/times/op_table.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 1 << 24, LINE_MAX_BYTES = 1 << 16, COLUMNS_MAX = 12 };
enum { BITS_16 = 16, BITS_8 = 8, BITS_4 = 4, ELEMENT_BYTES = 2 };
static const char too_many[] = "too many rows";
static const double us_per_ms = 1e3;
static const double us_most = 1e9;

/* A table being read: its columns by the names that its reader asks for. */
struct table_reader {
    struct lines *lines;
    struct csv *csv;
    const char *const *names;
    size_t name_count;
    size_t place[COLUMNS_MAX];
    size_t width;
    const char *const *fields;
};

struct table_kind {
    const char *name;
    bool required;
    const char
        *columns[COLUMNS_MAX]; /* NULL-terminated, the last with a '?': may lack */
    bool (*row)(struct op_table *table, const struct table_reader *reader,
                struct err *err);
};

static bool row_fail(const struct table_reader *reader, struct err *err,
                     const char *what)
{
    return err_set(err, ERR_INPUT, "%s:%" PRIu64 ": %s", lines_path(reader->lines),
                   lines_number(reader->lines), what);
}

static const char *field(const struct table_reader *reader, size_t column)
{
    const size_t place = reader->place[column];
    return place == SIZE_MAX ? "" : reader->fields[place];
}

static bool number(const struct table_reader *reader, size_t column, double *out,
                   struct err *err)
{
    const char *text = field(reader, column);
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= 0.0) || *out > 1e15) {
        char what[160];
        (void)snprintf(what, sizeof what, "%s: '%.40s'; use a number, 0 or more",
                       reader->names[column], text);
        return row_fail(reader, err, what);
    }
    return true;
}

static bool count(const struct table_reader *reader, size_t column, uint32_t *out,
                  struct err *err)
{
    double value = 0.0;
    if (!number(reader, column, &value, err)) {
        return false;
    }
    if (value != floor(value) || value > (double)INT32_MAX) {
        char what[160];
        (void)snprintf(what, sizeof what, "%s: '%.40s'; use a whole number",
                       reader->names[column], field(reader, column));
        return row_fail(reader, err, what);
    }
    *out = (uint32_t)value;
    return true;
}

static bool latency(const struct table_reader *reader, size_t column, double *us,
                    struct err *err)
{
    if (!number(reader, column, us, err)) {
        return false;
    }
    *us *= us_per_ms;
    return (*us > 0.0 && *us < us_most) ||
           row_fail(reader, err, "latency: not between 0 and 1000 s, in ms");
}

/* The array with one more row, NULL when there are too many. Capacities are powers of
 * two, so that they need not be kept. */
static void *append(void *array, size_t used, const void *row, size_t row_bytes)
{
    size_t capacity = used;
    if ((used & (used - 1)) == 0 &&
        !mem_grow(&array, &capacity, used == 0 ? 1 : 2 * used, row_bytes, ROWS_MAX)) {
        return NULL;
    }
    memcpy((char *)array + used * row_bytes, row, row_bytes);
    return array;
}

static uint32_t bits_of(const char *dtype)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } known[] = {{"bfloat16", BITS_16}, {"float16", BITS_16}, {"fp8", BITS_8},
                 {"int8_wo", BITS_8},   {"nvfp4", BITS_4},    {"int4_wo", BITS_4}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(dtype, known[i].name) == 0) {
            return known[i].bits;
        }
    }
    return 0;
}

static bool gemm_row(struct op_table *table, const struct table_reader *reader,
                     struct err *err)
{
    struct op_gemm row = {.bits = bits_of(field(reader, 0))};
    if (row.bits == 0) {
        table->left_out++;
        return true;
    }
    if (!count(reader, 1, &row.m, err) || !count(reader, 2, &row.n, err) ||
        !count(reader, 3, &row.k, err) || !latency(reader, 4, &row.us, err)) {
        return false;
    }
    if (row.m == 0 || row.n == 0 || row.k == 0) {
        return row_fail(reader, err, "m, n, k: 1 or more");
    }
    void *more = append(table->gemm, table->gemm_count, &row, sizeof row);
    if (more == NULL) {
        return row_fail(reader, err, too_many);
    }
    table->gemm = more;
    table->gemm_count++;
    return true;
}

/* Columns of both kinds of attention. */
enum {
    KV_DTYPE,
    ATTENTION_DTYPE,
    HEAD_DIM,
    BATCH,
    ISL,
    STEP,
    HEADS,
    KV_HEADS,
    LATENCY
};
#define ATTENTION_COLUMNS                                                              \
    {                                                                                  \
        "kv_cache_dtype", "attn_dtype", "head_dim", "batch_size", "isl", "step",       \
            "num_heads", "num_key_value_heads", "latency"                              \
    }

/* False with no error: a row of a kind that is not read. */
static bool attention_fill(const struct table_reader *reader, struct op_attention *row,
                           uint32_t *step, struct err *err)
{
    uint32_t head_dim = 0;
    if (!count(reader, HEAD_DIM, &head_dim, err) ||
        !count(reader, BATCH, &row->batch, err) ||
        !count(reader, ISL, &row->tokens, err) || !count(reader, STEP, step, err) ||
        !count(reader, HEADS, &row->heads, err) ||
        !count(reader, KV_HEADS, &row->kv_heads, err) ||
        !latency(reader, LATENCY, &row->us, err)) {
        return false;
    }
    row->kv_bits = bits_of(field(reader, KV_DTYPE));
    if (head_dim != OP_HEAD_DIM || bits_of(field(reader, ATTENTION_DTYPE)) != BITS_16 ||
        row->batch == 0 || row->tokens == 0 || row->heads == 0 || row->kv_heads == 0) {
        row->kv_bits = 0;
    }
    return true;
}

static bool prompt_row(struct op_table *table, const struct table_reader *reader,
                       struct err *err)
{
    struct op_attention row = {0};
    uint32_t prefix = 0;
    if (!attention_fill(reader, &row, &prefix, err)) {
        return false;
    }
    if (row.kv_bits == 0 || prefix > 0) {
        table->left_out++;
        return true;
    }
    void *more = append(table->prompt, table->prompt_count, &row, sizeof row);
    if (more == NULL) {
        return row_fail(reader, err, too_many);
    }
    table->prompt = more;
    table->prompt_count++;
    return true;
}

static bool decode_row(struct op_table *table, const struct table_reader *reader,
                       struct err *err)
{
    struct op_attention row = {0};
    uint32_t context = 0;
    if (!attention_fill(reader, &row, &context, err)) {
        return false;
    }
    if (row.kv_bits == 0 || row.tokens != 1) {
        table->left_out++;
        return true;
    }
    row.tokens += context;
    void *more = append(table->decode, table->decode_count, &row, sizeof row);
    if (more == NULL) {
        return row_fail(reader, err, too_many);
    }
    table->decode = more;
    table->decode_count++;
    return true;
}

static bool allreduce_row(struct op_table *table, const struct table_reader *reader,
                          struct err *err)
{
    struct op_allreduce row = {0};
    if (!count(reader, 0, &row.gpus, err) || !number(reader, 1, &row.bytes, err) ||
        !latency(reader, 2, &row.us, err)) {
        return false;
    }
    row.bytes *= ELEMENT_BYTES;
    if (strstr(field(reader, 3), "eager") != NULL || row.gpus < 2 || row.bytes < 1.0) {
        table->left_out++;
        return true;
    }
    void *more = append(table->allreduce, table->allreduce_count, &row, sizeof row);
    if (more == NULL) {
        return row_fail(reader, err, too_many);
    }
    table->allreduce = more;
    table->allreduce_count++;
    return true;
}

static const struct table_kind kinds[] = {
    {"gemm_perf", true, {"gemm_dtype", "m", "n", "k", "latency"}, gemm_row},
    {"context_attention_perf", true, ATTENTION_COLUMNS, prompt_row},
    {"generation_attention_perf", true, ATTENTION_COLUMNS, decode_row},
    {"custom_allreduce_perf",
     false,
     {"num_gpus", "message_size", "latency", "backend?"},
     allreduce_row},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static bool header_read(struct table_reader *reader, struct err *err)
{
    const enum lines_result result =
        csv_next(reader->csv, &reader->fields, &reader->width, err);
    if (result != LINES_LINE) {
        return result == LINES_END &&
               err_set(err, ERR_INPUT, "%s: is empty", lines_path(reader->lines));
    }
    for (size_t i = 0; i < reader->name_count; i++) {
        const char *name = reader->names[i];
        const size_t length = strcspn(name, "?");
        reader->place[i] = SIZE_MAX;
        for (size_t at = 0; at < reader->width; at++) {
            if (strncmp(reader->fields[at], name, length) == 0 &&
                reader->fields[at][length] == '\0') {
                reader->place[i] = at;
            }
        }
        if (reader->place[i] == SIZE_MAX && name[length] == '\0') {
            return err_set(err, ERR_INPUT, "%s: no column %s in the header",
                           lines_path(reader->lines), name);
        }
    }
    return true;
}

static bool rows_read(struct op_table *table, struct table_reader *reader,
                      const struct table_kind *kind, struct err *err)
{
    if (!header_read(reader, err)) {
        return false;
    }
    for (;;) {
        size_t width = 0;
        const enum lines_result result =
            csv_next(reader->csv, &reader->fields, &width, err);
        if (result != LINES_LINE) {
            return result == LINES_END;
        }
        if (width != reader->width) {
            return row_fail(reader, err, "not as many fields as the header has");
        }
        if (!kind->row(table, reader, err)) {
            return false;
        }
    }
}

static bool kind_read(struct op_table *table, const struct table_kind *kind,
                      const char *path, struct err *err)
{
    struct table_reader reader = {.names = kind->columns};
    while (reader.name_count < COLUMNS_MAX &&
           kind->columns[reader.name_count] != NULL) {
        reader.name_count++;
    }
    if (!lines_open(&reader.lines, path, LINE_MAX_BYTES, err)) {
        return false;
    }
    reader.csv = csv_new(reader.lines);
    const bool held = rows_read(table, &reader, kind, err);
    csv_delete(reader.csv);
    lines_close(reader.lines);
    return held;
}

/* ---- files */

static bool starts(const char *text, const char *part)
{
    return strncmp(text, part, strlen(part)) == 0;
}

/* The version of a gemm table of this system and backend into table->backend, when it
 * is later than what stands there. */
static void version_note(struct op_table *table, const char *name, const char *backend)
{
    const char *at = name + strlen(table->system) + 1;
    const char *end = strstr(name, ".gemm_perf.csv");
    if (!starts(name, table->system) || name[strlen(table->system)] != '.' ||
        end == NULL || end < at || !starts(at, backend)) {
        return;
    }
    const char next = at[strlen(backend)];
    const size_t length = (size_t)(end - at);
    char found[OP_NAME_BYTES];
    if ((next != '-' && at + strlen(backend) != end) || length >= sizeof found) {
        return;
    }
    (void)snprintf(found, sizeof found, "%.*s", (int)length, at);
    if (strcmp(found, table->backend) > 0) {
        memcpy(table->backend, found, sizeof found);
    }
}

char *op_table_system(const char *dir)
{
    DIR *folder = opendir(dir);
    char *first = NULL;
    if (folder == NULL) {
        return NULL;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        const char *name = entry->d_name;
        const bool later = first != NULL && strcmp(name, first) >= 0;
        if (strstr(name, ".gemm_perf.csv") != NULL && name[0] != '.' && !later) {
            mem_free(first);
            first = mem_strdup(name);
        }
    }
    closedir(folder);
    if (first != NULL) {
        first[strcspn(first, ".")] = '\0';
    }
    return first;
}

bool op_table_fits(const char *dir)
{
    char *system = op_table_system(dir);
    const bool found = system != NULL;
    mem_free(system);
    return found;
}

static bool backend_find(struct op_table *table, const char *dir, const char *system,
                         const char *backend, struct err *err)
{
    if (strlen(system) >= OP_NAME_BYTES) {
        return err_set(err, ERR_INPUT, "system '%.70s...' is too long a name", system);
    }
    DIR *folder = opendir(dir);
    if (folder == NULL) {
        return err_set(err, ERR_INPUT, "%s: %s; give a folder of op tables", dir,
                       strerror(errno));
    }
    (void)snprintf(table->system, sizeof table->system, "%s", system);
    for (const struct dirent *entry = readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        version_note(table, entry->d_name, backend);
    }
    closedir(folder);
    return table->backend[0] != '\0' ||
           err_set(err, ERR_INPUT, "%s: no file %s.%s-VERSION.gemm_perf.csv[.gz]", dir,
                   system, backend);
}

static bool kind_find(struct op_table *table, const struct table_kind *kind,
                      const char *dir, struct err *err)
{
    static const char *const endings[] = {"csv.gz", "csv", "csv.zst"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const int length =
            snprintf(path, sizeof path, "%s/%s.%s.%s.%s", dir, table->system,
                     table->backend, kind->name, endings[i]);
        FILE *file = length < PATH_MAX ? fopen(path, "rb") : NULL;
        if (file != NULL) {
            (void)fclose(file);
            return kind_read(table, kind, path, err);
        }
    }
    return !kind->required || err_set(err, ERR_INPUT, "%s: no file %s.%s.%s.csv[.gz]",
                                      dir, table->system, table->backend, kind->name);
}

bool op_table_load(struct op_table **out, const char *dir, const char *system,
                   const char *backend, struct err *err)
{
    struct op_table *table = mem_alloc(1, sizeof *table);
    bool held = backend_find(table, dir, system, backend, err);
    for (size_t i = 0; held && i < KINDS; i++) {
        held = kind_find(table, &kinds[i], dir, err);
    }
    if (!held) {
        op_table_delete(table);
        return false;
    }
    *out = table;
    return true;
}

void op_table_delete(struct op_table *table)
{
    if (table == NULL) {
        return;
    }
    mem_free(table->gemm);
    mem_free(table->prompt);
    mem_free(table->decode);
    mem_free(table->allreduce);
    mem_free(table);
}
