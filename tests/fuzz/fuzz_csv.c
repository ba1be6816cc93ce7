/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are rows or errors, and after an error the next row is read afresh.
 */
#include "base/check.h"
#include "base/csv.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ROWS_MAX = 100000 };
    struct lines *lines = NULL;
    struct err err = {ERR_NONE, ""};
    if (!lines_open(&lines, fuzz_file(data, size), 65536, &err)) {
        return 0;
    }
    struct csv *csv = csv_new(lines);
    uint64_t number = 0;
    for (int row = 0; row < ROWS_MAX; row++) {
        const char *const *fields = NULL;
        size_t count = 0;
        const enum lines_result result = csv_next(csv, &fields, &count, &err);
        if (result == LINES_END || lines_number(lines) == number) {
            break;
        }
        number = lines_number(lines);
        for (size_t i = 0; result == LINES_LINE && i < count; i++) {
            CHECK(strlen(fields[i]) <= 65536, "a field longer than its line");
        }
    }
    csv_delete(csv);
    lines_close(lines);
    return 0;
}
