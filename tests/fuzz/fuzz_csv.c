/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are rows or errors, and after an error the next row is read afresh.
 */
#include "base/check.h"
#include "base/csv.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* False at the end, or when an error does not move on. */
static bool read_row(struct csv *csv, const struct lines *lines)
{
    const uint64_t before = lines_number(lines);
    const char *const *fields = NULL;
    size_t count = 0;
    struct err err = {ERR_NONE, ""};
    const enum lines_result result = csv_next(csv, &fields, &count, &err);
    size_t longest = 0;
    for (size_t i = 0; result == LINES_LINE && i < count; i++) {
        const size_t length = strlen(fields[i]);
        longest = length > longest ? length : longest;
    }
    CHECK(longest <= 65536, "a field of %zu bytes is longer than its line", longest);
    return result != LINES_END && lines_number(lines) > before;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines *lines = NULL;
    struct err err = {ERR_NONE, ""};
    if (!lines_open(&lines, fuzz_file(data, size), 65536, &err)) {
        return 0;
    }
    enum { ROWS_MAX = 100000 };
    struct csv *csv = csv_new(lines);
    for (int row = 0; row < ROWS_MAX && read_row(csv, lines); row++) {
    }
    csv_delete(csv);
    lines_close(lines);
    return 0;
}
