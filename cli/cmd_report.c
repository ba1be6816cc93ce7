/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_report.c: `stacksim report`: table, plots and page of what a store holds.
 */
#include "base/mem.h"
#include "base/outfile.h"
#include "cli/command.h"
#include "cli/pages.h"
#include "cli/say.h"
#include "cli/stored_runs.h"
#include "cli/target.h"
#include "reports/compare.h"
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
     "Names of the runs to show, with commas; of a name that occurs more than once the "
     "last run counts. Example: --runs round_robin,session"},
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

/* The longest name that `names` begins with, up to a comma: names of a sweep hold
 * commas themselves. Of runs with that name the last. */
static bool find_named(const struct stored_runs *shown, const char *names,
                       size_t *length, size_t *index)
{
    bool found = false;
    for (size_t i = 0; i < shown->count; i++) {
        const char *own = shown->runs[i]->info.name;
        const size_t bytes = strlen(own);
        if (strncmp(own, names, bytes) == 0 && strchr(",", names[bytes]) != NULL &&
            (!found || bytes >= *length)) {
            found = true;
            *length = bytes;
            *index = i;
        }
    }
    return found;
}

/* The runs to show, in the order asked for: the caller frees the array alone. */
static bool choose(const struct stored_runs *shown, const char *names,
                   const struct run_record ***out, size_t *count, struct err *err)
{
    const struct run_record **chosen = mem_alloc(
        names == NULL ? shown->count : strlen(names) + 1, sizeof(struct run_record *));
    *count = 0;
    *out = chosen;
    for (size_t i = 0; names == NULL && i < shown->count; i++) {
        chosen[(*count)++] = shown->runs[i];
    }
    while (names != NULL) {
        size_t length = strcspn(names, ",");
        size_t index = 0;
        if (!find_named(shown, names, &length, &index)) {
            return err_set(err, ERR_USAGE,
                           "--runs: the store has no run '%.*s'; without --runs all "
                           "are shown",
                           (int)length, names);
        }
        chosen[(*count)++] = shown->runs[index];
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

static void print_table(const struct run_record *const *runs, size_t count,
                        enum table_format format)
{
    struct text out = {0};
    compare_print(runs, count, format, &out);
    if (format == TABLE_TEXT || format == TABLE_MD) {
        text_add(&out, "\n");
        compare_verdict(runs, count, &out);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
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

static int report_on(const struct report_args *args, enum table_format format,
                     const char *store_path, const char *command)
{
    struct err err = {0};
    struct stored_runs shown = {0};
    const struct run_record **runs = NULL;
    size_t count = 0;
    /* What machines read are the metrics alone, of any number of runs. */
    const bool rows = !args->no_report || args->timeline != NULL ||
                      format == TABLE_TEXT || format == TABLE_MD;
    bool ok = stored_runs_read(&shown, store_path, rows, &err) &&
              choose(&shown, args->runs, &runs, &count, &err);
    if (ok) {
        want_intervals(&shown);
        print_table(runs, count, format);
        ok = say_flush(&err);
    }
    if (ok && args->timeline != NULL) {
        ok = write_timeline(args->timeline, runs[0], &err);
    }
    if (ok && !args->no_report) {
        struct pages pages = {
            .runs = runs,
            .run_count = count,
            .store_path = store_path,
            .command = command,
        };
        ok = write_pages(args, store_path, &pages, &err);
    }
    mem_free(runs);
    stored_runs_fini(&shown);
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
    const int code =
        report_on(&args, format, call.result.positional[0], text_str(&line));
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
                "Examples:\n"
                "  stacksim report out/demo.db\n"
                "  stacksim report all.db --runs monday,tuesday --out out/week\n"
                "  stacksim report out/demo.db --format csv --no-report",
            .options = REPORT_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = report_run,
};
