/* SPDX-License-Identifier: Apache-2.0
 *
 * opt.h: command lines from tables (STYLE 12.1).
 *
 * One table per subcommand yields parsing, --help and the reference in docs/. Long
 * options only, "--name value" or "--name=value"; "--" ends options; unknown options
 * fail with the nearest known name.
 */
#ifndef STACKSIM_BASE_OPT_H
#define STACKSIM_BASE_OPT_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

enum opt_kind {
    OPT_FLAG,     /* bool */
    OPT_STR,      /* const char * (borrowed from argv) */
    OPT_LIST,     /* struct opt_list: may be repeated */
    OPT_U64,      /* uint64_t */
    OPT_F64,      /* double */
    OPT_DURATION, /* int64_t ns */
    OPT_BYTES,    /* uint64_t */
};

enum { OPT_LIST_MAX = 64, OPT_POSITIONAL_MAX = 512 };

struct opt_list {
    const char *items[OPT_LIST_MAX];
    size_t count;
};

struct opt {
    const char *name;       /* "--duration" */
    const char *value_name; /* "TIME"; NULL for flags */
    enum opt_kind kind;
    size_t offset;            /* offsetof(struct my_args, field) */
    const char *default_text; /* shown in help; the caller presets the field */
    const char *help;         /* full sentence with unit and one example */
};

struct opt_command {
    const char *name;        /* "run" */
    const char *usage;       /* "SCENARIO.yaml [options]" */
    const char *summary;     /* one line */
    const char *description; /* paragraphs and examples, shown by --help; may be NULL */
    const struct opt *options; /* ends with a NULL name */
    size_t positional_min;
    size_t positional_max;
};

struct opt_result {
    bool help; /* --help was given: nothing else was checked */
    const char *positional[OPT_POSITIONAL_MAX];
    size_t positional_count;
};

/* args is the struct that the offsets point into. argv[0] is the first argument after
 * the subcommand. */
NODISCARD bool opt_parse(const struct opt_command *command, int argc, char *const *argv,
                         void *args, struct opt_result *result, struct err *err);
/* program: "stacksim". */
void opt_help(const struct opt_command *command, const char *program, struct text *out);

#endif
