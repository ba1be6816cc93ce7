/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_helm_scenario.c: `stacksim helm scenario`: the scenario that values come to.
 */
#include "base/outfile.h"
#include "cli/command.h"
#include "cli/helm/options.h"
#include "cli/paths.h"
#include "cli/say.h"

#include <stdio.h>

struct helm_scenario_args {
    struct helm_args helm;
    const char *config_dir;
    const char *trace;
    const char *out;
};

static const struct opt HELM_SCENARIO_OPTIONS[] = {
    HELM_OPTIONS(offsetof(struct helm_scenario_args, helm)),
    HELM_MODEL_OPTION(offsetof(struct helm_scenario_args, helm)),
    {"--trace", "FILE", OPT_STR, offsetof(struct helm_scenario_args, trace),
     "1,000 requests of chat",
     "The trace that the scenario replays. Example: --trace traffic.jsonl.zst"},
    {"--out", "FILE.yaml", OPT_STR, offsetof(struct helm_scenario_args, out),
     "standard output", "Where the scenario goes. Example: --out fleet.yaml"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct helm_scenario_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/ and models/. Example: --config-dir ./my-configs"},
    {0},
};

static bool scenario_write(const struct helm_scenario_args *args, struct helm *helm,
                           struct outfile *file, struct err *err)
{
    struct text out = {0};
    const bool good = helm_scenario(helm, &args->helm, args->trace, &out, err);
    if (good) {
        fputs(text_str(&out), outfile_stream(file));
    }
    text_fini(&out);
    return good;
}

static bool execute(const struct helm_scenario_args *args, struct err *err)
{
    struct helm *helm = NULL;
    struct outfile *file = NULL;
    const struct path_use uses[] = {{"VALUES.yaml", args->helm.values, false},
                                    {"--nodes", args->helm.nodes, false},
                                    {"--trace", args->trace, false},
                                    {"--out", args->out, true}};
    if (!paths_check(uses, sizeof uses / sizeof uses[0], err) ||
        !outfile_open(&file, args->out != NULL ? args->out : "-", err)) {
        return false;
    }
    if (!helm_open(&helm, &args->helm, args->config_dir, err) ||
        !scenario_write(args, helm, file, err)) {
        outfile_abort(file);
        helm_close(helm);
        return false;
    }
    helm_close(helm);
    if (!outfile_commit(file, err)) {
        return false;
    }
    if (args->out != NULL) {
        say_wrote(args->out);
    }
    return true;
}

static int helm_scenario_run(int argc, char *const *argv)
{
    struct helm_scenario_args args = {0};
    struct command_call call = {0};
    struct err err = {0};
    if (!command_parse(&command_helm_scenario, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    args.helm.values = call.result.positional[0];
    return execute(&args, &err) ? EXIT_DONE : say_error(&err);
}

const struct command command_helm_scenario = {
    .options =
        {
            .name = "helm scenario",
            .usage = "VALUES.yaml [OPTIONS]",
            .summary = "write the scenario that chart values come to",
            .description =
                "The scenario is what 'stacksim run --helm VALUES.yaml' runs; its head "
                "says, as\ncomments, what was assumed. Equal workloads give equal "
                "digests.\n\n"
                "Examples:\n"
                "  stacksim helm scenario values.yaml --gpu h100_sxm --out fleet.yaml\n"
                "  stacksim helm scenario values.yaml --nodes nodes.yaml --trace t.csv",
            .options = HELM_SCENARIO_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = helm_scenario_run,
};
