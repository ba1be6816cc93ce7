/* SPDX-License-Identifier: Apache-2.0
 *
 * mooncake.c: Mooncake JSONL and its relatives (spec/traces.md F1).
 *
 * A block id stands for the prefix up to the end of its block, so as a token stream it
 * is the block's content. The block size is not in the file (512 for Mooncake itself);
 * rows may bring their own. Rows that share session_id are turns of one conversation:
 * with ids a row holds its whole prompt, without ids it holds what the turn adds to the
 * history.
 */
#include "base/mem.h"
#include "traces/json_rows.h"

#include <string.h>

enum {
    TIMESTAMP,
    INPUT_LENGTH,
    OUTPUT_LENGTH,
    HASH_IDS,
    SESSION_ID,
    DELAY,
    BLOCK_SIZE,
    BLOCK_TOKENS,
    KEY_COUNT
};

static const char *const keys[KEY_COUNT] = {
    [TIMESTAMP] = "timestamp",         [INPUT_LENGTH] = "input_length",
    [OUTPUT_LENGTH] = "output_length", [HASH_IDS] = "hash_ids",
    [SESSION_ID] = "session_id",       [DELAY] = "delay",
    [BLOCK_SIZE] = "block_size",       [BLOCK_TOKENS] = "block_tokens",
};

enum { HISTORY_MAX = 1 << 16 };
static const int64_t millisecond_ns = 1000000;

static bool mooncake_detect(const char *head, size_t byte_count)
{
    return trace_head_begins(head, byte_count, "{") &&
           (trace_head_has(head, byte_count, "\"hash_ids\"") ||
            trace_head_has(head, byte_count, "\"input_length\"")) &&
           !trace_head_has(head, byte_count, "\"chat_id\"");
}

static bool mooncake_open(void *state, struct trace_input *input, struct err *err)
{
    (void)input;
    (void)err;
    json_rows_init(state, keys, KEY_COUNT);
    return true;
}

static int64_t time_unit_ns(const struct trace_input *input)
{
    const int64_t told_ns = input->options->time_unit_ns;
    return told_ns > 0 ? told_ns : millisecond_ns;
}

/* Tokens of id i: of the row's list when it has one, else a block. */
static bool tokens_of_id(const struct json_rows *rows, const struct trace_input *input,
                         jsonl_value listed, uint32_t *tokens, struct err *err)
{
    int64_t value = 0;
    if (listed == JSONL_NONE) {
        return true;
    }
    if (!jsonl_i64(rows->jsonl, listed, &value) || value < 0 || value > *tokens) {
        return input_fail(input, err, jsonl_column(rows->jsonl, listed),
                          keys[BLOCK_TOKENS], "0 to %u tokens are possible", *tokens);
    }
    *tokens = (uint32_t)value;
    return true;
}

/* Blocks of another size than the file's are content of their own stream. */
static uint64_t stream_of_blocks(const struct trace_input *input, uint32_t block_tokens)
{
    return segment_stream(SEGMENT_BLOCK,
                          block_tokens == input->block_tokens ? 0 : block_tokens);
}

static bool add_blocks(const struct json_rows *rows, struct trace_input *input,
                       jsonl_value ids, uint32_t block_tokens, struct err *err)
{
    jsonl_value list = JSONL_NONE;
    if (!json_rows_array(rows, input, BLOCK_TOKENS, &list, err)) {
        return false;
    }
    jsonl_value listed =
        list == JSONL_NONE ? JSONL_NONE : jsonl_first(rows->jsonl, list);
    const uint64_t stream = stream_of_blocks(input, block_tokens);
    for (jsonl_value id = jsonl_first(rows->jsonl, ids); id != JSONL_NONE;
         id = jsonl_next(rows->jsonl, id)) {
        uint64_t dense = 0;
        uint32_t tokens = block_tokens;
        if (!tokens_of_id(rows, input, listed, &tokens, err)) {
            return false;
        }
        if (!input_block(input, json_rows_identity(rows, id), &dense)) {
            return input_fail(input, err, jsonl_column(rows->jsonl, id), keys[HASH_IDS],
                              "too many different ids");
        }
        if (!input_add(input, stream, dense * block_tokens, tokens)) {
            return input_fail_pieces(input, err);
        }
        listed = listed == JSONL_NONE ? JSONL_NONE : jsonl_next(rows->jsonl, listed);
    }
    return true;
}

static bool read_prompt(const struct json_rows *rows, struct trace_input *input,
                        bool *has_ids, struct err *err)
{
    jsonl_value ids = JSONL_NONE;
    uint32_t block_tokens = input->block_tokens;
    const struct input_field block_size = json_rows_field(rows, BLOCK_SIZE);
    if (!json_rows_array(rows, input, HASH_IDS, &ids, err)) {
        return false;
    }
    *has_ids = ids != JSONL_NONE;
    if (!*has_ids) {
        return true;
    }
    if (block_size.bytes != NULL && input->options->block_tokens == 0 &&
        !input_tokens(input, &block_size, &block_tokens, err)) {
        return false;
    }
    input_count_ids(input, jsonl_count(rows->jsonl, ids), input->record.prompt_tokens,
                    block_tokens);
    return add_blocks(rows, input, ids, block_tokens, err);
}

/* Puts what the session holds so far before the new text. */
static bool prepend_history(struct trace_input *input, struct input_session *session)
{
    if (session->turns == 0) {
        return true;
    }
    bool fits = true;
    uint64_t tokens = session->last_output;
    for (size_t i = 0; i < session->history_count && fits; i++) {
        const struct segment *const piece = &session->history[i];
        fits = input_add(input, piece->stream, piece->offset, piece->tokens);
        tokens += piece->tokens;
    }
    fits = fits && tokens + input->record.prompt_tokens <= INPUT_TOKENS_MAX &&
           input_add(input, segment_stream(SEGMENT_OUTPUT, session->last_id), 0,
                     session->last_output);
    input->record.prompt_tokens += (uint32_t)(fits ? tokens : 0);
    return fits;
}

static bool keep_history(const struct trace_input *input, struct input_session *session)
{
    void *memory = session->history;
    if (!mem_grow(&memory, &session->history_capacity, input->segment_count,
                  sizeof(struct segment), HISTORY_MAX)) {
        return false;
    }
    session->history = memory;
    memcpy(session->history, input->segments,
           input->segment_count * sizeof(struct segment));
    session->history_count = input->segment_count;
    return true;
}

/* The row as a turn of its session. */
static bool read_turn(const struct json_rows *rows, struct trace_input *input,
                      bool has_arrival, bool has_ids, struct err *err)
{
    const struct input_field name = json_rows_field(rows, SESSION_ID);
    const struct input_field delay = json_rows_field(rows, DELAY);
    int64_t delay_ns = TRACE_THINK_NONE;
    if (delay.bytes != NULL &&
        !input_time(input, &delay, millisecond_ns, &delay_ns, err)) {
        return false;
    }
    struct input_session *const session =
        input_session(input, name.bytes, name.byte_count, &input->record.session);
    if (session == NULL || (!has_ids && !prepend_history(input, session))) {
        return input_fail(input, err, name.column, name.key,
                          "too many sessions, or one too long");
    }
    if (!input_fill_private(input, err)) {
        return false;
    }
    if (!has_ids && !keep_history(input, session)) {
        return input_fail_pieces(input, err);
    }
    input_continue(input, session, has_arrival, delay_ns);
    return true;
}

static bool read_row(const struct json_rows *rows, struct trace_input *input,
                     struct err *err)
{
    struct trace_record *const record = &input->record;
    const struct input_field timestamp = json_rows_field(rows, TIMESTAMP);
    const struct input_field prompt = json_rows_field(rows, INPUT_LENGTH);
    const struct input_field output = json_rows_field(rows, OUTPUT_LENGTH);
    const struct input_field session = json_rows_field(rows, SESSION_ID);
    const bool has_arrival = timestamp.bytes != NULL;
    bool has_ids = false;
    record->arrival_ns = input->floor_ns;
    if ((has_arrival && !input_time(input, &timestamp, time_unit_ns(input),
                                    &record->arrival_ns, err)) ||
        !input_tokens(input, &prompt, &record->prompt_tokens, err) ||
        !input_tokens(input, &output, &record->output_tokens, err) ||
        !read_prompt(rows, input, &has_ids, err)) {
        return false;
    }
    if (session.bytes == NULL) {
        return input_fill_private(input, err);
    }
    return read_turn(rows, input, has_arrival, has_ids, err);
}

static enum format_result mooncake_next(void *state, struct trace_input *input,
                                        struct err *err)
{
    struct json_rows *const rows = state;
    const enum format_result result = json_rows_next(rows, input, err);
    if (result != FORMAT_RECORD) {
        return result;
    }
    input_begin(input);
    if (!read_row(rows, input, err)) {
        return FORMAT_BROKEN;
    }
    if (json_rows_field(rows, TIMESTAMP).bytes != NULL) {
        input->floor_ns = input->record.arrival_ns;
    }
    return FORMAT_RECORD;
}

static void mooncake_close(void *state)
{
    json_rows_fini(state);
}

const struct trace_format format_mooncake = {
    .name = "mooncake",
    .help = "Mooncake JSONL: arrivals in ms, lengths, recorded prefix blocks",
    .detect = mooncake_detect,
    .state_bytes = sizeof(struct json_rows),
    .open = mooncake_open,
    .next = mooncake_next,
    .close = mooncake_close,
    .block_tokens = 512,
    .coarse_clock = true,
};
