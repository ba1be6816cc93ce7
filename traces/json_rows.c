/* SPDX-License-Identifier: Apache-2.0
 *
 * json_rows.c: JSONL traces on top of base/jsonl.h.
 */
#include "traces/json_rows.h"

#include "base/check.h"
#include "traces/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_TOKENS_MAX = 1 << 22 };

void json_rows_init(struct json_rows *rows, const char *const *keys, size_t key_count)
{
    CHECK(key_count <= JSON_KEYS_MAX, "%zu keys", key_count);
    rows->jsonl = jsonl_new(LINE_TOKENS_MAX);
    rows->keys = keys;
    rows->key_count = key_count;
}

void json_rows_fini(struct json_rows *rows)
{
    if (rows->jsonl != NULL) {
        jsonl_delete(rows->jsonl);
    }
}

static bool is_blank(const char *line, size_t byte_count)
{
    for (size_t i = 0; i < byte_count; i++) {
        if (strchr(" \t\r\f\v", line[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* "column 12: what" of the scanner, as a message of ours. */
static void rename_scan_error(const struct trace_input *input, struct err *err)
{
    char what[ERR_TEXT_BYTES];
    memcpy(what, err->text, sizeof(what));
    size_t column = 1;
    const char *text = what;
    if (strncmp(what, "column ", 7) == 0) {
        char *end = NULL;
        column = strtoul(what + 7, &end, 10);
        text = strncmp(end, ": ", 2) == 0 ? end + 2 : end;
    }
    (void)input_fail(input, err, column, "", "%s (is the row cut short?)", text);
}

bool json_rows_pick(struct json_rows *rows, struct trace_input *input,
                    jsonl_value object, struct err *err)
{
    for (size_t i = 0; i < rows->key_count; i++) {
        rows->values[i] = JSONL_NONE;
    }
    if (jsonl_kind(rows->jsonl, object) != JSONL_OBJECT) {
        return input_fail(input, err, jsonl_column(rows->jsonl, object), "",
                          "an object is expected here");
    }
    for (jsonl_value key = jsonl_first(rows->jsonl, object); key != JSONL_NONE;
         key = jsonl_next(rows->jsonl, key)) {
        const char *bytes = NULL;
        size_t byte_count = 0;
        jsonl_bytes(rows->jsonl, key, &bytes, &byte_count);
        size_t i = 0;
        while (i < rows->key_count && (strncmp(rows->keys[i], bytes, byte_count) != 0 ||
                                       rows->keys[i][byte_count] != '\0')) {
            i++;
        }
        if (i < rows->key_count) {
            rows->values[i] = jsonl_of_key(rows->jsonl, key);
        } else {
            input_unknown(input, bytes, byte_count);
        }
    }
    return true;
}

enum format_result json_rows_next(struct json_rows *rows, struct trace_input *input,
                                  struct err *err)
{
    char *line = NULL;
    size_t byte_count = 0;
    do {
        const enum lines_result result =
            lines_next(input->lines, &line, &byte_count, err);
        if (result != LINES_LINE) {
            return result == LINES_END ? FORMAT_END : FORMAT_ERROR;
        }
    } while (is_blank(line, byte_count));
    if (!jsonl_scan(rows->jsonl, line, byte_count, err)) {
        rename_scan_error(input, err);
        return FORMAT_BROKEN;
    }
    return json_rows_pick(rows, input, jsonl_root(rows->jsonl), err) ? FORMAT_RECORD
                                                                     : FORMAT_BROKEN;
}

static bool is_null(const struct jsonl *jsonl, jsonl_value value)
{
    const char *bytes = NULL;
    size_t byte_count = 0;
    if (jsonl_kind(jsonl, value) != JSONL_LITERAL) {
        return false;
    }
    jsonl_bytes(jsonl, value, &bytes, &byte_count);
    return byte_count == 4 && memcmp(bytes, "null", 4) == 0;
}

struct input_field json_rows_field(const struct json_rows *rows, size_t key)
{
    struct input_field field = {.key = rows->keys[key], .column = 1};
    const jsonl_value value = rows->values[key];
    if (value != JSONL_NONE && !is_null(rows->jsonl, value)) {
        jsonl_bytes(rows->jsonl, value, &field.bytes, &field.byte_count);
        field.column = jsonl_column(rows->jsonl, value);
    }
    return field;
}

uint64_t json_rows_identity(const struct json_rows *rows, jsonl_value value)
{
    const char *bytes = NULL;
    size_t byte_count = 0;
    jsonl_bytes(rows->jsonl, value, &bytes, &byte_count);
    return number_identity(bytes, byte_count);
}

bool json_rows_array(const struct json_rows *rows, const struct trace_input *input,
                     size_t key, jsonl_value *out, struct err *err)
{
    const jsonl_value value = rows->values[key];
    *out = JSONL_NONE;
    if (value == JSONL_NONE || is_null(rows->jsonl, value)) {
        return true;
    }
    if (jsonl_kind(rows->jsonl, value) != JSONL_ARRAY) {
        return input_fail(input, err, jsonl_column(rows->jsonl, value), rows->keys[key],
                          "a list is expected");
    }
    *out = value;
    return true;
}
