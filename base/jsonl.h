/* SPDX-License-Identifier: Apache-2.0
 *
 * jsonl.h: one JSON object per line, read fast and with offsets (only user of jsmn).
 *
 * The scanner is reused from line to line and keeps its token array, so a trace of any
 * length allocates a few times. Integers are 64 bit and exact; "12", 12 and 12.0 are
 * all accepted as 12.
 */
#ifndef STACKSIM_BASE_JSONL_H
#define STACKSIM_BASE_JSONL_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct jsonl;
/* A value on the current line: index into the token array, JSONL_NONE when absent. */
typedef uint32_t jsonl_value;
#define JSONL_NONE UINT32_MAX

enum jsonl_kind {
    JSONL_OBJECT,
    JSONL_ARRAY,
    JSONL_STRING,
    JSONL_NUMBER,
    JSONL_LITERAL
};

/* tokens_max bounds one line. */
struct jsonl *jsonl_new(size_t tokens_max);
void jsonl_delete(struct jsonl *jsonl);

/* Scans one line; it must hold exactly one object. The line is borrowed until the next
 * call. On false: err->text is "column N: what", for the caller to prefix. */
NODISCARD bool jsonl_scan(struct jsonl *jsonl, const char *line, size_t byte_count,
                          struct err *err);
jsonl_value jsonl_root(const struct jsonl *jsonl);
jsonl_value jsonl_get(const struct jsonl *jsonl, jsonl_value object, const char *key);
enum jsonl_kind jsonl_kind(const struct jsonl *jsonl, jsonl_value value);
/* Children of an object (keys) or array. */
size_t jsonl_count(const struct jsonl *jsonl, jsonl_value value);
/* First child of an array or object (for objects the key), then next sibling
 * (for objects: of the key). JSONL_NONE at the end. O(1) amortised. */
jsonl_value jsonl_first(const struct jsonl *jsonl, jsonl_value parent);
jsonl_value jsonl_next(const struct jsonl *jsonl, jsonl_value child);
/* The value that belongs to a key. */
jsonl_value jsonl_of_key(const struct jsonl *jsonl, jsonl_value key);
/* False when it is not an integer (see above) or out of range. */
bool jsonl_i64(const struct jsonl *jsonl, jsonl_value value, int64_t *out);
bool jsonl_f64(const struct jsonl *jsonl, jsonl_value value, double *out);
/* Raw bytes of the value (strings without quotes, escapes as written). */
void jsonl_bytes(const struct jsonl *jsonl, jsonl_value value, const char **bytes,
                 size_t *byte_count);
/* 1-based column of a value on its line. */
size_t jsonl_column(const struct jsonl *jsonl, jsonl_value value);

#endif
