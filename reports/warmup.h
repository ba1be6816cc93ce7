/* SPDX-License-Identifier: Apache-2.0
 *
 * warmup.h: what a run leaves out of its metrics because engines and caches still fill.
 *
 * A cut is a moment: requests that arrived before it do not count, whenever they ended,
 * so that runs of the same arrivals can leave out the very same requests. Rows are
 * kept.
 */
#ifndef STACKSIM_REPORTS_WARMUP_H
#define STACKSIM_REPORTS_WARMUP_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

struct run_record;
struct run_warmup;

enum warmup_kind {
    WARMUP_NONE,
    WARMUP_AUTO, /* MSER-5 on TTFT and E2E by arrival: the later end of both */
    WARMUP_TIME, /* from the first arrival on */
    WARMUP_REQUESTS,
};

struct warmup_rule {
    enum warmup_kind kind;
    int64_t time_ns;
    uint64_t requests;
};

/* "none" (or ""), "auto", "30s", "1000 requests" or "1000requests". */
NODISCARD bool warmup_parse(const char *text, struct warmup_rule *rule,
                            struct err *err);

/* Of a run with rows. Requests that arrived at the moment of the cut count. */
void warmup_find(const struct run_record *run, const struct warmup_rule *rule,
                 struct run_warmup *out);

/* Runs of the same arrivals leave out the same requests: those that any of them would.
 * Computes the metrics of those that would have left out less anew; runs without rows
 * stay as they are. */
void warmup_align(struct run_record *const *runs, size_t count);

/* "none cut", "first 1230 requests (41.0 s), by MSER-5"... of what the metrics rest on.
 */
void warmup_describe(const struct run_record *run, struct text *out);

/* The same of several runs, as a line: "Warm-up: none cut.\n" */
void warmup_describe_all(const struct run_record *const *runs, size_t count,
                         struct text *out);

/* Whether a run of which nothing was cut has a warm-up that its figures show: a line
 * for people, or nothing. Sorts the rows by arrival: O(n log n). */
void warmup_advise(const struct run_record *run, struct text *out);

#endif
