/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_write.c: rows first, header last.
 *
 * The temporary file holds every column, separated by a byte that no field can hold;
 * the copy to the target drops the columns that stayed empty. Rejected: asking the
 * caller for the columns, because a stream cannot know them, and writing all of them
 * always, because most traces use four of fifteen.
 */
#include "traces/trace_write.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "base/text.h"
#include "traces/native_columns.h"
#include "traces/piece_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEPARATOR = 0x1f };

static const char *const columns[NATIVE_COLUMN_COUNT] = {
#define X(name, text) text,
    NATIVE_COLUMNS(X)
#undef X
};

struct trace_writer {
    char *path;
    char *source;
    struct outfile *file;
    FILE *rows; /* temporary */
    uint32_t block_tokens;
    bool has_blocks;
    bool used[NATIVE_COLUMN_COUNT];
    uint64_t row_count;
    struct text line;
};

static bool fail_io(const struct trace_writer *writer, struct err *err)
{
    return err_set(err, ERR_IO, "%s: cannot be written: %s", writer->path,
                   strerror(errno));
}

bool trace_writer_open(struct trace_writer **out, const char *path,
                       uint32_t block_tokens, const char *source, struct err *err)
{
    struct trace_writer *const writer = mem_alloc(1, sizeof(*writer));
    writer->path = mem_strdup(path);
    writer->source = mem_strdup(source != NULL ? source : "");
    writer->block_tokens = block_tokens;
    if (!outfile_open(&writer->file, path, err)) {
        writer->file = NULL;
        trace_writer_abort(writer);
        return false;
    }
    writer->rows = tmpfile();
    if (writer->rows == NULL) {
        (void)err_set(err, ERR_IO, "no temporary file for %s: %s", path,
                      strerror(errno));
        trace_writer_abort(writer);
        return false;
    }
    writer->used[NATIVE_ARRIVAL] = true;
    writer->used[NATIVE_IN] = true;
    writer->used[NATIVE_OUT] = true;
    *out = writer;
    return true;
}

static void writer_free(struct trace_writer *writer)
{
    if (writer->rows != NULL) {
        (void)fclose(writer->rows);
    }
    text_fini(&writer->line);
    mem_free(writer->path);
    mem_free(writer->source);
    mem_free(writer);
}

void trace_writer_abort(struct trace_writer *writer)
{
    if (writer != NULL) {
        outfile_abort(writer->file);
        writer_free(writer);
    }
}

static void end_field(struct trace_writer *writer)
{
    const char separator = SEPARATOR;
    text_add_bytes(&writer->line, &separator, 1);
}

/* A number, left out when it has its default. */
static void put_number(struct trace_writer *writer, enum native_column column,
                       int64_t value, int64_t default_value)
{
    if (value != default_value) {
        writer->used[column] = true;
        text_printf(&writer->line, "%" PRId64, value);
    }
    end_field(writer);
}

/* Without a default. Whether the column is used is another question. */
static void put_always(struct trace_writer *writer, int64_t value)
{
    text_printf(&writer->line, "%" PRId64, value);
    end_field(writer);
}

static void put_parents(struct trace_writer *writer, const struct trace_record *record)
{
    for (uint32_t i = 0; i < record->parent_count; i++) {
        writer->used[NATIVE_PARENTS] = true;
        text_printf(&writer->line, "%s%" PRIu64, i > 0 ? ";" : "", record->parents[i]);
    }
    end_field(writer);
}

/* Quoted where CSV wants it. A control character would end the line: it is refused. */
static bool put_name(struct trace_writer *writer, enum native_column column,
                     const char *name, struct err *err)
{
    if (name == NULL || name[0] == '\0') {
        end_field(writer);
        return true;
    }
    writer->used[column] = true;
    for (const char *at = name; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20) {
            return err_set(err, ERR_INPUT,
                           "%s: a %s holds a control character, which has no place in "
                           "a trace",
                           writer->path, columns[column]);
        }
    }
    if (strpbrk(name, ",\" #") == NULL) {
        text_add(&writer->line, name);
    } else {
        text_add(&writer->line, "\"");
        for (const char *at = name; *at != '\0'; at++) {
            text_add_bytes(&writer->line, at, 1);
            if (*at == '"') {
                text_add(&writer->line, "\"");
            }
        }
        text_add(&writer->line, "\"");
    }
    end_field(writer);
    return true;
}

/* A prompt of nothing but its own content says nothing. */
static void put_prompt(struct trace_writer *writer, const struct trace_record *record)
{
    const bool is_private =
        record->segment_count == 1 && record->segments[0].offset == 0 &&
        record->segments[0].stream == segment_stream(SEGMENT_UNIQUE, record->id);
    for (uint32_t i = 0; i < record->segment_count && !writer->has_blocks; i++) {
        writer->has_blocks =
            segment_kind_of(record->segments[i].stream) == SEGMENT_BLOCK;
    }
    if (!is_private) {
        writer->used[NATIVE_PROMPT] = true;
        piece_text_write(&writer->line, record->segments, record->segment_count,
                         writer->block_tokens);
    }
}

bool trace_writer_add(struct trace_writer *writer, const struct trace_record *record,
                      struct err *err)
{
    writer->line.length = 0;
    writer->used[NATIVE_ID] =
        writer->used[NATIVE_ID] || record->id != writer->row_count;
    put_always(writer, (int64_t)record->id);
    put_always(writer, record->arrival_ns);
    put_number(writer, NATIVE_SESSION, (int64_t)record->session, 0);
    put_number(writer, NATIVE_TURN, record->turn, 0);
    put_parents(writer, record);
    put_number(writer, NATIVE_THINK, record->think_ns, TRACE_THINK_NONE);
    put_always(writer, record->prompt_tokens);
    put_always(writer, record->output_tokens);
    put_number(writer, NATIVE_MAX_OUT, record->output_tokens_max, 0);
    put_number(writer, NATIVE_OUT_PRED, record->output_tokens_guess, 0);
    if (!put_name(writer, NATIVE_MODEL, record->model, err) ||
        !put_name(writer, NATIVE_TENANT, record->tenant, err) ||
        !put_name(writer, NATIVE_ADAPTER, record->adapter, err)) {
        return false;
    }
    put_number(writer, NATIVE_PRIO, record->priority, 0);
    put_number(writer, NATIVE_CANCEL, record->cancel_ns, 0);
    put_prompt(writer, record);
    text_add(&writer->line, "\n");
    writer->row_count++;
    return fwrite(writer->line.bytes, 1, writer->line.length, writer->rows) ==
               writer->line.length ||
           fail_io(writer, err);
}

static void write_header(const struct trace_writer *writer, FILE *out)
{
    (void)fprintf(out, NATIVE_MAGIC "\n#version=1\n#unit=ns\n#order=arrival\n");
    if (writer->has_blocks && writer->block_tokens > 0) {
        (void)fprintf(out, "#block_size=%" PRIu32 "\n", writer->block_tokens);
    }
    (void)fprintf(out, "#rows=%" PRIu64 "\n", writer->row_count);
    if (writer->source[0] != '\0') {
        (void)fprintf(out, "#source=%s\n", writer->source);
    }
    const char *comma = "";
    for (size_t i = 0; i < NATIVE_COLUMN_COUNT; i++) {
        if (writer->used[i]) {
            (void)fprintf(out, "%s%s", comma, columns[i]);
            comma = ",";
        }
    }
    (void)fputc('\n', out);
}

/* One row of the temporary file, without the columns that nobody used. */
static void copy_row(const struct trace_writer *writer, char *row, FILE *out)
{
    const char *comma = "";
    char *at = row;
    for (size_t i = 0; i < NATIVE_COLUMN_COUNT; i++) {
        char *const end = at + strcspn(at, "\x1f\n");
        if (writer->used[i]) {
            (void)fputs(comma, out);
            (void)fwrite(at, 1, (size_t)(end - at), out);
            comma = ",";
        }
        at = end + 1;
    }
    (void)fputc('\n', out);
}

bool trace_writer_commit(struct trace_writer *writer, struct err *err)
{
    FILE *const out = outfile_stream(writer->file);
    char *row = NULL;
    size_t row_bytes = 0;
    write_header(writer, out);
    bool ok = fflush(writer->rows) == 0 && fseek(writer->rows, 0, SEEK_SET) == 0;
    while (ok && getline(&row, &row_bytes, writer->rows) > 0) {
        copy_row(writer, row, out);
    }
    ok = ok && ferror(writer->rows) == 0 && ferror(out) == 0;
    free(row);
    if (!ok) {
        (void)fail_io(writer, err);
        trace_writer_abort(writer);
        return false;
    }
    struct outfile *const file = writer->file;
    writer_free(writer);
    return outfile_commit(file, err);
}

bool trace_write_all(struct workload *workload, const char *path, uint64_t *rows,
                     struct err *err)
{
    struct trace_writer *writer = NULL;
    if (!trace_writer_open(&writer, path, workload_block_tokens(workload),
                           workload_source(workload), err)) {
        return false;
    }
    for (;;) {
        const struct trace_record *record = NULL;
        const enum workload_result result = workload_next(workload, &record, err);
        if (result == WORKLOAD_END) {
            break;
        }
        if (result == WORKLOAD_ERROR || !trace_writer_add(writer, record, err)) {
            trace_writer_abort(writer);
            return false;
        }
    }
    if (rows != NULL) {
        *rows = writer->row_count;
    }
    return trace_writer_commit(writer, err);
}
