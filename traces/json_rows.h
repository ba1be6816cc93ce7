/* SPDX-License-Identifier: Apache-2.0
 *
 * json_rows.h: JSONL traces: one object a line, known keys picked out in one walk.
 */
#ifndef STACKSIM_TRACES_JSON_ROWS_H
#define STACKSIM_TRACES_JSON_ROWS_H

#include "base/jsonl.h"
#include "traces/format.h"

enum { JSON_KEYS_MAX = 16 };

struct json_rows {
    struct jsonl *jsonl;
    const char *const *keys; /* that the format reads */
    size_t key_count;
    jsonl_value values[JSON_KEYS_MAX]; /* of the current row; JSONL_NONE = absent */
};

/* keys are borrowed for good; at most JSON_KEYS_MAX. */
void json_rows_init(struct json_rows *rows, const char *const *keys, size_t key_count);
void json_rows_fini(struct json_rows *rows);

/* Scans the next line that is not blank. FORMAT_RECORD: rows->values are set. */
enum format_result json_rows_next(struct json_rows *rows, struct trace_input *input,
                                  struct err *err);
/* Sets rows->values from another object on the same line. */
NODISCARD bool json_rows_pick(struct json_rows *rows, struct trace_input *input,
                              jsonl_value object, struct err *err);
/* A value as a field; null counts as absent. */
struct input_field json_rows_field(const struct json_rows *rows, size_t key);
/* The identity that an array element or id stands for. */
uint64_t json_rows_identity(const struct json_rows *rows, jsonl_value value);
/* True when the key holds an array; false with err when it holds something else.
 * Absent or null: *out = JSONL_NONE and true. */
NODISCARD bool json_rows_array(const struct json_rows *rows,
                               const struct trace_input *input, size_t key,
                               jsonl_value *out, struct err *err);

#endif
