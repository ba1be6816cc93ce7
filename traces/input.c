/* SPDX-License-Identifier: Apache-2.0
 *
 * input.c: what every format needs while it reads.
 *
 * Names are looked up by XXH64 of their bytes: two names that collide in 64 bits would
 * become one, which no trace of this world will meet.
 */
#include "traces/input.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "traces/number.h"

#include <stdio.h>
#include <string.h>

enum {
    SEGMENTS_MAX = 1 << 20, /* of one prompt */
    STRINGS_MAX = 1 << 16,  /* models, tenants */
    SESSIONS_MAX = 1 << 26,
    BLOCKS_MAX = 1 << 28, /* interned block ids */
};

/* Service of an unobserved request, for arrivals of turns that have none. */
static const int64_t service_base_ns = 1000000000;
static const int64_t service_token_ns = 25000000;

struct input_tables {
    size_t segment_capacity;
    struct map *blocks;
    struct map *strings;
    char **string_items;
    size_t string_count;
    size_t string_capacity;
    struct map *sessions;
    struct input_session *session_items;
    size_t session_count;
    size_t session_capacity;
    uint64_t unknown[INPUT_UNKNOWN_KEYS_MAX];
    size_t unknown_count;
    struct text unknown_names;
};

struct trace_input *input_new(struct lines *lines, const struct trace_options *options)
{
    struct trace_input *const input = mem_alloc(1, sizeof(*input));
    input->lines = lines;
    input->options = options;
    input->tables = mem_alloc(1, sizeof(*input->tables));
    input->tables->blocks = map_new(16, BLOCKS_MAX);
    input->tables->strings = map_new(16, STRINGS_MAX);
    input->tables->sessions = map_new(16, SESSIONS_MAX);
    return input;
}

void input_delete(struct trace_input *input)
{
    if (input == NULL) {
        return;
    }
    struct input_tables *const tables = input->tables;
    for (size_t i = 0; i < tables->string_count; i++) {
        mem_free(tables->string_items[i]);
    }
    for (size_t i = 0; i < tables->session_count; i++) {
        mem_free(tables->session_items[i].history);
    }
    map_delete(tables->blocks);
    map_delete(tables->strings);
    map_delete(tables->sessions);
    text_fini(&tables->unknown_names);
    mem_free(tables->string_items);
    mem_free(tables->session_items);
    mem_free(tables);
    mem_free(input->segments);
    mem_free(input);
}

void input_begin(struct trace_input *input)
{
    input->record = (struct trace_record){
        .id = input->next_id,
        .think_ns = TRACE_THINK_NONE,
    };
    input->segment_count = 0;
}

bool input_fail(const struct trace_input *input, struct err *err, size_t column,
                const char *key, const char *format, ...)
{
    char what[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return err_set(err, ERR_INPUT, "%s:%llu:%zu: %s%s%s", lines_path(input->lines),
                   (unsigned long long)lines_number(input->lines), column, key,
                   key[0] != '\0' ? ": " : "", what);
}

/* How much of a field a message shows. */
static int shown(const struct input_field *field)
{
    return field->byte_count < 40 ? (int)field->byte_count : 40;
}

static bool clamps(const struct trace_input *input)
{
    return input->options->on_error == TRACE_CLAMP;
}

static bool tokens_from(struct trace_input *input, const struct input_field *field,
                        int64_t least, uint32_t *out, struct err *err)
{
    int64_t value = 0;
    if (!number_count(field->bytes, field->byte_count, &value)) {
        return input_fail(input, err, field->column, field->key,
                          "'%.*s' is not a whole number", shown(field), field->bytes);
    }
    if (value >= least && value <= INPUT_TOKENS_MAX) {
        *out = (uint32_t)value;
        return true;
    }
    if (clamps(input)) {
        input->counts.clamped++;
        *out = (uint32_t)(value < least ? least : INPUT_TOKENS_MAX);
        return true;
    }
    return input_fail(input, err, field->column, field->key,
                      "%lld tokens; %lld to %d are possible (on-error skip leaves such "
                      "rows out, clamp mends them)",
                      (long long)value, (long long)least, INPUT_TOKENS_MAX);
}

bool input_tokens(struct trace_input *input, const struct input_field *field,
                  uint32_t *out, struct err *err)
{
    if (field->bytes == NULL) {
        return input_fail(input, err, field->column, field->key, "is missing");
    }
    return tokens_from(input, field, 1, out, err);
}

bool input_tokens_optional(struct trace_input *input, const struct input_field *field,
                           uint32_t *out, struct err *err)
{
    return field->bytes == NULL || field->byte_count == 0 ||
           tokens_from(input, field, 0, out, err);
}

bool input_time(struct trace_input *input, const struct input_field *field,
                int64_t unit_ns, int64_t *out, struct err *err)
{
    if (field->bytes == NULL) {
        return input_fail(input, err, field->column, field->key, "is missing");
    }
    /* The simulator adds times: a quarter of the range leaves room for the sums, and
     * for nanoseconds since 1970. */
    if (!number_time_ns(field->bytes, field->byte_count, unit_ns, out) ||
        *out > INT64_MAX / 4) {
        return input_fail(input, err, field->column, field->key,
                          "'%.*s' is not a time below 73 years; is the unit right?",
                          shown(field), field->bytes);
    }
    if (*out >= 0) {
        return true;
    }
    if (clamps(input)) {
        input->counts.clamped++;
        *out = 0;
        return true;
    }
    return input_fail(input, err, field->column, field->key,
                      "'%.*s' lies before the start of the trace (on-error skip leaves "
                      "such rows out, clamp mends them)",
                      shown(field), field->bytes);
}

bool input_block(struct trace_input *input, uint64_t identity, uint64_t *dense)
{
    if (identity < INPUT_DENSE_IDS) {
        *dense = identity;
        return true;
    }
    struct map *const blocks = input->tables->blocks;
    uint32_t number = 0;
    if (!map_get(blocks, identity, &number)) {
        if (map_count(blocks) >= BLOCKS_MAX) {
            return false;
        }
        number = (uint32_t)map_count(blocks);
        map_put(blocks, identity, number);
    }
    *dense = (uint64_t)INPUT_DENSE_IDS + number;
    return true;
}

bool input_add(struct trace_input *input, uint64_t stream, uint64_t offset,
               uint64_t tokens)
{
    if (tokens == 0) {
        return true;
    }
    if (input->segment_count > 0) {
        struct segment *const last = &input->segments[input->segment_count - 1];
        if (last->stream == stream && last->offset + last->tokens == offset &&
            tokens <= UINT32_MAX - last->tokens) {
            last->tokens += (uint32_t)tokens;
            return true;
        }
    }
    void *memory = input->segments;
    if (tokens > UINT32_MAX ||
        !mem_grow(&memory, &input->tables->segment_capacity, input->segment_count + 1,
                  sizeof(struct segment), SEGMENTS_MAX)) {
        return false;
    }
    input->segments = memory;
    input->segments[input->segment_count++] = (struct segment){
        .stream = stream, .offset = offset, .tokens = (uint32_t)tokens};
    return true;
}

bool input_fail_pieces(const struct trace_input *input, struct err *err)
{
    return input_fail(input, err, 1, "", "a prompt of more than %d pieces",
                      SEGMENTS_MAX);
}

bool input_fill_private(struct trace_input *input, struct err *err)
{
    uint64_t have = segment_tokens(input->segments, input->segment_count);
    const uint64_t want = input->record.prompt_tokens;
    while (have > want) {
        struct segment *const last = &input->segments[input->segment_count - 1];
        const uint64_t excess = have - want;
        const uint32_t cut = excess < last->tokens ? (uint32_t)excess : last->tokens;
        last->tokens -= cut;
        have -= cut;
        input->segment_count -= last->tokens == 0 ? 1 : 0;
    }
    return input_add(input, segment_stream(SEGMENT_UNIQUE, input->record.id), 0,
                     want - have) ||
           input_fail_pieces(input, err);
}

void input_count_ids(struct trace_input *input, size_t ids, uint32_t prompt_tokens,
                     uint32_t block_tokens)
{
    const uint32_t full = prompt_tokens / block_tokens;
    const uint32_t partial = prompt_tokens % block_tokens != 0 ? 1 : 0;
    if (ids == (size_t)full + partial) {
        input->counts.ids_ceil++;
    } else if (ids == full) {
        input->counts.ids_floor++;
    } else {
        input->counts.ids_neither++;
    }
}

const char *input_string(struct trace_input *input, const char *bytes,
                         size_t byte_count)
{
    struct input_tables *const tables = input->tables;
    const uint64_t key = hash_xxh64(bytes, byte_count, 0);
    uint32_t index = 0;
    if (map_get(tables->strings, key, &index)) {
        return tables->string_items[index];
    }
    void *memory = tables->string_items;
    if (!mem_grow(&memory, &tables->string_capacity, tables->string_count + 1,
                  sizeof(char *), STRINGS_MAX)) {
        return NULL;
    }
    tables->string_items = memory;
    char *const copy = mem_alloc(byte_count + 1, 1);
    memcpy(copy, bytes, byte_count);
    map_put(tables->strings, key, (uint32_t)tables->string_count);
    tables->string_items[tables->string_count++] = copy;
    return copy;
}

struct input_session *input_session(struct trace_input *input, const char *bytes,
                                    size_t byte_count, uint64_t *number)
{
    struct input_tables *const tables = input->tables;
    const uint64_t key = hash_xxh64(bytes, byte_count, 1);
    uint32_t index = 0;
    if (!map_get(tables->sessions, key, &index)) {
        void *memory = tables->session_items;
        if (!mem_grow(&memory, &tables->session_capacity, tables->session_count + 1,
                      sizeof(struct input_session), SESSIONS_MAX)) {
            return NULL;
        }
        tables->session_items = memory;
        index = (uint32_t)tables->session_count++;
        tables->session_items[index] = (struct input_session){0};
        map_put(tables->sessions, key, index);
    }
    *number = (uint64_t)index + 1;
    return &tables->session_items[index];
}

void input_continue(struct trace_input *input, struct input_session *session,
                    bool has_arrival, int64_t after_ns)
{
    struct trace_record *const record = &input->record;
    if (session->turns > 0) {
        record->parents[0] = session->last_id;
        record->parent_count = 1;
        record->think_ns = after_ns;
    }
    if (!has_arrival && session->turns > 0) {
        const int64_t wait_ns = after_ns == TRACE_THINK_NONE ? 0 : after_ns;
        const int64_t service_ns =
            service_base_ns + session->last_output * service_token_ns;
        if (__builtin_add_overflow(session->last_ns, service_ns, &record->arrival_ns) ||
            __builtin_add_overflow(record->arrival_ns, wait_ns, &record->arrival_ns)) {
            record->arrival_ns = INT64_MAX;
        }
        input->counts.estimated_arrivals++;
    }
    record->turn = session->turns++;
    session->last_id = record->id;
    session->last_ns = record->arrival_ns;
    session->last_output = record->output_tokens;
}

void input_remark(struct trace_input *input, const char *text)
{
    struct input_remarks *const remarks = &input->remarks;
    size_t i = 0;
    while (i < INPUT_REMARKS_MAX && remarks->text[i] != NULL &&
           remarks->text[i] != text) {
        i++;
    }
    CHECK(i < INPUT_REMARKS_MAX, "no room for remark '%s'", text);
    remarks->text[i] = text;
    remarks->count[i]++;
}

void input_unknown(struct trace_input *input, const char *key, size_t byte_count)
{
    struct input_tables *const tables = input->tables;
    const uint64_t hash = hash_xxh64(key, byte_count, 0);
    for (size_t i = 0; i < tables->unknown_count; i++) {
        if (tables->unknown[i] == hash) {
            return;
        }
    }
    if (tables->unknown_count >= INPUT_UNKNOWN_KEYS_MAX) {
        return;
    }
    tables->unknown[tables->unknown_count++] = hash;
    input->counts.unknown_keys = tables->unknown_count;
    text_printf(&tables->unknown_names, "%s%.*s", tables->unknown_count > 1 ? ", " : "",
                (int)(byte_count < 40 ? byte_count : 40), key);
}

const char *input_unknown_names(const struct trace_input *input)
{
    return text_str(&input->tables->unknown_names);
}
