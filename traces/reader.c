/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.c: from a file of any format to records in order of arrival.
 *
 * A file is scanned once when it is opened: that costs a second parse, but every broken
 * row is reported before a run starts instead of in the middle of it, the number of
 * rows is known, and so is whether the rows are in order. In order: the file is then
 * streamed, and only records that must wait (spread within a tick, turns without a
 * recorded time) are held. Not in order, or stdin, which cannot be read twice: it is
 * read whole. A file that promises its order (our own format) is streamed at once.
 * Rejected: a window of so many rows that are sorted together. It works until the day
 * it does not.
 */
#include "traces/reader.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/unit.h"
#include "traces/format.h"
#include "traces/record_heap.h"

#include <string.h>

enum { SESSIONS_MAX = 1 << 26 };

static const int64_t ms_ns = 1000000;
/* Times this far from 0 were counted from 1970, not from the start of the trace. */
static const int64_t epoch_least_ns = INT64_C(1000000000) * 1000000000;

/* One way through the file. */
struct pass {
    struct lines *lines;
    struct trace_input *input;
    void *state;
    char first_skip[ERR_TEXT_BYTES]; /* why the first skipped row was skipped */
};

/* What a look at all rows has shown. */
struct scan {
    uint64_t rows;
    uint64_t stamps; /* distinct times, if sorted */
    int64_t first_ns;
    int64_t last_ns;
    int64_t min_ns;
    int64_t gap_max_ns;
    uint64_t last_id;
    bool sorted;
};

struct reader {
    struct source base;
    char *path;
    char *format_name;
    struct trace_options options;
    const struct trace_format *format;
    struct pass pass;
    bool scanned;
    struct scan scan;
    struct trace_counts counts; /* of the scan */
    struct input_remarks remarks;
    char *unknown_names;
    char *first_skip;
    bool whole;                /* all rows are in `rows` */
    struct record_heap *rows;  /* whole: not yet spread */
    struct record_heap *ready; /* waiting for their time */
    int64_t base_ns;           /* recorded time of trace start */
    int64_t tick_ns;           /* 0: no spreading */
    struct rng spread;
    struct map *sessions; /* session -> index into session_ns; only with ticks */
    int64_t *session_ns;
    size_t session_capacity;
    int64_t floor_ns; /* no later row arrives before */
    bool ended;
    uint64_t lent;
};

static void pass_close(struct pass *pass, const struct trace_format *format)
{
    if (pass->state != NULL && format != NULL && format->close != NULL) {
        format->close(pass->state);
    }
    mem_free(pass->state);
    input_delete(pass->input);
    if (pass->lines != NULL) {
        lines_close(pass->lines);
    }
    *pass = (struct pass){0};
}

static bool pass_detect(struct reader *reader, struct pass *pass, struct err *err)
{
    if (reader->options.format != NULL) {
        reader->format = trace_format_find(reader->options.format);
    } else {
        const char *head = NULL;
        size_t byte_count = 0;
        if (!lines_peek(pass->lines, &head, &byte_count, err)) {
            return false;
        }
        if (byte_count == 0) {
            (void)err_set(err, ERR_INPUT, "%s: the file is empty", reader->path);
            return false;
        }
        reader->format = trace_format_detect(head, byte_count);
    }
    if (reader->format != NULL) {
        return true;
    }
    struct text names = {0};
    for (size_t i = 0; i < trace_format_count; i++) {
        text_printf(&names, "%s%s", i > 0 ? ", " : "", trace_formats[i]->name);
    }
    if (reader->options.format != NULL) {
        (void)err_set(err, ERR_USAGE, "no trace format '%s'; there are: %s",
                      reader->options.format, text_str(&names));
    } else {
        (void)err_set(
            err, ERR_INPUT,
            "%s:1: no known trace format; name the format if it is one of: %s",
            reader->path, text_str(&names));
    }
    text_fini(&names);
    return false;
}

/* On false the pass is closed. */
static bool pass_open(struct reader *reader, struct pass *pass, struct err *err)
{
    if (!lines_open(&pass->lines, reader->path, LINE_BYTES_MAX, err)) {
        pass->lines = NULL;
        return false;
    }
    if (reader->format == NULL && !pass_detect(reader, pass, err)) {
        pass_close(pass, reader->format);
        return false;
    }
    pass->input = input_new(pass->lines, &reader->options);
    pass->input->block_tokens = reader->options.block_tokens > 0
                                    ? reader->options.block_tokens
                                    : reader->format->block_tokens;
    pass->state = mem_alloc(1, reader->format->state_bytes);
    if (!reader->format->open(pass->state, pass->input, err)) {
        pass_close(pass, reader->format);
        return false;
    }
    reader->base.block_tokens = pass->input->block_tokens;
    return true;
}

/* The record is complete: lends its pieces and counts it. */
static void finish_row(struct trace_input *input)
{
    struct trace_record *const record = &input->record;
    record->segments = input->segments;
    record->segment_count = (uint32_t)input->segment_count;
    DCHECK(segment_tokens(record->segments, record->segment_count) ==
               record->prompt_tokens,
           "request %llu: segments do not add up", (unsigned long long)record->id);
    input->counts.rows++;
    input->next_id++;
}

/* The next good row; broken ones are skipped or end the pass. */
static enum format_result pass_next(struct reader *reader, struct pass *pass,
                                    struct err *err)
{
    struct trace_input *const input = pass->input;
    for (;;) {
        struct err broken = {0};
        const enum format_result result =
            reader->format->next(pass->state, input, &broken);
        if (result == FORMAT_RECORD) {
            finish_row(input);
            return result;
        }
        if (result == FORMAT_END) {
            return result;
        }
        if (result == FORMAT_ERROR || reader->options.on_error == TRACE_FAIL) {
            *err = broken;
            return FORMAT_ERROR;
        }
        if (input->counts.skipped++ == 0) {
            memcpy(pass->first_skip, broken.text, sizeof(pass->first_skip));
        }
    }
}

static void scan_row(struct scan *scan, const struct trace_input *input)
{
    const int64_t at_ns = input->floor_ns;
    const uint64_t id = input->record.id;
    if (scan->rows == 0) {
        scan->first_ns = at_ns;
        scan->min_ns = at_ns;
        scan->stamps = 1;
        scan->sorted = true;
    } else if (at_ns > scan->last_ns) {
        const int64_t gap_ns = at_ns - scan->last_ns;
        scan->gap_max_ns = gap_ns > scan->gap_max_ns ? gap_ns : scan->gap_max_ns;
        scan->stamps++;
    } else {
        scan->sorted = scan->sorted && at_ns == scan->last_ns && id > scan->last_id;
        scan->min_ns = at_ns < scan->min_ns ? at_ns : scan->min_ns;
    }
    scan->last_ns = at_ns;
    scan->last_id = id;
    scan->rows++;
}

/* Goes through all rows; with reader->whole it also keeps them. */
static bool scan_all(struct reader *reader, struct pass *pass, struct err *err)
{
    reader->scan = (struct scan){.sorted = true};
    for (;;) {
        const enum format_result result = pass_next(reader, pass, err);
        if (result == FORMAT_ERROR) {
            return false;
        }
        if (result == FORMAT_END) {
            break;
        }
        scan_row(&reader->scan, pass->input);
        if (reader->whole && !record_heap_push(reader->rows, &pass->input->record)) {
            return err_set(err, ERR_INPUT,
                           "%s: too many rows to sort; sort the file by arrival",
                           reader->path);
        }
    }
    reader->scanned = true;
    reader->counts = pass->input->counts;
    reader->remarks = pass->input->remarks;
    mem_free(reader->unknown_names);
    reader->unknown_names = mem_strdup(input_unknown_names(pass->input));
    mem_free(reader->first_skip);
    reader->first_skip = mem_strdup(pass->first_skip);
    return true;
}

/* Reads all rows into memory; the pass stays open, because it owns the strings. */
static bool load_whole(struct reader *reader, struct err *err)
{
    reader->whole = true;
    reader->rows = record_heap_new();
    return pass_open(reader, &reader->pass, err) &&
           scan_all(reader, &reader->pass, err);
}

/* Decides how to read: see the top of this file. */
static bool prepare(struct reader *reader, struct err *err)
{
    if (!pass_open(reader, &reader->pass, err)) {
        return false;
    }
    if (reader->pass.input->sorted) {
        return true;
    }
    if (strcmp(reader->path, "-") == 0) {
        reader->whole = true;
        reader->rows = record_heap_new();
        return scan_all(reader, &reader->pass, err);
    }
    if (!scan_all(reader, &reader->pass, err)) {
        return false;
    }
    pass_close(&reader->pass, reader->format);
    return reader->scan.sorted ? pass_open(reader, &reader->pass, err)
                               : load_whole(reader, err);
}

/* A clock that ticks: many rows a stamp, stamps evenly spaced, none left out. */
static int64_t coarse_tick_ns(const struct scan *scan)
{
    if (!scan->sorted || scan->stamps < 10 || scan->rows < 2 * scan->stamps) {
        return 0;
    }
    const int64_t span_ns = scan->last_ns - scan->first_ns;
    const int64_t mean_ns = span_ns / (int64_t)(scan->stamps - 1);
    if (mean_ns < 100 * ms_ns || scan->gap_max_ns > mean_ns + mean_ns / 2) {
        return 0;
    }
    return (mean_ns + ms_ns / 2) / ms_ns * ms_ns;
}

static void decide_times(struct reader *reader)
{
    const struct scan *const scan = &reader->scan;
    if (reader->scanned && scan->rows > 0 &&
        (reader->format->calendar || scan->min_ns >= epoch_least_ns)) {
        reader->base_ns = scan->min_ns;
    }
    if (reader->options.tick_ns > 0) {
        reader->tick_ns = reader->options.tick_ns;
    } else if (reader->options.tick_ns == 0 && reader->format->coarse_clock) {
        reader->tick_ns = reader->scanned ? coarse_tick_ns(scan) : 0;
    }
    if (reader->tick_ns > 0) {
        rng_init(&reader->spread, reader->options.seed, "trace.spread", 0);
        reader->sessions = map_new(16, SESSIONS_MAX);
    }
}

enum pulled { PULLED_ROW, PULLED_END, PULLED_ERROR };

static enum pulled pull(struct reader *reader, struct trace_record *record,
                        struct err *err)
{
    if (reader->whole) {
        const struct trace_record *const row = record_heap_pop(reader->rows);
        if (row == NULL) {
            return PULLED_END;
        }
        *record = *row;
        record->arrival_ns -= reader->base_ns;
        reader->floor_ns = record->arrival_ns;
        return PULLED_ROW;
    }
    const enum format_result result = pass_next(reader, &reader->pass, err);
    if (result != FORMAT_RECORD) {
        return result == FORMAT_END ? PULLED_END : PULLED_ERROR;
    }
    const struct trace_input *const input = reader->pass.input;
    const int64_t floor_ns = input->floor_ns - reader->base_ns;
    if (floor_ns < reader->floor_ns) {
        (void)input_fail(input, err, 1, "arrival",
                         "the row is out of order, but the header promises order; "
                         "drop '#order=' from the header or sort the rows");
        return PULLED_ERROR;
    }
    reader->floor_ns = floor_ns;
    *record = input->record;
    record->arrival_ns -= reader->base_ns;
    return PULLED_ROW;
}

/* A turn must not be spread before the one that it follows. */
static bool keep_turns_in_order(struct reader *reader, struct trace_record *record)
{
    if (record->session == 0) {
        return true;
    }
    uint32_t index = 0;
    if (!map_get(reader->sessions, record->session, &index)) {
        index = (uint32_t)map_count(reader->sessions);
        void *memory = reader->session_ns;
        if (!mem_grow(&memory, &reader->session_capacity, (size_t)index + 1,
                      sizeof(int64_t), SESSIONS_MAX)) {
            return false;
        }
        reader->session_ns = memory;
        reader->session_ns[index] = 0;
        map_put(reader->sessions, record->session, index);
    }
    if (record->arrival_ns < reader->session_ns[index]) {
        record->arrival_ns = reader->session_ns[index];
    }
    reader->session_ns[index] = record->arrival_ns;
    return true;
}

static bool spread(struct reader *reader, struct trace_record *record, struct err *err)
{
    if (reader->tick_ns == 0) {
        return true;
    }
    const int64_t shift_ns =
        (int64_t)rng_below(&reader->spread, (uint64_t)reader->tick_ns);
    if (record->arrival_ns <= INT64_MAX - shift_ns) {
        record->arrival_ns += shift_ns;
    }
    return keep_turns_in_order(reader, record) ||
           err_set(err, ERR_INPUT, "%s: more than %d sessions", reader->path,
                   SESSIONS_MAX);
}

static enum workload_result lend_first(struct reader *reader,
                                       const struct trace_record **record)
{
    *record = record_heap_pop(reader->ready);
    reader->lent++;
    return WORKLOAD_RECORD;
}

static enum workload_result
reader_next(struct source *source, const struct trace_record **record, struct err *err)
{
    struct reader *const reader = (struct reader *)source;
    for (;;) {
        const struct trace_record *const top = record_heap_top(reader->ready);
        if (top != NULL && (reader->ended || top->arrival_ns <= reader->floor_ns)) {
            return lend_first(reader, record);
        }
        if (reader->ended) {
            return WORKLOAD_END;
        }
        struct trace_record *const row = &reader->pass.input->record;
        const enum pulled pulled = pull(reader, row, err);
        if (pulled == PULLED_ERROR ||
            (pulled == PULLED_ROW && !spread(reader, row, err))) {
            return WORKLOAD_ERROR;
        }
        if (pulled == PULLED_END) {
            reader->ended = true;
            continue;
        }
        if (top == NULL && row->arrival_ns <= reader->floor_ns) {
            *record = row;
            reader->lent++;
            return WORKLOAD_RECORD;
        }
        if (!record_heap_push(reader->ready, row)) {
            (void)err_set(err, ERR_INPUT, "%s: too many rows wait for their time",
                          reader->path);
            return WORKLOAD_ERROR;
        }
    }
}

static void reader_close(struct source *source)
{
    struct reader *const reader = (struct reader *)source;
    pass_close(&reader->pass, reader->format);
    record_heap_delete(reader->rows);
    record_heap_delete(reader->ready);
    map_delete(reader->sessions);
    text_fini(&reader->base.origin);
    text_fini(&reader->base.lineage);
    mem_free(reader->session_ns);
    mem_free(reader->unknown_names);
    mem_free(reader->first_skip);
    mem_free(reader->format_name);
    mem_free(reader->path);
    mem_free(reader);
}

static uint64_t rows_known(const struct reader *reader)
{
    return reader->scanned ? reader->scan.rows : reader->pass.input->rows_said;
}

static uint64_t reader_expected(const struct source *source)
{
    const struct reader *const reader = (const struct reader *)source;
    const uint64_t rows = rows_known(reader);
    return rows > reader->lent ? rows - reader->lent : 0;
}

static double reader_progress(const struct source *source)
{
    const struct reader *const reader = (const struct reader *)source;
    const uint64_t rows = rows_known(reader);
    if (rows > 0) {
        return reader->lent < rows ? (double)reader->lent / (double)rows : 1;
    }
    const uint64_t total = lines_bytes_total(reader->pass.lines);
    return total > 0 ? (double)lines_bytes_read(reader->pass.lines) / (double)total : 0;
}

static void reader_counts(const struct source *source, struct trace_counts *counts)
{
    const struct reader *const reader = (const struct reader *)source;
    *counts = reader->scanned ? reader->counts : reader->pass.input->counts;
}

static void note_order(const struct reader *reader, struct text *out)
{
    if (reader->scanned && !reader->scan.sorted) {
        text_printf(out,
                    "rows are not in order of arrival: all %llu were read and sorted\n",
                    (unsigned long long)reader->scan.rows);
    }
    if (reader->base_ns != 0) {
        text_add(out, "times are dates: the trace starts with its first row\n");
    }
    if (reader->tick_ns > 0) {
        char tick[32];
        unit_format_ns(tick, sizeof(tick), reader->tick_ns);
        text_printf(out, "arrivals spread evenly over ticks of %s%s\n", tick,
                    reader->options.tick_ns > 0
                        ? ""
                        : ": the file's clock is coarse (tick 0s keeps them)");
    }
}

static void note_remarks(const struct input_remarks *remarks, struct text *out)
{
    for (size_t i = 0; i < INPUT_REMARKS_MAX && remarks->text[i] != NULL; i++) {
        text_printf(out, "%llu rows: %s\n", (unsigned long long)remarks->count[i],
                    remarks->text[i]);
    }
}

static void reader_notes(const struct source *source, struct text *out)
{
    const struct reader *const reader = (const struct reader *)source;
    struct trace_counts counts;
    reader_counts(source, &counts);
    note_order(reader, out);
    if (counts.skipped > 0) {
        text_printf(out, "%llu broken rows skipped, the first: %s\n",
                    (unsigned long long)counts.skipped,
                    reader->scanned ? reader->first_skip : reader->pass.first_skip);
    }
    if (counts.clamped > 0) {
        text_printf(out, "%llu values mended\n", (unsigned long long)counts.clamped);
    }
    if (counts.unknown_keys > 0) {
        text_printf(out, "unknown keys ignored: %s\n",
                    reader->scanned ? reader->unknown_names
                                    : input_unknown_names(reader->pass.input));
    }
    if (counts.ids_floor + counts.ids_neither > 0) {
        text_printf(out,
                    "block ids against prompt length: %llu rows fit ceil, %llu floor, "
                    "%llu neither; is a block %u tokens?\n",
                    (unsigned long long)counts.ids_ceil,
                    (unsigned long long)counts.ids_floor,
                    (unsigned long long)counts.ids_neither, reader->base.block_tokens);
    }
    note_remarks(reader->scanned ? &reader->remarks : &reader->pass.input->remarks,
                 out);
    if (counts.estimated_arrivals > 0) {
        text_printf(out, "%llu turns have no recorded arrival: estimated\n",
                    (unsigned long long)counts.estimated_arrivals);
    }
}

static const struct source_type reader_type = {
    .name = "trace",
    .next = reader_next,
    .close = reader_close,
    .expected = reader_expected,
    .progress = reader_progress,
    .notes = reader_notes,
    .counts = reader_counts,
};

bool reader_open(struct source **out, const char *path,
                 const struct trace_options *options, struct err *err)
{
    struct reader *const reader = mem_alloc(1, sizeof(*reader));
    reader->base.type = &reader_type;
    reader->path = mem_strdup(path);
    reader->options = *options;
    if (options->format != NULL) {
        reader->format_name = mem_strdup(options->format);
        reader->options.format = reader->format_name;
    }
    reader->ready = record_heap_new();
    if (!prepare(reader, err)) {
        reader_close(&reader->base);
        return false;
    }
    decide_times(reader);
    text_printf(&reader->base.origin, "%s (%s)", path, reader->format->name);
    const char *const source = reader->pass.input->source;
    if (source != NULL) {
        text_printf(&reader->base.origin, " of %s", source);
        text_add(&reader->base.lineage, source);
    } else {
        const char *const slash = strrchr(path, '/');
        text_printf(&reader->base.lineage, "%s (%s)", slash != NULL ? slash + 1 : path,
                    reader->format->name);
    }
    *out = &reader->base;
    return true;
}
