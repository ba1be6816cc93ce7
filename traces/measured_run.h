/* SPDX-License-Identifier: Apache-2.0
 *
 * measured_run.h: what a real engine measured: one row per request, one per second.
 *
 * Requests: JSONL as vLLM's own statistics give it (docs/validation.md): `input_toks`,
 * `output_toks`, `queued_ts`, `scheduled_ts`, `first_token_ts`, `last_token_ts` in
 * seconds of the engine's clock, `arrival_time` in seconds of the front end's clock.
 * The two clocks differ by a constant.
 */
#ifndef STACKSIM_TRACES_MEASURED_RUN_H
#define STACKSIM_TRACES_MEASURED_RUN_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { MEASURED_ROWS_MAX = 1 << 24 };

struct measured_request {
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    int64_t arrival_ns;   /* front end's clock; INT64_MIN: not recorded */
    int64_t queued_ns;    /* engine's clock, as all that follow */
    int64_t scheduled_ns; /* INT64_MIN: not recorded */
    int64_t first_token_ns;
    int64_t last_token_ns;
};

struct measured_run {
    struct measured_request *requests; /* in order of the file */
    size_t count;
};

/* Fails with file:line on a broken line, a missing key, times out of order. Plain, gzip
 * or zstd. */
NODISCARD bool measured_run_load(struct measured_run *out, const char *path,
                                 struct err *err);
void measured_run_fini(struct measured_run *run);

/* Front end's clock to engine's clock: the least wait of any request, as nothing is
 * queued before it arrived. False when no arrival was recorded. */
bool measured_run_clock_offset(const struct measured_run *run, int64_t *offset_ns);

/* One window of the time series; its end is t. */
struct measured_window {
    double t_s;
    double running;
    double waiting;
    double kv_used_pct; /* NaN: not recorded */
};

struct measured_series {
    struct measured_window *windows; /* ascending in time */
    size_t count;
    bool has_kv; /* some window says more than 0 */
};

/* CSV with the columns t, running, waiting and, if recorded, kv_cache_pct. */
NODISCARD bool measured_series_load(struct measured_series *out, const char *path,
                                    struct err *err);
void measured_series_fini(struct measured_series *series);

#endif
