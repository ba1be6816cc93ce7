/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_help.c: `stacksim help`, and the reference docs/cli.md made from the same tables.
 */
#include "cli/command.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

struct help_args {
    bool markdown;
};

static const struct opt HELP_OPTIONS[] = {
    {"--markdown", NULL, OPT_FLAG, offsetof(struct help_args, markdown), "off",
     "Print the reference of all commands as Markdown (docs/cli.md). "
     "Example: stacksim help --markdown > docs/cli.md"},
    {0},
};

static void print_markdown(void)
{
    struct text out = {0};
    text_add(&out, "# Command line reference\n\n"
                   "Made from the option tables by `stacksim help --markdown`; do not "
                   "edit. A test\nfails when it is not current.\n\n```\n");
    command_overview(&out);
    text_add(&out, "```\n");
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        text_printf(&out, "\n## stacksim %s\n\n```\n", command->options.name);
        opt_help(&command->options, PROGRAM_NAME, &out);
        text_add(&out, "```\n");
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
}

/* Help of every command whose name starts with the words; false when there is none. */
static bool print_group(const char *name)
{
    struct text out = {0};
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        const char *full = command->options.name;
        const size_t length = strlen(name);
        if (strncmp(full, name, length) == 0 &&
            (full[length] == '\0' || full[length] == ' ')) {
            text_add(&out, out.length > 0 ? "\n" : "");
            opt_help(&command->options, PROGRAM_NAME, &out);
        }
    }
    const bool found = out.length > 0;
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return found;
}

static int help_run(int argc, char *const *argv)
{
    struct help_args args = {0};
    struct command_call call = {0};
    if (!command_parse(&command_help, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    if (args.markdown) {
        print_markdown();
        return EXIT_DONE;
    }
    struct text name = {0};
    if (call.result.positional_count == 0) {
        command_overview(&name);
        fputs(text_str(&name), stdout);
        text_fini(&name);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < call.result.positional_count; i++) {
        text_printf(&name, "%s%s", i == 0 ? "" : " ", call.result.positional[i]);
    }
    const int code =
        print_group(text_str(&name)) ? EXIT_DONE : command_unknown("", text_str(&name));
    text_fini(&name);
    return code;
}

const struct command command_help = {
    .options =
        {
            .name = "help",
            .usage = "[COMMAND] [--markdown]",
            .summary = "tell what a command does and its options",
            .description = "Examples:\n"
                           "  stacksim help\n"
                           "  stacksim help compare\n"
                           "  stacksim help trace",
            .options = HELP_OPTIONS,
            .positional_min = 0,
            .positional_max = 2,
        },
    .run = help_run,
};
