/* SPDX-License-Identifier: Apache-2.0
 *
 * iterations.c: a row is read, then chosen or not; what was there to choose is kept for
 * the message.
 */
#include "sim/times/iterations.h"

#include "base/csv.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATION_ROWS_MAX = 1 << 22, ITERATION_LINE_MAX = 1 << 16, KINDS_MAX = 64 };
enum { FIELDS_SEEN_MAX = 256 };

enum column {
    COLUMN_PROMPT,
    COLUMN_BATCH,
    COLUMN_OUTPUT,
    COLUMN_PROMPT_MS,
    COLUMN_TOKEN_MS,
    COLUMN_MODEL,
    COLUMN_GPU,
    COLUMN_TP,
    COLUMNS,
    COLUMNS_REQUIRED = COLUMN_MODEL,
};
static const char *const names[COLUMNS][2] = {
    {"prompt_size", "prompt_tokens"},
    {"batch_size", "batch"},
    {"token_size", "output_tokens"},
    {"prompt_time", "prompt_time_ms"},
    {"token_time", "token_time_ms"},
    {"model", "model"},
    {"hardware", "gpu"},
    {"tensor_parallel", "tp"},
};

/* What a table may be about. */
struct kind {
    char gpu[FACT_NAME_BYTES];
    char model[FACT_NAME_BYTES];
    uint32_t tensor_parallel;
    uint64_t rows;
};

struct reading {
    struct lines *lines;
    struct csv *csv;
    const char *const *fields;
    size_t field_count;
    size_t at[COLUMNS]; /* SIZE_MAX: the table has none */
    struct kind kinds[KINDS_MAX];
    size_t kind_count;
    size_t capacity;
};

static bool fail_at(const struct reading *reading, struct err *err, const char *what,
                    const char *name)
{
    return err_set(err, ERR_INPUT, "%s:%llu: %s %s", lines_path(reading->lines),
                   (unsigned long long)lines_number(reading->lines), what, name);
}

static void columns_find(struct reading *reading)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        reading->at[i] = SIZE_MAX;
        for (size_t k = 0; k < reading->field_count; k++) {
            if (strcmp(reading->fields[k], names[i][0]) == 0 ||
                strcmp(reading->fields[k], names[i][1]) == 0) {
                reading->at[i] = k;
                break;
            }
        }
    }
}

static bool header_read(struct reading *reading, struct err *err)
{
    const enum lines_result result =
        csv_next(reading->csv, &reading->fields, &reading->field_count, err);
    if (result != LINES_LINE) {
        return result == LINES_END &&
               err_set(err, ERR_INPUT, "%s: is empty; a line of column names is due",
                       lines_path(reading->lines));
    }
    columns_find(reading);
    for (size_t i = 0; i < COLUMNS_REQUIRED; i++) {
        if (reading->at[i] == SIZE_MAX) {
            return fail_at(reading, err, "has no column", names[i][0]);
        }
    }
    return true;
}

static const char *field(const struct reading *reading, enum column column)
{
    const size_t at = reading->at[column];
    return at < reading->field_count ? reading->fields[at] : "";
}

static bool number(const struct reading *reading, enum column column, double max,
                   double *out, struct err *err)
{
    const char *text = field(reading, column);
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= 0.0 && *out <= max)) {
        return err_set(err, ERR_INPUT,
                       "%s:%llu: %s: \"%s\": a number from 0 to %g is due",
                       lines_path(reading->lines),
                       (unsigned long long)lines_number(reading->lines),
                       names[column][0], text, max);
    }
    return true;
}

static bool whole(const struct reading *reading, enum column column, uint32_t *out,
                  struct err *err)
{
    double value = 0.0;
    if (!number(reading, column, 1 << 24, &value, err)) {
        return false;
    }
    if (value < 1.0 || value != floor(value)) {
        return fail_at(reading, err, "a whole number from 1 is due in",
                       names[column][0]);
    }
    *out = (uint32_t)value;
    return true;
}

static void kind_copy(char out[FACT_NAME_BYTES], const char *text)
{
    snprintf(out, FACT_NAME_BYTES, "%s", text);
}

static bool kind_of(struct reading *reading, const struct iteration_choice *choice,
                    struct kind **out, struct err *err)
{
    struct kind kind = {0};
    kind_copy(kind.gpu, field(reading, COLUMN_GPU));
    kind_copy(kind.model, field(reading, COLUMN_MODEL));
    if (reading->at[COLUMN_TP] != SIZE_MAX &&
        !whole(reading, COLUMN_TP, &kind.tensor_parallel, err)) {
        return false;
    }
    size_t i = 0;
    while (i < reading->kind_count &&
           (strcmp(reading->kinds[i].gpu, kind.gpu) != 0 ||
            strcmp(reading->kinds[i].model, kind.model) != 0 ||
            reading->kinds[i].tensor_parallel != kind.tensor_parallel)) {
        i++;
    }
    if (i == KINDS_MAX) {
        return fail_at(reading, err, "more than 64 GPUs, models and degrees, with",
                       kind.gpu);
    }
    if (i == reading->kind_count) {
        reading->kinds[reading->kind_count++] = kind;
    }
    const bool chosen =
        (choice->gpu == NULL || strcmp(choice->gpu, kind.gpu) == 0) &&
        (choice->model == NULL || strcmp(choice->model, kind.model) == 0) &&
        (choice->tensor_parallel == 0 ||
         choice->tensor_parallel == kind.tensor_parallel);
    *out = chosen ? &reading->kinds[i] : NULL;
    return true;
}

static bool row_read(struct reading *reading, struct iteration_row *row,
                     struct err *err)
{
    if (!whole(reading, COLUMN_PROMPT, &row->prompt_tokens, err) ||
        !whole(reading, COLUMN_BATCH, &row->batch, err) ||
        !whole(reading, COLUMN_OUTPUT, &row->output_tokens, err) ||
        !number(reading, COLUMN_PROMPT_MS, 1e7, &row->prompt_ms, err) ||
        !number(reading, COLUMN_TOKEN_MS, 1e7, &row->token_ms, err)) {
        return false;
    }
    return row->prompt_ms > 0.0 || fail_at(reading, err, "a time above 0 is due in",
                                           names[COLUMN_PROMPT_MS][0]);
}

static bool rows_read(struct reading *reading, const struct iteration_choice *choice,
                      struct iteration_table *table, struct err *err)
{
    enum lines_result result = LINES_LINE;
    while ((result = csv_next(reading->csv, &reading->fields, &reading->field_count,
                              err)) == LINES_LINE) {
        struct kind *kind = NULL;
        if (!kind_of(reading, choice, &kind, err)) {
            return false;
        }
        if (kind == NULL) {
            continue;
        }
        void *rows = table->rows;
        if (!mem_grow(&rows, &reading->capacity, table->count + 1, sizeof *table->rows,
                      ITERATION_ROWS_MAX)) {
            return fail_at(reading, err, "too many", "rows");
        }
        table->rows = rows;
        if (!row_read(reading, &table->rows[table->count], err)) {
            return false;
        }
        table->count++;
        kind->rows++;
    }
    return result == LINES_END;
}

/* Rows of one kind were chosen, or which there are. */
static bool kind_take(const struct reading *reading, struct iteration_table *table,
                      struct err *err)
{
    struct text known = {0};
    size_t chosen = 0;
    for (size_t i = 0; i < reading->kind_count; i++) {
        const struct kind *kind = &reading->kinds[i];
        const bool listed = kind->rows > 0 || table->count == 0;
        if (listed) {
            text_printf(&known, "%s%s, %s, %u", known.length > 0 ? "; " : "", kind->gpu,
                        kind->model, kind->tensor_parallel);
        }
        if (kind->rows > 0) {
            chosen++;
            kind_copy(table->gpu, kind->gpu);
            kind_copy(table->model, kind->model);
            table->tensor_parallel = kind->tensor_parallel;
        }
    }
    const bool ok =
        chosen == 1 ||
        err_set(err, ERR_INPUT,
                chosen == 0 ? "%s: no row is of that GPU, model and tensor-parallel "
                              "degree; there are: %s"
                            : "%s: choose one GPU, model and tensor-parallel degree; "
                              "there are: %s",
                lines_path(reading->lines), text_str(&known));
    text_fini(&known);
    return ok;
}

bool iteration_table_load(struct iteration_table *table, const char *path,
                          const struct iteration_choice *choice, struct err *err)
{
    struct reading reading = {0};
    *table = (struct iteration_table){0};
    if (!lines_open(&reading.lines, path, ITERATION_LINE_MAX, err)) {
        return false;
    }
    reading.csv = csv_new(reading.lines);
    const bool ok = header_read(&reading, err) &&
                    rows_read(&reading, choice, table, err) &&
                    kind_take(&reading, table, err);
    csv_delete(reading.csv);
    lines_close(reading.lines);
    if (!ok) {
        iteration_table_fini(table);
    }
    return ok;
}

void iteration_table_fini(struct iteration_table *table)
{
    mem_free(table->rows);
    *table = (struct iteration_table){0};
}

bool iteration_table_fits(const char *path)
{
    struct reading reading = {0};
    if (!lines_open(&reading.lines, path, ITERATION_LINE_MAX, NULL)) {
        return false;
    }
    reading.csv = csv_new(reading.lines);
    const bool fits = header_read(&reading, NULL);
    csv_delete(reading.csv);
    lines_close(reading.lines);
    return fits;
}

/* ---- repeats */

static int by_configuration(const void *left, const void *right)
{
    const struct iteration_row *a = left;
    const struct iteration_row *b = right;
    if (a->prompt_tokens != b->prompt_tokens) {
        return a->prompt_tokens < b->prompt_tokens ? -1 : 1;
    }
    if (a->batch != b->batch) {
        return a->batch < b->batch ? -1 : 1;
    }
    if (a->output_tokens != b->output_tokens) {
        return a->output_tokens < b->output_tokens ? -1 : 1;
    }
    return 0;
}

static int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

double iteration_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return count % 2 == 1 ? values[count / 2]
                          : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

double iteration_table_condense(struct iteration_table *table)
{
    double *prompt = mem_alloc(table->count, sizeof *prompt);
    double *token = mem_alloc(table->count, sizeof *token);
    double spread = 0.0;
    size_t repeated = 0;
    size_t kept = 0;
    qsort(table->rows, table->count, sizeof *table->rows, by_configuration);
    for (size_t from = 0, to = 0; from < table->count; from = to) {
        while (to < table->count &&
               by_configuration(&table->rows[from], &table->rows[to]) == 0) {
            prompt[to - from] = table->rows[to].prompt_ms;
            token[to - from] = table->rows[to].token_ms;
            to++;
        }
        const size_t count = to - from;
        struct iteration_row row = table->rows[from];
        row.prompt_ms = iteration_median(prompt, count);
        row.token_ms = iteration_median(token, count);
        for (size_t i = 0; i < count && count > 1; i++) {
            spread += fabs(prompt[i] / row.prompt_ms - 1.0);
            repeated++;
        }
        table->rows[kept++] = row;
    }
    table->count = kept;
    mem_free(prompt);
    mem_free(token);
    return repeated > 0 ? spread / (double)repeated : 0.0;
}
