/* SPDX-License-Identifier: Apache-2.0
 *
 * A line that jsonl accepts is JSON to cJSON too, and every value can be walked to and
 * read. (cJSON is the laxer of the two: the reverse does not hold.)
 */
#include "base/check.h"
#include "base/json.h"
#include "base/jsonl.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_value(const struct jsonl *jsonl, jsonl_value value, size_t byte_count)
{
    const char *bytes = NULL;
    size_t length = 0;
    int64_t i64 = 0;
    double f64 = 0;
    CHECK(value != JSONL_NONE, "a key without a value");
    jsonl_bytes(jsonl, value, &bytes, &length);
    CHECK(length <= byte_count && jsonl_column(jsonl, value) <= byte_count,
          "a value of %zu bytes on a line of %zu", length, byte_count);
    const bool is_i64 = jsonl_i64(jsonl, value, &i64);
    CHECK(!is_i64 || jsonl_f64(jsonl, value, &f64), "an integer that is no number");
}

/* The children of one container, in order. */
static void visit(const struct jsonl *jsonl, jsonl_value container, size_t byte_count)
{
    size_t children = 0;
    const bool is_object = jsonl_kind(jsonl, container) == JSONL_OBJECT;
    for (jsonl_value at = jsonl_first(jsonl, container); at != JSONL_NONE;
         at = jsonl_next(jsonl, at)) {
        check_value(jsonl, is_object ? jsonl_of_key(jsonl, at) : at, byte_count);
        children++;
    }
    CHECK(children == jsonl_count(jsonl, container), "%zu of %zu children", children,
          jsonl_count(jsonl, container));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jsonl *jsonl = jsonl_new(1000);
    struct err err = {ERR_NONE, ""};
    const char *line = (const char *)data;
    if (!jsonl_scan(jsonl, line, size, &err)) {
        CHECK(err.text[0] != '\0', "failed without a reason");
        jsonl_delete(jsonl);
        return 0;
    }
    visit(jsonl, jsonl_root(jsonl), size);
    for (jsonl_value at = jsonl_first(jsonl, 0); at != JSONL_NONE;
         at = jsonl_next(jsonl, at)) {
        visit(jsonl, jsonl_of_key(jsonl, at), size);
    }
    struct json *value = NULL;
    const bool same = json_parse(&value, "line", line, size, &err);
    /* cJSON has ceilings and checks of its own: depth, half surrogates. */
    CHECK(same || strstr(err.text, "deeper") != NULL ||
              memchr(line, '\\', size) != NULL,
          "jsonl accepts what is not JSON: %s", err.text);
    if (same) {
        json_delete(value);
    }
    jsonl_delete(jsonl);
    return 0;
}
