/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_check.c: `stacksim check`: reads a scenario and says what would run.
 */
#include "cli/args.h"
#include "cli/command.h"
#include "cli/say.h"

#include <stdio.h>

struct check_args {
    struct scenario_args scenario;
    const char *policy;
};

static const struct opt CHECK_OPTIONS[] = {
    SCENARIO_OPTIONS(check_args, scenario),
    SCENARIO_HELM_OPTIONS(check_args, scenario),
    {"--policy", "NAME", OPT_STR, offsetof(struct check_args, policy), "the scenario's",
     "Routing policy; 'stacksim policies' lists them. Example: --policy session"},
    {0},
};

static int check_run(int argc, char *const *argv)
{
    struct check_args args = {0};
    struct command_call call = {0};
    if (!command_parse(&command_check, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    struct scenario_storage storage = {0};
    struct runner_setup setup = {.policy = args.policy};
    struct runner *runner = NULL;
    const char *path = NULL;
    if (!scenario_args_given(&args.scenario, &command_check.options, &call.result,
                             &path, &err) ||
        !scenario_args_apply(&args.scenario, path, &storage, &setup, &err) ||
        !runner_new(&runner, &setup, &err)) {
        scenario_storage_fini(&storage);
        return say_error(&err);
    }
    struct text out = {0};
    say_notes(text_str(&storage.notes));
    runner_describe_scenario(runner, &out);
    fputs(text_str(&out), stdout);
    text_fini(&out);
    runner_delete(runner);
    scenario_storage_fini(&storage);
    return EXIT_DONE;
}

const struct command command_check = {
    .options =
        {
            .name = "check",
            .usage = "SCENARIO|--helm VALUES.yaml [OPTIONS]",
            .summary = "read a scenario and say what would run",
            .description =
                "Finds every error that a run would find before its first request: "
                "unknown keys,\nvalues out of range, a model that does not fit its "
                "GPU. Prints the engines with\ntheir KV blocks, the routing and the "
                "workload.\n\n"
                "Examples:\n"
                "  stacksim check demo\n"
                "  stacksim check fleet.yaml --set cluster.pools.0.replicas=16",
            .options = CHECK_OPTIONS,
            .positional_min = 0,
            .positional_max = 1,
        },
    .run = check_run,
};
