/* SPDX-License-Identifier: Apache-2.0
 *
 * input.h: the desk at which formats work: one pass through one file.
 *
 * Holds the record under construction and what the rules of docs/traces.md ask of every
 * format alike: messages with file, line, column and key; mending under TRACE_CLAMP;
 * recorded block ids made dense; names and sessions interned; unknown keys counted.
 */
#ifndef STACKSIM_TRACES_INPUT_H
#define STACKSIM_TRACES_INPUT_H

#include "base/lines.h"
#include "traces/record.h"
#include "traces/workload.h"

/* Recorded ids below this are dense already and stand for themselves; others (hashes,
 * strings) are numbered from here in order of appearance, so that the blocks of a new
 * prompt become one segment. */
enum { INPUT_DENSE_IDS = 1 << 24 };
enum { INPUT_UNKNOWN_KEYS_MAX = 64, INPUT_TOKENS_MAX = 1 << 28, INPUT_REMARKS_MAX = 8 };

/* Oddities that break nothing, counted: "3 rows: sub_requests is empty, dropped". */
struct input_remarks {
    const char *text[INPUT_REMARKS_MAX]; /* literals of the formats */
    uint64_t count[INPUT_REMARKS_MAX];
};

/* A conversation whose turns the file links. */
struct input_session {
    uint64_t last_id;     /* record id of its last turn so far */
    int64_t last_ns;      /* its arrival */
    uint32_t last_output; /* tokens it produced */
    uint32_t turns;
    struct segment
        *history; /* prompt of the last turn; NULL unless a format keeps it */
    size_t history_count;
    size_t history_capacity;
};

struct trace_input {
    struct lines *lines; /* borrowed */
    const struct trace_options *options;
    uint32_t block_tokens; /* effective default */
    struct trace_counts counts;
    struct input_remarks remarks;
    struct trace_record record; /* segments and segment_count are set by the reader */
    struct segment *segments;
    size_t segment_count;
    int64_t floor_ns;   /* roots of later rows arrive no earlier, in a sorted file */
    uint64_t next_id;   /* of the next record */
    bool sorted;        /* the file promises order: no scan, a breach is an error */
    uint64_t rows_said; /* number of rows that the file announces; 0 = none */
    const char *source; /* where the file says its records come from, or NULL */
    struct input_tables *tables;
};

struct trace_input *input_new(struct lines *lines, const struct trace_options *options);
void input_delete(struct trace_input *input);

/* Forgets the last record; the new one has the next id and no prompt yet. */
void input_begin(struct trace_input *input);

/* "file:line:column: key: what" with ERR_INPUT; returns false. */
bool input_fail(const struct trace_input *input, struct err *err, size_t column,
                const char *key, const char *format, ...) PRINTF_LIKE(5, 6);

/* A value where it stands in the file; bytes == NULL: it is absent. */
struct input_field {
    const char *key;
    const char *bytes;
    size_t byte_count;
    size_t column;
};

/* Tokens of a prompt or output, at least 1; must be present. */
NODISCARD bool input_tokens(struct trace_input *input, const struct input_field *field,
                            uint32_t *out, struct err *err);
/* Like input_tokens, but absent leaves *out alone and 0 is legal. */
NODISCARD bool input_tokens_optional(struct trace_input *input,
                                     const struct input_field *field, uint32_t *out,
                                     struct err *err);
/* A time of the given unit, at least 0; must be present. */
NODISCARD bool input_time(struct trace_input *input, const struct input_field *field,
                          int64_t unit_ns, int64_t *out, struct err *err);

/* The dense number of a recorded block id. */
bool input_block(struct trace_input *input, uint64_t identity, uint64_t *dense);

/* Appends to the prompt; merges with the last piece where they touch. False: the prompt
 * has too many pieces. */
bool input_add(struct trace_input *input, uint64_t stream, uint64_t offset,
               uint64_t tokens);
/* Fills the prompt up to prompt_tokens with content of its own, cuts it there if it is
 * longer. */
NODISCARD bool input_fill_private(struct trace_input *input, struct err *err);
/* The message for when input_add has refused; returns false. */
bool input_fail_pieces(const struct trace_input *input, struct err *err);

/* Books how the number of ids fits the length of the prompt. */
void input_count_ids(struct trace_input *input, size_t ids, uint32_t prompt_tokens,
                     uint32_t block_tokens);

/* The one copy of a string; lives as long as the input. NULL when there are too many.
 */
const char *input_string(struct trace_input *input, const char *bytes,
                         size_t byte_count);

/* 1-based number of a session by its name; NULL when there are too many. The pointer is
 * good until the next call. */
struct input_session *input_session(struct trace_input *input, const char *bytes,
                                    size_t byte_count, uint64_t *number);

/* Makes the record the next turn of the session: parent, turn and, when it has no time
 * of its own, an estimated arrival (spec/traces.md 3.4). Call it when the lengths are
 * known; `after_ns`: recorded delay after the previous turn, or TRACE_THINK_NONE. */
void input_continue(struct trace_input *input, struct input_session *session,
                    bool has_arrival, int64_t after_ns);

/* Counts an oddity; text is a literal. */
void input_remark(struct trace_input *input, const char *text);

/* Counts a key that the format does not read. */
void input_unknown(struct trace_input *input, const char *key, size_t byte_count);
/* Their names, comma-separated; "" when there are none. */
const char *input_unknown_names(const struct trace_input *input);

#endif
