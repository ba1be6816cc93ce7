/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_args.c: from arguments to trace_options.
 */
#include "cli/trace_args.h"

#include "base/unit.h"
#include "traces/workload.h"

#include <string.h>

static bool on_error_of(const char *word, enum trace_on_error *out, struct err *err)
{
    static const char *const words[] = {
        [TRACE_FAIL] = "fail", [TRACE_SKIP] = "skip", [TRACE_CLAMP] = "clamp"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (enum trace_on_error)i;
            return true;
        }
    }
    return err_set(err, ERR_USAGE, "option --on-error: '%s'; use fail, skip or clamp",
                   word);
}

static bool tick_of(const char *word, int64_t *out, struct err *err)
{
    struct err why = {0};
    if (word == NULL || strcmp(word, "keep") == 0) {
        *out = TRACE_TICK_KEEP;
        return true;
    }
    if (!unit_duration_ns(word, out, &why)) {
        return err_set(err, ERR_USAGE, "option --tick: %s; or 'keep'", why.text);
    }
    *out = *out == 0 ? TRACE_TICK_KEEP : *out;
    return true;
}

bool trace_args_apply(const struct trace_args *args, struct trace_options *options,
                      struct err *err)
{
    *options = (struct trace_options){
        .format = args->trace_format,
        .time_unit_ns = args->time_unit_ns,
        .seed = args->seed,
        .rate_factor = args->rate_factor,
        .limit = args->limit,
    };
    if (args->block_tokens > UINT32_MAX) {
        return err_set(err, ERR_USAGE, "option --block-tokens: at most 2^20");
    }
    options->block_tokens = (uint32_t)args->block_tokens;
    return (args->on_error == NULL ||
            on_error_of(args->on_error, &options->on_error, err)) &&
           tick_of(args->tick, &options->tick_ns, err);
}
