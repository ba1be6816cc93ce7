/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_compare.c: `stacksim compare`: the same traffic under several policies.
 */
#include "cli/args.h"
#include "cli/arms.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/pages.h"
#include "cli/policy_list.h"
#include "cli/say.h"
#include "cli/target.h"
#include "reports/compare.h"

#include <inttypes.h>
#include <stdio.h>

struct compare_args {
    struct scenario_args scenario;
    const char *policies;
    const char *out;
    const char *format;
    uint64_t jobs;
    bool append;
    bool digest;
    bool step_by_step;
    bool check;
    bool no_requests;
    bool no_report;
    bool quiet;
};

static const struct opt COMPARE_OPTIONS[] = {
    {"--policies", "A,B,C", OPT_STR, offsetof(struct compare_args, policies),
     POLICY_LIST_DEFAULT,
     "Routing policies to compare, with commas, each with parameters of its own behind "
     "colons; 'stacksim policies' lists both; 'all' takes every policy. "
     "Example: --policies round_robin,prefix_aware:prefix_min_match_length=4096"},
    SCENARIO_OPTIONS(compare_args, scenario),
    {"--out", "DIR|FILE.db", OPT_STR, offsetof(struct compare_args, out), "out",
     "Where the store, the plots and the HTML page go: a folder, in which they are "
     "called after the scenario, or the name of the store. An older store of that name "
     "is replaced. Example: --out out/tuesday.db"},
    {"--append", NULL, OPT_FLAG, offsetof(struct compare_args, append), "off",
     "Add the runs to the store instead of replacing it. Example: --append"},
    {"--jobs", "N", OPT_U64, offsetof(struct compare_args, jobs), "one per core",
     "Runs at the same time, each on one thread. Changes no result. Example: --jobs 2"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct compare_args, format), "table",
     "Form of the comparison on standard output: table, csv, json or md. "
     "Example: --format md"},
    {"--digest", NULL, OPT_FLAG, offsetof(struct compare_args, digest), "off",
     "Print only a line 'digest NAME' with 16 hexadecimal digits per run. "
     "Example: --digest"},
    {"--step-by-step", NULL, OPT_FLAG, offsetof(struct compare_args, step_by_step),
     "off",
     "Simulate every engine step singly. Slower; gives the same bytes. "
     "Example: --step-by-step"},
    {"--check", NULL, OPT_FLAG, offsetof(struct compare_args, check), "off",
     "Check every invariant of DESIGN.md after every event. Much slower. "
     "Example: --check"},
    {"--no-requests", NULL, OPT_FLAG, offsetof(struct compare_args, no_requests), "off",
     "Store summaries and engine samples only, no row per request. "
     "Example: --no-requests"},
    {"--no-report", NULL, OPT_FLAG, offsetof(struct compare_args, no_report), "off",
     "Make no plots and no HTML page; 'stacksim report' makes them later. "
     "Example: --no-report"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct compare_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

struct compare_call {
    const struct compare_args *args;
    const char *scenario_path;
    const char *command; /* as given, for the page */
    struct scenario_storage storage;
    struct policy_list policies;
    enum table_format format;
    struct arms *arms;
    struct text store_path;
    struct text stem;     /* of the pages' names */
    struct target *store; /* NULL once committed */
};

static void print_runs(const struct compare_call *call,
                       const struct run_record *const *runs)
{
    const size_t count = call->policies.count;
    struct text out = {0};
    if (call->args->digest) {
        for (size_t i = 0; i < count; i++) {
            text_printf(&out, "digest %s %016" PRIx64 "\n", runs[i]->info.name,
                        runs[i]->info.digest);
        }
    } else {
        compare_print(runs, count, call->format, &out);
        if (call->format == TABLE_TEXT || call->format == TABLE_MD) {
            text_add(&out, "\n");
            compare_verdict(runs, count, &out);
        }
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    /* The workload is the same in all runs, and so are its notes. */
    if (!call->args->quiet && count > 0) {
        say_notes(runs[0]->info.notes);
    }
}

static bool store_runs(struct compare_call *call, const struct run_record *const *runs,
                       struct err *err)
{
    for (size_t i = 0; i < call->policies.count; i++) {
        if (!target_add(call->store, runs[i], !call->args->no_requests, err)) {
            return false;
        }
    }
    struct target *store = call->store;
    call->store = NULL;
    if (!target_commit(store, err)) {
        return false;
    }
    say_wrote(text_str(&call->store_path));
    return true;
}

/* All that is made of the finished arms. */
static bool publish(struct compare_call *call, struct err *err)
{
    struct run_record *const *records = arms_records(call->arms);
    const struct run_record *runs[ARMS_MAX] = {NULL};
    for (size_t i = 0; i < call->policies.count; i++) {
        runs[i] = records[i];
    }
    print_runs(call, runs);
    if (!say_flush(err) || !store_runs(call, runs, err)) {
        return false;
    }
    const struct pages pages = {
        .runs = runs,
        .run_count = call->policies.count,
        .stem = text_str(&call->stem),
        .store_path = text_str(&call->store_path),
        .command = call->command,
    };
    return call->args->no_report || pages_write(&pages, err);
}

static bool load(struct compare_call *call, struct err *err)
{
    const struct compare_args *args = call->args;
    struct runner_setup setup = {
        .step_by_step = args->step_by_step,
        .check_invariants = args->check,
    };
    return scenario_args_apply(&args->scenario, call->scenario_path, &call->storage,
                               &setup, err) &&
           policy_list_parse(&call->policies, setup.policies, args->policies, err) &&
           arms_new(&call->arms, &setup, &call->policies, err);
}

/* Before the runs, so that a wrong path costs none. */
static bool open_outputs(struct compare_call *call, struct err *err)
{
    struct text folder = {0};
    pages_paths(call->args->out, arms_scenario_name(call->arms), &call->store_path,
                &call->stem);
    pages_folder(text_str(&call->store_path), &folder);
    const bool ok =
        target_make_folder(text_str(&folder), err) &&
        target_open(&call->store, text_str(&call->store_path), call->args->append, err);
    text_fini(&folder);
    return ok;
}

static int execute(struct compare_call *call)
{
    struct err err = {0};
    const uint64_t wanted = call->args->jobs;
    const uint32_t threads =
        wanted == 0 || wanted > ARMS_MAX ? clock_cores() : (uint32_t)wanted;
    int code = EXIT_DONE;
    if (!load(call, &err) || !open_outputs(call, &err)) {
        code = say_error(&err);
        goto done;
    }
    switch (arms_run(call->arms, threads, call->args->quiet, &err)) {
    case ARMS_INTERRUPTED:
        code = say_interrupted("a part of the runs", text_str(&call->store_path));
        break;
    case ARMS_FAILED:
        code = say_error(&err);
        break;
    case ARMS_DONE:
        code = publish(call, &err) ? EXIT_DONE : say_error(&err);
        break;
    }
done:
    target_abort(call->store);
    arms_delete(call->arms);
    scenario_storage_fini(&call->storage);
    text_fini(&call->store_path);
    text_fini(&call->stem);
    return code;
}

static int compare_run(int argc, char *const *argv)
{
    struct compare_args args = {.format = "table", .out = "out"};
    struct command_call call = {0};
    if (!command_parse(&command_compare, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    struct compare_call work = {.args = &args,
                                .scenario_path = call.result.positional[0]};
    if (!table_format_parse(args.format, &work.format, &err)) {
        return say_error(&err);
    }
    struct text line = {0};
    command_line(&command_compare, argc, argv, &line);
    work.command = text_str(&line);
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(&work);
    interrupt_release(&interrupt);
    text_fini(&line);
    return code;
}

const struct command command_compare = {
    .options =
        {
            .name = "compare",
            .usage = "SCENARIO [--policies A,B,C] [OPTIONS]",
            .summary = "simulate the same traffic under several policies",
            .description =
                "Every policy meets the very same requests. Prints a table and what "
                "may "
                "be said\nabout the difference; writes a store, plots and an HTML page "
                "and names them.\nSCENARIO is a YAML file, or the name of one in "
                "configs/scenarios.\n\n"
                "Examples:\n"
                "  stacksim compare demo\n"
                "  stacksim compare demo --policies round_robin,session --seed 7\n"
                "  stacksim compare fleet.yaml --trace traffic.csv.gz --out out/t.db",
            .options = COMPARE_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = compare_run,
};
