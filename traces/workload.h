/* SPDX-License-Identifier: Apache-2.0
 *
 * workload.h: the next request in time order, from a file or a generator.
 *
 * A workload streams: it lends one record at a time in order of arrival_ns (ties: id)
 * and keeps in memory only what later records need. The one exception is a file that is
 * not sorted by arrival: it is read whole, sorted stably and a note says so.
 */
#ifndef STACKSIM_TRACES_WORKLOAD_H
#define STACKSIM_TRACES_WORKLOAD_H

#include "base/conf.h"
#include "base/err.h"
#include "traces/record.h"

struct workload;

enum workload_result { WORKLOAD_RECORD, WORKLOAD_END, WORKLOAD_ERROR };

/* What to do with a row that breaks its format. */
enum trace_on_error { TRACE_FAIL, TRACE_SKIP, TRACE_CLAMP };

#define TRACE_TICK_KEEP INT64_C(-1) /* tick_ns: arrivals exactly as recorded */

/* How to read a file. Zero is the default of every field. */
struct trace_options {
    const char *format; /* name in traces/registry.def; NULL = detect by content */
    enum trace_on_error on_error; /* TRACE_CLAMP mends lengths and times that are out of
                                     range and skips what it cannot mend */
    uint32_t block_tokens; /* tokens per recorded block id; 0 = what the row or the
                              format says */
    int64_t time_unit_ns;  /* of the arrival column; 0 = what the format says */
    int64_t tick_ns;    /* > 0: spread arrivals by U(0, tick), turns of a session stay
                           in order; 0: the same where the file's clock is coarse
                           (Mooncake: 3 s); TRACE_TICK_KEEP: as recorded */
    uint64_t seed;      /* for tick spreading */
    double rate_factor; /* 0 or 1 = as recorded; 2 = arrivals twice as fast */
    uint64_t limit;     /* stop after this many records; 0 = all */
};

/* What was met while reading; zeros for generators. */
struct trace_counts {
    uint64_t rows;         /* that became records */
    uint64_t skipped;      /* broken, left out */
    uint64_t clamped;      /* values mended */
    uint64_t unknown_keys; /* distinct names of columns or keys that nobody reads */
    uint64_t ids_ceil;     /* rows whose id count is ceil(prompt / block) */
    uint64_t ids_floor;    /* rows whose id count is floor(prompt / block), not ceil */
    uint64_t ids_neither;
    uint64_t estimated_arrivals; /* of dependants whose time was not recorded */
};

/* Opens a file ("-" = stdin). */
NODISCARD bool workload_open_trace(struct workload **out, const char *path,
                                   const struct trace_options *options,
                                   struct err *err);

/* Opens the `workload:` map of a scenario: either `trace: FILE` with the options above
 * (format, on_error, block_tokens, tick, rate_factor, limit), or `generate:` with
 * populations (docs/workloads.md). base_dir: relative paths are tried there first. */
NODISCARD bool workload_open_conf(struct workload **out, const struct conf_node *map,
                                  uint64_t seed, const char *base_dir, struct err *err);

/* Requests that name no adapter get one as `adapters:` of such a map says; without that
 * key they stay as they are. For a workload that was opened by path; once, before its
 * first record is taken. */
NODISCARD bool workload_name_adapters(struct workload *workload,
                                      const struct conf_node *map, uint64_t seed,
                                      struct err *err);

void workload_close(struct workload *workload);

/* Lends the next record until the following call. */
enum workload_result workload_next(struct workload *workload,
                                   const struct trace_record **record, struct err *err);

/* Number of records still to come, 0 when unknown (streams). For progress only. */
uint64_t workload_expected(const struct workload *workload);
/* Part done in [0, 1], by bytes or records; for progress only. */
double workload_progress(const struct workload *workload);

/* Things worth telling a person: rows skipped or clamped, unsorted input, unknown keys,
 * share of rows whose id count fits ceil or floor. One per line; borrowed. */
const char *workload_notes(const struct workload *workload);
/* Where the records come from, for provenance: path and format, or generator. */
const char *workload_origin(const struct workload *workload);
/* The same without the place: what a file of ours says of its own source, else the
 * file's name and format, else the generator. Copying a trace keeps it. */
const char *workload_source(const struct workload *workload);
/* Tokens per recorded block id; 0 when nothing was recorded in blocks. */
uint32_t workload_block_tokens(const struct workload *workload);
/* So far; of the whole file once it is open, where it was scanned (docs/traces.md). */
void workload_counts(const struct workload *workload, struct trace_counts *counts);

#endif
