/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_ttft_cdf.c: how long users wait for the first token.
 */
#include "reports/plot_kind.h"

static bool ttft_ns(const struct request_row *row, int64_t *out)
{
    if (row->status != REQUEST_COMPLETED || row->first_token_ns == RUN_TIME_NONE) {
        return false;
    }
    *out = row->first_token_ns - row->arrival_ns;
    return true;
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    const struct plot_cdf cdf = {"TTFT", ttft_ns, true};
    return plot_cdf_make(&cdf, runs, csv, script);
}

const struct plot_kind plot_ttft_cdf = {
    .name = "ttft_cdf",
    .title = "Time to first token",
    .caption = "Share of requests that had their first token within the time on the "
               "axis. Further left is better. Lines that cross trade the median for "
               "the tail: compare them at the 99 % line.",
    .make = make,
};
