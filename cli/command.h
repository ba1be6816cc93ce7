/* SPDX-License-Identifier: Apache-2.0
 *
 * command.h: what a subcommand is, and the list of all of them.
 *
 * One file cli/cmd_<name>.c and one line in cli/commands.def make a subcommand. Its
 * option table yields parsing, --help and docs/cli.md (STYLE 12.1). A name of two words
 * ("trace info") is a subcommand of a group.
 */
#ifndef STACKSIM_CLI_COMMAND_H
#define STACKSIM_CLI_COMMAND_H

#include "base/opt.h"

#define PROGRAM_NAME "stacksim"

/* Exit codes of ARCHITECTURE 7; 130 is the shell's code for SIGINT. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_WRONG = 2,
    EXIT_MISSED = 3,
    EXIT_INTERRUPTED = 130
};

struct command {
    struct opt_command options;
    /* argv[0] is the first argument after the subcommand; returns the exit code. */
    int (*run)(int argc, char *const *argv);
};

/* i-th command in the order of help, NULL past the end. */
const struct command *command_at(size_t index);

/* The command that argv begins with, and how many words its name takes. NULL: none;
 * then *words counts the words of a group name that did match ("trace": 1). */
const struct command *command_find(int argc, char *const *argv, int *words);

/* Positional arguments, or the exit code when there is nothing more to do. */
struct command_call {
    struct opt_result result;
    int exit_code;
};

/* Parses into args. True: go on. False: print nothing more and return exit_code; help
 * was printed (0) or the one error message was (2). */
NODISCARD bool command_parse(const struct command *command, int argc, char *const *argv,
                             void *args, struct command_call *call);

/* The command line as a person would type it again, quoted where a shell needs it. */
void command_line(const struct command *command, int argc, char *const *argv,
                  struct text *out);

/* One error "stacksim: what" for a command line that fits no command, with the nearest
 * name. group: "" or "trace". Returns the exit code. */
int command_unknown(const char *group, const char *word);

/* The overview that `stacksim help` prints. */
void command_overview(struct text *out);

#define COMMAND(name) extern const struct command command_##name;
#include "cli/commands.def"
#undef COMMAND

#endif
