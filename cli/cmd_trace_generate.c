/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_trace_generate.c: `stacksim trace generate`: a generator's requests as a file.
 *
 * The same generator with the same seed feeds a run directly; a file is for other
 * programs, and for samples.
 */
#include "base/conf.h"
#include "cli/command.h"
#include "cli/paths.h"
#include "cli/say.h"
#include "cli/trace_copy.h"
#include "traces/workload.h"

#include <inttypes.h>
#include <stdio.h>

struct generate_args {
    const char *preset;
    struct opt_list sets;
    uint64_t requests;
    uint64_t seed;
    bool quiet;
};

static const struct opt GENERATE_OPTIONS[] = {
    {"--preset", "NAME", OPT_STR, offsetof(struct generate_args, preset), "moon-conv",
     "Chat sessions of a preset instead of a file of populations. "
     "Example: --preset moon-conv"},
    {"--requests", "N", OPT_U64, offsetof(struct generate_args, requests), "1000",
     "Requests of the preset. Example: --requests 3000"},
    {"--seed", "N", OPT_U64, offsetof(struct generate_args, seed), "1",
     "Seed of the generator. Example: --seed 7"},
    {"--set", "KEY=VALUE", OPT_LIST, offsetof(struct generate_args, sets), NULL,
     "Change one key of the file or the preset; may be given several times. "
     "Example: --set generate.requests=500"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct generate_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

static bool load_preset(struct conf **out, const struct generate_args *args,
                        struct err *err)
{
    struct text yaml = {0};
    text_printf(&yaml,
                "generate:\n  program: chat\n  preset: %s\n  requests: %" PRIu64 "\n",
                args->preset, args->requests);
    const bool ok = conf_parse(out, "--preset", text_str(&yaml), yaml.length, err);
    text_fini(&yaml);
    return ok;
}

/* The map with `generate:`: the root of a file of its own, or a scenario's workload. */
static bool open_generator(struct workload **out, struct conf *conf,
                           const struct generate_args *args, struct err *err)
{
    for (size_t i = 0; i < args->sets.count; i++) {
        if (!conf_override(conf, args->sets.items[i], err)) {
            return false;
        }
    }
    const struct conf_node *root = conf_root(conf);
    const struct conf_node *workload = conf_get(root, "workload");
    return workload_open_conf(out, workload == NULL ? root : workload, args->seed, NULL,
                              err);
}

static int generate(const struct generate_args *args, const char *file, const char *to)
{
    struct err err = {0};
    struct conf *conf = NULL;
    struct workload *workload = NULL;
    int code = EXIT_DONE;
    const struct path_use uses[] = {{"FILE", file, false}, {"TO", to, true}};
    if (!paths_check(uses, 2, &err)) {
        return say_error(&err);
    }
    const bool loaded =
        file == NULL ? load_preset(&conf, args, &err) : conf_load(&conf, file, &err);
    if (!loaded || !open_generator(&workload, conf, args, &err)) {
        code = say_error(&err);
    } else {
        code = trace_copy(workload, to, args->quiet);
    }
    workload_close(workload);
    conf_delete(conf);
    return code;
}

static int trace_generate_run(int argc, char *const *argv)
{
    struct generate_args args = {.preset = "moon-conv", .requests = 1000, .seed = 1};
    struct command_call call = {0};
    if (!command_parse(&command_trace_generate, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    const bool of_file = call.result.positional_count == 2;
    return generate(&args, of_file ? call.result.positional[0] : NULL,
                    call.result.positional[of_file ? 1 : 0]);
}

const struct command command_trace_generate = {
    .options =
        {
            .name = "trace generate",
            .usage = "[WORKLOAD.yaml] TO [OPTIONS]",
            .summary = "write generated requests as a trace",
            .description =
                "WORKLOAD.yaml holds 'generate:' with one or more populations "
                "(docs/workloads.md), or is\na scenario with such a workload. TO '-' "
                "is "
                "standard output.\n\n"
                "Examples:\n"
                "  stacksim trace generate chat.csv --preset moon-conv --requests "
                "3000\n"
                "  stacksim trace generate workload.yaml traffic.csv --seed 7",
            .options = GENERATE_OPTIONS,
            .positional_min = 1,
            .positional_max = 2,
        },
    .run = trace_generate_run,
};
