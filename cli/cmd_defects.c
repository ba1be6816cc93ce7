/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_defects.c: `stacksim defects`: what each marked defect of the stack costs.
 */
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/args.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/defects/page.h"
#include "cli/interrupt.h"
#include "cli/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { THREADS_MAX = 1024, SEEDS_DEFAULT = 5 };

struct defects_args {
    struct scenario_args scenario;
    struct opt_list only;
    const char *format;
    const char *html;
    uint64_t seeds;
    uint64_t jobs;
    bool list;
    bool check;
    bool quiet;
};

static const struct opt DEFECTS_OPTIONS[] = {
    {"--only", "ID,ID", OPT_LIST, offsetof(struct defects_args, only), "all",
     "These defects alone, with commas; may be given several times. "
     "Example: --only pinning,shared-counter"},
    {"--list", NULL, OPT_FLAG, offsetof(struct defects_args, list), "off",
     "Run nothing; tell every defect, its scenario and the keys that switch it. "
     "Example: --list --format json"},
    {"--seeds", "N", OPT_U64, offsetof(struct defects_args, seeds), "5",
     "Run both sides under N seeds and give means of the differences with 95 % "
     "intervals. Example: --seeds 20"},
    SCENARIO_OPTIONS(defects_args, scenario),
    WARMUP_OPTION(defects_args, scenario),
    SCENARIO_HELM_OPTIONS(defects_args, scenario),
    {"--jobs", "N", OPT_U64, offsetof(struct defects_args, jobs), "one per core",
     "Runs at the same time. Changes no result. Example: --jobs 2"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct defects_args, format), "table",
     "table, csv, json or md. Example: --format md"},
    {"--out-html", "FILE", OPT_STR, offsetof(struct defects_args, html), "none",
     "The same as an HTML page. Example: --out-html out/defects.html"},
    {"--check", NULL, OPT_FLAG, offsetof(struct defects_args, check), "off",
     "Exit with 3 when a defect does not cost what its entry says that it does. "
     "Example: --check"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct defects_args, quiet), "off",
     "Show no progress. Example: --quiet"},
    {0},
};

struct defects_call {
    const struct defects_args *args;
    const char *fleet; /* its name; NULL = each defect's own */
    const char *command;
    const struct defect **chosen;
    size_t count;
    struct scenario_storage storage;
    struct runner_setup base;
    enum table_format format;
    struct outfile *html; /* NULL: none, or committed */
};

/* ---- arguments ---------------------------------------------------------------------
 */

static bool choose(struct defects_call *call, const char *id, struct err *err)
{
    const struct defect *defect = NULL;
    if (!defect_find(&defect, id, err)) {
        return false;
    }
    for (size_t i = 0; i < call->count; i++) {
        if (call->chosen[i] == defect) {
            return err_set(err, ERR_USAGE, "--only: '%s' is named twice", id);
        }
    }
    call->chosen[call->count++] = defect;
    return true;
}

/* text: ids with commas. */
static bool choose_list(struct defects_call *call, const char *text, struct err *err)
{
    char *copy = mem_strdup(text);
    char *rest = NULL;
    bool ok = true;
    for (char *id = strtok_r(copy, ",", &rest); ok && id != NULL;
         id = strtok_r(NULL, ",", &rest)) {
        ok = choose(call, id, err);
    }
    mem_free(copy);
    return ok;
}

static bool choose_all(struct defects_call *call, struct err *err)
{
    const struct opt_list *only = &call->args->only;
    call->chosen = mem_alloc(defect_count(), sizeof(struct defect *));
    for (size_t i = 0; only->count == 0 && i < defect_count(); i++) {
        call->chosen[call->count++] = defect_at(i);
    }
    for (size_t i = 0; i < only->count; i++) {
        if (!choose_list(call, only->items[i], err)) {
            return false;
        }
    }
    return call->count > 0 || err_set(err, ERR_USAGE, "--only: no defect is named");
}

/* path: SCENARIO, or NULL. */
static bool fleet_load(struct defects_call *call, const char *path, struct err *err)
{
    const struct scenario_args *scenario = &call->args->scenario;
    call->fleet = path != NULL ? path : scenario->helm.values;
    if (call->fleet == NULL && scenario->trace != NULL) {
        return err_set(err, ERR_USAGE,
                       "--trace: every defect has a workload of its own; give SCENARIO "
                       "or --helm, too");
    }
    return scenario_args_apply(scenario, path, &call->storage, &call->base, err);
}

static bool args_check(struct defects_call *call, const struct opt_result *given,
                       struct err *err)
{
    const struct defects_args *args = call->args;
    const char *path = NULL;
    if (args->seeds < 1 || args->seeds > STUDY_SEEDS_MAX) {
        return err_set(err, ERR_USAGE, "--seeds: 1 to %d, not %" PRIu64,
                       STUDY_SEEDS_MAX, args->seeds);
    }
    return table_format_parse(args->format, &call->format, err) &&
           choose_all(call, err) &&
           scenario_args_may_lack(&args->scenario, given, &path, err) &&
           fleet_load(call, path, err);
}

/* ---- running -----------------------------------------------------------------------
 */

static bool write_html(struct defects_call *call, const struct defects_page *page,
                       struct err *err)
{
    struct outfile *file = call->html;
    struct text out = {0};
    call->html = NULL;
    defects_page_html(page, call->command, &out);
    (void)fwrite(text_str(&out), 1, out.length, outfile_stream(file));
    text_fini(&out);
    if (!outfile_commit(file, err)) {
        return false;
    }
    say_wrote(call->args->html);
    return true;
}

static bool publish(struct defects_call *call, const struct study_row *rows,
                    struct err *err)
{
    const struct defects_page page = {
        .rows = rows,
        .count = call->count,
        .seeds = (size_t)call->args->seeds,
        .fleet = call->fleet,
        .with_unshown = call->args->only.count == 0 && call->fleet == NULL,
    };
    struct text out = {0};
    defects_page_write(&page, call->format, &out);
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return say_flush(err) && (call->html == NULL || write_html(call, &page, err));
}

/* The first that does not cost what its entry says. */
static bool check(const struct defects_call *call, const struct study_row *rows,
                  struct err *err)
{
    for (size_t i = 0; call->args->check && i < call->count; i++) {
        if (rows[i].misfit.kind == ERR_NONE && !study_as_expected(&rows[i])) {
            return err_set(err, ERR_BOUND,
                           "%s does not cost what its entry in "
                           "cli/defects/defects.def says",
                           rows[i].defect->id);
        }
    }
    return true;
}

static int execute(struct defects_call *call)
{
    const struct defects_args *args = call->args;
    struct err err = {0};
    if (args->html != NULL && !outfile_open(&call->html, args->html, &err)) {
        return say_error(&err);
    }
    const struct study_setup setup = {
        .defects = call->chosen,
        .count = call->count,
        .base = &call->base,
        .fleet = call->fleet != NULL,
        .seeds = (size_t)args->seeds,
        .threads = args->jobs == 0 || args->jobs > THREADS_MAX ? clock_cores()
                                                               : (uint32_t)args->jobs,
        .quiet = args->quiet,
    };
    if (!args->quiet) {
        say_notes(text_str(&call->storage.notes));
    }
    struct study_row *rows = mem_alloc(call->count, sizeof *rows);
    int code = EXIT_DONE;
    switch (study_run(rows, &setup, &err)) {
    case STUDY_INTERRUPTED:
        code = say_interrupted("a part of the runs", args->html);
        break;
    case STUDY_FAILED:
        code = say_error(&err);
        break;
    case STUDY_DONE:
        if (!publish(call, rows, &err) || !check(call, rows, &err)) {
            code = say_error(&err);
        }
        break;
    }
    mem_free(rows);
    return code;
}

static int list(const struct defects_args *args)
{
    struct err err = {0};
    struct text out = {0};
    enum table_format format = TABLE_TEXT;
    if (!table_format_parse(args->format, &format, &err)) {
        return say_error(&err);
    }
    defects_list_write(format, &out);
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return say_flush(&err) ? EXIT_DONE : say_error(&err);
}

static int defects_run(int argc, char *const *argv)
{
    struct defects_args args = {.format = "table", .seeds = SEEDS_DEFAULT};
    struct command_call parsed = {0};
    if (!command_parse(&command_defects, argc, argv, &args, &parsed)) {
        return parsed.exit_code;
    }
    if (args.list) {
        return list(&args);
    }
    struct err err = {0};
    struct text line = {0};
    command_line(&command_defects, argc, argv, &line);
    struct defects_call call = {
        .args = &args,
        .command = text_str(&line),
    };
    int code = EXIT_WRONG;
    if (args_check(&call, &parsed.result, &err)) {
        struct interrupt interrupt;
        interrupt_hold(&interrupt);
        code = execute(&call);
        interrupt_release(&interrupt);
    } else {
        code = say_error(&err);
    }
    outfile_abort(call.html);
    scenario_storage_fini(&call.storage);
    mem_free(call.chosen);
    text_fini(&line);
    return code;
}

const struct command command_defects = {
    .options =
        {
            .name = "defects",
            .usage = "[SCENARIO|--helm VALUES.yaml] [--only ID,ID] [OPTIONS]",
            .summary =
                "what each known defect of the Production Stack costs, on a page",
            .description =
                "Runs every defect that the stack's specification marks on and off, on "
                "the same requests,\nand tells the difference in p99 TTFT, goodput, "
                "errors and GPU time. Each has a small\nscenario of its own; with "
                "SCENARIO the defects are switched in that fleet instead.\n\n"
                "Examples:\n"
                "  stacksim defects\n"
                "  stacksim defects --only pinning,pinning-unbounded --seeds 20\n"
                "  stacksim defects fleet.yaml --only shared-counter\n"
                "  stacksim defects --helm values.yaml --gpu h100_sxm --trace t.csv\n"
                "  stacksim defects --format md --out-html out/defects.html\n"
                "  stacksim defects --list",
            .options = DEFECTS_OPTIONS,
            .positional_min = 0,
            .positional_max = 1,
        },
    .run = defects_run,
};
