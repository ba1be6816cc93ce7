/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.c: libcsv, fed one line at a time and asked to finish after each, so that a quote
 * left open is found on its own line instead of swallowing the rest of the file.
 */
#include "base/csv.h"

#include "base/mem.h"

#include <csv.h>
#include <inttypes.h>
#include <string.h>

enum { FIELDS_MAX = 16384, ROW_BYTES_MAX = LINE_BYTES_MAX };

struct csv {
    struct lines *lines;
    struct csv_parser parser;
    /* Fields of the row, NUL after each; pointers are made when the row is complete,
     * because the bytes move as they grow. */
    char *bytes;
    size_t used;
    size_t capacity;
    size_t starts[FIELDS_MAX];
    const char *fields[FIELDS_MAX];
    size_t count;
    bool too_large;
};

/* Lines are cut already; a carriage return inside one is content, not the row's end. */
static int is_row_end(unsigned char c)
{
    return c == '\n';
}

static void start_parser(struct csv *csv)
{
    (void)csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_term_func(&csv->parser, is_row_end);
}

struct csv *csv_new(struct lines *lines)
{
    struct csv *csv = mem_alloc(1, sizeof *csv);
    csv->lines = lines;
    start_parser(csv);
    return csv;
}

void csv_delete(struct csv *csv)
{
    if (csv != NULL) {
        csv_free(&csv->parser);
        mem_free(csv->bytes);
        mem_free(csv);
    }
}

static void on_field(void *field, size_t byte_count, void *context)
{
    struct csv *csv = context;
    void *bytes = csv->bytes;
    if (csv->count == FIELDS_MAX ||
        !mem_grow(&bytes, &csv->capacity, csv->used + byte_count + 1, 1,
                  ROW_BYTES_MAX)) {
        csv->too_large = true;
        return;
    }
    csv->bytes = bytes;
    if (byte_count > 0) {
        memcpy(csv->bytes + csv->used, field, byte_count);
    }
    csv->bytes[csv->used + byte_count] = '\0';
    csv->starts[csv->count++] = csv->used;
    csv->used += byte_count + 1;
}

static bool fail(struct csv *csv, struct err *err, const char *what)
{
    /* Whatever state the parser was in, the next row starts afresh. */
    csv_free(&csv->parser);
    start_parser(csv);
    return err_set(err, ERR_INPUT, "%s:%" PRIu64 ": %s", lines_path(csv->lines),
                   lines_number(csv->lines), what);
}

static bool parse_row(struct csv *csv, const char *line, size_t byte_count,
                      struct err *err)
{
    csv->used = 0;
    csv->count = 0;
    csv->too_large = false;
    if (csv_parse(&csv->parser, line, byte_count, on_field, NULL, csv) != byte_count) {
        return fail(csv, err,
                    "a quote inside a field; write it twice and quote the field");
    }
    if (csv_fini(&csv->parser, on_field, NULL, csv) != 0) {
        return fail(csv, err,
                    "a quoted field does not end on its line; close the quote");
    }
    if (csv->too_large) {
        return fail(csv, err, "more than 16384 fields in a row");
    }
    for (size_t i = 0; i < csv->count; i++) {
        csv->fields[i] = csv->bytes + csv->starts[i];
    }
    return true;
}

static bool is_blank_or_comment(const char *line)
{
    return line[0] == '#' || line[strspn(line, " \t")] == '\0';
}

enum lines_result csv_next(struct csv *csv, const char *const **fields, size_t *count,
                           struct err *err)
{
    for (;;) {
        char *line = NULL;
        size_t byte_count = 0;
        const enum lines_result result =
            lines_next(csv->lines, &line, &byte_count, err);
        if (result != LINES_LINE) {
            return result;
        }
        if (strlen(line) != byte_count) {
            (void)fail(csv, err, "NUL character; is this a text file?");
            return LINES_ERROR;
        }
        if (is_blank_or_comment(line)) {
            continue;
        }
        if (!parse_row(csv, line, byte_count, err)) {
            return LINES_ERROR;
        }
        *fields = csv->fields;
        *count = csv->count;
        return LINES_LINE;
    }
}
