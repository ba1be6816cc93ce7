/* SPDX-License-Identifier: Apache-2.0
 *
 * lengths.c: tables of prompt and output lengths, with or without arrivals.
 *
 * Reads what simulators and measuring scripts write: Vidur replay files and length
 * tables, splitwise-sim requests, arrival_time_ns,input_toks,output_toks. The first
 * name of each list that the header has is taken; the name also says the unit of the
 * time. Rows without a time all arrive at 0.
 */
#include "traces/csv_rows.h"

#define SECOND_NS      INT64_C(1000000000)
#define MILLISECOND_NS INT64_C(1000000)

enum role { ROLE_ARRIVAL, ROLE_PROMPT, ROLE_OUTPUT, ROLE_COUNT };

struct alias {
    const char *name;
    enum role role;
    int64_t unit_ns;
};

#define LENGTH_COLUMNS(X)                                                              \
    X("arrived_at", ROLE_ARRIVAL, SECOND_NS)                                           \
    X("arrived_at_s", ROLE_ARRIVAL, SECOND_NS)                                         \
    X("arrival_timestamp", ROLE_ARRIVAL, SECOND_NS)                                    \
    X("arrival_s", ROLE_ARRIVAL, SECOND_NS)                                            \
    X("arrival_ms", ROLE_ARRIVAL, MILLISECOND_NS)                                      \
    X("arrival_ns", ROLE_ARRIVAL, 1)                                                   \
    X("arrival_time_ns", ROLE_ARRIVAL, 1)                                              \
    X("num_prefill_tokens", ROLE_PROMPT, 0)                                            \
    X("prefill_tokens", ROLE_PROMPT, 0)                                                \
    X("input_toks", ROLE_PROMPT, 0)                                                    \
    X("input_tokens", ROLE_PROMPT, 0)                                                  \
    X("input_length", ROLE_PROMPT, 0)                                                  \
    X("prompt_tokens", ROLE_PROMPT, 0)                                                 \
    X("prompt_size", ROLE_PROMPT, 0)                                                   \
    X("num_decode_tokens", ROLE_OUTPUT, 0)                                             \
    X("decode_tokens", ROLE_OUTPUT, 0)                                                 \
    X("output_toks", ROLE_OUTPUT, 0)                                                   \
    X("output_tokens", ROLE_OUTPUT, 0)                                                 \
    X("output_length", ROLE_OUTPUT, 0)                                                 \
    X("completion_tokens", ROLE_OUTPUT, 0)                                             \
    X("token_size", ROLE_OUTPUT, 0)

static const char *const columns[] = {
#define X(name, role, unit_ns) name,
    LENGTH_COLUMNS(X)
#undef X
};
static const struct alias aliases[] = {
#define X(name, role, unit_ns) {name, role, unit_ns},
    LENGTH_COLUMNS(X)
#undef X
};
enum { COLUMN_COUNT = sizeof(columns) / sizeof(columns[0]) };

struct lengths {
    struct csv_rows rows;
    size_t chosen[ROLE_COUNT]; /* index into columns, or SIZE_MAX */
    int64_t unit_ns;
};

static bool lengths_detect(const char *head, size_t byte_count)
{
    bool found[ROLE_COUNT] = {false};
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const struct alias alias = aliases[i];
        found[alias.role] =
            found[alias.role] || trace_head_has(head, byte_count, alias.name);
    }
    return found[ROLE_PROMPT] && found[ROLE_OUTPUT] &&
           !trace_head_begins(head, byte_count, "{") &&
           trace_head_has(head, byte_count, ",");
}

static bool lengths_open(void *state, struct trace_input *input, struct err *err)
{
    struct lengths *const lengths = state;
    if (!csv_rows_open(&lengths->rows, input, columns, COLUMN_COUNT, err)) {
        return false;
    }
    for (size_t role = 0; role < ROLE_COUNT; role++) {
        lengths->chosen[role] = SIZE_MAX;
    }
    for (size_t i = COLUMN_COUNT; i-- > 0;) {
        const struct alias alias = aliases[i];
        if (csv_rows_has(&lengths->rows, i)) {
            lengths->chosen[alias.role] = i;
            lengths->unit_ns =
                alias.role == ROLE_ARRIVAL ? alias.unit_ns : lengths->unit_ns;
        }
    }
    if (input->options->time_unit_ns > 0) {
        lengths->unit_ns = input->options->time_unit_ns;
    }
    if (lengths->chosen[ROLE_PROMPT] == SIZE_MAX ||
        lengths->chosen[ROLE_OUTPUT] == SIZE_MAX) {
        return input_fail(input, err, 1, "",
                          "the header has no column of prompt or of output lengths, "
                          "like input_tokens,output_tokens");
    }
    return true;
}

static enum format_result lengths_next(void *state, struct trace_input *input,
                                       struct err *err)
{
    struct lengths *const lengths = state;
    const enum format_result result = csv_rows_next(&lengths->rows, input, err);
    if (result != FORMAT_RECORD) {
        return result;
    }
    input_begin(input);
    struct trace_record *const record = &input->record;
    if (lengths->chosen[ROLE_ARRIVAL] != SIZE_MAX) {
        const struct input_field arrival =
            csv_rows_field(&lengths->rows, lengths->chosen[ROLE_ARRIVAL]);
        if (!input_time(input, &arrival, lengths->unit_ns, &record->arrival_ns, err)) {
            return FORMAT_BROKEN;
        }
    }
    const struct input_field prompt =
        csv_rows_field(&lengths->rows, lengths->chosen[ROLE_PROMPT]);
    const struct input_field output =
        csv_rows_field(&lengths->rows, lengths->chosen[ROLE_OUTPUT]);
    if (!input_tokens(input, &prompt, &record->prompt_tokens, err) ||
        !input_tokens(input, &output, &record->output_tokens, err)) {
        return FORMAT_BROKEN;
    }
    input->floor_ns = record->arrival_ns;
    return input_fill_private(input, err) ? FORMAT_RECORD : FORMAT_BROKEN;
}

static void lengths_close(void *state)
{
    struct lengths *const lengths = state;
    csv_rows_fini(&lengths->rows);
}

const struct trace_format format_lengths = {
    .name = "lengths",
    .help = "table of prompt and output lengths, CSV, with or without arrivals "
            "(Vidur, splitwise-sim, own measurements)",
    .detect = lengths_detect,
    .state_bytes = sizeof(struct lengths),
    .open = lengths_open,
    .next = lengths_next,
    .close = lengths_close,
};
