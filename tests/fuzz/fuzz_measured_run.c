/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are measured requests, a time series or an error with a text; what was
 * accepted can be true.
 */
#include "base/check.h"
#include "tests/fuzz/fuzz.h"
#include "traces/measured_run.h"

static void check_requests(const char *path)
{
    struct measured_run run;
    struct err err = {ERR_NONE, ""};
    int64_t offset_ns = 0;
    if (!measured_run_load(&run, path, &err)) {
        CHECK(err.text[0] != '\0', "an error without a text");
        return;
    }
    CHECK(run.count > 0, "no requests");
    for (size_t i = 0; i < run.count; i++) {
        const struct measured_request *at = &run.requests[i];
        CHECK(at->prompt_tokens > 0 && at->output_tokens > 0, "no tokens");
        CHECK(at->queued_ns >= 0 && at->queued_ns < at->first_token_ns &&
                  at->first_token_ns <= at->last_token_ns,
              "times out of order");
    }
    (void)measured_run_clock_offset(&run, &offset_ns);
    measured_run_fini(&run);
}

static void check_series(const char *path)
{
    struct measured_series series;
    struct err err = {ERR_NONE, ""};
    if (!measured_series_load(&series, path, &err)) {
        CHECK(err.text[0] != '\0', "an error without a text");
        return;
    }
    for (size_t i = 1; i < series.count; i++) {
        CHECK(series.windows[i].t_s > series.windows[i - 1].t_s, "time goes back");
    }
    measured_series_fini(&series);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    check_requests(path);
    check_series(path);
    return 0;
}
