/* SPDX-License-Identifier: Apache-2.0
 *
 * command.c: the table of subcommands and how a command line finds its entry.
 *
 * Group names ("trace") are not entries of their own: they follow from the names of the
 * commands, so that a new member of a group needs no second list.
 */
#include "cli/command.h"

#include "base/nearest.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

static const struct command *const COMMANDS[] = {
#define COMMAND(name) &command_##name,
#include "cli/commands.def"
#undef COMMAND
};

enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

const struct command *command_at(size_t index)
{
    return index < COMMAND_COUNT ? COMMANDS[index] : NULL;
}

/* Number of words of `name` that argv begins with; *whole when that is all of them. */
static int words_matched(const char *name, int argc, char *const *argv, bool *whole)
{
    int words = 0;
    const char *at = name;
    while (*at != '\0' && words < argc) {
        const size_t length = strcspn(at, " ");
        if (strlen(argv[words]) != length || strncmp(at, argv[words], length) != 0) {
            break;
        }
        words++;
        at += length;
        at += strspn(at, " ");
    }
    *whole = *at == '\0';
    return words;
}

const struct command *command_find(int argc, char *const *argv, int *words)
{
    *words = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        bool whole = false;
        const int matched =
            words_matched(COMMANDS[i]->options.name, argc, argv, &whole);
        if (whole) {
            *words = matched;
            return COMMANDS[i];
        }
        *words = matched > *words ? matched : *words;
    }
    return NULL;
}

bool command_parse(const struct command *command, int argc, char *const *argv,
                   void *args, struct command_call *call)
{
    struct err err = {0};
    if (!opt_parse(&command->options, argc, argv, args, &call->result, &err)) {
        call->exit_code = say_error(&err);
        return false;
    }
    if (call->result.help) {
        struct text help = {0};
        opt_help(&command->options, PROGRAM_NAME, &help);
        fputs(text_str(&help), stdout);
        text_fini(&help);
        call->exit_code = EXIT_DONE;
        return false;
    }
    return true;
}

void command_line(const struct command *command, int argc, char *const *argv,
                  struct text *out)
{
    text_printf(out, "%s %s", PROGRAM_NAME, command->options.name);
    for (int i = 0; i < argc; i++) {
        const bool plain =
            argv[i][0] != '\0' &&
            strspn(argv[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_-+=./,:@%") == strlen(argv[i]);
        text_add(out, plain ? " " : " '");
        for (const char *at = argv[i]; *at != '\0'; at++) {
            if (*at == '\'') {
                text_add(out, "'\\''");
            } else {
                text_add_bytes(out, at, 1);
            }
        }
        text_add(out, plain ? "" : "'");
    }
}

/* Names to suggest from: whole names, or last words within a group. */
static size_t names_of_group(const char *group, const char *names[COMMAND_COUNT])
{
    const size_t length = strlen(group);
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *name = COMMANDS[i]->options.name;
        if (length == 0) {
            names[count++] = name;
        } else if (strncmp(name, group, length) == 0 && name[length] == ' ') {
            names[count++] = name + length + 1;
        }
    }
    return count;
}

int command_unknown(const char *group, const char *word)
{
    const char *names[COMMAND_COUNT];
    const size_t count = names_of_group(group, names);
    const char *space = *group == '\0' ? "" : " ";
    struct err err = {0};
    if (word == NULL) {
        struct text list = {0};
        for (size_t i = 0; i < count; i++) {
            text_printf(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
        }
        err_set(&err, ERR_USAGE, "%s%sneeds a subcommand: %s; try '%s help'", group,
                space, text_str(&list), PROGRAM_NAME);
        text_fini(&list);
        return say_error(&err);
    }
    const char *nearest = nearest_word(word, names, count);
    if (nearest != NULL) {
        err_set(&err, ERR_USAGE, "unknown subcommand '%s%s%s'; did you mean '%s%s%s'?",
                group, space, word, group, space, nearest);
    } else {
        err_set(&err, ERR_USAGE, "unknown subcommand '%s%s%s'; '%s help' lists them",
                group, space, word, PROGRAM_NAME);
    }
    return say_error(&err);
}

void command_overview(struct text *out)
{
    text_add(out, "stacksim simulates a fleet of vLLM engines behind a router.\n\n"
                  "Usage: stacksim COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        text_printf(out, "  %-15s  %s\n", COMMANDS[i]->options.name,
                    COMMANDS[i]->options.summary);
    }
    text_add(
        out,
        "\nStart here:\n"
        "  stacksim compare demo --policies round_robin,prefix_aware\n"
        "      compares two routing policies on the shipped sample.\n"
        "  stacksim help COMMAND\n"
        "      tells every option of a command, with units and an example.\n"
        "\nExit codes: 0 done; 1 the run failed; 2 the command line or an input file"
        " is\nwrong; 3 a compared bound was missed; 130 interrupted.\n");
}
