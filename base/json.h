/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h: JSON values to build and to read whole (the only user of <cJSON.h>).
 *
 * For configuration, HTTP bodies and reports. Integers of 2^53 and more are written as
 * strings, because most readers would round them. For trace lines see jsonl.h.
 */
#ifndef STACKSIM_BASE_JSON_H
#define STACKSIM_BASE_JSON_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct json; /* a value; owned by its parent once added */

struct json *json_object(void);
struct json *json_array(void);
/* NULL parent is not allowed; NaN and infinity become null. */
void json_put_str(struct json *object, const char *key, const char *value);
void json_put_i64(struct json *object, const char *key, int64_t value);
void json_put_u64(struct json *object, const char *key, uint64_t value);
void json_put_f64(struct json *object, const char *key, double value);
void json_put_bool(struct json *object, const char *key, bool value);
/* Takes the child. */
void json_put(struct json *object, const char *key, struct json *child);
void json_push(struct json *array, struct json *child);
void json_push_f64(struct json *array, double value);
void json_push_str(struct json *array, const char *value);

/* Parses a whole text; name stands for it in messages. Depth at most 64. */
NODISCARD bool json_parse(struct json **out, const char *name, const char *text,
                          size_t byte_count, struct err *err);
void json_delete(struct json *value);

/* Reading: NULL or false when absent or of another type. Borrowed. */
const struct json *json_get(const struct json *object, const char *key);
/* Elements of an array, members of an object, in the text's order; NULL behind the last
 * and for any other type. json_count walks them, too. */
const struct json *json_first(const struct json *array);
const struct json *json_first_member(const struct json *object);
const struct json *json_next(const struct json *value);
const char *json_name(const struct json *member);
size_t json_count(const struct json *value);
bool json_is_null(const struct json *value);
const char *json_str(const struct json *value);
bool json_f64(const struct json *value, double *out);
bool json_i64(const struct json *value, int64_t *out); /* also from a string */
bool json_bool(const struct json *value, bool *out);

/* One line or indented; the caller frees with mem_free. */
char *json_print(const struct json *value, bool indented);

#endif
