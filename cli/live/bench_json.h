/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_json.h: a replay as the result file of `vllm bench serve --save-result
 * --save-detailed` (spec/vllm-engine.md 8.5, 8.7), for tools that read those.
 */
#ifndef STACKSIM_CLI_LIVE_BENCH_JSON_H
#define STACKSIM_CLI_LIVE_BENCH_JSON_H

#include "base/text.h"
#include "reports/run.h"

#include <stdint.h>

struct bench_facts {
    const char *backend; /* "openai" or "openai-chat" */
    const char *model;
    const char *date;       /* as started_utc of a run */
    const int64_t *gaps_ns; /* of all streams, for ITL */
    size_t gap_count;
};
/* Failed requests are in no statistic but `failed`; a rate is that of the requests
 * sent. Per-request lists of gaps (itls) and texts are not written. */
void bench_json_write(const struct bench_facts *facts, const struct run_record *run,
                      struct text *out);

#endif
