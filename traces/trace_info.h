/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_info.h: what a trace holds: figures of `stacksim trace info`.
 *
 * Open the workload with tick_ns = TRACE_TICK_KEEP to see the file as it was recorded.
 */
#ifndef STACKSIM_TRACES_TRACE_INFO_H
#define STACKSIM_TRACES_TRACE_INFO_H

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "traces/workload.h"

enum { TRACE_INFO_CAPACITIES_MAX = 16, TRACE_INFO_WINDOWS = 4 };

struct trace_info_options {
    uint32_t block_tokens; /* 0: of the recorded ids, else 16 */
    /* Sizes of LRU caches to try, in blocks; NULL: eight from 0.5 to 51 million tokens
     * (1 000 to 100 000 blocks of 512). */
    const uint64_t *capacities;
    size_t capacity_count;
};

/* Of lengths in tokens; quantiles by linear interpolation at rank q (n - 1). */
struct trace_info_lengths {
    uint64_t sum;
    uint32_t max;
    double mean;
    double p10;
    double p50;
    double p90;
    double p99;
};

struct trace_info_lru {
    uint64_t capacity_blocks;
    uint64_t hit_blocks;
};

struct trace_info {
    uint64_t rows;
    int64_t first_arrival_ns;
    int64_t last_arrival_ns;
    struct trace_info_lengths prompt;
    struct trace_info_lengths output;
    double gap_cv;                         /* NaN: too few rows */
    double dispersion[TRACE_INFO_WINDOWS]; /* 1, 10, 60, 300 s; NaN: too short */
    uint64_t segments;
    uint64_t sessions;
    uint64_t session_rows; /* rows that belong to one */
    uint32_t session_turns_max;
    /* An infinite prefix cache, cold at the start. The partial last block counts as a
     * block, as recorded traces give it an id. */
    uint32_t block_tokens;
    uint64_t blocks;
    uint64_t distinct_blocks;
    uint64_t hit_blocks;
    uint64_t hit_tokens;
    uint64_t hit_tokens_full;                /* without partial blocks */
    uint64_t block_contents_of_two_prefixes; /* recorded ids that are not chained */
    size_t lru_count;
    struct trace_info_lru lru[TRACE_INFO_CAPACITIES_MAX];
    struct trace_counts counts;
};

/* Reads all that is left of the workload. */
NODISCARD bool trace_info_collect(struct trace_info *out, struct workload *workload,
                                  const struct trace_info_options *options,
                                  struct err *err);
double trace_info_hit_ratio_blocks(const struct trace_info *info);
double trace_info_hit_ratio_tokens(const struct trace_info *info);

/* Lines of "name  value" for people. */
void trace_info_text(const struct trace_info *info, struct text *out);
/* The caller owns the object. */
struct json *trace_info_json(const struct trace_info *info);

#endif
