/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_trace_convert.c: `stacksim trace convert`: any trace into the native format.
 */
#include "cli/command.h"
#include "cli/paths.h"
#include "cli/say.h"
#include "cli/trace_args.h"
#include "cli/trace_copy.h"
#include "traces/workload.h"

struct convert_args {
    struct trace_args trace;
    bool quiet;
};

static const struct opt CONVERT_OPTIONS[] = {
    TRACE_OPTIONS(convert_args),
    TRACE_TICK_OPTION(convert_args, "keep"),
    {"--quiet", NULL, OPT_FLAG, offsetof(struct convert_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

static int trace_convert_run(int argc, char *const *argv)
{
    struct convert_args args = {0};
    struct command_call call = {0};
    if (!command_parse(&command_trace_convert, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    struct trace_options options;
    struct workload *workload = NULL;
    const struct path_use uses[] = {{"FROM", call.result.positional[0], false},
                                    {"TO", call.result.positional[1], true}};
    if (!paths_check(uses, 2, &err) || !trace_args_apply(&args.trace, &options, &err) ||
        !workload_open_trace(&workload, call.result.positional[0], &options, &err)) {
        return say_error(&err);
    }
    const int code = trace_copy(workload, call.result.positional[1], args.quiet);
    workload_close(workload);
    return code;
}

const struct command command_trace_convert = {
    .options =
        {
            .name = "trace convert",
            .usage = "FROM TO [OPTIONS]",
            .summary = "write a trace in the native format",
            .description =
                "FROM may be gzip or zstd, '-' is standard input; TO '-' is standard "
                "output.\n\n"
                "Examples:\n"
                "  stacksim trace convert traffic.jsonl.zst traffic.csv\n"
                "  stacksim trace convert log.csv part.csv --limit 1000 "
                "--on-error skip",
            .options = CONVERT_OPTIONS,
            .positional_min = 2,
            .positional_max = 2,
        },
    .run = trace_convert_run,
};
