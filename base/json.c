/* SPDX-License-Identifier: Apache-2.0
 *
 * json.c: struct json is a cJSON by another name. cJSON descends by recursion up to
 * 1000 levels; a scan of the brackets refuses deep texts before it starts.
 */
#include "base/json.h"

#include "base/check.h"
#include "base/mem.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };
#define EXACT_MAX (INT64_C(1) << 53)

static struct json *wrap(cJSON *item)
{
    CHECK(item != NULL, "out of memory for JSON");
    return (struct json *)item;
}

static cJSON *inside(struct json *value)
{
    return (cJSON *)value;
}

static const cJSON *inside_const(const struct json *value)
{
    return (const cJSON *)value;
}

struct json *json_object(void)
{
    return wrap(cJSON_CreateObject());
}

struct json *json_array(void)
{
    return wrap(cJSON_CreateArray());
}

void json_put(struct json *object, const char *key, struct json *child)
{
    CHECK(cJSON_AddItemToObject(inside(object), key, inside(child)),
          "\"%s\" cannot be put into this JSON value", key);
}

void json_push(struct json *array, struct json *child)
{
    CHECK(cJSON_AddItemToArray(inside(array), inside(child)),
          "an item cannot be pushed onto this JSON value");
}

/* cJSON prints 15 digits when the result is within a part in 10^16 or so; a number that
 * needs more goes in as the text that reads back to the same bits. */
static struct json *number(double value)
{
    char digits[32];
    if (!isfinite(value)) {
        return wrap(cJSON_CreateNull());
    }
    (void)snprintf(digits, sizeof digits, "%.15g", value);
    if (strtod(digits, NULL) == value) {
        return wrap(cJSON_CreateNumber(value));
    }
    (void)snprintf(digits, sizeof digits, "%.17g", value);
    return wrap(cJSON_CreateRaw(digits));
}

void json_put_str(struct json *object, const char *key, const char *value)
{
    json_put(object, key, wrap(cJSON_CreateString(value)));
}

void json_put_i64(struct json *object, const char *key, int64_t value)
{
    if (value > -EXACT_MAX && value < EXACT_MAX) {
        json_put(object, key, number((double)value));
        return;
    }
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRId64, value);
    json_put_str(object, key, digits);
}

void json_put_u64(struct json *object, const char *key, uint64_t value)
{
    if (value <= INT64_MAX) {
        json_put_i64(object, key, (int64_t)value);
        return;
    }
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    json_put_str(object, key, digits);
}

void json_put_f64(struct json *object, const char *key, double value)
{
    json_put(object, key, number(value));
}

void json_put_bool(struct json *object, const char *key, bool value)
{
    json_put(object, key, wrap(cJSON_CreateBool(value ? 1 : 0)));
}

void json_push_f64(struct json *array, double value)
{
    json_push(array, number(value));
}

void json_push_str(struct json *array, const char *value)
{
    json_push(array, wrap(cJSON_CreateString(value)));
}

/* --- parsing -------------------------------------------------------------------- */

struct position {
    const char *name;
    const char *text;
    size_t at;
};

static bool fail_at(const struct position *position, struct err *err, const char *what)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < position->at; i++) {
        column++;
        if (position->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return err_set(err, ERR_INPUT, "%s:%zu: column %zu: %s", position->name, line,
                   column, what);
}

/* Index of the bracket that goes too deep, or byte_count. */
static size_t too_deep(const char *text, size_t byte_count)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < byte_count; i++) {
        if (in_string) {
            in_string = text[i] != '"';
            i += text[i] == '\\' ? 1 : 0; /* whatever was escaped */
            continue;
        }
        in_string = text[i] == '"';
        if (text[i] == '[' || text[i] == '{') {
            depth++;
        } else if ((text[i] == ']' || text[i] == '}') && depth > 0) {
            depth--;
        }
        if (depth > DEPTH_MAX) {
            return i;
        }
    }
    return byte_count;
}

bool json_parse(struct json **out, const char *name, const char *text,
                size_t byte_count, struct err *err)
{
    struct position position = {name, text, too_deep(text, byte_count)};
    if (position.at < byte_count) {
        return fail_at(&position, err, "nested deeper than 64 levels");
    }
    const char *end = text;
    cJSON *item = cJSON_ParseWithLengthOpts(text, byte_count, &end, 0);
    position.at = (size_t)(end - text);
    if (item == NULL) {
        return fail_at(&position, err, "not JSON");
    }
    while (position.at < byte_count && strchr(" \t\r\n", text[position.at]) != NULL &&
           text[position.at] != '\0') {
        position.at++;
    }
    if (position.at < byte_count) {
        cJSON_Delete(item);
        return fail_at(&position, err, "more text after the JSON value");
    }
    *out = wrap(item);
    return true;
}

void json_delete(struct json *value)
{
    cJSON_Delete(inside(value));
}

/* --- reading -------------------------------------------------------------------- */

const struct json *json_get(const struct json *object, const char *key)
{
    return (const struct json *)cJSON_GetObjectItemCaseSensitive(inside_const(object),
                                                                 key);
}

const struct json *json_first(const struct json *array)
{
    return cJSON_IsArray(inside_const(array))
               ? (const struct json *)inside_const(array)->child
               : NULL;
}

const struct json *json_first_member(const struct json *object)
{
    return cJSON_IsObject(inside_const(object))
               ? (const struct json *)inside_const(object)->child
               : NULL;
}

const struct json *json_next(const struct json *value)
{
    return (const struct json *)inside_const(value)->next;
}

const char *json_name(const struct json *member)
{
    return inside_const(member)->string;
}

bool json_is_null(const struct json *value)
{
    return value != NULL && cJSON_IsNull(inside_const(value));
}

size_t json_count(const struct json *value)
{
    return value != NULL ? (size_t)cJSON_GetArraySize(inside_const(value)) : 0;
}

const char *json_str(const struct json *value)
{
    return cJSON_IsString(inside_const(value)) ? inside_const(value)->valuestring
                                               : NULL;
}

bool json_f64(const struct json *value, double *out)
{
    if (cJSON_IsRaw(inside_const(value)) && inside_const(value)->valuestring != NULL) {
        *out = strtod(inside_const(value)->valuestring, NULL);
        return true;
    }
    if (!cJSON_IsNumber(inside_const(value))) {
        return false;
    }
    *out = inside_const(value)->valuedouble;
    return true;
}

static bool i64_of_text(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == ' ' || text[0] == '+') {
        return false;
    }
    *out = parsed;
    return true;
}

bool json_i64(const struct json *value, int64_t *out)
{
    double number_value = 0;
    const char *text = json_str(value);
    if (text != NULL) {
        return i64_of_text(text, out);
    }
    if (!json_f64(value, &number_value)) {
        return false;
    }
    /* From 2^53 on a double no longer tells neighbours apart. */
    const double most = (double)EXACT_MAX;
    if (!(number_value > -most && number_value < most) ||
        trunc(number_value) != number_value) {
        return false;
    }
    *out = (int64_t)number_value;
    return true;
}

bool json_bool(const struct json *value, bool *out)
{
    if (!cJSON_IsBool(inside_const(value))) {
        return false;
    }
    *out = cJSON_IsTrue(inside_const(value)) != 0;
    return true;
}

char *json_print(const struct json *value, bool indented)
{
    char *printed = indented ? cJSON_Print(inside_const(value))
                             : cJSON_PrintUnformatted(inside_const(value));
    CHECK(printed != NULL, "out of memory for JSON");
    return printed;
}
