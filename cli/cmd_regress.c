/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_regress.c: `stacksim regress`: did a change make anything worse?
 */
#include "base/outfile.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/stored_runs.h"
#include "reports/regress.h"

#include <stdio.h>

struct regress_args {
    const char *baseline;
    const char *candidate;
    const char *rules;
    const char *format;
    const char *out;
    bool exact;
};

static const struct opt REGRESS_OPTIONS[] = {
    {"--baseline", "FILE", OPT_STR, offsetof(struct regress_args, baseline), "required",
     "Runs to hold against: a store, or the CSV that report prints. Example: "
     "--baseline main.db"},
    {"--candidate", "FILE", OPT_STR, offsetof(struct regress_args, candidate),
     "required", "Runs to judge, likewise. Example: --candidate branch.db"},
    {"--rules", "FILE.yaml", OPT_STR, offsetof(struct regress_args, rules),
     "1 % on every headline metric",
     "How far each metric may move, see docs/regress.md. Example: --rules rules.yaml"},
    {"--exact", NULL, OPT_FLAG, offsetof(struct regress_args, exact), "off",
     "A change for the better or a new run fails as well: to pin behaviour. "
     "Example: --exact"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct regress_args, format), "table",
     "table, md (for a pull request), junit, json or csv. Example: --format junit"},
    {"--out", "FILE", OPT_STR, offsetof(struct regress_args, out), "standard output",
     "Where that goes. Example: --format junit --out regress.xml"},
    {0},
};

static bool write_out(const char *path, const struct text *text, struct err *err)
{
    if (path == NULL) {
        fputs(text_str(text), stdout);
        return say_flush(err);
    }
    struct outfile *file = NULL;
    if (!outfile_open(&file, path, err)) {
        return false;
    }
    fputs(text_str(text), outfile_stream(file));
    if (!outfile_commit(file, err)) {
        return false;
    }
    say_wrote(path);
    return true;
}

struct regress_call {
    struct regress_rules rules;
    enum regress_format format;
    struct stored_runs baseline;
    struct stored_runs candidate;
    struct regress_result result;
};

static bool load(struct regress_call *call, const struct regress_args *args,
                 struct err *err)
{
    if (args->baseline == NULL || args->candidate == NULL) {
        return err_set(err, ERR_USAGE,
                       "give both --baseline FILE.db and --candidate "
                       "FILE.db; 'stacksim compare --out' makes them");
    }
    regress_rules_default(&call->rules);
    if (!regress_format_parse(args->format, &call->format, err) ||
        (args->rules != NULL && !regress_rules_load(&call->rules, args->rules, err)) ||
        !stored_runs_read(&call->baseline, args->baseline, err)) {
        return false;
    }
    stored_runs_close(&call->baseline); /* the candidate may be the same file */
    return stored_runs_read(&call->candidate, args->candidate, err);
}

static int judge(struct regress_call *call, const struct regress_args *args)
{
    struct err err = {0};
    struct text out = {0};
    if (!load(call, args, &err)) {
        return say_error(&err);
    }
    const struct regress_side baseline = {call->baseline.runs, call->baseline.count};
    const struct regress_side candidate = {call->candidate.runs, call->candidate.count};
    regress_compare(&call->result, &baseline, &candidate, &call->rules);
    regress_print(&call->result, call->format, &out);
    const bool ok = write_out(args->out, &out, &err);
    text_fini(&out);
    if (!ok) {
        return say_error(&err);
    }
    const size_t *counts = call->result.counts;
    const bool moved = counts[REGRESS_BETTER] + counts[REGRESS_NEW] > 0;
    return regress_failed(&call->result) || (args->exact && moved) ? EXIT_MISSED
                                                                   : EXIT_DONE;
}

static int regress_run(int argc, char *const *argv)
{
    struct regress_args args = {.format = "table"};
    struct command_call parsed = {0};
    if (!command_parse(&command_regress, argc, argv, &args, &parsed)) {
        return parsed.exit_code;
    }
    struct regress_call call = {0};
    const int code = judge(&call, &args);
    regress_result_fini(&call.result);
    stored_runs_fini(&call.baseline);
    stored_runs_fini(&call.candidate);
    return code;
}

const struct command command_regress = {
    .options =
        {
            .name = "regress",
            .usage = "--baseline A.db --candidate B.db [OPTIONS]",
            .summary = "whether a candidate is worse than its baseline, for CI",
            .description =
                "Matches runs by scenario and name; runs of several seeds (compare "
                "--seeds) are one\narm, and a difference between them must be more "
                "than chance. Exit code 0: nothing is\nworse; 3: something is, or a "
                "run "
                "is missing.\n\n"
                "Examples:\n"
                "  stacksim regress --baseline main.db --candidate branch.db\n"
                "  stacksim regress --baseline main.db --candidate branch.db --rules "
                "rules.yaml \\\n"
                "      --format junit --out regress.xml",
            .options = REGRESS_OPTIONS,
            .positional_min = 0,
            .positional_max = 0,
        },
    .run = regress_run,
};
