/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_trace_info.c: `stacksim trace info`: what a trace holds.
 */
#include "base/json.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/trace_args.h"
#include "traces/trace_info.h"

#include <stdio.h>
#include <string.h>

struct trace_info_args {
    struct trace_args trace;
    const char *format;
    uint64_t cache_block_tokens;
};

static const struct opt TRACE_INFO_OPTIONS[] = {
    {"--format", "FORMAT", OPT_STR, offsetof(struct trace_info_args, format), "table",
     "table for people, or json. Example: --format json"},
    {"--cache-block-tokens", "N", OPT_U64,
     offsetof(struct trace_info_args, cache_block_tokens),
     "of the recorded ids, else 16",
     "Tokens per block of the prefix cache whose ideal hit ratio is computed. "
     "Example: --cache-block-tokens 16"},
    TRACE_OPTIONS(trace_info_args),
    TRACE_TICK_OPTION(trace_info_args, "keep"),
    {0},
};

static void print_info(const struct workload *workload, const struct trace_info *info,
                       bool as_json)
{
    if (as_json) {
        struct json *object = trace_info_json(info);
        json_put_str(object, "origin", workload_origin(workload));
        char *bytes = json_print(object, true);
        puts(bytes);
        mem_free(bytes);
        json_delete(object);
        return;
    }
    struct text out = {0};
    text_printf(&out, "%s\n", workload_origin(workload));
    trace_info_text(info, &out);
    fputs(text_str(&out), stdout);
    text_fini(&out);
    say_notes(workload_notes(workload));
}

static int info_of(const struct trace_info_args *args, const char *path, bool as_json)
{
    struct err err = {0};
    struct trace_options options;
    const struct trace_info_options info_options = {
        .block_tokens = (uint32_t)args->cache_block_tokens,
    };
    struct workload *workload = NULL;
    struct trace_info *info = mem_alloc(1, sizeof *info);
    const bool ok = trace_args_apply(&args->trace, &options, &err) &&
                    workload_open_trace(&workload, path, &options, &err) &&
                    trace_info_collect(info, workload, &info_options, &err);
    if (ok) {
        print_info(workload, info, as_json);
    }
    workload_close(workload);
    mem_free(info);
    return ok ? EXIT_DONE : say_error(&err);
}

static int trace_info_run(int argc, char *const *argv)
{
    struct trace_info_args args = {.format = "table"};
    struct command_call call = {0};
    if (!command_parse(&command_trace_info, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    const bool as_json = strcmp(args.format, "json") == 0;
    if (!as_json && strcmp(args.format, "table") != 0) {
        err_set(&err, ERR_USAGE, "option --format: '%s'; use table or json",
                args.format);
        return say_error(&err);
    }
    if (args.cache_block_tokens > 1U << 20) {
        err_set(&err, ERR_USAGE, "option --cache-block-tokens: at most 2^20");
        return say_error(&err);
    }
    return info_of(&args, call.result.positional[0], as_json);
}

const struct command command_trace_info = {
    .options =
        {
            .name = "trace info",
            .usage = "FILE [OPTIONS]",
            .summary = "tell what a trace holds",
            .description =
                "Rows, span, token sums and quantiles, burstiness, distinct prefix "
                "blocks, and the hit\nratio that an unbounded prefix cache and LRU "
                "caches of several sizes would have.\nFILE may be gzip or zstd; '-' is "
                "standard input.\n\n"
                "Examples:\n"
                "  stacksim trace info traffic.jsonl.zst\n"
                "  stacksim trace info traffic.csv --format json",
            .options = TRACE_INFO_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = trace_info_run,
};
