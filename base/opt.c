/* SPDX-License-Identifier: Apache-2.0
 *
 * opt.c: one table drives parsing and help, so neither can forget an option.
 */
#include "base/opt.h"

#include "base/nearest.h"
#include "base/unit.h"

#include <string.h>

enum { HELP_WIDTH = 80, HELP_INDENT = 8, OPTIONS_MAX = 256 };

static bool usage(struct err *err, const struct opt_command *command, const char *what)
{
    if (command->name[0] == '\0') {
        return err_set(err, ERR_USAGE, "%s; see --help", what);
    }
    return err_set(err, ERR_USAGE, "%s; see 'stacksim %s --help'", what, command->name);
}

static bool unknown_option(const struct opt_command *command, const char *word,
                           struct err *err)
{
    const char *names[OPTIONS_MAX];
    size_t count = 0;
    names[count++] = "--help";
    for (const struct opt *opt = command->options;
         opt->name != NULL && count < OPTIONS_MAX; opt++) {
        names[count++] = opt->name;
    }
    const char *meant = nearest_word(word, names, count);
    struct err what;
    if (meant != NULL) {
        return err_set(err, ERR_USAGE, "unknown option %s; did you mean %s?", word,
                       meant);
    }
    (void)err_set(&what, ERR_USAGE, "unknown option %s", word);
    return usage(err, command, what.text);
}

/* The option that `word` (cut at its '=') names, or NULL. */
static const struct opt *find_option(const struct opt_command *command,
                                     const char *word, size_t length)
{
    for (const struct opt *opt = command->options; opt->name != NULL; opt++) {
        if (strlen(opt->name) == length && strncmp(opt->name, word, length) == 0) {
            return opt;
        }
    }
    return NULL;
}

static bool add_to_list(struct opt_list *list, const char *value, struct err *err)
{
    if (list->count == OPT_LIST_MAX) {
        return err_set(err, ERR_USAGE, "given more than %d times", OPT_LIST_MAX);
    }
    list->items[list->count++] = value;
    return true;
}

/* err gets what is wrong, without the option's name. */
static bool store_value(const struct opt *opt, const char *value, void *args,
                        struct err *err)
{
    void *const field = (char *)args + opt->offset;
    switch (opt->kind) {
    case OPT_FLAG:
        *(bool *)field = true;
        return true;
    case OPT_STR:
        *(const char **)field = value;
        return true;
    case OPT_LIST:
        return add_to_list(field, value, err);
    case OPT_U64:
        return unit_u64(value, field, err);
    case OPT_F64:
        return unit_number(value, field, err);
    case OPT_DURATION:
        return unit_duration_ns(value, field, err);
    case OPT_BYTES:
        return unit_bytes(value, field, err);
    }
    return err_set(err, ERR_USAGE, "has no kind");
}

struct cursor {
    const struct opt_command *command;
    int argc;
    char *const *argv;
    int at;
    void *args;
};

/* One option at the cursor, with its value; leaves the cursor on the last word used. */
static bool parse_option(struct cursor *cursor, struct err *err)
{
    const char *word = cursor->argv[cursor->at];
    const char *equals = strchr(word, '=');
    const size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct opt *opt = find_option(cursor->command, word, length);
    struct err what;
    if (opt == NULL) {
        (void)err_set(&what, ERR_USAGE, "%.*s", (int)length, word);
        return unknown_option(cursor->command, what.text, err);
    }
    if (opt->kind == OPT_FLAG && equals != NULL) {
        return err_set(err, ERR_USAGE, "option %s takes no value; drop '%s'", opt->name,
                       equals);
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (opt->kind != OPT_FLAG && value == NULL) {
        if (cursor->at + 1 >= cursor->argc) {
            return err_set(err, ERR_USAGE, "option %s needs a value: %s %s", opt->name,
                           opt->name, opt->value_name);
        }
        cursor->at++;
        value = cursor->argv[cursor->at];
    }
    if (!store_value(opt, value, cursor->args, &what)) {
        return err_set(err, ERR_USAGE, "option %s: %s", opt->name, what.text);
    }
    return true;
}

static bool add_positional(const struct opt_command *command, const char *word,
                           struct opt_result *result, struct err *err)
{
    if (result->positional_count >= command->positional_max ||
        result->positional_count >= OPT_POSITIONAL_MAX) {
        struct err what;
        (void)err_set(&what, ERR_USAGE, "unexpected argument '%s'", word);
        return usage(err, command, what.text);
    }
    result->positional[result->positional_count++] = word;
    return true;
}

/* --help wins over everything that may be wrong before or after it. */
static bool asks_for_help(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

/* As main() has them, and where the answer goes: called once per subcommand. */
/* NOLINTNEXTLINE(readability-function-size) */
bool opt_parse(const struct opt_command *command, int argc, char *const *argv,
               void *args, struct opt_result *result, struct err *err)
{
    struct cursor cursor = {command, argc, argv, 0, args};
    bool only_positionals = false;
    memset(result, 0, sizeof *result);
    if (asks_for_help(argc, argv)) {
        result->help = true;
        return true;
    }
    for (; cursor.at < argc; cursor.at++) {
        const char *word = argv[cursor.at];
        if (!only_positionals && strcmp(word, "--") == 0) {
            only_positionals = true;
            continue;
        }
        /* "-" alone is a file name: stdin or stdout. */
        const bool is_option = !only_positionals && word[0] == '-' && word[1] != '\0';
        const bool held = is_option ? parse_option(&cursor, err)
                                    : add_positional(command, word, result, err);
        if (!held) {
            return false;
        }
    }
    if (result->positional_count < command->positional_min) {
        struct err what;
        (void)err_set(&what, ERR_USAGE, "missing argument: stacksim %s %s",
                      command->name, command->usage);
        return usage(err, command, what.text);
    }
    return true;
}

/* --- help ----------------------------------------------------------------------- */

/* Words of `text`, broken at HELP_WIDTH; every line begins with the indent. */
static void add_wrapped(struct text *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        const size_t length = strcspn(text, " ");
        if (column > 0 && column + 1 + length > HELP_WIDTH) {
            text_add(out, "\n");
            column = 0;
        }
        text_printf(out, "%*s%.*s", column == 0 ? HELP_INDENT : 1, "", (int)length,
                    text);
        column += length + (column == 0 ? HELP_INDENT : 1);
        text += length;
        text += strspn(text, " ");
    }
    text_add(out, "\n");
}

void opt_help(const struct opt_command *command, const char *program, struct text *out)
{
    text_printf(out, "usage: %s%s%s %s\n\n%s\n", program,
                command->name[0] != '\0' ? " " : "", command->name, command->usage,
                command->summary);
    if (command->description != NULL) {
        text_printf(out, "\n%s\n", command->description);
    }
    text_add(out, "\noptions:\n");
    for (const struct opt *opt = command->options; opt->name != NULL; opt++) {
        text_printf(out, "  %s%s%s", opt->name, opt->value_name != NULL ? " " : "",
                    opt->value_name != NULL ? opt->value_name : "");
        if (opt->default_text != NULL) {
            text_printf(out, " (default: %s)", opt->default_text);
        }
        text_add(out, "\n");
        add_wrapped(out, opt->help);
    }
    text_add(out, "  --help\n");
    add_wrapped(out, "Print this text and do nothing else.");
}
