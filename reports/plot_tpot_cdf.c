/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_tpot_cdf.c: how fast text flows once it has begun.
 */
#include "reports/plot_kind.h"

static bool tpot_ns(const struct request_row *row, int64_t *out)
{
    if (row->status != REQUEST_COMPLETED || row->first_token_ns == RUN_TIME_NONE ||
        row->output_tokens < 2) {
        return false;
    }
    *out = (row->end_ns - row->first_token_ns) / ((int64_t)row->output_tokens - 1);
    return true;
}

static bool make(const struct plot_runs *runs, struct text *csv,
                 struct plot_script *script)
{
    const struct plot_cdf cdf = {"TPOT", tpot_ns, false};
    return plot_cdf_make(&cdf, runs, csv, script);
}

const struct plot_kind plot_tpot_cdf = {
    .name = "tpot_cdf",
    .title = "Time per output token",
    .caption =
        "Share of requests whose mean gap between tokens was within the time on "
        "the axis. Further left is better. A long tail means that decodes shared "
        "their steps with prefills, or were preempted.",
    .make = make,
};
