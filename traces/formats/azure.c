/* SPDX-License-Identifier: Apache-2.0
 *
 * azure.c: Azure LLM inference traces, 2023, 2024 and multimodal (spec/traces.md F3).
 *
 * Lengths and dates only, so every prompt is content of its own. The fraction of a
 * second may have 0 to 9 digits, and rows with and without one are mixed in the files
 * of 2024.
 */
#include "traces/csv_rows.h"
#include "traces/number.h"

enum { TIMESTAMP, CONTEXT_TOKENS, GENERATED_TOKENS, COLUMN_COUNT };

static const char *const columns[COLUMN_COUNT] = {
    [TIMESTAMP] = "TIMESTAMP",
    [CONTEXT_TOKENS] = "ContextTokens",
    [GENERATED_TOKENS] = "GeneratedTokens",
};

static bool azure_detect(const char *head, size_t byte_count)
{
    return trace_head_has(head, byte_count, "TIMESTAMP") &&
           trace_head_has(head, byte_count, "ContextTokens");
}

static bool azure_open(void *state, struct trace_input *input, struct err *err)
{
    struct csv_rows *const rows = state;
    if (!csv_rows_open(rows, input, columns, COLUMN_COUNT, err)) {
        return false;
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (!csv_rows_has(rows, i)) {
            return input_fail(input, err, 1, columns[i],
                              "the header lacks this column");
        }
    }
    return true;
}

static enum format_result azure_next(void *state, struct trace_input *input,
                                     struct err *err)
{
    struct csv_rows *const rows = state;
    const enum format_result result = csv_rows_next(rows, input, err);
    if (result != FORMAT_RECORD) {
        return result;
    }
    input_begin(input);
    struct trace_record *const record = &input->record;
    const struct input_field date = csv_rows_field(rows, TIMESTAMP);
    if (!number_date_ns(date.bytes, date.byte_count, &record->arrival_ns)) {
        (void)input_fail(input, err, date.column, date.key,
                         "'%.40s' is not a date like 2023-11-16 18:15:46.6805900",
                         date.bytes);
        return FORMAT_BROKEN;
    }
    const struct input_field prompt = csv_rows_field(rows, CONTEXT_TOKENS);
    const struct input_field output = csv_rows_field(rows, GENERATED_TOKENS);
    if (!input_tokens(input, &prompt, &record->prompt_tokens, err) ||
        !input_tokens(input, &output, &record->output_tokens, err)) {
        return FORMAT_BROKEN;
    }
    input->floor_ns = record->arrival_ns;
    return input_fill_private(input, err) ? FORMAT_RECORD : FORMAT_BROKEN;
}

static void azure_close(void *state)
{
    csv_rows_fini(state);
}

const struct trace_format format_azure = {
    .name = "azure",
    .help = "Azure LLM inference trace, CSV (2023, 2024): dates and lengths",
    .detect = azure_detect,
    .state_bytes = sizeof(struct csv_rows),
    .open = azure_open,
    .next = azure_next,
    .close = azure_close,
    .calendar = true,
};
