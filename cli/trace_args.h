/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_args.h: how a trace file is to be read, as rows of an option table.
 */
#ifndef STACKSIM_CLI_TRACE_ARGS_H
#define STACKSIM_CLI_TRACE_ARGS_H

#include "base/opt.h"

#include <stddef.h>

struct trace_options;

struct trace_args {
    const char *trace_format;
    const char *on_error;
    const char *tick;
    int64_t time_unit_ns;
    uint64_t block_tokens;
    uint64_t limit;
    uint64_t seed;
    double rate_factor;
};

#define TRACE_OFFSET(type, field)                                                      \
    (offsetof(struct type, trace) + offsetof(struct trace_args, field))

/* For a struct with a member `struct trace_args trace`. */
#define TRACE_OPTIONS(type)                                                            \
    {"--trace-format",                                                                 \
     "NAME",                                                                           \
     OPT_STR,                                                                          \
     TRACE_OFFSET(type, trace_format),                                                 \
     "told by content",                                                                \
     "Format of the input: native, mooncake, azure, lengths or llmservingsim. "        \
     "Example: --trace-format azure"},                                                 \
        {"--on-error",                                                                 \
         "WHAT",                                                                       \
         OPT_STR,                                                                      \
         TRACE_OFFSET(type, on_error),                                                 \
         "fail",                                                                       \
         "What to do with a row that breaks the format: fail, skip it, or clamp its "  \
         "values. Example: --on-error skip"},                                          \
        {"--block-tokens",                                                             \
         "N",                                                                          \
         OPT_U64,                                                                      \
         TRACE_OFFSET(type, block_tokens),                                             \
         "what the file or its format says",                                           \
         "Tokens that one recorded block id stands for. Example: --block-tokens 512"}, \
        {"--time-unit",                                                                \
         "TIME",                                                                       \
         OPT_DURATION,                                                                 \
         TRACE_OFFSET(type, time_unit_ns),                                             \
         "what the format says",                                                       \
         "Length of one unit of the arrival column. Example: --time-unit 1ms"},        \
        {"--limit", "N",                                                               \
         OPT_U64,   TRACE_OFFSET(type, limit),                                         \
         "all",     "Stop after this many requests. Example: --limit 1000"},           \
    {                                                                                  \
        "--rate-factor", "X", OPT_F64, TRACE_OFFSET(type, rate_factor), "1",           \
            "Arrivals this many times as fast; think times stay. "                     \
            "Example: --rate-factor 2"                                                 \
    }

/* Ticks of a coarse clock: "keep" or the time over which arrivals are spread. */
#define TRACE_TICK_OPTION(type, standard)                                              \
    {"--tick",                                                                         \
     "TIME|keep",                                                                      \
     OPT_STR,                                                                          \
     TRACE_OFFSET(type, tick),                                                         \
     standard,                                                                         \
     "Spread arrivals evenly over this time, where the recording clock was coarse; "   \
     "keep: as recorded. Example: --tick 3s"},                                         \
    {                                                                                  \
        "--seed", "N", OPT_U64, TRACE_OFFSET(type, seed), "0",                         \
            "Seed of the spreading. Example: --seed 7"                                 \
    }

/* Options as traces/workload.h wants them. tick NULL gives TRACE_TICK_KEEP. */
NODISCARD bool trace_args_apply(const struct trace_args *args,
                                struct trace_options *options, struct err *err);

#endif
