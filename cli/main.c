/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: finds the subcommand and hands over.
 */
#include "cli/command.h"
#include "cli/say.h"
#include "cli/version.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int dispatch(int argc, char *const *argv)
{
    int words = 0;
    const struct command *command = command_find(argc, argv, &words);
    if (command != NULL) {
        return command->run(argc - words, argv + words);
    }
    if (words == 0) {
        return command_unknown("", argv[0]);
    }
    const char *word = words < argc ? argv[words] : NULL;
    if (word != NULL && strcmp(word, "--help") == 0) {
        return command_help.run(words, argv);
    }
    return command_unknown(argv[0], word);
}

static int run(int argc, char *const *argv)
{
    if (argc == 0 || strcmp(argv[0], "--help") == 0) {
        return command_help.run(0, argv);
    }
    if (strcmp(argv[0], "--version") == 0) {
        printf("%s %s (%s, %s)\n", PROGRAM_NAME, version_number(), version_commit(),
               version_compiler());
        return EXIT_DONE;
    }
    return dispatch(argc, argv);
}

int main(int argc, char **argv)
{
    /* A reader that went away must not kill a run whose files are still open. */
    signal(SIGPIPE, SIG_IGN);
    const int code = run(argc > 0 ? argc - 1 : 0, argv + (argc > 0 ? 1 : 0));
    struct err err = {0};
    if (!say_flush(&err) && code == EXIT_DONE) {
        return say_error(&err);
    }
    return code;
}
