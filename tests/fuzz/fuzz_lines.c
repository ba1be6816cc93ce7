/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are lines, plain or packed, or an error: twice the same, and of plain text
 * no byte is lost.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/lines.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

struct summary {
    uint64_t lines;
    uint64_t hash;
    uint64_t bytes;
    bool failed;
};

static struct summary read_all(const char *path, bool peek)
{
    enum { BYTES_MAX = 4096, LINES_MAX = 100000 };
    struct summary summary = {0};
    struct lines *lines = NULL;
    struct err err = {ERR_NONE, ""};
    if (!lines_open(&lines, path, BYTES_MAX, &err)) {
        summary.failed = true;
        return summary;
    }
    const char *head = NULL;
    size_t head_bytes = 0;
    if (peek && lines_peek(lines, &head, &head_bytes, &err)) {
        CHECK(head_bytes <= 65536, "peek lent %zu bytes", head_bytes);
    }
    char *line = NULL;
    size_t byte_count = 0;
    enum lines_result result = LINES_END;
    /* A packed file can hold lines without end; that is not what is tested here. */
    while (summary.lines < LINES_MAX &&
           (result = lines_next(lines, &line, &byte_count, &err)) == LINES_LINE) {
        CHECK(byte_count <= BYTES_MAX && line[byte_count] == '\0',
              "a line of %zu bytes", byte_count);
        summary.lines++;
        summary.bytes += byte_count;
        summary.hash = hash_pair(summary.hash, hash_xxh64(line, byte_count, 0));
        memset(line, 'x', byte_count);
    }
    summary.failed = result == LINES_ERROR;
    lines_close(lines);
    return summary;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    const struct summary first = read_all(path, false);
    const struct summary second = read_all(path, true);
    /* With a peek an error deep in the file may be met before its first line. */
    CHECK(second.failed || (first.hash == second.hash && first.lines == second.lines),
          "peeking changed the lines");
    return 0;
}
