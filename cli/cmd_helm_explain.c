/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_helm_explain.c: `stacksim helm explain`: what values of the Production Stack's
 * chart, or its custom resources, will run, and what in them does not do what it seems
 * to.
 */
#include "cli/command.h"
#include "cli/helm/explain.h"
#include "cli/helm/options.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

struct helm_explain_args {
    struct helm_args helm;
    const char *config_dir;
    const char *format;
    bool strict;
};

static const struct opt HELM_EXPLAIN_OPTIONS[] = {
    HELM_OPTIONS(offsetof(struct helm_explain_args, helm)),
    {"--format", "FORMAT", OPT_STR, offsetof(struct helm_explain_args, format), "text",
     "Form of the output: text or json. Example: --format json"},
    {"--strict", NULL, OPT_FLAG, offsetof(struct helm_explain_args, strict), "off",
     "Exit with 3 when a trap was found, for use in a pipeline. Example: --strict"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct helm_explain_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/ and models/. Example: --config-dir ./my-configs"},
    {0},
};

static bool has_traps(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (findings->items[i].level == FINDING_TRAP) {
            return true;
        }
    }
    return false;
}

static int helm_explain_run(int argc, char *const *argv)
{
    struct helm_explain_args args = {.format = "text"};
    struct command_call call = {0};
    struct err err = {0};
    if (!command_parse(&command_helm_explain, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    const bool json = strcmp(args.format, "json") == 0;
    if (!json && strcmp(args.format, "text") != 0) {
        (void)err_set(&err, ERR_USAGE, "--format: '%s' is neither text nor json",
                      args.format);
        return say_error(&err);
    }
    struct helm *helm = NULL;
    args.helm.values = call.result.positional[0];
    if (!helm_open(&helm, &args.helm, args.config_dir, &err)) {
        return say_error(&err);
    }
    struct text out = {0};
    if (json) {
        helm_explain_json(helm, args.helm.values, &out);
    } else {
        helm_explain_text(helm, args.helm.values, &out);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    const bool trapped = args.strict && has_traps(&helm->stack->findings);
    helm_close(helm);
    if (!say_flush(&err)) {
        return say_error(&err);
    }
    return trapped ? EXIT_MISSED : EXIT_DONE;
}

const struct command command_helm_explain = {
    .options =
        {
            .name = "helm explain",
            .usage = "VALUES.yaml [OPTIONS]",
            .summary = "say what chart values or custom resources will run",
            .description =
                "VALUES.yaml holds values of the vLLM Production Stack's Helm chart, "
                "its custom\nresources, or both as documents of one file. Prints "
                "engines with their flags and\nKV caches, the router's command line, "
                "and every trap with its line and remedy.\n\n"
                "Examples:\n"
                "  stacksim helm explain values.yaml --gpu h100_sxm\n"
                "  stacksim helm explain values.yaml --compat tag --nodes nodes.yaml\n"
                "  stacksim helm explain runtime.yaml --format json --strict",
            .options = HELM_EXPLAIN_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = helm_explain_run,
};
