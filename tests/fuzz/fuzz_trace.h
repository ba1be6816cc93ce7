/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_trace.h: any bytes as a trace of one format: rows in order whose prompts add up,
 * or an error with the file's name.
 */
#ifndef STACKSIM_TESTS_FUZZ_FUZZ_TRACE_H
#define STACKSIM_TESTS_FUZZ_FUZZ_TRACE_H

#include "base/check.h"
#include "tests/fuzz/fuzz.h"
#include "traces/workload.h"

#include <string.h>

static inline void fuzz_trace_row(const struct trace_record *record, int64_t last_ns)
{
    CHECK(record->arrival_ns >= last_ns, "arrival %lld after %lld",
          (long long)record->arrival_ns, (long long)last_ns);
    CHECK(record->prompt_tokens >= 1 && record->output_tokens >= 1, "no tokens");
    CHECK(record->segment_count >= 1, "no segments");
    CHECK(segment_tokens(record->segments, record->segment_count) ==
              record->prompt_tokens,
          "segments do not add up to %u", record->prompt_tokens);
    for (uint32_t i = 0; i < record->segment_count; i++) {
        CHECK(record->segments[i].tokens > 0, "an empty segment");
    }
    CHECK(record->parent_count <= TRACE_PARENTS_MAX, "%u parents",
          record->parent_count);
}

static inline int fuzz_trace(const char *format, const uint8_t *data, size_t size)
{
    struct trace_options options = {.format = format, .seed = size};
    const char *const path = fuzz_file(data, size);
    options.on_error =
        size > 0 ? (enum trace_on_error)(data[size - 1] % 3) : TRACE_FAIL;
    options.tick_ns = size > 1 && data[size / 2] % 4 == 0 ? 1000000 : 0;
    struct workload *workload = NULL;
    struct err err = {ERR_NONE, ""};
    if (!workload_open_trace(&workload, path, &options, &err)) {
        CHECK(strstr(err.text, path) != NULL, "no file name in '%s'", err.text);
        return 0;
    }
    const struct trace_record *record = NULL;
    int64_t last_ns = 0;
    enum workload_result result = WORKLOAD_END;
    while ((result = workload_next(workload, &record, &err)) == WORKLOAD_RECORD) {
        fuzz_trace_row(record, last_ns);
        last_ns = record->arrival_ns;
    }
    CHECK(result == WORKLOAD_END || strstr(err.text, path) != NULL,
          "no file name in '%s'", err.text);
    (void)workload_notes(workload);
    workload_close(workload);
    return 0;
}

#endif
