/* SPDX-License-Identifier: Apache-2.0
 *
 * requests_csv.c: one line per request, to see which ones differ. Both sides count from
 * the first queued request of their own clock.
 */
#include "cli/validate/print.h"

#include <inttypes.h>

static double ms_since(int64_t time_ns, int64_t start_ns)
{
    return (double)(time_ns - start_ns) / 1e6;
}

void validation_write_requests(const struct validation *validation, FILE *file)
{
    const struct measured_run *measured = &validation->run->measured;
    const struct simulated *simulated = validation->simulated;
    int64_t start_measured_ns = INT64_MAX;
    int64_t start_simulated_ns = INT64_MAX;
    for (size_t i = 0; i < measured->count; i++) {
        const int64_t real_ns = measured->requests[i].queued_ns;
        const int64_t ours_ns = simulated->outcomes[i].queued_ns;
        start_measured_ns = real_ns < start_measured_ns ? real_ns : start_measured_ns;
        start_simulated_ns =
            ours_ns < start_simulated_ns ? ours_ns : start_simulated_ns;
    }
    fputs("request,prompt_tokens,output_tokens,cached_tokens,preemptions,"
          "queued_measured_ms,queued_simulated_ms,first_token_measured_ms,"
          "first_token_simulated_ms,last_token_measured_ms,last_token_simulated_ms\n",
          file);
    for (size_t i = 0; i < measured->count; i++) {
        const struct measured_request *real = &measured->requests[i];
        const struct request_outcome *ours = &simulated->outcomes[i];
        fprintf(file, "%zu,%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32, i,
                real->prompt_tokens, real->output_tokens, ours->cached_tokens,
                ours->preemptions);
        fprintf(file, ",%.6f,%.6f,%.6f,%.6f,%.6f,%.6f\n",
                ms_since(real->queued_ns, start_measured_ns),
                ms_since(ours->queued_ns, start_simulated_ns),
                ms_since(real->first_token_ns, start_measured_ns),
                ms_since(ours->first_token_ns, start_simulated_ns),
                ms_since(real->last_token_ns, start_measured_ns),
                ms_since(ours->end_ns, start_simulated_ns));
    }
}
