/* SPDX-License-Identifier: Apache-2.0
 *
 * measured_run.c: rows of a measurement, refused when they cannot be true. A figure
 * compared with nonsense is worse than none.
 */
#include "traces/measured_run.h"

#include "base/csv.h"
#include "base/jsonl.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_TOKENS_MAX = 4096, TOKENS_MAX = 1 << 28 };
static const double seconds_max = 9.0e9; /* 292 years in ns */

struct request_reader {
    struct lines *lines;
    struct jsonl *jsonl;
};

static bool line_fail(const struct lines *lines, struct err *err, const char *key,
                      const char *what)
{
    return err_set(err, ERR_INPUT, "%s:%" PRIu64 ": %s: %s", lines_path(lines),
                   lines_number(lines), key, what);
}

static bool read_tokens(const struct request_reader *reader, const char *key,
                        uint32_t *out, struct err *err)
{
    int64_t tokens = 0;
    const jsonl_value value = jsonl_get(reader->jsonl, jsonl_root(reader->jsonl), key);
    if (value == JSONL_NONE) {
        return line_fail(reader->lines, err, key, "is missing");
    }
    if (!jsonl_i64(reader->jsonl, value, &tokens) || tokens < 1 ||
        tokens > TOKENS_MAX) {
        return line_fail(reader->lines, err, key, "must be a number of tokens, >= 1");
    }
    *out = (uint32_t)tokens;
    return true;
}

/* Absent or null leaves *out at INT64_MIN. */
static bool read_time(const struct request_reader *reader, const char *key,
                      bool required, int64_t *out, struct err *err)
{
    double seconds = 0.0;
    *out = INT64_MIN;
    const jsonl_value value = jsonl_get(reader->jsonl, jsonl_root(reader->jsonl), key);
    const bool absent =
        value == JSONL_NONE || jsonl_kind(reader->jsonl, value) == JSONL_LITERAL;
    if (absent && !required) {
        return true;
    }
    if (absent) {
        return line_fail(reader->lines, err, key,
                         "is missing; leave requests that failed out, here and in the "
                         "workload");
    }
    if (!jsonl_f64(reader->jsonl, value, &seconds) || !(seconds >= 0.0) ||
        seconds > seconds_max) {
        return line_fail(reader->lines, err, key, "must be a time in seconds");
    }
    *out = llround(seconds * 1e9);
    return true;
}

static bool request_read(const struct request_reader *reader,
                         struct measured_request *request, struct err *err)
{
    if (!read_tokens(reader, "input_toks", &request->prompt_tokens, err) ||
        !read_tokens(reader, "output_toks", &request->output_tokens, err) ||
        !read_time(reader, "arrival_time", false, &request->arrival_ns, err) ||
        !read_time(reader, "queued_ts", true, &request->queued_ns, err) ||
        !read_time(reader, "scheduled_ts", false, &request->scheduled_ns, err) ||
        !read_time(reader, "first_token_ts", true, &request->first_token_ns, err) ||
        !read_time(reader, "last_token_ts", true, &request->last_token_ns, err)) {
        return false;
    }
    if (request->first_token_ns <= request->queued_ns) {
        return line_fail(reader->lines, err, "first_token_ts",
                         "lies before queued_ts or at it");
    }
    if (request->last_token_ns < request->first_token_ns) {
        return line_fail(reader->lines, err, "last_token_ts",
                         "lies before first_token_ts");
    }
    return true;
}

static bool requests_read(const struct request_reader *reader, struct measured_run *out,
                          struct err *err)
{
    size_t capacity = 0;
    for (;;) {
        char *line = NULL;
        size_t bytes = 0;
        const enum lines_result result = lines_next(reader->lines, &line, &bytes, err);
        if (result != LINES_LINE) {
            return result == LINES_END;
        }
        if (line[strspn(line, " \t")] == '\0') {
            continue;
        }
        struct err what = {0};
        if (!jsonl_scan(reader->jsonl, line, bytes, &what)) {
            return line_fail(reader->lines, err, "not a whole JSON object", what.text);
        }
        void *memory = out->requests;
        if (!mem_grow(&memory, &capacity, out->count + 1, sizeof(*out->requests),
                      MEASURED_ROWS_MAX)) {
            return line_fail(reader->lines, err, "rows", "there are too many");
        }
        out->requests = memory;
        if (!request_read(reader, &out->requests[out->count], err)) {
            return false;
        }
        out->count++;
    }
}

bool measured_run_load(struct measured_run *out, const char *path, struct err *err)
{
    struct request_reader reader = {0};
    *out = (struct measured_run){0};
    if (!lines_open(&reader.lines, path, LINE_BYTES_MAX, err)) {
        return false;
    }
    reader.jsonl = jsonl_new(LINE_TOKENS_MAX);
    bool ok = requests_read(&reader, out, err);
    if (ok && out->count == 0) {
        ok = err_set(err, ERR_INPUT, "%s: holds no requests", path);
    }
    jsonl_delete(reader.jsonl);
    lines_close(reader.lines);
    if (!ok) {
        measured_run_fini(out);
    }
    return ok;
}

void measured_run_fini(struct measured_run *run)
{
    mem_free(run->requests);
    *run = (struct measured_run){0};
}

bool measured_run_clock_offset(const struct measured_run *run, int64_t *offset_ns)
{
    bool known = false;
    for (size_t i = 0; i < run->count; i++) {
        const struct measured_request *at = &run->requests[i];
        if (at->arrival_ns == INT64_MIN) {
            continue;
        }
        const int64_t wait_ns = at->queued_ns - at->arrival_ns;
        if (!known || wait_ns < *offset_ns) {
            *offset_ns = wait_ns;
            known = true;
        }
    }
    return known;
}

/* ---- time series ----------------------------------------------------------------- */

enum { T, RUNNING, WAITING, KV_CACHE_PCT, SERIES_COLUMNS };
static const char *const series_columns[SERIES_COLUMNS] = {
    [T] = "t",
    [RUNNING] = "running",
    [WAITING] = "waiting",
    [KV_CACHE_PCT] = "kv_cache_pct",
};

struct series_reader {
    struct lines *lines;
    struct csv *csv;
    size_t place[SERIES_COLUMNS]; /* SIZE_MAX: absent */
    size_t width;
};

static bool series_header(struct series_reader *reader, struct err *err)
{
    const char *const *fields = NULL;
    const enum lines_result result =
        csv_next(reader->csv, &fields, &reader->width, err);
    if (result == LINES_ERROR) {
        return false;
    }
    const size_t width = result == LINES_LINE ? reader->width : 0;
    for (size_t column = 0; column < SERIES_COLUMNS; column++) {
        reader->place[column] = SIZE_MAX;
        for (size_t i = 0; i < width; i++) {
            if (strcmp(fields[i], series_columns[column]) == 0) {
                reader->place[column] = i;
            }
        }
        if (reader->place[column] == SIZE_MAX && column != KV_CACHE_PCT) {
            return line_fail(reader->lines, err, series_columns[column],
                             "there is no such column");
        }
    }
    return true;
}

static bool series_row(const struct series_reader *reader, const char *const *fields,
                       struct measured_window *window, struct err *err)
{
    double values[SERIES_COLUMNS];
    for (size_t column = 0; column < SERIES_COLUMNS; column++) {
        values[column] = (double)NAN;
        if (reader->place[column] == SIZE_MAX) {
            continue;
        }
        const char *field = fields[reader->place[column]];
        char *end = NULL;
        values[column] = strtod(field, &end);
        if (end == field || *end != '\0' || !(values[column] >= 0.0)) {
            return line_fail(reader->lines, err, series_columns[column],
                             "must be a number >= 0");
        }
    }
    *window = (struct measured_window){
        .t_s = values[T],
        .running = values[RUNNING],
        .waiting = values[WAITING],
        .kv_used_pct = values[KV_CACHE_PCT],
    };
    return true;
}

static bool series_read(const struct series_reader *reader, struct measured_series *out,
                        struct err *err)
{
    size_t capacity = 0;
    for (;;) {
        const char *const *fields = NULL;
        size_t count = 0;
        const enum lines_result result = csv_next(reader->csv, &fields, &count, err);
        if (result != LINES_LINE) {
            return result == LINES_END;
        }
        if (count != reader->width) {
            return line_fail(reader->lines, err, "row",
                             "has another number of fields than the header");
        }
        void *memory = out->windows;
        if (!mem_grow(&memory, &capacity, out->count + 1, sizeof(*out->windows),
                      MEASURED_ROWS_MAX)) {
            return line_fail(reader->lines, err, "rows", "there are too many");
        }
        out->windows = memory;
        struct measured_window *window = &out->windows[out->count];
        if (!series_row(reader, fields, window, err)) {
            return false;
        }
        if (out->count > 0 && !(window->t_s > window[-1].t_s)) {
            return line_fail(reader->lines, err, "t", "must rise from row to row");
        }
        out->has_kv = out->has_kv || window->kv_used_pct > 0.0;
        out->count++;
    }
}

bool measured_series_load(struct measured_series *out, const char *path,
                          struct err *err)
{
    struct series_reader reader = {0};
    *out = (struct measured_series){0};
    if (!lines_open(&reader.lines, path, LINE_BYTES_MAX, err)) {
        return false;
    }
    reader.csv = csv_new(reader.lines);
    const bool ok = series_header(&reader, err) && series_read(&reader, out, err);
    csv_delete(reader.csv);
    lines_close(reader.lines);
    if (!ok) {
        measured_series_fini(out);
    }
    return ok;
}

void measured_series_fini(struct measured_series *series)
{
    mem_free(series->windows);
    *series = (struct measured_series){0};
}
