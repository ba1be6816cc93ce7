/* SPDX-License-Identifier: Apache-2.0
 *
 * native.c: our own trace format: "#key=value" lines, a header row, CSV (spec/traces.md
 * 3.5; docs/traces.md has the columns).
 *
 * Only `in` and `out` are obligatory. A file whose header says order=arrival is
 * streamed without being scanned first.
 */
#include "traces/csv_rows.h"
#include "traces/native_columns.h"
#include "traces/number.h"
#include "traces/piece_text.h"

#include <string.h>

static const char *const columns[NATIVE_COLUMN_COUNT] = {
#define X(name, text) text,
    NATIVE_COLUMNS(X)
#undef X
};

struct native {
    struct csv_rows rows;
    int64_t unit_ns;
};

static bool native_detect(const char *head, size_t byte_count)
{
    return trace_head_begins(head, byte_count, NATIVE_MAGIC);
}

/* One "#key=value" line; what is not for us is for people. */
struct setting {
    const char *key;
    size_t key_bytes;
    const char *value;
    size_t value_bytes;
};

static bool setting_is(const struct setting *setting, const char *key)
{
    return strlen(key) == setting->key_bytes &&
           memcmp(key, setting->key, setting->key_bytes) == 0;
}

static bool apply_unit(struct native *native, const struct trace_input *input,
                       const struct setting *setting, struct err *err)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].name) == setting->value_bytes &&
            memcmp(units[i].name, setting->value, setting->value_bytes) == 0) {
            native->unit_ns = units[i].ns;
            return true;
        }
    }
    return err_set(err, ERR_INPUT, "%s: unit: ns, us, ms and s are possible",
                   lines_path(input->lines));
}

static bool apply(struct native *native, struct trace_input *input,
                  const struct setting *setting, struct err *err)
{
    int64_t number = 0;
    const bool is_number =
        number_count(setting->value, setting->value_bytes, &number) && number >= 0;
    if (setting_is(setting, "version")) {
        return (is_number && number == 1) ||
               err_set(err, ERR_INPUT, "%s: version: only 1 is known here",
                       lines_path(input->lines));
    }
    if (setting_is(setting, "unit")) {
        return apply_unit(native, input, setting, err);
    }
    if (setting_is(setting, "block_size")) {
        if (!is_number || number < 1 || number > 1 << 20) {
            return err_set(err, ERR_INPUT, "%s: block_size: 1 to 2^20 are possible",
                           lines_path(input->lines));
        }
        input->block_tokens = (uint32_t)number;
    } else if (setting_is(setting, "rows") && is_number) {
        input->rows_said = (uint64_t)number;
    } else if (setting_is(setting, "order")) {
        input->sorted =
            setting->value_bytes == 7 && memcmp(setting->value, "arrival", 7) == 0;
    } else if (setting_is(setting, "source")) {
        input->source = input_string(input, setting->value, setting->value_bytes);
    }
    return true;
}

/* The lines before the header row are looked at without being consumed. */
static bool read_settings(struct native *native, struct trace_input *input,
                          struct err *err)
{
    const char *head = NULL;
    size_t byte_count = 0;
    if (!lines_peek(input->lines, &head, &byte_count, err)) {
        return false;
    }
    const char *const end = head + byte_count;
    while (head < end && *head == '#') {
        const char *line_end = memchr(head, '\n', (size_t)(end - head));
        line_end = line_end != NULL ? line_end : end;
        const char *value_end = line_end;
        while (value_end > head && (value_end[-1] == '\r' || value_end[-1] == ' ')) {
            value_end--;
        }
        const char *const equals = memchr(head, '=', (size_t)(value_end - head));
        if (equals != NULL) {
            const struct setting setting = {
                .key = head + 1,
                .key_bytes = (size_t)(equals - head - 1),
                .value = equals + 1,
                .value_bytes = (size_t)(value_end - equals - 1),
            };
            if (!apply(native, input, &setting, err)) {
                return false;
            }
        }
        head = line_end < end ? line_end + 1 : end;
    }
    return true;
}

static bool native_open(void *state, struct trace_input *input, struct err *err)
{
    struct native *const native = state;
    native->unit_ns = 1;
    if (!read_settings(native, input, err) ||
        !csv_rows_open(&native->rows, input, columns, NATIVE_COLUMN_COUNT, err)) {
        return false;
    }
    for (size_t i = NATIVE_IN; i <= NATIVE_OUT; i++) {
        if (!csv_rows_has(&native->rows, i)) {
            return input_fail(input, err, 1, columns[i],
                              "the header lacks this column");
        }
    }
    return true;
}

/* A field that is there and not empty. */
static bool has_field(const struct native *native, enum native_column column,
                      struct input_field *field)
{
    *field = csv_rows_field(&native->rows, column);
    return field->bytes != NULL && field->byte_count > 0;
}

static bool read_u64(const struct native *native, const struct trace_input *input,
                     enum native_column column, uint64_t *out, struct err *err)
{
    struct input_field field;
    int64_t value = 0;
    if (!has_field(native, column, &field)) {
        return true;
    }
    if (!number_count(field.bytes, field.byte_count, &value) || value < 0) {
        return input_fail(input, err, field.column, field.key,
                          "'%.40s' is not a whole number of 0 or more", field.bytes);
    }
    *out = (uint64_t)value;
    return true;
}

static bool read_id(const struct native *native, struct trace_input *input,
                    struct err *err)
{
    struct trace_record *const record = &input->record;
    if (!read_u64(native, input, NATIVE_ID, &record->id, err)) {
        return false;
    }
    return record->id < SEGMENT_ID_MAX ||
           input_fail(input, err, 1, columns[NATIVE_ID], "must be below 2^56");
}

static bool read_parents(const struct native *native, struct trace_input *input,
                         struct err *err)
{
    struct trace_record *const record = &input->record;
    struct input_field field;
    if (!has_field(native, NATIVE_PARENTS, &field)) {
        return true;
    }
    const char *at = field.bytes;
    while (*at != '\0') {
        const char *const end = strchrnul(at, ';');
        int64_t id = 0;
        if (record->parent_count == TRACE_PARENTS_MAX ||
            !number_count(at, (size_t)(end - at), &id) || id < 0) {
            return input_fail(input, err, field.column, field.key,
                              "'%.40s': at most %d ids, separated by ';'", field.bytes,
                              TRACE_PARENTS_MAX);
        }
        record->parents[record->parent_count++] = (uint64_t)id;
        at = *end == ';' ? end + 1 : end;
    }
    return true;
}

static bool read_times(const struct native *native, struct trace_input *input,
                       struct err *err)
{
    struct trace_record *const record = &input->record;
    struct input_field field;
    if (has_field(native, NATIVE_ARRIVAL, &field) &&
        !input_time(input, &field, native->unit_ns, &record->arrival_ns, err)) {
        return false;
    }
    if (has_field(native, NATIVE_THINK, &field) &&
        !input_time(input, &field, native->unit_ns, &record->think_ns, err)) {
        return false;
    }
    return !has_field(native, NATIVE_CANCEL, &field) ||
           input_time(input, &field, native->unit_ns, &record->cancel_ns, err);
}

static bool read_tokens(const struct native *native, struct trace_input *input,
                        struct err *err)
{
    struct trace_record *const record = &input->record;
    const struct input_field prompt = csv_rows_field(&native->rows, NATIVE_IN);
    const struct input_field output = csv_rows_field(&native->rows, NATIVE_OUT);
    const struct input_field max = csv_rows_field(&native->rows, NATIVE_MAX_OUT);
    const struct input_field guess = csv_rows_field(&native->rows, NATIVE_OUT_PRED);
    return input_tokens(input, &prompt, &record->prompt_tokens, err) &&
           input_tokens(input, &output, &record->output_tokens, err) &&
           input_tokens_optional(input, &max, &record->output_tokens_max, err) &&
           input_tokens_optional(input, &guess, &record->output_tokens_guess, err);
}

static bool read_names(const struct native *native, struct trace_input *input,
                       struct err *err)
{
    struct trace_record *const record = &input->record;
    struct input_field field;
    int64_t priority = 0;
    if (has_field(native, NATIVE_MODEL, &field)) {
        record->model = input_string(input, field.bytes, field.byte_count);
        if (record->model == NULL) {
            return input_fail(input, err, field.column, field.key, "too many models");
        }
    }
    if (has_field(native, NATIVE_TENANT, &field)) {
        record->tenant = input_string(input, field.bytes, field.byte_count);
        if (record->tenant == NULL) {
            return input_fail(input, err, field.column, field.key, "too many tenants");
        }
    }
    if (has_field(native, NATIVE_ADAPTER, &field)) {
        record->adapter = input_string(input, field.bytes, field.byte_count);
        if (record->adapter == NULL) {
            return input_fail(input, err, field.column, field.key, "too many adapters");
        }
    }
    if (has_field(native, NATIVE_PRIO, &field) &&
        (!number_count(field.bytes, field.byte_count, &priority) ||
         priority < INT16_MIN || priority > INT16_MAX)) {
        return input_fail(input, err, field.column, field.key,
                          "'%.40s' is not a whole number of 16 bits", field.bytes);
    }
    record->priority = (int32_t)priority;
    return true;
}

static bool read_prompt(const struct native *native, struct trace_input *input,
                        struct err *err)
{
    struct input_field field;
    if (!has_field(native, NATIVE_PROMPT, &field)) {
        return input_fill_private(input, err);
    }
    const char *at = field.bytes;
    uint64_t tokens = 0;
    bool last_blocks = false;
    while (*at != '\0') {
        struct segment piece;
        if (!piece_text_read(&at, input->block_tokens, &piece)) {
            return input_fail(input, err, field.column + (size_t)(at - field.bytes),
                              field.key, "'%.40s' is not a piece like t7@40+12%s", at,
                              input->block_tokens == 0 ? " (blocks need #block_size)"
                                                       : "");
        }
        if (!input_add(input, piece.stream, piece.offset, piece.tokens)) {
            return input_fail_pieces(input, err);
        }
        tokens += piece.tokens;
        last_blocks = segment_kind_of(piece.stream) == SEGMENT_BLOCK;
    }
    /* The last block of a prompt may be a part of one: `in` says how much. */
    const uint64_t spare =
        last_blocks && input->block_tokens > 0 ? input->block_tokens - 1 : 0;
    if (tokens > input->record.prompt_tokens + spare) {
        return input_fail(input, err, field.column, field.key,
                          "the pieces have %llu tokens, but in says %u",
                          (unsigned long long)tokens, input->record.prompt_tokens);
    }
    return input_fill_private(input, err);
}

static bool read_row(const struct native *native, struct trace_input *input,
                     struct err *err)
{
    uint64_t turn = 0;
    if (!read_id(native, input, err) || !read_times(native, input, err) ||
        !read_u64(native, input, NATIVE_SESSION, &input->record.session, err) ||
        !read_u64(native, input, NATIVE_TURN, &turn, err) ||
        !read_parents(native, input, err) || !read_tokens(native, input, err) ||
        !read_names(native, input, err) || !read_prompt(native, input, err)) {
        return false;
    }
    input->record.turn = turn < UINT32_MAX ? (uint32_t)turn : UINT32_MAX;
    return true;
}

static enum format_result native_next(void *state, struct trace_input *input,
                                      struct err *err)
{
    struct native *const native = state;
    const enum format_result result = csv_rows_next(&native->rows, input, err);
    if (result != FORMAT_RECORD) {
        return result;
    }
    input_begin(input);
    if (!read_row(native, input, err)) {
        return FORMAT_BROKEN;
    }
    input->floor_ns = input->record.arrival_ns;
    return FORMAT_RECORD;
}

static void native_close(void *state)
{
    struct native *const native = state;
    csv_rows_fini(&native->rows);
}

const struct trace_format format_native = {
    .name = "native",
    .help = "our own text format: everything a record holds, prompts as segments",
    .detect = native_detect,
    .state_bytes = sizeof(struct native),
    .open = native_open,
    .next = native_next,
    .close = native_close,
};
