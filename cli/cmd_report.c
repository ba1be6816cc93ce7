/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_report.c: `stacksim report`: table, plots and page of what a store holds.
 */
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/command.h"
#include "cli/pages.h"
#include "cli/report_arms.h"
#include "cli/say.h"
#include "cli/stored_runs.h"
#include "cli/sweep_table.h"
#include "cli/target.h"
#include "reports/arm.h"
#include "reports/compare.h"
#include "reports/headline.h"
#include "reports/run.h"
#include "reports/timeline.h"

#include <stdio.h>
#include <string.h>

struct report_args {
    const char *out;
    const char *format;
    const char *runs;
    const char *timeline;
    bool no_report;
};

static const struct opt REPORT_OPTIONS[] = {
    {"--out", "DIR", OPT_STR, offsetof(struct report_args, out), "beside the store",
     "Folder of the plots and the HTML page. Example: --out out/tuesday"},
    {"--runs", "A,B,C", OPT_STR, offsetof(struct report_args, runs), "all",
     "Names of the runs to show, with commas, or of arms without their seed; of a name "
     "that occurs more than once the last run counts. "
     "Example: --runs round_robin,session"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct report_args, format), "table",
     "Form of the table on standard output: table, csv, json or md. "
     "Example: --format csv"},
    {"--timeline", "FILE.json", OPT_STR, offsetof(struct report_args, timeline), "none",
     "Write the first run shown as a trace for ui.perfetto.dev (docs/timeline.md). "
     "Example: --runs chwbl --timeline out/chwbl.json"},
    {"--no-report", NULL, OPT_FLAG, offsetof(struct report_args, no_report), "off",
     "Print the table only. Example: --no-report"},
    {0},
};

struct report_call {
    const struct report_args *args;
    enum table_format format;
    const char *store_path;
    const char *command;
    struct report_arms arms;
    struct stored_runs shown;
    const struct run_record **runs; /* that were asked for; owned array */
    size_t count;
};

/* The longest name that `names` begins with, up to a comma: names of a sweep hold
 * commas themselves. */
static bool begins_with(const char *own, const char *names, size_t *length)
{
    const size_t bytes = strlen(own);
    if (strncmp(own, names, bytes) == 0 && strchr(",", names[bytes]) != NULL &&
        bytes >= *length) {
        *length = bytes;
        return true;
    }
    return false;
}

/* Adds the run of that name, of several the last. */
static bool add_run(struct report_call *call, const char *names, size_t *length)
{
    const struct stored_runs *const stored = &call->shown;
    const struct run_record *found = NULL;
    *length = 0;
    for (size_t i = 0; i < stored->count; i++) {
        const struct run_record *const run = stored->runs[i];
        found = begins_with(run->info.name, names, length) ? run : found;
    }
    if (found != NULL) {
        call->runs[call->count++] = found;
    }
    return found != NULL;
}

/* Adds all runs of the arm of that name. */
static bool add_arm(struct report_call *call, const char *names, size_t *length)
{
    const struct stored_runs *const stored = &call->shown;
    char arm[ARM_NAME_MAX] = "";
    char own[ARM_NAME_MAX];
    *length = 0;
    for (size_t i = 0; i < stored->count; i++) {
        arm_name(&stored->runs[i]->info, own);
        if (begins_with(own, names, length)) {
            memcpy(arm, own, sizeof arm);
        }
    }
    for (size_t i = 0; arm[0] != '\0' && i < stored->count; i++) {
        arm_name(&stored->runs[i]->info, own);
        if (strcmp(own, arm) == 0) {
            call->runs[call->count++] = stored->runs[i];
        }
    }
    return arm[0] != '\0';
}

static size_t count_names(const char *names)
{
    size_t count = 1;
    for (; names != NULL && *names != '\0'; names++) {
        count += *names == ',' ? 1 : 0;
    }
    return count;
}

/* *arms: they may be shown as arms over seeds. Whoever names a run wants to see it. */
static bool choose(struct report_call *call, bool *arms, struct err *err)
{
    const struct stored_runs *const stored = &call->shown;
    const char *names = call->args->runs;
    /* A name adds at most all runs. */
    call->runs =
        mem_alloc(stored->count * count_names(names), sizeof(struct run_record *));
    *arms = true;
    for (size_t i = 0; names == NULL && i < stored->count; i++) {
        call->runs[call->count++] = stored->runs[i];
    }
    while (names != NULL) {
        size_t length = 0;
        if (add_run(call, names, &length)) {
            *arms = false;
        } else if (!add_arm(call, names, &length)) {
            return err_set(err, ERR_USAGE,
                           "--runs: the store has no run '%.*s'; without --runs all "
                           "are shown",
                           (int)strcspn(names, ","), names);
        }
        names = names[length] == '\0' ? NULL : names + length + 1;
    }
    return true;
}

/* As compare shows them, for runs whose rows are here. */
static void want_intervals(const struct stored_runs *shown)
{
    for (size_t i = 0; i < shown->count; i++) {
        struct run_record *run = shown->runs[i];
        if (run->request_count > 0) {
            run_want_intervals(run);
            metrics_compute_from(run, run->warmup.counted_from_ns);
        }
    }
}

/* Machines get a row per run, people what the runs were made for. */
static bool print_table(const struct report_call *call, struct err *err)
{
    const enum table_format format = call->format;
    const struct report_arms *const arms = &call->arms;
    const bool prose = format == TABLE_TEXT || format == TABLE_MD;
    struct text out = {0};
    bool ok = true;
    if (prose && arms->load != NULL) {
        ok = sweep_table(call->store_path, format, &out, err);
        text_add(&out, "\n");
        headline_write_load(arms->load, &out);
        text_add(&out, "\n");
    } else if (prose && arms->set.arms > 0) {
        replicated_print(&arms->set, format, &out);
        text_add(&out, "\n");
        replicated_verdict(&arms->set, &out);
    } else {
        compare_print(call->runs, call->count, format, &out);
        if (prose) {
            text_add(&out, "\n");
            compare_verdict(call->runs, call->count, &out);
        }
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return ok;
}

/* "x/demo.db" -> "demo" */
static void name_of_store(const char *path, struct text *name)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(base, '.');
    text_add_bytes(name, base,
                   dot == NULL || dot == base ? strlen(base) : (size_t)(dot - base));
}

static bool write_pages(const struct report_args *args, const char *store_path,
                        struct pages *pages, struct err *err)
{
    struct text folder = {0};
    struct text name = {0};
    if (args->out != NULL) {
        text_add(&folder, args->out);
    } else {
        pages_folder(store_path, &folder);
    }
    name_of_store(store_path, &name);
    bool ok = target_make_folder(text_str(&folder), err);
    if (ok) {
        text_printf(&folder, "/%s", text_str(&name));
        pages->stem = text_str(&folder);
        ok = pages_write(pages, err);
    }
    text_fini(&folder);
    text_fini(&name);
    return ok;
}

static bool write_timeline(const char *path, const struct run_record *run,
                           struct err *err)
{
    struct outfile *file = NULL;
    if (run->request_count == 0) {
        return err_set(err, ERR_INPUT,
                       "--timeline: the store has no rows of requests of '%s'; make it "
                       "without --no-requests",
                       run->info.name);
    }
    if (!outfile_open(&file, path, err)) {
        return false;
    }
    timeline_write(run, outfile_stream(file));
    if (!outfile_commit(file, err)) {
        return false;
    }
    say_wrote(path);
    return true;
}

/* Rows are read of runs that are drawn, or compared request by request, and of no
 * others: what machines read, means over seeds and curves are made of summaries. */
static bool load_rows(struct report_call *call, struct err *err)
{
    const struct report_args *const args = call->args;
    const struct report_arms *const arms = &call->arms;
    const bool has_seeds = arms->set.arms > 0;
    const bool prose = call->format == TABLE_TEXT || call->format == TABLE_MD;
    const bool compared = prose && !has_seeds;
    const bool needed = arms->load == NULL && (!args->no_report || compared);
    const struct run_record *const *runs = has_seeds ? arms->first : call->runs;
    const size_t count = has_seeds ? arms->set.arms : call->count;
    for (size_t i = 0; needed && i < count; i++) {
        if (!stored_runs_load(&call->shown, runs[i], err)) {
            return false;
        }
    }
    if (!needed && args->timeline != NULL &&
        !stored_runs_load(&call->shown, call->runs[0], err)) {
        return false;
    }
    if (compared) {
        want_intervals(&call->shown);
    }
    return true;
}

static bool read_runs(struct report_call *call, struct err *err)
{
    bool arms = true;
    if (!report_arms_open(&call->arms, call->store_path, err) ||
        !stored_runs_read(&call->shown, call->store_path, err) ||
        !choose(call, &arms, err)) {
        return false;
    }
    if (arms) {
        report_arms_sort(&call->arms, call->runs, call->count);
    }
    return load_rows(call, err);
}

static void say_left_out(const struct report_arms *arms, size_t count)
{
    if (arms->grid.left_out > 0) {
        fprintf(stderr,
                "note: %zu of %zu runs are not shown: not every arm has their seed, or "
                "a later run replaces them\n",
                arms->grid.left_out, count);
    }
}

static bool make_pages(const struct report_call *call, struct err *err)
{
    const struct report_arms *const arms = &call->arms;
    const bool has_seeds = arms->set.arms > 0;
    struct pages pages = {
        .runs = has_seeds ? arms->first : call->runs,
        .run_count = has_seeds ? arms->set.arms : call->count,
        .seeds = has_seeds ? &arms->set : NULL,
        .load = arms->load,
        .title = arms->load != NULL ? arms->sweep->name : NULL,
        .store_path = call->store_path,
        .command = call->command,
    };
    return write_pages(call->args, call->store_path, &pages, err);
}

static int report_on(struct report_call *call)
{
    struct err err = {0};
    bool ok = read_runs(call, &err) && print_table(call, &err) && say_flush(&err);
    if (ok && (call->format == TABLE_TEXT || call->format == TABLE_MD)) {
        say_left_out(&call->arms, call->count);
    }
    if (ok && call->args->timeline != NULL) {
        ok = write_timeline(call->args->timeline, call->runs[0], &err);
    }
    if (ok && !call->args->no_report) {
        ok = make_pages(call, &err);
    }
    report_arms_fini(&call->arms);
    mem_free(call->runs);
    stored_runs_fini(&call->shown);
    return ok ? EXIT_DONE : say_error(&err);
}

static int report_run(int argc, char *const *argv)
{
    struct report_args args = {.format = "table"};
    struct command_call call = {0};
    if (!command_parse(&command_report, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    enum table_format format = TABLE_TEXT;
    if (!table_format_parse(args.format, &format, &err)) {
        return say_error(&err);
    }
    struct text line = {0};
    command_line(&command_report, argc, argv, &line);
    struct report_call work = {.args = &args,
                               .format = format,
                               .store_path = call.result.positional[0],
                               .command = text_str(&line)};
    const int code = report_on(&work);
    text_fini(&line);
    return code;
}

const struct command command_report = {
    .options =
        {
            .name = "report",
            .usage = "FILE.db [OPTIONS]",
            .summary = "table, plots and HTML page of stored runs",
            .description =
                "Runs of one policy under several seeds are shown as means, a sweep "
                "over a load\n(a key of numbers, such as a rate) as curves.\n\n"
                "Examples:\n"
                "  stacksim report out/demo.db\n"
                "  stacksim report rates.db\n"
                "  stacksim report all.db --runs monday,tuesday --out out/week\n"
                "  stacksim report out/demo.db --format csv --no-report",
            .options = REPORT_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = report_run,
};
